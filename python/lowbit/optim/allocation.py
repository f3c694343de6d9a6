"""Which state of which parameter is stored in what, under a budget of bytes: the knapsack of lowbit.precision.allocation on what a step loses.

The loss of a state in an encoding is measured by the step itself, in f32: the squared change of the update when that state alone is rounded, over the
squared update of all parameters. Losses of different states add up as far as their errors do not correlate; how errors build up over steps is not seen.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _lowbit
from ..errors import LowbitError
from .checkpoint import describe, load
from .functional import Optimizer, State, compile
from .rule import Rule
from .rule import load as load_rule
from .states import assignments

if TYPE_CHECKING:  # its solver is loaded when it is needed
    from ..precision.allocation import Item, Plan

Array = NDArray[np.float32]

CANDIDATES = ("f32", "bf16", "dynamic8", "companded8", "int4")
"""Schemes of states.NAMED; of parameters that are seen as matrices 'int4_rank1' is one, too."""


@dataclass(frozen=True)
class Rejected:
    """A candidate that is none of a state's."""

    tensor: str
    """'PARAMETER/STATE', or a parameter."""
    candidate: str
    reason: str


@dataclass
class StateCosts:
    """What each state costs in each encoding."""

    rule: Rule
    items: list[Item]
    """With keys 'PARAMETER/STATE'."""
    rejected: list[Rejected] = field(default_factory=list)


def measure_states(
    checkpoint: str | os.PathLike[str],
    *,
    rule: str | os.PathLike[str] | Rule | None = None,
    gradients: Mapping[str, Array] | None = None,
    candidates: Sequence[str] = (),
    threads: int = 0,
    **scalars: float,
) -> StateCosts:
    """Of the states of a checkpoint (save_state(), save_shards()).

    rule: as compile() takes it; None: by the name that the checkpoint has.
    gradients: of the next step, by parameter, of the shapes that the states have; None: the rule's first state that has a sign and the
        parameter's extents, a momentum, is taken for one.
    candidates: each as compile(states=…) takes it; none: CANDIDATES. "f32" is always one.
    scalars: of the rule, as 'beta1'. The learning rate changes nothing; parameters are zeros, so that updates are exact.

    Raises LowbitError for candidates that fit no parameter, and for a step that updates nothing.
    """
    name, wholes = describe(checkpoint)
    found = rule if isinstance(rule, Rule) else load_rule(rule or name)
    views = _views(found, wholes)
    is_matrix = any(view[0] != 1 for view in views.values())
    opt = compile(found, views, flatten=found.elementwise and not is_matrix, threads=threads)
    step = _Step(opt, load(checkpoint, opt), gradients, scalars)
    given = candidates or (*CANDIDATES, *(["int4_rank1"] if is_matrix else []))
    costs = StateCosts(found, [])
    encodings = _encodings(found, views, given, costs.rejected)
    costs.items = step.measure(encodings, costs.rejected)
    return costs


def allocate_states(
    checkpoint: str | os.PathLike[str], budget: str, **options: Any
) -> tuple[Plan, StateCosts]:
    """The plan of the least loss within a budget, as '1.5MB' or '6bpw' (bits per element of a state), and what it was chosen from.
    options: of measure_states().

    lowbit.precision.allocation.write_plan() makes a file of it that can be edited, and that compile(states='plan.json') takes.
    """
    from ..precision.allocation import Budget, Plan, allocate

    limit = Budget.parse(budget)
    if limit.seconds is not None:
        raise LowbitError(f"the budget {limit} has a time", hint="states have sizes alone: '1.5MB'")
    costs = measure_states(checkpoint, **options)
    return Plan.of(allocate(costs.items, limit), limit), costs


