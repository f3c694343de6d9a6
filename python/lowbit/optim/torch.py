"""Drop-in optimizers for torch, on the CPU: lowbit.optim.AdamW(model.parameters(), lr=1e-3, states="dynamic8").

State tensors have the names 'STATE.COMPONENT' ('m.codes', 'm.scale', …; 'm' where a state is not encoded).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterable, Mapping

import numpy as np
import torch

from ..errors import LowbitError
from . import checkpoint
from .functional import Components, Optimizer, State, compile
from .rule import Rule, load
from .shards import Shard

_DTYPES = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}


def _key(state: str, component: str) -> str:
    return state if component == "values" else f"{state}.{component}"


def _to_torch(array: np.ndarray) -> torch.Tensor:
    """The same memory; 16-bit floats as the bits that they are."""
    return torch.from_numpy(array.view(np.int16) if array.dtype == np.uint16 else array)


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    array = tensor.detach().numpy()
    return array.view(np.uint16) if array.dtype == np.int16 else array


class RuleOptimizer(torch.optim.Optimizer):
    """Any rule: of Lowbit's, of a file or of text.

    params: as torch.optim has them; groups may differ in every scalar.
    states: as lowbit.optim.compile has them.
    threads: of OpenMP; 0: what it takes by itself.
    correction_bits: 8 or 16: of parameters in bfloat16 as many bits more are kept, as a state; steps are those of weights in 24 or 32 bits.
    shards: for parameters of which others hold other parts: the extents of the whole, and which part of it this one is.
    scalars: the rule's own, by its names; torch's 'betas' and 'weight_decay' stand for 'beta1', 'beta2', … and 'decay'.
    """

    def __init__(
        self,
        params: Iterable[Any],
        rule: str | Path | Rule,
        states: Any = "f32",
        *,
        threads: int = 0,
        correction_bits: int = 0,
        shards: Mapping[torch.Tensor, tuple[Iterable[int], Shard]] | None = None,
        **scalars: Any,
    ) -> None:
        self.rule = rule if isinstance(rule, Rule) else load(rule)
        if correction_bits not in (0, 8, 16):
            raise LowbitError(f"a correction has 8 or 16 bits, or 0: none; not {correction_bits}")
        self._encodings, self._threads = states, threads
        self._correction_bits = correction_bits
        self._shards = {p: (tuple(whole), part) for p, (whole, part) in (shards or {}).items()}
        for p, (whole, part) in self._shards.items():
            if part.shape != tuple(p.shape):
                raise LowbitError(
                    f"a parameter of shape {list(p.shape)} is no shard {part} of {list(whole)}"
                )
        self._compiled: dict[tuple[int, str, str], tuple[list[int], Optimizer]] = {}
        defaults = {a.name: a.default for a in self.rule.scalars if a.name != "step"}
        for name in _scalars(scalars):
            if name not in defaults:
                known = ", ".join(defaults)
                raise LowbitError(f"rule '{self.rule.name}' has no {name}", hint=f"it has {known}")
            defaults.pop(name)
        super().__init__(params, defaults | scalars)

    def __getstate__(self) -> dict[str, Any]:
        # Compiled code is made again.
        return super().__getstate__() | {
            "rule": self.rule,
            "_encodings": self._encodings,
            "_threads": self._threads,
            "_correction_bits": self._correction_bits,
            "_shards": self._shards,
            "_compiled": {},
        }

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for index, group in enumerate(self.param_groups):
            # Schedules keep numbers of their own in a group, too.
            own = {argument.name for argument in self.rule.scalars}
            scalars = {name: v for name, v in _scalars(group).items() if name in own}
            by_kind: dict[tuple[str, str, int], list[torch.Tensor]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    kind = (self._stored(_kind(p, "parameter")), _kind(p.grad, "gradient"))
                    step = self.state[p].get("step", 0) + 1
                    by_kind.setdefault((*kind, step), []).append(p)
            for (parameters, gradients, step), members in by_kind.items():
                optimizer = self._get(index, parameters, gradients)
                numbers = {id(p): str(i) for i, p in enumerate(group["params"])}
                given = {}
                for p in members:
                    name = numbers[id(p)]
                    states = self._states_of(p, optimizer, name)
                    given[name] = (p, p.grad, states)
                optimizer.apply(given, step, {n: float(v) for n, v in scalars.items()})
                for p in members:
                    self.state[p]["step"] = step
        return loss

    def _get(self, index: int, parameters: str, gradients: str) -> Optimizer:
        """Compiled for the parameters of a group that are of this type."""
        members = self.param_groups[index]["params"]
        ids = [id(p) for p in members]
        known = self._compiled.get((index, parameters, gradients))
        if known and known[0] == ids:
            return known[1]
        chosen = {
            str(i): p
            for i, p in enumerate(members)
            if self._stored(_DTYPES.get(p.dtype, "")) == parameters
        }
        held = {name: self._shards[p] for name, p in chosen.items() if p in self._shards}
        made = compile(
            self.rule,
            {name: held[name][0] if name in held else p.shape for name, p in chosen.items()},
            self._encodings,
            parameters=parameters,
            gradients=gradients,
            threads=self._threads,
            shards={name: part for name, (_, part) in held.items()},
        )
        self._compiled[index, parameters, gradients] = (ids, made)
        return made

    def _states_of(self, p: torch.Tensor, optimizer: Optimizer, name: str) -> dict[str, Components]:
        kept = self.state[p]
        if "step" not in kept:
            kept["step"] = 0
            for state, components in optimizer.zeros(name).items():
                for component, array in components.items():
                    kept[_key(state, component)] = _to_torch(array)
        states: dict[str, Components] = {}
        for key, tensor in kept.items():
            if key != "step":
                state, _, component = key.partition(".")
                states.setdefault(state, {})[component or "values"] = _to_numpy(tensor)
        return states

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What state_dict() gave, or that of torch's, bitsandbytes', torchao's or FlashOptim's optimizer of the same rule: its states become
        ours, code for code where these are stored in the same encoding."""
        super().load_state_dict(state_dict)
        # torch makes floats of the parameter's type of everything: codes are taken as they are.
        for index, saved in enumerate(state_dict["param_groups"]):
            members = self.param_groups[index]["params"]
            for i, (number, p) in enumerate(zip(saved["params"], members)):
                if number in state_dict["state"]:
                    own = state_dict["state"][number]
                    self.state[p] = self._adopt(index, str(i), p, own) or {
                        key: value.detach().clone() if torch.is_tensor(value) else value
                        for key, value in own.items()
                    }

    def _adopt(
        self, index: int, name: str, p: torch.Tensor, saved: dict[str, Any]
    ) -> dict[str, Any]:
        """The state of a parameter that another library saved; {} if it is none."""
        from . import peers

        found = peers.recognize(saved)
        if found is None:
            return {}
        if len(found) != len(self.rule.states):
            raise LowbitError(
                f"saved states of {len(found)} kinds are none of rule '{self.rule.name}', which has "
                f"{', '.join(self.rule.states) or 'none'}"
            )
        kind = _kind(p, "parameter")
        optimizer = self._get(index, self._stored(kind), kind)
        encodings = optimizer.encodings(name)
        adopted: dict[str, Any] = {"step": self._steps(saved)}
        states = dict(zip(self.rule.states, found))
        if "error_bits" in saved:
            bits, group = self._correction_bits, self.param_groups[index]
            if f"correction{bits}" not in encodings:
                raise LowbitError(
                    f"saved states have corrections of a parameter in {p.dtype}, and nothing here takes them",
                    hint="parameters in bfloat16 have corrections with correction_bits=8 or 16",
                )
            states[f"correction{bits}"] = peers.correction(saved, group, p, bits)
        for state, stored in states.items():
            view = optimizer.view(name, state)
            for component, array in peers.convert(stored, encodings[state], view).items():
                adopted[_key(state, component)] = _to_torch(np.array(array, order="C"))
        for state, components in optimizer.zeros(name).items():
            for component, array in components.items():
                adopted.setdefault(_key(state, component), _to_torch(array))
        return adopted

    def save_shards(self, folder: str | Path) -> str:
        """Writes the states of what this process holds into a file in a folder; its name, for lowbit.optim.commit_shards()."""
        held = _Held(self)
        steps = {self.state[p].get("step", 0) for _, _, p in held.members.values()}
        if len(steps) > 1:
            raise LowbitError(
                f"parameters have taken different numbers of steps, {', '.join(map(str, sorted(steps)))}: "
                "a checkpoint in shards has one for all"
            )
        tensors = {
            name: self._states_of(p, optimizer, number)
            for name, (optimizer, number, p) in held.members.items()
        }
        return checkpoint.save_part(folder, held, State(tensors, *steps))

    def load_shards(self, folder: str | Path, *, allow_rounding: bool = False) -> None:
        """The states of a checkpoint that was saved on any shards; see lowbit.optim.load_state()."""
        held = _Held(self)
        found = checkpoint.load(folder, held, allow_rounding=allow_rounding)
        for name, (_, _, p) in held.members.items():
            self.state[p] = {"step": found.step} | {
                _key(state, component): _to_torch(array)
                for state, components in found.tensors[name].items()
                for component, array in components.items()
            }

    def _steps(self, saved: dict[str, Any]) -> int:
        """That were taken, where the rule depends on it."""
        if "step" not in saved and any(argument.name == "step" for argument in self.rule.scalars):
            raise LowbitError(
                f"saved states do not say how many steps were taken, as rule '{self.rule.name}' needs"
            )
        return int(saved.get("step", 0))

    def _stored(self, kind: str) -> str:
        """What parameters of a type are to compile()."""
        return f"bf16+{self._correction_bits}" if kind == "bf16" and self._correction_bits else kind


