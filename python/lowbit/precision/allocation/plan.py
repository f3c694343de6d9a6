"""A plan: which tensor gets which encoding, as a file that a person can edit.

    {"schema": 1, "budget": "3.5bpw", "loss": 0.0123, "bound": 0.0123, "bytes": 58720256, "seconds": 0.004,
     "tensors": {"blk.0.ffn_up.weight": "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>"}}

Only "schema" and "tensors" have to be there; the rest says where the plan is from. Whoever edits the encodings leaves the rest out, or it is out of date.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import LowbitError
from .allocator import Allocation
from .budget import Budget
from .records import SCHEMA, located, mapping, read_json, real, whole, write_json


@dataclass(frozen=True)
class Plan:
    tensors: dict[str, str]
    """Name of the tensor to its encoding's text. Whether the text is an encoding is for the compiler to say."""
    budget: str | None = None
    loss: float | None = None
    bound: float | None = None
    bytes: int | None = None
    seconds: float | None = None

    @staticmethod
    def of(allocation: Allocation, budget: Budget | str | None = None) -> Plan:
        return Plan(
            dict(allocation.choice),
            None if budget is None else str(budget),
            allocation.loss,
            allocation.bound,
            allocation.bytes,
            allocation.seconds,
        )


def read_plan(path: str | os.PathLike) -> Plan:
    """Raises LowbitError that says where the file is wrong; OSError."""
    numbers = {"loss": real, "bound": real, "bytes": whole, "seconds": real}
    top = read_json(path, "a plan", {"schema", "budget", "tensors", *numbers})
    with located(path):
        fields: dict[str, Any] = {
            name: check(top[name], name)
            for name, check in numbers.items()
            if top.get(name) is not None
        }
        budget = top.get("budget")
        if budget is not None and not isinstance(budget, str):
            raise LowbitError(f'budget is {budget!r}: it must be a text, as "3.5bpw"')
        return Plan(_checked(mapping(top.get("tensors"), "tensors")), budget, **fields)


def write_plan(path: str | os.PathLike, plan: Plan) -> None:
    """Replaces the file at once, or leaves it as it was. Raises LowbitError for tensors without a name or an encoding; OSError."""
    origin = {name: getattr(plan, name) for name in ("budget", "loss", "bound", "bytes", "seconds")}
    written = {name: value for name, value in origin.items() if value is not None}
    write_json(path, {"schema": SCHEMA, **written, "tensors": _checked(plan.tensors)})


def _checked(tensors: Mapping[str, Any]) -> dict[str, str]:
    if not tensors:
        raise LowbitError("tensors is empty: the plan says nothing")
    for name, encoding in tensors.items():
        if not name:
            raise LowbitError("tensors: a name is empty")
        if not isinstance(encoding, str) or not encoding.strip():
            raise LowbitError(
                f"tensor '{name}': the encoding is {encoding!r}: it must be a text",
                hint='as "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>"',
            )
    return dict(tensors)
