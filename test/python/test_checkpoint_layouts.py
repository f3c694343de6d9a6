"""Layouts of quantized checkpoints against packers in numpy that follow the published sources."""

from __future__ import annotations

import kernels
import lowbit
import numpy as np
import pytest
from kernels import assert_same_bits

INPUTS, OUTPUTS, GROUP = 64, 96, 16


def pack_stream(codes, bits):
    """The words of codes along axis 0. AutoGPTQ 0.7.1, auto_gptq/nn_modules/qlinear/qlinear_cuda.py, QuantLinear.pack; the
    same in GPTQModel 7.3.4, gptqmodel/nn_modules/qlinear/__init__.py, PackableQuantLinear.pack_block.
    """
    codes = codes.astype(np.uint32)
    words = np.zeros((len(codes) * bits // 32, codes.shape[1]), np.uint32)
    i = row = 0
    while row < len(words):
        if bits != 3:
            for j in range(i, i + 32 // bits):
                words[row] |= codes[j] << np.uint32(bits * (j - i))
            i += 32 // bits
            row += 1
            continue
        for j in range(i, i + 10):
            words[row] |= codes[j] << np.uint32(3 * (j - i))
        i += 10
        words[row] |= codes[i] << np.uint32(30)
        row += 1
        words[row] |= (codes[i] >> 2) & 1
        i += 1
        for j in range(i, i + 10):
            words[row] |= codes[j] << np.uint32(3 * (j - i) + 1)
        i += 10
        words[row] |= codes[i] << np.uint32(31)
        row += 1
        words[row] |= (codes[i] >> 1) & 3
        i += 1
        for j in range(i, i + 10):
            words[row] |= codes[j] << np.uint32(3 * (j - i) + 2)
        i += 10
        row += 1
    return words


def pack_gptq(codes, zeros, bits):
    """AutoGPTQ stores zero points less 1; 0 has no code of its own there, here it takes the highest."""
    less = (zeros.astype(np.int64) - 1) & ((1 << bits) - 1)
    return pack_stream(codes, bits), pack_stream(less.T, bits).T.copy()


def pack_gptq_v2(codes, zeros, bits):
    """GPTQModel's gptq_v2: zero points as they are."""
    return pack_stream(codes, bits), pack_stream(zeros.T, bits).T.copy()


def pack_awq(codes, zeros, bits):
    """AutoAWQ 0.2.9, awq/modules/linear/gemm.py, WQLinear_GEMM.from_linear."""
    order_map = [0, 2, 4, 6, 1, 3, 5, 7]

    def pack(array):
        words = np.zeros((len(array), array.shape[1] // 8), np.uint32)
        for col in range(words.shape[1]):
            for i in range(8):
                column = array[:, 8 * col + order_map[i]].astype(np.uint32)
                words[:, col] |= column << np.uint32(i * bits)
        return words

    return pack(codes), pack(zeros)


PACKERS = {"gptq": pack_gptq, "gptq_v2": pack_gptq_v2, "awq": pack_awq}
WORDS = ["gptq-2", "gptq-3", "gptq-4", "gptq-8", "gptq_v2-3", "gptq_v2-4", "awq-4"]


def word_case(name):
    layout, bits = name.split("-")
    pack, bits = PACKERS[layout], int(bits)
    generator = np.random.default_rng(bits)
    codes = generator.integers(0, 1 << bits, (INPUTS, OUTPUTS))
    zeros = generator.integers(0, 1 << bits, (INPUTS // GROUP, OUTPUTS))
    scales = generator.normal(size=zeros.shape).astype(np.float16)
    qweight, qzeros = pack(codes, zeros, bits)
    wide = [np.repeat(array, GROUP, 0) for array in (scales, zeros)]
    values = wide[0].astype(np.float32) * (codes - wide[1]).astype(np.float32)
    encoding = (
        f"#lowbit.quantized<uint<{bits}>, scale = f16 per [{GROUP}, 1], zero = uint<{bits}> per [{GROUP}, 1], "
        f"layout = checkpoint<{layout}>>"
    )
    components = {
        "qweight": qweight.view(np.int32),
        "scales": scales,
        "qzeros": qzeros.view(np.int32),
    }
    return encoding, components, values


def planes_of(components, name, bits):
    """The codes of an array in planes: docs/Numerics.md, "Storage"."""
    if name in components:
        array = components[name][..., None] >> np.arange(0, 8, bits) & ((1 << bits) - 1)
        return array.reshape(len(array), -1)
    low = planes_of({name: components[name + ".0"]}, name, 2)
    return low | planes_of({name: components[name + ".1"]}, name, bits - 2) << 2


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
    layout, bits = name.split("-")
    shapes = {"codes": x.shape, "zero": (INPUTS // GROUP, OUTPUTS)}
    codes, zeros = (planes_of(flat, key, int(bits))[:, : shape[1]] for key, shape in shapes.items())
    qweight, qzeros = PACKERS[layout](codes, zeros, int(bits))
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


NF4 = "#lowbit.quantized<codebook<nf4>>"
DYNAMIC = "#lowbit.quantized<codebook<dynamic, 8>>"


def bnb_case(shape, block, double, flat):
    """bitsandbytes 0.50.2, functional.py (quantize_4bit, quantize_blockwise, dequantize_4bit): two codes in a byte, the
    first in the high nibble; absmax = map[absmax code] * nested absmax + offset, 256 of them to a nested block.
    """
    generator = np.random.default_rng(2)
    count = int(np.prod(shape))
    blocks = -(-count // block)
    codes = generator.integers(0, 16, count + count % 2).astype(np.uint8)
    codes[count:] = 0
    components = {"weight": (codes[::2] << 4) | codes[1::2]}
    per = [256 * block // shape[-1], shape[-1]]
    if double:
        nested = generator.integers(0, 256, blocks).astype(np.uint8)
        outer = generator.random(-(-blocks // 256)).astype(np.float32)
        offset = np.float32([0.25])
        map_ = lowbit.decode(DYNAMIC, (1, 256), {"codes": np.arange(256, dtype=np.uint8)[None]})[0]
        absmax = map_[nested] * np.repeat(outer, 256)[:blocks] + offset
        scale = f"codebook<dynamic, 8> per {[block] if flat else [1, block]} + f32 per tensor"
        scale = f"f32 per {[256 * block] if flat else per} * {scale}"
        components |= {"nested_absmax": outer, "absmax": nested, "nested_offset": offset}
    else:
        absmax = generator.random(blocks).astype(np.float32)
        scale = f"f32 per {[block] if flat else [1, block]}"
        components["absmax"] = absmax
    pairs = np.arange(0x10, 0x100, 0x22, np.uint8)[None]  # codes 0, 1, 2, … from the low nibble on
    table = lowbit.decode(NF4, (1, 16), {"codes": pairs})[0]
    values = (np.repeat(absmax, block)[:count] * table[codes[:count]]).reshape(shape)
    encoding = f"#lowbit.quantized<codebook<nf4>, scale = {scale}, layout = checkpoint<bnb>>"
    if flat:
        return f"#lowbit.flattened<{encoding}>", components, values
    rows = {"weight": shape[0], "absmax": shape[0], "nested_offset": 1, "nested_absmax": -1}
    rows["nested_absmax"] = -(-shape[0] // per[0])
    return encoding, {key: a.reshape(rows[key], -1) for key, a in components.items()}, values


BNB = {
    "rows": ((8, 128), 64, False, False),
    "double": ((300, 128), 64, True, False),
    "flat": ((12, 96), 64, False, True),
    "flat-double": ((180, 100), 64, True, True),
    "flat-ragged": ((7, 41), 64, False, True),
    "flat-small": ((3, 5), 64, True, True),
}


@pytest.mark.parametrize("name", BNB)
@pytest.mark.parametrize("pipeline", [None, "cpu", "reference"])
def test_published_bytes_decode(name, pipeline):
    encoding, components, values = bnb_case(*BNB[name])
    if pipeline is None:
        actual = lowbit.decode(encoding, values.shape, components)
    else:
        program = kernels.decode_program(values.shape, encoding)
        (actual,) = kernels.run(program, [*components.values(), np.zeros_like(values)], pipeline)
    assert_same_bits(actual, values, "decoded")


@pytest.mark.parametrize("name", BNB)
@pytest.mark.parametrize("pipeline", ["cpu", "reference"])
def test_bytes_are_packed(name, pipeline):
    """Compiled encodes give the reference's bytes; those decode to what planes decode to."""
    encoding, _, values = bnb_case(*BNB[name])
    expected = lowbit.encode(values, encoding)
    planes = encoding.replace(", layout = checkpoint<bnb>", "")
    assert_same_bits(
        lowbit.decode(encoding, values.shape, expected),
        lowbit.decode(planes, values.shape, lowbit.encode(values, planes)),
        "decoded",
    )
    storage = {key: array.copy() for key, array in kernels.scrambled(expected, 1).items()}
    actual = kernels.run(
        kernels.encode_program(values.shape, encoding), [values, *storage.values()], pipeline
    )
    for array, (key, wanted) in zip(actual, expected.items()):
        assert_same_bits(array, wanted, key)


@pytest.mark.parametrize(
    "encoding, shape, message",
    [
        ("uint<4>, scale = f16 per [16, 1], zero = uint<4> per [16, 1], layout = checkpoint<gptq>", (60, 48), "in multiples of 8 codes"),
        ("uint<3>, scale = f16 per [16, 1], zero = uint<3> per [16, 1], layout = checkpoint<gptq_v2>", (64, 48), "in multiples of 32 codes"),
        ("int<4>, scale = f16 per [16, 1], layout = checkpoint<gptq>", (64, 48), "layout checkpoint<gptq> stores uint<2>, uint<3>, uint<4>, uint<8> with"),
        ("uint<8>, scale = f16 per [16, 1], zero = uint<8> per [16, 1], layout = checkpoint<awq>", (64, 48), "layout checkpoint<awq> stores uint<4> with"),
        ("uint<4>, scale = f16 per [1, 16], zero = uint<4> per [1, 16], layout = checkpoint<awq>", (64, 48), r"blocks \[group, 1\]"),
        ("codebook<nf4>, scale = f32 per [1, 64], layout = checkpoint<bnb>", (4, 96), "whole blocks"),
        ("codebook<nf4>, scale = f32 per [1, 63], layout = checkpoint<bnb>", (4, 126), "an even number"),
        ("codebook<nf4>, scale = f32 per [1, 64], layout = checkpoint<hqq>", (4, 128), "known: awq, bnb, gptq, gptq_v2"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_an_error(encoding, shape, message):
    with pytest.raises(lowbit.LowbitError, match=message):
        lowbit.encode(np.zeros(shape, np.float32), f"#lowbit.quantized<{encoding}>")
