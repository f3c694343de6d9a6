"""Outliers of activations that the running program finds (outlier_threshold), against the model in numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lowbit import Model
from lowbit.cli import main
from lowbit.errors import LowbitError
from reference import Llama
from tiny_llama import ArchiveFile, plant_outliers, write_tiny_llama

W8 = "#lowbit.quantized<int<8>, scale = f32 per axis 0>"
TOKENS = list(np.random.default_rng(1).integers(0, 256, 40))
PLAIN = dict(kv_cache="f32", use_cache=False, context_length=64)
BLOCKS = {"int8": 32, "int<8>, scale = f32 per axis 0": None}
"""Inputs that share a scale; None: all of a row."""


@pytest.fixture(scope="module")
def encoded(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    model = write_tiny_llama(folder / "tiny.gguf", biases=True, change=plant_outliers)
    output = folder / "w8.safetensors"
    assert main(["encode", str(model), "--weights", W8, "--output", str(output)]) == 0
    return output


class Rounding(Llama):
    """With inputs of matrices rounded to 8 bits, but for elements of at least the threshold."""

    def __init__(self, path: Path, block: int | None, threshold: float):
        super().__init__(ArchiveFile(path))
        self.block, self.threshold, self.found = block, threshold, 0

    def _round(self, x: np.ndarray) -> np.ndarray:
        x = np.float32(x)
        large = np.abs(x) >= self.threshold
        self.found += int(large.sum())
        rest = np.where(large, 0, x).reshape(len(x), -1, self.block or x.shape[1])
        scale = np.abs(rest).max(axis=-1, keepdims=True) / np.float32(127)
        codes = np.rint(rest / np.where(scale > 0, scale, 1))
        return np.where(large, x, (codes * scale).reshape(x.shape))

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return super()._linear(self._round(x), name)

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        x = super()._norm(x, name)
        return self._round(x) if name == "output_norm" else x


def logits(path: Path, **options) -> np.ndarray:
    return np.concatenate(list(Model(path, **{**PLAIN, **options}).logits(TOKENS)))


@pytest.mark.parametrize("threshold", [6.0, 1.5])
@pytest.mark.parametrize("activations", BLOCKS)
def test_logits_are_those_of_the_model_in_numpy(encoded, activations, threshold):
    rounded = Rounding(encoded, BLOCKS[activations], threshold)
    expected = rounded.forward(np.array(TOKENS))
    assert rounded.found > 40
    exact = Llama(ArchiveFile(encoded)).forward(np.array(TOKENS))
    found = logits(encoded, activations=activations, outlier_threshold=threshold)
    # A number beside the border of two codes may fall to the other side where sums differ in their last bits.
    assert np.abs(found - expected).mean() < 0.1 * np.abs(expected - exact).mean()
    plain = logits(encoded, activations=activations)
    assert np.abs(found - exact).mean() < 0.7 * np.abs(plain - exact).mean()


def test_nothing_changes_where_no_element_is_that_large(encoded):
    a, b = (logits(encoded, activations="int8", outlier_threshold=t) for t in (None, 1e30))
    assert np.array_equal(a, b)


def test_rows_are_computed_alike_in_any_batch(encoded):
    """One by one, as generating does, and all at once."""
    model = Model(encoded, "int8", outlier_threshold=2.0, **PLAIN)
    together = np.concatenate(list(model.logits(TOKENS)))
    alone = np.concatenate(list(model.logits(TOKENS[:7])))
    np.testing.assert_allclose(alone, together[:7], rtol=0, atol=1e-4 * np.abs(together).max())


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("nan"), float("inf")])
def test_thresholds_that_are_none(encoded, threshold):
    with pytest.raises(LowbitError, match="outlier_threshold is a positive number"):
        Model(encoded, outlier_threshold=threshold)


def test_activations_that_are_not_rounded_have_no_outliers(encoded, capsys):
    command = ["perplexity", str(encoded), "--text", __file__, "--outlier-threshold", "6"]
    assert main([*command, "--activations", "f32"]) == 1
    assert "these stay f32" in capsys.readouterr().err
