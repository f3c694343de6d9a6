"""lowbit.precision.stages and statistics: what passes through a chain of stages, against numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from lowbit import Archive, Model, _lowbit
from lowbit.errors import LowbitError
from lowbit.precision import statistics
from lowbit.precision.sources import EncoderProgram, open_source
from lowbit.precision.stages import Calibration, StagedProgram
from lowbit.precision.statistics import KINDS, Statistics
from reference import GgufFile
from tiny_llama import Recorder, write_tiny_llama

pytestmark = pytest.mark.usefixtures("stages_compiled_once")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("tiny") / "tiny.gguf", biases=True, head=True)


def write_tokenizer(path: Path, truncation: int | None) -> Path:
    """Words to numbers, as an encoder's tokenizer.json has them."""
    import tokenizers

    words = {word: number for number, word in enumerate(["[UNK]", "light", "and", "darkness"])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    if truncation:
        tokenizer.enable_truncation(truncation)
    tokenizer.save(str(path))
    return path


@pytest.mark.parametrize("truncation, expected", [(None, [300, 3]), (128, [128, 3])])
def test_paragraphs_are_as_long_as_the_tokenizer_cuts_them(tiny, tmp_path, truncation, expected):
    """Longer ones would read positions that the program does not have."""
    program = ROOT / "models/minilm-l6.mlir"
    tokenizer = write_tokenizer(tmp_path / "tokenizer.json", truncation)
    source = EncoderProgram(program, tiny, tokenizer)
    text = "light and darkness " * 100 + "\n\n" + "light\nand light"
    assert [len(tokens) for tokens in source.sequences(text, 1000, 1024)] == expected
    assert [len(tokens) for tokens in source.sequences(text, 1000, 50)] == [50, 3]
    assert [len(tokens) for tokens in source.sequences(text, 130, 129)] == (
        [129, 1] if truncation is None else [128, 2]
    )
    with pytest.raises(LowbitError, match="the calibration text has 1 token"):
        source.sequences("light", 1000, 1024)


def tokens_of(*lengths: int) -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    return [generator.integers(0, 256, length) for length in lengths]


def run_numpy(path: Path, sequences: list[np.ndarray]) -> tuple[dict[str, np.ndarray], list]:
    """What enters each matrix [rows, inputs], and the logits of each sequence."""
    model = Recorder(GgufFile(path))
    entered: dict[str, list[np.ndarray]] = {}
    logits = []
    for tokens in sequences:
        model.reset()
        logits.append(model.forward(tokens))
        for key, values in model.entered.items():
            entered.setdefault(key, []).extend(values)
    return {key: np.concatenate(values) for key, values in entered.items()}, logits


def expected_statistics(x: np.ndarray) -> dict[str, np.ndarray]:
    x = x.astype(np.float64)
    return {
        "moments": x.T @ x / len(x),
        "squares": (x * x).mean(axis=0),
        "sums": x.mean(axis=0),
        "magnitudes": np.abs(x).mean(axis=0),
        "maxima": x.max(axis=0),
        "minima": x.min(axis=0),
    }


def histogram(x: np.ndarray) -> np.ndarray:
    """[32768] how many |x| have each high half of an f32."""
    return np.bincount((np.abs(np.float32(x)).view(np.uint32) >> 16).ravel(), minlength=1 << 15)


def run_stages(path: Path, staged: StagedProgram, sequences: list[np.ndarray]):
    """Statistics of all taps in order, and what the last stage gives."""
    archive, values, taps = Archive(str(path)), [None] * len(sequences), []
    for stage in staged.stages:
        keys = {*stage.parameters, *(key for feeds in stage.feeds for key in feeds)}
        weights = {key: archive.tensor_f32(key) for key in keys}
        here = [Statistics(feeds) for feeds in stage.feeds]
        values = [
            staged.run(stage, tokens, value, weights, here)
            for tokens, value in zip(sequences, values)
        ]
        for tap in here:
            tap.finish()
        taps += here
    return taps, values


def test_statistics_and_outputs_equal_numpys(tiny):
    sequences = tokens_of(64, 1, 17)
    staged = StagedProgram(open_source(str(tiny)).program(64), KINDS, output=True)
    taps, outputs = run_stages(tiny, staged, sequences)
    entered, logits = run_numpy(tiny, sequences)
    for found, expected in zip(outputs, logits):
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4)
    assert {key for tap in taps for key in tap.feeds} == {*entered, "output.weight"}
    assert [len(tap.feeds) for tap in taps] == [3, 1, 2, 1, 3, 1, 2, 1, 1]
    for tap in taps:
        assert tap.rows == 82
        if tap.name == "output.weight":
            continue  # numpy's model does not tell what enters it
        for kind, expected in expected_statistics(entered[tap.name]).items():
            limit = 1e-4 * np.abs(expected).max()
            np.testing.assert_allclose(tap.mean(kind), expected, rtol=1e-4, atol=limit)
        # What is computed in another order may cross the border of a bin.
        counted, expected = tap.mean("histogram"), histogram(entered[tap.name])
        assert counted.dtype == np.int64 and counted.sum() == entered[tap.name].size
        moved = np.abs(np.cumsum(counted - expected))
        assert moved.max() <= 3 + expected.max() / 20
        largest = np.abs(entered[tap.name]).max(axis=0)
        np.testing.assert_allclose(tap.largest, largest, rtol=1e-3, atol=1e-4)


