"""One weight while it is decided how it is stored.

A weight W [outputs, inputs] is stored as a sum of terms: the *base*, codes of few bits, and before it what was taken out of it (outliers, a
low-rank branch). Each term that is taken out leaves the base less to represent; the base is encoded last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Mapping

import numpy as np
from numpy.typing import NDArray

from .. import _lowbit
from ..errors import LowbitError

Array = NDArray[np.float32]
Moments = NDArray[np.float64]
"""[inputs, inputs]: the mean of x x^T over inputs x."""


HALF = "#lowbit.quantized<f16>"
"""What columns that are kept apart and low-rank factors are stored in."""


@dataclass(frozen=True)
class Term:
    """An encoding and its stored components."""

    encoding: str
    components: Mapping[str, NDArray[Any]]

    def decode(self, shape: tuple[int, ...]) -> Array:
        return _lowbit.decode(self.encoding, list(shape), dict(self.components))


def encode(values: Array, encoding: str) -> Term:
    """Rounded to nearest."""
    return Term(encoding, _lowbit.encode(np.ascontiguousarray(values), encoding))


def add_terms(terms: list[Term]) -> Term:
    """The sum of terms as one encoding."""
    if len(terms) == 1:
        return terms[0]
    components = {
        f"{number}.{name}": array
        for number, term in enumerate(terms)
        for name, array in term.components.items()
    }
    return Term(f"#lowbit.sum<{', '.join(term.encoding for term in terms)}>", components)


def row_errors(difference: Array, moments: Moments) -> NDArray[np.float64]:
    """[outputs] the mean squared change of each output of x W^T when W changes by this: the diagonal of D H D^T."""
    wide = difference.astype(np.float64)
    return np.einsum("ij,ij->i", wide @ moments, wide)


def output_error(difference: Array, moments: Moments) -> float:
    """The same, summed over outputs: tr(D H D^T)."""
    return float(row_errors(difference, moments).sum())


def damped(moments: Moments, damping: float) -> Moments:
    """With a part of the mean of the diagonal added to it, so that it can be inverted."""
    mean = float(np.trace(moments)) / len(moments)
    return moments + np.eye(len(moments)) * (damping * mean if mean > 0 else 1.0)


def finest_width(encoding: str, columns: int) -> int | None:
    """How many neighbours of a row share the finest scale of a '#lowbit.quantized'; None where no ranges of one row do."""
    levels = re.findall(r"per (\[1, (\d+)\]|axis 0|tensor|\[[^]]*\]|axis \d+)", encoding)
    widths = [
        int(width) if width else columns for text, width in levels if width or text == "axis 0"
    ]
    return min(widths, default=None)


def check_finite(key: str, values: Array) -> None:
    if not np.isfinite(values).all():
        raise LowbitError(
            f"tensor '{key}' has numbers that are not finite",
            hint="the file may be damaged: an encoding has no codes for NaN and infinity",
        )


def _is_sparse(term: Term) -> bool:
    return term.encoding.startswith("#lowbit.sparse")


@dataclass
class Weight:
    key: str
    values: Array
    """What is to be represented, [outputs, inputs], conditioned so far."""
    encoding: str
    """Of the base."""
    moments: Moments
    ranges: NDArray[np.float64] | None = None
    """[inputs]: the largest |x|."""
    fisher: Array | None = None
    """The diagonal of the Fisher information, of the values' shape, where a step needs it."""
    terms: list[Term] = field(default_factory=list)
    """Taken out of the base."""
    free_columns: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Inputs whose columns are stored apart, and chosen last. The base is 0 there, and its codes there are not read."""
    decisions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        check_finite(self.key, self.values)
        self.base = self.values
        self.wanted = self.values

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def take_out(self, term: Term) -> None:
        decoded = self._decode(term)
        self.terms.append(term)
        self.base, self.wanted = self.base - decoded, self.wanted - decoded

    def _decode(self, term: Term) -> Array:
        """A term in f16."""
        decoded = term.decode(self.shape)
        if not np.isfinite(decoded).all():
            raise LowbitError(
                f"tensor '{self.key}' has weights that f16 cannot hold, which outliers are stored in",
                hint=f"leave it as it is (--keep '{self.key}=same'), or use a recipe that takes nothing out, as gptq",
            )
        return decoded

    def set_apart(self, columns: NDArray[np.int64]) -> None:
        self.free_columns = np.union1d(self.free_columns, columns)
        self.base = self.base.copy()
        self.base[:, columns] = 0

    def find_sparse(self) -> NDArray[np.bool_]:
        """Where single weights are stored apart."""
        found = np.zeros(self.shape, bool)
        for term in filter(_is_sparse, self.terms):
            found |= term.decode(self.shape) != 0
        return found

    def make_up(self, base: Term) -> None:
        """What is stored apart, in single places, becomes what the base leaves there, whose levels may have no 0."""
        if not any(map(_is_sparse, self.terms)):
            return
        decoded = base.decode(self.shape)
        self.wanted = self.wanted.copy()
        for number, term in enumerate(self.terms):
            if _is_sparse(term):
                values = term.decode(self.shape)
                places = values != 0
                values[places] -= decoded[places]
                self.wanted[places] += decoded[places]
                self.terms[number] = encode(values, term.encoding)

    def finish(self, base: Term) -> Term:
        """With the codes of the base: the whole tensor."""
        if len(self.free_columns):
            base = self._with_columns(base)
        return add_terms([base, *self.terms])

    def _with_columns(self, base: Term) -> Term:
        """The base with the columns that are stored apart, so that they make up for the errors of all others: least squares."""
        columns = self.free_columns
        decoded = base.decode(self.shape)
        decoded[:, columns] = 0
        rest = (self.wanted - decoded).astype(np.float64)
        moments = damped(self.moments, 1e-6)
        fitted = np.linalg.solve(moments[np.ix_(columns, columns)], moments[columns] @ rest.T)
        outliers = encode(fitted.astype(np.float32), HALF)
        density = (len(columns) + 0.5) / self.shape[1]
        whole = Term(
            f"#lowbit.outlier_columns<density = {density:.9f}, {base.encoding}, {HALF}>",
            {
                "columns": columns.astype(np.int32),
                **{f"base.{name}": array for name, array in base.components.items()},
                **{f"outliers.{name}": array for name, array in outliers.components.items()},
            },
        )
        self._decode(whole)
        return whole

    @property
    def base_moments(self) -> Moments:
        """For the codes of the base: where columns are stored apart, and will be chosen to make up for the others' errors, what they
        cannot make up for (the Schur complement)."""
        if not len(self.free_columns):
            return self.moments
        free = self.free_columns
        moments = damped(self.moments, 1e-6)
        rest = np.setdiff1d(np.arange(len(moments)), free)
        across = moments[np.ix_(rest, free)]
        left = moments[np.ix_(rest, rest)] - across @ np.linalg.solve(
            moments[np.ix_(free, free)], across.T
        )
        result = np.zeros_like(moments)
        result[np.ix_(rest, rest)] = (left + left.T) / 2
        return result
