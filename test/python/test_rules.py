"""Encode rules and stochastic rounding against numpy, written from docs/Numerics.md alone: the scalar reference and compiled
code must give what these few lines give, bit for bit."""

from __future__ import annotations

import kernels
import numpy as np
import pytest
import numpy_formats as formats
from kernels import assert_same_bits, run
from lowbit import _lowbit
from numpy_encodings import Quantized, Tree, per

PIPELINES = ["cpu", "reference"]
BLOCK = 16
F32 = np.float32


def blocks_of(x: np.ndarray) -> list[np.ndarray]:
    """The blocks of rows in order, the last of a row partial; NaN is zero."""
    x = np.where(np.isnan(x), F32(0), x)
    return [row[i : i + BLOCK] for row in x for i in range(0, len(row), BLOCK)]


def divide(x: np.ndarray, scale: np.float32) -> np.ndarray:
    return np.zeros_like(x) if scale == 0 else x / scale


def absmax(block):
    return np.abs(block).max() / F32(7)


def mx_floor(block):
    bits = np.abs(block).max().view(np.uint32) & np.uint32(0x7F800000)
    return bits.view(F32) * F32(2.0**-2)


def mx_ceil(block):
    bits = (np.abs(block).max() / F32(7)).view(np.uint32)
    return ((bits + np.uint32(0x7FFFFF)) & np.uint32(0x7F800000)).view(F32)


def percentile(block):
    rank = max(1, int(np.ceil(90.0 * len(block) / 100.0)))
    return np.sort(np.abs(block))[rank - 1] / F32(7)


def mse(block):
    best, least = absmax(block), F32(np.inf)
    for i in range(13):
        scale = np.clip(absmax(block) * F32(1 - i * (1 - 0.4) / 12), *_limits())
        error = F32(0)
        for x in block:
            code = np.clip(np.rint(divide(x[None], scale))[0], -8, 7)
            difference = x - scale * code
            error = error + difference * difference
        if error < least:
            best, least = scale, error
    return best


def _limits():
    return np.finfo(F32).min, np.finfo(F32).max


RULES = {
    "mx_floor": mx_floor,
    "mx_ceil": mx_ceil,
    "percentile<90.0>": percentile,
    "mse<steps = 12, least = 0.4>": mse,
}


def stored_codes(codes: np.ndarray) -> np.ndarray:
    """4-bit codes of a matrix with an even number of columns, packed."""
    codes = codes.astype(np.int64).astype(np.uint8) & 15
    return codes[:, ::2] | codes[:, 1::2] << 4


def encodings_of(x: np.ndarray, encoding: str):
    """What reference and compiled code store for x: (who, components by name)."""
    reference = _lowbit.encode(x, encoding)
    yield "reference encoder", reference
    for pipeline in PIPELINES:
        storage = kernels.scrambled(reference, 1)
        found = run(kernels.encode_program(x.shape, encoding), [x, *storage.values()], pipeline)
        yield pipeline, dict(zip(reference, found))


@pytest.mark.parametrize("rule", RULES)
def test_rules(rule):
    x = kernels.mixed_values((7, 70), 11)
    with np.errstate(all="ignore"):
        ideals = np.array([RULES[rule](block) for block in blocks_of(x)], F32)
        scales = np.clip(np.where(np.isnan(ideals), F32(0), ideals), *_limits())
        per_block = [divide(b, s) for b, s in zip(blocks_of(x), scales)]
    codes = np.clip(np.rint(np.concatenate(per_block)), -8, 7).reshape(x.shape)
    encoding = f"#lowbit.quantized<int<4>, scale = f32 per [1, {BLOCK}], rule = {rule}>"
    for who, found in encodings_of(x, encoding):
        assert_same_bits(found["scale"], scales.reshape(7, -1), f"{who}: scales")
        assert_same_bits(found["codes"].view(np.uint8), stored_codes(codes), f"{who}: codes")


