"""What each weight costs in each encoding: the table that allocation works on.

The loss of a weight in an encoding is the relative change of what the whole model computes, to first order in its squared error: the change of
the layer's own output, tr(E H E^T) with the error E of the weight and the second moments H of its inputs, times how much of such a change arrives
at the model's end. The second factor is measured: the weight is rounded, the stages behind it run again on a few sequences, and what the model
gives is compared with the float model (logits without their mean, which changes nothing). Losses of different weights add up as far as their errors do not correlate.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Callable, Mapping, Sequence

import numpy as np

from .. import _lowbit
from ..errors import LowbitError
from .allocation import Candidate, Item
from .sources import Source, Tokens
from .stages import Stage, StagedProgram
from .statistics import Statistics
from .weights import Array, Moments, check_finite, output_error

Progress = Callable[[int, int, str], None]
Cost = Callable[[str, Array], float]
"""(weight, change of its values) to the loss."""


@dataclass(frozen=True)
class Probe:
    """How a change is followed to the model's end."""

    sequences: int = 2
    length: int = 256


class Sensitivity:
    """Measures a model, in float, on sequences.

    encodings: for each weight its candidates. rounding: (values, encoding, moments) to values as they decode. cost: what a change of a weight costs, where that is
    known (gradients.py); None: it is measured.
    """

    def __init__(
        self,
        source: Source,
        length: int,
        sequences: Sequence[Tokens],
        encodings: Mapping[str, Sequence[str]],
        rounding: Callable[[Array, str, Moments], Array],
        probe: Probe = Probe(),
        progress: Progress = lambda done, total, what: None,
        cost: Cost | None = None,
    ):
        text = source.program(length)
        self.cost = cost
        self.archive, self.encodings, self.rounding = source.archive, encodings, rounding
        self.sequences, self.progress = list(sequences), progress
        # Both with the output, which the last layer is needed for as a whole: else it has other stages.
        self.observing = StagedProgram(text, ["moments"], source.path, output=True)
        self.passing = StagedProgram(text, ["sums"], source.path, output=True)
        self.probes = [tokens[: probe.length] for tokens in self.sequences[: probe.sequences]]

    def measure(self) -> list[Item]:
        stages = self.observing.stages
        values: list[Array | None] = [None] * len(self.sequences)
        # The float model on the probes: what passes before each stage.
        trace = [[None] * len(self.probes)]
        for stage in self.passing.stages:
            weights = self._load(stage)
            trace.append(self._pass(stage, self.probes, trace[-1], weights))
        if not all(np.isfinite(output).all() for output in trace[-1]):
            raise LowbitError(
                "what the model computes is not finite",
                hint="its weights may be damaged (NaN or infinity): `lowbit perplexity` shows whether it works",
            )
        items: list[Item] = []
        for number, stage in enumerate(stages):
            self.progress(number, len(stages), stage.name)
            weights = self._load(stage)
            if any(key in self.encodings for feeds in stage.feeds for key in feeds):
                items += self._measure_stage(number, values, weights, trace)
            if number + 1 < len(stages):
                passing = self.passing.stages[number]
                values = self._pass(passing, self.sequences, values, weights)
        return items

    def _load(self, stage: Stage) -> dict[str, Array]:
        return {key: self.archive.tensor_f32(key) for key in stage.weights}

    def _pass(self, stage, sequences, values, weights) -> list[Array | None]:
        return [self.passing.run(stage, t, v, weights) for t, v in zip(sequences, values)]

    def _measure_stage(self, number, values, weights, trace) -> list[Item]:
        stage = self.observing.stages[number]
        taps = [Statistics(feeds) for feeds in stage.feeds]
        for tokens, value in zip(self.sequences, values):
            self.observing.run(stage, tokens, value, weights, taps)
        items = []
        for tap in taps:
            tap.finish()
            tap.check()
            for key in tap.feeds:
                if key in self.encodings:
                    items.append(self._measure_weight(number, key, weights, tap, trace))
        return items

    def _measure_weight(self, number, key, weights, tap, trace) -> Item:
        values, moments = weights[key], tap.mean("moments")
        check_finite(key, values)

        def round_to(encoding: str) -> Array:
            return self.rounding(values, encoding, moments)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            rounded = dict(zip(self.encodings[key], pool.map(round_to, self.encodings[key])))
        if self.cost:
            losses = {e: self.cost(key, r - values) for e, r in rounded.items()}
        else:
            errors = {e: output_error(r - values, moments) for e, r in rounded.items()}
            # The candidate in the middle shows how much of an error arrives: it is neither tiny nor beyond first order.
            middle = sorted(errors, key=errors.__getitem__)[len(errors) // 2]
            arrived = self._follow(number, {**weights, key: rounded[middle]}, trace)
            factor = arrived / errors[middle] if errors[middle] > 0 else 0.0
            losses = {e: error * factor for e, error in errors.items()}
        candidates = tuple(
            Candidate(
                encoding=encoding,
                bytes=_lowbit.encoded_bytes(encoding, list(values.shape)),
                loss=losses[encoding],
            )
            for encoding in self.encodings[key]
        )
        return Item(key=key, candidates=candidates, weights=int(values.size))

    def _follow(self, number, weights, trace) -> float:
        """The mean squared change of the model's output, as a part of its variance."""
        stages = self.passing.stages
        passed = self._pass(stages[number], self.probes, trace[number], weights)
        for later in range(number + 1, len(stages)):
            passed = self._pass(stages[later], self.probes, passed, self._load(stages[later]))
        change = whole = 0.0
        for changed, output in zip(passed, trace[-1]):
            changed, output = (v - v.mean(axis=-1, keepdims=True) for v in (changed, output))
            change += float(((changed - output) ** 2).sum(dtype=np.float64))
            whole += float((output**2).sum(dtype=np.float64))
        return change / whole if whole > 0 else 0.0
