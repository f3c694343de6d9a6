"""A step that fixes the scales of activations, so that the program that runs need not look for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import LowbitError
from .bounds import BoundOptions
from .steps import StageStep, step

if TYPE_CHECKING:
    from .state import StageState
    from .statistics import Statistics


@step("static-activations")
@dataclass(frozen=True)
class StaticActivations(BoundOptions, StageStep):
    """Keeps one scale for the inputs of each product, beside its weight, as calibration found them: for `--activations 'int<8>, scale = f32 per tensor,
    rule = given'`, with as many bits. by=maximum: the largest |x| has the largest code. by=percentile: that percentile of |x| has, larger ones
    saturate. by=mse: the bound of least squared error, of a grid of 8 for each factor of 2 down to 2^-8 of the largest |x|. After steps that change what
    the inputs are.
    """

    keeps_every_input = True
    is_last = True

    @property
    def activations(self) -> str:
        return f"int<{self.bits}>, scale = f32 per tensor, rule = given"

    def scale(self, tap: Statistics) -> np.float32:
        """Of the codes of a tap's values."""
        return np.float32(self.bound(tap.histogram) / self.codes)

    def condition(self, state: StageState) -> None:
        for tap in state.measure():
            scale = self.scale(tap)
            bound = float(scale) * self.codes
            for key in tap.feeds:
                if key in state.factors:
                    raise LowbitError(
                        f"'{key}' is a factor of several products: their inputs have no one scale",
                        hint="leave static-activations out",
                    )
                state.added[f"{key}.input_scale"] = np.full((1, 1), scale, np.float32)
                state.note(key, f"inputs up to {bound:.4g} of {tap.largest.max():.4g}")