def philox(counter: list, seed: int) -> np.ndarray:
    """The first word of Philox4x32-10 at each of an array of counters."""
    counter = [np.asarray(word).astype(np.uint64) & 0xFFFFFFFF for word in counter]
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * counter[0], np.uint64(0xCD9E8D57) * counter[2]
        low = np.uint64(0xFFFFFFFF)
        counter = [
            (b >> np.uint64(32)) ^ counter[1] ^ np.uint64(key[0]),
            b & low,
            (a >> np.uint64(32)) ^ counter[3] ^ np.uint64(key[1]),
            a & low,
        ]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return counter[0].astype(np.uint32)


@pytest.mark.parametrize("seed", [0, 2**40 + 7])
@pytest.mark.parametrize("shape", [(300,), (9, 130), (3, 5, 40), (2, 3, 4, 33)], ids=str)
def test_stochastic_rounding(shape, seed):
    """Of unscaled 8-bit integers, on tensors of each rank."""
    x = (np.random.default_rng(seed).normal(size=shape) * 60).astype(F32)
    i = np.indices(shape)
    row = i[-2] if len(shape) > 1 else np.zeros(shape)
    leading = np.zeros(shape, np.int64)
    for axis in range(len(shape) - 2):
        leading = leading * shape[axis] + i[axis]
    word = philox([i[-1], row, leading, x.view(np.uint32)], seed)
    uniform = (word >> np.uint32(8)).astype(F32) * F32(2.0**-24)
    codes = np.clip(np.floor(x) + (x - np.floor(x) > uniform), -128, 127).astype(np.int8)
    encoding = f"#lowbit.quantized<int<8>, rounding = stochastic<{seed}>>"
    for who, found in encodings_of(x, encoding):
        assert_same_bits(found["codes"].view(np.int8), codes, who)


def _levels(*levels) -> Tree:
    return Tree(levels)


# OCP's MX formats with their default rule, and trees of scales, by numpy and ml_dtypes.
TREES = {
    "e2m1, scale = e8m0 per [1, 32]": Quantized(formats.E2M1, per(formats.E8M0, 1, 32), is_mx=True),
    "e3m2, scale = e8m0 per [1, 32]": Quantized(formats.E3M2, per(formats.E8M0, 1, 32), is_mx=True),
    "e2m3, scale = e8m0 per [1, 32]": Quantized(formats.E2M3, per(formats.E8M0, 1, 32), is_mx=True),
    "e4m3, scale = e8m0 per [1, 32]": Quantized(formats.E4M3, per(formats.E8M0, 1, 32), is_mx=True),
    "e5m2, scale = e8m0 per [1, 32]": Quantized(formats.E5M2, per(formats.E8M0, 1, 32), is_mx=True),
    "e2m1, scale = f32 per tensor * e4m3 per [1, 16]": Quantized(
        formats.E2M1, _levels((formats.F32, (None, None)), (formats.E4M3, (1, 16)))
    ),
    "int<4>, scale = f32 per tensor * f16 per axis 0 * uint<6> per [1, 32]": Quantized(
        formats.Integer(4),
        _levels(
            (formats.F32, (None, None)),
            (formats.F16, (1, None)),
            (formats.Integer(6, signed=False), (1, 32)),
        ),
    ),
}


@pytest.mark.parametrize("text", TREES)
@pytest.mark.parametrize("shape", [(6, 64), (5, 150)], ids=str)
def test_trees_and_mx(text, shape):
    x = (np.random.default_rng(3).normal(size=shape) * 10).astype(F32)
    x[1, :32] = 0
    x[2] *= F32(1e-4)
    expected = TREES[text].storage(TREES[text].encode(x))
    for who, found in encodings_of(x, f"#lowbit.quantized<{text}>"):
        assert list(found) == list(expected)
        for name, array in expected.items():
            bits = f"u{array.dtype.itemsize}"
            assert_same_bits(found[name].view(bits), array.view(bits), f"{who}: {name}")
