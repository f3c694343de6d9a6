"""How numbers of any size are spread, in bins that need no range: the high bits of an f32."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import LowbitError


@dataclass(frozen=True)
class Histogram:
    """Of |x|. Bin b of 2^B has the f32 whose high B bits after the sign are b: 8 bits of the exponent and B - 8 of the mantissa, so that the middle of a bin is within
    a factor of 1 ± 2^(7 - B) of all that it has; below 2^-126, where f32 has no more exponents, within 2^(-118 - B). Bin 0 counts as zeros.
    """

    counts: NDArray[np.int64]
    """[2^B]"""
    largest: float = math.inf
    """The largest |x|, where that is known."""

    @staticmethod
    def of(values: NDArray[np.float32], bins: int) -> Histogram:
        sizes = np.abs(values, dtype=np.float32).ravel()
        counts = np.bincount(sizes.view(np.uint32) >> _shift(bins), minlength=bins)
        return Histogram(counts, float(sizes.max(initial=0)))

    def __add__(self, other: Histogram) -> Histogram:
        """Of both, with bins alike."""
        return Histogram(self.counts + other.counts, max(self.largest, other.largest))

    @property
    def bins(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """The least number, the bound above and the count of each bin of finite numbers that is not empty, ascending."""
        edges = _edges(len(self.counts))
        (used,) = np.nonzero(self.counts[: len(edges) - 1])
        return edges[used], edges[used + 1], self.counts[used]

    @property
    def finite(self) -> bool:
        return not self.counts[len(_edges(len(self.counts))) - 1 :].any()

    def percentile(self, percent: float) -> float:
        """By nearest rank (numpy's method 'inverted_cdf'): the middle of its bin, and no more than the largest |x|."""
        if not 0 <= percent <= 100:
            raise LowbitError(f"there is no percentile {percent}", hint="from 0 to 100")
        low, high, counts = self.bins
        if not len(counts):
            raise LowbitError("a histogram of nothing has no percentiles")
        total = int(counts.sum())
        rank = max(1, math.ceil(percent * total / 100))
        bin = int(np.searchsorted(np.cumsum(counts), min(rank, total)))
        return min(float(low[bin] + high[bin]) / 2, self.largest) if low[bin] else 0.0


def _shift(bins: int) -> int:
    """How many bits of an f32 a bin does not tell."""
    return 32 - bins.bit_length()


def _edges(bins: int) -> NDArray[np.float64]:
    """Of the bins of finite numbers; the last one is infinity."""
    shift = _shift(bins)
    edges = np.arange((0x7F800000 >> shift) + 1, dtype=np.uint32) << shift
    return np.append(edges[:-1].view(np.float32).astype(np.float64), 2.0**128)
