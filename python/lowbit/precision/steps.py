"""What a recipe is made of: steps with names and options, written as a pipeline of passes is.

sparse-outliers{density=0.01},gptq{order=falling}
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from typing import TYPE_CHECKING, Any, Callable, ClassVar, Mapping, Sequence, TypeVar

from ..errors import LowbitError
from .weights import Term, Weight

if TYPE_CHECKING:
    from .quantize import Quantization
    from .state import StageState
    from .sources import Source, Tokens

Note = Callable[[str, str], None]

REGISTRY: dict[str, type[Step]] = {}


@dataclasses.dataclass(frozen=True)
class Step:
    """One step; its options are its fields."""

    name: ClassVar[str]
    needs_text: ClassVar[bool] = True
    """Whether it decides by what the inputs are."""
    needs_fisher: ClassVar[bool] = False
    """Whether it decides by the Fisher information of weights (gradients.py)."""
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """The words that an option takes."""
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {}
    """The least and the largest number that an option takes."""

    used_by: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """For the option `by` what each other option is for, where it is not for all."""
    scales_caches: ClassVar[bool] = False
    """Whether it changes how large keys or values are."""
    fixes_caches: ClassVar[bool] = False
    """Whether what it makes of keys and values would be wrong after that."""

    @property
    def activations(self) -> str | None:
        """What to run the result with (`--activations`), where it is made for something else than the default."""
        return None

    def __str__(self) -> str:
        changed = [
            f"{f.name}={_written(getattr(self, f.name))}"
            for f in dataclasses.fields(self)
            if getattr(self, f.name) != f.default
        ]
        return self.name + (f"{{{' '.join(changed)}}}" if changed else "")


class WeightStep(Step):
    """Changes one weight before it is encoded."""

    adds_terms: ClassVar[bool] = False
    """Whether it stores something besides the base."""

    def apply(self, weight: Weight) -> None:
        raise NotImplementedError


class StageStep(Step):
    """Changes several parameters of a stage, and what is known of its taps, so that the float program stays what it is."""

    reorders: ClassVar[bool] = False
    """Whether it gives channels other places."""
    is_last: ClassVar[bool] = False
    """Whether what it keeps of inputs would be wrong after another step of its kind."""
    keeps_every_input: ClassVar[bool] = False
    """Whether it has something to keep of products whose weights stay as they are stored, too."""

    def condition(self, state: StageState) -> None:
        raise NotImplementedError


class ModelStep(Step):
    """Changes a whole model before anything is calibrated, so that the float program stays what it is."""

    needs_text = False

    def transform(
        self, source: Source, path: str, note: Note, sequences: Sequence[Tokens] = ()
    ) -> Source:
        """The model that it makes, in an archive of this path. note: takes a weight's key and what was decided for it. sequences: of the
        text, where it needs one."""
        raise NotImplementedError


class PlanStep(Step):
    """Decides what each weight is stored in."""

    def plan(self, run: Quantization) -> tuple[dict[str, str], dict[str, Any]]:
        """Encodings by tensor, and what the record says of it under "allocation"."""
        raise NotImplementedError


class Quantizer(Step):
    """Chooses the codes of a weight's base; the last step of a recipe."""

    weights: ClassVar[str] = "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>"
    """Encoding of weights where nobody says which."""

    def encode(self, weight: Weight) -> Term:
        raise NotImplementedError


_ORDER = (ModelStep, PlanStep, StageStep, WeightStep, Quantizer)
"""They run in this order, whatever the pipeline says: so it has to say this."""

S = TypeVar("S", bound=type[Step])


def step(name: str) -> Callable[[S], S]:
    def register(cls: S) -> S:
        cls.name = name
        REGISTRY[name] = cls
        return cls

    return register


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _option(owner: type[Step], name: str, text: str) -> Any:
    fields = {field.name: field for field in dataclasses.fields(owner)}
    if name not in fields:
        known = ", ".join(fields) or "none"
        raise LowbitError(f"step '{owner.name}' has no option '{name}'", hint=f"options: {known}")
    kind = type(fields[name].default)
    try:
        value = {"true": True, "false": False}[text] if kind is bool else kind(text)
    except (KeyError, ValueError):
        raise LowbitError(f"option '{name}' of step '{owner.name}' cannot be '{text}'") from None
    low, high = owner.ranges.get(name, (-math.inf, math.inf))
    if name in owner.ranges and not low <= value <= high:  # nor NaN
        raise LowbitError(
            f"option '{name}' of step '{owner.name}' cannot be '{text}'",
            hint=f"from {low:g} to {high:g}" if high < math.inf else f"at least {low:g}",
        )
    words = owner.choices.get(name, ())
    if words and value not in words:
        raise LowbitError(
            f"option '{name}' of step '{owner.name}' cannot be '{text}'",
            hint=f"one of {', '.join(words)}",
        )
    return value


