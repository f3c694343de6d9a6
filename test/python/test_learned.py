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


def least_weighted_error(x: np.ndarray, weights: np.ndarray, count: int) -> float:
    """Of at most `count` levels: every way to cut the sorted values into runs, by the plain dynamic program."""
    order = np.argsort(x, kind="stable")
    x, weights = x[order], weights[order]
    n = len(x)

    def cost(begin: int, end: int) -> float:
        mass = weights[begin:end].sum()
        mean = (weights[begin:end] * x[begin:end]).sum() / mass if mass else 0.0
        return float((weights[begin:end] * (x[begin:end] - mean) ** 2).sum())

    costs = np.array([[cost(i, j) if i < j else np.inf for j in range(n + 1)] for i in range(n)])
    best = np.concatenate([[0.0], costs[0, 1:]])
    for _ in range(count - 1):
        best = np.minimum(best, [0.0, *((best[:j] + costs[:j, j]).min() for j in range(1, n + 1))])
    return float(best[n])


@pytest.mark.parametrize("spread", [0, 1, 4])
def test_weighted_levels_are_the_best(spread):
    """spread: weights differ by this many orders of magnitude, up and down."""
    generator = np.random.default_rng(spread)
    x = generator.standard_t(3, size=(3, 60)).astype(np.float32)
    x[1] = np.round(x[1])  # equal values
    weights = (10.0 ** generator.uniform(-spread, spread, x.shape)).astype(np.float32)
    weights[2, ::3] = 0
    encoding = "#lowbit.quantized<learned<2, f32 per axis 0>>"
    parts = _lowbit.encode_weighted(x, encoding, weights)
    decoded = _lowbit.decode(encoding, list(x.shape), parts).astype(np.float64)
    for row, values, importance in zip(x.astype(np.float64), decoded, weights.astype(np.float64)):
        error = (importance * (row - values) ** 2).sum()
        assert error == pytest.approx(least_weighted_error(row, importance, 4), rel=1e-5, abs=1e-9)
    # A table for the whole tensor, and scales: weights count in the values' own units.
    encoding = "#lowbit.quantized<learned<2, f32 per tensor>, scale = f32 per axis 0>"
    parts = _lowbit.encode_weighted(x, encoding, weights)
    scales = np.abs(x).max(axis=1, keepdims=True)
    error = (weights * (x - _lowbit.decode(encoding, list(x.shape), parts)) ** 2).sum()
    best = least_weighted_error((x / scales).ravel(), (weights * scales**2).ravel(), 4)
    assert error == pytest.approx(best, rel=1e-4)


def test_weights_that_say_nothing():
    """Equal ones change nothing, those of 0 leave the rest to decide; where all are 0 all count alike."""
    x = np.random.default_rng(5).normal(size=SHAPE).astype(np.float32)
    encoding = "#lowbit.quantized<learned<3, f16 per axis 0>>"
    plain = _lowbit.encode(x, encoding)
    for weights in (np.zeros_like(x), np.full_like(x, 4.0)):
        for name, array in _lowbit.encode_weighted(x, encoding, weights).items():
            assert_same_bits(np.asarray(array), np.asarray(plain[name]), name)
    few = np.zeros_like(x)
    few[:, [3, 17]] = 1e-20
    levels = _lowbit.encode_weighted(x, "#lowbit.quantized<learned<1, f32 per axis 0>>", few)
    np.testing.assert_array_equal(levels["levels"][:, 0], np.sort(x[:, [3, 17]]))


def test_weights_are_for_learned_levels():
    x = np.ones((4, 64), np.float32)
    for encoding in ("", "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>"):
        with pytest.raises(RuntimeError, match="weights of elements are for learned levels"):
            _lowbit.encode_weighted(x, encoding, x)
    with pytest.raises(RuntimeError, match="does not have 256 values and 64 weights"):
        _lowbit.encode_weighted(x, "#lowbit.quantized<learned<2, f16 per axis 0>>", x[:1])
