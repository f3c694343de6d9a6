"""lowbit.encode() with second moments: GPTQ's codes, for any encoding that is taken column by column."""

import sys
from pathlib import Path

import numpy as np
import pytest

import lowbit

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from gptq import GROUP, numpy_codes  # noqa: E402

INT4 = "#lowbit.quantized<int<4>, scale = f32 per [1, 32]>"
INT3 = "#lowbit.quantized<int<3>, scale = f32 per axis 0>"
ENCODINGS = [
    INT4,
    INT3,
    "#lowbit.quantized<uint<4>, scale = f16 per [1, 32], zero = uint<4> per [1, 32]>",
    "#lowbit.quantized<codebook<nf4>, scale = f32 per [1, 64]>",
    "#lowbit.quantized<e2m1, scale = e8m0 per [1, 32]>",
    "#lowbit.quantized<e2m1, scale = f32 per tensor * e4m3 per [1, 16]>",
]


def correlated(generator, count: int, columns: int) -> np.ndarray:
    """Inputs [count, columns] of few directions that matter, as those of a layer are."""
    mix = generator.normal(size=(columns, columns)) * np.exp2(-np.arange(columns) / 12)
    return generator.normal(size=(count, columns)) @ mix.T


def decoded(w: np.ndarray, encoding: str, **options) -> np.ndarray:
    return lowbit.decode(encoding, w.shape, lowbit.encode(w, encoding, **options))


def gptq(w: np.ndarray, h: np.ndarray, bits: int, group: int, damping: float) -> np.ndarray:
    """The paper's algorithm 1 with symmetric integers, column by column, by explicit inverses in float64: decoded values."""
    w, n = w.astype(np.float64), w.shape[1]
    h = h + damping * np.mean(np.diag(h)) * np.eye(n)
    result = np.zeros_like(w)
    limit = 2 ** (bits - 1) - 1
    for j in range(n):
        if j % group == 0:
            largest = np.abs(w[:, j : j + group].astype(np.float32)).max(1)
            scale = (largest / np.float32(limit)).astype(np.float32)
        codes = np.clip(np.rint(w[:, j].astype(np.float32) / scale), -limit - 1, limit)
        result[:, j] = codes.astype(np.float32) * scale
        # The best change of the free columns, given this column's error.
        inverse = np.linalg.inv(h[j:, j:])
        w[:, j:] -= np.outer((w[:, j] - result[:, j]) / inverse[0, 0], inverse[0])
    return result


@pytest.mark.parametrize("group, encoding, bits", [(32, INT4, 4), (96, INT3, 3)])
def test_are_the_papers(group: int, encoding: str, bits: int) -> None:
    generator = np.random.default_rng(1)
    w = generator.normal(size=(40, 96)).astype(np.float32)
    x = correlated(generator, 500, 96)
    h = x.T @ x
    expected = gptq(w, h, bits, group, 0.01)
    found = decoded(w, encoding, second_moments=h)
    # A near-tie that falls to the other side changes the rest of its row.
    same = np.isclose(found, expected, rtol=1e-6, atol=1e-7).all(1)
    assert same.mean() > 0.9
    assert not np.array_equal(found, decoded(w, encoding))


@pytest.mark.parametrize("by_inverse", [True, False], ids=["inverse", "LDL"])
@pytest.mark.parametrize("bits", [3, 4])
@pytest.mark.parametrize("shape", [(45, 96), (70, 416)])
def test_are_those_of_numpy(shape: tuple[int, int], bits: int, by_inverse: bool) -> None:
    """Those of the benchmark's peer, LAPACK in float64, where scales are searched for in numbers that errors were carried to."""
    generator = np.random.default_rng(9)
    w = generator.normal(size=shape).astype(np.float32)
    x = correlated(generator, 2 * shape[1], shape[1])
    h = x.T @ x
    codes, scales = numpy_codes(w, h, bits, by_inverse)
    encoding = f"#lowbit.quantized<int<{bits}>, scale = f16 per [1, {GROUP}], rule = mse>"
    found = decoded(w, encoding, second_moments=h)
    expected = (codes * np.repeat(scales.astype(np.float32), GROUP, axis=0)).T
    assert (found == expected).all(1).mean() > 0.9
    assert not np.array_equal(found, decoded(w, encoding))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_are_nearest_without_correlation(encoding: str) -> None:
    w = np.random.default_rng(2).normal(size=(8, 128)).astype(np.float32)
    for order in ("natural", "falling"):
        found = lowbit.encode(w, encoding, second_moments=3 * np.eye(128), order=order)
        for name, array in lowbit.encode(w, encoding).items():
            assert np.array_equal(found[name], array), name