class _Held:
    """All parameters of an optimizer, as checkpoints see them: by their names, if they came with any, else by 'GROUP.NUMBER'."""

    def __init__(self, owner: RuleOptimizer) -> None:
        self.rule = owner.rule
        self.members: dict[str, tuple[Optimizer, str, torch.Tensor]] = {}
        """The optimizer of a parameter, its name there, and the parameter."""
        for index, group in enumerate(owner.param_groups):
            names = group.get("param_names") or [
                f"{index}.{i}" for i in range(len(group["params"]))
            ]
            for i, (name, p) in enumerate(zip(names, group["params"])):
                kind = _kind(p, "parameter")
                self.members[name] = (owner._get(index, owner._stored(kind), kind), str(i), p)

    @property
    def shapes(self) -> Iterable[str]:
        return self.members.keys()

    def encodings(self, name: str) -> dict[str, str]:
        optimizer, number, _ = self.members[name]
        return optimizer.encodings(number)

    def view(self, name: str, state: str) -> tuple[int, int]:
        optimizer, number, _ = self.members[name]
        return optimizer.view(number, state)

    def part(self, name: str, state: str) -> tuple[tuple[int, int], Shard]:
        optimizer, number, _ = self.members[name]
        return optimizer.part(number, state)


def _kind(tensor: torch.Tensor, what: str) -> str:
    if tensor.device.type != "cpu":
        raise LowbitError(f"a {what} is on {tensor.device}: these optimizers run on the CPU")
    if tensor.is_sparse or tensor.dtype not in _DTYPES:
        raise LowbitError(
            f"a {what} is {tensor.layout} of {tensor.dtype}, not dense float32, bfloat16 or float16"
        )
    return _DTYPES[tensor.dtype]


