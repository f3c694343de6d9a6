"""Codes that GPTQ chooses, in the blocks of ggml: the same values as in planes."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

import lowbit
from lowbit import _lowbit
from lowbit.precision.layouts import convert, in_planes
from lowbit.precision.quantizers import GPTQ
from lowbit.precision.weights import Weight, encode, output_error

TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]
TYPES += ["IQ4_NL", "IQ4_XS", "MXFP4"]


@pytest.mark.parametrize("name", TYPES)
def test_gptq_in_blocks_of_ggml(name):
    generator = np.random.default_rng(3)
    inputs = generator.standard_normal((700, 512)) @ generator.standard_normal((512, 512))
    values = generator.standard_normal((6, 512)).astype(np.float32)
    moments = inputs.T @ inputs / len(inputs)
    encoding = _lowbit.ggml_type(name, 2)[0]
    term = GPTQ().encode(Weight("w", values, encoding, moments))
    assert term.encoding == encoding and list(term.components) == ["blocks"]
    decoded = term.decode(values.shape)
    # Another reader of the same bytes, and the codes before they were moved.
    raw = term.components["blocks"].reshape(len(values), -1)
    other = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[name])
    np.testing.assert_array_equal(decoded, other)
    planes = GPTQ().encode(Weight("w", values, in_planes(encoding), moments))
    np.testing.assert_array_equal(decoded, planes.decode(values.shape))
    nearest = lowbit.decode(encoding, values.shape, lowbit.encode(values, encoding))
    assert output_error(decoded - values, moments) < output_error(nearest - values, moments)


def test_an_encoding_in_its_own_layout_stays():
    term = encode(
        np.ones((2, 32), np.float32), "#lowbit.quantized<int<8>, scale = f16 per [1, 32]>"
    )
    assert convert(term, term.encoding, (2, 32)) is term
