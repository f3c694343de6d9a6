"""The step shift-channels: the float program stays what it is, and ranges lie around zero."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import ROOT
from lowbit import _lowbit
from lowbit.errors import LowbitError
from lowbit.precision.shifting import ShiftChannels, find_shifts, observe
from lowbit.precision.sources import LanguageModel, open_source
from own_program import OwnProgram
from reference import GgufFile, Llama
from tiny_llama import ArchiveFile, write_tiny_llama

pytestmark = pytest.mark.usefixtures("stages_compiled_once")

SEQUENCES = [np.random.default_rng(s).integers(0, 50, 24) for s in range(2)]
NO_BIAS = "there is no bias before it: no shift passes through 'arith.mulf'"


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def extremes(source, sequences=SEQUENCES) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    taps = observe(source, source.program(24), sequences)
    return {tap.name: (tap.mean("minima"), tap.mean("maxima")) for tap in taps}


@pytest.mark.parametrize("post_norm", [False, True])
def test_the_float_program_stays(tmp_path, post_norm):
    """Norms with biases, before a product and behind a residual."""
    before = OwnProgram(tmp_path / "own.safetensors", mean=True, post_norm=post_norm)
    notes: dict[str, str] = {}
    path = str(tmp_path / "s.safetensors")
    after = ShiftChannels().transform(before, path, notes.__setitem__, SEQUENCES)
    assert_close(after.logits(SEQUENCES[0]), before.logits(SEQUENCES[0]))
    old, new = extremes(before), extremes(after)
    shifted = ["widen1"] if post_norm else ["widen0", "widen1"]
    for key in shifted:
        assert notes[key].startswith("channels shifted by ")
        assert np.abs(old[key][0] + old[key][1]).max() > 0.5
        np.testing.assert_allclose(new[key][0], -new[key][1], rtol=0, atol=1e-4)
    if post_norm:
        assert "after0_bias, narrow1_bias, widen1_bias:" in notes["widen1"]
        assert notes["widen0"] == (
            "not shifted: there is no bias before it: no shift passes through 'tensor.extract'"
        )
    assert notes["narrow0"] == "not shifted: there is no bias before it: no shift passes through 'arith.maximumf'"  # fmt: skip
    assert notes["head"] == "not shifted: a product that it feeds has no bias behind it"


def test_value_heads_of_a_llama_with_biases(tmp_path):
    """Query heads that share a value head share its shift; caches hold shifted values, in both entries."""
    path = write_tiny_llama(tmp_path / "m.gguf", biases=True, head=True)
    notes: dict[str, str] = {}
    output = tmp_path / "s.safetensors"
    source = LanguageModel(path)
    after = ShiftChannels().transform(source, str(output), notes.__setitem__, SEQUENCES)
    tokens = SEQUENCES[0]
    expected = Llama(GgufFile(path)).forward(tokens)
    assert_close(Llama(ArchiveFile(output)).forward(tokens), expected)
    for layer in range(2):
        prefix = f"blk.{layer}."
        assert f"{prefix}attn_v.bias, {prefix}attn_output.bias:" in notes[f"{prefix}attn_output.weight"]  # fmt: skip
        assert notes[f"{prefix}attn_q.weight"] == f"not shifted: {NO_BIAS}"
        assert notes[f"{prefix}ffn_down.weight"] == f"not shifted: {NO_BIAS}"
        key = f"{prefix}attn_output.weight"
        low, high = (e.reshape(2, 2, 16) for e in extremes(after)[key])
        np.testing.assert_allclose(low.min(axis=1), -high.max(axis=1), rtol=0, atol=1e-4)


def test_models_without_biases_refuse(tmp_path):
    source = LanguageModel(write_tiny_llama(tmp_path / "m.gguf"))
    with pytest.raises(LowbitError, match=f"no channels of .* can be shifted: .*{NO_BIAS}") as e:
        ShiftChannels().transform(source, str(tmp_path / "s.safetensors"), print, SEQUENCES)
    assert "without the step 'shift-channels'" in e.value.hint
    assert not list(tmp_path.glob("s.*"))


def test_minilm(tmp_path, minilm_path):
    """Of a post-norm model all inputs but those behind the error function have a place."""
    program = ROOT / "models/minilm-l6.mlir"
    source = open_source(str(program), [str(minilm_path / "model.safetensors")])
    for feeds, sinks, reason in find_shifts(program.read_text(), str(program)):
        assert bool(sinks) != bool(reason)
        if "output.dense" in feeds[0] and "attention" not in feeds[0]:
            assert reason == NO_BIAS
            continue
        taken = [sink.key for sink in sinks if sink.sign < 0]
        assert len(taken) == 1
        assert taken[0].endswith("value.bias" if "attention.output" in feeds[0] else "LayerNorm.bias")  # fmt: skip
        assert {sink.weight for sink in sinks if sink.weight} == set(feeds)
    ids = np.array([101, 2023, 2003, 1037, 7099, 102])
    path = str(tmp_path / "s.safetensors")
    after = ShiftChannels().transform(source, path, lambda key, text: None, [ids])
    embeddings = [
        _lowbit.Program(source.program(6), [s.archive.path], optimization_level=0).run(
            "embed", [ids[None], np.ones((1, 6), np.int64)]
        )[0]
        for s in (source, after)
    ]
    assert_close(embeddings[1], embeddings[0])