def _scalars(group: dict[str, Any]) -> dict[str, Any]:
    """By the rule's names."""
    named = dict(group)
    for i, beta in enumerate(named.pop("betas", ())):
        named[f"beta{i + 1}"] = beta
    if "weight_decay" in named:
        named["decay"] = named.pop("weight_decay")
    return named


class AdamW(RuleOptimizer):
    """Adam with decoupled weight decay, in the place of torch.optim.AdamW."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        **options: Any,
    ) -> None:
        """options: states ('dynamic8'), threads, correction_bits, shards."""
        given = dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        super().__init__(params, "adamw", **given | {"states": "dynamic8"} | options)


class Adam(RuleOptimizer):
    """Adam with an L2 term, in the place of torch.optim.Adam."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **options: Any,
    ) -> None:
        """options: states ('dynamic8'), threads, correction_bits, shards."""
        given = dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        super().__init__(params, "adam", **given | {"states": "dynamic8"} | options)


class SGD(RuleOptimizer):
    """SGD with momentum, in the place of torch.optim.SGD without dampening."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        **options: Any,
    ) -> None:
        """options: states ('dynamic8'), threads, correction_bits, shards."""
        given = dict(lr=lr, momentum=momentum, weight_decay=weight_decay)
        super().__init__(params, "sgd", **given | {"states": "dynamic8"} | options)


class Lion(RuleOptimizer):
    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        **options: Any,
    ) -> None:
        """options: states ('dynamic8'), threads, correction_bits, shards."""
        given = dict(lr=lr, betas=betas, weight_decay=weight_decay)
        super().__init__(params, "lion", **given | {"states": "dynamic8"} | options)
