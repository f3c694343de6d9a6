"""The steps of lowbit.precision that change or choose one weight, against numpy on inputs that correlate."""

from __future__ import annotations

import numpy as np
import pytest
from lowbit import _lowbit
from lowbit.errors import LowbitError
from lowbit.precision.outliers import ColumnOutliers, LowRank, SparseOutliers, best_low_rank
from lowbit.precision.quantizers import GPTQ, Clip, Nearest, finest_width
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
    fisher = np.tile(np.diag(h), (ROWS, 1)).astype(np.float32)  # as if all outputs mattered alike
    return Weight("w", values, encoding, h, np.abs(inputs).max(axis=0), fisher)


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


@pytest.mark.parametrize("quantizer", [Nearest(), GPTQ()])
@pytest.mark.parametrize("step", [ColumnOutliers(density=0.06), ColumnOutliers(0.06, "range")])
def test_columns_are_the_least_squares(inputs, step, quantizer):
    weight = make_weight(inputs)
    decoded = finish(weight, step, quantizer=quantizer).decode(weight.shape)
    columns = weight.free_columns
    assert len(columns) == 8
    base = quantizer.encode(weight).decode(weight.shape)
    assert not base[:, columns].any() and np.array_equal(
        np.delete(decoded, columns, axis=1), np.delete(base, columns, axis=1)
    )
    x = inputs.astype(np.float64)
    expected, *_ = np.linalg.lstsq(x[:, columns], x @ (weight.values - base).T, rcond=None)
    np.testing.assert_allclose(decoded[:, columns], expected.T, rtol=2e-3, atol=2e-3)
    # Better than as they were.
    assert error(weight, decoded) < error(weight, base + _kept(weight, columns))


def _kept(weight: Weight, columns: np.ndarray) -> np.ndarray:
    """The columns as they were."""
    kept = np.zeros_like(weight.values)
    kept[:, columns] = weight.values[:, columns]
    return kept


def test_columns_are_those_that_cost_most(inputs):
    weight = make_weight(inputs)
    ColumnOutliers(density=0.06).apply(weight)
    rounded = encode(weight.values, INT4).decode(weight.shape)
    cost = [
        np.square(inputs[:, [j]] @ (rounded - weight.values)[:, [j]].T).sum()
        for j in range(COLUMNS)
    ]
    assert set(weight.free_columns) == set(np.argsort(cost)[-8:])
    by_range = make_weight(inputs)
    ColumnOutliers(density=0.06, by="range").apply(by_range)
    assert set(by_range.free_columns) == set(np.argsort(np.abs(inputs).max(axis=0))[-8:])
    few = make_weight(inputs)
    ColumnOutliers(density=0.5, by="range", threshold=20).apply(few)
    largest = np.abs(inputs).max(axis=0)
    assert set(few.free_columns) == set(np.flatnonzero(largest >= 20 * np.median(largest)))
    assert 0 < len(few.free_columns) < 10


def test_the_bases_moments_are_what_columns_cannot_make_up_for(inputs):
    """The Schur complement: the least that is left of an error in the others, whatever the columns set apart are."""
    weight = make_weight(inputs)
    columns = np.array([3, 9, 70])
    weight.set_apart(columns)
    rest = np.setdiff1d(np.arange(COLUMNS), columns)
    change = np.random.default_rng(5).normal(size=(4, COLUMNS))
    change[:, columns] = 0
    target = inputs[:, rest] @ change[:, rest].T
    found, *_ = np.linalg.lstsq(inputs[:, columns], target, rcond=None)
    left = np.square(target - inputs[:, columns] @ found).sum() / len(inputs)
    assert np.isclose(output_error(change, weight.base_moments), left, rtol=1e-3)


def test_low_rank_is_the_best():
    generator = np.random.default_rng(6)
    w = generator.normal(size=(6, 8)).astype(np.float32)
    u, s, v = np.linalg.svd(w.astype(np.float64))
    plain = best_low_rank(w, np.eye(8), 2)
    np.testing.assert_allclose(plain, (u[:, :2] * s[:2]) @ v[:2], rtol=1e-4, atol=1e-5)

    x = correlated(generator, 200, 8) * [5, 1, 1, 1, 0.2, 1, 1, 3]
    h = x.T @ x / len(x)
    found = best_low_rank(w, h, 2)
    assert np.linalg.matrix_rank(found, tol=1e-4) == 2
    least = output_error(w - found, h)
    assert least < output_error(w - plain.astype(np.float32), h)
    # Alternating least squares from many beginnings: none comes below.
    reached = []
    for _ in range(20):
        right = generator.normal(size=(2, 8))
        for _ in range(300):
            left = w @ h @ right.T @ np.linalg.inv(right @ h @ right.T)
            right = np.linalg.inv(left.T @ left) @ left.T @ w
        reached.append(output_error(w - left @ right, h))
    assert min(reached) > 0.99 * least
    assert min(reached) < 1.01 * least  # and some reach it


