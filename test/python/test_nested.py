"""Nested precision: the high planes of a tensor's codes are a tensor of fewer bits."""

from __future__ import annotations

import numpy as np
import pytest
from archives import write_archive
from kernels import PIPELINES, assert_same_bits
from lowbit import _lowbit

SHAPE = (6, 64)
NESTED = "#lowbit.quantized<int<8>, scale = f32 per axis 0, layout = planes<2, 2, 4>>"
PROGRAM = f"""
func.func @main() -> tensor<6x64xf32> attributes {{lowbit.entry}} {{
  %w = lowbit.parameter "w" : tensor<6x64xf32, {NESTED}>
  %d = lowbit.decode %w : tensor<6x64xf32, {NESTED}>
  return %d : tensor<6x64xf32>
}}"""


def taking(bits: int, pipeline: str) -> str:
    return f"builtin.module(lowbit-materialize,lowbit-take-prefix{{bits={bits}}},lowbit-{pipeline}-pipeline)"


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    return np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


@pytest.mark.parametrize("bits", [4, 6])
def test_high_bits_decode_to_the_mean_of_their_codes(weights, bits):
    parts = _lowbit.encode(weights, NESTED)
    codes = sum(
        np.stack(
            [parts[f"codes.{i}"] >> s & (1 << width) - 1 for s in range(0, 8, width)], -1
        ).reshape(SHAPE)
        << shift
        for i, (width, shift) in enumerate([(2, 0), (2, 2), (4, 4)])
    ).astype(np.uint8)
    rest = 8 - bits
    level = (codes >> rest << rest).view(np.int8) + np.float32((2**rest - 1) / 2)
    layout = "" if bits == 4 else ", layout = planes<2, 4>"
    encoding = f"#lowbit.quantized<prefix<{bits}, int<8>>, scale = f32 per axis 0{layout}>"
    high = (
        {"codes": parts["codes.2"]}
        if bits == 4
        else {"codes.0": parts["codes.1"], "codes.1": parts["codes.2"]}
    )
    values = _lowbit.decode(encoding, list(SHAPE), high | {"scale": parts["scale"]})
    assert_same_bits(values, parts["scale"] * level.astype(np.float32), "values")
    # The best that can be said of the bits that are not there.
    eight = _lowbit.decode(NESTED, list(SHAPE), parts)
    assert np.abs(values - eight).max() <= (2**rest - 1) / 2 * parts["scale"].max() * (1 + 1e-6)


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("bits", [4, 6])
def test_a_program_reads_the_high_planes_alone(tmp_path, weights, bits, pipeline):
    parts = _lowbit.encode(weights, NESTED)
    path = tmp_path / "w.safetensors"
    write_archive(path, NESTED, SHAPE, parts)
    lowered = _lowbit.opt(PROGRAM, taking(bits, pipeline))
    assert 'component = "scale"' in lowered
    assert [f'component = "codes.{i}"' in lowered for i in range(3)] == [False, bits == 6, True]
    (actual,) = _lowbit.run_module(
        PROGRAM, "main", [], pipeline=taking(bits, pipeline), parameters=[str(path)]
    )
    eight = _lowbit.decode(NESTED, list(SHAPE), parts)
    rest = 8 - bits
    codes = np.rint(eight / parts["scale"]).astype(np.int64)
    level = (codes >> rest << rest) + (2**rest - 1) / 2
    assert_same_bits(actual, parts["scale"] * level.astype(np.float32), "values")
