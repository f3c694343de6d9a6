"""Shards: boxes of whole parameters, where several processes hold parts of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Iterable, Sequence

import numpy as np

from ..errors import LowbitError


@dataclass(frozen=True)
class Shard:
    """A box of a whole tensor."""

    offset: tuple[int, ...]
    """Where it begins on each axis."""
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("offset", "shape"):
            object.__setattr__(self, name, tuple(int(n) for n in getattr(self, name)))

    @property
    def end(self) -> tuple[int, ...]:
        return tuple(o + n for o, n in zip(self.offset, self.shape))

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __str__(self) -> str:
        return f"[{', '.join(f'{o}:{e}' for o, e in zip(self.offset, self.end))}]"

    def intersection(self, other: Shard) -> Shard:
        """Of size 0 where there is none."""
        start = tuple(map(max, self.offset, other.offset))
        end = map(min, self.end, other.end)
        return Shard(start, tuple(max(e - s, 0) for s, e in zip(start, end)))

    def within(self, other: Shard) -> tuple[slice, ...]:
        """As indices into an array of the elements of `other`."""
        return tuple(
            slice(o - begin, e - begin) for o, e, begin in zip(self.offset, self.end, other.offset)
        )


def split(shape: Sequence[int], count: int, axis: int = 0, multiple: int = 1) -> list[Shard]:
    """A tensor in `count` shards along an axis: all of the same extent, a multiple of `multiple`, but the last ones, which have what
    is left, or nothing."""
    if not 0 <= axis < len(shape):
        raise LowbitError(f"a tensor of shape {tuple(shape)} has no axis {axis}")
    if count < 1 or multiple < 1:
        raise LowbitError("a tensor is split into 1 or more shards, at multiples of 1 or more")
    extent = -(-shape[axis] // (count * multiple)) * multiple
    cuts = [min(i * extent, shape[axis]) for i in range(count + 1)]

    def along(value: int, others: Iterable[int]) -> tuple[int, ...]:
        return tuple(value if i == axis else other for i, other in enumerate(others))

    return [
        Shard(along(start, [0] * len(shape)), along(end - start, shape))
        for start, end in zip(cuts, cuts[1:])
    ]


def _range(shape: Sequence[int], shard: Shard) -> tuple[int, int] | None:
    """Where the elements of a shard begin in row-major order, and how many there are; None: others lie between them."""
    start = 0
    for extent, offset in zip(shape, shard.offset):
        start = start * extent + offset
    is_cut = False
    for extent, own in reversed(list(zip(shape, shard.shape))):
        if is_cut and own > 1:
            return None
        is_cut |= own != extent
    return start, shard.size


def viewed(name: str, shape: Sequence[int], shard: Shard | None, flat: bool) -> Shard:
    """A shard of a parameter in the parameter's view: [1, n] where that is flat, else the matrix of the first axis and all others.
    None: all of the parameter."""
    if shard is None:
        shard = Shard((0,) * len(shape), tuple(shape))
    if len(shard.offset) != len(shape) or len(shard.shape) != len(shape):
        raise LowbitError(f"a shard of '{name}' has other axes than its shape {tuple(shape)}")
    if any(o < 0 or n < 0 or o + n > e for o, n, e in zip(shard.offset, shard.shape, shape)):
        raise LowbitError(f"the shard {shard} of '{name}' reaches over its shape {tuple(shape)}")
    rows = 0 if flat or len(shape) < 2 else 1
    columns = _range(shape[rows:], Shard(shard.offset[rows:], shard.shape[rows:]))
    if columns is None:
        seen = f"{'rows of ' if rows else ''}{math.prod(shape[rows:])} elements"
        raise LowbitError(
            f"the shard {shard} of '{name}' is no range of what is seen as {seen}",
            hint=(
                "cut axis 0, or only the first of the others"
                if rows
                else "cut axis 0 alone, or compile with flatten=False, so that blocks lie along rows"
            ),
        )
    first = (shard.offset[0], shard.shape[0]) if rows else (0, 1)
    return Shard((first[0], columns[0]), (first[1], columns[1]))


def cuts(boxes: Iterable[Shard], axis: int) -> np.ndarray:
    """Where boxes begin or end along an axis, in order."""
    return np.unique([x for box in boxes for x in (box.offset[axis], box.end[axis])])


def count(box: Shard, parts: Sequence[Shard]) -> tuple[np.ndarray, list[np.ndarray]]:
    """How many of the parts lie on each cell of a box, which their edges cut it into; and the cells' edges along both axes."""
    inside = [p for p in (part.intersection(box) for part in parts) if p.size]
    edges = [cuts([box, *inside], axis) for axis in (0, 1)]
    number = np.zeros([len(e) - 1 for e in edges], np.int64)
    for part in inside:
        rows, columns = (
            slice(*np.searchsorted(e, (o, end))) for e, o, end in zip(edges, part.offset, part.end)
        )
        number[rows, columns] += 1
    return number, edges


def cells(chosen: np.ndarray, edges: Sequence[np.ndarray]) -> list[Shard]:
    """The chosen cells, neighbours in a row as one."""
    found = []
    for row, (top, bottom) in enumerate(zip(edges[0], edges[0][1:])):
        borders = np.flatnonzero(np.diff(np.pad(chosen[row].astype(np.int8), 1)))
        for first, last in borders.reshape(-1, 2):
            left, right = edges[1][first], edges[1][last]
            found.append(Shard((int(top), int(left)), (int(bottom - top), int(right - left))))
    return found
