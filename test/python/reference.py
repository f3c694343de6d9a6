"""A float32 forward pass of the llama family in numpy, independent of Lowbit.

Weights come from the `gguf` package, decoded to float32; every size from the file's metadata. It is
written to be read: prefill of all positions at once, and a key-value cache for continuing.

Sources: Touvron et al. 2023 (LLaMA); Su et al. 2021 (rotary embedding; GGUF permutes the rows of q
and k so that the rotated pairs are neighbours, 2i and 2i+1); Ainslie et al. 2023 (grouped queries).
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import gguf
import numpy as np


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(x: np.ndarray) -> np.ndarray:
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


class GgufFile:
    """Metadata and decoded tensors of a GGUF file, through the `gguf` package."""

    def __init__(self, path: str | Path):
        reader = gguf.GGUFReader(path)
        self._fields = reader.fields
        self._tensors = {tensor.name: tensor for tensor in reader.tensors}

    def metadata(self, key: str):
        field = self._fields.get(key)
        return None if field is None else field.contents()

    def names(self) -> list[str]:
        return list(self._tensors)

    def tensor(self, name: str) -> np.ndarray:
        tensor = self._tensors[name]
        data = np.asarray(tensor.data)  # no memmap, whose many slices take longer than the decode
        return np.asarray(gguf.quants.dequantize(data, tensor.tensor_type), dtype=np.float32)


class Llama:
    """The model. `replace(name, weight)` may put another float32 array in a weight's place."""

    def __init__(
        self, file: GgufFile, replace: Callable[[str, np.ndarray], np.ndarray] | None = None
    ):
        def number(key: str, default=None):
            value = file.metadata(f"llama.{key}")
            return default if value is None else value

        assert file.metadata("general.architecture") == "llama"
        self.layers = number("block_count")
        self.width = number("embedding_length")
        self.heads = number("attention.head_count")
        self.kv_heads = number("attention.head_count_kv", self.heads)
        self.head_width = number("attention.key_length", self.width // self.heads)
        self.rotary_width = number("rope.dimension_count", self.head_width)
        self.rotary_base = number("rope.freq_base", 10000.0)
        self.epsilon = np.float32(number("attention.layer_norm_rms_epsilon"))
        self.weights = {}
        for name in file.names():
            weight = file.tensor(name)
            self.weights[name] = weight if replace is None else replace(name, weight)
        self.weights.setdefault("output.weight", self.weights["token_embd.weight"])
        self.reset()

    def reset(self) -> None:
        """Forget all positions."""
        empty = np.zeros((self.kv_heads, 0, self.head_width), np.float32)
        self.keys = [empty] * self.layers
        self.values = [empty] * self.layers

    def forward(self, tokens) -> np.ndarray:
        """Append `tokens` to the cache; the logits [len(tokens), vocabulary] after each of them."""
        tokens = np.asarray(tokens)
        start = self.keys[0].shape[1]
        positions = np.arange(start, start + len(tokens))
        x = self.weights["token_embd.weight"][tokens]
        for layer in range(self.layers):
            x = x + self._attention(layer, self._norm(x, f"blk.{layer}.attn_norm"), positions)
            h = self._norm(x, f"blk.{layer}.ffn_norm")
            gate = self._linear(h, f"blk.{layer}.ffn_gate")
            up = self._linear(h, f"blk.{layer}.ffn_up")
            x = x + self._linear(gate / (1 + np.exp(-gate)) * up, f"blk.{layer}.ffn_down")
        return self._norm(x, "output_norm") @ self.weights["output.weight"].T

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        y = x @ self.weights[f"{name}.weight"].T
        bias = self.weights.get(f"{name}.bias")
        return y if bias is None else y + bias

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        mean_square = np.mean(x * x, axis=-1, keepdims=True)
        return x / np.sqrt(mean_square + self.epsilon) * self.weights[f"{name}.weight"]

    def _rotate(self, x: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """x [heads, length, head_width]; pairs (2i, 2i+1) turn by position * base^(-2i/width)."""
        width = self.rotary_width
        frequency = self.rotary_base ** (-np.arange(0, width, 2) / width)
        angle = positions[:, None] * frequency[None, :]
        cosine, sine = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
        even, odd = x[..., 0:width:2], x[..., 1:width:2]
        out = x.copy()
        out[..., 0:width:2] = even * cosine - odd * sine
        out[..., 1:width:2] = even * sine + odd * cosine
        return out

    def _attention(self, layer: int, x: np.ndarray, positions: np.ndarray) -> np.ndarray:
        length = len(positions)

        def by_head(name: str, heads: int) -> np.ndarray:
            y = self._linear(x, f"blk.{layer}.{name}")
            return y.reshape(length, heads, self.head_width).transpose(1, 0, 2)

        q = self._rotate(by_head("attn_q", self.heads), positions)
        k = self._rotate(by_head("attn_k", self.kv_heads), positions)
        v = by_head("attn_v", self.kv_heads)
        self.keys[layer] = np.concatenate([self.keys[layer], k], axis=1)
        self.values[layer] = np.concatenate([self.values[layer], v], axis=1)

        # Grouped queries: query heads h*group … (h+1)*group-1 share the key and value head h.
        group = self.heads // self.kv_heads
        q = q.reshape(self.kv_heads, group, length, self.head_width)
        scores = (
            q @ self.keys[layer][:, None].transpose(0, 1, 3, 2) / np.float32(self.head_width**0.5)
        )
        visible = np.arange(self.keys[layer].shape[1])[None, :] <= positions[:, None]
        scores = np.where(visible, scores, np.float32(-np.inf))
        mixed = softmax(scores) @ self.values[layer][:, None]
        mixed = mixed.reshape(self.heads, length, self.head_width).transpose(1, 0, 2)
        return self._linear(mixed.reshape(length, -1), f"blk.{layer}.attn_output")


def perplexity(logits: np.ndarray, tokens) -> float:
    """exp of the mean negative log likelihood of tokens[1:]; the first token is not scored."""
    scores = log_softmax(logits[:-1].astype(np.float64))
    return float(np.exp(-scores[np.arange(len(tokens) - 1), np.asarray(tokens)[1:]].mean()))


def greedy(model: Llama, prompt, count: int) -> tuple[list[int], list[float]]:
    """The `count` tokens of highest logit after `prompt`, and for each the margin to the second."""
    model.reset()
    logits = model.forward(prompt)[-1]
    tokens, margins = [], []
    for _ in range(count):
        second, first = np.sort(logits)[-2:]
        margins.append(float(first - second))
        tokens.append(int(logits.argmax()))
        logits = model.forward([tokens[-1]])[-1]
    return tokens, margins


def centred_logits(model: Llama, sequences) -> np.ndarray:
    """[all tokens, vocabulary] without their mean, which changes nothing; each sequence alone."""
    found = []
    for tokens in sequences:
        model.reset()
        found.append(model.forward(tokens).astype(np.float64))
    logits = np.concatenate(found)
    return logits - logits.mean(axis=1, keepdims=True)
