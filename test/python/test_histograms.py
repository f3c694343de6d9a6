"""Histograms of taps: percentiles against numpy, of values of any kind, and counts that lose nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lowbit import Archive
from lowbit.errors import LowbitError
from lowbit.precision import statistics
from lowbit.precision.bounds import choose_bound
from lowbit.precision.calibrate import calibrate
from lowbit.precision.histogram import Histogram
from lowbit.precision.sources import open_source
from lowbit.precision.stages import StagedProgram
from lowbit.precision.statistics import Statistics
from test_calibration import histogram, run_numpy

PERCENTS = [0, 0.01, 1, 25, 50, 90, 99, 99.9, 99.99, 100]
TAP = """
func.func @main(%x: tensor<?x8xf32>, %y: tensor<?x4xf32>) -> tensor<?x4xf32>
    attributes {lowbit.entry, lowbit.updates = array<i64: 1>} {
  %w = lowbit.parameter "w" : tensor<4x8xf32>
  %r = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%x, %w : tensor<?x8xf32>, tensor<4x8xf32>) outs(%y : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %r : tensor<?x4xf32>
}"""


@pytest.fixture(scope="module")
def staged() -> StagedProgram:
    return StagedProgram(TAP, ["histogram"])


def observe(staged: StagedProgram, *parts: np.ndarray) -> Statistics:
    """Of x [rows, 8], part by part: the program's entry, called as a stage is."""
    (stage,) = staged.stages
    tap = Statistics(stage.feeds[0])
    for x in parts:
        inputs = []
        for argument, kind in zip(stage.arguments, stage.types):
            inputs.append(x if argument == "argument 0" else np.zeros((4, 8), np.float32))
        counts = tap.start("histogram", (1 << 15,), np.int64)
        *_, counts = staged._program.run(stage.function, [*inputs, counts])
        tap.add({"histogram": counts}, len(x))
    tap.finish()
    return tap


def values(kind: str) -> np.ndarray:
    generator = np.random.default_rng(1)
    x = generator.normal(size=(900, 8)).astype(np.float32)
    if kind == "outliers":
        x[:, 3] *= 3000
    if kind == "zeros":
        x[generator.random(x.shape) < 0.7] = 0
        x[::2] *= -0.0
    if kind == "wide":
        x = np.float32(np.exp(generator.uniform(-80, 80, x.shape))) * np.sign(x)
    if kind == "denormal":
        x *= np.float32(2.0**-128)
    if kind == "largest":
        x[5, 5] = np.finfo(np.float32).max
    if kind == "powers":
        x = np.exp2(generator.integers(-126, 127, x.shape)).astype(np.float32)
    return x


@pytest.mark.parametrize("kind", ["normal", "outliers", "zeros", "wide", "denormal", "largest", "powers"])  # fmt: skip
def test_percentiles_are_numpys(staged, kind):
    x = values(kind)
    tap = observe(staged, x[:300], x[300:])
    tap.check()
    assert np.array_equal(tap.sums["histogram"], histogram(x))
    for percent in PERCENTS:
        expected = np.percentile(np.abs(x.astype(np.float64)), percent, method="inverted_cdf")
        found = tap.histogram.percentile(percent)
        assert abs(found - expected) <= max(expected * 2.0**-8, 2.0**-133), percent


@pytest.mark.parametrize("bits", [10, 13, 15])
def test_histograms_of_parts_add_up(bits):
    x = np.random.default_rng(4).standard_t(3, 20000).astype(np.float32)
    found = sum((Histogram.of(part, 1 << bits) for part in np.array_split(x, 3)), Histogram.of(x[:0], 1 << bits))  # fmt: skip
    assert found.counts.sum() == x.size and found.largest == np.abs(x).max() and found.finite
    for percent in PERCENTS:
        rank = max(1, int(np.ceil(percent * x.size / 100)))
        expected = np.sort(np.abs(x))[rank - 1]
        assert found.percentile(percent) == pytest.approx(expected, rel=2.0 ** (7 - bits))

    def error(bound: float) -> float:
        return float(((np.clip(np.rint(x / bound * 7), -7, 7) * bound / 7 - x) ** 2).sum())

    least = min(error(np.abs(x).max() * 2.0 ** (-n / 64)) for n in range(512))
    assert error(choose_bound(found, 7, "mse", 100)) <= 1.02 * least


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_histograms_know_what_is_not_finite(number):
    found = Histogram.of(np.array([1, number, -2], np.float32), 1 << 13)
    assert not found.finite and found.bins[2].sum() == 2


def test_a_permutation_of_channels_keeps_the_histogram():
    x = values("outliers")
    sums = {"maxima": x.max(axis=0), "minima": x.min(axis=0), "histogram": histogram(x)}
    order = np.array([3, 0, 1, 2, 7, 6, 5, 4])
    tap = Statistics(["w"], len(x), sums).permuted(order)
    assert np.array_equal(tap.largest, np.abs(x[:, order]).max(axis=0))
    assert np.array_equal(tap.histogram.counts, histogram(x))


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_is_refused(staged, number):
    x = values("normal")
    x[17, 2] = number
    with pytest.raises(LowbitError, match="the histogram of the inputs of '.*' are not finite"):
        observe(staged, x).check()


def test_counts_go_on_beyond_what_f32_holds(staged):
    tap = Statistics(["w"])
    before = np.zeros(1 << 15, np.int64)
    before[0x3F80] = 2**24
    tap.add({"histogram": before}, 1)
    (stage,) = staged.stages
    ones = [np.ones((1, 8), np.float32) if a == "argument 0" else np.zeros((4, 8), np.float32) for a in stage.arguments]  # fmt: skip
    *_, counts = staged._program.run(stage.function, [*ones, tap.start("histogram", (1 << 15,))])
    tap.add({"histogram": counts}, 1)
    tap.finish()
    assert tap.sums["histogram"][0x3F80] == 2**24 + 8 and tap.sums["histogram"].sum() == 2**24 + 8
    assert tap.histogram.percentile(50) == pytest.approx(1, rel=2.0**-8)


@pytest.mark.parametrize("percent", [-1, 100.5, float("nan")])
def test_percents_that_are_none(percent):
    with pytest.raises(LowbitError, match="there is no percentile"):
        Histogram(np.ones(1 << 15, np.int64)).percentile(percent)


def test_the_byte_models_percentiles(byte_model_path: Path, byte_model_held_out, tmp_path):
    """From `lowbit calibrate` through its archive, of real text, against the model in numpy."""
    text = byte_model_held_out[:600].decode()
    output = str(tmp_path / "statistics.safetensors")
    source = open_source(str(byte_model_path))
    calibrate(source, output, text, ["maxima", "minima", "histogram"], length=128)
    found = statistics.read(output)
    sequences = source.sequences(text, 32768, 128)
    entered, _ = run_numpy(byte_model_path, sequences)
    taps = [tap for tap in found.values() if tap.name in entered]
    assert len(taps) >= 8 and Archive(output).components(taps[0].name + ".histogram")["values"].dtype == np.int64  # fmt: skip
    for tap in taps:
        x = np.abs(entered[tap.name].astype(np.float64))
        assert tap.mean("histogram").sum() == x.size
        for percent in (50, 90, 99, 99.9):
            # numpy's model adds in another order.
            expected = np.percentile(x, percent, method="inverted_cdf")
            assert tap.histogram.percentile(percent) == pytest.approx(
                expected, rel=2.0**-8 + 1e-3
            ), tap.name
        assert tap.histogram.percentile(100) == pytest.approx(tap.largest.max(), rel=2.0**-8)
