"""Shampoo: against float64 with roots by eigenvalues, in 4 bits against what f32 gives, and on a problem that it is made for."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from kernels import assert_same_bits
from lowbit import _lowbit, optim
from lowbit.errors import LowbitError

LINEAR2 = "#lowbit.quantized<codebook<linear_square, 4>, scale = f32 per [1, 64]>"
MATRICES = ("left", "right", "left_root", "right_root")
NEVER = 1e9


def norm(x: np.ndarray) -> float:
    return float(np.linalg.norm(x.astype(np.float64)))


def inverse_root(a: np.ndarray, eps: float = 1e-6) -> np.ndarray:
    values, vectors = np.linalg.eigh(a + eps * max(norm(a), 1e-30) * np.eye(len(a)))
    return (vectors * values**-0.25) @ vectors.T


class Reference:
    """In float64."""

    def __init__(self, p: np.ndarray):
        rows, columns = p.shape
        self.p, self.m = p.astype(np.float64), np.zeros(p.shape)
        self.matrices = dict(left=np.zeros((rows, rows)), right=np.zeros((columns, columns)))
        self.steps = 0

    def step(self, g, every, lr=0.1, momentum=0.9, beta=0.95, eps=1e-6, decay=0.0):
        self.steps += 1
        g, s = g.astype(np.float64), self.matrices
        if self.steps % every[0] == 0:
            for side, x in (("left", g), ("right", g.T)):
                new = beta * s[side] @ s[side].T + (1 - beta) * x @ x.T
                s[side] = np.linalg.cholesky(new + eps * np.trace(new) * np.eye(len(new)))
        if self.steps % every[1] == 0:
            for side in ("left", "right"):
                s[f"{side}_root"] = inverse_root(s[side] @ s[side].T, eps)
        u = s["left_root"] @ g @ s["right_root"] if "left_root" in s else g
        self.m = momentum * self.m + u * norm(g) / (norm(u) + 1e-12)
        self.p = (1 - lr * decay) * self.p - lr * self.m


def values(optimizer, state, name: str) -> np.ndarray:
    """Of a state, decoded."""
    components = state.tensors["w"][name]
    encoding = optimizer.encodings("w")[name]
    if not encoding:
        return components["values"]
    return _lowbit.decode(encoding, list(optimizer.view("w", name)), components)


def matrix(optimizer, state, name: str) -> np.ndarray:
    """With its diagonal."""
    whole = values(optimizer, state, name).copy()
    assert not np.diag(whole).any()
    np.fill_diagonal(whole, values(optimizer, state, f"{name}_diagonal")[:, 0])
    return whole


def assert_same_components(one, other, name: str) -> None:
    assert one.keys() == other.keys()
    for component, array in one.items():
        assert_same_bits(other[component], array, f"{name} {component}")


@pytest.mark.parametrize("every", [(1, 1), (2, 3)], ids=str)
@pytest.mark.parametrize("shape", [(70, 90), (130, 40), (5, 3), (2, 2), (64, 64), (6, 4, 3)])
def test_steps(shape, every):
    """Statistics are of full rank and not, steps with and without them. In float32 factors are off by 5e-6 at most, as measured, roots by 1.4e-4,
    steps by 4e-4."""
    optimizer, generator = optim.compile("shampoo", {"w": shape}), np.random.default_rng(0)
    view = (shape[0], int(np.prod(shape[1:])))
    start = generator.normal(size=shape).astype(np.float32)
    params, state = {"w": start.copy()}, optimizer.init()
    reference = Reference(start.reshape(view))
    intervals = dict(factors_every=every[0], roots_every=every[1])
    for _ in range(7):
        g = generator.normal(size=shape).astype(np.float32)
        optimizer.step(params, {"w": g}, state, lr=0.1, decay=0.1, **intervals)
        reference.step(g.reshape(view), every, decay=0.1)
    for name in MATRICES:
        error = norm(matrix(optimizer, state, name) - reference.matrices[name])
        bound = 1e-3 if "root" in name else 2e-5
        assert error <= bound * norm(reference.matrices[name]), name
    assert np.array_equal(
        np.triu(values(optimizer, state, "left"), 1), np.zeros((view[0], view[0]))
    )
    moved = norm(start.reshape(view) - reference.p)
    assert norm(params["w"].reshape(view) - reference.p) <= 1e-3 * moved
    assert norm(values(optimizer, state, "m") - reference.m) <= 1e-3 * norm(reference.m)


@pytest.mark.parametrize("condition, bound", [(1e1, 1e-5), (1e4, 2e-4), (1e6, 3e-3), (1e12, 1e-2)])
def test_inverse_roots(condition, bound):
    """Against eigenvalues in float64, of statistics of any condition: eps is 1e-6, so that the root's own is 32 at most."""
    n, generator = 150, np.random.default_rng(0)
    basis, _ = np.linalg.qr(generator.normal(size=(n, n)))
    factor = np.linalg.cholesky((basis * np.logspace(0, -np.log10(condition), n)) @ basis.T)
    optimizer = optim.compile("shampoo", {"w": (n, 2)})
    state, g = optimizer.init(), np.ones((n, 2), np.float32)
    state.tensors["w"]["left"]["values"][...] = np.tril(factor, -1)
    state.tensors["w"]["left_diagonal"]["values"][:, 0] = np.diag(factor)
    optimizer.step({"w": g.copy()}, {"w": g}, state, factors_every=NEVER, roots_every=1)
    expected = inverse_root(factor @ factor.T)
    assert norm(matrix(optimizer, state, "left_root") - expected) <= bound * norm(expected)


