"""What benchmarks/precision.py has measured, and how results are compared."""

from __future__ import annotations

import math
from typing import Any, Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from quality import bootstrap_error

Entry = Mapping[str, Any]
Results = Mapping[str, Entry]
Array = NDArray[np.float64]

UNITS = {"byte": "bits/byte", "smollm2": "perplexity"}


def figure_of(model: str) -> Callable[[Array], float]:
    """What the scores of a model's windows or paragraphs come to."""
    if model.startswith("smollm2"):
        return lambda nats: math.exp(nats.mean())
    return lambda bits: float(bits.mean())


def scores(entry: Entry, metric: str) -> Array:
    return np.array(entry["scores"][metric])


def difference(model: str, a: Entry, b: Entry) -> tuple[float, float]:
    """How much more a costs than b, or how much farther it is, and the standard error: windows are paired."""
    figure, metric = figure_of(model), "distance" if model == "minilm" else "cost"
    x, y = scores(a, metric), scores(b, metric)

    def more(x: Array, y: Array) -> float:
        return figure(x) - figure(y)

    return more(x, y), bootstrap_error(more, x, y)


def mean_ratio(x: Array, y: Array) -> tuple[float, float]:
    def ratio(x: Array, y: Array) -> float:
        return float(x.mean() / y.mean())

    return ratio(x, y), bootstrap_error(ratio, x, y)


def mean_of(x: Array) -> float:
    return float(x.mean())


class Table:
    """What was measured, found by what it is."""

    def __init__(self, results: Results):
        self.entries = [e for e in results.values() if "scores" in e]
        self.failed = {key: e["error"] for key, e in results.items() if "error" in e}

    def select(self, model: str, rounded: bool | None = False) -> list[Entry]:
        """Of a model; rounded: with rounded activations or caches, without (False), both (None)."""
        return [
            e
            for e in self.entries
            if e["quantized"]["model"] == model
            and rounded in (None, bool(e["activations"] or e["kv_cache"]))
        ]

    def find(
        self,
        model: str,
        recipe: str,
        bits: int = 32,
        group: int = 32,
        activations: str | None = None,
        kv_cache: str | None = None,
    ) -> Entry | None:
        for e in self.entries:
            q = e["quantized"]
            is_it = (q["model"], q["recipe"]) == (model, recipe)
            if is_it and recipe != "float" and not recipe.startswith("llama"):
                is_it = (q["bits"], q["group"]) == (bits, group)
            if is_it and (e["activations"], e["kv_cache"]) == (activations, kv_cache):
                return e
        return None


def name_of(entry: Entry) -> str:
    q = entry["quantized"]
    told = q["group"] in (0, 32) or "_K" in q["recipe"]
    group = "" if told else f", groups of {q['group']}"
    return q["recipe"] + group