def _views(rule: Rule, wholes: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """The extents of each parameter, by those of its states."""
    arguments = {argument.name: argument for argument in rule.tensors}
    views: dict[str, list[int | None]] = {}
    for tensor, whole in wholes.items():
        parameter, _, state = tensor.rpartition("/")
        view = views.setdefault(parameter, [None, None])
        if state in rule.states:
            for own, axis, extent in zip(arguments[state].shape, arguments[state].axes, whole):
                if own < 0:
                    view[axis] = extent
    for parameter, view in views.items():
        if None in view:
            raise LowbitError(f"the states of '{parameter}' do not tell its extents")
    return {parameter: (view[0], view[1]) for parameter, view in views.items()}  # type: ignore


def _encodings(
    rule: Rule,
    views: Mapping[str, tuple[int, int]],
    candidates: Sequence[str],
    rejected: list[Rejected],
) -> dict[str, dict[str, list[str]]]:
    """Of each parameter and state the candidates that are legal, each once, '' (f32) first."""
    states = [a.name for a in rule.arguments]
    found: dict[str, dict[str, list[str]]] = {
        parameter: {state: [""] for state in rule.states} for parameter in views
    }
    for candidate in candidates:
        table = assignments(candidate, "f32", "f32", rule.schemes)
        reasons = []
        for parameter, view in views.items():
            try:
                (row,) = _lowbit.assign_states(
                    rule.text, rule.name, table, [(parameter, list(view))]
                )
            except RuntimeError as error:
                reasons.append(Rejected(parameter, candidate, str(error)))
                continue
            for state, encoding in zip(states, row):
                if state in rule.states and encoding not in found[parameter][state]:
                    found[parameter][state].append(encoding)
        if len(reasons) == len(views):
            raise LowbitError(
                f"the candidate '{candidate}' fits no parameter: {reasons[0].reason}",
                hint="give others: as compile(states=…) takes them",
            )
        rejected += reasons
    return found


class _Step:
    """The step that comes next, in f32, on parameters of zeros."""

    def __init__(
        self,
        opt: Optimizer,
        state: State,
        gradients: Mapping[str, Array] | None,
        scalars: Mapping[str, float],
    ):
        self.opt, self.state, self.scalars = opt, state, scalars
        self.values: dict[str, dict[str, Array]] = {
            name: {key: parts["values"] for key, parts in states.items()}
            for name, states in state.tensors.items()
        }
        self.gradients = self._momenta() if gradients is None else gradients
        if missing := self.values.keys() - self.gradients.keys():
            raise LowbitError(f"there is no gradient of {', '.join(sorted(missing))}")
        self.updates = self._run({})
        self.whole = math.fsum(_squares(update) for update in self.updates.values())
        if not 0 < self.whole < math.inf:
            raise LowbitError(
                "the step updates nothing" if self.whole == 0 else "the update is not finite",
                hint="take the states of a run that has begun, and give gradients that are not zero",
            )

    def _momenta(self) -> dict[str, Array]:
        for argument in self.opt.rule.tensors:
            is_state = argument.name in self.opt.rule.states
            if is_state and not argument.nonnegative and argument.shape == (-1, -1):
                if argument.axes == (0, 1):
                    return {name: states[argument.name] for name, states in self.values.items()}
        raise LowbitError(
            f"rule '{self.opt.rule.name}' has no momentum that could be taken for a gradient",
            hint="give gradients",
        )

    def _run(self, changed: Mapping[tuple[str, str], Array]) -> dict[str, Array]:
        """The update of each parameter, with some states replaced."""
        params = {name: np.zeros(self.opt.shapes[name], np.float32) for name in self.values}
        for name, param in params.items():
            given = np.shape(self.gradients[name])
            if tuple(given) != param.shape and math.prod(given) != param.size:
                raise LowbitError(
                    f"the gradient of '{name}' has shape {list(given)}, the parameter {list(param.shape)}",
                    hint="give gradients of the parameters of this checkpoint",
                )
        given = {
            name: (
                param,
                np.array(self.gradients[name], np.float32).reshape(param.shape),
                {
                    key: {"values": np.array(changed.get((name, key), values))}
                    for key, values in self.values[name].items()
                },
            )
            for name, param in params.items()
        }
        self.opt.apply(given, self.state.step + 1, self.scalars)
        return params

    def measure(
        self, encodings: Mapping[str, Mapping[str, Sequence[str]]], rejected: list[Rejected]
    ) -> list[Item]:
        from ..precision.allocation import Candidate, Item

        items = []
        for key in self.opt.rule.states:
            found: dict[str, list[Candidate]] = {name: [] for name in encodings}
            is_read = dict.fromkeys(encodings, False)
            is_rounded = dict.fromkeys(encodings, False)
            for turn in range(max(len(states[key]) for states in encodings.values())):
                # Parameters do not meet in a step: each is measured with one candidate of its own.
                tried = {n: s[key][turn] for n, s in encodings.items() if turn < len(s[key])}
                rounded = {(n, key): _rounded(self.values[n][key], e) for n, e in tried.items()}
                updates = self._run(rounded)
                for name, encoding in tried.items():
                    loss = _squares(updates[name] - self.updates[name]) / self.whole
                    tensor, text = f"{name}/{key}", encoding or "f32"
                    if not math.isfinite(loss):
                        rejected.append(Rejected(tensor, text, "the update is not finite"))
                        continue
                    is_read[name] |= loss > 0
                    is_rounded[name] |= not np.array_equal(
                        rounded[name, key], self.values[name][key]
                    )
                    size = _lowbit.encoded_bytes(text, list(self.values[name][key].shape))
                    found[name].append(Candidate(text, size, loss))
            for name, candidates in found.items():
                if is_rounded[name] and not is_read[name]:
                    reason = "the step's update does not depend on the state"
                    rejected += [
                        Rejected(f"{name}/{key}", c.encoding, reason) for c in candidates[1:]
                    ]
                    candidates = candidates[:1]
                items.append(
                    Item(f"{name}/{key}", tuple(candidates), int(self.values[name][key].size))
                )
        return items


def _rounded(values: Array, encoding: str) -> Array:
    if not encoding:
        return values
    return _lowbit.decode(encoding, list(values.shape), _lowbit.encode(values, encoding))


def _squares(values: Array) -> float:
    return float(np.square(values, dtype=np.float64).sum())
