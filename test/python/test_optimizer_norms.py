"""Norms of gradients: one order of the sum, on any processor, for any number of threads and shards."""

from __future__ import annotations

import math

import kernels
import numpy as np
import pytest
from lowbit import optim
from lowbit.errors import LowbitError
from lowbit.optim.gradients import PIECE, Norm
from kernels import assert_same_bits
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


def total(norm: Norm, array: np.ndarray) -> float:
    return math.fsum(norm.squares([(array.reshape(1, -1), 0)])[0])


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
        assert total(Norm(dtype, threads, level), array) == expected
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
    assert not math.isfinite(total(Norm("F32", 2), gradient))


# --------------------------------------------------------------------------------------------------
# Shards
# --------------------------------------------------------------------------------------------------

ROW = 2048
WHOLES = {"matrix": (6 * PIECE // ROW, ROW), "vector": (2 * PIECE + 77,), "alike": (5, 7)}


class Process:
    """One of several, with shards of what has several pieces."""

    def __init__(self, held: dict[str, optim.Shard], rule: str = "adamw") -> None:
        self.held = held
        self.optimizer = optim.compile(rule, WHOLES, "dynamic8", shards=held)
        self.params, self.grads = self.cut(parameters(WHOLES)), self.cut(gradients(WHOLES, 0))
        self.state = self.optimizer.init()

    def cut(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        whole = {n: optim.Shard((0,) * a.ndim, a.shape) for n, a in arrays.items()} | self.held
        return {
            n: a[tuple(map(slice, whole[n].offset, whole[n].end))].copy() for n, a in arrays.items()
        }


def processes(count: int, matrix: int, vector: int) -> list[Process]:
    """Which hold multiples of some elements."""
    return [
        Process({"matrix": m, "vector": v})
        for m, v in zip(
            optim.split(WHOLES["matrix"], count, 0, matrix // ROW),
            optim.split(WHOLES["vector"], count, 0, vector),
        )
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_step_with_shards_is_one_without(count):
    """Bit for bit where shards begin with pieces; some have nothing of 'vector'."""
    whole, several = Process({}), processes(count, PIECE, PIECE)
    done = whole.optimizer.step(whole.params, whole.grads, whole.state, max_norm=1.0)
    squares = [own.optimizer.squares(own.grads) for own in several]
    norm = optim.norm(*squares)
    assert norm == done.norm and norm > 1.0
    assert norm == optim.norm(*reversed(squares), squares[0])  # what is told twice counts once
    for own in several:
        assert (
            own.optimizer.step(own.params, own.grads, own.state, max_norm=1.0, norm=norm).norm
            == norm
        )
        for name, array in own.cut(whole.params).items():
            assert_same_bits(own.params[name], array, name)


def test_pieces_that_shards_cut():
    """Pieces are those of the whole wherever shards begin, so only those that are cut can round otherwise."""
    whole = Process({}).optimizer.squares(Process({}).grads)
    several = processes(3, 3 * ROW, 256)
    squares = [own.optimizer.squares(own.grads) for own in several]
    assert optim.norm(*squares) == pytest.approx(optim.norm(whole), rel=2**-41)
    # 33 rows: the second shard begins in piece 2; its second sum is of piece 3.
    matrix = squares[1]["matrix", (0, 33 * ROW)]
    assert several[1].held["matrix"].offset == (33, 0)
    assert matrix[1] == whole["matrix", (0, 0)][3]


def test_the_norm_of_all_is_asked_for():
    own = processes(2, PIECE, PIECE)[0]
    for asked in ({"max_norm": 1.0}, {"skip_nonfinite": True}):
        with pytest.raises(LowbitError, match="'matrix' is held in shards: max_norm and"):
            own.optimizer.step(own.params, own.grads, own.state, **asked)
    done = own.optimizer.step(own.params, own.grads, own.state, skip_nonfinite=True, norm=math.inf)
    assert done.skipped and own.state.step == 0


def test_gradients_that_should_be_alike():
    one, other = processes(2, PIECE, PIECE)
    other.grads["alike"][0, 0] += 1
    with pytest.raises(LowbitError, match=r"gradient of 'alike' at \[0, 0\] is another one"):
        optim.norm(*(own.optimizer.squares(own.grads) for own in (one, other)))
