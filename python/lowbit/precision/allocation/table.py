"""The table that sensitivities and allocator share: for each item and encoding its loss, bytes and seconds.

As JSON, with "weights", "group" and "seconds" where there are any:

    {"schema": 1, "items": {"blk.0.ffn_up.weight": {"weights": 884736, "group": "blk.0.ffn", "candidates": {
        "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>": {"bytes": 497664, "loss": 0.00123, "seconds": 2.1e-05}}}}}
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ...errors import LowbitError
from .records import SCHEMA, located, mapping, read_json, real, whole, write_json


@dataclass(frozen=True)
class Candidate:
    """One way to store an item. Checked when it becomes an item's."""

    encoding: str
    bytes: int
    """Of all components together."""
    loss: float
    """Finite, at least 0; what the unit is, is the table's matter, but losses are added over items."""
    seconds: float = 0.0
    """Measured, for what the time budget counts (as a token)."""


@dataclass(frozen=True)
class Item:
    """A tensor, a key-value cache, an activation or a state, of which the encoding is to be chosen.

    Raises LowbitError, naming item and field, for values that are none.
    """

    key: str
    candidates: tuple[Candidate, ...]
    weights: int | None = None
    """How many; a budget in bits per weight needs it."""
    group: str | None = None
    """Items of one group take the same encoding."""

    def __post_init__(self):
        if not isinstance(self.key, str) or not self.key:
            raise LowbitError(f"an item's key is {self.key!r}: it must be a name")
        where = f"item '{self.key}'"
        if self.weights is not None:
            weights = whole(self.weights, f"{where}: weights")
            if weights == 0:
                raise LowbitError(f"{where}: weights is 0", hint="leave it out of what has none")
            object.__setattr__(self, "weights", weights)
        if self.group is not None and (not isinstance(self.group, str) or not self.group):
            raise LowbitError(f"{where}: group is {self.group!r}: it must be a name")
        checked: dict[str, Candidate] = {}
        for candidate in self.candidates:
            if not isinstance(candidate.encoding, str) or not candidate.encoding:
                raise LowbitError(f"{where}: encoding is {candidate.encoding!r}: it must be a text")
            at = f"{where}, candidate '{candidate.encoding}'"
            if candidate.encoding in checked:
                raise LowbitError(f"{at}: it is there twice")
            checked[candidate.encoding] = Candidate(
                candidate.encoding,
                whole(candidate.bytes, f"{at}: bytes"),
                real(candidate.loss, f"{at}: loss"),
                real(candidate.seconds, f"{at}: seconds"),
            )
        if not checked:
            raise LowbitError(f"{where} has no candidates", hint="give at least one encoding")
        object.__setattr__(self, "candidates", tuple(checked.values()))


def read_table(path: str | os.PathLike) -> list[Item]:
    """The items in the order of the file. Raises LowbitError that says where the file is wrong; OSError."""
    top = read_json(path, "a table", {"schema", "items"})
    with located(path):
        items = mapping(top.get("items"), "items")
        return [_item(key, value) for key, value in items.items()]


def _item(key: str, value: Any) -> Item:
    where = f"item '{key}'"
    fields = mapping(value, where, {"weights", "group", "candidates"})
    candidates = []
    for encoding, given in mapping(fields.get("candidates"), f"{where}: candidates").items():
        at = f"{where}, candidate '{encoding}'"
        costs = mapping(given, at, {"bytes", "loss", "seconds"})
        for name in ("bytes", "loss"):
            if name not in costs:
                raise LowbitError(f"{at}: {name} is missing")
        candidates.append(
            Candidate(encoding, costs["bytes"], costs["loss"], costs.get("seconds", 0.0))
        )
    return Item(key, tuple(candidates), fields.get("weights"), fields.get("group"))


def write_table(path: str | os.PathLike, items: Iterable[Item]) -> None:
    """Replaces the file at once, or leaves it as it was. Raises LowbitError where a key is there twice; OSError."""
    found: dict[str, Any] = {}
    for item in items:
        if item.key in found:
            raise LowbitError(f"item '{item.key}' is there twice")
        entry: dict[str, Any] = {} if item.weights is None else {"weights": item.weights}
        if item.group is not None:
            entry["group"] = item.group
        entry["candidates"] = {
            c.encoding: {"bytes": c.bytes, "loss": c.loss}
            | ({"seconds": c.seconds} if c.seconds else {})
            for c in item.candidates
        }
        found[item.key] = entry
    write_json(path, {"schema": SCHEMA, "items": found})
