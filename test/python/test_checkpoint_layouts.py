"""Layouts of quantized checkpoints against packers in numpy that follow the published sources."""

from __future__ import annotations

import kernels
import lowbit
import numpy as np
import pytest
from kernels import assert_same_bits

INPUTS, OUTPUTS, GROUP = 64, 48, 16


def pack_gptq(codes, zeros, bits):
    """AutoGPTQ, auto_gptq/nn_modules/qlinear/qlinear_cuda_old.py (QuantLinear.pack) and GPTQModel's torch kernel: zero
    points less 1, codes of consecutive inputs from the low bits up, zero points of consecutive outputs likewise.
    """
    per_word = 32 // bits
    mask = (1 << bits) - 1
    qweight = np.zeros((len(codes) // per_word, codes.shape[1]), np.uint32)
    for i in range(len(codes)):
        qweight[i // per_word] |= codes[i].astype(np.uint32) << np.uint32(bits * (i % per_word))
    stored = (zeros.astype(np.int64) - 1) & mask
    qzeros = np.zeros((len(zeros), zeros.shape[1] // per_word), np.uint32)
    for j in range(zeros.shape[1]):
        qzeros[:, j // per_word] |= stored[:, j].astype(np.uint32) << np.uint32(
            bits * (j % per_word)
        )
    return qweight, qzeros


def pack_awq(codes, zeros, bits):
    """AutoAWQ, awq/modules/linear/gemm.py (WQLinear_GEMM.from_linear): order_map."""
    order = [0, 2, 4, 6, 1, 3, 5, 7]

    def pack(array):
        words = np.zeros((len(array), array.shape[1] // 8), np.uint32)
        for column in range(words.shape[1]):
            for i in range(8):
                words[:, column] |= array[:, 8 * column + order[i]].astype(np.uint32) << np.uint32(
                    i * bits
                )
        return words

    return pack(codes), pack(zeros)


WORDS = {
    "gptq-2": (pack_gptq, 2),
    "gptq-4": (pack_gptq, 4),
    "gptq-8": (pack_gptq, 8),
    "awq-4": (pack_awq, 4),
}


def word_case(name):
    pack, bits = WORDS[name]
    generator = np.random.default_rng(bits)
    codes = generator.integers(0, 1 << bits, (INPUTS, OUTPUTS))
    zeros = generator.integers(0, 1 << bits, (INPUTS // GROUP, OUTPUTS))
    scales = generator.normal(size=zeros.shape).astype(np.float16)
    qweight, qzeros = pack(codes, zeros, bits)
    wide = [np.repeat(array, GROUP, 0) for array in (scales, zeros)]
    values = wide[0].astype(np.float32) * (codes - wide[1]).astype(np.float32)
    layout = name.split("-")[0]
    encoding = (
        f"#lowbit.quantized<uint<{bits}>, scale = f16 per [{GROUP}, 1], zero = uint<{bits}> per [{GROUP}, 1], "
        f"layout = {layout}>"
    )
    components = {
        "qweight": qweight.view(np.int32),
        "scales": scales,
        "qzeros": qzeros.view(np.int32),
    }
    return encoding, components, values


@pytest.mark.parametrize("name", WORDS)
def test_published_words_decode(name):
    encoding, components, values = word_case(name)
    assert_same_bits(lowbit.decode(encoding, values.shape, components), values, name)


@pytest.mark.parametrize("pipeline", ["cpu", "reference"])
@pytest.mark.parametrize("name", WORDS)
def test_published_words_decode_compiled(name, pipeline):
    encoding, components, values = word_case(name)
    program = kernels.decode_program(values.shape, encoding)
    (actual,) = kernels.run(program, [*components.values(), np.zeros_like(values)], pipeline)
    assert_same_bits(actual, values, name)


@pytest.mark.parametrize("pipeline", ["cpu", "reference"])
@pytest.mark.parametrize("name", WORDS)
def test_words_are_packed(name, pipeline):
    encoding = word_case(name)[0]
    planes = encoding[: encoding.rindex(", layout")] + ">"
    x = np.random.default_rng(3).normal(size=(INPUTS, OUTPUTS)).astype(np.float32)
    expected = lowbit.encode(x, encoding)
    # The same codes as in planes, packed by the published recipe.
    flat = lowbit.encode(x, planes)
    pack, bits = WORDS[name]
    unpack = lambda array: (array[..., None] >> np.arange(0, 8, bits) & ((1 << bits) - 1)).reshape(
        len(array), -1
    )  # noqa: E731
    qweight, qzeros = pack(unpack(flat["codes"]), unpack(flat["zero"]), bits)
    assert np.array_equal(expected["qweight"].view(np.uint32), qweight)
    assert np.array_equal(expected["qzeros"].view(np.uint32), qzeros)
    assert np.array_equal(expected["scales"], flat["scale"])
    storage = kernels.scrambled(expected, 1)
    storage = {key: array.copy() for key, array in storage.items()}
    actual = kernels.run(
        kernels.encode_program(x.shape, encoding), [x, *storage.values()], pipeline
    )
    for array, (key, wanted) in zip(actual, expected.items()):
        assert_same_bits(array, wanted, key)


@pytest.mark.parametrize("double", [False, True], ids=["absmax", "double"])
@pytest.mark.parametrize("pipeline", [None, "cpu", "reference"])
def test_bitsandbytes(double, pipeline):
    """bitsandbytes, functional.py (quantize_4bit, dequantize_4bit) and kDequantizeBlockwise of csrc: two codes in a byte,
    the first in the high nibble; absmax = map[nested code] * nested absmax + offset."""
    rows, columns, block = 8, 128, 64
    generator = np.random.default_rng(2)
    codes = generator.integers(0, 16, (rows, columns)).astype(np.uint8)
    table = lowbit.decode(
        "#lowbit.quantized<codebook<nf4>>",
        (1, 16),
        {"codes": np.uint8([[0x10, 0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE]])},
    )[0]
    components = {"weight": (codes[:, ::2] << 4) | codes[:, 1::2]}
    if double:
        nested = generator.integers(0, 256, (rows, columns // block)).astype(np.uint8)
        # Blocks of 4 x 2 absmax values: consecutive in the flattened tensor.
        outer = generator.random((2, 1)).astype(np.float32)
        offset = np.float32([[0.25]])
        map_ = lowbit.decode(
            "#lowbit.quantized<codebook<dynamic, 8>>",
            (1, 256),
            {"codes": np.arange(256, dtype=np.uint8)[None]},
        )[0]
        absmax = map_[nested] * np.repeat(outer, 4, 0) + offset
        scale = f"f32 per [4, {columns}] * codebook<dynamic, 8> per [1, {block}] + f32 per tensor"
        components |= {"nested_absmax": outer, "absmax": nested, "nested_offset": offset}
    else:
        absmax = generator.random((rows, columns // block)).astype(np.float32)
        scale = f"f32 per [1, {block}]"
        components["absmax"] = absmax
    values = np.repeat(absmax, block, 1) * table[codes]
    encoding = f"#lowbit.quantized<codebook<nf4>, scale = {scale}, layout = bnb>"
    if pipeline is None:
        actual = lowbit.decode(encoding, values.shape, components)
    else:
        program = kernels.decode_program(values.shape, encoding)
        (actual,) = kernels.run(program, [*components.values(), np.zeros_like(values)], pipeline)
    assert_same_bits(actual, values, "decoded")


@pytest.mark.parametrize(
    "encoding, shape, message",
    [
        ("uint<4>, scale = f16 per [16, 1], zero = uint<4> per [16, 1], layout = gptq", (60, 48), "in multiples of 8 codes"),
        ("int<4>, scale = f16 per [16, 1], layout = gptq", (64, 48), "layout gptq stores uint<4>"),
        ("uint<8>, scale = f16 per [16, 1], zero = uint<8> per [16, 1], layout = awq", (64, 48), "layout awq stores uint<4>"),
        ("uint<4>, scale = f16 per [1, 16], zero = uint<4> per [1, 16], layout = awq", (64, 48), r"blocks \[group, 1\]"),
        ("codebook<nf4>, scale = f32 per [1, 64], layout = bnb", (4, 96), "whole blocks"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_an_error(encoding, shape, message):
    with pytest.raises(lowbit.LowbitError, match=message):
        lowbit.encode(np.zeros(shape, np.float32), f"#lowbit.quantized<{encoding}>")
