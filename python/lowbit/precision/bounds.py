"""How far the codes of activations reach: bounds of |x| from how it is spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .histogram import Histogram

BOUNDS = ("maximum", "percentile", "mse")
"""How a bound is chosen."""
_POINTS = 8
"""At which an error is taken in each bin of a histogram: values lie evenly in it."""
_OCTAVES, _STEPS = 8, 8
"""How far below the largest |x| a search for the least error goes, and in how many steps for each factor of 2."""


def squared_error(x: Histogram, scales: NDArray[np.float64], largest: int) -> NDArray[np.float64]:
    """[scales] the sum of squared errors of all |x|, rounded to multiples of each scale from 0 to `largest`: they lie evenly in each bin."""
    low, high, counts = x.bins
    places = (np.arange(_POINTS) + 0.5) / _POINTS
    sizes = low[:, None] + (high - low)[:, None] * places
    errors = []
    for scale in scales:
        difference = np.minimum(np.rint(sizes / scale), largest) * scale - sizes
        errors.append(counts @ (difference**2).mean(axis=1))
    return np.array(errors)


def choose_bound(x: Histogram, codes: int, by: str, percentile: float) -> float:
    """The |x| that gets the largest code, number `codes`; the largest |x| must be known. by: one of BOUNDS."""
    if by == "percentile":
        return x.percentile(percentile) or x.largest  # when nearly all are 0
    if by == "maximum" or not x.largest:
        return x.largest
    bounds = x.largest * 2.0 ** (-np.arange(_OCTAVES * _STEPS + 1) / _STEPS)
    return float(bounds[np.argmin(squared_error(x, bounds / codes, codes))])


@dataclass(frozen=True)
class BoundOptions:
    """Of a step that gives values codes of `bits` bits, as integers on both sides of 0, by a bound that it chooses."""

    by: str = "mse"
    percentile: float = 99.9
    bits: int = 8
    choices = {"by": BOUNDS}
    ranges = {"percentile": (0, 100), "bits": (2, 8)}
    used_by = {"percentile": ("percentile",)}

    @property
    def codes(self) -> int:
        """The largest one."""
        return 2 ** (self.bits - 1) - 1

    def bound(self, x: Histogram) -> float:
        return choose_bound(x, self.codes, self.by, self.percentile)
