"""What steps see and change of a stage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Iterable, Mapping

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

    def refuse(self, keys: Iterable[str], changed: str) -> str:
        """Why not all of these parameters can be changed together; empty if they can. changed: how, as "scaled"."""
        products = {key for feeds in self.stage.feeds for key in feeds}
        for key in dict.fromkeys(keys):
            if key in products and key not in self.encodings:
                return f"'{key}' would have to be {changed}, which stays as it is stored"
            if key in self.shared:
                return f"'{key}' would have to be {changed}, which has other uses"
        return ""

    def note(self, key: str, text: str) -> None:
        self.decisions.setdefault(key, []).append(text)
