"""Weights as a bfloat16 and what it leaves: the encoding, and steps of optimizers on it."""

from __future__ import annotations

import copy

import ml_dtypes
import numpy as np
import pytest
from kernels import assert_same_bits
from lowbit import _lowbit, optim
from lowbit.errors import LowbitError
from numpy_split import split
from optimizer_reference import SHAPES, Reference, gradients, parameters

BITS = pytest.mark.parametrize("bits", [8, 16])


def encoding(bits: int) -> str:
    return f"#lowbit.split<bf16, {bits}>"


def numbers() -> np.ndarray:
    """Of all exponents and both signs; ties, borders of exponents, denormals, the largest, infinities."""
    generator = np.random.default_rng(0)
    words = generator.integers(0, 1 << 32, 300000, np.uint32)
    edges = np.array([0, 0x007F0000, 0x00800000, 0x3F800000, 0x7F000000, 0x7F7F0000], np.int64)
    near = edges[:, None] + np.concatenate(
        [np.arange(-700, 700), [0x7F, 0x80, 0x81, 0x7FFF, 0x8000, 0x8001, 0xFFFF]]
    )
    near = near[(near >= 0) & (near <= 0x7F800000)].astype(np.uint32)
    ties = (generator.integers(0, 1 << 32, 5000, np.uint32) & 0xFFFF0000) | 0x8000
    words = np.concatenate([words, near, near | 0x80000000, ties, ties | 0x80, ties - 0x80])
    x = words.view(np.float32)
    return x[~np.isnan(x)]


@BITS
def test_numbers(bits):
    x = numbers()
    high, low, whole = split(x, bits)
    stored = _lowbit.encode(x, encoding(bits))
    assert stored.keys() == {"high", "low"}
    assert_same_bits(stored["high"].view(np.uint16), high, "high")
    assert np.array_equal(stored["low"].view(f"i{bits // 8}"), low)
    decoded = _lowbit.decode(encoding(bits), list(x.shape), stored)
    # Beyond the largest bfloat16 that array is infinite, as IEEE rounds; the number is not.
    assert_same_bits(decoded, whole if bits == 8 else x, "decoded")


@BITS
def test_the_bfloat16_is_the_nearest(bits):
    x = numbers()
    x = x[np.abs(x) < 1e38]
    high = _lowbit.encode(x, encoding(bits))["high"].view(ml_dtypes.bfloat16)
    exact = x.astype(np.float64)
    error = np.abs(high.astype(np.float64) - exact)
    best = np.abs(x.astype(ml_dtypes.bfloat16).astype(np.float64) - exact)
    if bits == 16:
        assert np.array_equal(error, best)
    else:
        # Half a step of the 24 bits further at most, where those are rounded to a tie.
        assert np.all(error <= best * (257 / 255))


@BITS
def test_what_is_no_number(bits):
    x = np.array([np.nan, np.inf, -np.inf], np.float32)
    stored = _lowbit.encode(x, encoding(bits))
    assert not stored["low"].any()
    assert np.isnan(stored["high"].view(ml_dtypes.bfloat16)[0])
    np.testing.assert_array_equal(_lowbit.decode(encoding(bits), [3], stored), x)


@BITS
def test_zeros_that_others_write_stay_zeros(bits):
    """What was left of the number before does not turn the sign."""
    low = np.array([5, -5, 5, -5]).astype(f"i{bits // 8}")
    high = np.array([0, 0, 0x8000, 0x8000], np.uint16)
    decoded = _lowbit.decode(encoding(bits), [4], {"high": high, "low": low})
    assert np.all(np.abs(decoded) < 1e-38)
    assert np.array_equal(np.signbit(decoded), [False, False, True, True])


@pytest.mark.parametrize(
    "text, shape, message",
    [
        ("split<bf16, 7>", [4], "has 8 or 16 bits, not 7"),
        ("split<bf16, 8>", [], "at least one axis"),
    ],
)
def test_what_is_no_split(text, shape, message):
    with pytest.raises(RuntimeError, match=message):
        _lowbit.component_types(f"#lowbit.{text}", shape)


# --------------------------------------------------------------------------------------------------
# Steps
# --------------------------------------------------------------------------------------------------


def bfloats(shapes) -> dict[str, np.ndarray]:
    return {name: p.astype(ml_dtypes.bfloat16) for name, p in parameters(shapes).items()}


def whole(optimizer, bits: int, p: np.ndarray, states) -> np.ndarray:
    """The weight that is meant."""
    components = {"high": p.view(np.uint16), "low": states[f"correction{bits}"]["codes"]}
    components = {name: array.reshape(1, -1) for name, array in components.items()}
    return _lowbit.decode(encoding(bits), [1, p.size], components)


@BITS
@pytest.mark.parametrize("states", ["f32", "dynamic8", "companded8", "int4"])
def test_steps(bits, states):
    """Against numpy: float32 on the whole weight, which is then split."""
    optimizer = optim.compile("adamw", SHAPES, states, parameters=f"bf16+{bits}")
    params, state = bfloats(SHAPES), optimizer.init()
    references = {
        name: Reference(optimizer, name, p.astype(np.float32)) for name, p in params.items()
    }
    for reference in references.values():
        del reference.encodings[f"correction{bits}"]
    for step in range(4):
        given = gradients(SHAPES, step)
        optimizer.step(params, given, state, lr=3e-4)
        for name, reference in references.items():
            reference.step(given[name], lr=3e-4)
            high, low, reference.p = split(reference.p, bits)
            assert_same_bits(params[name].view(np.uint16).reshape(1, -1), high, name)
            stored = state.tensors[name][f"correction{bits}"]["codes"]
            assert np.array_equal(stored.view(f"i{bits // 8}").reshape(1, -1), low), name
    for name, reference in references.items():
        for of, components in reference.states.items():
            for component, expected in components.items():
                if of in reference.encodings:
                    assert_same_bits(state.tensors[name][of][component], expected, f"{name} {of}")