@pytest.mark.parametrize("early", [False, True])
def test_before_there_are_statistics(early):
    """Without roots, or with those of nothing, a step is momentum's."""
    optimizer, generator = optim.compile("shampoo", {"w": (9, 70)}), np.random.default_rng(0)
    p = generator.normal(size=(9, 70)).astype(np.float32)
    params, state, m = {"w": p.copy()}, optimizer.init(), 0
    for _ in range(3):
        g = generator.normal(size=p.shape).astype(np.float32)
        every = dict(factors_every=NEVER, roots_every=1 if early else NEVER)
        optimizer.step(params, {"w": g}, state, lr=0.5, **every)
        m = 0.9 * m + g.astype(np.float64)
        p = p - 0.5 * m
    np.testing.assert_allclose(params["w"], p, rtol=1e-5, atol=1e-5)


def test_gradients_of_zeros_and_nan():
    """Zeros change nothing and leave nothing that is no number; a NaN ends the iteration."""
    optimizer = optim.compile("shampoo", {"w": (6, 5)})
    params, state = {"w": np.ones((6, 5), np.float32)}, optimizer.init()
    every = dict(factors_every=1, roots_every=1)
    zeros = np.zeros((6, 5), np.float32)
    optimizer.step(params, {"w": zeros}, state, **every)
    assert_same_bits(params["w"], np.ones((6, 5), np.float32), "parameter")
    assert all(np.isfinite(values(optimizer, state, name)).all() for name in optimizer.rule.states)
    optimizer.step(params, {"w": zeros + np.float32(np.nan)}, state, **every)
    assert np.isnan(params["w"]).all()


def test_4_bit_factors_are_what_an_encode_makes_of_them():
    """Those of a first step; and roots are computed from what is stored."""
    shape, generator = (70, 90), np.random.default_rng(0)
    g = {"w": generator.normal(size=shape).astype(np.float32)}
    plain, coded = (optim.compile("shampoo", {"w": shape}, states) for states in ("f32", "int4"))
    states = [optimizer.init() for optimizer in (plain, coded)]
    for every in (
        dict(factors_every=1, roots_every=NEVER),
        dict(factors_every=NEVER, roots_every=1),
    ):
        for optimizer, state in zip((plain, coded), states):
            optimizer.step({"w": np.zeros(shape, np.float32)}, g, state, **every)
        for name in MATRICES:
            (full, stored), diagonal = (s.tensors["w"][name] for s in states), f"{name}_diagonal"
            assert_same_components(_lowbit.encode(full["values"], LINEAR2), stored, name)
            assert_same_components(*(s.tensors["w"][diagonal] for s in states), diagonal)
            full["values"][...] = values(coded, states[1], name)


@pytest.mark.parametrize("states", ["int4", "dynamic8"])
def test_codes_stay_in_steps_between(states):
    optimizer, generator = optim.compile("shampoo", {"w": (70, 80)}, states), np.random.default_rng(
        0
    )
    params, state = {"w": np.zeros((70, 80), np.float32)}, optimizer.init()
    for step in range(1, 4):
        g = {"w": generator.normal(size=(70, 80)).astype(np.float32)}
        optimizer.step(params, g, state, factors_every=2, roots_every=2)
        if step == 2:
            kept = copy.deepcopy(state)
    for name in optimizer.rule.states[:-1]:
        assert_same_components(kept.tensors["w"][name], state.tensors["w"][name], name)
        assert values(optimizer, state, name).any()


