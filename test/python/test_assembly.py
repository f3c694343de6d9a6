"""Components from those of parts, against a block by block account of what is stored where: any boxes, any encodings."""

from __future__ import annotations

import random

import numpy as np
import pytest
from kernels import assert_same_bits
from lowbit import _lowbit
from lowbit.errors import LowbitError
from lowbit.optim.assembly import Part, assemble
from lowbit.optim.shards import Shard

ENCODINGS = {
    "codebook<dynamic, 8>, scale = f32 per [1, 16]": (1, 16),
    "int<4>, scale = f32 per [2, 8]": (2, 8),
    "int<3>, scale = bf16 per [1, 24]": (1, 24),
    "uint<4>, scale = f32 per [4, 16], min = f32 per [4, 16]": (4, 16),
    "int<8>, scale = f32 per [1, 32] * e4m3 per [1, 8]": (1, 32),
    "bf16": (1, 1),
    "int<8>, scale = f32 per axis 0": (1, None),
    "e4m3, scale = f32 per tensor": (None, None),
    "codebook<dynamic, 4>, scale = f32 rank1<min>": (None, None),
}
"""With their blocks; None: the whole axis."""


def cut(generator: random.Random, shape: tuple[int, int], multiples: tuple[int, int]) -> list:
    """Up to nine boxes; on one axis they are cut alike, or in each part of the other one elsewhere."""

    def parts(axis: int):
        step = multiples[axis]
        inside = (generator.randrange(-(-shape[axis] // step)) * step for _ in range(2))
        points = sorted({0, shape[axis], *inside})
        return list(zip(points, points[1:]))

    if generator.random() < 0.5:
        found = [(row, column) for row in parts(0) for column in parts(1)]
    else:
        found = [(row, column) for column in parts(1) for row in parts(0)]
    return [Shard((r[0], c[0]), (r[1] - r[0], c[1] - c[0])) for r, c in found]


def blocks(box: Shard, block) -> list[Shard]:
    """Of a box, in the coordinates of the whole."""
    height, width = (own or n for own, n in zip(block, box.shape))
    return [
        Shard((r, c), (min(height, box.end[0] - r), min(width, box.end[1] - c)))
        for r in range(box.offset[0], box.end[0], height)
        for c in range(box.offset[1], box.end[1], width)
    ]


def of(box: Shard) -> tuple[slice, ...]:
    return tuple(map(slice, box.offset, box.end))


@pytest.mark.parametrize("is_aligned", [True, False])
@pytest.mark.parametrize("text, block", ENCODINGS.items())
def test_any_boxes(text, block, is_aligned):
    """Blocks that are stored are as they were; all others are what an encode makes of the values, and an error where that is not allowed."""
    encoding, kept, encoded = f"#lowbit.quantized<{text}>", 0, 0
    generator, values = random.Random(text), np.random.default_rng(0)
    for _ in range(25):
        shape = generator.randrange(1, 14), generator.randrange(1, 90)
        multiples = tuple(b or n for b, n in zip(block, shape)) if is_aligned else (1, 1)
        stored, parts, known = np.empty(shape, np.float32), [], set()
        for box in cut(generator, shape, multiples):
            components = _lowbit.encode(values.normal(size=box.shape).astype(np.float32), encoding)
            stored[of(box)] = _lowbit.decode(encoding, list(box.shape), components)
            parts.append(Part(box, encoding, components))
            known.update(blocks(box, block))
        for box in cut(generator, shape, multiples):
            expected, is_cut = stored.copy(), False
            for own in blocks(box, block):
                if own not in known:
                    is_cut = True
                    again = _lowbit.encode(np.ascontiguousarray(stored[of(own)]), encoding)
                    expected[of(own)] = _lowbit.decode(encoding, list(own.shape), again)
            found = assemble("w", box, encoding, parts, allow_rounding=True)
            assert {name: list(array.shape) for name, array in found.items()} == {
                name: extents
                for name, _, extents in _lowbit.component_types(encoding, list(box.shape))
            }
            decoded = _lowbit.decode(encoding, list(box.shape), found)
            assert_same_bits(decoded, expected[of(box)], f"{box} of {[str(p.box) for p in parts]}")
            if is_cut:
                with pytest.raises(LowbitError, match="without rounding"):
                    assemble("w", box, encoding, parts, allow_rounding=False)
            else:
                again = assemble("w", box, encoding, parts, allow_rounding=False)
                for name, array in found.items():
                    assert_same_bits(again[name], array, name)
            kept, encoded = kept + (not is_cut), encoded + is_cut
    assert not encoded if is_aligned or text == "bf16" else encoded > 10
    assert kept > 5 or not is_aligned


def test_parts_in_several_encodings():
    """What is in this encoding is copied, what is in another one converted."""
    encoding = "#lowbit.quantized<codebook<dynamic, 8>, scale = f32 per [1, 16]>"
    values = np.random.default_rng(0).normal(size=(1, 64)).astype(np.float32)
    left, right = Shard((0, 0), (1, 32)), Shard((0, 32), (1, 32))
    coded = _lowbit.encode(values[:, :32], encoding)
    parts = [Part(left, encoding, coded), Part(right, "", {"values": values[:, 32:].copy()})]
    found = assemble("w", Shard((0, 0), (1, 64)), encoding, parts, allow_rounding=False)
    for name, array in _lowbit.encode(values, encoding).items():
        assert_same_bits(found[name], array, name)
    assert_same_bits(found["codes"][:, :32], coded["codes"], "codes")
    plain = assemble("w", Shard((0, 16), (1, 32)), "", parts, allow_rounding=False)["values"]
    decoded = _lowbit.decode(encoding, [1, 32], coded)
    assert_same_bits(plain, np.hstack([decoded[:, 16:], values[:, 32:48]]), "values")
