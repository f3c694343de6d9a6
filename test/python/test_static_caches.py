"""The step static-caches: scales of keys and values go into the weights, and caches hold codes alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from lowbit import Archive, Model, _lowbit
from lowbit.errors import LowbitError
from lowbit.precision.quantize import Options, Quantization
from lowbit.precision.sources import LanguageModel, open_source
from lowbit.precision.static_caches import StaticCaches
from reference import GgufFile, Llama
from tiny_llama import TEXT, ArchiveFile, write_tiny_llama

pytestmark = pytest.mark.usefixtures("stages_compiled_once")

EXACT = dict(activations="f32", context_length=64, use_cache=False)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """One head of keys and values that is much larger than the other."""

    def change(tensors: dict[str, np.ndarray]) -> None:
        for layer in range(2):
            for name in "kv":
                tensors[f"blk.{layer}.attn_{name}.weight"][16:] *= 3

    folder = tmp_path_factory.mktemp("tiny")
    return write_tiny_llama(folder / "tiny.gguf", biases=True, change=change)


def transform(model: Path, path: Path, step: StaticCaches) -> tuple[LanguageModel, dict[str, str]]:
    source, notes = open_source(str(model)), {}
    sequences = source.sequences(TEXT, 1024, 64)
    return step.transform(source, str(path), notes.__setitem__, sequences), notes


def caches_of(model: Llama, sequences) -> dict[str, np.ndarray]:
    """[heads, tokens, head size] of all sequences."""
    found: dict[str, list[np.ndarray]] = {}
    for tokens in sequences:
        model.reset()
        model.forward(tokens)
        for layer in range(model.layers):
            found.setdefault(f"k_{layer}", []).append(model.keys[layer])
            found.setdefault(f"v_{layer}", []).append(model.values[layer])
    return {name: np.concatenate(parts, axis=1) for name, parts in found.items()}


class Rounding(Llama):
    """Whose caches hold whole numbers up to `most`."""

    def __init__(self, file: ArchiveFile, bits: int):
        self.least, self.most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        super().__init__(file)

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        y = super()._linear(x, name)
        return np.clip(np.rint(y), self.least, self.most) if name.endswith("attn_v") else y

    def _rotate(self, x: np.ndarray, positions: np.ndarray) -> np.ndarray:
        x = super()._rotate(x, positions)
        return np.clip(np.rint(x), self.least, self.most) if len(x) == self.kv_heads else x


@pytest.mark.parametrize("by", ["maximum", "percentile", "mse"])
def test_the_float_program_stays(tiny, tmp_path, by):
    source, notes = transform(tiny, tmp_path / "a.safetensors", StaticCaches(by=by))
    tokens = np.random.default_rng(2).integers(0, 256, 40)
    expected = Llama(GgufFile(tiny)).forward(tokens)
    found = Llama(ArchiveFile(tmp_path / "a.safetensors")).forward(tokens)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert set(notes) == {f"blk.{layer}.attn_{name}.weight" for layer in range(2) for name in "kv"}
    assert source.archive.metadata("lowbit.kv_cache") == "int<8>"


@pytest.mark.parametrize("bits", [4, 8])
def test_each_head_has_its_largest_code(tiny, tmp_path, bits):
    sequences = open_source(str(tiny)).sequences(TEXT, 1024, 64)
    transform(tiny, tmp_path / "a.safetensors", StaticCaches(by="maximum", bits=bits))
    filled = caches_of(Llama(ArchiveFile(tmp_path / "a.safetensors")), sequences)
    for name, cache in filled.items():
        largest = np.abs(cache).max(axis=(1, 2))
        np.testing.assert_allclose(largest, 2 ** (bits - 1) - 1, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("bits", [4, 8])
def test_the_compiled_model_stores_codes(tiny, tmp_path, bits):
    """As numpy's that rounds; with nothing said, caches are what the archive says."""
    output = tmp_path / "a.safetensors"
    options = Options(recipe=f"static-caches{{bits={bits}}},nearest", length=64)
    record = Quantization(open_source(str(tiny)), str(output), options, TEXT).run()
    assert Archive(str(output)).metadata("lowbit.kv_cache") == f"int<{bits}>"
    decisions = {t["key"]: t["decisions"] for t in record["tensors"]}
    assert decisions["blk.0.attn_k.weight"][0].startswith(f"outputs in steps of int<{bits}>, up to")
    tokens = np.random.default_rng(3).integers(0, 256, 40)
    found = np.concatenate(list(Model(output, **EXACT).logits(list(tokens))))
    expected = Rounding(ArchiveFile(output), bits).forward(tokens)
    exact = Llama(ArchiveFile(output)).forward(tokens)
    # A number beside the border of two codes may fall to the other side where sums differ in their last bits.
    assert np.abs(found - expected).mean() < 0.1 * np.abs(exact - expected).mean()


def test_zeros_stay_zeros(tmp_path):
    def change(tensors: dict[str, np.ndarray]) -> None:
        tensors["blk.0.attn_v.weight"][:] = 0

    model = write_tiny_llama(tmp_path / "tiny.gguf", change=change)
    source, _ = transform(model, tmp_path / "a.safetensors", StaticCaches())
    assert not source.archive.tensor_f32("blk.0.attn_v.weight").any()
    found = Llama(ArchiveFile(tmp_path / "a.safetensors")).forward([1, 2, 3])
    np.testing.assert_allclose(found, Llama(GgufFile(model)).forward([1, 2, 3]), rtol=1e-4, atol=1e-4)  # fmt: skip


def test_damaged_weights_are_told(tmp_path):
    def change(tensors: dict[str, np.ndarray]) -> None:
        tensors["blk.1.attn_k.weight"][3, 5] = np.nan

    model = write_tiny_llama(tmp_path / "tiny.gguf", change=change)
    options = Options(recipe="static-caches,nearest", length=64)
    with pytest.raises(LowbitError, match="'k_1' is not finite"):
        Quantization(open_source(str(model)), str(tmp_path / "a.safetensors"), options, TEXT).run()
    assert list(tmp_path.iterdir()) == [model]


def test_a_program_of_ones_own_is_refused(tmp_path):
    program = SimpleNamespace(path="net.mlir")
    with pytest.raises(LowbitError, match="which arguments of .* are caches is not known"):
        StaticCaches().transform(program, str(tmp_path / "a"), lambda key, text: None, [])


def test_codes_without_scales_are_a_type_of_caches(tiny):
    archive = Archive(str(tiny))
    for name, shape, encoding in _lowbit.list_caches(archive, 64, "int<8>"):
        assert _lowbit.encoded_bytes(encoding, shape) == np.prod(shape), name