def test_any_number_of_threads():
    """Large enough that a product and a column's update are loops of several threads."""
    shape, results = (150, 140), []
    for threads in (1, 2, 3):
        optimizer = optim.compile("shampoo", {"w": shape}, "int4", threads=threads)
        params, state = {"w": np.zeros(shape, np.float32)}, optimizer.init()
        generator = np.random.default_rng(0)
        for _ in range(4):
            g = {"w": generator.normal(size=shape).astype(np.float32)}
            optimizer.step(params, g, state, factors_every=1, roots_every=2)
        results.append((params["w"], state.tensors["w"]))
    for parameter, tensors in results[1:]:
        assert_same_bits(parameter, results[0][0], "parameter")
        for name, components in tensors.items():
            assert_same_components(results[0][1][name], components, name)


def loss_after(rule: str, states, steps: int = 200, **scalars) -> float:
    """What is left of |A (W - W*) B|^2 whose Hessian is of condition 8e5, from W = 0."""
    generator = np.random.default_rng(0)

    def ill(n: int) -> np.ndarray:
        basis, _ = np.linalg.qr(generator.normal(size=(n, n)))
        return (basis * np.logspace(0, -np.log10(30), n)) @ basis.T

    a, b, target = ill(96), ill(80), generator.normal(size=(96, 80))
    optimizer = optim.compile(rule, {"w": target.shape}, states)
    params, state = {"w": np.zeros(target.shape, np.float32)}, optimizer.init()
    for step in range(steps):
        g = a.T @ a @ (params["w"] - target) @ b @ b.T
        optimizer.step(params, {"w": g.astype(np.float32)}, state, lr=1 - step / steps, **scalars)
    return (norm(a @ (params["w"] - target) @ b) / norm(a @ target @ b)) ** 2


def test_convergence():
    """Shampoo is ahead of momentum with steps of the same length, in 4 bits too."""
    every = dict(factors_every=5, roots_every=20)
    sgd = loss_after("sgd", "f32")
    plain, coded = (loss_after("shampoo", states, **every) for states in ("f32", "int4"))
    print(f"left of the loss: momentum {sgd:.2e}, Shampoo {plain:.2e}, in 4 bits {coded:.2e}")
    assert plain < sgd / 3
    assert coded < sgd / 2


def test_bytes():
    """Two factors and two roots of each order k: 4 bits and a scale for 64, and diagonals in f32, as is the momentum."""
    optimizer = optim.compile("shampoo", {"w": (128, 192)}, "int4")
    expected = sum(2 * (k * k // 2 + k * k // 64 * 4 + 4 * k) for k in (128, 192)) + 4 * 128 * 192
    assert optimizer.init().bytes == expected


def test_small_orders_stay_f32():
    optimizer = optim.compile("shampoo", {"w": (63, 64)}, "int4")
    assert {name for name, e in optimizer.encodings("w").items() if e == LINEAR2} == {
        "right",
        "right_root",
    }


@pytest.mark.parametrize("shape", [(300,), (1, 300), (300, 1), (4097, 8), (8, 4097), (50000, 512)])
def test_parameters_that_it_is_not_for(shape):
    with pytest.raises(LowbitError, match="rule 'shampoo' is for 2 to 4096 rows and columns, not"):
        optim.compile("shampoo", {"w": (8, 8), "other": shape})


def test_checkpoints(tmp_path):
    """Going on is never to have stopped."""
    shape, generator = (70, 66), np.random.default_rng(0)
    grads = [{"w": generator.normal(size=shape).astype(np.float32)} for _ in range(4)]
    every, path = dict(factors_every=1, roots_every=2), tmp_path / "states.safetensors"
    optimizer = optim.compile("shampoo", {"w": shape}, "int4")
    params, state = {"w": np.zeros(shape, np.float32)}, optimizer.init()
    for step, g in enumerate(grads):
        optimizer.step(params, g, state, **every)
        if step == 1:
            optim.save_state(path, optimizer, state)
            other = copy.deepcopy(params)
    again = optim.load_state(path, optimizer)
    for g in grads[2:]:
        optimizer.step(other, g, again, **every)
    assert_same_bits(other["w"], params["w"], "parameter")
