"""Optimizer steps, bit for bit those of the scalar reference: parameters, codes and scales."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from kernels import assert_same_bits
from lowbit import optim
from lowbit.errors import LowbitError
from optimizer_reference import MATRIX_RULES, RULES, Reference

STATES = ["f32", "bf16", "dynamic8", "fp8", "int4"]
# Whole pieces and blocks, parts of both; small ones stay f32.
SHAPES = {"matrix": (96, 512), "ragged": (67, 83), "vector": (4097,), "small": (33,), "one": (1,), "none": (0, 4)}


def gradients(shapes, seed: int) -> dict[str, np.ndarray]:
    """Of sizes that differ by decades from element to element and from step to step."""
    generator = np.random.default_rng(seed)
    return {
        name: (
            generator.normal(size=shape) * 10.0 ** generator.uniform(-4, 0, shape)
        ).astype(np.float32)
        for name, shape in shapes.items()
    }


def parameters(shapes) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def check(optimizer, steps: int, grads=gradients, **scalars) -> tuple[dict, optim.State]:
    params, state = parameters(optimizer.shapes), optimizer.init()
    references = {name: Reference(optimizer, name, p) for name, p in params.items()}
    for step in range(steps):
        given = grads(optimizer.shapes, step)
        optimizer.step(params, given, state, **scalars)
        for name, reference in references.items():
            reference.step(given[name], **scalars)
    for name, reference in references.items():
        assert_same_bits(params[name].reshape(1, -1), reference.p, f"{name} after {steps} steps")
        for of, components in reference.states.items():
            for component, expected in components.items():
                assert_same_bits(state.tensors[name][of][component], expected, f"{name}: {of} {component}")
    return params, state


@pytest.mark.parametrize("states", STATES)
@pytest.mark.parametrize("rule", RULES)
def test_steps(rule, states):
    check(optim.compile(rule, SHAPES, states), 6)


def test_every_rule_has_a_reference():
    elementwise = [name for name in optim.names() if optim.load(name).elementwise]
    assert elementwise == sorted(RULES)
    assert optim.names() == sorted([*RULES, *MATRIX_RULES])


@pytest.mark.parametrize("shape", [(40, 70), (70, 40), (1, 50), (50, 1), (300,)], ids=str)
@pytest.mark.parametrize("rule", MATRIX_RULES)
def test_rules_with_sums(rule, shape):
    """Against numpy in float64: what differs is the rounding of float32."""
    optimizer = optim.compile(rule, {"w": shape})
    view = shape if len(shape) == 2 else (1, *shape)
    params, state = parameters(optimizer.shapes), optimizer.init()
    p = params["w"].astype(np.float64).reshape(view)
    states = {a.name: np.zeros(a.view(view)) for a in optimizer.rule.tensors if a.name in optimizer.rule.states}
    for step in range(5):
        given = gradients(optimizer.shapes, step)
        optimizer.step(params, given, state, decay=0.1)
        p, states = MATRIX_RULES[rule](
            given["w"].astype(np.float64).reshape(view), p, states, step + 1, decay=0.1
        )
    np.testing.assert_allclose(params["w"].reshape(view), p, rtol=2e-5, atol=2e-6)
    for name, expected in states.items():
        np.testing.assert_allclose(state.tensors["w"][name]["values"], expected, rtol=2e-5, atol=1e-8)


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


@pytest.mark.parametrize("rule", ["adamw", "adam", "lion", "rmsprop"])
def test_scalars(rule):
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
                    assert_same_bits(array, results[0][1].tensors[name][of][component], f"{name} {of}")


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


@pytest.mark.parametrize("states", ["dynamic8", "fp8", "int4"])
@pytest.mark.parametrize("scale", [1e-38, 1e-41, 1e-45, 1e-22, 1e18], ids="{:g}".format)
def test_gradients_of_any_size(states, scale):
    """Denormals are numbers: they are neither flushed nor clamped; squares of small ones vanish as they do in float32."""
    check(
        optim.compile("adamw", {"w": (9, 611)}, states),
        3,
        lambda shapes, seed: {n: (g * np.float32(scale)) for n, g in gradients(shapes, seed).items()},
    )


@pytest.mark.parametrize("states", ["dynamic8", "fp8", "int4"])
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


@pytest.mark.parametrize("states", ["dynamic8", "fp8", "int4"])
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
    other, kept, kept_params = optim.compile("ademamix", SHAPES, "int4"), copy.deepcopy(state), copy.deepcopy(params)
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
    stored = _lowbit.encode(parameters(shapes)["w"].reshape(1, -1), encoding)["codes"].reshape(20, 300)
    given = _lowbit.encode(gradients(shapes, 0)["w"].reshape(1, -1), encoding)["codes"].reshape(20, 300)
    decode = lambda codes: _lowbit.decode(encoding, [1, 6000], {"codes": codes.reshape(1, -1)})
    reference = Reference(optimizer, "w", decode(stored))
    reference.step(decode(given))
    optimizer.step({"w": stored}, {"w": given}, optimizer.init())
    expected = _lowbit.encode(reference.p, encoding)["codes"].reshape(20, 300)
    assert_same_bits(stored, expected, dtype)


# --------------------------------------------------------------------------------------------------
# Encodings and sizes
# --------------------------------------------------------------------------------------------------


def test_bytes_of_a_parameter():
    def per_parameter(states):
        optimizer = optim.compile("adamw", {"w": (1024, 256)}, states)
        return optimizer.init().bytes / (1024 * 256)

    # optimizers.md, section 7: codes and f32 scales of both states.
    assert per_parameter("f32") == 8
    assert per_parameter("bf16") == 4
    assert per_parameter("dynamic8") == 2 * (1 + 4 / 256)
    assert per_parameter("int4") == 2 * (0.5 + 4 / 128)


def test_small_tensors_stay_f32():
    optimizer = optim.compile("adamw", {"small": (4095,), "large": (4096,)}, "dynamic8")
    assert optimizer.encodings("small") == {"m": "", "v": ""}
    assert "dynamic, 8" in optimizer.encodings("large")["m"]
    assert "dynamic_unsigned, 8" in optimizer.encodings("large")["v"]


def test_encodings_by_name():
    m8 = "#lowbit.quantized<int<8>, scale = f32 per [1, 32]>"
    optimizer = optim.compile("adamw", {"w": (10, 10)}, {"v": "f32", "*": m8})
    assert optimizer.encodings("w") == {"m": m8, "v": ""}
    check(optimizer, 3)


def test_assignments_by_parameter():
    m8 = "#lowbit.quantized<int<8>, scale = f32 per [1, 32]>"
    optimizer = optim.compile(
        "adamw", {"embed.w": (10, 10), "head.w": (10, 10)}, f'[{{parameters = "embed*"}}, {{encoding = {m8}}}]'
    )
    assert optimizer.encodings("embed.w") == {"m": "", "v": ""}
    assert optimizer.encodings("head.w") == {"m": m8, "v": m8}


@pytest.mark.parametrize(
    "encoding",
    [
        "#lowbit.quantized<uint<8>, scale = f32 per [1, 64], min = f32 per [1, 64]>",
        "#lowbit.quantized<codebook<log2_signed, 8, 20>, scale = f32 per [1, 256]>",
        "#lowbit.quantized<int<3>, scale = bf16 per [1, 96]>",
        "#lowbit.quantized<int<8>, scale = f32 per tensor>",
    ],
)
def test_any_encoding(encoding):
    check(optim.compile("lion", {"w": (31, 500), "v": (40000,)}, encoding), 3)


def test_scales_of_rows_and_columns():
    """Parameters as matrices: the second moment's scale is the smaller one of its row's and its column's."""
    rank1 = "#lowbit.quantized<codebook<linear_nonzero, 4>, scale = f32 rank1<min>>"
    optimizer = optim.compile("adamw", {"w": (48, 80)}, {"v": rank1, "m": "f32"}, flatten=False)
    from lowbit import _lowbit

    params, state, given = parameters(optimizer.shapes), optimizer.init(), gradients(optimizer.shapes, 0)
    before = params["w"].copy()
    optimizer.step(params, given, state)
    v = np.float32(1 - 0.999) * (given["w"] * given["w"])
    for name, expected in _lowbit.encode(v, rank1).items():
        assert_same_bits(state.tensors["w"]["v"][name], expected, name)
    assert not np.array_equal(before, params["w"])


