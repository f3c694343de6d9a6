"""What each weight costs in each encoding: the table that allocation works on.

The loss of a weight in an encoding is the relative change of what the whole model computes, to first order in its squared error: the change of
the layer's own output, tr(E H E^T) with the error E of the weight and the second moments H of its inputs, times how much of such a change arrives
at the model's end. The second factor is measured: the weight is rounded, the stages behind it run again on a few sequences, and what the model
gives is compared with the float model (logits without their mean, which changes nothing). Losses of different weights add up as far as their errors do not correlate.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Callable, Mapping, Sequence

import numpy as np

from .. import _lowbit
from ..errors import LowbitError
from .activations import encoding_of
from .allocation import Candidate, Item
from .caches import Caches
from .sources import Source, Tokens, load_parameters
from .stages import Progress, Stage, StagedProgram
from .statistics import Statistics
from .weights import Array, Moments, check_finite, output_error

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
        self.source, self.length = source, length
        self.cost = cost
        self.archive, self.encodings, self.rounding = source.archive, encodings, rounding
        self.sequences, self.progress = list(sequences), progress
        # Both with the output, which the last layer is needed for as a whole: else it has other stages.
        self.observing = StagedProgram(text, ["moments"], source.path, output=True)
        self.passing = StagedProgram(text, ["sums"], source.path, output=True)
        self.probes = [tokens[: probe.length] for tokens in self.sequences[: probe.sequences]]

    @cached_property
    def _trace(self) -> list[list[Array | None]]:
        """What passes before each stage, and what comes out, of the float model on the probes."""
        trace: list[list[Array | None]] = [[None] * len(self.probes)]
        for stage in self.passing.stages:
            weights = self._load(stage)
            trace.append(self._pass(stage, self.probes, trace[-1], weights))
        if not all(np.isfinite(output).all() for output in trace[-1]):
            raise LowbitError(
                "what the model computes is not finite",
                hint="its weights may be damaged (NaN or infinity): `lowbit perplexity` shows whether it works",
            )
        return trace

    def measure(self) -> list[Item]:
        """Of the weights."""
        stages = self.observing.stages
        values: list[Array | None] = [None] * len(self.sequences)
        self._trace  # what is not finite is told first
        items: list[Item] = []
        for number, stage in enumerate(stages):
            self.progress(number, len(stages), stage.name)
            weights = self._load(stage)
            if any(key in self.encodings for feeds in stage.feeds for key in feeds):
                items += self._measure_stage(number, values, weights)
            if number + 1 < len(stages):
                passing = self.passing.stages[number]
                values = self._pass(passing, self.sequences, values, weights)
        return items

    def measure_caches(self, types: Sequence[str], caches: Caches) -> list[Item]:
        """Of the key-value caches, keys and values apart: what the model's output changes by when one of them is of a type, on the probes."""
        losses: dict[str, list[Candidate]] = {name: [] for name in caches.shapes}
        # The entry's arguments are tokens, position, caches.
        places = {f"argument {2 + i}": name for i, name in enumerate(caches.shapes)}
        for number, type in enumerate(types):
            sizes = caches.sizes(type)
            for letter, other in ("kv", "vk"):
                self.progress(2 * number + (letter == "v"), 2 * len(types), f"caches of {type}")
                text = self.source.program(self.length, json.dumps({letter: type, other: "f32"}))
                encoded = StagedProgram(
                    text, ["sums"], self.source.path, output=True, only_parameters=True
                )
                for place, stage in enumerate(encoded.stages):
                    names = [places[a] for a in stage.arguments if a in places]
                    for name in (n for n in names if n.startswith(letter)):
                        loss = self._follow(place, self._load(stage), encoded)
                        losses[name].append(Candidate(type, sizes[name], loss))
        return [Item(name, tuple(candidates)) for name, candidates in losses.items()]

    def measure_activations(self, types: Sequence[str]) -> dict[tuple[str, str], float]:
        """By weight and type what the model's output changes by when the input of that one product is rounded, on the probes."""
        stages, losses = self.passing.stages, {}
        keys = [[k for feeds in s.feeds for k in feeds if k in self.encodings] for s in stages]
        turns = max(map(len, keys), default=0)
        for number, type in enumerate(types):
            for turn in range(turns if type != "f32" else 0):
                self.progress(number * turns + turn, len(types) * turns, f"inputs of {type}")
                # One product of each stage: a change is followed from there alone.
                chosen = {own[turn] for own in keys if turn < len(own)}
                rounded = self.passing.with_rounded_inputs(chosen, encoding_of(type))
                for place, own in enumerate(keys):
                    if turn < len(own):
                        weights = self._load(stages[place])
                        losses[own[turn], type] = self._follow(place, weights, rounded)
        return losses

    def _load(self, stage: Stage) -> dict[str, Array]:
        return load_parameters(self.archive, stage.weights)

    def _pass(self, stage, sequences, values, weights, program=None) -> list[Array | None]:
        run = (program or self.passing).run
        return [run(stage, t, v, weights) for t, v in zip(sequences, values)]

    def _measure_stage(self, number, values, weights) -> list[Item]:
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
                    items.append(self._measure_weight(number, key, weights, tap))
        return items

    def _measure_weight(self, number, key, weights, tap) -> Item:
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
            arrived = self._follow(number, {**weights, key: rounded[middle]})
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

    def _follow(self, number, weights, program: StagedProgram | None = None) -> float:
        """The mean squared change of the model's output, as a part of its variance, when one stage has these weights, or is that of another program."""
        stages, trace = self.passing.stages, self._trace
        changed = (program or self.passing).stages[number]
        passed = self._pass(changed, self.probes, trace[number], weights, program)
        for later in range(number + 1, len(stages)):
            passed = self._pass(stages[later], self.probes, passed, self._load(stages[later]))
        change = whole = 0.0
        for changed, output in zip(passed, trace[-1]):
            changed, output = (v - v.mean(axis=-1, keepdims=True) for v in (changed, output))
            change += float(((changed - output) ** 2).sum(dtype=np.float64))
            whole += float((output**2).sum(dtype=np.float64))
        return change / whole if whole > 0 else 0.0
