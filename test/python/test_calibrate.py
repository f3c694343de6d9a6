"""lowbit.precision.calibrate and `lowbit calibrate`: statistics of the float model as an archive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lowbit.cli import main
from lowbit.errors import LowbitError
from lowbit.precision import statistics
from lowbit.precision.calibrate import calibrate
from lowbit.precision.gradients import Gradients
from lowbit.precision.sources import open_source
from lowbit.precision.stages import Calibration
from tiny_llama import TEXT, write_tiny_llama

pytestmark = pytest.mark.usefixtures("stages_compiled_once")
KINDS = ["moments", "sums", "maxima", "minima"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("tiny") / "tiny.gguf", head=True)


def test_has_what_the_float_models_taps_keep(tiny, tmp_path):
    output = str(tmp_path / "statistics.safetensors")
    source = open_source(str(tiny))
    described = calibrate(source, output, TEXT, KINDS, length=100)
    found = statistics.read(output)
    assert [tap.name for tap in described] == list(found)
    chain = Calibration(source.program(100), KINDS, source.sequences(TEXT, 32768, 100))
    while chain.position < len(chain.stages):
        weights = {t.name: source.archive.tensor_f32(t.name) for t in source.archive.tensors}
        for tap in chain.observe(weights):
            assert found[tap.name].feeds == tap.feeds and found[tap.name].rows == tap.rows > 100
            for kind in KINDS:
                np.testing.assert_allclose(found[tap.name].mean(kind), tap.mean(kind), rtol=1e-6)
        chain.advance(weights)
    assert not (tmp_path / "statistics.safetensors.partial").exists()


@pytest.mark.parametrize("kinds", [["fisher"], ["sums", "fisher"]])
def test_fisher_information(tiny, tmp_path, kinds):
    output = str(tmp_path / "statistics.safetensors")
    source = open_source(str(tiny))
    calibrate(source, output, TEXT, kinds, length=100)
    sequences = source.sequences(TEXT, 32768, 100)
    expected = dict(Gradients(source, 100, sequences).fisher())
    found = statistics.read(output)
    assert len(found) == 9  # two layers of 4 taps, and the head's
    for tap in found.values():
        assert list(tap.sums) == [kind for kind in kinds if kind != "fisher"]
        assert list(tap.fisher) == tap.feeds and tap.rows == sum(map(len, sequences))
        for key, diagonal in tap.fisher.items():
            np.testing.assert_array_equal(diagonal, expected.pop(key))
    assert not expected and list(tmp_path.iterdir()) == [Path(output)]


@pytest.mark.parametrize("stop", [3, 12])
def test_an_interrupted_run_goes_on(tiny, tmp_path, stop):
    whole, parts = (str(tmp_path / name) for name in ("whole.safetensors", "parts.safetensors"))
    source = open_source(str(tiny))
    calibrate(source, whole, TEXT, KINDS, length=100)
    calls = []

    def interrupt(done: int, total: int, what: str) -> None:
        calls.append((done, what))
        if len(calls) == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calibrate(source, parts, TEXT, KINDS, length=100, progress=interrupt)
    assert not Path(parts).exists()
    calibrate(source, parts, TEXT, KINDS, length=100)
    assert Path(parts).read_bytes() == Path(whole).read_bytes()


def test_bad_requests_leave_nothing(tiny, tmp_path):
    source = open_source(str(tiny))
    output = str(tmp_path / "statistics.safetensors")
    with pytest.raises(LowbitError, match="'median' is not a statistic") as error:
        calibrate(source, output, TEXT, ["sums", "median"])
    assert "magnitudes" in error.value.hint
    with pytest.raises(LowbitError, match="no statistics are asked for"):
        calibrate(source, output, TEXT, [])
    with pytest.raises(LowbitError, match="the calibration text is empty"):
        calibrate(source, output, " \n")
    with pytest.raises(LowbitError, match="the calibration text has 1 token"):
        calibrate(source, output, "a")
    assert list(tmp_path.iterdir()) == []


def test_from_the_command_line(tiny, tmp_path, capsys):
    text, output = tmp_path / "text.txt", tmp_path / "statistics.safetensors"
    text.write_text(TEXT)
    arguments = ["calibrate", str(tiny), "--output", str(output)]
    assert main(arguments) == 1
    assert "there is no text to calibrate on" in capsys.readouterr().err
    assert main([*arguments, "--calibration", str(text), "--statistics", "maxima,sums"]) == 0
    assert "taps" in capsys.readouterr().out
    assert set(next(iter(statistics.read(str(output)).values())).sums) == {"maxima", "sums"}
