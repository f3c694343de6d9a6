"""compile(): a rule for a set of parameters, as kernels that update them and their states in place."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _lowbit
from ..errors import LowbitError
from .arrays import Borrowed, zeros
from .gradients import PIECE, Norm, Squares, norm_of
from .rule import Argument, Rule, load
from .shards import Shard, viewed
from .states import MATRICES, assignments, of_plan

Components = dict[str, NDArray[Any]]
"""By name: 'codes', 'scale', …; 'values' of what is not encoded."""

Tensors = Mapping[str, Any] | Sequence[Any]
"""Arrays by the names of their parameters, or in their order."""

_SCALARS = {"F64": np.float64, "F32": np.float32, "I64": np.int64, "I32": np.int32}


@dataclass
class State:
    """What is kept from step to step."""

    tensors: dict[str, dict[str, Components]]
    """By the names of parameter and state."""
    step: int = 0
    """Steps that were taken."""

    @property
    def bytes(self) -> int:
        return sum(
            array.nbytes
            for states in self.tensors.values()
            for components in states.values()
            for array in components.values()
        )


@dataclass
class Step:
    """What became of a step."""

    norm: float | None
    """Of all gradients, unscaled; None: it was not needed."""
    skipped: bool
    """A gradient had an element that is no number, so nothing was updated."""


@dataclass
class _Kernel:
    """The rule with one choice of encodings, and the parameters that it is for."""

    encodings: tuple[str, ...]  # of the rule's tensors, in their order
    # What is kept of a parameter beside the caller's array: encodings by name.
    corrections: dict[str, str]
    program: Any
    columns: list[int]  # of each argument in a piece; -1: it is taken whole, 0: a number for all
    # Of each tensor's components, which are no arrays but its last extent.
    extents: list[list[bool]]
    names: list[str] = field(default_factory=list)


class Optimizer:
    """A compiled rule; see compile()."""

    def __init__(
        self,
        rule: Rule,
        shapes: dict[str, tuple[int, ...]],
        states: str,
        flatten: bool,
        threads: int,
        shards: Mapping[str, Shard],
        approximate: bool,
    ):
        self.rule, self._threads, self._approximate = rule, threads, approximate
        self.shapes = shapes | {name: shard.shape for name, shard in shards.items()}
        """Of what is held here."""
        wholes = {name: viewed(name, shape, None, flatten) for name, shape in shapes.items()}
        self._wholes = {name: box.shape for name, box in wholes.items()}
        self._boxes = wholes | {
            name: viewed(name, shapes[name], shard, flatten) for name, shard in shards.items()
        }
        self._views = {name: box.shape for name, box in self._boxes.items()}
        try:
            table = _lowbit.assign_states(
                rule.text,
                rule.name,
                states,
                # What small tensors are stored in does not depend on how they are cut.
                [(name, list(view)) for name, view in self._wholes.items()],
            )
            kernels: dict[tuple[str, ...], _Kernel] = {}
            for name, encodings in zip(shapes, table):
                key = tuple(e for e, a in zip(encodings, rule.arguments) if a.tensor)
                if key not in kernels:
                    kernels[key] = self._compile(key, flatten)
                kernels[key].names.append(name)
        except RuntimeError as error:
            raise LowbitError(str(error)) from None
        self._kernels = list(kernels.values())
        self._measure: Norm | None = None

    def _compile(self, encodings: tuple[str, ...], flatten: bool) -> _Kernel:
        tensors = self.rule.tensors
        chosen = ", ".join(
            f'{{names = "{a.name}", encoding = {e}}}' for a, e in zip(tensors, encodings) if e
        )
        passes = [
            f"lowbit-assign-states{{assignments='[{chosen}]'}}",
            "lowbit-scale-gradients",
            "lowbit-key-draws",
        ]
        if self._approximate:
            passes.append("lowbit-allow-approximations")
        text = _lowbit.opt(self.rule.text, f"builtin.module({','.join(passes)})")
        dynamic = [list(argument.shape) for argument in tensors]
        multiples = [_lowbit.encode_multiples(e, s)[1] for e, s in zip(encodings, dynamic)]
        piece = -1
        if flatten and self.rule.elementwise and -1 not in multiples:
            piece = math.lcm(*multiples)
            piece *= -(-PIECE // piece)
        columns, extents = [], []
        stored = iter(encodings)
        for argument in self.rule.arguments:
            if not argument.tensor:
                columns.append(0)
                continue
            encoding = next(stored)
            widths = (
                shape[1] if piece > 0 else -1
                for _, _, shape in _lowbit.component_types(encoding, [1, max(piece, 1)])
            )
            # Where components alone do not tell how large the tensor is, they say it.
            components = _lowbit.component_types(encoding, list(argument.shape))
            extents.append([not shape for _, _, shape in components])
            columns += [piece if is_extent else next(widths) for is_extent in extents[-1]]
        # gradient_scale, the number of the draw, and in which row and column of the parameter a piece begins
        columns += [0, 0, -1, -1 - max(piece, 1)]
        pipeline = "cpu{parallel=false}" if piece > 0 else "cpu"
        program = _lowbit.Program(
            text, pipeline=pipeline, threads=self._threads, name=self.rule.name
        )
        stored_as = dict(zip((a.name for a in tensors), encodings))
        return _Kernel(encodings, _corrections(stored_as["parameter"]), program, columns, extents)

    def encodings(self, name: str) -> dict[str, str]:
        """What each state of a parameter is stored in; '' is f32. With parameters 'bf16+8' there is a state 'correction8', too."""
        for kernel in self._kernels:
            if name in kernel.names:
                stored = dict(zip((a.name for a in self.rule.tensors), kernel.encodings))
                return {state: stored[state] for state in self.rule.states} | kernel.corrections
        raise KeyError(name)

    def init(self) -> State:
        """States of zeros."""
        return State({name: self.zeros(name) for name in self.shapes})

    def view(self, name: str, state: str) -> tuple[int, int]:
        """The extents of a parameter's state."""
        return self._argument(state).view(self._views[name])

    def part(self, name: str, state: str) -> tuple[tuple[int, int], Shard]:
        """The extents of a whole parameter's state, and which part of it is held here."""
        whole, view = self._argument(state).view(self._wholes[name]), self.view(name, state)
        # Only elementwise rules have parameters in parts: their states have the parameter's extents.
        return whole, Shard((0, 0), whole) if view == whole else self._boxes[name]

    def _argument(self, state: str) -> Argument:
        """Of the rule; a correction is one of the parameter."""
        name = state if state in self.rule.states else "parameter"
        return next(argument for argument in self.rule.tensors if argument.name == name)

    def zeros(self, name: str) -> dict[str, Components]:
        """The states of one parameter, before its first step."""
        stored = self.encodings(name)
        return {
            state: zeros(encoding, self.view(name, state)) for state, encoding in stored.items()
        }

    def step(
        self,
        params: Tensors,
        grads: Tensors,
        state: State,
        *,
        gradient_scale: float = 1.0,
        max_norm: float | None = None,
        skip_nonfinite: bool = False,
        norm: float | None = None,
        **scalars: float,
    ) -> Step:
        """One step: `params` and `state` are updated in place. What is not contiguous is copied, and back.

        gradient_scale: what gradients are multiplied by, as the inverse of a loss scale.
        max_norm: gradients whose norm, over all parameters and after gradient_scale, is larger are scaled down to it.
        skip_nonfinite: where a gradient has an infinity or a NaN nothing is updated, and the step does not count.
        norm: of all gradients, before gradient_scale, as norm() makes it of what all processes have from squares(): both
            arguments above need it where parameters are held in shards.
        scalars: 'lr' and the rule's others; those that it has a default for may be left out.
        """
        p, g = self._named(params, "parameters"), self._named(grads, "gradients")
        given = {n: (p[n], g[n], state.tensors[n]) for n in self.shapes}
        done = self.apply(
            given, state.step + 1, scalars, gradient_scale, max_norm, skip_nonfinite, norm
        )
        state.step += not done.skipped
        return done

    def apply(
        self,
        given: Mapping[str, tuple[Any, Any, dict[str, Components]]],
        step: int,
        scalars: Mapping[str, float],
        gradient_scale: float = 1.0,
        max_norm: float | None = None,
        skip_nonfinite: bool = False,
        norm: float | None = None,
    ) -> Step:
        """Step number `step`, from 1, of some parameters: (parameter, gradient, states) by name."""
        numbers = self._scalars({**scalars, "step": step})
        borrowed = {
            name: (
                self._borrow(name, parameter, f"parameter '{name}'", is_updated=True),
                self._borrow(name, gradient, f"gradient of '{name}'"),
            )
            for name, (parameter, gradient, _) in given.items()
        }
        is_measured = max_norm is not None or skip_nonfinite
        if is_measured and norm is None:
            if parts := [n for n in given if self._boxes[n].shape != self._wholes[n]]:
                raise LowbitError(
                    f"'{parts[0]}' is held in shards: max_norm and skip_nonfinite need the norm of all gradients",
                    hint="norm = optim.norm(…), of what squares() gives in each process",
                )
            norm = norm_of(self._squares({n: g.array for n, (_, g) in borrowed.items()}))
        if is_measured:
            norm *= gradient_scale
            if skip_nonfinite and not math.isfinite(norm):
                return Step(norm, skipped=True)
            if max_norm is not None and norm > max_norm:
                gradient_scale *= max_norm / norm
        numbers += [np.array(gradient_scale, np.float32), np.array(step, np.int64)]
        try:
            # All are checked before one is updated.
            batches = [
                kernel.program.batch(
                    "step",
                    kernel.columns,
                    [
                        self._row(kernel, name, borrowed[name], given[name][2])
                        for name in kernel.names
                        if name in given
                    ],
                )
                for kernel in self._kernels
            ]
            for batch in batches:
                batch.run(numbers, self._threads)
        except RuntimeError as error:
            raise LowbitError(str(error)) from None
        for parameter, _ in borrowed.values():
            parameter.give_back()
        return Step(norm if is_measured else None, skipped=False)

    def squares(self, grads: Tensors) -> Squares:
        """The sums of squares of what is held here of the gradients, for norm()."""
        given = self._named(grads, "gradients")
        borrowed = {n: self._borrow(n, given[n], f"gradient of '{n}'") for n in self.shapes}
        return self._squares({name: gradient.array for name, gradient in borrowed.items()})

    def _borrow(self, name: str, array: Any, what: str, is_updated: bool = False) -> Borrowed:
        return Borrowed(array, self.shapes[name], self._views[name], what, is_updated)

    def _squares(self, gradients: Mapping[str, NDArray[Any]]) -> Squares:
        if self._measure is None:
            place = [argument.name for argument in self.rule.tensors].index("gradient")
            stored = self._kernels[0].encodings[place] if self._kernels else ""
            self._measure = Norm(_lowbit.component_types(stored, [1, 1])[0][1], self._threads)
        boxes = {name: self._boxes[name].offset for name in gradients}
        starts = {name: r * self._wholes[name][1] + c for name, (r, c) in boxes.items()}
        try:
            sums = self._measure.squares(
                [(g.reshape(1, -1), starts[name]) for name, g in gradients.items()]
            )
        except RuntimeError as error:
            raise LowbitError(str(error)) from None
        return {(name, boxes[name]): own for name, own in zip(gradients, sums)}

    def _row(
        self,
        kernel: _Kernel,
        name: str,
        borrowed: tuple[Borrowed, Borrowed],
        states: dict[str, Components],
    ) -> list[NDArray[Any]]:
        """What the kernel takes of one parameter."""
        corrections = [a for state in kernel.corrections for a in states[state].values()]
        own = {
            "parameter": [borrowed[0].array, *corrections],
            "gradient": [borrowed[1].array],
        }
        row: list[NDArray[Any]] = []
        for argument, extents in zip(self.rule.tensors, kernel.extents):
            arrays = own.get(argument.name) or states[argument.name].values()
            if True in extents:
                last, rest = argument.view(self._views[name])[1], iter(arrays)
                arrays = [np.array(last, np.int64) if e else next(rest) for e in extents]
            row += arrays
        return row + [np.array(first, np.int64) for first in self._boxes[name].offset]

    def _named(self, tensors: Tensors, what: str) -> Mapping[str, Any]:
        if not isinstance(tensors, Mapping):
            if len(tensors) != len(self.shapes):
                raise LowbitError(f"there are {len(tensors)} {what} for {len(self.shapes)} shapes")
            return dict(zip(self.shapes, tensors))
        if missing := self.shapes.keys() - tensors.keys():
            raise LowbitError(f"{what} lack {', '.join(sorted(missing))}")
        return tensors

    def _scalars(self, given: dict[str, float]) -> list[NDArray[Any]]:
        known = [argument.name for argument in self.rule.scalars]
        if unknown := given.keys() - set(known) - {"step"}:
            raise LowbitError(
                f"rule '{self.rule.name}' has no {', '.join(sorted(unknown))}",
                hint=f"it has {', '.join(known)}",
            )
        values = []
        for argument in self.rule.scalars:
            value = given.get(argument.name, argument.default)
            if value is None:
                raise LowbitError(f"rule '{self.rule.name}' needs a value for {argument.name}")
            values.append(np.array(value, _SCALARS[argument.dtype]))
        return values


