"""The step static-activations: bounds by maximum, percentile and least squared error, and the models that run with them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from lowbit import Archive, Model, _lowbit
from lowbit.cli import main
from lowbit.errors import LowbitError
from lowbit.precision.bounds import BOUNDS, choose_bound, squared_error
from lowbit.precision.static_activations import StaticActivations
from lowbit.precision.quantize import Options, Quantization
from lowbit.precision.recipes import RECIPES, find
from lowbit.precision.sources import open_source
from lowbit.precision.statistics import Statistics
from reference import Llama
from test_calibration import histogram, run_numpy
from tiny_llama import TEXT, ArchiveFile, plant_outliers, write_tiny_llama

pytestmark = pytest.mark.usefixtures("stages_compiled_once")

W8 = "#lowbit.quantized<int<8>, scale = f32 per axis 0>"
STATIC = "int<8>, scale = f32 per tensor, rule = given"


def tap_of(x: np.ndarray) -> Statistics:
    sums = {"maxima": x.max(axis=0), "minima": x.min(axis=0), "histogram": histogram(x)}
    return Statistics(["w"], len(x), sums)


def heavy(seed: int = 1) -> np.ndarray:
    x = np.random.default_rng(seed).standard_t(3, (2000, 16)).astype(np.float32)
    x[:, 5] *= 20
    return x


def rounding_error(x: np.ndarray, scale: float, largest: int) -> float:
    x = np.abs(x.astype(np.float64))
    return float(((np.minimum(np.rint(x / scale), largest) * scale - x) ** 2).sum())


@pytest.mark.parametrize("bits", [4, 8])
def test_errors_of_a_histogram_are_those_of_its_values(bits):
    x, codes = heavy(), 2 ** (bits - 1) - 1
    scales = np.abs(x).max() / np.array([1, 2, 8, 40, 200]) / codes
    expected = [rounding_error(x, scale, codes) for scale in scales]
    np.testing.assert_allclose(squared_error(tap_of(x).histogram, scales, codes), expected, rtol=0.02)


@pytest.mark.parametrize("bits", [4, 8])
def test_the_bound_of_least_error(bits):
    """Within 1 % of the least error of a fine search on the values themselves."""
    x, codes = heavy(2), 2 ** (bits - 1) - 1
    bound = choose_bound(tap_of(x).histogram, codes, "mse", 100)
    fine = np.abs(x).max() * np.exp2(-np.arange(0, 8, 1 / 64))
    least = min(rounding_error(x, b / codes, codes) for b in fine)
    assert rounding_error(x, bound / codes, codes) <= 1.01 * least
    if bits == 4:
        assert rounding_error(x, np.abs(x).max() / codes, codes) > 1.5 * least


def test_bounds_of_nothing_but_zeros():
    tap = tap_of(np.zeros((10, 4), np.float32))
    for by in BOUNDS:
        assert choose_bound(tap.histogram, 127, by, 99) == 0


def test_a_percentile_of_zeros_is_no_bound():
    x = np.zeros((1000, 4), np.float32)
    x[3, 1] = 2
    assert choose_bound(tap_of(x).histogram, 127, "percentile", 99) == 2


class Rounding(Llama):
    """With the inputs of each matrix rounded by the scale that lies beside it."""

    def _round(self, x: np.ndarray, weight: str) -> np.ndarray:
        scale = self.weights[f"{weight}.input_scale"][0, 0]
        return np.clip(np.rint(np.float32(x) / scale), -128, 127) * scale

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return super()._linear(self._round(x, f"{name}.weight"), name)

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        x = super()._norm(x, name)
        return self._round(x, "token_embd.weight") if name == "output_norm" else x


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return write_tiny_llama(
        tmp_path_factory.mktemp("tiny") / "tiny.gguf", biases=True, change=plant_outliers
    )


def quantize(tiny: Path, recipe: str, output: Path, **options) -> tuple[dict, ArchiveFile]:
    chosen = Options(recipe=recipe, weights=W8, length=64, **options)
    record = Quantization(open_source(str(tiny)), str(output), chosen, TEXT).run()
    return record, ArchiveFile(output)


def scales_of(file: ArchiveFile) -> dict[str, float]:
    suffix = ".input_scale"
    return {
        name.removesuffix(suffix): float(file.tensor(name)[0, 0])
        for name in file.names()
        if name.endswith(suffix)
    }


def test_scales_lie_beside_the_weights(tiny, tmp_path):
    """Weights that stay as they are have them, too; all before the last layer's last one do here, so that the inputs are those of the model in numpy."""
    recipe, output = "static-activations{by=maximum},nearest", tmp_path / "a.safetensors"
    kept = ["blk.0.*", "blk.1.attn*", "blk.1.ffn_gate*", "blk.1.ffn_up*"]
    _, file = quantize(tiny, recipe, output, keep=[(name, "same") for name in kept])
    scales = scales_of(file)
    assert len(scales) == 15
    for layer in range(2):
        q, k, v = (scales[f"blk.{layer}.attn_{name}.weight"] for name in "qkv")
        assert q == k == v
    sequences = open_source(str(tiny)).sequences(TEXT, 32768, 64)
    entered, _ = run_numpy(tiny, sequences)
    for key, x in entered.items():
        assert scales[key] == pytest.approx(np.abs(x).max() / 127, rel=1e-3), key


