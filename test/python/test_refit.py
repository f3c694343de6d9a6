"""Scales and minima by least squares, against numpy.linalg.lstsq on the inputs themselves."""

from __future__ import annotations

import numpy as np
import pytest

from lowbit.precision.quantizers import GPTQ
from lowbit.precision.refit import refit, solve
from lowbit.precision.weights import Weight, encode, output_error

ENCODINGS = [
    "#lowbit.quantized<int<3>, scale = f16 per [1, 32], rule = mse>",
    "#lowbit.quantized<codebook<nf4>, scale = f32 per [1, 64]>",
    "#lowbit.quantized<uint<3>, scale = f16 per [1, 32], min = f16 per [1, 32]>",
    "#lowbit.quantized<int<4>, scale = f32 per axis 0>",
    "#lowbit.quantized<int<3>, scale = bf16 per [1, 32]>",
    "#lowbit.quantized<uint<3>, scale = bf16 per [1, 32], min = bf16 per [1, 32]>",
]


@pytest.fixture(scope="module")
def problem():
    random = np.random.default_rng(5)
    inputs = random.standard_normal((900, 200)) @ random.standard_normal((200, 200))
    values = random.standard_normal((12, 200)).astype(np.float32)
    return values, inputs


@pytest.mark.parametrize("kinds", [1, 2], ids=["scales", "scales and minima"])
def test_solves_least_squares(problem, kinds):
    values, inputs = problem
    width = 48  # the last block is a ragged one
    codes = np.random.default_rng(1).integers(-4, 4, values.shape).astype(np.float64)
    found = solve(codes, values.astype(np.float64), inputs.T @ inputs, width, kinds)
    starts = range(0, values.shape[1], width)
    for row in range(len(values)):
        columns = []
        for base in [codes[row], np.ones(values.shape[1])][:kinds]:
            for start in starts:
                column = np.zeros(values.shape[1])
                column[start : start + width] = base[start : start + width]
                columns.append(column)
        design = inputs @ np.array(columns).T
        wanted = np.linalg.lstsq(design, inputs @ values[row].astype(np.float64), rcond=None)[0]
        given = np.concatenate([kind[row] for kind in found])
        np.testing.assert_allclose(given, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_lowers_the_error_and_keeps_codes(problem, encoding):
    values, inputs = problem
    moments = inputs.T @ inputs / len(inputs)
    term = GPTQ().encode(Weight("w", values, encoding, moments))
    better = refit(term, values, moments)
    errors = [output_error(t.decode(values.shape) - values, moments) for t in (term, better)]
    assert errors[1] < errors[0]
    for name, array in term.components.items():
        if name.startswith("codes"):
            np.testing.assert_array_equal(better.components[name], array)
        else:
            assert better.components[name].dtype == array.dtype
    again = refit(better, values, moments)
    assert output_error(again.decode(values.shape) - values, moments) <= errors[1] * (1 + 1e-12)


@pytest.mark.parametrize(
    "encoding",
    [
        "#lowbit.quantized<int<4>, scale = f16 per [1, 100] * uint<6> per [1, 20]>",
        "#lowbit.quantized<uint<4>, scale = f16 per [1, 50], zero = uint<4> per [1, 50]>",
        "#lowbit.quantized<e2m1, scale = e8m0 per [1, 40]>",
        "#lowbit.quantized<f16>",
    ],
)
def test_leaves_other_encodings_alone(problem, encoding):
    values, inputs = problem
    term = encode(values, encoding)
    assert refit(term, values, inputs.T @ inputs) is term


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("scale", ["per tensor", "per [2, 40]"])
def test_ranges_of_several_rows_are_left_alone_in_one_row_too(problem, rows, scale):
    values, inputs = problem
    term = encode(values[:rows], f"#lowbit.quantized<int<4>, scale = f16 {scale}>")
    assert refit(term, values[:rows], inputs.T @ inputs) is term


def test_blocks_of_zeros_stay(problem):
    values, inputs = problem
    values = values.copy()
    values[3] = 0
    values[:, 32:64] = 0
    moments = inputs.T @ inputs
    term = refit(encode(values, ENCODINGS[0]), values, moments)
    decoded = term.decode(values.shape)
    assert np.isfinite(decoded).all() and not decoded[3].any() and not decoded[:, 32:64].any()


@pytest.mark.parametrize("order", ["natural", "falling"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_sweeps_only_lower_the_error(problem, encoding, order):
    values, inputs = problem
    moments = inputs.T @ inputs / len(inputs)
    damped = moments + np.eye(len(moments)) * 0.01 * np.trace(moments) / len(moments)
    errors = []
    for sweeps in (0, 1, 2, 6):
        term = GPTQ(order=order, sweeps=sweeps).encode(Weight("w", values, encoding, moments))
        errors.append(output_error(term.decode(values.shape) - values, damped))
    assert errors[1] < errors[0]
    assert all(b <= a * (1 + 1e-9) for a, b in zip(errors, errors[1:]))


def test_after_many_sweeps_no_single_code_is_better(problem):
    """A fixed point of coordinate descent, by trying every code of some places."""
    values, inputs = problem
    encoding = "#lowbit.quantized<int<2>, scale = f32 per axis 0>"
    moments = inputs.T @ inputs / len(inputs)
    damped = moments + np.eye(len(moments)) * 0.01 * np.trace(moments) / len(moments)
    term = GPTQ(sweeps=50).encode(Weight("w", values, encoding, moments))
    decoded = term.decode(values.shape).astype(np.float64)
    scale = term.components["scale"].astype(np.float64)
    for row, column in np.random.default_rng(2).integers(0, [12, 200], (60, 2)):
        best = output_error(decoded[row : row + 1] - values[row : row + 1], damped)
        for level in (-2, -1, 0, 1):
            changed = decoded[row : row + 1].copy()
            changed[0, column] = level * scale[row, 0]
            assert output_error(changed - values[row : row + 1], damped) >= best * (1 - 1e-6)
