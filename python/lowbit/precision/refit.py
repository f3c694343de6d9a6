"""Scales and minima by least squares, once codes are known: one half of alternating least squares, of which choosing codes is the other.

With the codes q of a row fixed, what it decodes to is linear in its scales s_b and minima m_b, one for each block b: w_j = s_b q_j + m_b. The
error e H e^T is least where the normal equations of all blocks of the row hold together (H couples them).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _lowbit
from .weights import Array, Moments, Term, damped, finest_width, row_errors

Numbers = NDArray[np.float64]


_BF16 = "#lowbit.quantized<bf16>"


def refit(term: Term, wanted: Array, moments: Moments, damping: float = 1e-4) -> Term:
    """A term with the same codes whose error is not larger. One whose scales are no floats for ranges of rows, or that has integer zero points, comes back
    as it is."""
    if "scale" not in term.components:
        return term
    kinds = [name for name in ("scale", "min") if name in term.components]
    others = [n for n in term.components if not n.startswith("codes") and n not in kinds]
    arrays = [_read(term, name) for name in kinds]
    rows, columns = wanted.shape
    if others or any(a is None or a.ndim != 2 or len(a) != rows for a in arrays):
        return term
    width = finest_width(term.encoding, columns)
    if not width or arrays[0].shape[1] != -(-columns // width):
        return term
    codes = _levels(term, wanted.shape)
    values = solve(codes, wanted.astype(np.float64), damped(moments, damping), width, len(kinds))
    better = term
    for name, array, new in zip(kinds, arrays, values):
        # A block of zeros has no scale of its own, and f16 not every one.
        better = _replace(better, name, np.where(new != 0, new, array))
        rounded = _read(better, name)
        better = _replace(better, name, np.where(np.isfinite(rounded), rounded, array))
    # Rounded to the scales' format, a row may be worse than it was.
    before, after = (row_errors(t.decode(wanted.shape) - wanted, moments) for t in (term, better))
    chosen = (after < before)[:, None]
    fitted = {n: np.where(chosen, better.components[n], term.components[n]) for n in kinds}
    return Term(term.encoding, {**term.components, **fitted})


def _read(term: Term, name: str) -> NDArray[Any] | None:
    """A component of floats as numbers; numpy has none of bf16. None of others."""
    array = term.components[name]
    if array.dtype.kind == "f":
        return array
    if f"{name} = bf16" in term.encoding:
        return _lowbit.decode(_BF16, list(array.shape), {"codes": array})
    return None


def _replace(term: Term, name: str, values: NDArray[Any]) -> Term:
    """With other numbers in place of such a component, rounded to what it is stored in."""
    dtype = term.components[name].dtype
    with np.errstate(over="ignore"):
        stored = values.astype(dtype if dtype.kind == "f" else np.float32)
    if dtype.kind != "f":
        stored = _lowbit.encode(np.ascontiguousarray(stored), _BF16)["codes"]
    return Term(term.encoding, {**term.components, name: stored})


def _levels(term: Term, shape: tuple[int, ...]) -> Numbers:
    """What the codes stand for, before scales and minima."""
    for name, value in (("scale", 1.0), ("min", 0.0)):
        if name in term.components:
            term = _replace(term, name, np.full(term.components[name].shape, value))
    return term.decode(shape).astype(np.float64)


def solve(
    codes: Numbers, wanted: Numbers, moments: Moments, width: int, kinds: int
) -> list[Numbers]:
    """For each row the scales, and the minima where kinds is 2, [rows, blocks], that minimize e H e^T."""
    rows, columns = codes.shape
    starts = np.arange(0, columns, width)
    blocks = len(starts)
    bases = [codes] if kinds == 1 else [codes, np.ones_like(codes)]
    target = wanted @ moments
    matrix = np.empty((rows, kinds * blocks, kinds * blocks))
    for a, left in enumerate(bases):
        for block, start in enumerate(starts):
            part = slice(start, start + width)
            product = left[:, part] @ moments[part]
            for b, right in enumerate(bases):
                sums = np.add.reduceat(product * right, starts, axis=1)
                matrix[:, a * blocks + block, b * blocks : (b + 1) * blocks] = sums
    side = np.concatenate(
        [np.add.reduceat(target * base, starts, axis=1) for base in bases], axis=1
    )
    # A block whose codes are all the same, or zero, has more than one solution: one of them.
    diagonal = np.einsum("rii->ri", matrix)
    diagonal += np.where(diagonal > 0, 1e-11 * diagonal, 1.0)
    solution = np.linalg.solve(matrix, side[:, :, None])[:, :, 0]
    return list(solution.reshape(rows, kinds, blocks).transpose(1, 0, 2))
