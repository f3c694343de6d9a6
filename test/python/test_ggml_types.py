"""Every tensor type of GGUF files that has an encoding, against the gguf package: bytes of all kinds decode alike, bit for
bit, in the scalar reference, in compiled code and from a file; what the package can quantize, we quantize to its bytes.
"""

from __future__ import annotations

import gguf
import kernels
import lowbit
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from kernels import assert_same_bits
from lowbit import _lowbit

# Where the f16 numbers of a struct lie.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "IQ4_NL": [0], "MXFP4": [],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_XS": [0],
    "TQ1_0": [52], "TQ2_0": [64],
}  # fmt: skip
SHAPE = (5, 512)


def random_rows(name: str, seed: int, finite: bool) -> np.ndarray:
    """uint8 [rows, bytes] of random structs."""
    block, size = gguf.GGML_QUANT_SIZES[Type[name]]
    generator = np.random.default_rng(seed)
    blocks = generator.integers(0, 256, (SHAPE[0], SHAPE[1] // block, size), dtype=np.uint8)
    if finite:
        for at in HALVES[name]:
            halves = generator.normal(size=blocks.shape[:2]).astype(np.float16)
            blocks[..., at : at + 2] = halves[..., None].view(np.uint8)
    if name == "MXFP4":  # OCP's NaN, which ggml reads as 2^128
        scales = blocks[..., 0]
        scales[scales == 255] = 254
    return blocks.reshape(SHAPE[0], -1)


def expected_values(name: str, rows: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return gguf.quants.dequantize(rows, Type[name])


@pytest.mark.parametrize("finite", [True, False], ids=["finite", "any"])
@pytest.mark.parametrize("name", HALVES)
def test_reference_decodes_as_the_package(name, finite):
    rows = random_rows(name, 1, finite)
    assert_same_bits(lowbit.decode_ggml(rows, name), expected_values(name, rows), name)


@pytest.mark.parametrize("pipeline", ["cpu", "reference"])
@pytest.mark.parametrize("finite", [True, False], ids=["finite", "any"])
@pytest.mark.parametrize("name", HALVES)
def test_compiled_code_decodes_as_the_package(name, finite, pipeline):
    rows = random_rows(name, 2, finite)
    encoding, block, size = _lowbit.ggml_type(name, 2)
    program = kernels.decode_program(SHAPE, encoding)
    blocks = rows.reshape(SHAPE[0], SHAPE[1] // block, size)
    (actual,) = kernels.run(program, [blocks, np.full(SHAPE, np.nan, np.float32)], pipeline)
    assert_same_bits(actual, expected_values(name, rows), name)


@pytest.mark.parametrize("name", HALVES)
def test_a_file_is_read(name, make_gguf):
    rows = random_rows(name, 3, finite=True)
    archive = lowbit.Archive(str(make_gguf("x.gguf", {"w": (rows, Type[name])})))
    (info,) = archive.tensors
    assert info.encoding.endswith(f"layout = ggml<{name.lower()}>>") and info.bytes == rows.nbytes
    assert_same_bits(archive.tensor_f32("w"), expected_values(name, rows), name)


@pytest.mark.parametrize("name", ["F32", "F16", "BF16"])
def test_plain_types_decode(name):
    rows = np.random.default_rng(4).integers(0, 256, (3, 64), dtype=np.uint8)
    values = rows.view({"F32": "<f4", "F16": "<f2", "BF16": "<u2"}[name])
    expected = (
        (values.astype(np.uint32) << 16).view(np.float32)
        if name == "BF16"
        else values.astype(np.float32)
    )
    assert_same_bits(lowbit.decode_ggml(rows, name), expected, name)


def encoded(x: np.ndarray, name: str) -> np.ndarray:
    encoding = _lowbit.ggml_type(name, x.ndim)[0]
    return lowbit.encode(x, encoding)["blocks"].reshape(len(x), -1)


@pytest.mark.parametrize(
    "name", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "TQ1_0", "TQ2_0", "MXFP4"]
)
def test_bytes_are_those_of_the_package(name):
    generator = np.random.default_rng(6)
    x = np.concatenate([
        generator.normal(size=SHAPE),
        generator.laplace(size=SHAPE) * 1e-3,
        generator.integers(-16, 17, SHAPE) / 4,
        np.zeros(SHAPE),
    ]).astype(np.float32)  # fmt: skip
    with np.errstate(all="ignore"):
        expected = gguf.quants.quantize(x, Type[name])
    assert np.array_equal(encoded(x, name), expected)


# Each with the rule that its term would have in planes.
SEARCHED = {"Q2_K": "min_max", "Q3_K": "absmax", "Q4_K": "min_max", "Q5_K": "min_max", "Q6_K": "absmax",
            "IQ4_NL": "absmax", "IQ4_XS": "absmax"}  # fmt: skip


@pytest.mark.parametrize("name", SEARCHED)
def test_a_search_beats_the_plain_rule(name):
    x = np.random.default_rng(7).laplace(size=SHAPE).astype(np.float32)
    encoding = _lowbit.ggml_type(name, 2)[0]
    plain = encoding.replace(", layout", f", rule = {SEARCHED[name]}, layout")

    def error(text):
        return np.sum(
            (lowbit.decode(text, SHAPE, lowbit.encode(x, text)) - x).astype(np.float64) ** 2
        )

    assert error(encoding) < 0.9 * error(plain)


@pytest.mark.parametrize("name", SEARCHED)
def test_a_search_takes_any_values(name):
    encoding = _lowbit.ggml_type(name, 2)[0]
    x = kernels.mixed_values(SHAPE, 8)
    assert np.isfinite(lowbit.decode(encoding, SHAPE, lowbit.encode(x, encoding))).all()
    zeros = np.zeros(SHAPE, np.float32)
    assert not lowbit.decode(encoding, SHAPE, lowbit.encode(zeros, encoding)).any()


@pytest.mark.parametrize("pipeline", ["cpu", "reference"])
@pytest.mark.parametrize("name", [*SEARCHED, "Q5_0", "Q5_1", "TQ1_0"])
def test_compiled_code_packs(name, pipeline):
    """A rule that compiled code knows, into any struct."""
    encoding = _lowbit.ggml_type(name, 2)[0]
    if name in SEARCHED:
        encoding = encoding.replace(", layout", f", rule = {SEARCHED[name]}, layout")
    x = np.random.default_rng(9).normal(size=SHAPE).astype(np.float32)
    expected = _lowbit.encode(x, encoding)["blocks"]
    scratch = np.random.default_rng(1).integers(0, 256, expected.shape, dtype=np.uint8)
    (actual,) = kernels.run(kernels.encode_program(SHAPE, encoding), [x, scratch], pipeline)
    assert_same_bits(actual.view(np.uint8), expected, name)


@pytest.mark.parametrize("name", ["Q4_K", "TQ2_0"])
def test_a_search_is_the_reference_s_alone(name):
    encoding = _lowbit.ggml_type(name, 2)[0]
    x = np.zeros(SHAPE, np.float32)
    blocks = _lowbit.encode(x, encoding)["blocks"]
    with pytest.raises(RuntimeError, match="this encoding can only be read"):
        kernels.run(kernels.encode_program(SHAPE, encoding), [x, blocks], "cpu")


@pytest.mark.parametrize("rounding", ["nearest_even", "half_up", "stochastic<3>"])
@pytest.mark.parametrize("name, rule", [*SEARCHED.items(), ("TQ2_0", "absmax"), ("MXFP4", "mx_floor")])
def test_a_rounding_needs_a_rule_where_the_layout_has_an_encoder(name, rule, rounding):
    encoding = _lowbit.ggml_type(name, 2)[0].replace(", layout", f", rounding = {rounding}, layout")
    with pytest.raises(lowbit.LowbitError, match=f"ggml<{name.lower()}> chooses .* 'rule = {rule}'"):
        lowbit.encode(np.zeros(SHAPE, np.float32), encoding)


@pytest.mark.parametrize("pipeline", ["cpu", "reference"])
@pytest.mark.parametrize("name", ["Q4_K", "Q6_K"])
def test_a_rounding_beside_a_rule_is_followed(name, pipeline):
    plain = _lowbit.ggml_type(name, 2)[0].replace(", layout", f", rule = {SEARCHED[name]}, layout")
    encoding = plain.replace(", layout", ", rounding = stochastic<3>, layout")
    kernels.check_encode(encoding, SHAPE, pipeline)
    x = np.random.default_rng(10).normal(size=SHAPE).astype(np.float32)
    assert not np.array_equal(lowbit.encode(x, encoding)["blocks"], lowbit.encode(x, plain)["blocks"])


def test_errors_say_what_would_be_right():
    with pytest.raises(
        lowbit.LowbitError, match="no encoding for the ggml type 'Q9_K'; known: .*Q4_K"
    ):
        lowbit.decode_ggml(np.zeros((1, 144), np.uint8), "Q9_K")
    with pytest.raises(lowbit.LowbitError, match="no whole number of Q4_K blocks"):
        lowbit.decode_ggml(np.zeros((1, 143), np.uint8), "Q4_K")
    with pytest.raises(lowbit.LowbitError, match="takes uint8 bytes"):
        lowbit.decode_ggml(np.zeros((1, 144), np.float32), "Q4_K")
    with pytest.raises(lowbit.LowbitError, match="multiple of 256, not 128"):
        lowbit.encode(np.zeros((1, 128)), _lowbit.ggml_type("Q4_K", 2)[0])
