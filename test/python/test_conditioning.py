"""The step migrate-scales: the float program stays what it is, and what takes factors is chosen well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from lowbit import _lowbit
from lowbit.precision.migration import tie
from lowbit.precision.quantize import Options, Quantization
from lowbit.precision.sources import open_source
from lowbit.precision.stages import Sink, StagedProgram
from reference import GgufFile, Llama
from tiny_llama import TEXT, ArchiveFile, plant_outliers, write_tiny_llama

pytestmark = pytest.mark.usefixtures("stages_compiled_once")

INT8 = "#lowbit.quantized<int<8>, scale = f16 per [1, 32]>"
GIVEN = "it is what is given to the stage"
TOKENS = np.random.default_rng(1).integers(0, 256, 48)


def quantize(model: Path, recipe: str, **options) -> tuple[dict, Path]:
    output = model.with_suffix(".safetensors")
    chosen = Options(recipe=recipe, length=64, **options)
    return Quantization(open_source(str(model)), str(output), chosen, TEXT).run(), output


def decisions(record: dict) -> dict[str, str]:
    return {tensor["key"]: "; ".join(tensor["decisions"]) for tensor in record["tensors"]}


MODELS = {
    "grouped": {},
    "biases": dict(biases=True, head=True),
    "outliers": dict(change=plant_outliers),
    "every-head-its-own": dict(attention__head_count_kv=4),
    "one-value-head": dict(attention__head_count_kv=1, biases=True),
}


@pytest.mark.parametrize("by", ["search steps=4", "ranges"])
@pytest.mark.parametrize("kind", MODELS)
def test_the_float_program_stays(exact, tmp_path, kind, by):
    path = write_tiny_llama(tmp_path / "m.gguf", **MODELS[kind])
    record, output = quantize(path, f"migrate-scales{{by={by}}},exact")
    before, after = Llama(GgufFile(path)), Llama(ArchiveFile(output))
    expected, found = before.forward(TOKENS), after.forward(TOKENS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    told = decisions(record)
    for layer in range(2):
        for name, sink in [
            ("attn_q", "attn_norm"),
            ("attn_v", "attn_norm"),
            ("attn_output", "attn_v"),
            ("ffn_gate", "ffn_norm"),
            ("ffn_down", "ffn_up"),
        ]:
            decision = told[f"blk.{layer}.{name}.weight"]
            assert decision.startswith("scales migrated to ")
            assert f"blk.{layer}.{sink}.weight" in decision
        gain = f"blk.{layer}.attn_norm.weight"
        assert not np.allclose(before.weights[gain], after.weights[gain], rtol=0.01)


def test_ranges_even_out(tmp_path):
    path = write_tiny_llama(tmp_path / "m.gguf", change=plant_outliers)
    record, _ = quantize(path, "migrate-scales{by=ranges},nearest", weights=INT8)
    spread = []
    for site in record["sites"]:
        if "attn_q" in site["name"] or "ffn_gate" in site["name"]:
            before, after = np.array(site["maxima"]), np.array(site["maxima_after"])
            spread.append((before.max() / np.median(before), after.max() / np.median(after)))
    assert len(spread) == 4
    assert all(after < before / 3 for before, after in spread)


def test_search_is_not_worse_than_nearest(tmp_path):
    path = write_tiny_llama(tmp_path / "m.gguf", change=plant_outliers)
    record, _ = quantize(path, "migrate-scales,nearest")
    # Of what one value feeds, together: a grid that begins with no change.
    gain = [tensor["error"] / tensor["error_nearest"] for tensor in record["tensors"][:4]]
    assert np.mean(gain[:3]) < 0.7 and gain[3] <= 1.0 + 1e-6


def test_what_stays_as_it_is_is_not_scaled(exact, tmp_path):
    path = write_tiny_llama(tmp_path / "m.gguf")
    keep = [("blk.0.attn_k.*", "same"), ("blk.1.ffn_up.*", "same"), ("token_embd.*", INT8)]
    record, output = quantize(path, "migrate-scales{by=ranges},exact", keep=keep)
    told = decisions(record)
    for key, other in [
        ("blk.0.attn_q.weight", "blk.0.attn_k.weight"),
        ("blk.0.attn_v.weight", "blk.0.attn_k.weight"),
        ("blk.1.ffn_gate.weight", "blk.1.ffn_up.weight"),
        ("blk.1.ffn_down.weight", "blk.1.ffn_up.weight"),
    ]:
        assert told[key] == f"scales not migrated: '{other}' would have to be scaled, which stays as it is stored"  # fmt: skip
    assert "'token_embd.weight' would have to be scaled, which has other uses" in told["token_embd.weight"]  # fmt: skip
    before, after = GgufFile(path), ArchiveFile(output)
    for name in ["blk.0.attn_norm.weight", "blk.0.attn_k.weight", "blk.1.ffn_up.weight"]:
        assert np.array_equal(before.tensor(name), after.tensor(name))
    expected = Llama(before).forward(TOKENS)
    np.testing.assert_allclose(
        Llama(after).forward(TOKENS), expected, rtol=0, atol=1e-4 * np.abs(expected).max()
    )


def test_norms_behind_the_residual_refuse():
    """Of MiniLM: what enters attention is also what the residual carries, and an error function is before the second matrix."""
    text = (ROOT / "models/minilm-l6.mlir").read_text()
    stages = StagedProgram(text, ["moments"]).stages
    found = {
        feeds[0]: (refusal, [sink.key for sink in sinks])
        for stage in stages
        for feeds, refusal, sinks in zip(stage.feeds, stage.refusals, stage.sinks)
    }
    for layer in range(6):
        prefix = f"encoder.layer.{layer}"
        for name in ("attention.self.query.weight", "intermediate.dense.weight"):
            refusal, sinks = found[f"{prefix}.{name}"]
            # Where a stage is cut, the value itself is what the stage before gives.
            assert refusal in ("it also feeds 'linalg.generic'", GIVEN) and not sinks
        refusal, sinks = found[f"{prefix}.output.dense.weight"]
        assert refusal in ("no factor passes through 'math.erf'", GIVEN) and not sinks
        value = f"{prefix}.attention.self.value"
        assert found[f"{prefix}.attention.output.dense.weight"] == (
            "",
            [f"{value}.weight", f"{value}.bias"],
        )
    assert [refusal for refusal, _ in found.values()].count(GIVEN) <= 2


def test_channels_that_share_a_factor_get_their_geometric_mean():
    sink = Sink("v", 0, np.array([0, 1, 0, 1, 2, 2]))
    factors = tie(np.array([1.0, 2.0, 4.0, 8.0, 5.0, 5.0]), [sink])
    np.testing.assert_allclose(factors[[0, 1, 4]], factors[[2, 3, 5]])
    np.testing.assert_allclose(factors[1] / factors[0], 2)
    np.testing.assert_allclose(factors[4] / factors[0], 2.5)
    np.testing.assert_allclose(np.exp(np.log(factors).mean()), 1)


def halve_gains(source: Path, output: Path) -> Path:
    """A model whose gains and biases are f16."""
    archive, half = _lowbit.Archive(str(source)), "#lowbit.quantized<f16>"
    tensors = [
        (t.name, t.shape, half, _lowbit.encode(archive.tensor_f32(t.name), half))
        for t in archive.tensors
        if len(t.shape) == 1
    ]
    _lowbit.write_archive(str(output) + ".part", {}, tensors)
    _lowbit.merge_archives(archive, [str(output) + ".part"], {}, str(output))
    return output


@pytest.mark.parametrize(
    "first, keep, halved",
    [
        ("", [("*_norm.weight", "#lowbit.quantized<f16>")], False),
        ("rotate{stream=false down=false heads=false},", [], True),
        ("", [("*_norm.weight", "same")], False),
    ],
    ids=["kept in f16", "stored in f16, in a model that a step has written", "kept as they are"],
)
def test_gains_that_took_factors_are_stored_with_them(tmp_path, first, keep, halved):
    """However small tensors are to be stored."""
    path = write_tiny_llama(tmp_path / "tiny.gguf", biases=True, change=plant_outliers)
    if halved:
        path = halve_gains(path, tmp_path / "halved.safetensors")
    before = Llama(ArchiveFile(path))
    output = tmp_path / "out.safetensors"
    chosen = Options(
        recipe=first + "migrate-scales{by=ranges},nearest",
        weights="#lowbit.quantized<int<15>, scale = f32 per [1, 16]>",
        length=64,
        keep=keep,
    )
    Quantization(open_source(str(path)), str(output), chosen, TEXT).run()
    after = Llama(ArchiveFile(output))
    expected, found = before.forward(TOKENS), after.forward(TOKENS)
    assert np.linalg.norm(found - expected) < 2e-3 * np.linalg.norm(expected)
    gain = "blk.0.attn_norm.weight"
    assert not np.allclose(before.weights[gain], after.weights[gain], rtol=0.01)
    stored = {t.name: t.encoding for t in _lowbit.Archive(str(output)).tensors}[gain]
    assert stored == ("f32" if keep and keep[0][1] == "same" else "#lowbit.quantized<f16>")
