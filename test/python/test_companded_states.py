"""States in the codes of FlashOptim (Gonzalez Ortiz et al. 2026), against its formulas in numpy."""

from __future__ import annotations

import numpy as np
import pytest
from kernels import assert_same_bits
from lowbit import _lowbit, optim
from numpy_encodings import Quantized, per
from numpy_formats import BF16, Companded
from optimizer_reference import check

BLOCK = 32
KINDS = pytest.mark.parametrize(
    "name, signed", [("softsign", True), ("sqrt", False), ("sqrt_nonzero", False)]
)


def companded(t: np.ndarray, signed: bool, number=np.float32) -> np.ndarray:
    """Steps, before they are rounded, in the arithmetic of `number`."""
    t = t.astype(number)
    if signed:
        return number(127) * (2 * t / (1 + np.abs(t)))
    return number(255) * np.sqrt(t)


def near_borders(signed: bool) -> np.ndarray:
    """The numbers of float32 on both sides of each half step."""
    if signed:
        y = (np.arange(127) + 0.5) / 127
        borders = y / (2 - y)
        borders = np.concatenate([-borders, borders])
    else:
        borders = ((np.arange(255) + 0.5) / 255) ** 2
    near = borders.astype(np.float32)
    out = [near]
    for direction in (-np.inf, np.inf):
        x = near
        for _ in range(4):
            x = np.nextafter(x, np.float32(direction))
            out.append(x)
    return np.concatenate(out)


def numbers(signed: bool) -> np.ndarray:
    generator = np.random.default_rng(0)
    x = generator.uniform(0, 1, 200000) * 10 ** generator.uniform(-8, 0, 200000)
    x = np.concatenate([x, [0, 1, 2, np.inf, 1e-45, 1e-38]]).astype(np.float32)
    return np.concatenate([near_borders(signed), x, -x])


@KINDS
def test_codes_without_a_scale(name, signed):
    """Bit for bit those of the formulas in exact arithmetic; NaN is zero."""
    t = numbers(signed)
    encoding, shape = f"#lowbit.quantized<codebook<{name}, 8>>", [len(t)]
    encoded = _lowbit.encode(t, encoding)
    reference = Companded(signed, zero=name != "sqrt_nonzero")
    assert_same_bits(encoded["codes"], reference.nearest(t).astype(np.uint8), name)
    assert len(np.unique(encoded["codes"])) == (255 if signed else 256)
    decoded = _lowbit.decode(encoding, shape, encoded)
    assert_same_bits(decoded, reference.level(encoded["codes"]), name)
    zero = _lowbit.encode(np.array([0, np.nan, -0.0], np.float32), encoding)["codes"]
    assert len(set(zero)) == 1


@KINDS
def test_where_single_precision_rounds_otherwise(name, signed):
    """FlashOptim's kernel rounds each operation to float32: its codes are ours but beside a border, within the error of that."""
    t = numbers(signed)
    t = t[np.abs(t) <= 1]
    t = t if signed else np.abs(t)
    with np.errstate(invalid="ignore"):
        theirs = np.floor(companded(t, signed) + np.float32(0.5))
    ours = _lowbit.encode(t, f"#lowbit.quantized<codebook<{name}, 8>>")["codes"].astype(np.int64)
    others = theirs.astype(np.int64) + (127 if signed else 0) != ours
    exact = companded(t[others], signed, np.float64)
    assert np.all(np.abs(np.abs(exact - np.rint(exact)) - 0.5) < 3e-5)
    assert others.sum() < len(near_borders(signed)) / 2


@KINDS
@pytest.mark.parametrize("length", [BLOCK * 40, BLOCK * 3 + 7, 1])
def test_blocks(name, signed, length):
    """Codes against the scale as stored: of blocks of all magnitudes, zeros, denormals, NaN and a tail."""
    generator = np.random.default_rng(length)
    x = generator.normal(size=(3, length)) * 10.0 ** generator.uniform(-6, 0, (3, length))
    x *= np.repeat(10.0 ** generator.uniform(-40, 30, (3, -(-length // BLOCK))), BLOCK, 1)[
        :, :length
    ]
    x = x.astype(np.float32)
    x = x if signed else np.abs(x)
    x[0, :BLOCK] = 0
    x[1, : BLOCK // 2] *= np.float32(1e-38)
    x[2, ::5] = np.nan
    encoding = f"#lowbit.quantized<codebook<{name}, 8>, scale = bf16 per [1, {BLOCK}]>"
    reference = Quantized(Companded(signed, zero=name != "sqrt_nonzero"), per(BF16, 1, BLOCK))
    parts = reference.encode(x)
    encoded = _lowbit.encode(x, encoding)
    for component, expected in reference.storage(parts).items():
        assert_same_bits(encoded[component].view(expected.dtype), expected, component)
    decoded = _lowbit.decode(encoding, list(x.shape), encoded)
    assert_same_bits(decoded, reference.decode(parts, x.shape), name)


@KINDS
def test_codes_are_flashoptims_where_the_scale_is_not_rounded(name, signed):
    """There is one difference left: it takes the scale of a second moment from roots, and rounds it as f16 after the codes are chosen."""
    generator = np.random.default_rng(0)
    x = generator.uniform(-1 if signed else 0, 1, (50, BLOCK)) * 10.0 ** generator.uniform(
        -4, 0, (50, BLOCK)
    )
    x[:, 3] = 1
    x = (x * np.exp2(generator.integers(-20, 5, (50, 1)))).astype(np.float32)
    scaled = x.astype(np.float64)
    if signed:
        n = scaled / np.abs(scaled).max(1, keepdims=True)
        theirs = np.floor(127 * (2 * n / (1 + np.abs(n))) + 0.5) + 127
    else:
        root = np.sqrt(scaled)
        theirs = np.floor(255 * root / root.max(1, keepdims=True) + 0.5)
    encoded = _lowbit.encode(
        x, f"#lowbit.quantized<codebook<{name}, 8>, scale = bf16 per [1, {BLOCK}]>"
    )
    assert np.mean(encoded["codes"] == theirs) > 0.9999


def test_small_gradients_have_codes():
    """A scale of f16 is 0 where the largest of a block is below 3e-8."""
    optimizer = optim.compile("adamw", {"w": (256,)}, "companded8")
    params, state = {"w": np.zeros(256, np.float32)}, optimizer.init()
    optimizer.step(params, {"w": np.full(256, 1e-12, np.float32)}, state)
    for components in state.tensors["w"].values():
        assert components["codes"].max() > 127 and components["scale"].all()


@pytest.mark.parametrize("rule", ["adamw", "lion", "adagrad"])
def test_steps(rule):
    check(optim.compile(rule, {"w": (40, 83), "small": (5,), "none": (0,)}, "companded8"), 4)
