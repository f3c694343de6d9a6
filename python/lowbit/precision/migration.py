"""Steps that scale channels: activations are divided by factors, and weights multiplied with them, where something before takes the division for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .stages import Sink
from .statistics import Statistics
from .steps import StageStep, step
from .weights import encode, output_error

if TYPE_CHECKING:
    from .state import StageState

Factors = NDArray[np.float64]
"""[channels], above 0."""


@step("migrate-scales")
@dataclass(frozen=True)
class MigrateScales(StageStep):
    """x becomes x / s, and the weights that it feeds W s, with a factor for each input; norms, matrices or values before take the division.

    by=ranges: s_j = max|x_j|^strength / max|W_j|^(1 - strength) (SmoothQuant, Xiao et al. 2022, arXiv 2211.10438, equation 4), which makes
    activations easier to quantize. by=search: s = rms(x)^a, with the a of a grid of `steps` in [0, 1) for which rounding to nearest
    changes the outputs least (AWQ, Lin et al. 2023, arXiv 2306.00978, section 3.2; there the mean of |x| instead of the root mean square).
    """

    by: str = "search"
    strength: float = 0.5
    steps: int = 20
    choices = {"by": ("search", "ranges")}
    ranges = {"strength": (0, 1), "steps": (1, 10_000)}
    used_by = {"strength": ("ranges",), "steps": ("search",)}
    scales_caches = True

    def condition(self, state: StageState) -> None:
        for number, tap in enumerate(state.taps):
            quantized = [key for key in tap.feeds if key in state.encodings]
            if not quantized:
                continue
            sinks, refusal = state.stage.sinks[number], state.stage.refusals[number]
            refusal = refusal or state.refuse([*tap.feeds, *(s.key for s in sinks)], "scaled")
            if refusal:
                for key in quantized:
                    state.note(key, f"scales not migrated: {refusal}")
                continue
            factors, how = self._choose(state, tap, sinks)
            apply_factors(state, number, factors)
            for key in quantized:
                state.note(key, f"scales migrated to {', '.join(s.key for s in sinks)}: {how}")

    def _choose(self, state: StageState, tap: Statistics, sinks: list[Sink]) -> tuple[Factors, str]:
        weights = {key: state.parameters[key] for key in tap.feeds}
        if self.by == "ranges":
            largest = np.max([np.abs(w).max(axis=0) for w in weights.values()], axis=0)
            inputs, weighted = np.maximum(tap.largest, 1e-5), np.maximum(largest, 1e-5)
            factors = inputs**self.strength / weighted ** (1 - self.strength)
            return tie(factors, sinks), f"strength {self.strength:g}"
        moments = tap.mean("moments")
        size = np.sqrt(np.maximum(np.diag(moments), 1e-12))
        best = (np.inf, 0.0, np.ones_like(size))
        for exponent in np.arange(self.steps) / self.steps:
            factors = tie(size**exponent, sinks)
            wide = factors.astype(np.float32)
            error = 0.0
            for key, weight in weights.items():
                scaled = encode(weight * wide, state.encodings[key]).decode(weight.shape)
                error += output_error(scaled / wide - weight, moments)
            if error < best[0]:
                best = (error, exponent, factors)
        return best[2], f"rms^{best[1]:g}"


def tie(factors: Factors, sinks: list[Sink]) -> Factors:
    """One factor where channels share one, the geometric mean of theirs; with geometric mean 1 in all."""
    logs = np.log(factors)
    for sink in sinks:
        sums = np.bincount(sink.places, logs)
        counts = np.bincount(sink.places)
        logs = (sums / np.maximum(counts, 1))[sink.places]
    return np.exp(logs - logs.mean())


def apply_factors(state: StageState, number: int, factors: Factors) -> None:
    """Divides the channels of a tap by factors, in its sinks, and multiplies the columns of the weights that it feeds."""
    tap = state.taps[number]
    for sink in state.stage.sinks[number]:
        values = state.parameters[sink.key]
        state.parameters[sink.key] = (values / sink.spread(factors, values.shape, 1)).astype(
            np.float32
        )
    for key in tap.feeds:
        state.parameters[key] = (state.parameters[key] * factors).astype(np.float32)
    state.taps[number] = tap.scaled(1 / factors)
