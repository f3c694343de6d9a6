"""What benchmarks/precision.py measures with: bootstrap, paragraphs, distances, rounded activations and planted outliers."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from lowbit import Model, _lowbit

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import planted  # noqa: E402
import precision_report  # noqa: E402
from precision_jobs import MODELS, jobs  # noqa: E402
from quality import bootstrap_error, distances, overlaps, paragraphs_of  # noqa: E402
from rounded import Rounded, round_inputs  # noqa: E402


def mean(x):
    return float(x.mean())


def test_bootstrap_gives_the_error_of_a_mean():
    sample = np.random.default_rng(0).normal(3, 2, 400)
    assert bootstrap_error(mean, sample) == pytest.approx(sample.std() / math.sqrt(400), rel=0.1)


def test_bootstrap_keeps_pairs():
    x = np.random.default_rng(0).normal(0, 100, 50)
    difference = bootstrap_error(lambda a, b: mean(a) - mean(b), x + 1, x)
    assert difference == pytest.approx(0, abs=1e-9)


def test_paragraphs_of_a_page():
    long = "word " * 20
    html = f"""<html><head><link rel="up" href="apt.html"></head><body><div class="section">not in one
    <div class="para">{long} <code>apt</code>\n\t<div class="note"><div class="para">{long}inside</div></div> end</div>
    <div class="para">too short</div></div></body></html>"""
    chapter, paragraphs = paragraphs_of(html)
    assert chapter == "apt.html"
    assert paragraphs == [f"{long}inside", f"{long}apt end"]


def test_distances_and_neighbours():
    x = np.random.default_rng(0).normal(size=(30, 8))
    np.testing.assert_allclose(distances(x, 5 * x), 0, atol=1e-12)
    np.testing.assert_allclose(distances(x, -x), 2)
    np.testing.assert_array_equal(overlaps(x, 2 * x, 5), 1)
    y = x.copy()
    y[:, 0] += 1e3  # all alike: neighbours by chance
    assert overlaps(y, x, 5).mean() < 0.9
    assert overlaps(x, y, 29).tolist() == [1] * 30  # all others


def test_jobs_are_different():
    listed = [job.key for job in jobs(list(MODELS))]
    assert len(set(listed)) == len(listed)


def test_rounding_is_that_of_the_option(byte_model_path, byte_model_held_out, tmp_path):
    text = list(byte_model_held_out[:96])
    rounding, path = "int<8>, scale = f32 per axis 0", str(tmp_path / "int4.safetensors")
    _lowbit.encode_archive(
        str(byte_model_path),
        path,
        "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>",
        [("token_embd.weight", "same")],
        lambda done, total, name: None,
    )
    model = Model(path, activations=rounding, kv_cache="f32", context_length=96)
    exact = Model(path, activations="f32", kv_cache="f32", context_length=96)
    ours = Rounded(path, rounding, 96).nll(text)
    assert ours == pytest.approx(model.nll(text), rel=1e-5)
    assert abs(ours / exact.nll(text) - 1) > 1e-4


def test_products_with_encoded_weights_are_left_to_the_compiler():
    line = "  %y = linalg.matmul indexing_maps = #maps ins(%x, %w : tensor<?x64xf32>, tensor<8x64xf32, #w>) outs(%o : tensor<?x8xf32>) -> tensor<?x8xf32>"
    assert round_inputs(line, "int<8>, scale = f32 per axis 0", [(8, 64)]) == line + "\n"
    plain = line.replace("f32, #w>", "f32>")
    assert round_inputs(plain, "int<8>, scale = f32 per axis 0", [(8, 32)]) == plain + "\n"
    assert "lowbit.encode %x" in round_inputs(plain, "int<8>, scale = f32 per axis 0", [(8, 64)])


def test_planting_leaves_the_float_model(byte_model_path, byte_model_held_out, tmp_path):
    path = tmp_path / "planted.safetensors"
    outliers = planted.plant(str(byte_model_path), path)
    assert len(outliers) == 9 and len({o.gain for o in outliers}) == 9  # a channel for each norm
    assert all(planted.LEAST <= o.factor <= planted.LARGEST for o in outliers)
    before, after = _lowbit.Archive(str(byte_model_path)), _lowbit.Archive(str(path))
    for o in outliers:
        ratio = after.tensor_f32(o.gain) / before.tensor_f32(o.gain)
        assert ratio[o.channel] == pytest.approx(o.factor, rel=1e-6)
        assert (np.delete(ratio, o.channel) == 1).all()
    text = list(byte_model_held_out[:96])
    costs = [
        Model(str(p), activations="f32", kv_cache="f32", context_length=96).nll(text)
        for p in (byte_model_path, path)
    ]
    assert costs[1] == pytest.approx(costs[0], rel=1e-4)


def test_a_norm_whose_reader_is_looked_up_stays():
    names = ["blk.0.ffn_norm.weight", "blk.0.ffn_gate.weight", "blk.0.ffn_up.weight"]
    assert planted.readers("blk.0.ffn_norm.weight", names) == names[1:]
    assert planted.readers("output_norm.weight", ["output_norm.weight", "token_embd.weight"]) == []


def entry(recipe, bits, costs):
    quantized = {"model": "byte", "recipe": recipe, "pipeline": recipe, "weights": ""}
    return {
        "quantized": {**quantized, "bits": bits, "group": 32},
        "scores": {"cost": costs},
        **{"activations": None, "kv_cache": None, "bits_per_weight": bits + 0.5, "seconds": 1.0},
        "date": "2026-01-01",
    }


def test_a_ladder_that_is_not_monotone_is_told():
    windows = np.random.default_rng(0).normal(2, 0.1, 20)
    good = {"a": entry("rtn", 4, (windows + 0.1).tolist())}
    good["b"] = entry("rtn", 3, (windows + 0.2).tolist())
    assert "- [x] byte: fewer bits cost more" in precision_report.checklist(good)
    bad = {**good, "b": entry("rtn", 3, (windows - 0.1).tolist())}
    assert "- [ ] byte: fewer bits cost more" in precision_report.checklist(bad)
    assert "rtn from 4 bits (-0.2000 ± 0.0000)" in precision_report.checklist(bad)


def test_the_page_has_every_recipe_that_was_measured():
    windows = np.random.default_rng(0).normal(2, 0.1, 20)
    results = {"float": entry("float", 32, windows.tolist())}
    results["a"] = entry("some recipe", 3, (windows + 0.25).tolist())
    text = precision_report.page(results, "a machine")
    assert "| **some recipe** | 3 | 3.500 |" in text and "+0.2500 ± 0.0000" in text
