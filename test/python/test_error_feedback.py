"""What rounding leaves is not lost: states of two terms, and gradients with a state for their errors."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from kernels import assert_same_bits
from lowbit import _lowbit, optim
from optimizer_reference import check, gradients

Q4 = "#lowbit.quantized<int<4>, scale = bf16 per [1, 64]>"
TWICE = f"#lowbit.sum<{Q4}, {Q4}>"
D4 = "#lowbit.quantized<codebook<dynamic, 4>, scale = f32 per [1, 128]>"
L4 = "#lowbit.quantized<codebook<linear_nonzero, 4>, scale = f32 per [1, 128]>"
DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("flatten", [True, False])
@pytest.mark.parametrize(
    "states",
    [
        TWICE,
        f"#lowbit.sum<{Q4}, {Q4}, #lowbit.quantized<int<2>, scale = f32 per [1, 32]>>",
        {"m": f"#lowbit.sum<{D4}, {Q4}>", "v": L4},
        # One scale for all, so that the second term waits for the whole tensor.
        f"#lowbit.sum<#lowbit.quantized<int<8>, scale = f32 per tensor>, {Q4}>",
        f"#lowbit.sum<#lowbit.split<bf16, 8>, {Q4}>",
    ],
    ids=["twice", "thrice", "m", "tensor", "split"],
)
def test_steps(states, flatten):
    """Bit for bit the scalar reference's; pieces, partial blocks and single elements."""
    shapes = {"w": (1, 70000) if flatten else (1, 7000), "tail": (67,), "one": (1,)}
    check(optim.compile("adamw", shapes, states, flatten=flatten), 3)


def errors_of_momentum(states: str, steps: int = 100) -> float:
    """Of m, relative to what it is in f32."""
    shapes = {"w": (4096,)}
    generator = np.random.default_rng(0)
    drift = generator.normal(size=4096)
    optimizers = [optim.compile("sgd", shapes, s) for s in ("f32", states)]
    kept = [optimizer.init() for optimizer in optimizers]
    params = [{"w": np.zeros(4096, np.float32)} for _ in optimizers]
    for _ in range(steps):
        g = {"w": (0.3 * drift + generator.normal(size=4096)).astype(np.float32)}
        for optimizer, state, p in zip(optimizers, kept, params):
            optimizer.step(p, g, state)
    exact = kept[0].tensors["w"]["m"]["values"]
    found = _lowbit.decode(states, [1, 4096], kept[1].tensors["w"]["m"])
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def test_a_second_term_keeps_what_the_first_leaves():
    once, twice = errors_of_momentum(Q4), errors_of_momentum(TWICE)
    print(f"off by {once:.3%} in 4 bits, by {twice:.3%} in two times 4")
    assert twice < once / 8
    page = (DOCS / "Optimizers.md").read_text(encoding="utf-8")
    figures = re.search(r"m was off by (\S+) % in such four bits, and by (\S+) % in two", page)
    assert [float(f) for f in figures.groups()] == pytest.approx(
        [100 * once, 100 * twice], rel=0.15
    )


def feedback() -> optim.Rule:
    """That of the page."""
    page = (DOCS / "Optimizers.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```mlir\n(// feedback.mlir\n.*?)```", page, re.DOTALL)
    return optim.load(text)


@pytest.mark.parametrize("coarse", [Q4, "#lowbit.quantized<int<2>, scale = f32 per [1, 128]>"])
def test_feedback_of_gradients(coarse):
    """g' = g + e, q = Q(g'), e = g' - q: what a rule stores it reads as it is stored. e is in 8 bits itself."""
    fine = "#lowbit.quantized<int<8>, scale = f32 per [1, 64]>"
    shapes = {"w": (33000,), "matrix": (20, 30)}
    rule = feedback()
    assert rule.elementwise
    optimizer = optim.compile(rule, shapes, {"q": coarse, "e": fine})
    params = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    state = optimizer.init()
    expected = {name: np.zeros((1, p.size), np.float32) for name, p in params.items()}
    left = {name: np.zeros((1, p.size), np.float32) for name, p in params.items()}
    for step in range(5):
        given = gradients(shapes, step)
        optimizer.step(params, given, state, lr=0.1)
        for name, g in given.items():
            extents = [1, g.size]
            total = g.reshape(1, -1) + left[name]
            stored = _lowbit.encode(total, coarse)
            q = _lowbit.decode(coarse, extents, stored)
            error = _lowbit.encode(total - q, fine)
            left[name] = _lowbit.decode(fine, extents, error)
            expected[name] = expected[name] - np.float32(0.1) * q
            for component, array in stored.items():
                assert_same_bits(state.tensors[name]["q"][component], array, component)
            for component, array in error.items():
                assert_same_bits(state.tensors[name]["e"][component], array, component)
            assert_same_bits(params[name].reshape(1, -1), expected[name], name)


def test_feedback_brings_gradients_back():
    """Small gradients beside a large one: without feedback they are 0 for ever, with it they all arrive."""
    far = {}
    for e in ("f32", "none"):
        optimizer = optim.compile(feedback(), {"w": (64,)}, {"q": Q4, "e": "f32"})
        params, state = {"w": np.zeros(64, np.float32)}, optimizer.init()
        g = np.full(64, 0.01, np.float32)
        g[0] = 1
        for _ in range(200):
            optimizer.step(params, {"w": g}, state, lr=1.0)
            if e == "none":
                state.tensors["w"]["e"]["values"][...] = 0
        far[e] = -params["w"][1:]
    assert not far["none"].any()
    np.testing.assert_allclose(far["f32"], 2.0, atol=0.15)