# --------------------------------------------------------------------------------------------------
# Mistakes
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule, states, message",
    [
        ("adamm", "f32", "there is no rule 'adamm'"),
        ("none.mlir", "f32", "none.mlir: .*No such file"),
        ("adamw", "int5", "states 'int5' are no scheme"),
        ("adamw", "#lowbit.nothing", "nothing"),
        ("adamw", "[{name = 1}]", "unknown field 'name'"),
        ("adamw", "#lowbit.quantized<int<8>, scale = f32 per [2, 2, 2]>", "'w'"),
        ("func.func @other() {\n return\n}", "f32", "a rule has a function 'step'"),
    ],
)
def test_what_cannot_be_compiled(rule, states, message):
    with pytest.raises(LowbitError, match=message):
        optim.compile(rule, {"w": (64, 64)}, states)


def test_what_cannot_be_stepped():
    optimizer = optim.compile("adamw", {"w": (4, 4)})
    w, g, state = np.zeros((4, 4), np.float32), {"w": np.zeros((4, 4), np.float32)}, optimizer.init()
    frozen = w.copy()
    frozen.flags.writeable = False
    for params, grads, scalars, message in [
        ({}, g, {}, "parameters lack w"),
        ([w, w], g, {}, "there are 2 parameters for 1 shapes"),
        ({"w": w[:2]}, g, {}, r"the parameter 'w' has shape \(2, 4\), not \(4, 4\)"),
        ({"w": w}, {"w": w[0]}, {}, "the gradient of 'w' has shape"),
        ({"w": frozen}, g, {}, "the parameter 'w' is read-only"),
        ({"w": w.astype(np.float64)}, g, {}, "array 1 is f64"),
        ({"w": w}, g, {"lrr": 1.0}, "rule 'adamw' has no lrr"),
    ]:
        with pytest.raises(LowbitError, match=message):
            optimizer.step(params, grads, state, **scalars)
    assert state.step == 0 and not w.any()


