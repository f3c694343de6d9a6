"""Hadamard matrices, and the step rotate: the float program of a llama stays what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from lowbit import Archive, _lowbit
from lowbit.errors import LowbitError
from lowbit.precision.hadamard import (
    factors,
    orthogonal,
    rotation,
    rotation_factors,
    rotation_with_ones,
)
from lowbit.precision.rotation import Rotate
from lowbit.precision.sources import LanguageModel, open_source
from lowbit.precision.stages import StagedProgram
from own_program import OwnProgram
from reference import GgufFile, Llama
from tiny_llama import ArchiveFile, plant_outliers, write_tiny_llama

pytestmark = pytest.mark.usefixtures("stages_compiled_once")

PARTS = ["stream", "values", "down", "heads"]
TOKENS = np.random.default_rng(1).integers(0, 256, 48)
SMALL = [1, 2, 4, 12, 16, 20, 24, 28, 36, 64, 96, 128, 256, 576, 640, 768, 896, 1536, 2048]
SEQUENCES = [52, 92, 100, 116, 172, 428]
# What real models have: widths, heads and inner widths of Llama, Qwen, Mistral, Gemma, ChatGLM, Yi, SmolLM2.
REAL = [3072, 3200, 3584, 4096, 4608, 5120, 6656, 7168, 8192, 8960, 9728, 11008, 12288, 13696]
REAL += [13824, 14336, 16384, 17408, 17920, 18944, 20480, 21504, 22016, 24576, 27648, 28672, 29568]


@pytest.mark.parametrize("order", SMALL + SEQUENCES + REAL)
def test_hadamard_matrices(order):
    parts = factors(order)
    assert int(np.prod([len(part) for part in parts])) == order
    for part in parts:
        assert set(np.unique(part)) <= {-1.0, 1.0} and len(part) <= 428
        assert np.array_equal(part @ part.T, len(part) * np.eye(len(part)))
    assert sum(map(len, parts)) <= 520  # products of each element: few, for what runs online


@pytest.mark.parametrize("order", [96, 576, 640, 768, 896])
def test_rotations_are_orthogonal(order):
    for seed in (None, 0, 1):
        matrix = rotation(order, seed)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(order), rtol=0, atol=1e-6)
        np.testing.assert_allclose(np.abs(matrix), order**-0.5, rtol=1e-9)
    assert np.array_equal(rotation(order, 1), rotation(order, 1))
    assert not np.array_equal(rotation(order, 1), rotation(order, 0))
    whole = np.ones((1, 1))
    for part in rotation_factors(order):
        whole = np.kron(whole, part)
    assert np.array_equal(whole, rotation(order))


@pytest.mark.parametrize("order", [3, 6, 10, 25, 18, 236, 188])
def test_orders_that_are_not_there(order):
    why = "can be put together" if order % 4 == 0 else "exists: there are those of 1, 2 and multiples of 4"  # fmt: skip
    with pytest.raises(LowbitError, match=f"no Hadamard matrix of order {order} {why}") as caught:
        factors(order)
    assert "by=orthogonal" in caught.value.hint


@pytest.mark.parametrize("order", [2, 3, 48, 125])
def test_orthogonal_matrices_of_any_order(order):
    for matrix in (orthogonal(order, 1), rotation_with_ones(order, 1)):
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(order), rtol=0, atol=1e-12)
    np.testing.assert_allclose(rotation_with_ones(order, 1) @ np.ones(order), 1, atol=1e-12)
    assert not np.allclose(orthogonal(order, 1), orthogonal(order, 2))
    if order > 2:
        assert not np.allclose(rotation_with_ones(order, 1), np.eye(order))


MODELS = {
    "grouped": {},
    "biases": dict(biases=True, head=True),
    "outliers": dict(change=plant_outliers),
    "half-turned": dict(rope__dimension_count=8),
    "inner-width-of-172": dict(feed_forward_length=172),
    "wide-heads": dict(attention__key_length=32, attention__value_length=32),
}


def ignore(key: str, text: str) -> None:
    pass


def rotate(model: Path, **options) -> Path:
    output = model.with_suffix(".safetensors")
    Rotate(**options).transform(LanguageModel(model), str(output), ignore)
    assert {path.name for path in model.parent.iterdir()} == {model.name, output.name}
    return output


def logits(path: Path) -> np.ndarray:
    """As the compiler's program computes them, online rotations with them."""
    staged = StagedProgram(LanguageModel(path).program(64), ["sums"], output=True)
    archive, value = Archive(str(path)), None
    for stage in staged.stages:
        keys = {*stage.parameters, *(key for feeds in stage.feeds for key in feeds)}
        value = staged.run(stage, TOKENS, value, {key: archive.tensor_f32(key) for key in keys})
    return value


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("kind", MODELS)
def test_the_float_program_stays(tmp_path, kind):
    path = write_tiny_llama(tmp_path / "m.gguf", **MODELS[kind])
    expected = Llama(GgufFile(path)).forward(TOKENS)
    output = rotate(path)
    assert_close(logits(output), expected)
    names = {tensor.name for tensor in Archive(str(output)).tensors}
    assert {"output.weight", "rotation.attn_qk.0", "rotation.ffn_down.0"} <= names
    # What is folded needs nothing of the program: numpy's computes the same.
    assert_close(
        Llama(ArchiveFile(rotate(path, down=False, heads=False))).forward(TOKENS), expected
    )


