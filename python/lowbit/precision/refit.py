"""Scales and minima by least squares, once codes are known: one half of alternating least squares, of which choosing codes is the other.

With the codes q of a row fixed, what it decodes to is linear in its scales s_b and minima m_b, one for each block b: w_j = s_b q_j + m_b. The
error e H e^T is least where the normal equations of all blocks of the row hold together (H couples them).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .weights import Array, Moments, Term, block_width, damped

Numbers = NDArray[np.float64]


def refit(term: Term, wanted: Array, moments: Moments, damping: float = 1e-4) -> Term:
    """A term with the same codes whose error is not larger. One whose scales are no plain numbers for ranges of rows, or that has integer zero
    points, comes back as it is."""
    if "scale" not in term.components:
        return term
    kinds = [name for name in ("scale", "min") if name in term.components]
    others = [n for n in term.components if not n.startswith("codes") and n not in kinds]
    arrays = [term.components[name] for name in kinds]
    rows, columns = wanted.shape
    if others or any(a.dtype.kind != "f" or a.ndim != 2 or len(a) != rows for a in arrays):
        return term
    width = block_width(term.encoding, columns)
    if arrays[0].shape[1] != -(-columns // width):
        return term
    codes = _levels(term, wanted.shape)
    values = solve(codes, wanted.astype(np.float64), damped(moments, damping), width, len(kinds))
    fitted = dict(term.components)
    for name, array, new in zip(kinds, arrays, values):
        with np.errstate(over="ignore"):
            rounded = new.astype(array.dtype)
        # A block of zeros has no scale of its own, and f16 not every one.
        fitted[name] = np.where(np.isfinite(rounded) & (new != 0), rounded, array)
    better = Term(term.encoding, fitted)
    # Rounded to the scales' format, a row may be worse than it was.
    before, after = (_row_errors(t.decode(wanted.shape) - wanted, moments) for t in (term, better))
    for name, array in zip(kinds, arrays):
        fitted[name] = np.where((after < before)[:, None], fitted[name], array)
    return Term(term.encoding, fitted)


def _levels(term: Term, shape: tuple[int, ...]) -> Numbers:
    """What the codes stand for, before scales and minima."""
    ones = dict(term.components)
    ones["scale"] = np.ones_like(ones["scale"])
    if "min" in ones:
        ones["min"] = np.zeros_like(ones["min"])
    return Term(term.encoding, ones).decode(shape).astype(np.float64)


def _row_errors(difference: Array, moments: Moments) -> Numbers:
    wide = difference.astype(np.float64)
    return np.einsum("ij,ij->i", wide @ moments, wide)


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