def beside_f32(rule: str, shape, states: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The whole weights with 16 bits more after some steps, and those of the same steps in f32."""
    shapes = {"w": shape}
    split16, plain = (
        optim.compile(rule, shapes, states, parameters=kind) for kind in ("bf16+16", "f32")
    )
    params = bfloats(shapes)
    wide = {name: p.astype(np.float32) for name, p in params.items()}
    held = split16.init(), plain.init()
    for step in range(steps):
        given = gradients(shapes, step)
        split16.step(params, given, held[0])
        plain.step(wide, given, held[1])
    return whole(split16, 16, params["w"], held[0].tensors["w"]).reshape(shape), wide["w"]


def test_16_bits_more_are_f32():
    """Bit for bit, for any number of steps."""
    assert_same_bits(*beside_f32("adamw", (67, 83), "dynamic8", steps=30), "w")


def test_small_steps_are_not_lost():
    """A thousand steps of a fortieth of what moves a bfloat16: without more bits it stays, with 8 it goes as far as f32 but for the rounding of each
    step, 3.3 times what 24 bits can tell, to 3 times that."""
    shapes, far = {"w": (4096,)}, {}
    for kind in ("f32", "bf16", "bf16+8", "bf16+16"):
        optimizer = optim.compile("lion", shapes, "f32", parameters=kind)
        start = np.ones(4096, np.float32) * np.float32(1.25)
        dtype = np.float32 if kind == "f32" else ml_dtypes.bfloat16
        params, state = {"w": start.astype(dtype)}, optimizer.init()
        for _ in range(1000):
            optimizer.step(params, {"w": np.ones(4096, np.float32)}, state, lr=1e-4)
        p = params["w"]
        if "+" in kind:
            p = whole(optimizer, int(kind[5:]), p, state.tensors["w"])[0]
        far[kind] = (start - p.astype(np.float32)).mean()
    assert far["bf16"] == 0
    assert far["bf16+16"] == far["f32"]
    assert far["bf16+8"] == pytest.approx(far["f32"], rel=0.1)


@pytest.mark.parametrize("rule", ["adafactor", "muon"])
def test_rules_of_matrices(rule):
    found, expected = beside_f32(rule, (40, 30), "f32", steps=3)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


# --------------------------------------------------------------------------------------------------
# Files, and mistakes
# --------------------------------------------------------------------------------------------------


@BITS
def test_a_file_goes_on(bits, tmp_path):
    optimizer = optim.compile("adamw", SHAPES, "dynamic8", parameters=f"bf16+{bits}")
    params, state = bfloats(SHAPES), optimizer.init()
    for step in range(3):
        optimizer.step(params, gradients(SHAPES, step), state)
    optim.save_state(tmp_path / "states", optimizer, state)
    kept = copy.deepcopy(params)
    loaded = optim.load_state(tmp_path / "states", optimizer)
    for step in range(3, 5):
        optimizer.step(params, gradients(SHAPES, step), state)
        optimizer.step(kept, gradients(SHAPES, step), loaded)
    for name in SHAPES:
        assert_same_bits(kept[name].view(np.uint16), params[name].view(np.uint16), name)
        for of, components in state.tensors[name].items():
            for component, array in components.items():
                assert_same_bits(loaded.tensors[name][of][component], array, f"{name} {of}")
    other = optim.compile("adamw", SHAPES, "dynamic8", parameters=f"bf16+{24 - bits}")
    with pytest.raises(LowbitError, match=f"there is no 'matrix/correction{24 - bits}'"):
        optim.load_state(tmp_path / "states", other)


def test_shards(tmp_path):
    """Corrections are cut as the parameters are."""
    shapes = {"w": (64, 100)}
    whole_one = optim.compile("adamw", shapes, "dynamic8", parameters="bf16+8")
    params, state = bfloats(shapes), whole_one.init()
    for step in range(2):
        whole_one.step(params, gradients(shapes, step), state)
    optim.save_state(tmp_path / "states", whole_one, state)
    given = gradients(shapes, 2)
    for shard in optim.split((64, 100), 2, multiple=64 // 2):
        own = optim.compile("adamw", shapes, "dynamic8", parameters="bf16+8", shards={"w": shard})
        loaded = optim.load_state(tmp_path / "states", own, allow_rounding=True)
        rows = slice(shard.offset[0], shard.end[0])
        expected = state.tensors["w"]["correction8"]["codes"].reshape(64, 100)[rows]
        assert_same_bits(
            loaded.tensors["w"]["correction8"]["codes"].reshape(-1, 100), expected, "correction"
        )
        part = {"w": params["w"][rows].copy()}
        own.step(part, {"w": given["w"][rows]}, loaded)


def test_gradients_are_not_split():
    with pytest.raises(LowbitError, match="gradients are f32, bf16, bf16_stochastic, f16, not"):
        optim.compile("sgd", {"w": (4,)}, gradients="bf16+8")