@pytest.mark.parametrize("part", PARTS)
def test_each_rotation_alone(tmp_path, part):
    path = write_tiny_llama(tmp_path / "m.gguf", biases=True, head=True)
    before, alone = GgufFile(path), dict.fromkeys(PARTS, False)
    output = rotate(path, **{**alone, part: True}, seed=3)
    assert_close(logits(output), Llama(before).forward(TOKENS))
    after = ArchiveFile(output)
    changed = {
        name
        for name in before.names()
        if not np.allclose(after.tensor(name), before.tensor(name), rtol=0, atol=1e-6)
    }
    expected = {
        "stream": {"attn_q", "ffn_up", "ffn_down", "attn_output", "attn_v"},
        "values": {"attn_v", "attn_output"},
        "down": {"ffn_down"},
        "heads": set(),
    }[part]
    assert expected <= {name.split(".")[2] for name in changed if name.startswith("blk")}
    if part != "stream":
        assert {name.split(".")[2] for name in changed if name.startswith("blk")} == expected
    added = set(after.names()) - set(before.names())
    online = {"down": "ffn_down", "heads": "attn_qk"}.get(part)
    assert all(name.startswith(f"rotation.{online}.") for name in added) and bool(added) == (
        online is not None
    )


def test_outliers_are_spread(tmp_path):
    """Behind norms no channel stands out any more; gains are ones."""
    path = write_tiny_llama(tmp_path / "m.gguf", change=plant_outliers)
    after = ArchiveFile(rotate(path))
    for layer in range(2):
        assert np.array_equal(after.tensor(f"blk.{layer}.attn_norm.weight"), np.ones(64))
        before = GgufFile(path).tensor(f"blk.{layer}.attn_norm.weight")
        query = GgufFile(path).tensor(f"blk.{layer}.attn_q.weight") * before
        for matrix, limit in [(query, 20), (after.tensor(f"blk.{layer}.attn_q.weight"), 2)]:
            sizes = np.linalg.norm(matrix, axis=0)
            stands_out = sizes.max() / np.median(sizes)
            assert (stands_out > limit) == (limit == 20)


def test_what_cannot_be_rotated_is_told(tmp_path):
    path = write_tiny_llama(tmp_path / "m.gguf")
    again, nothing = str(tmp_path / "again.safetensors"), dict.fromkeys(PARTS, False)
    output = rotate(path)
    with pytest.raises(LowbitError, match="the model is rotated already") as caught:
        Rotate().transform(LanguageModel(output), again, ignore)
    assert caught.value.hint
    with pytest.raises(LowbitError, match="nothing of .* is to be rotated"):
        Rotate(**nothing).transform(LanguageModel(output), again, ignore)
    wide = write_tiny_llama(tmp_path / "wide.gguf", feed_forward_length=188)
    with pytest.raises(LowbitError, match="no Hadamard matrix of order 188"):
        Rotate().transform(LanguageModel(wide), again, ignore)
    assert not list(tmp_path.glob("again*"))
    Rotate(down=False).transform(LanguageModel(wide), str(tmp_path / "wide.safetensors"), ignore)


