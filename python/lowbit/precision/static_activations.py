"""A step that fixes the scales of activations, so that the program that runs need not look for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import LowbitError
from .statistics import Statistics
from .steps import StageStep, step

if TYPE_CHECKING:
    from .state import StageState

_POINTS = 8
"""At which an error is taken in each bin of a histogram: values lie evenly in it."""
_OCTAVES, _STEPS = 8, 8
"""How far below the largest |x| a search for the least error goes, and in how many steps for each factor of 2."""


def squared_error(
    tap: Statistics, scales: NDArray[np.float64], largest: int
) -> NDArray[np.float64]:
    """[scales] the sum of squared errors of all |x| of a tap, rounded to multiples of each scale from 0 to `largest`. By its histogram: values lie
    evenly in each bin."""
    low, high, counts = tap.bins
    places = (np.arange(_POINTS) + 0.5) / _POINTS
    x = low[:, None] + (high - low)[:, None] * places
    errors = []
    for scale in scales:
        difference = np.minimum(np.rint(x / scale), largest) * scale - x
        errors.append(counts @ (difference**2).mean(axis=1))
    return np.array(errors)


@step("static-activations")
@dataclass(frozen=True)
class StaticActivations(StageStep):
    """Keeps one scale for the inputs of each product, beside its weight, as calibration found them: for `--activations 'int<8>, scale = f32 per tensor,
    rule = given'`, with as many bits. by=maximum: the largest |x| has the largest code. by=percentile: that percentile of |x| has, larger ones
    saturate. by=mse: the bound of least squared error, of a grid of 8 for each factor of 2 down to 2^-8 of the largest |x|. After steps that change what
    the inputs are.
    """

    by: str = "mse"
    percentile: float = 99.9
    bits: int = 8
    choices = {"by": ("maximum", "percentile", "mse")}
    ranges = {"percentile": (0, 100), "bits": (2, 8)}
    keeps_every_input = True
    is_last = True

    @property
    def activations(self) -> str:
        return f"int<{self.bits}>, scale = f32 per tensor, rule = given"

    def bound(self, tap: Statistics) -> float:
        """The |x| that gets the largest code."""
        largest = float(tap.largest.max(initial=0))
        if self.by == "percentile":
            return tap.percentile(self.percentile)
        if self.by == "maximum" or not largest:
            return largest
        bounds = largest * 2.0 ** (-np.arange(_OCTAVES * _STEPS + 1) / _STEPS)
        codes = 2 ** (self.bits - 1) - 1
        return float(bounds[np.argmin(squared_error(tap, bounds / codes, codes))])

    def scale(self, tap: Statistics) -> np.float32:
        """Of its codes."""
        return np.float32(self.bound(tap) / (2 ** (self.bits - 1) - 1))

    def condition(self, state: StageState) -> None:
        for tap in state.measure():
            scale = self.scale(tap)
            bound = float(scale) * (2 ** (self.bits - 1) - 1)
            for key in tap.feeds:
                if key in state.factors:
                    raise LowbitError(
                        f"'{key}' is a factor of several products: their inputs have no one scale",
                        hint="leave static-activations out",
                    )
                state.added[f"{key}.input_scale"] = np.full((1, 1), scale, np.float32)
                state.note(key, f"inputs up to {bound:.4g} of {tap.largest.max():.4g}")
