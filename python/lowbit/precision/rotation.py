"""A step that rotates what flows through a llama, so that no channel stands out.

The residual stream x becomes x Q with an orthogonal Q: what writes to it and what reads from it are rotated, and the float program stays
the same, since a root mean square is that of rotated values, too (QuaRot, Ashkboos et al. 2024, arXiv 2404.00456; SliceGPT, arXiv 2401.15024,
section 3). Norms' gains go into the matrices that read them first. Values are rotated within each head between attn_v and attn_output.
What enters ffn_down, and queries and keys, come from what is not linear: these are rotated while the program runs, by small matrices that the model's
archive keeps ("rotation.ffn_down.N", "rotation.attn_qk.N").
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _lowbit
from ..errors import LowbitError
from .hadamard import Matrix, rotation, rotation_factors
from .sources import LanguageModel, Source
from .steps import ModelStep, step

Array = NDArray[np.float32]
Tensor = tuple[str, tuple[int, ...], str, dict[str, Array]]


@step("rotate")
@dataclass(frozen=True)
class Rotate(ModelStep):
    """Randomized Hadamard rotations: stream: of the residual stream, folded into the weights; values: of each value head, folded; down: of
    what enters ffn_down, online; heads: of queries and keys, online, for caches of few bits (QuaRot; SpinQuant, Liu et al. 2024, arXiv 2405.16406,
    names them R1 to R4). Only for models of the llama family: a norm that subtracts the mean, or one behind the residual, does not commute.
    """

    stream: bool = True
    values: bool = True
    down: bool = True
    heads: bool = True
    seed: int = 0
    ranges = {"seed": (0, 2**64 - 2)}

    def transform(self, source: Source, path: str) -> Source:
        if not isinstance(source, LanguageModel):
            raise LowbitError(
                f"'{source.path}' cannot be rotated: only the llama family's norms are known to commute with a rotation",
                hint="use a recipe without the step 'rotate'",
            )
        rotated = _Rotator(source.archive, self).rotate()
        staged = path + ".tensors"
        try:
            _lowbit.write_archive(staged, {}, rotated)
            _lowbit.merge_archives(source.archive, [staged], {}, path)
        finally:
            if os.path.exists(staged):
                os.remove(staged)
        return LanguageModel(path, name=source.path)


class _Rotator:
    def __init__(self, archive: _lowbit.Archive, options: Rotate):
        self.archive, self.options = archive, options
        self.names = {tensor.name for tensor in archive.tensors}
        for name in self.names:
            if name.startswith("rotation."):
                raise LowbitError(
                    f"the model is rotated already (tensor '{name}')",
                    hint="use a recipe without the step 'rotate'",
                )
        self.layers = archive.metadata("llama.block_count")
        heads = archive.metadata("llama.attention.head_count")
        self.width = len(self._read("output_norm.weight"))
        self.head = archive.metadata("llama.attention.key_length") or self.width // heads
        self.tensors: list[Tensor] = []

    def _read(self, name: str) -> Matrix:
        return self.archive.tensor_f32(name).astype(np.float64)

    def _write(self, name: str, values: Matrix) -> None:
        plain = np.ascontiguousarray(values, np.float32)
        self.tensors.append((name, plain.shape, "", {"values": plain}))

    def rotate(self) -> list[Tensor]:
        options = self.options
        stream = rotation(self.width, options.seed) if options.stream else np.eye(self.width)
        values = rotation(self.head, options.seed + 1) if options.values else np.eye(self.head)
        down = rotation_factors(self._inputs("blk.0.ffn_down.weight")) if options.down else []
        heads = rotation_factors(self.head) if options.heads else []
        whole_down = self._product(down)
        for layer in range(self.layers):
            prefix = f"blk.{layer}."
            for norm, readers in [
                ("attn_norm", ["attn_q", "attn_k", "attn_v"]),
                ("ffn_norm", ["ffn_gate", "ffn_up"]),
            ]:
                gain = self._read(f"{prefix}{norm}.weight")
                self._write(f"{prefix}{norm}.weight", np.ones_like(gain))
                for reader in readers:
                    matrix = (self._read(f"{prefix}{reader}.weight") * gain) @ stream
                    if reader == "attn_v":
                        matrix = self._rows_by_head(matrix, values)
                    self._write(f"{prefix}{reader}.weight", matrix)
            if f"{prefix}attn_v.bias" in self.names:
                bias = self._read(f"{prefix}attn_v.bias")
                self._write(f"{prefix}attn_v.bias", self._rows_by_head(bias[:, None], values)[:, 0])
            output = self._rows_by_head(self._read(f"{prefix}attn_output.weight").T, values).T
            self._write(f"{prefix}attn_output.weight", stream.T @ output)
            matrix = self._read(f"{prefix}ffn_down.weight")
            if whole_down is not None:
                matrix = matrix @ whole_down
            self._write(f"{prefix}ffn_down.weight", stream.T @ matrix)
            for name in ["attn_output.bias", "ffn_down.bias"]:
                if prefix + name in self.names:
                    self._write(prefix + name, self._read(prefix + name) @ stream)
        table = self._read("token_embd.weight")
        head = self._read("output.weight") if "output.weight" in self.names else table
        # A tied table cannot be both: the head has the last norm's gain.
        self._write("output.weight", (head * self._read("output_norm.weight")) @ stream)
        self._write("output_norm.weight", np.ones(self.width))
        self._write("token_embd.weight", table @ stream)
        for name, parts in [("ffn_down", down), ("attn_qk", heads)]:
            for number, part in enumerate(parts):
                self._write(f"rotation.{name}.{number}", part)
        return self.tensors

    def _inputs(self, name: str) -> int:
        return next(tensor.shape[1] for tensor in self.archive.tensors if tensor.name == name)

    @staticmethod
    def _product(parts: list[Matrix]) -> Matrix | None:
        result = None
        for part in parts:
            result = part if result is None else np.kron(result, part)
        return result

    def _rows_by_head(self, matrix: Matrix, by: Matrix) -> Matrix:
        """Rows [heads * size, n]: those of each head times `by`."""
        heads = matrix.reshape(-1, self.head, matrix.shape[1])
        return np.einsum("hdn,de->hen", heads, by).reshape(matrix.shape)
