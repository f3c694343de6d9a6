"""Number formats against other implementations: minifloats against ml_dtypes, tables against gguf and closed forms."""

from __future__ import annotations

import gguf
import ml_dtypes
import numpy as np
import pytest
from kernels import assert_same_bits
from lowbit import _lowbit
from numpy_formats import planes

# Each row: the format, its bits, and the same one of ml_dtypes.
MINIFLOATS = [
    ("e4m3", 8, ml_dtypes.float8_e4m3fn),
    ("e5m2", 8, ml_dtypes.float8_e5m2),
    ("e4m3fnuz", 8, ml_dtypes.float8_e4m3fnuz),
    ("e5m2fnuz", 8, ml_dtypes.float8_e5m2fnuz),
    ("e3m2", 6, ml_dtypes.float6_e3m2fn),
    ("e2m3", 6, ml_dtypes.float6_e2m3fn),
    ("e2m1", 4, ml_dtypes.float4_e2m1fn),
    ("e8m0", 8, ml_dtypes.float8_e8m0fnu),
    ("fp<4, 3, ieee>", 8, ml_dtypes.float8_e4m3),
    ("fp<3, 4, ieee>", 8, ml_dtypes.float8_e3m4),
    ("fp<4, 3, bias = 11, fnuz>", 8, ml_dtypes.float8_e4m3b11fnuz),
]
EVERY = pytest.mark.parametrize("text, bits, dtype", MINIFLOATS, ids=[m[2].__name__ for m in MINIFLOATS])


def decode_codes(text: str, bits: int, codes: np.ndarray) -> np.ndarray:
    return _lowbit.decode(f"#lowbit.quantized<{text}>", [len(codes)], planes(codes, bits, "codes"))


def rounded(text: str, values: np.ndarray) -> np.ndarray:
    encoding = f"#lowbit.quantized<{text}>"
    return _lowbit.decode(encoding, [len(values)], _lowbit.encode(values.astype(np.float32), encoding))


def levels_of(text: str, bits: int) -> np.ndarray:
    """The finite levels, ascending, without -0."""
    levels = decode_codes(text, bits, np.arange(1 << bits))
    return np.unique(levels[np.isfinite(levels)])


@EVERY
def test_decode_equals_ml_dtypes(text, bits, dtype):
    codes = np.arange(1 << bits, dtype=np.uint8)
    assert_same_bits(decode_codes(text, bits, codes), codes.view(dtype).astype(np.float32), text)


@EVERY
def test_encode_equals_ml_dtypes_in_range(text, bits, dtype):
    """Levels, ties and their neighbours, f32 denormals and random magnitudes, up to the largest level."""
    generator = np.random.default_rng(bits)
    levels = levels_of(text, bits)
    most = levels[-1]
    middles = ((levels[:-1].astype(np.float64) + levels[1:]) / 2).astype(np.float32)
    spread = (np.exp2(generator.uniform(-149, np.log2(most), 20000))).astype(np.float32)
    uniform = generator.uniform(0, most, 20000).astype(np.float32)
    tiny = np.arange(1, 2000, dtype=np.int32).view(np.float32)
    values = np.concatenate([levels, middles, spread, uniform, tiny, [0.0]]).astype(np.float32)
    values = np.concatenate([values, np.nextafter(values, np.float32(0)), np.nextafter(values, np.float32(np.inf))])
    if text == "e8m0":
        # Where ml_dtypes differs: zero and negative numbers become NaN (here the smallest level), ties go up (here to the even
        # code), and numbers below the second level, which are denormal in float32, are not rounded to the nearest.
        values = values[(values >= levels[1]) & (values.view(np.uint32) & 0x7FFFFF != 0x400000)]
    else:
        values = np.concatenate([values, -values])
    values = values[np.abs(values) <= most]
    with np.errstate(all="ignore"):
        expected = values.astype(dtype).astype(np.float32)
    assert_same_bits(rounded(text, values), expected, text)


def test_ties_of_powers_of_two():
    exponents = np.arange(-126, 127)
    ties = np.ldexp(np.float32(1.5), exponents)
    assert_same_bits(rounded("e8m0", ties), np.ldexp(np.float32(1), exponents + (exponents + 127) % 2), "e8m0")


@EVERY
def test_overflow_saturates(text, bits, dtype):
    """Here the contract is not IEEE's conversion, which makes infinity or NaN of these."""
    levels = levels_of(text, bits)
    with np.errstate(over="ignore"):
        beyond = np.float32([levels[-1], levels[-1] * np.float32(1.01), levels[-1] * np.float32(2), 3e38, np.inf])
    beyond = beyond[beyond >= levels[-1]]
    assert (rounded(text, beyond) == levels[-1]).all()
    assert (rounded(text, -beyond) == levels[0]).all()


@EVERY
def test_nan(text, bits, dtype):
    values = np.float32([np.nan, -np.nan])
    if np.isnan(decode_codes(text, bits, np.arange(1 << bits))).any():
        assert np.isnan(rounded(text, values)).all()
    else:
        assert_same_bits(rounded(text, values), np.zeros(2, np.float32), text)


def codebook(text: str, bits: int) -> np.ndarray:
    return decode_codes(f"codebook<{text}>", bits, np.arange(1 << bits))


def test_tables_of_ggml():
    assert_same_bits(codebook("iq4_nl", 4), np.float32(gguf.quants.IQ4_NL.kvalues), "iq4_nl")
    assert_same_bits(codebook("mxfp4_ggml", 4), np.float32(gguf.quants.MXFP4.kvalues) / 2, "mxfp4_ggml")


def linspace(count: int) -> np.ndarray:
    """From 0.1 to 1 in float32 as torch.linspace does it: each half from its own end, multiply and add fused."""
    start, end = np.float32(0.1), np.float32(1)
    step = np.float64((end - start) / np.float32(count - 1))
    i = np.arange(count, dtype=np.float64)  # products and sums are exact here, and rounded once
    return np.where(i < count // 2, start + step * i, end - step * (count - 1 - i)).astype(np.float32)


def create_dynamic_map(signed: bool, bits: int) -> np.ndarray:
    """The construction of Dettmers et al. 2021, written from its description."""
    decades, values = bits - 1, [np.float32(0), np.float32(1)]
    for i in range(decades):
        boundaries = linspace(2 ** (i if signed else i + 1) + 1)
        centres = np.float32(10.0 ** (i - decades + 1)) * ((boundaries[:-1] + boundaries[1:]) / np.float32(2))
        values += [*centres, *(-centres if signed else [])]
    return np.sort(np.float32(values))


@pytest.mark.parametrize("bits", range(2, 9))
def test_dynamic_exponent(bits):
    assert_same_bits(codebook(f"dynamic, {bits}", bits), create_dynamic_map(True, bits), "signed")
    assert_same_bits(codebook(f"dynamic_unsigned, {bits}", bits), create_dynamic_map(False, bits), "unsigned")