def test_what_is_rotated_is_noted(tmp_path):
    path = write_tiny_llama(tmp_path / "m.gguf", head=True)
    notes: dict[str, str] = {}

    def note(key: str, text: str) -> None:
        notes[key] = "; ".join(filter(None, [notes.get(key), text]))

    Rotate().transform(LanguageModel(path), str(tmp_path / "r.safetensors"), note)
    whole = "inputs rotated by a Hadamard matrix of order 64, folded into 16 parameters, 5 gains in them"
    for name in ("blk.0.attn_q.weight", "blk.1.ffn_up.weight", "output.weight"):
        assert notes[name] == whole
    assert notes["blk.1.attn_output.weight"] == (
        "inputs rotated by a Hadamard matrix of order 16, folded into 2 parameters"
    )
    assert notes["blk.0.ffn_down.weight"] == (
        "no rotation folded: no rotation passes through 'math.exp'; "
        "inputs rotated by a Hadamard matrix of order 12 x 8, online"
    )


IDS = np.random.default_rng(2).integers(0, 50, 9)


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("by", ["hadamard", "fixed", "orthogonal"])
def test_programs_of_ones_own(tmp_path, mean, by):
    """Names play no part; norms that subtract the mean let rotations pass that leave ones where they are."""
    before, notes = OwnProgram(tmp_path / "own.safetensors", mean=mean), {}
    after = Rotate(by=by).transform(before, str(tmp_path / "r.safetensors"), notes.__setitem__)
    assert_close(after.logits(IDS), before.logits(IDS))
    kind = "orthogonal" if mean or by == "orthogonal" else "Hadamard"
    count = 11 if mean else 8
    for key in ("widen0", "widen1", "head"):
        assert notes[key] == f"inputs rotated by a {kind} matrix of order 48, folded into {count} parameters, 3 gains in them"  # fmt: skip
    for key in ("narrow0", "narrow1"):
        assert notes[key] == "no rotation folded: no rotation passes through 'arith.maximumf'"
    old, new = before.archive.tensor_f32, after.archive.tensor_f32
    for key in ("words", "narrow0", "narrow0_bias", "head"):
        assert np.abs(old(key) - new(key)).max() > 0.1
    assert np.array_equal(old("widen0_bias"), new("widen0_bias"))


@pytest.mark.parametrize(
    "options, reason",
    [
        (dict(post_norm=True), "the gain 'after0_gain' cannot go into the weights that read it"),
        (dict(post_norm=True, mean=True), "the gain 'after0_gain' cannot go into the weights"),
        (dict(tied=True), "'words' would have to be two tensors: .* behind the gain 'last_gain'"),
    ],
)
def test_programs_that_cannot_be_rotated(tmp_path, options, reason):
    source, notes = OwnProgram(tmp_path / "own.safetensors", **options), {}
    with pytest.raises(
        LowbitError, match=f"nothing of '.*own.mlir' can be rotated; .*{reason}"
    ) as e:
        Rotate().transform(source, str(tmp_path / "r.safetensors"), notes.__setitem__)
    assert e.value.hint and "no rotation folded: " in notes["widen0"]
    assert not list(tmp_path.glob("r.*"))


def test_gains_with_zeros_before_a_bias(tmp_path):
    source = OwnProgram(tmp_path / "own.safetensors", mean=True)
    gain = source.archive.tensor_f32("before1_gain").copy()
    gain[5] = 0
    changed = source.with_values({"before1_gain": gain}, str(tmp_path / "zero.safetensors"))
    with pytest.raises(LowbitError, match="behind the gain 'before1_gain', which has zeros"):
        Rotate().transform(changed, str(tmp_path / "r.safetensors"), ignore)


def test_minilm(tmp_path, minilm_path):
    """Its norms are behind the residual; value heads can be rotated, with their biases."""
    program = ROOT / "models/minilm-l6.mlir"
    source = open_source(str(program), [str(minilm_path / "model.safetensors")])
    notes: dict[str, str] = {}
    after = Rotate().transform(source, str(tmp_path / "r.safetensors"), notes.__setitem__)
    for layer in range(6):
        prefix = f"encoder.layer.{layer}"
        assert notes[f"{prefix}.attention.output.dense.weight"] == (
            "inputs rotated by a Hadamard matrix of order 32, folded into 3 parameters"
        )
        assert "cannot go into the weights" in notes[f"{prefix}.attention.self.query.weight"]
        assert "'math.erf'" in notes[f"{prefix}.output.dense.weight"]
    ids = np.array([[101, 2023, 2003, 1037, 7099, 102]], np.int64)
    embeddings = [
        _lowbit.Program(program.read_text(), [s.archive.path], optimization_level=0).run(
            "embed", [ids, np.ones_like(ids)]
        )
        for s in (source, after)
    ]
    assert_close(embeddings[1][0], embeddings[0][0])
