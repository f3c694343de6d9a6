"""A tensor's components from those of parts of it: code for code where blocks are whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _lowbit
from ..errors import LowbitError
from .arrays import aligned, copy_of
from .functional import Components
from .shards import Shard, cells, count


@dataclass(frozen=True)
class Part:
    """What is stored of a tensor with two axes."""

    box: Shard
    encoding: str
    components: Components


class _Layout:
    """Where a tensor of some encoding can be cut, and its components with it."""

    def __init__(self, encoding: str, shape: tuple[int, ...]) -> None:
        self._shape = shape
        multiples = _lowbit.encode_multiples(encoding, list(shape))
        block = [m if m > 0 else n for m, n in zip(multiples, shape)]
        self._extents = {n: s for n, _, s in _lowbit.component_types(encoding, list(shape))}
        once = _extents(encoding, block)
        self._steps: list[dict[str, tuple[int, int]]] = []
        """By axis and component: along which axis of its own a block takes how much."""
        self.multiples: list[int] = []
        """By axis; 0: it cannot be cut."""
        for axis, multiple in enumerate(multiples):
            doubled = list(block)
            doubled[axis] *= 2
            steps = {}
            for name, extents in _extents(encoding, doubled).items() if multiple > 0 else ():
                grown = [(i, n - o) for i, (n, o) in enumerate(zip(extents, once[name])) if n != o]
                if len(grown) == 1:
                    steps[name] = grown[0]
            is_cut = bool(steps) and steps.keys() == once.keys()
            self.multiples.append(multiple if is_cut else 0)
            self._steps.append(steps if is_cut else {})

    def slices(self, name: str, region: tuple[slice, ...]) -> tuple[slice, ...]:
        """Of a component: what belongs to a region of whole blocks."""
        result = [slice(None)] * len(self._extents[name])
        for wanted, multiple, steps in zip(region, self.multiples, self._steps):
            if multiple:
                axis, step = steps[name]
                stop = min(-(-wanted.stop // multiple) * step, self._extents[name][axis])
                result[axis] = slice(wanted.start // multiple * step, stop)
        return tuple(result)

    def around(self, region: tuple[slice, ...]) -> tuple[slice, ...]:
        """The least region of whole blocks that has another one inside."""
        return tuple(
            slice(r.start // m * m, min(-(-r.stop // m) * m, n)) if m else slice(0, n)
            for r, m, n in zip(region, self.multiples, self._shape)
        )


def _extents(encoding: str, shape: list[int]) -> dict[str, list[int]]:
    return {name: list(extents) for name, _, extents in _lowbit.component_types(encoding, shape)}


def _whole_blocks(part: Shard, box: Shard, multiples: Sequence[int]) -> Shard:
    """The part's blocks that are blocks of the box, too; of size 0 where there are none."""
    start, end = [], []
    both = part.intersection(box)
    for axis, multiple in enumerate(multiples):
        origin, low, high = box.offset[axis], both.offset[axis], both.end[axis]
        ends_together = part.end[axis] == box.end[axis]
        if multiple and (part.offset[axis] - origin) % multiple == 0:
            start.append(origin + -(-(low - origin) // multiple) * multiple)
            end.append(high if ends_together else origin + (high - origin) // multiple * multiple)
        else:
            is_same = part.offset[axis] == origin and ends_together
            start.append(low)
            end.append(high if is_same else low)
    return Shard(tuple(start), tuple(max(e - s, 0) for s, e in zip(start, end)))


def _decoded(part: Part, region: tuple[slice, ...]) -> NDArray[np.float32]:
    """Elements of a part, by indices into it."""
    if region == part.box.within(part.box):
        return _lowbit.decode(part.encoding, list(part.box.shape), part.components)
    layout = _Layout(part.encoding, part.box.shape)
    around = layout.around(region)
    components = {
        name: np.ascontiguousarray(array[layout.slices(name, around)])
        for name, array in part.components.items()
    }
    values = _lowbit.decode(part.encoding, [r.stop - r.start for r in around], components)
    return values[tuple(slice(r.start - a.start, r.stop - a.start) for r, a in zip(region, around))]


def _refusal(what: str, box: Shard, part: Shard, multiples: Sequence[int]) -> LowbitError:
    seen = [str(m) if m else "the whole axis" for m in multiples]
    return LowbitError(
        f"{what} {box} cannot be taken from what is stored as {part} without rounding: a block of the encoding, "
        f"[{', '.join(seen)}], would be cut",
        hint="cut shards between blocks, or pass allow_rounding=True: blocks that are cut are decoded and encoded again",
    )


def assemble(
    what: str, box: Shard, encoding: str, parts: Sequence[Part], allow_rounding: bool
) -> Components:
    """The components of a box of a tensor, in an encoding, from parts that cover the box once.

    Blocks that a part has in this encoding are copied. All others are decoded and encoded again: what is in another encoding, which
    is a conversion; and, where rounding is allowed, blocks that parts cut in another place.
    """
    for part in parts:
        if part.box == box and part.encoding == encoding:
            return {name: copy_of(array) for name, array in part.components.items()}
    layout = _Layout(encoding, box.shape)
    extents = _extents(encoding, list(box.shape))
    components: Components = {}

    def put(name: str, place: tuple[slice, ...], array: NDArray[np.generic]) -> None:
        if name not in components:
            components[name] = aligned(tuple(extents[name]), array.dtype)
        components[name][layout.slices(name, place)] = array

    copied = []
    for part in parts:
        region = _whole_blocks(part.box, box, layout.multiples)
        if part.encoding == encoding and region.size:
            copied.append(region)
            own = _Layout(encoding, part.box.shape)
            for name, array in part.components.items():
                source = array[own.slices(name, region.within(part.box))]
                put(name, region.within(box), source)
    number, edges = count(box, copied)
    for cell in cells(number == 0, edges):
        values = np.empty(cell.shape, np.float32)
        for part in parts:
            shared = part.box.intersection(cell)
            if not shared.size:
                continue
            if part.encoding == encoding and not allow_rounding:
                raise _refusal(what, box, part.box, layout.multiples)
            values[shared.within(cell)] = _decoded(part, shared.within(part.box))
        for name, array in _lowbit.encode(values, encoding).items():
            put(name, cell.within(box), array)
    return {name: components[name] for name in extents}
