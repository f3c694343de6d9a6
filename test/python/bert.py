"""MiniLM-L6 in numpy, independent of Lowbit: tokens to the embedding of a sentence.

Weights by their names in the safetensors file, which is read here, too. Sums are numpy's.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

HEADS = 12
EPSILON = np.float32(1e-12)

_erf = np.frompyfunc(math.erf, 1, 1)


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    types = {"F32": np.float32, "I64": np.int64}
    tensors = {}
    for name, entry in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        first, last = entry["data_offsets"]
        array = np.frombuffer(data[start + first : start + last], types[entry["dtype"]])
        tensors[name] = array.reshape(entry["shape"])
    return tensors


class Bert:
    def __init__(self, weights: dict[str, np.ndarray]):
        self.weights = weights
        self.layers = sum(name.endswith("attention.self.query.weight") for name in weights)

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        variance = (centred * centred).mean(-1, keepdims=True)
        normal = centred / np.sqrt(variance + EPSILON)
        return normal * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def attend(self, name: str, x: np.ndarray) -> np.ndarray:
        def heads(part: str) -> np.ndarray:
            split = self.linear(f"{name}.self.{part}", x).reshape(len(x), HEADS, -1)
            return split.transpose(1, 0, 2)

        query, key, value = heads("query"), heads("key"), heads("value")
        scores = query @ key.transpose(0, 2, 1) / np.float32(math.sqrt(query.shape[-1]))
        mass = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = mass / mass.sum(-1, keepdims=True) @ value
        return self.linear(f"{name}.output.dense", mixed.transpose(1, 0, 2).reshape(x.shape))

    def feed_forward(self, name: str, x: np.ndarray) -> np.ndarray:
        x = self.linear(f"{name}.intermediate.dense", x)
        gelu = x * (1 + _erf(x / math.sqrt(2)).astype(np.float32)) / 2
        return self.linear(f"{name}.output.dense", gelu)

    def states(self, tokens: list[int]) -> np.ndarray:
        """The last hidden states [tokens, 384]."""
        table = "embeddings.{}_embeddings.weight".format
        x = self.weights[table("word")][tokens] + self.weights[table("token_type")][0]
        x = self.norm("embeddings.LayerNorm", x + self.weights[table("position")][: len(tokens)])
        for layer in range(self.layers):
            name = f"encoder.layer.{layer}"
            x = self.norm(
                f"{name}.attention.output.LayerNorm", x + self.attend(f"{name}.attention", x)
            )
            x = self.norm(f"{name}.output.LayerNorm", x + self.feed_forward(name, x))
        return x

    def embed(self, tokens: list[int]) -> np.ndarray:
        """The mean state, of length 1: [384]."""
        mean = self.states(tokens).mean(0)
        return mean / np.linalg.norm(mean)
