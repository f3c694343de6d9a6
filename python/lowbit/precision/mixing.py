"""The step that gives each tensor an encoding of its own, under a budget."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Mapping, Sequence

import numpy as np

from .. import _lowbit
from ..errors import LowbitError
from . import activations
from .allocation import Budget, Candidate, Item, allocate, pareto_front
from .caches import CANDIDATES as CACHE_CANDIDATES
from .fisher import fisher_cost
from .gradients import Trace
from .kernel_times import with_times
from .quantizers import GPTQ, Nearest
from .sensitivity import Cost, Probe, Sensitivity
from .steps import PlanStep, step
from .weights import Array, Moments, Weight

if TYPE_CHECKING:
    from .quantize import Quantization

CANDIDATES = tuple(
    f"#lowbit.quantized<int<{bits}>, scale = f16 per [1, {block}], rule = mse>"
    for bits, block in [(2, 64), (2, 32), (2, 16), (3, 64), (3, 32), (4, 64), (4, 32)]
    + [(5, 32), (6, 32), (8, 32)]
)


def _trace_of(traces: Mapping[str, Trace], key: str) -> Trace:
    if key not in traces:
        raise LowbitError(
            f"the program's last result does not depend on '{key}': there is no curvature",
            hint=f"leave it as it is: --keep '{key}=same'",
        )
    return traces[key]


@step("allocate")
@dataclass(frozen=True)
class Allocate(PlanStep):
    """Each weight gets one of the candidate encodings, so that the losses add up to the least that the budget allows: an exact multiple-choice knapsack
    (HiGHS). sensitivity=arrival: a loss is the error of the layer's output, as second moments weigh it, times what of it arrives at the model's end, which is
    measured on `probes` sequences of 256 tokens; sensitivity=fisher: the squared changes of weights, each by its Fisher information; sensitivity=trace: the squared change of
    a whole weight by the mean curvature there (HAWQ-V2, Dong et al. 2019, arXiv 1911.03852). rounding: how codes are chosen for that; gptq takes longer
    and is closer to what follows. With a context (--context) the key-value caches share the budget; what each type of each of them changes at the model's end is measured.
    With --activation-candidates and a time a candidate is a pair: the weight's encoding, and what its inputs are rounded to. Both are measured
    by what arrives, so they need sensitivity=arrival.
    """

    rounding: str = "nearest"
    probes: int = 2
    sensitivity: str = "arrival"
    choices = {"rounding": ("nearest", "gptq"), "sensitivity": ("arrival", "fisher", "trace")}
    ranges = {"probes": (1, math.inf)}

    def _cost(self, run: Quantization) -> tuple[Cost | None, list[str]]:
        """And the weights whose curvature is estimated below 0, so that no change of them costs anything."""
        if self.sensitivity == "fisher":
            return lambda key, change: fisher_cost(run.fisher(key), change), []
        if self.sensitivity == "trace":
            traces = run.gradients.traces()
            flat = [key for key, trace in traces.items() if trace.value < 0]
            return lambda key, change: _trace_of(traces, key).cost(change), flat
        return None, []

    @staticmethod
    def _check_size(
        run: Quantization,
        budget: Budget,
        encodings: Mapping[str, Sequence[str]],
        types: Sequence[str],
    ) -> None:
        """What no choice is within is told before anything is measured."""
        shapes = run.choices.shapes
        items = [
            Item(
                key,
                tuple(Candidate(c, _lowbit.encoded_bytes(c, shapes[key]), 0.0) for c in fitting),
                weights=math.prod(shapes[key]),
            )
            for key, fitting in encodings.items()
        ]
        sizes = {type: run.caches.sizes(type) for type in types}
        for name in run.caches.shapes if types else ():
            items.append(Item(name, tuple(Candidate(t, sizes[t][name], 0.0) for t in types)))
        if budget.byte_limit(items) is not None:
            allocate(items, replace(budget, seconds=None))

    @staticmethod
    def _legal(run: Quantization) -> tuple[dict[str, list[str]], list[str], list[dict[str, str]]]:
        """The candidates of each weight, those of the caches, and which were rejected. Candidates that one gave and that fit nothing are errors."""
        rejected = []
        encodings: dict[str, list[str]] = {}
        candidates = run.options.candidates or CANDIDATES
        free = [key for key in run.choices.products if run.choices.fixed(key) is None]
        for candidate in candidates:
            fitting = [key for key in free if run.choices.fits(key, candidate)]
            if not fitting:
                raise LowbitError(
                    f"the candidate '{candidate}' is no encoding, or fits no weight that is left to choose for",
                    hint="give others: --candidates ENCODING",
                )
            for key in fitting:
                encodings.setdefault(key, []).append(candidate)
            if len(fitting) < len(free):
                others = ", ".join(key for key in free if key not in fitting)
                rejected.append({"encoding": candidate, "reason": f"does not fit {others}"})
        for key in free:
            if key not in encodings:
                raise LowbitError(
                    f"no candidate fits '{key}', so that the budget would not count it",
                    hint=f"give one that does: --candidates ENCODING; or leave it as it is: --keep '{key}=same'",
                )
        types: list[str] = []
        if run.options.context is not None:
            for type in run.options.cache_candidates or CACHE_CANDIDATES:
                try:
                    run.caches.sizes(type)
                    types.append(type)
                except LowbitError as error:  # whose text names the type
                    if run.options.cache_candidates:
                        raise
                    rejected.append({"encoding": type, "reason": str(error)})
        return {key: encodings[key] for key in free}, types, rejected

    @staticmethod
    def _with_inputs(
        items: Sequence[Item], types: Sequence[str], sensitivity: Sensitivity
    ) -> list[Item]:
        """With pairs of encodings and types of inputs for candidates; of the error of both together the parts add up."""
        losses = sensitivity.measure_activations(types)
        return [
            replace(
                item,
                candidates=tuple(
                    replace(
                        c,
                        encoding=activations.make_pair(c.encoding, type),
                        loss=c.loss + losses.get((item.key, type), 0.0),
                    )
                    for c in item.candidates
                    for type in types
                ),
            )
            for item in items
        ]

    def plan(self, run: Quantization) -> tuple[dict[str, str], dict[str, Any]]:
        budget = Budget.parse(run.options.budget)
        if self.sensitivity != "arrival" and (
            run.options.context is not None or run.options.activation_candidates
        ):
            raise LowbitError(
                f"what caches and inputs lose is measured as what arrives at the model's end, and weights by sensitivity={self.sensitivity}: "
                "these losses do not add up",
                hint="use sensitivity=arrival, or leave --context and --activation-candidates out",
            )
        encodings, types, rejected = self._legal(run)
        self._check_size(run, budget, encodings, types)
        quantizer = GPTQ() if self.rounding == "gptq" else Nearest()

        def round_to(values: Array, encoding: str, moments: Moments) -> Array:
            weight = Weight("", np.ascontiguousarray(values), encoding, moments)
            return quantizer.encode(weight).decode(values.shape)

        cost, flat = self._cost(run)
        sensitivity = Sensitivity(
            run.source,
            run.options.length,
            run.sequences,
            encodings,
            round_to,
            Probe(sequences=self.probes),
            run.progress,
            cost,
        )
        items = sensitivity.measure()
        if run.options.activation_candidates:
            items = self._with_inputs(items, run.options.activation_candidates, sensitivity)
        if budget.seconds is not None:
            items = with_times(items, run.choices.shapes, run.progress)
        if types:
            items += sensitivity.measure_caches(types, run.caches)
        allocation = allocate(items, budget)
        front = pareto_front(items)
        record = {
            "budgets": {"bytes": budget.byte_limit(items), "seconds": budget.seconds},
            "loss": allocation.loss,
            "bytes": allocation.bytes,
            "bound": allocation.bound,
            "gap": allocation.gap,
            "status": allocation.status,
            "rejected": rejected,
            "flat": flat,
            "front": [
                {"bytes": a.bytes, "loss": a.loss, "bits_per_weight": a.bits_per_weight}
                for a in front
            ],
            "candidates": [
                {
                    "key": item.key,
                    "encoding": c.encoding,
                    "bytes": c.bytes,
                    "loss": c.loss,
                    "seconds": c.seconds,
                }
                for item in items
                for c in item.candidates
            ],
        }
        return activations.split_choice(allocation.choice), record
