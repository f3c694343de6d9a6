"""States that are rounded stochastically: draws by seed, step and place in the parameter."""

import numpy as np
import pytest
from kernels import assert_same_bits
from lowbit import optim
from optimizer_reference import check

ENCODINGS = {
    "int8": "#lowbit.quantized<int<8>, scale = f32 per [1, 256], rounding = stochastic<3>>",
    "dynamic8": "#lowbit.quantized<codebook<dynamic, 8>, scale = f32 per [1, 256], rounding = stochastic<4>>",
    "bf16": "#lowbit.quantized<bf16, rounding = stochastic<5>>",
}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("rule", ["lion", "adamw"])
def test_pieces_and_threads_change_nothing(rule: str, encoding: str, threads: int) -> None:
    """Several pieces, a ragged last one."""
    shapes = {"long": (3, 33_333), "short": (40,)}
    check(optim.compile(rule, shapes, states=encoding, threads=threads), steps=3)


def test_a_matrix_draws_by_row_and_column() -> None:
    text = "#lowbit.quantized<int<8>, scale = f32 per [1, 64], rounding = stochastic<1>>"
    shapes = {"p": (8, 64)}
    optimizer = optim.compile("lion", shapes, states=text, flatten=False)
    params, state = {"p": np.zeros((8, 64), np.float32)}, optimizer.init()
    row = np.random.default_rng(0).normal(size=64).astype(np.float32)
    optimizer.step(params, {"p": np.tile(row, (8, 1))}, state, lr=1.0)
    codes = state.tensors["p"]["m"]["codes"]
    assert any((codes[0] != codes[i]).any() for i in range(1, 8))


def momentum_of_constant(states: str, steps: int) -> np.ndarray:
    """By how much the momentum of equal gradients of 1 is off after some steps of Lion."""
    optimizer = optim.compile("lion", {"p": (1 << 14,)}, states=states)
    params, state = {"p": np.zeros(1 << 14, np.float32)}, optimizer.init()
    grads = {"p": np.ones(1 << 14, np.float32)}
    for _ in range(steps):
        optimizer.step(params, grads, state, lr=0.0, beta2=0.999)
    bits = state.tensors["p"]["m"]["codes"].view(np.uint16).astype(np.uint32) << 16
    return bits.view(np.float32) - (1 - 0.999**steps)


def test_a_running_mean_is_not_swamped() -> None:
    """Its changes are below half of bfloat16's distance: to nearest they are lost, in the mean over draws they are not."""
    nearest = momentum_of_constant("bf16", 2000)
    drawn = momentum_of_constant(ENCODINGS["bf16"], 2000)
    assert abs(nearest.mean()) > 0.3
    assert abs(drawn.mean()) < 0.005
    assert drawn.std() > 0


def test_steps_draw_anew_and_a_step_draws_the_same() -> None:
    def run(first_step: int) -> np.ndarray:
        optimizer = optim.compile("lion", {"p": (4096,)}, states=ENCODINGS["int8"])
        state = optimizer.init()
        state.step = first_step
        params = {"p": np.zeros(4096, np.float32)}
        grads = {"p": np.random.default_rng(0).normal(size=4096).astype(np.float32)}
        optimizer.step(params, grads, state, lr=0.1)
        return state.tensors["p"]["m"]["codes"]

    assert_same_bits(run(0), run(0), "codes")
    assert (run(0) != run(1)).mean() > 0.1


def test_parameters_in_bfloat16() -> None:
    """A change of a hundredth of the distance between numbers arrives in the mean."""
    moved = {}
    for kind in ("bf16", "bf16_stochastic"):
        optimizer = optim.compile("sgd", {"p": (1 << 14,)}, parameters=kind)
        values = np.full((1 << 14,), 0x3F80, np.uint16)  # 1.0
        params, state = {"p": values}, optimizer.init()
        for _ in range(50):
            optimizer.step(
                params, {"p": np.ones(1 << 14, np.float32)}, state, lr=1e-4, momentum=0.0
            )
        bits = values.astype(np.uint32) << 16
        moved[kind] = 1 - bits.view(np.float32).mean()
    assert moved["bf16"] == 0
    assert abs(moved["bf16_stochastic"] - 50e-4) < 2e-4