@pytest.mark.parametrize("by", ["maximum", "percentile percentile=99", "mse"])
def test_the_compiled_model_rounds_by_them(tiny, tmp_path, by):
    _, file = quantize(tiny, f"static-activations{{by={by}}},nearest", tmp_path / "a.safetensors")
    tokens = np.random.default_rng(3).integers(0, 256, 40)
    options = dict(kv_cache="f32", context_length=64, use_cache=False)
    model = Model(str(tmp_path / "a.safetensors"), activations=STATIC, **options)
    found = np.concatenate(list(model.logits(list(tokens))))
    expected = Rounding(file).forward(tokens)
    exact = Llama(file).forward(tokens)
    # A number beside the border of two codes may fall to the other side where sums differ in their last bits.
    error = np.abs(found - expected).mean()
    assert error < 0.1 * np.abs(exact - expected).mean()


def test_after_scales_have_migrated_inputs_are_what_they_are_then(tiny, tmp_path):
    _, before = quantize(tiny, "static-activations{by=maximum},nearest", tmp_path / "a.safetensors")
    _, after = quantize(
        tiny,
        "migrate-scales{by=ranges},static-activations{by=maximum},nearest",
        tmp_path / "b.safetensors",
    )
    one, other = scales_of(before), scales_of(after)
    key = "blk.0.attn_q.weight"
    gain = after.tensor("blk.0.attn_norm.weight") / before.tensor("blk.0.attn_norm.weight")
    assert gain.min() < 0.5 and other[key] < 0.7 * one[key]
    entered, _ = run_numpy(tiny, open_source(str(tiny)).sequences(TEXT, 32768, 64))
    expected = np.abs(entered[key] * gain).max() / 127
    assert other[key] == pytest.approx(expected, rel=1e-3)


def test_the_record_says_what_was_decided(tiny, tmp_path):
    record, _ = quantize(tiny, "static-activations{by=maximum},nearest", tmp_path / "a.safetensors")
    decisions = {t["key"]: t["decisions"] for t in record["tensors"]}
    (decision,) = decisions["blk.0.attn_q.weight"]
    _, bound, largest = re.fullmatch(r"(inputs up to) (\S+) of (\S+)", decision).groups()
    assert bound == largest and float(bound) > 0


def test_a_run_that_was_interrupted_keeps_them(tiny, tmp_path):
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    quantize(tiny, "static-activations,nearest", whole)
    calls = []

    def interrupt(done: int, total: int, what: str) -> None:
        calls.append(what)
        if len(calls) == 9:
            raise KeyboardInterrupt

    options = Options(recipe="static-activations,nearest", weights=W8, length=64)
    source = open_source(str(tiny))
    with pytest.raises(KeyboardInterrupt):
        Quantization(source, str(parts), options, TEXT, interrupt).run()
    Quantization(source, str(parts), options, TEXT).run()
    assert parts.read_bytes() == whole.read_bytes()


def test_gguf_has_no_place_for_them(tiny, tmp_path):
    with pytest.raises(LowbitError, match="input_scale"):
        quantize(tiny, "static-activations,nearest", tmp_path / "a.gguf")


def test_what_to_run_it_with_is_said(tiny, tmp_path, capsys):
    assert RECIPES["static"].activations == STATIC
    recipe = find("static-activations{bits=6},nearest")
    assert recipe.activations == "int<6>, scale = f32 per tensor, rule = given"
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    arguments = ["quantize", str(tiny), "--recipe", "static", "--calibration", str(text)]
    assert main([*arguments, "--length", "64", "--output", str(tmp_path / "c.safetensors")]) == 0
    assert f"made to run with --activations '{STATIC}'" in capsys.readouterr().err
    assert Archive(str(tmp_path / "c.safetensors")).tensor_f32("token_embd.weight.input_scale").shape == (1, 1)  # fmt: skip


@pytest.mark.parametrize(
    "name", ["blk.0.attn_norm.weight.input_scale", "blk.0.attn_q.weight.input_thing"]
)
def test_a_tensor_that_only_looks_like_a_scale_has_no_place(tiny, tmp_path, name):
    extra, path = tmp_path / "extra.safetensors", tmp_path / "a.safetensors"
    values = np.ones((1, 1), np.float32)
    _lowbit.write_archive(str(extra), {}, [(name, (1, 1), "", {"values": values})])
    _lowbit.merge_archives(Archive(str(tiny)), [str(extra)], {}, str(path))
    with pytest.raises(RuntimeError, match=f"tensor '{name}' has no place"):
        _lowbit.import_model(Archive(str(path)), 64, "f32")