def parse(text: str) -> list[Step]:
    """The steps of a pipeline's text. The last one, and no other, is a Quantizer."""
    steps: list[Step] = []
    rest = text.strip()
    while rest:
        match = re.match(r"([a-z0-9-]+)(?:\{([^{}]*)\})?\s*(?:,\s*(?=\S)|$)", rest)
        if not match:
            raise LowbitError(
                f"'{rest}' is not a step", hint="steps are as in 'low-rank{rank=16},gptq'"
            )
        name, options = match[1], (match[2] or "").split()
        if name not in REGISTRY:
            raise LowbitError(
                f"there is no step '{name}'", hint=f"steps: {', '.join(sorted(REGISTRY))}"
            )
        given = {}
        for option in options:
            key, equals, value = option.partition("=")
            if not equals:
                raise LowbitError(f"'{option}' of step '{name}' is not OPTION=VALUE")
            if key in given:
                raise LowbitError(f"option '{key}' of step '{name}' is given twice")
            given[key] = _option(REGISTRY[name], key, value)
        made = REGISTRY[name](**given)
        for key in filter(made.used_by.get, given):
            wanted, by = made.used_by[key], getattr(made, "by")
            if by not in wanted:
                raise LowbitError(
                    f"option '{key}' of step '{name}' has no use with by={by}",
                    hint=f"it is for by={' or '.join(wanted)}",
                )
        steps.append(made)
        rest = rest[match.end() :]
    if not steps or not isinstance(steps[-1], Quantizer):
        quantizers = sorted(n for n, cls in REGISTRY.items() if issubclass(cls, Quantizer))
        raise LowbitError(
            f"the pipeline '{text}' does not end with a step that chooses codes",
            hint=f"one of {', '.join(quantizers)}",
        )
    if any(isinstance(s, Quantizer) for s in steps[:-1]):
        raise LowbitError(
            f"the pipeline '{text}' chooses codes before its end",
            hint="the last step, and no other, chooses codes",
        )
    stage_steps = [s for s in steps if isinstance(s, StageStep)]
    for before in stage_steps[:-1]:
        if before.is_last:
            raise LowbitError(
                f"in the pipeline '{text}' the step '{before.name}' comes too early",
                hint="what it keeps of inputs is wrong after a step that changes them: put it behind those",
            )
    fixing = next((s for s in steps if s.fixes_caches), None)
    moving = next((s for s in steps if s.scales_caches), None)
    if fixing and moving and steps.index(fixing) < steps.index(moving):
        raise LowbitError(
            f"in the pipeline '{text}' the step '{moving.name}' makes the static scales of keys and values wrong",
            hint=f"put {fixing.name} behind it where the order of steps allows that, or leave one of them out",
        )
    reordering = next((s for s in stage_steps if s.reorders), None)
    if reordering and any(s.needs_fisher for s in steps):
        raise LowbitError(
            f"the pipeline '{text}' has Fisher information, which '{reordering.name}' does not permute with the weights",
            hint="leave one of them out, or weigh by=moments",
        )
    kinds = [next(i for i, kind in enumerate(_ORDER) if isinstance(s, kind)) for s in steps]
    for before, after, step in zip(kinds, kinds[1:], steps[1:]):
        if after < before:
            raise LowbitError(
                f"in the pipeline '{text}' the step '{step.name}' comes too late",
                hint="steps for the whole model come first, then those for a layer, then those for one weight",
            )
    return steps


def describe(step: type[Step]) -> str:
    """Its name, its options and what it does, for people."""
    options = " ".join(f"{f.name}={_written(f.default)}" for f in dataclasses.fields(step))
    text = inspect.cleandoc(step.__doc__ or "").replace("\n", "\n    ")
    return f"{step.name}{{{options}}}\n    {text}\n" if options else f"{step.name}\n    {text}\n"