def test_logits_are_the_models(tiny):
    (tokens,) = sequences = tokens_of(40)
    staged = StagedProgram(open_source(str(tiny)).program(64), ["sums"], output=True)
    _, (output,) = run_stages(tiny, staged, sequences)
    model = Model(tiny, activations="f32", kv_cache="f32", context_length=64)
    expected = np.concatenate(list(model.logits(tokens.tolist())))
    np.testing.assert_allclose(output, expected, rtol=0, atol=2e-4)


def test_calibration_goes_stage_by_stage(tiny):
    """With changed weights in a stage, its successors see what they compute."""
    sequences, archive = tokens_of(20, 33), Archive(str(tiny))
    calls = []
    calibration = Calibration(
        open_source(str(tiny)).program(64), ["moments"], sequences, progress=calls.append
    )
    seen = {}
    for stage in calibration.stages:
        keys = {*stage.parameters, *(key for feeds in stage.feeds for key in feeds)}
        weights = {key: archive.tensor_f32(key) for key in keys}
        seen |= {tap.name: tap.mean("moments") for tap in calibration.observe(weights)}
        if "blk.0.attn_output.weight" in weights:
            weights["blk.0.attn_output.weight"] *= 0.5
        calibration.advance(weights)
    assert calibration.position == len(calibration.stages)
    assert set(calls) == {0, 1}  # of two sequences: each is run twice for a stage

    def halve(name: str, weight: np.ndarray) -> np.ndarray:
        return weight * np.float32(0.5) if name == "blk.0.attn_output.weight" else weight

    model = Recorder(GgufFile(tiny), halve)
    entered: dict[str, list[np.ndarray]] = {}
    for tokens in sequences:
        model.reset()
        model.forward(tokens)
        for key, values in model.entered.items():
            entered.setdefault(key, []).extend(values)
    for name, moments in seen.items():
        if name in entered:
            expected = expected_statistics(np.concatenate(entered[name]))["moments"]
            limit = 1e-4 * np.abs(expected).max()
            np.testing.assert_allclose(moments, expected, rtol=1e-4, atol=limit)


def test_long_sums_are_kept_in_f64():
    """After 2,048 rows what was summed in f32 goes to f64; extremes go on."""
    tap, generator = Statistics(["w"]), np.random.default_rng(2)
    batches = [generator.normal(1000, 1, (700, 4)).astype(np.float32) for _ in range(20)]
    for x in batches:
        sums, maxima = tap.start("sums", (4,)), tap.start("maxima", (4,))
        assert sums.dtype == np.float32 and (np.abs(sums) < 3000 * 1001).all()
        tap.add({"sums": sums + x.sum(axis=0), "maxima": np.maximum(maxima, x.max(axis=0))}, 700)
    tap.finish()
    whole = np.concatenate(batches).astype(np.float64)
    assert tap.rows == len(whole) and tap.sums["sums"].dtype == np.float64
    np.testing.assert_allclose(tap.mean("sums"), whole.mean(axis=0), rtol=1e-6)
    assert np.array_equal(tap.mean("maxima"), whole.max(axis=0))


