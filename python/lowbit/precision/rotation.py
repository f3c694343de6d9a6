"""A step that rotates what flows through a model, so that no channel stands out.

A value x becomes x Q with an orthogonal Q: what writes to it and what reads from it are rotated, and the float program stays the same, since a root
mean square is that of rotated values, too (QuaRot, Ashkboos et al. 2024, arXiv 2404.00456; SliceGPT, arXiv 2401.15024, section 3). Which parameters that are
the compiler finds from the program (bases.py), whatever their names.

What enters ffn_down in a llama, and its queries and keys, come from what is not linear: these are rotated while the program runs, by small matrices
that the model's archive keeps, and that the importer multiplies with ("rotation.ffn_down.N", "rotation.attn_qk.N").
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import reduce
from typing import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _lowbit
from ..errors import LowbitError
from .bases import Basis, find_rotations
from .hadamard import Matrix, orthogonal, rotation, rotation_factors, rotation_with_ones
from .sources import LanguageModel, Source, Tokens
from .steps import ModelStep, Note, step

Array = NDArray[np.float32]
_LEAVE_OUT = "use a recipe without the step 'rotate'"


@step("rotate")
@dataclass(frozen=True)
class Rotate(ModelStep):
    """Randomized rotations. stream: of whole values, as a residual stream, folded into all that writes to them and reads from them, gains of norms, too; values: of
    blocks of channels, as value heads, folded. In llamas also down: of what enters ffn_down, online; heads: of queries and keys, online, for
    caches of few bits (QuaRot; SpinQuant, Liu et al. 2024, arXiv 2405.16406, names them R1 to R4). by=hadamard: Hadamard matrices with random signs; by=fixed: without;
    by=orthogonal: any orthogonal matrix, for orders that have no Hadamard matrix here (folded ones only). A stream whose norms subtract the mean keeps the vector of ones where it is.
    """

    stream: bool = True
    values: bool = True
    down: bool = True
    heads: bool = True
    by: str = "hadamard"
    seed: int = 0
    ranges = {"seed": (0, 2**64 - 2)}
    scales_caches = True
    choices = {"by": ("hadamard", "fixed", "orthogonal")}

    def transform(
        self, source: Source, path: str, note: Note, sequences: Sequence[Tokens] = ()
    ) -> Source:
        untied = path + ".untied"
        try:
            if self.stream:
                source = source.untied(untied)
            changed = self._fold(source, note)
            if isinstance(source, LanguageModel):
                self._add_online(source.archive, changed, note)
            if not changed:
                raise LowbitError(f"nothing of '{source.path}' is to be rotated", hint=_LEAVE_OUT)
            return source.with_values(changed, path)
        finally:
            if os.path.exists(untied):
                os.remove(untied)

    def _fold(self, source: Source, note: Note) -> dict[str, Matrix]:
        """All parameters that change, by key."""
        changed: dict[str, Matrix] = {}
        refusals: list[str] = []

        def load(key: str) -> Array | Matrix:
            return changed[key] if key in changed else source.archive.tensor_f32(key)

        if not self.stream and not self.values:
            return {}
        for feeds, basis in find_rotations(source.program(16), source.path):
            is_block = any(load(m.key).shape[m.axis] > basis.extent for m in basis.members)
            if not basis.reason and not (self.values if is_block else self.stream):
                continue
            for key in feeds:
                note(
                    key,
                    (
                        f"no rotation folded: {basis.reason}"
                        if basis.reason
                        else self._describe(basis)
                    ),
                )
            if basis.reason:
                refusals.append(f"what enters '{feeds[0]}': {basis.reason}")
                continue
            matrix = self._matrix(basis, self.seed + is_block)
            changed |= basis.change(load, lambda values: values @ matrix)
        if not changed and not isinstance(source, LanguageModel):
            raise LowbitError(
                f"nothing of '{source.path}' can be rotated; {refusals[0] if refusals else 'it has no products with parameters'}",
                hint=_LEAVE_OUT,
            )
        return changed

    def _matrix(self, basis: Basis, seed: int) -> Matrix:
        if basis.keeps_ones:
            return rotation_with_ones(basis.extent, seed)
        if self.by == "orthogonal":
            return orthogonal(basis.extent, seed)
        return rotation(basis.extent, None if self.by == "fixed" else seed)

    def _describe(self, basis: Basis) -> str:
        kind = "orthogonal" if self.by == "orthogonal" or basis.keeps_ones else "Hadamard"
        parameters = len({member.key for member in basis.members})
        gains = f", {len(basis.gains)} gains in them" if basis.gains else ""
        return f"inputs rotated by a {kind} matrix of order {basis.extent}, folded into {parameters} parameters{gains}"

    # Online, in llamas
    # -----------------

    def _add_online(self, archive: _lowbit.Archive, changed: dict[str, Matrix], note: Note) -> None:
        """What the importer multiplies with while the program runs, and the weights behind it, by the names that it knows."""
        shapes = {tensor.name: tensor.shape for tensor in archive.tensors}
        for name in shapes:
            if name.startswith("rotation.") and (self.down or self.heads):
                raise LowbitError(
                    f"the model is rotated already (tensor '{name}')", hint=_LEAVE_OUT
                )
        added: dict[str, list[Matrix]] = {}
        if self.down:
            weights = [name for name in shapes if re.fullmatch(r"blk\.\d+\.ffn_down\.weight", name)]
            added["ffn_down"] = rotation_factors(shapes[weights[0]][1])
            whole = reduce(np.kron, added["ffn_down"])
            for key in weights:
                values = changed.get(key, archive.tensor_f32(key))
                changed[key] = values.astype(np.float64) @ whole
                orders = " x ".join(str(len(part)) for part in added["ffn_down"])
                note(key, f"inputs rotated by a Hadamard matrix of order {orders}, online")
        if self.heads:
            width = shapes["output_norm.weight"][0]
            size = archive.metadata("llama.attention.key_length")
            added["attn_qk"] = rotation_factors(
                size or width // archive.metadata("llama.attention.head_count")
            )
        for name, parts in added.items():
            for number, part in enumerate(parts):
                changed[f"rotation.{name}.{number}"] = part
