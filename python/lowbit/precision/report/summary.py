"""What the tensors of a record come to, by encoding: for the terminal and for the head of the report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Iterable

from . import wording
from .record import Cache, Record, Tensor, checked


@dataclass(frozen=True)
class Group:
    """The tensors of one encoding. What is not known of each of them is None."""

    encoding: str
    label: str
    count: int
    bytes: float | None
    bits_per_weight: float | None
    ratio: float | None
    """As mean_ratio()."""


def ratio(tensor: Tensor) -> float | None:
    """The error in terms of that of rounding to nearest; None without both, or if one has no logarithm."""
    error, nearest = tensor.get("error"), tensor.get("error_nearest")
    if error is None or nearest is None:
        return None
    return error / nearest if 0 < error < math.inf and 0 < nearest < math.inf else None


def mean_ratio(tensors: Iterable[Tensor]) -> float | None:
    """The geometric mean of the ratios that there are."""
    logs = [math.log(value) for tensor in tensors if (value := ratio(tensor))]
    return math.exp(math.fsum(logs) / len(logs)) if logs else None


def weights(tensor: Tensor) -> float | None:
    """How many a tensor has, by its shape or its size; None where neither tells."""
    if tensor.get("shape"):
        return math.prod(float(extent) for extent in tensor["shape"])
    size, bits = tensor.get("bytes"), tensor.get("bits_per_weight")
    return 8 * size / bits if size is not None and bits else None


def _sum(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if None in known else sum(known)


def by_encoding(record: Record) -> list[Group]:
    """The group with the most tensors of known size first."""
    tensors: dict[str, list[Tensor]] = {}
    for tensor in record["tensors"]:
        tensors.setdefault(tensor.get("encoding", ""), []).append(tensor)
    labels = wording.labels(tensor.get("encoding", "") for tensor in record["tensors"])
    groups = []
    for encoding, members in tensors.items():
        size = _sum(tensor.get("bytes") for tensor in members)
        number = _sum(weights(tensor) for tensor in members)
        bits = 8 * size / number if size is not None and number else None
        groups.append(
            Group(encoding, labels[encoding], len(members), size, bits, mean_ratio(members))
        )
    return sorted(groups, key=lambda group: -(group.bytes or 0))


def summary(record: Record) -> str:
    """A table for the terminal: of each encoding its tensors, their size, and their error in terms of rounding to nearest; then key-value caches."""
    record = checked(record)
    rows = [("encoding", "tensors", "bits/weight", "size", "error/nearest")]

    def add(label: str, count: int, bits: float | None, size: float | None, mean: float | None):
        shown = (f"{count:,}", wording.digits(bits), wording.size(size), wording.digits(mean))
        # Names come from files: what is not printable would reach the terminal.
        rows.append(("".join(c if c.isprintable() else "\ufffd" for c in label), *shown))

    groups = by_encoding(record)
    for group in groups:
        add(group.label, group.count, group.bits_per_weight, group.bytes, group.ratio)
    totals = record.get("totals", {})
    bits, size = totals.get("bits_per_weight"), totals.get("bytes")
    size = _sum(group.bytes for group in groups) if size is None else size
    add("all", len(record["tensors"]), bits, size, mean_ratio(record["tensors"]))
    caches: dict[str, list[Cache]] = {}
    for cache in record.get("caches", ()):
        caches.setdefault(cache["encoding"], []).append(cache)
    for encoding, members in caches.items():
        size = _sum(cache.get("bytes") for cache in members)
        numbers = sum(math.prod(map(float, cache.get("shape", ()))) for cache in members)
        bits = 8 * size / numbers if size is not None and numbers else None
        add(f"caches: {encoding}", len(members), bits, size, None)
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))])
        for row in rows
    )