# --------------------------------------------------------------------------------------------------
# Files
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("states", STATES)
def test_a_file_goes_on_as_if_it_had_not_stopped(states, tmp_path):
    optimizer = optim.compile("adamw", SHAPES, states)
    params, state = parameters(SHAPES), optimizer.init()
    for step in range(3):
        optimizer.step(params, gradients(SHAPES, step), state)
    optim.save_state(tmp_path / "states", optimizer, state)
    kept = copy.deepcopy(params)
    again = optim.compile("adamw", SHAPES, states)
    loaded = optim.load_state(tmp_path / "states", again)
    assert loaded.step == 3
    for step in range(3, 5):
        optimizer.step(params, gradients(SHAPES, step), state)
        again.step(kept, gradients(SHAPES, step), loaded)
    for name in SHAPES:
        assert_same_bits(kept[name], params[name], name)


def test_another_encoding_is_a_conversion(tmp_path):
    from lowbit import _lowbit

    plain, eight = (optim.compile("adamw", {"w": (70, 61)}, states) for states in ("f32", "dynamic8"))
    params, state = parameters(plain.shapes), plain.init()
    plain.step(params, gradients(plain.shapes, 0), state)
    optim.save_state(tmp_path / "states", plain, state)
    loaded = optim.load_state(tmp_path / "states", eight)
    for key, encoding in eight.encodings("w").items():
        expected = _lowbit.encode(state.tensors["w"][key]["values"], encoding)
        for component, array in expected.items():
            assert_same_bits(loaded.tensors["w"][key][component], array, f"{key} {component}")


def test_files_that_do_not_fit(tmp_path):
    path, shapes = tmp_path / "states", {"w": (70, 61)}
    optimizer = optim.compile("adamw", shapes, "dynamic8")
    optim.save_state(path, optimizer, optimizer.init())
    whole = path.read_bytes()
    for other, message in [
        (optim.compile("lion", shapes), "states of rule 'adamw', not 'lion'"),
        (optim.compile("adamw", {"v": (70, 61)}), "there is no 'v/m'"),
        (optim.compile("adamw", {"w": (70, 62)}), r"'w/m' has shape \[1, 4270\], not \[1, 4340\]"),
    ]:
        with pytest.raises(LowbitError, match=message):
            optim.load_state(path, other)
    path.write_bytes(whole[:-1])
    with pytest.raises(LowbitError, match="states"):
        optim.load_state(path, optimizer)
    damaged = bytearray(whole)
    damaged[-100] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(LowbitError, match="is damaged"):
        optim.load_state(path, optimizer)
    with pytest.raises(LowbitError, match="none"):
        optim.load_state(tmp_path / "none", optimizer)
    with pytest.raises(LowbitError):
        optim.save_state(tmp_path / "no" / "folder", optimizer, optimizer.init())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["states"]
