"""How a model is quantized, and what of that does not go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Sequence

from ..errors import LowbitError
from . import activations
from .allocation import Budget
from .caches import has_static_caches
from .recipes import Recipe
from .sources import LanguageModel, Source
from .steps import PlanStep, StageStep, WeightStep


@dataclass(frozen=True)
class Options:
    """How a model is quantized."""

    recipe: str = "gptq"
    """A name of recipes.RECIPES, or a pipeline of steps."""
    weights: str | None = None
    """Encoding of the weights of products; None: the recipe's."""
    keep: Sequence[tuple[str, str]] = ()
    """(pattern, encoding): other encodings for tensors of these names, "same" leaves them as stored; the first match decides."""
    plan: Mapping[str, str] | None = None
    """Encodings by tensor, and types by key-value cache; counts before `weights`."""
    budget: str | None = None
    """For a recipe that allocates: as 3.5bpw, 60MB or 4ms."""
    candidates: Sequence[str] = ()
    """Encodings that such a recipe chooses from; its own if there are none."""
    context: int | None = None
    """Tokens, of all sequences together, whose keys and values share the budget; None: caches are not allocated."""
    cache_candidates: Sequence[str] = ()
    """Types, as --kv-cache takes them, that their allocation chooses from; its own if there are none."""
    activation_candidates: Sequence[str] = ()
    """Types, as --activations takes them, that inputs of weights choose from under a budget of time; none: they are not allocated."""
    tokens: int = 32768
    """Of the text, at most."""
    length: int = 1024
    """Tokens of a sequence, at most."""


def check_plan(options: Options, recipe: Recipe, source: Source) -> None:
    """Raises LowbitError where budget, plan and what shares them do not go together, or not with the recipe."""
    plans = any(isinstance(step, PlanStep) for step in recipe.steps)
    if options.context is not None and options.budget is None and not options.plan:
        raise LowbitError(
            "a context is for the key-value caches in a budget",
            hint="give --recipe mixed --budget 60MB, or a plan that has caches",
        )
    for name, given, needed, hint in (
        ("candidates", options.candidates, plans, "--recipe mixed --budget 3.5bpw"),
        ("activation candidates", options.activation_candidates, plans, "--recipe mixed --budget 3.5bpw,4ms"),
        ("cache candidates", options.cache_candidates, options.context, "--context N, and a budget of bytes"),
    ):  # fmt: skip
        if given and not needed and options.plan is None:
            raise LowbitError(
                f"{name} are given, and nothing chooses from them", hint=f"give {hint}"
            )
    static = [t.name for t in source.archive.tensors if t.name.endswith(".input_scale")]
    if static and not any(isinstance(step, StageStep) and step.is_last for step in recipe.steps):
        raise LowbitError(
            f"the model has static scales of inputs ('{static[0]}'), which may be wrong after this",
            hint="quantize the model that it was made of, or end the steps for layers with static-activations",
        )
    moving = next((step for step in recipe.steps if step.scales_caches), None)
    if moving and has_static_caches(source):
        raise LowbitError(
            f"the model has static scales of keys and values, which may be wrong after the step '{moving.name}'",
            hint="quantize the model that it was made of, or leave the step out",
        )
    if plans and options.plan is None and options.budget is None:
        raise LowbitError(
            f"recipe '{recipe.name}' needs a budget", hint="give --budget 3.5bpw, or 60MB"
        )
    if options.budget is not None:
        if not plans:
            raise LowbitError(
                f"recipe '{recipe.name}' has no use for a budget",
                hint="`mixed` has; or give steps that begin with 'allocate'",
            )
        budget = Budget.parse(options.budget)  # says what is wrong
        if options.context is not None and budget.bytes is None:
            raise LowbitError(
                f"the budget {budget} has no bytes, which key-value caches share with the weights",
                hint="give --budget 60MB, or leave --context out",
            )
        for type in options.activation_candidates:
            activations.check(type, "a candidate")
        if options.activation_candidates and budget.seconds is None:
            raise LowbitError(
                f"the budget {budget} has no time, which is all that activations of fewer bits save",
                hint="give one, as 3.5bpw,4ms, or leave --activation-candidates out",
            )
        if options.activation_candidates and not isinstance(source, LanguageModel):
            raise LowbitError(
                "activations are chosen for language models alone",
                hint="leave --activation-candidates out",
            )
        if options.plan is not None:
            raise LowbitError(
                "a plan and a budget are given: the plan's encodings are not chosen by a budget",
                hint="leave --budget or --plan out",
            )
        for step in recipe.steps:
            if isinstance(step, WeightStep) and step.adds_terms:
                raise LowbitError(
                    f"step '{step.name}' stores more than the budget counts",
                    hint="use steps that leave sizes as they are, as migrate-scales and clip; or allocate without it, "
                    "--save-plan, and give the plan",
                )
