"""The byte model, a trained one, quantized: on text that neither it nor the calibration has seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lowbit import Archive
from lowbit.precision.quantize import Options, Quantization
from lowbit.precision.sources import LanguageModel
from lowbit.precision.stages import StagedProgram
from reference import log_softmax

pytestmark = pytest.mark.usefixtures("stages_compiled_once")

INT3 = "#lowbit.quantized<int<3>, scale = f16 per [1, 32]>"
LENGTH = 128


def quantize(model: Path, output: Path, text: str, **options) -> dict:
    chosen = Options(length=LENGTH, tokens=1024, **options)
    return Quantization(LanguageModel(model), str(output), chosen, text).run()


def bits_per_byte(path: Path, text: bytes) -> float:
    """Of windows of LENGTH bytes, with weights as they decode; a window's first byte is not scored."""
    staged = StagedProgram(LanguageModel(path).program(LENGTH), ["sums"], output=True)
    archive, windows = Archive(str(path)), np.frombuffer(text, np.uint8).astype(np.int64)
    windows = list(windows.reshape(-1, LENGTH))
    values = [None] * len(windows)
    for stage in staged.stages:
        keys = {*stage.parameters, *(key for feeds in stage.feeds for key in feeds)}
        weights = {key: archive.tensor_f32(key) for key in keys}
        values = [staged.run(stage, t, v, weights) for t, v in zip(windows, values)]
    scores = [
        log_softmax(v[:-1].astype(np.float64))[np.arange(LENGTH - 1), t[1:]]
        for t, v in zip(windows, values)
    ]
    return -float(np.mean(scores)) / np.log(2)


@pytest.fixture(scope="module")
def texts(byte_model_held_out) -> tuple[str, bytes]:
    """To calibrate on, and to measure."""
    return byte_model_held_out[:1500].decode(), byte_model_held_out[8000 : 8000 + 8 * LENGTH]


@pytest.fixture(scope="module")
def losses(byte_model_path, texts, tmp_path_factory) -> tuple[float, float]:
    """Bits per byte of the model, and what 3 bits to nearest add."""
    output = tmp_path_factory.mktemp("nearest") / "a.safetensors"
    quantize(byte_model_path, output, texts[0], recipe="rtn", weights=INT3)
    base = bits_per_byte(byte_model_path, texts[1])
    return base, bits_per_byte(output, texts[1]) - base


def test_gptq_loses_less_than_nearest(byte_model_path, texts, losses, tmp_path):
    output = tmp_path / "a.safetensors"
    weights = INT3.replace("]>", "], rule = mse>")
    record = quantize(byte_model_path, output, texts[0], recipe="gptq", weights=weights)
    base, nearest = losses
    assert nearest > 0.04 and bits_per_byte(output, texts[1]) - base < 0.5 * nearest
    for tensor in record["tensors"]:
        assert tensor["error"] < 0.8 * tensor["error_nearest"]