@pytest.mark.parametrize("order", ["natural", "falling"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_products_change_less(encoding: str, order: str) -> None:
    generator = np.random.default_rng(3)
    w = generator.normal(size=(16, 128)).astype(np.float32)
    x = correlated(generator, 400, 128)

    def error(values: np.ndarray) -> float:
        return float(np.square(x @ (values - w).T).sum())

    feedback = decoded(w, encoding, second_moments=x.T @ x, order=order)
    assert error(feedback) < 0.7 * error(decoded(w, encoding))


def test_over_a_thousand_problems() -> None:
    generator = np.random.default_rng(4)
    ratios = []
    for _ in range(1000):
        x = correlated(generator, 256, 64)
        w = generator.normal(size=(1, 64)).astype(np.float32)
        near, feedback = (
            np.square(x @ (values - w).T).sum()
            for values in (decoded(w, INT3), decoded(w, INT3, second_moments=x.T @ x))
        )
        ratios.append(feedback / near)
    assert np.median(ratios) <= 0.7
    assert np.mean(np.array(ratios) > 1) < 0.05


def test_error_is_that_of_the_damped_moments() -> None:
    generator = np.random.default_rng(5)
    w = generator.normal(size=(70, 160)).astype(np.float32)
    x = correlated(generator, 300, 160)
    h = x.T @ x
    components, error = lowbit._lowbit.encode_with_feedback(w, INT4, h, 0.02, False)
    e = lowbit.decode(INT4, w.shape, components).astype(np.float64) - w
    damped = h + 0.02 * np.diag(h).mean() * np.eye(160)
    assert np.isclose(error, np.einsum("ij,jk,ik->", e, damped, e), rtol=1e-4)


def test_moments_of_few_inputs_are_damped_until_they_serve() -> None:
    generator = np.random.default_rng(6)
    w = generator.normal(size=(4, 64)).astype(np.float32)
    x = generator.normal(size=(3, 64))
    assert np.isfinite(decoded(w, INT4, second_moments=x.T @ x, damping=0.0)).all()
    # Inputs that are all zero ask for nothing.
    assert np.array_equal(decoded(w, INT4, second_moments=np.zeros((64, 64))), decoded(w, INT4))
    h = np.cov(generator.normal(size=(64, 500)))
    h[5] = h[:, 5] = 0
    assert np.isfinite(decoded(w, INT4, second_moments=h)).all()


@pytest.mark.parametrize("rows", [1, 33, 100])
def test_rows_do_not_depend_on_one_another(rows: int) -> None:
    generator = np.random.default_rng(7)
    w = generator.normal(size=(rows, 96)).astype(np.float32)
    x = correlated(generator, 300, 96)
    whole = decoded(w, INT4, second_moments=x.T @ x)
    for row in (0, rows - 1):
        alone = decoded(w[row : row + 1], INT4, second_moments=x.T @ x)
        assert np.array_equal(whole[row : row + 1], alone)


def test_empty_and_ragged() -> None:
    assert lowbit.encode(np.zeros((0, 32), np.float32), INT4, second_moments=np.eye(32))[
        "codes"
    ].shape == (0, 16)
    generator = np.random.default_rng(8)
    w = generator.normal(size=(3, 50)).astype(np.float32)
    x = correlated(generator, 200, 50)
    assert np.abs(decoded(w, INT4, second_moments=x.T @ x) - w).max() < 2


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(second_moments=np.eye(8)), "second moments, not"),
        (dict(second_moments=-np.eye(32)), "have -1"),
        (dict(second_moments=np.eye(32) * np.nan), "have nan"),
        (dict(second_moments=np.eye(32) + np.eye(32, k=1)), "not symmetric"),
        (dict(second_moments=np.eye(32), damping=-1), "damping is from 0 to 1"),
        (dict(second_moments=np.eye(32), order="random"), "unknown order 'random'"),
        (dict(second_moments=np.eye(32) - 20), "have -19"),
        (dict(second_moments=np.eye(32) + 20 * (1 - np.eye(32)) * (-1) ** np.add.outer(range(32), range(32))), "not positive definite"),
    ],
)  # fmt: skip
def test_says_what_is_wrong(change: dict, message: str) -> None:
    with pytest.raises(lowbit.LowbitError, match=message):
        lowbit.encode(np.ones((2, 32), np.float32), INT4, **change)


@pytest.mark.parametrize(
    "encoding, message",
    [
        ("#lowbit.sum<#lowbit.quantized<int<3>, scale = f16 per [1, 32]>, #lowbit.sparse<f16, density = 0.01>>", "one '#lowbit.quantized'"),
        ("#lowbit.quantized<int<4>, scale = f32 per [1, 32], rounding = stochastic<3>>", "stochastic rounding"),
    ],
)  # fmt: skip
def test_names_encodings_that_do_not_serve(encoding: str, message: str) -> None:
    with pytest.raises(lowbit.LowbitError, match=message):
        lowbit.encode(np.ones((2, 256), np.float32), encoding, second_moments=np.eye(256))


def test_names_a_value_that_is_not_finite() -> None:
    w = np.ones((2, 32), np.float32)
    w[1, 7] = np.nan
    with pytest.raises(lowbit.LowbitError, match="row 1, column 7 is not finite"):
        lowbit.encode(w, INT4, second_moments=np.eye(32))
