"""The step permute-channels: the float program stays what it is, and neighbours are of like size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from lowbit.precision.quantize import Options, Quantization
from lowbit.precision.sources import open_source
from lowbit.precision.stages import StagedProgram
from own_program import OwnProgram
from reference import GgufFile, Llama
from tiny_llama import TEXT, ArchiveFile, write_tiny_llama

pytestmark = pytest.mark.usefixtures("stages_compiled_once")

TOKENS = np.random.default_rng(1).integers(0, 256, 48)
INT4 = "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>"
GIVEN = "channels not permuted: it comes from what is given to the stage"


def quantize(source, output: Path, recipe: str, **options) -> dict:
    chosen = Options(recipe=recipe, length=64, **options)
    return Quantization(source, str(output), chosen, TEXT).run()


def decisions(record: dict) -> dict[str, str]:
    return {tensor["key"]: "; ".join(tensor["decisions"]) for tensor in record["tensors"]}


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("by", ["range", "moments", "weights"])
@pytest.mark.parametrize("biases", [False, True])
def test_the_float_program_stays(exact, tmp_path, biases, by):
    path = write_tiny_llama(tmp_path / "m.gguf", biases=biases, head=biases)
    output = tmp_path / "p.safetensors"
    record = quantize(open_source(str(path)), output, f"permute-channels{{by={by}}},exact")
    before, after = GgufFile(path), ArchiveFile(output)
    assert_close(Llama(after).forward(TOKENS), Llama(before).forward(TOKENS))
    told = decisions(record)
    for layer in range(2):
        prefix = f"blk.{layer}."
        assert told[f"{prefix}ffn_down.weight"] == (
            f"channels sorted by {by}, 96 at a time, with {prefix}ffn_gate.weight, {prefix}ffn_up.weight"
        )
        values = [f"{prefix}attn_v.{kind}" for kind in ("bias", "weight")[not biases :]]
        decision = told[f"{prefix}attn_output.weight"]
        assert decision.startswith(f"channels sorted by {by}, 16 at a time, with ")
        assert all(key in decision for key in values)
        assert told[f"{prefix}attn_q.weight"] == GIVEN
        down = f"{prefix}ffn_down.weight"
        old, new = before.tensor(down), after.tensor(down)
        assert not np.array_equal(old, new)
        assert np.array_equal(np.sort(old, axis=1), np.sort(new, axis=1))
    for site in record["sites"]:
        if by == "range" and "ffn_down" in site["name"]:
            assert np.all(np.diff(site["maxima_after"]) <= 0) and np.any(
                np.diff(site["maxima"]) > 0
            )


def test_a_program_of_ones_own(exact, tmp_path):
    """What is not linear lets an order pass; biases have it, too."""
    source, output = OwnProgram(tmp_path / "own.safetensors"), tmp_path / "p.safetensors"
    record = quantize(source, output, "permute-channels,exact")
    written = ArchiveFile(output)
    values = {name: written.tensor(name) for name in written.names()}
    after = source.with_values(values, str(tmp_path / "plain.safetensors"))
    ids = TOKENS % 50
    assert_close(after.logits(ids), source.logits(ids))
    told = decisions(record)
    assert told["narrow0"] == "channels sorted by moments, 80 at a time, with widen0, widen0_bias"
    assert told["widen1"] == GIVEN


def test_what_stays_as_it_is_is_not_permuted(exact, tmp_path):
    path = write_tiny_llama(tmp_path / "m.gguf")
    keep = [("blk.0.ffn_up.*", "same"), ("blk.1.attn_v.*", "same")]
    output = tmp_path / "p.safetensors"
    record = quantize(open_source(str(path)), output, "permute-channels,exact", keep=keep)
    told, before, after = decisions(record), GgufFile(path), ArchiveFile(output)
    for key, other in [
        ("blk.0.ffn_down.weight", "blk.0.ffn_up.weight"),
        ("blk.1.attn_output.weight", "blk.1.attn_v.weight"),
    ]:
        assert told[key] == f"channels not permuted: '{other}' would have to be permuted, which stays as it is stored"  # fmt: skip
        for name in (key, other):
            assert np.array_equal(before.tensor(name), after.tensor(name))
    assert_close(Llama(after).forward(TOKENS), Llama(before).forward(TOKENS))


def test_steps_before_and_after(exact, tmp_path):
    """Statistics follow the order: scales that migrate afterwards find their channels."""
    path = write_tiny_llama(tmp_path / "m.gguf")
    output = tmp_path / "p.safetensors"
    recipe = "rotate{down=false heads=false},permute-channels,migrate-scales{by=ranges},exact"
    quantize(open_source(str(path)), output, recipe)
    found = Llama(ArchiveFile(output)).forward(TOKENS)
    assert_close(found, Llama(GgufFile(path)).forward(TOKENS))
    alone = tmp_path / "gptq.safetensors"
    errors = []
    for recipe in ("gptq", "permute-channels,gptq"):
        record = quantize(open_source(str(path)), alone, recipe, weights=INT4)
        errors.append({t["key"]: t["error"] for t in record["tensors"]})
    # Where nothing was permuted the codes are the same.
    assert errors[0]["blk.0.attn_q.weight"] == errors[1]["blk.0.attn_q.weight"]
    assert errors[0]["blk.0.ffn_down.weight"] != errors[1]["blk.0.ffn_down.weight"]


def test_minilm():
    """Hidden channels pass an error function in any order, value heads an attention."""
    stages = StagedProgram((ROOT / "models/minilm-l6.mlir").read_text(), ["moments"]).stages
    found = {
        stage.feeds[tap][0]: basis
        for stage in stages
        for basis in stage.bases
        for tap in basis.taps
    }
    for layer in range(5):
        prefix = f"encoder.layer.{layer}."
        hidden = found[prefix + "output.dense.weight"]
        assert hidden.extent == 1536 and set(hidden.keys) == {
            f"{prefix}intermediate.dense.weight",
            f"{prefix}intermediate.dense.bias",
            f"{prefix}output.dense.weight",
        }
        heads = found[prefix + "attention.output.dense.weight"]
        assert heads.extent == 32 and f"{prefix}attention.self.value.bias" in heads.keys
        assert "given to the stage" in found[prefix + "attention.self.query.weight"].reason
