"""States of optimizers: their encodings and sizes, their files, and what callers get wrong."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from kernels import assert_same_bits
from lowbit import optim
from lowbit.errors import LowbitError
from optimizer_reference import (
    RULES,
    SHAPES,
    STATES,
    assert_same_states,
    check,
    gradients,
    parameters,
)

# --------------------------------------------------------------------------------------------------
# Encodings and sizes
# --------------------------------------------------------------------------------------------------


BLOCKS = "#lowbit.quantized<{}, scale = f32 per [1, {}]>"
RANK1 = "#lowbit.quantized<codebook<linear_nonzero, 4>, scale = f32 rank1<min>>"


@pytest.mark.parametrize(
    "rule, states, expected",
    [
        ("adamw", "f32", 8),
        ("adamw", "bf16", 4),
        ("adamw", "dynamic8", 2 * (1 + 4 / 256)),
        ("adamw", "fp8", 2 * (1 + 4 / 256)),
        ("adamw", "companded8", 2 * (1 + 2 / 32)),
        ("adamw", "int4", 2 * (0.5 + 4 / 128)),
        ("adamw", "int4_rank1", 0.5 + 4 / 128 + 0.5 + 4 * (64 + 4096) / (64 * 4096)),
        ("ademamix", "dynamic8", 3 * (1 + 4 / 256)),
        *((rule, "dynamic8", 1 + 4 / 256) for rule in ("adagrad", "lion", "rmsprop", "sgd")),
        ("muon", BLOCKS.format("int<8, narrow>", 2048), 1 + 4 / 2048),
        (
            "adamw",
            {"m": BLOCKS.format("codebook<dynamic, 4>", 128), "v": RANK1},
            0.5 + 4 / 128 + 0.5 + 4 * (64 + 4096) / (64 * 4096),
        ),
        ("adafactor", "f32", 4 * (64 + 4096) / (64 * 4096)),
    ],
    ids=str,
)
def test_bytes_of_a_parameter(rule, states, expected):
    """Codes and scales of all states: optimizers.md, section 7."""
    optimizer = optim.compile(
        rule, {"w": (64, 4096)}, states, flatten=False if RANK1 in str(states) else None
    )
    assert optimizer.init().bytes / (64 * 4096) == expected


@pytest.mark.parametrize(
    "states, least, block, width",
    [("dynamic8", 4096, 256, 1), ("fp8", 4096, 256, 1), ("int4", 4097, 128, 2)],
)
def test_from_which_size_on_states_are_encoded(states, least, block, width):
    """And the last block may be partial."""
    sizes = {"small": least - 1, "least": least, "more": least + 150}
    optimizer = optim.compile("adamw", {name: (n,) for name, n in sizes.items()}, states)
    state = optimizer.init()
    assert optimizer.encodings("small") == {"m": "", "v": ""}
    for name in ("least", "more"):
        for encoding in optimizer.encodings(name).values():
            assert f"scale = f32 per [1, {block}]" in encoding
        for components in state.tensors[name].values():
            assert components["codes"].shape == (1, -(-sizes[name] // width))
            assert components["scale"].shape == (1, -(-sizes[name] // block))


@pytest.mark.parametrize("rule", RULES)
def test_states_without_a_sign_have_codes_without_one(rule):
    """No half of the codes is wasted."""
    encodings = optim.compile(rule, {"w": (4096,)}, "dynamic8").encodings("w")
    unsigned = {state for state, encoding in encodings.items() if "unsigned" in encoding}
    assert unsigned == {"v", "s"} & set(encodings)


def test_scales_of_rows_and_columns_by_name():
    """Where there are rows and columns, and elements enough; blocks in what has one axis."""
    shapes = {"matrix": (50, 100), "kernel": (10, 20, 5, 5), "vector": (5000,), "small": (60, 60)}
    optimizer = optim.compile("adamw", shapes, "int4_rank1")
    block = BLOCKS.format("codebook<linear_nonzero, 4>", 128)
    expected = {"matrix": RANK1, "kernel": RANK1, "vector": block, "small": ""}
    assert {name: optimizer.encodings(name)["v"] for name in shapes} == expected
    assert optimizer.view("kernel", "v") == (10, 500) and optimizer.view("vector", "v") == (1, 5000)
    flat = optim.compile("adamw", shapes, "int4_rank1", flatten=True)
    assert flat.encodings("matrix")["v"] == block


def test_encodings_by_name():
    m8 = "#lowbit.quantized<int<8>, scale = f32 per [1, 32]>"
    optimizer = optim.compile("adamw", {"w": (10, 10)}, {"v": "f32", "*": m8})
    assert optimizer.encodings("w") == {"m": m8, "v": ""}
    check(optimizer, 3)


def test_assignments_by_parameter():
    m8 = "#lowbit.quantized<int<8>, scale = f32 per [1, 32]>"
    optimizer = optim.compile(
        "adamw",
        {"embed.w": (10, 10), "head.w": (10, 10)},
        f'[{{parameters = "embed*"}}, {{encoding = {m8}}}]',
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
    optimizer = optim.compile("adamw", {"w": (48, 80)}, {"v": RANK1, "m": "f32"}, flatten=False)
    from lowbit import _lowbit

    params, state, given = (
        parameters(optimizer.shapes),
        optimizer.init(),
        gradients(optimizer.shapes, 0),
    )
    before = params["w"].copy()
    optimizer.step(params, given, state)
    v = np.float32(1 - 0.999) * (given["w"] * given["w"])
    for name, expected in _lowbit.encode(v, RANK1).items():
        assert_same_bits(state.tensors["w"]["v"][name], expected, name)
    assert not np.array_equal(before, params["w"])


# --------------------------------------------------------------------------------------------------
# All gradients together
# --------------------------------------------------------------------------------------------------


def one_step(factor: float = 1.0, **options):
    optimizer = optim.compile("adamw", SHAPES, "dynamic8")
    params, state = parameters(SHAPES), optimizer.init()
    grads = {name: g * np.float32(factor) for name, g in gradients(SHAPES, 0).items()}
    return params, state, optimizer.step(params, grads, state, **options)


def test_a_loss_scale_is_taken_out():
    """Powers of two: nothing is rounded."""
    (plain, _, done), (scaled, _, _) = one_step(), one_step(4096, gradient_scale=1 / 4096)
    assert done.norm is None and not done.skipped
    for name in SHAPES:
        assert_same_bits(scaled[name], plain[name], name)


def test_a_norm_is_clipped():
    flat = np.concatenate([g.reshape(-1) for g in gradients(SHAPES, 0).values()]).astype(np.float64)
    norm = np.sqrt(np.sum(flat**2))
    params, state, done = one_step(8, gradient_scale=1 / 8, max_norm=norm / 2)
    assert done.norm == pytest.approx(norm, rel=1e-12)
    expected, expected_state, _ = one_step(8, gradient_scale=(norm / 2 / done.norm) / 8)
    for name in SHAPES:
        assert_same_bits(params[name], expected[name], name)
    untouched, _, _ = one_step(max_norm=norm * 1.01)
    for name, array in one_step()[0].items():
        assert_same_bits(untouched[name], array, name)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_step_with_what_is_no_number_is_skipped(value):
    optimizer = optim.compile("adamw", SHAPES, "dynamic8")
    params, state, grads = parameters(SHAPES), optimizer.init(), gradients(SHAPES, 0)
    grads["matrix"][5, 7] = value
    before, kept = copy.deepcopy(params), copy.deepcopy(state)
    done = optimizer.step(params, grads, state, skip_nonfinite=True)
    assert done.skipped and not np.isfinite(done.norm) and state.step == 0
    for name in SHAPES:
        assert_same_bits(params[name], before[name], name)
        for of, components in state.tensors[name].items():
            for component, array in components.items():
                assert_same_bits(array, kept.tensors[name][of][component], f"{name} {of}")
    grads["matrix"][5, 7] = 0
    assert not optimizer.step(params, grads, state, skip_nonfinite=True).skipped and state.step == 1


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
    w, g, state = (
        np.zeros((4, 4), np.float32),
        {"w": np.zeros((4, 4), np.float32)},
        optimizer.init(),
    )
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


@pytest.mark.parametrize(
    "rule, states", [*(("adamw", s) for s in STATES), ("ademamix", "dynamic8")]
)
def test_a_file_goes_on_as_if_it_had_not_stopped(rule, states, tmp_path):
    optimizer = optim.compile(rule, SHAPES, states)
    params, state = parameters(SHAPES), optimizer.init()
    for step in range(3):
        optimizer.step(params, gradients(SHAPES, step), state)
    optim.save_state(tmp_path / "states", optimizer, state)
    kept = copy.deepcopy(params)
    again = optim.compile(rule, SHAPES, states)
    loaded = optim.load_state(tmp_path / "states", again)
    assert loaded.step == 3
    assert_same_states(loaded, state)
    for step in range(3, 5):
        optimizer.step(params, gradients(SHAPES, step), state)
        again.step(kept, gradients(SHAPES, step), loaded)
    for name in SHAPES:
        assert_same_bits(kept[name], params[name], name)


def test_scales_smaller_than_f16_has(tmp_path):
    """Those of v are beside parameters of f16, too: they stay f32 in a file."""
    optimizer = optim.compile("adamw", {"w": (80, 70)}, "int4", parameters="f16", gradients="f16")
    params = {"w": np.ones((80, 70), np.float16)}
    grads = {"w": np.full((80, 70), 1e-5, np.float16)}
    state = optimizer.init()
    optimizer.step(params, grads, state)
    scale = state.tensors["w"]["v"]["scale"]
    assert (scale > 0).all() and not scale.astype(np.float16).any()
    optim.save_state(tmp_path / "states", optimizer, state)
    loaded = optim.load_state(tmp_path / "states", optimizer).tensors["w"]["v"]["scale"]
    assert loaded.dtype == np.float32
    assert_same_bits(loaded, scale, "scales")


def test_another_encoding_is_a_conversion(tmp_path):
    from lowbit import _lowbit

    plain, eight = (
        optim.compile("adamw", {"w": (70, 61)}, states) for states in ("f32", "dynamic8")
    )
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