def make_statistics(kinds=KINDS) -> tuple[Statistics, np.ndarray]:
    x = np.random.default_rng(3).normal(size=(50, 6))
    expected = expected_statistics(x)
    expected["histogram"] = histogram(x)
    whole = ("maxima", "minima", "histogram")
    sums = {k: expected[k] * (1 if k in whole else 50) for k in kinds}
    return Statistics(["blk.0.up.weight", "gate"], 50, sums), x


def test_scaled_statistics_are_those_of_scaled_values():
    tap, x = make_statistics()
    factors = np.random.default_rng(4).uniform(0.1, 9, 6)
    for kind, expected in expected_statistics(x * factors).items():
        np.testing.assert_allclose(tap.scaled(factors).mean(kind), expected, rtol=1e-12)


def test_statistics_of_two_taps_are_those_of_all_their_rows():
    tap, x = make_statistics()
    y = np.random.default_rng(8).normal(2, 3, (30, 6))
    expected = expected_statistics(y) | {"histogram": histogram(y)}
    whole = ("maxima", "minima", "histogram")
    other = Statistics(["up"], 30, {k: v * (1 if k in whole else 30) for k, v in expected.items()})
    both = np.concatenate([x, y])
    joined = tap + other
    assert joined.rows == 80 and joined.feeds == tap.feeds
    for kind, wanted in expected_statistics(both).items():
        np.testing.assert_allclose(joined.mean(kind), wanted, rtol=1e-12)
    assert np.array_equal(joined.mean("histogram"), histogram(both))


def test_archives_of_statistics_come_back(tmp_path):
    path = str(tmp_path / "statistics.safetensors")
    one, _ = make_statistics()
    other = Statistics(["down"], 7, {"squares": np.full(3, 14.0)})
    statistics.write(path, [one, other])
    found = statistics.read(path)
    assert list(found) == ["blk.0.up.weight", "down"]
    assert found["blk.0.up.weight"].feeds == one.feeds and found["down"].rows == 7
    assert set(found["down"].sums) == {"squares"}
    for kind in KINDS:
        np.testing.assert_allclose(found[one.name].mean(kind), one.mean(kind), rtol=1e-6)
    assert found[one.name].mean("histogram").dtype == np.int64
    with pytest.raises(LowbitError, match="no moments were kept of the inputs of 'down'"):
        found["down"].mean("moments")
    with pytest.raises(LowbitError, match="no histogram was kept of the inputs of 'down'"):
        found["down"].histogram


@pytest.mark.parametrize(
    "record",
    [None, "", "{", "[]", "{}", '{"schema": 2, "taps": {}}', '{"schema": 1}', '{"schema": 1, "taps": {"a": {}}}', '{"schema": 1, "taps": {}}'],
)  # fmt: skip
def test_other_archives_are_refused(tmp_path, record):
    path = str(tmp_path / "other.safetensors")
    tensor = ("a.sums", [2], "", {"values": np.ones(2, np.float32)})
    _lowbit.write_archive(path, {} if record is None else {"lowbit.statistics": record}, [tensor])
    with pytest.raises(LowbitError, match="other.safetensors: (this is no archive of statistics|tensor 'a.sums' belongs to no tap)"):  # fmt: skip
        statistics.read(path)


def test_values_that_are_not_finite_are_told():
    tap, _ = make_statistics()
    tap.check()
    tap.sums["moments"][2, 2] = np.nan
    with pytest.raises(LowbitError, match="the moments of the inputs of 'blk.0.up.weight' are not"):
        tap.check()
