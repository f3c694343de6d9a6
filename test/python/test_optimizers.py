"""Optimizer steps, bit for bit those of the scalar reference: parameters, codes and scales."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from kernels import assert_same_bits
from lowbit import LowbitError, optim
from optimizer_reference import (
    MATRIX_RULES,
    RULES,
    SHAPES,
    STATES,
    Reference,
    check,
    gradients,
    parameters,
)


@pytest.mark.parametrize("states", STATES)
@pytest.mark.parametrize("rule", RULES)
def test_steps(rule, states):
    check(optim.compile(rule, SHAPES, states), 6)


def test_every_rule_has_a_reference():
    elementwise = [name for name in optim.names() if optim.load(name).elementwise]
    assert elementwise == sorted(RULES)
    assert optim.names() == sorted([*RULES, *MATRIX_RULES, "shampoo"])  # test_shampoo.py


@pytest.mark.parametrize("shape", [(40, 70), (70, 40), (1, 50), (50, 1), (300,)], ids=str)
@pytest.mark.parametrize("rule", MATRIX_RULES)
def test_rules_with_sums(rule, shape):
    """Against numpy in float64: what differs is the rounding of float32."""
    optimizer = optim.compile(rule, {"w": shape})
    view = shape if len(shape) == 2 else (1, *shape)
    params, state = parameters(optimizer.shapes), optimizer.init()
    p = params["w"].astype(np.float64).reshape(view)
    states = {
        a.name: np.zeros(a.view(view))
        for a in optimizer.rule.tensors
        if a.name in optimizer.rule.states
    }
    for step in range(5):
        given = gradients(optimizer.shapes, step)
        optimizer.step(params, given, state, decay=0.1)
        p, states = MATRIX_RULES[rule](
            given["w"].astype(np.float64).reshape(view), p, states, step + 1, decay=0.1
        )
    np.testing.assert_allclose(params["w"].reshape(view), p, rtol=2e-5, atol=2e-6)
    for name, expected in states.items():
        np.testing.assert_allclose(
            state.tensors["w"][name]["values"], expected, rtol=2e-5, atol=1e-8
        )


@pytest.mark.parametrize("states", ["dynamic8", "int4"])
@pytest.mark.parametrize("rule", MATRIX_RULES)
def test_rules_with_sums_on_encoded_states(rule, states):
    """A first step is that of f32 states; then its states are what an encode makes of them."""
    from lowbit import _lowbit

    shapes, results = {"w": (70, 80)}, []
    for kind in ("f32", states):
        optimizer = optim.compile(rule, shapes, kind)
        params, state = parameters(shapes), optimizer.init()
        optimizer.step(params, gradients(shapes, 0), state)
        results.append((params["w"], state.tensors["w"], optimizer.encodings("w")))
    (plain, values, _), (params, encoded, encodings) = results
    assert_same_bits(params, plain, "parameter")
    for name, encoding in encodings.items():
        expected = _lowbit.encode(values[name]["values"], encoding)
        for component, array in expected.items():
            assert_same_bits(encoded[name][component], array, f"{name} {component}")


@pytest.mark.parametrize("states", ["dynamic8", "int4"])
def test_a_thousand_steps(states):
    check(optim.compile("adamw", {"w": (5, 1031)}, states), 1000)


@pytest.mark.parametrize("rule", RULES)
def test_scalars(rule):
    """Decay, too, is where the rule has it: in gradient and state alike, or in neither."""
    check(optim.compile(rule, {"w": (70, 61)}, "dynamic8"), 3, lr=0.03, decay=0.1)


def test_any_number_of_threads():
    shapes = {f"w{i}": (97, 1000 + i) for i in range(6)} | {f"b{i}": (5 + i,) for i in range(50)}
    results = []
    for threads in (1, 2, 3, 7):
        optimizer = optim.compile("adamw", shapes, "int4", threads=threads)
        params, state = parameters(shapes), optimizer.init()
        for step in range(2):
            optimizer.step(params, gradients(shapes, step), state)
        results.append((params, state))
    for params, state in results[1:]:
        for name in shapes:
            assert_same_bits(params[name], results[0][0][name], name)
            for of, components in state.tensors[name].items():
                for component, array in components.items():
                    assert_same_bits(
                        array, results[0][1].tensors[name][of][component], f"{name} {of}"
                    )


@pytest.mark.parametrize("target", ["", "x86-64-v3", "x86-64-v2"])
def test_every_level(target, monkeypatch):
    """The reference has no instructions of its own: each level equals it."""
    from lowbit import _lowbit

    compile = _lowbit.Program
    monkeypatch.setattr(_lowbit, "Program", lambda *a, **k: compile(*a, **k, target_cpu=target))
    check(optim.compile("adamw", {"w": (30, 301)}, "dynamic8"), 3)
    check(optim.compile("adamw", {"w": (30, 301)}, "int4"), 3)


# --------------------------------------------------------------------------------------------------
# What peers get wrong
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("states", ["dynamic8", "companded8", "fp8", "int4"])
@pytest.mark.parametrize("scale", [1e-38, 1e-41, 1e-45, 1e-22, 1e18], ids="{:g}".format)
def test_gradients_of_any_size(states, scale):
    """Denormals are numbers: they are neither flushed nor clamped; squares of small ones vanish as they do in float32."""
    check(
        optim.compile("adamw", {"w": (9, 611)}, states),
        3,
        lambda shapes, seed: {
            n: (g * np.float32(scale)) for n, g in gradients(shapes, seed).items()
        },
    )


@pytest.mark.parametrize("states", ["dynamic8", "companded8", "fp8", "int4"])
def test_blocks_of_zeros(states):
    """A scale of 0 gives codes of 0 and states of 0, and the first gradient that is none counts."""

    def grads(shapes, seed):
        given = gradients(shapes, seed)
        for g in given.values():
            flat = g.reshape(-1)
            flat[: flat.size // 2] = 0 if seed < 2 else flat[: flat.size // 2]
        return given

    params, _ = check(optim.compile("adamw", {"w": (9, 611)}, states), 4, grads)
    assert np.isfinite(params["w"]).all()


@pytest.mark.parametrize("states", ["dynamic8", "companded8", "fp8", "int4"])
def test_a_nan_stays_where_it_is(states):
    """The parameter that it belongs to is lost; its neighbours in the block of a state are not."""
    optimizer = optim.compile("adamw", {"w": (16, 512)}, states)
    params, state = parameters(optimizer.shapes), optimizer.init()
    given = gradients(optimizer.shapes, 0)
    given["w"][3, 5] = np.nan
    for _ in range(2):
        optimizer.step(params, given, state)
    assert np.isnan(params["w"][3, 5])
    assert np.isfinite(np.delete(params["w"].reshape(-1), 3 * 512 + 5)).all()
    assert all(np.isfinite(c["scale"]).all() for c in state.tensors["w"].values())


def test_arrays_that_are_not_contiguous():
    shapes = {"w": (64, 96)}
    optimizer = optim.compile("adamw", shapes, "dynamic8")
    params, grads = parameters(shapes), gradients(shapes, 0)
    wide = np.zeros((96, 128), np.float32)
    view = wide[:, ::2].T
    view[...] = params["w"]
    fortran = {"w": np.asfortranarray(grads["w"])}
    bytes_ = np.zeros(64 * 96 * 4 + 1, np.uint8)
    unaligned = bytes_[1:].view(np.float32).reshape(64, 96)
    unaligned[...] = params["w"]
    for array in (view, unaligned):
        optimizer.step({"w": array}, fortran, optimizer.init())
    optimizer.step(params, grads, optimizer.init())
    assert_same_bits(np.ascontiguousarray(view), params["w"], "a transposed view")
    assert_same_bits(unaligned.copy(), params["w"], "an unaligned array")
    assert not wide[:, 1::2].any()


def test_going_on_is_as_if_it_had_not_stopped():
    optimizer = optim.compile("ademamix", SHAPES, "int4")
    params, state = parameters(SHAPES), optimizer.init()
    for step in range(3):
        optimizer.step(params, gradients(SHAPES, step), state)
    other, kept, kept_params = (
        optim.compile("ademamix", SHAPES, "int4"),
        copy.deepcopy(state),
        copy.deepcopy(params),
    )
    for step in range(3, 6):
        optimizer.step(params, gradients(SHAPES, step), state)
        other.step(kept_params, gradients(SHAPES, step), kept)
    assert kept.step == state.step == 6
    for name in SHAPES:
        assert_same_bits(kept_params[name], params[name], name)


@pytest.mark.parametrize("dtype", ["bf16", "f16"])
def test_parameters_and_gradients_of_16_bits(dtype):
    """Read as float32, and rounded once: weight decay that is smaller than half a unit is not lost before it is added up."""
    from lowbit import _lowbit

    shapes, encoding = {"w": (20, 300)}, f"#lowbit.quantized<{dtype}>"
    optimizer = optim.compile("adamw", shapes, "dynamic8", parameters=dtype, gradients=dtype)
    stored = _lowbit.encode(parameters(shapes)["w"].reshape(1, -1), encoding)["codes"].reshape(
        20, 300
    )
    given = _lowbit.encode(gradients(shapes, 0)["w"].reshape(1, -1), encoding)["codes"].reshape(
        20, 300
    )
    decode = lambda codes: _lowbit.decode(encoding, [1, 6000], {"codes": codes.reshape(1, -1)})
    reference = Reference(optimizer, "w", decode(stored))
    reference.step(decode(given))
    optimizer.step({"w": stored}, {"w": given}, optimizer.init())
    expected = _lowbit.encode(reference.p, encoding)["codes"].reshape(20, 300)
    assert_same_bits(stored, expected, dtype)


def test_approximations_are_within_their_bound() -> None:
    """Of the change of each parameter; states are those of the exact step."""
    shapes = {"p": (70_000,)}
    grads = gradients(shapes, 0)
    grads["p"][:4] = [0, 1e-30, 1e-38, 1e20]
    changes, states = [], []
    for approximate in (False, True):
        optimizer = optim.compile("adamw", shapes, states="dynamic8", approximate=approximate)
        params, state = {"p": np.zeros(70_000, np.float32)}, optimizer.init()
        optimizer.step(params, grads, state, lr=0.5, decay=0.0)
        changes.append(params["p"].astype(np.float64))
        states.append(state.tensors["p"])
    exact, close = changes
    assert np.all(abs(close - exact) <= 2.0**-12 * abs(exact))
    for of in states[0]:
        for component in states[0][of]:
            assert_same_bits(states[1][of][component], states[0][of][component], component)


def test_decay_is_not_lost_in_bf16():
    """Decay and step are one change, rounded once: a decay that is too small for bf16 by itself counts with the step. (What shrinks the rounded
    parameter afterwards, as bitsandbytes does, changes none of these.)"""
    from lowbit import _lowbit

    def bf16(x: np.ndarray) -> np.ndarray:
        return _lowbit.encode(x.astype(np.float32).reshape(1, -1), "#lowbit.quantized<bf16>")[
            "codes"
        ]

    def f64(codes: np.ndarray) -> np.ndarray:
        return (codes.astype(np.uint32) << 16).view(np.float32).astype(np.float64)

    n, lr, decay = 20000, 1e-2, 0.1  # a decay of 0.25 units at most
    generator = np.random.default_rng(0)
    start = bf16(generator.uniform(0.5, 1, n))
    given = bf16(generator.normal(size=n))
    variance = generator.uniform(0, 1e-3, n)  # steps of all sizes up to lr
    optimizer = optim.compile("adamw", {"w": (n,)}, parameters="bf16", gradients="bf16")
    stepped = {}
    for wd in (0.0, decay):
        p = start.copy().reshape(n)
        state = optimizer.init()
        state.tensors["w"]["v"]["values"][...] = variance
        optimizer.step({"w": p}, {"w": given.reshape(n)}, state, lr=lr, decay=wd)
        stepped[wd] = p.reshape(1, -1)
    twice = bf16(f64(stepped[0.0]) * (1 - lr * decay))
    assert np.array_equal(twice, stepped[0.0])
    fewer = f64(stepped[decay]) < f64(stepped[0.0])
    assert (f64(stepped[decay]) <= f64(stepped[0.0])).all()
    assert 0.1 < fewer.mean() < 0.5
    # On the whole it is about the decay that was asked for.
    lost = (f64(stepped[0.0]) - f64(stepped[decay])).sum() / f64(start).sum()
    assert lost == pytest.approx(lr * decay, rel=0.2)


def test_a_step_with_wrong_types_updates_nothing() -> None:
    """Not even what another kernel than the one that refuses would have updated first."""
    optimizer = optim.compile("adamw", {"small": (8,), "large": (8192,)}, states="dynamic8")
    params = {"small": np.ones(8, np.float32), "large": np.ones(8192, np.float32)}
    before, state = copy.deepcopy(params), optimizer.init()
    for wrong in ("small", "large"):
        grads = {name: np.ones(p.shape, np.float32) for name, p in params.items()}
        grads[wrong] = grads[wrong].astype(np.float64)
        with pytest.raises(LowbitError, match="f64"):
            optimizer.step(params, grads, state)
        for name, p in params.items():
            assert_same_bits(p, before[name], name)
        assert state.step == 0
