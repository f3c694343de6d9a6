"""Norms of gradients: one order of the sum, on any processor, for any number of threads and shards."""

from __future__ import annotations

import math

import kernels
import numpy as np
import pytest
from lowbit import optim
from lowbit.optim.gradients import PIECE, Norm
from optimizer_reference import gradients, parameters
from test_targets import LEVELS


def ordered(x: np.ndarray, lanes: int = 8, chains: int = 4) -> float:
    """A sum in f64, in the order of Numerics.md."""
    step = lanes * chains
    strips, left = x[: x.size // step * step].reshape(-1, chains, lanes), x[x.size // step * step :]
    sums = np.zeros((chains, lanes))
    for strip in strips:
        sums += strip
    while left.size >= lanes:
        sums[0] += left[:lanes]
        left = left[lanes:]
    rest = 0.0
    for value in left:
        rest += value
    one = (sums[0] + sums[1]) + (sums[2] + sums[3])
    while one.size > 1:
        one = one[: one.size // 2] + one[one.size // 2 :]
    return float(one[0]) + rest


@pytest.fixture(scope="module")
def given() -> np.ndarray:
    generator = np.random.default_rng(1)
    n = 2 * PIECE + 1007  # 31 strips of 32, one of 8, 7 elements
    return (generator.normal(size=n) * 10.0 ** generator.integers(-12, 12, n)).astype(np.float32)


@pytest.mark.parametrize("level", kernels.those_of_this_machine(LEVELS))
@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16"])
def test_the_order_is_that_of_the_contract(dtype, level, given):
    """bf16 and f16 hold few bits, so that few of their squares round anything: their sums differ by what they are sums of."""
    if dtype == "F16":
        with np.errstate(over="ignore"):
            array = np.clip(given, -6e4, 6e4).astype(np.float16)
        values = array.astype(np.float64)
    elif dtype == "BF16":
        array = (given.view(np.uint32) >> 16).astype(np.uint16)
        values = (array.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    else:
        array, values = given, given.astype(np.float64)
    expected = math.fsum(
        ordered(values[start : start + PIECE] ** 2) for start in range(0, values.size, PIECE)
    )
    for threads in (1, 2, 5):
        assert Norm(dtype, threads, level).squares([array.reshape(1, -1)]) == expected
    assert expected == pytest.approx(math.fsum(values**2), rel=2**-40)
    assert dtype != "F32" or expected != math.fsum(values**2)


def test_threads_change_nothing():
    shapes = {"w": (300, 1001), **{f"b{i}": (i,) for i in range(40)}}
    norms = set()
    for threads in (1, 2, 5):
        optimizer = optim.compile("sgd", shapes, threads=threads)
        done = optimizer.step(
            parameters(shapes), gradients(shapes, 0), optimizer.init(), max_norm=1.0
        )
        norms.add(done.norm)
    assert len(norms) == 1


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("place", [0, 40, 3 * PIECE - 1, 3 * PIECE, 3 * PIECE + 20])
def test_what_is_no_number_is_seen(value, place):
    """In any lane, and in what remains."""
    gradient = np.zeros((1, 3 * PIECE + 21), np.float32)
    gradient[0, place] = value
    assert not math.isfinite(Norm("F32", 2).squares([gradient]))
