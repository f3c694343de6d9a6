"""The steps of lowbit.precision that change or choose one weight, against numpy on inputs that correlate."""

from __future__ import annotations

import numpy as np
import pytest
from lowbit import _lowbit
from lowbit.errors import LowbitError
from lowbit.precision.outliers import ColumnOutliers, LowRank, SparseOutliers, best_low_rank
from lowbit.precision.quantizers import GPTQ, Clip, Nearest, block_width
from lowbit.precision.recipes import RECIPES
from lowbit.precision.steps import WeightStep
from lowbit.precision.weights import Weight, encode, output_error
from test_gptq import correlated

INT4 = "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>"
INT3 = "#lowbit.quantized<int<3>, scale = f16 per [1, 32], rule = mse>"
ROWS, COLUMNS = 48, 128


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    """[400, COLUMNS], with two channels that stand out."""
    x = correlated(np.random.default_rng(1), 400, COLUMNS)
    x[:, [9, 70]] *= 30
    return x


def make_weight(inputs: np.ndarray, encoding: str = INT4, seed: int = 2, moments=None) -> Weight:
    values = np.random.default_rng(seed).standard_t(4, (ROWS, COLUMNS)).astype(np.float32)
    h = inputs.T @ inputs / len(inputs) if moments is None else moments
    return Weight("w", values, encoding, h, np.abs(inputs).max(axis=0))


def finish(weight: Weight, *steps: WeightStep, quantizer=GPTQ()):
    for step in steps:
        step.apply(weight)
    return weight.finish(quantizer.encode(weight))


def error(weight: Weight, decoded: np.ndarray) -> float:
    return output_error(decoded - weight.values, weight.moments)


def test_columns_set_apart_twice_are_all_stored(inputs):
    weight = make_weight(inputs)
    decoded = finish(
        weight, ColumnOutliers(density=0.05), ColumnOutliers(density=0.05, by="range")
    ).decode(weight.shape)
    assert 7 < len(weight.free_columns) <= 14 and {9, 70} <= set(weight.free_columns)
    one = make_weight(inputs)
    assert error(weight, decoded) < error(
        one, finish(one, ColumnOutliers(density=0.05)).decode(one.shape)
    )


@pytest.mark.parametrize(
    "step", [SparseOutliers(), SparseOutliers(by="magnitude"), ColumnOutliers()]
)
def test_what_f16_cannot_hold_is_told(inputs, step):
    weight = make_weight(inputs)
    weight.values[3, 5] = 1e9
    with pytest.raises(LowbitError, match="tensor 'w'.*f16") as caught:
        finish(weight, step)
    assert caught.value.hint
