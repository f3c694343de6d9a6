"""Numbers and encodings in the words of a quantization's report."""

import pytest
from lowbit.precision.report import wording


@pytest.mark.parametrize(
    "encoding, label",
    [
        ("#lowbit.quantized<int<4>, scale = f16 per [1, 32]>", "int4 f16/32"),
        ("#lowbit.quantized<codebook<nf4>, scale = f32 per [1, 64]>", "nf4 f32/64"),
        ("#lowbit.quantized<codebook<[-1.0, 0.0, 1.0]>, scale = f32 per tensor>", "3 levels f32/tensor"),
        ("#lowbit.quantized<uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32]>", "uint4 f16/32 +min"),
        ("#lowbit.quantized<int<8>, scale = f16 per [1, 32], layout = ggml<q8_0>>", "int8 f16/32 (q8_0)"),
        ("#lowbit.quantized<int<4>, scale = f16 per [1, 256] * uint<6> per [1, 32]>", "int4 f16/256·uint6/32"),
        ("#lowbit.quantized<int<8>, scale = f32 per axis 0>", "int8 f32/row"),
        ("#lowbit.sum<#lowbit.quantized<int<3>, scale = f16 per [1, 32]>, #lowbit.sparse<f16, density = 0.01>>",
         "int3 f16/32 + sparse f16 0.01"),
        ("f32", "f32"),
        ("#lowbit.quantized<", "#lowbit.quantized<"),
        ("#lowbit.flattened<" * 100 + ">" * 100, None),
    ],
)  # fmt: skip
def test_labels_of_encodings(encoding, label):
    made = wording.labels([encoding])[encoding]
    assert made == label if label else len(made) <= 44


def test_labels_are_distinct():
    layouts = [
        f"#lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = planes<{n}>>" for n in "12"
    ]
    assert list(wording.labels(layouts + layouts).values()) == ["int4 f16/32", "int4 f16/32 (2)"]


@pytest.mark.parametrize(
    "function, value, shown",
    [
        (wording.size, 1234, "1.23 kB"),
        (wording.size, 999_600, "1.00 MB"),
        (wording.size, 123_456_789, "123 MB"),
        (wording.size, 12, "12 B"),
        (wording.duration, 0.0123, "12 ms"),
        (wording.duration, 61.04, "61.0 s"),
        (wording.duration, 119.7, "2 min 00 s"),
        (wording.duration, 7261, "2 h 01 min"),
        (wording.digits, 0.00310049, "0.0031"),
        (wording.digits, 12345.6, "12,346"),
        (wording.digits, 1e-9, "1e−9"),
        (wording.digits, float("nan"), "NaN"),
        (wording.digits, None, "–"),
        (wording.quantity, 3_474_432, "3.47 million"),
    ],
)
def test_numbers_in_words(function, value, shown):
    assert function(value) == shown
