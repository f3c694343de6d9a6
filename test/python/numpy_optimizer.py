"""AdamW with states in few bits, all in numpy and written from the papers: no code of Lowbit's decodes, computes or encodes here.

A step decodes the states, computes the rule in float32 (that of optimizer_reference.py), takes the new parameter from the new
states and encodes these.
Dettmers et al. 2021 (8-bit Optimizers); Li, Chen and Zhu 2023 (Memory Efficient Optimizers with 4-bit States); Gonzalez Ortiz et al. 2026
(FlashOptim).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy_encodings import Quantized, divide, per
from numpy_formats import BF16, E4M3, E5M2, F32, Companded, Table, dynamic, levels
from optimizer_reference import adamw


class Plain:
    """float32."""

    def encode(self, x: np.ndarray) -> np.ndarray:
        return x

    def decode(self, parts: np.ndarray, shape: tuple) -> np.ndarray:
        return parts


class Brain(Plain):
    """bfloat16."""

    def encode(self, x: np.ndarray) -> np.ndarray:
        return x.astype(BF16.type)

    def decode(self, parts: np.ndarray, shape: tuple) -> np.ndarray:
        return parts.astype(np.float32)


@dataclass(frozen=True)
class RankOne:
    """An element's scale is the smaller one of its row's and its column's largest magnitude, over the format's."""

    format: Table

    def encode(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        row, column = (np.abs(x).max(axis, keepdims=True) / self.format.largest for axis in (1, 0))
        return self.format.nearest(divide(x, np.minimum(row, column))), row, column

    def decode(self, parts: tuple, shape: tuple) -> np.ndarray:
        codes, row, column = parts
        return np.minimum(row, column) * self.format.level(codes)


def blocks(format, size: int, scale=F32) -> Quantized:
    return Quantized(format, per(scale, 1, size))


M4 = blocks(dynamic(True, 4), 128)
M8 = blocks(Companded(True), 32, BF16)
V4 = levels(np.arange(1, 17) / 16)
DE4 = dynamic(False, 4)

# The codecs of m and v, and the least elements of a tensor that they are for.
SCHEMES = {
    "f32": (Plain(), Plain(), 0),
    "bf16": (Brain(), Brain(), 0),
    "dynamic8": (blocks(dynamic(True), 256), blocks(dynamic(False), 256), 4096),
    "fp8": (blocks(E4M3, 256), blocks(E5M2, 256), 4096),
    "fp8_torchao": (blocks(E4M3, 256), blocks(E4M3, 256), 4096),
    "companded8": (M8, blocks(Companded(False, zero=False), 32, BF16), 0),
    "companded8_flashoptim": (blocks(Companded(True), 32), blocks(Companded(False), 32), 0),
    "int4": (M4, blocks(V4, 128), 4097),
    "int4_rank1": (M4, RankOne(V4), 4097),
    "int4-dynamic-nonzero": (M4, blocks(levels([DE4.levels[1], *DE4.levels[1:]]), 128), 4097),
    "int4-dynamic-zero": (M4, blocks(DE4, 128), 4097),
    "int4-linear-zero": (M4, blocks(levels(np.arange(16) / np.float32(15)), 128), 4097),
}


class NumpyAdamW:
    """A step for all parameters, in place, as training.Compiled's."""

    bytes = 0  # not counted: numpy packs nothing

    def __init__(self, scheme: str, params: dict[str, np.ndarray]):
        m, v, least = SCHEMES[scheme]
        self.is_flat = not isinstance(v, RankOne)
        self.codecs, self.states, self.steps = {}, {}, 0
        for name, p in params.items():
            zero = np.zeros_like(self._view(p))
            self.codecs[name] = (m, v) if p.size >= least else (Plain(), Plain())
            self.states[name] = [codec.encode(zero) for codec in self.codecs[name]]

    def _view(self, p: np.ndarray) -> np.ndarray:
        rows = 1 if self.is_flat or p.ndim < 2 else p.shape[0]
        return p.reshape(rows, -1)

    def step(self, params: dict[str, np.ndarray], grads: dict[str, np.ndarray], lr: float) -> None:
        self.steps += 1
        for name, codecs in self.codecs.items():
            view = self._view(params[name])
            decoded = [c.decode(s, view.shape) for c, s in zip(codecs, self.states[name])]
            given = dict(zip("mv", decoded))
            with np.errstate(all="ignore"):
                new, states = adamw(self._view(grads[name]), view, given, self.steps, lr=lr)
            view[...] = new
            self.states[name] = [c.encode(states[state]) for c, state in zip(codecs, "mv")]
