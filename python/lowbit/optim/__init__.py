"""Optimizers whose states are stored in few bits: any rule, any encoding, one fused kernel for all tensors.

>>> opt = lowbit.optim.compile("adamw", {"w": (768, 768), "b": (768,)}, states="dynamic8")
>>> state = opt.init()
>>> opt.step(params, grads, state, lr=1e-3)     # numpy arrays or torch tensors, in place

For torch there are drop-in optimizers: AdamW, Adam, Lion, SGD, and RuleOptimizer for any rule (lowbit/optim/torch.py).
A rule is a short MLIR program (lowbit/optim/rules/*.mlir, or your own); docs/Optimizers.md tells how to write one.
"""

from __future__ import annotations

from .allocation import allocate_states, measure_states
from .checkpoint import commit as commit_shards
from .checkpoint import load as load_state
from .checkpoint import save as save_state
from .checkpoint import save_part as save_shards
from .functional import Optimizer, State, compile
from .gradients import norm_of as norm
from .rule import Rule, load, names
from .shards import Shard, split
from .states import NAMED
from .trace import exp, log, maximum, minimum, rule, sign, sqrt, where

_TORCH = ("AdamW", "Adam", "Lion", "RuleOptimizer", "SGD")

__all__ = [
    *(
        "NAMED",
        "Optimizer",
        "Rule",
        "Shard",
        "State",
        "allocate_states",
        "commit_shards",
        "compile",
        "load",
        "names",
        "norm",
        "load_state",
        "measure_states",
        "save_shards",
        "save_state",
        "split",
    ),
    *("exp", "log", "maximum", "minimum", "rule", "sign", "sqrt", "where"),
    *_TORCH,
]


def __getattr__(name: str):
    # On demand: torch is an extra.
    if name in _TORCH:
        from . import torch

        return getattr(torch, name)
    raise AttributeError(f"module 'lowbit.optim' has no attribute '{name}'")
