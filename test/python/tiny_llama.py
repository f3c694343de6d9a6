"""A llama of two small layers with random weights, in a GGUF file: its tokens are bytes, and 'th'. What tests of lowbit.precision quantize.

Weights depend on nothing but the tensors' names (test/Import/Inputs/make_tiny_llama.py has the shapes).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Callable

import gguf
import numpy as np
from reference import Llama

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "test/Import/Inputs"), str(ROOT / "scripts")]
import make_tiny_llama  # noqa: E402
from byte_model import byte_tokens  # noqa: E402

TEXT = (
    "In the beginning God created the heaven and the earth. And the earth was without form, and void; "
    "and darkness was upon the face of the deep. And the Spirit of God moved upon the face of the waters. "
    "And God said, Let there be light: and there was light. And God saw the light, that it was good."
)
Tensors = dict[str, np.ndarray]


def write_tiny_llama(
    path: Path,
    *,
    head: bool = False,
    biases: bool = False,
    change: Callable[[Tensors], None] = lambda tensors: None,
    **metadata: int | float,
) -> Path:
    """change: edits the tensors in place. metadata: of llama, as rope__dimension_count=8."""
    values = make_tiny_llama.METADATA | {"llama.context_length": 128}
    values |= {f"llama.{key.replace('__', '.')}": value for key, value in metadata.items()}
    shapes = make_tiny_llama.shapes(values, biases, head)
    for name in ("token_embd.weight", *(["output.weight"] if head else [])):
        shapes[name] = (256, shapes[name][1])
    tensors = {name: make_tiny_llama.values(name, shape) for name, shape in shapes.items()}
    change(tensors)
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in values.items():
        (writer.add_uint32 if isinstance(value, int) else writer.add_float32)(key, value)
    writer.add_string("tokenizer.ggml.model", "gpt2")
    writer.add_string("tokenizer.ggml.pre", "gpt-2")
    # gguf writes no empty list of merges: the byte 255, which no UTF-8 has, makes room for one.
    writer.add_array("tokenizer.ggml.tokens", [*byte_tokens()[:255], "th"])
    writer.add_array("tokenizer.ggml.merges", ["t h"])
    writer.add_array("tokenizer.ggml.token_type", [1] * 256)
    for name, array in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(array, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


class ArchiveFile:
    """What Lowbit wrote, as the reference in numpy reads files: metadata and decoded tensors."""

    def __init__(self, path: Path):
        from lowbit._lowbit import Archive

        self._archive = Archive(str(path))
        self.metadata, self.tensor = self._archive.metadata, self._archive.tensor_f32

    def names(self) -> list[str]:
        return [tensor.name for tensor in self._archive.tensors]


def plant_outliers(tensors: Tensors) -> None:
    """Channels behind norms that are up to 60 times the others."""
    for layer in range(2):
        tensors[f"blk.{layer}.attn_norm.weight"][[3, 40]] *= 60
        tensors[f"blk.{layer}.ffn_norm.weight"][[7, 8]] *= -25


class Recorder(Llama):
    """Remembers what enters each matrix."""

    def reset(self) -> None:
        super().reset()
        self.entered: dict[str, list[np.ndarray]] = {}

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        self.entered.setdefault(f"{name}.weight", []).append(x)
        return super()._linear(x, name)
