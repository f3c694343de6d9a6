"""What steps see and change of a stage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Mapping

from .stages import Stage
from .statistics import Statistics
from .weights import Array


@dataclass
class StageState:
    """A stage whose weights are about to be chosen; steps that condition it change both."""

    stage: Stage
    parameters: dict[str, Array]
    taps: list[Statistics]
    encodings: Mapping[str, str]
    """Of the bases of the weights that are quantized, by key."""
    decisions: dict[str, list[str]]
    shared: frozenset[str]
    """Parameters that are used more than once in the model."""
    factors: frozenset[str]
    """Weights of several products, with inputs of their own."""
    observe: Callable[[Mapping[str, Array]], list[Statistics]]
    """Maxima, minima and histograms of the taps with such parameters."""
    added: dict[str, Array] = field(default_factory=dict)
    """Tensors that the output has besides those of the model."""

    def measure(self) -> list[Statistics]:
        """Maxima, minima and histograms of the taps, with the parameters as they are now."""
        return self.observe(self.parameters)

    def note(self, key: str, text: str) -> None:
        self.decisions.setdefault(key, []).append(text)
