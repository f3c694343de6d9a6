"""The step that gives each tensor an encoding of its own, under a budget."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Mapping, Sequence

import numpy as np

from .. import _lowbit
from ..errors import LowbitError
from .allocation import Budget, Candidate, Item, allocate, pareto_front
from .fisher import fisher_cost
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


@step("allocate")
@dataclass(frozen=True)
class Allocate(PlanStep):
    """Each weight gets one of the candidate encodings, so that the losses add up to the least that the budget allows: an exact multiple-choice knapsack
    (HiGHS). sensitivity=arrival: a loss is the error of the layer's output, as second moments weigh it, times what of it arrives at the model's end, which is
    measured on `probes` sequences of 256 tokens; sensitivity=fisher: the squared changes of weights, each by its Fisher information; sensitivity=trace: the squared change of
    a whole weight by the mean curvature there (HAWQ-V2, Dong et al. 2019, arXiv 1911.03852). rounding: how codes are chosen for that; gptq takes longer
    and is closer to what follows.
    """

    rounding: str = "nearest"
    probes: int = 2
    sensitivity: str = "arrival"
    choices = {"rounding": ("nearest", "gptq"), "sensitivity": ("arrival", "fisher", "trace")}
    ranges = {"probes": (1, math.inf)}

    def _cost(self, run: Quantization) -> Cost | None:
        if self.sensitivity == "fisher":
            return lambda key, change: fisher_cost(run.fisher(key), change)
        if self.sensitivity == "trace":
            traces = run.gradients.traces()
            return lambda key, change: traces[key].cost(change)
        return None

    @staticmethod
    def _check_size(
        run: Quantization, budget: Budget, encodings: Mapping[str, Sequence[str]]
    ) -> None:
        """What no choice is within is told before anything is measured."""
        shapes = run.choices.shapes
        sizes = [
            Item(
                key,
                tuple(Candidate(c, _lowbit.encoded_bytes(c, shapes[key]), 0.0) for c in fitting),
                weights=math.prod(shapes[key]),
            )
            for key, fitting in encodings.items()
        ]
        if budget.byte_limit(sizes) is not None:
            allocate(sizes, replace(budget, seconds=None))

    def plan(self, run: Quantization) -> tuple[dict[str, str], dict[str, Any]]:
        budget = Budget.parse(run.options.budget)
        candidates = run.options.candidates or CANDIDATES
        free = [key for key in run.choices.products if run.choices.fixed(key) is None]
        for candidate in candidates:
            if not any(run.choices.fits(key, candidate) for key in free):
                raise LowbitError(
                    f"the candidate '{candidate}' is no encoding, or fits no weight that is left to choose for",
                    hint="give others: --candidates ENCODING",
                )
        legal = {key: [c for c in candidates if run.choices.fits(key, c)] for key in free}
        encodings = {key: fitting for key, fitting in legal.items() if fitting}
        self._check_size(run, budget, encodings)
        quantizer = GPTQ() if self.rounding == "gptq" else Nearest()

        def round_to(values: Array, encoding: str, moments: Moments) -> Array:
            weight = Weight("", np.ascontiguousarray(values), encoding, moments)
            return quantizer.encode(weight).decode(values.shape)

        items = Sensitivity(
            run.source,
            run.options.length,
            run.sequences,
            encodings,
            round_to,
            Probe(sequences=self.probes),
            run.progress,
            self._cost(run),
        ).measure()
        if budget.seconds is not None:
            items = with_times(items, run.choices.shapes, run.progress)
        allocation = allocate(items, budget)
        front = pareto_front(items)
        record = {
            "budgets": {"bytes": budget.byte_limit(items), "seconds": budget.seconds},
            "loss": allocation.loss,
            "bytes": allocation.bytes,
            "bound": allocation.bound,
            "gap": allocation.gap,
            "status": allocation.status,
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
        return allocation.choice, record