def _corrections(parameter: str) -> dict[str, str]:
    """Of a parameter's encoding the components that the caller's array is not, as tensors of integers."""
    bits = {"U8": 8, "I8": 8, "U16": 16, "I16": 16}
    rest = _lowbit.component_types(parameter, [1, 1])[1:]
    return {
        f"correction{bits[dtype]}": f"#lowbit.quantized<int<{bits[dtype]}>>" for _, dtype, _ in rest
    }


def compile(
    rule: str | Path | Rule,
    shapes: Mapping[str, Sequence[int]] | Sequence[Sequence[int]],
    states: str | Mapping[str, str] = "f32",
    *,
    parameters: str = "f32",
    gradients: str = "f32",
    flatten: bool | None = None,
    threads: int = 0,
    approximate: bool = False,
    shards: Mapping[str, Shard] | None = None,
) -> Optimizer:
    """Compiles a rule for parameters of these shapes.

    rule: the name of one that comes with Lowbit (names()), the path of an .mlir file, MLIR text, or what load() gave.
    shapes: of the parameters, by name or in order.
    states: what states are stored in: a scheme of NAMED, as 'dynamic8', or of the rule's own, an encoding, encodings by the states' names,
        assignments as lowbit-assign-states takes them, or the file of a plan by allocate_states(), 'plan.json'.
    parameters, gradients: 'f32', 'bf16', 'f16'; parameters also 'bf16_stochastic', bf16 that is rounded stochastically, and 'bf16+8' or
        'bf16+16', bf16 whose states say what it leaves of 24 or 32 bits.
    flatten: parameters are seen as [1, n], whatever their shape, as by default by rules that are elementwise; False: as
        matrices, which encodings by rows and columns need (the scheme 'int4_rank1' sees to it).
    threads: of OpenMP; 0: what it takes by itself.
    approximate: quotients and square roots of the rule may be off by 2^-13, relatively, where the processor is faster with it.
    shards: by name, which part of a parameter is held here, where others have the rest: arrays have its shape, and `shapes` are those of
        the whole parameters. What is not named is held whole.
    """
    found = rule if isinstance(rule, Rule) else load(rule)
    named = (
        shapes if isinstance(shapes, Mapping) else {str(i): shape for i, shape in enumerate(shapes)}
    )
    extents = {name: tuple(int(n) for n in shape) for name, shape in named.items()}
    if flatten is None:
        is_matrix = isinstance(states, str) and states in MATRICES
        flatten = found.elementwise and not is_matrix
    if flatten and not found.elementwise:
        raise LowbitError(
            f"rule '{found.name}' looks at a parameter as a matrix: it cannot be flattened"
        )
    held = dict(shards or {})
    for name, shard in held.items():
        if name not in extents:
            raise LowbitError(f"there is a shard of '{name}', which is no parameter")
        if not found.elementwise and shard.shape != extents[name]:
            raise LowbitError(
                f"rule '{found.name}' looks at a parameter as a whole: '{name}' cannot be held in shards"
            )
    if isinstance(states, str) and states.endswith(".json"):
        states = of_plan(states, extents, found.states)
    table = assignments(states, parameters, gradients, found.schemes)
    return Optimizer(found, extents, table, flatten, threads, held, approximate)