@pytest.mark.parametrize("rank", [1, 5, 1000])
def test_branches_have_their_rank(inputs, rank):
    weight = make_weight(inputs)
    LowRank(rank=rank).apply(weight)
    (term,) = weight.terms
    kept = min(rank, ROWS)
    assert f"rank = {kept}," in term.encoding
    assert sum(a.nbytes for a in term.components.values()) == 2 * kept * (ROWS + COLUMNS)
    assert np.linalg.matrix_rank(term.decode(weight.shape), tol=1e-3) == kept
    np.testing.assert_allclose(weight.base + term.decode(weight.shape), weight.values, atol=1e-6)


def test_a_branch_of_the_error_helps_rounding_to_nearest(inputs):
    weight = make_weight(inputs)
    branch = finish(weight, LowRank(rank=8, of="error"), quantizer=Nearest())
    plain = encode(weight.values, INT4).decode(weight.shape)
    assert error(weight, branch.decode(weight.shape)) < 0.7 * error(weight, plain)


@pytest.mark.parametrize("by", ["sensitivity", "moments", "magnitude"])
def test_sparse_outliers_are_kept(inputs, by):
    weight = make_weight(inputs)
    values = weight.values.copy()
    SparseOutliers(density=0.02, by=by).apply(weight)
    (term,) = weight.terms
    kept = term.decode(weight.shape)
    count = int(0.02 * values.size)
    assert np.count_nonzero(kept) == count == 122
    places = kept != 0
    assert np.array_equal(kept[places], values[places].astype(np.float16).astype(np.float32))
    np.testing.assert_allclose(weight.base[~places], values[~places])
    assert np.abs(weight.base[places]).max() < 2e-3 * np.abs(values).max()
    if by == "magnitude":
        assert np.abs(values[places]).min() >= np.abs(values[~places]).max()
    if by == "moments":
        score = values**2 * np.mean(inputs**2, axis=0)
        assert score[places].min() >= score[~places].max() * (1 - 1e-5)
    if by == "sensitivity":
        h = weight.moments + 0.01 * np.trace(weight.moments) / COLUMNS * np.eye(COLUMNS)
        rounded = encode(values, INT4).decode(values.shape)
        score = (values - rounded) ** 2 / np.diag(np.linalg.inv(h))
        assert score[places].min() >= score[~places].max() * (1 - 1e-3)


def test_no_outliers_change_nothing(inputs):
    weight = make_weight(inputs)
    term = finish(weight, SparseOutliers(density=0), ColumnOutliers(density=0))
    assert term.encoding == INT4 and not weight.decisions


@pytest.mark.parametrize(
    "encoding",
    [
        INT4,
        "#lowbit.quantized<int<3>, scale = f32 per axis 0>",
        "#lowbit.quantized<int<2>, scale = f16 per [1, 40]>",
        "#lowbit.quantized<uint<4>, scale = f16 per [1, 32], zero = uint<4> per [1, 32]>",
    ],
)
@pytest.mark.parametrize("by", ["error", "mse"])
def test_clipping_is_never_worse_in_its_own_measure(inputs, encoding, by):
    width = finest_width(encoding, COLUMNS)
    importance = np.mean(inputs**2, axis=0) if by == "error" else np.ones(COLUMNS, np.float32)
    gains = []
    for seed in range(5):
        weight = make_weight(inputs, encoding, seed)
        plain = (encode(weight.values, encoding).decode(weight.shape) - weight.values) ** 2
        Clip(by=by).apply(weight)
        assert np.abs(weight.base).max() <= np.abs(weight.values).max()
        cut = (encode(weight.base, encoding).decode(weight.shape) - weight.values) ** 2
        starts = np.arange(0, COLUMNS, width)
        before, after = (
            np.add.reduceat(e * importance, starts, axis=1).astype(np.float64) for e in (plain, cut)
        )
        assert (after <= before * (1 + 1e-5)).all()
        gains.append(after.sum() / before.sum())
    assert np.mean(gains) < 0.98


