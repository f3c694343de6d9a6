"""Levels that a tensor brings: against numpy, and against k-means as everybody runs it."""

from __future__ import annotations

import numpy as np
import pytest
from kernels import PIPELINES, assert_same_bits, encode_program, run
from lowbit import _lowbit
from numpy_formats import planes

SHAPE = (12, 50)


def steps_nearer(levels: np.ndarray, t: np.ndarray) -> np.ndarray:
    """docs/Numerics.md, "Learned levels": `levels` [..., 2^k] beside each element of t."""
    index = np.arange(levels.shape[-1] - 1)
    with np.errstate(invalid="ignore", over="ignore"):
        above = t[..., None] - levels[..., :-1]
        below = levels[..., 1:] - t[..., None]
    return ((above > below) | ((above == below) & (index % 2 == 1))).sum(-1)


def lloyd(x: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Lloyd's algorithm to its end."""
    while True:
        nearest = np.abs(x[:, None] - levels).argmin(1)
        means = [
            x[nearest == i].mean() if (nearest == i).any() else level
            for i, level in enumerate(levels)
        ]
        if np.array_equal(means, levels):
            return levels
        levels = np.array(means)


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("bits", [1, 3, 8])
def test_encode_takes_the_levels_of_its_destination(bits, pipeline):
    """Of levels in any order, equal ones and NaN among them, there is one right code all the same."""
    generator = np.random.default_rng(bits)
    levels = generator.normal(size=(SHAPE[0], 1, 2**bits)).astype(np.float32)
    levels[::2].sort()
    levels[2] = np.round(levels[2])
    levels[1, 0, 0] = np.nan
    x = generator.normal(size=SHAPE).astype(np.float32)
    x[:, :20] = np.round(2 * x[:, :20]) / 2
    x[3, :4] = np.inf, -np.inf, 3e38, -3e38
    expected = planes(steps_nearer(levels, x), bits, "codes")
    codes = [generator.integers(0, 256, a.shape, dtype=np.uint8) for a in expected.values()]
    program = encode_program(SHAPE, f"#lowbit.quantized<learned<{bits}, f32 per axis 0>>")
    actual = run(program, [x, *codes, levels], pipeline)
    for name, codes in zip(expected, actual):
        assert_same_bits(codes.view(np.uint8), expected[name], name)


def test_learned_levels_beat_lloyd():
    """Lloyd's algorithm stops where no small change helps; dynamic programming finds the best levels of all."""
    generator = np.random.default_rng(0)
    x = generator.standard_t(3, size=(4, 500)).astype(np.float32)
    encoding = "#lowbit.quantized<learned<3, f32 per axis 0>>"
    parts = _lowbit.encode(x, encoding)
    decoded = _lowbit.decode(encoding, list(x.shape), parts)
    for row, levels, values in zip(x.astype(np.float64), parts["levels"][:, 0], decoded):
        assert np.array_equal(levels, np.sort(levels))
        # Each level is the mean of its elements.
        for level in levels:
            assert level == np.float32(row[values == level].mean())
        error = np.square(row - values).sum()
        for start in (
            np.quantile(row, (np.arange(8) + 0.5) / 8),
            np.linspace(row.min(), row.max(), 8),
        ):
            other = lloyd(row, start)
            assert error <= np.square(row[:, None] - other).min(1).sum() * (1 + 1e-6)