@pytest.mark.parametrize("percent", [50, 90, 99, 100])
@pytest.mark.parametrize("width", [32, 40, COLUMNS])
def test_clipping_by_percentile_cuts_to_a_magnitude_of_its_block(inputs, width, percent):
    weight = make_weight(inputs, f"#lowbit.quantized<int<4>, scale = f16 per [1, {width}]>")
    Clip(by="percentile", percentile=percent).apply(weight)
    clipped = 0
    for start in range(0, COLUMNS, width):
        block = weight.values[:, start : start + width]
        rank = max(1, int(np.ceil(percent * block.shape[1] / 100)))
        limit = np.sort(np.abs(block), axis=1)[:, rank - 1 : rank]
        expected = np.clip(block, -limit, limit)
        assert np.array_equal(weight.base[:, start : start + width], expected)
        clipped += (limit < np.abs(block).max(axis=1, keepdims=True)).sum()
    blocks = ROWS * len(range(0, COLUMNS, width))
    assert weight.decisions == [f"{clipped / blocks:.0%} of the blocks clipped"]


def test_blocks_have_the_width_of_the_finest_scale():
    assert finest_width(INT4, 128) == 32
    assert finest_width("#lowbit.quantized<int<4>, scale = f16 per axis 0>", 96) == 96
    two = "#lowbit.quantized<e2m1, scale = f32 per tensor * e4m3 per [1, 16]>"
    assert finest_width(two, 128) == 16
    for encoding in ("#lowbit.quantized<f16>", "#lowbit.quantized<int<4>, scale = f16 per tensor>"):
        assert finest_width(encoding, 128) is None


def test_numbers_without_scales_are_not_clipped(inputs):
    weight = make_weight(inputs, "#lowbit.quantized<f16>")
    Clip().apply(weight)
    assert weight.base is weight.values and weight.decisions[0].startswith("not clipped: ")


@pytest.mark.parametrize("order", ["natural", "falling"])
def test_gptq_is_nearest_without_correlation(inputs, order):
    weight = make_weight(inputs, moments=np.eye(COLUMNS))
    found = GPTQ(order=order).encode(weight)
    expected = Nearest().encode(weight)
    for name, array in expected.components.items():
        assert np.array_equal(found.components[name], array)


LOCAL = [name for name in RECIPES if name not in ("rtn", "mixed", "rotate", "smoothquant")]


@pytest.mark.parametrize("name", LOCAL)
def test_recipes_are_better_than_nearest(inputs, name):
    """What they do to one weight."""
    recipe = RECIPES[name]
    steps = [step for step in recipe.steps[:-1] if isinstance(step, WeightStep)]
    weight = make_weight(inputs, recipe.weights)
    term = finish(weight, *steps, quantizer=recipe.steps[-1])
    plain = encode(weight.values, recipe.weights).decode(weight.shape)
    decoded = term.decode(weight.shape)
    assert error(weight, decoded) < 0.9 * error(weight, plain)
    announced = _lowbit.encoded_bytes(term.encoding, list(weight.shape))  # not of sparse terms
    assert announced in (None, sum(array.nbytes for array in term.components.values()))
    assert decoded.shape == weight.shape and np.isfinite(decoded).all()


def test_weights_that_are_not_finite_are_told(inputs):
    values = np.ones((2, COLUMNS), np.float32)
    values[1, 3] = np.nan
    with pytest.raises(LowbitError, match="tensor 'w' has numbers that are not finite") as caught:
        Weight("w", values, INT4, np.eye(COLUMNS))
    assert caught.value.hint


def test_zeros_stay_zeros(inputs):
    for recipe in RECIPES.values():
        steps = [step for step in recipe.steps[:-1] if isinstance(step, WeightStep)]
        zeros = np.zeros((ROWS, COLUMNS), np.float32)
        weight = Weight("w", zeros, recipe.weights, np.zeros((COLUMNS, COLUMNS)), zeros[0], zeros)
        term = finish(weight, *steps, quantizer=recipe.steps[-1])
        assert not term.decode(weight.shape).any(), recipe.name


NO_ZERO = ["#lowbit.quantized<codebook<binary>, scale = f16 per [1, 32]>", "#lowbit.quantized<uint<2>, scale = f16 per [1, 32], min = f16 per [1, 32]>"]  # fmt: skip


@pytest.mark.parametrize("encoding", NO_ZERO)
def test_single_outliers_make_up_for_levels_without_zero(inputs, encoding):
    """As an encode of the sum has it (docs/Numerics.md): the sparse term has what the base leaves."""
    weight = make_weight(inputs, encoding)
    step = SparseOutliers(density=0.02, by="magnitude")
    decoded = finish(weight, step, quantizer=Nearest()).decode(weight.shape)
    places = weight.find_sparse()
    assert places.sum() == int(0.02 * weight.values.size)
    np.testing.assert_allclose(decoded[places], weight.values[places], rtol=2e-3)
