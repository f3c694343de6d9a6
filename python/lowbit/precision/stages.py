"""A model as a chain of compiled stages, which run layer by layer and tell what passes.

The compiler makes the stages (`lowbit-calibration-pipeline`): functions that take the value of the stage before and the weights as
arguments, so that a layer's weights can be changed before its successors see what it computes.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Callable, Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _lowbit
from ..errors import LowbitError
from .bases import Basis, make_basis
from .sources import Tokens
from .statistics import Statistics

Array = NDArray[np.float32]

Progress = Callable[[int, int, str], None]
"""Called with (done, total, what is being done)."""


@dataclass(frozen=True)
class Sink:
    """A parameter that takes factors of the channels of a tap, or a shift of them: where they lie on one of its axes (lowbit-find-scale-sinks,
    lowbit-find-shift-sinks)."""

    key: str
    axis: int
    places: NDArray[np.int64]
    """[channels] the index on that axis; channels with the same share a factor, or a shift."""
    sign: int = 1
    """Of a shift."""
    weight: str = ""
    """A parameter [outputs, channels] that a shift is multiplied with first; then the places are those of outputs."""

    def spread(
        self, channels: NDArray[np.float64], shape: Sequence[int], rest: float
    ) -> NDArray[np.float64]:
        """Numbers of channels where these lie in a parameter of a shape, to compute with it; `rest` at other places."""
        whole = np.full(shape[self.axis], float(rest))
        whole[self.places] = channels
        return whole.reshape([-1 if axis == self.axis else 1 for axis in range(len(shape))])


def make_sink(
    key: str,
    axis: int,
    digits: Sequence[int],
    strides: Sequence[int],
    sign: int = 1,
    weight: str = "",
) -> Sink:
    grids = np.meshgrid(*(np.arange(d) * s for d, s in zip(digits, strides)), indexing="ij")
    return Sink(key, axis, sum(grids).ravel(), sign, weight)


@dataclass(frozen=True)
class Stage:
    function: str
    arguments: list[str]
    """ "value", "argument 0", "parameter KEY" or "result"."""
    types: list[str]
    """Of all arguments of the function; those of statistics come last."""
    feeds: list[list[str]]
    """For each tap the parameters that its value is multiplied with."""
    sinks: list[list[Sink]]
    """For each tap what its channels can be scaled in, ..."""
    refusals: list[str]
    """... or why nothing takes that."""
    bases: list[Basis]
    """Which of its parameters are permuted with its taps."""
    gradient: str = ""
    """The function that gives products with the stage's Jacobian, if there is one, ..."""
    differentiated: tuple[int, ...] = ()
    """... for these arguments: the value, and weights."""

    @property
    def name(self) -> str:
        """What people call it: the first weight in it."""
        return self.feeds[0][0] if self.feeds else "embeddings"

    @property
    def weights(self) -> list[str]:
        """Its parameters, and those that only its taps feed: of a last product nothing is computed."""
        return list(dict.fromkeys([*self.parameters, *(k for feeds in self.feeds for k in feeds)]))

    @property
    def parameters(self) -> list[str]:
        return [a.removeprefix("parameter ") for a in self.arguments if a.startswith("parameter ")]


def _make_stage(
    function: str,
    arguments: list[str],
    types: list[str],
    feeds: list[list[str]],
    sinks: list[list[tuple]],
    refusals: list[str],
    bases: list[tuple],
    gradient: str,
    differentiated: list[int],
) -> Stage:
    refusals, found = list(refusals), []
    for number, tap in enumerate(sinks):
        names = [arguments[sink[0]] for sink in tap]
        if not all(name.startswith("parameter ") for name in names):
            refusals[number], tap, names = "it comes from what is given to the stage", [], []
        found.append(
            [make_sink(n.removeprefix("parameter "), *sink[1:]) for n, sink in zip(names, tap)]
        )
    permuted = [_name_parameters(make_basis(*basis)) for basis in bases]
    return Stage(
        function,
        arguments,
        types,
        feeds,
        found,
        refusals,
        permuted,
        gradient,
        tuple(differentiated),
    )


def _name_parameters(basis: Basis) -> Basis:
    if not all(member.key.startswith("parameter ") for member in basis.members):
        return make_basis(basis.taps, 0, False, [], [], "it comes from what is given to the stage")
    members = [replace(m, key=m.key.removeprefix("parameter ")) for m in basis.members]
    return replace(basis, members=tuple(members))


def _array_type(text: str, rows: int) -> tuple[tuple[int, ...], type]:
    """Shape and element type of 'tensor<?x64xf32>', its open extents being the number of tokens."""
    if text == "index":
        return (), np.int64
    match = re.fullmatch(r"tensor<((?:(?:\?|\d+)x)*)(f32|i64)>", text)
    if not match:
        raise LowbitError(f"a stage has an argument of type {text}, which cannot be given to it")
    shape = tuple(rows if e == "?" else int(e) for e in match[1].split("x")[:-1])
    return shape, {"f32": np.float32, "i64": np.int64}[match[2]]


class StagedProgram:
    """Compiled when it is first run.

    text: an MLIR program; its first argument of integers is tokens, others are masks (all ones), floats begin at 0.
    statistics: what each tap keeps, of `statistics.KINDS`.
    output: the last stage gives what the program gives, its last result; otherwise nothing.
    only_parameters: values that are no parameters, as key-value caches, stay encoded, so that what passes is rounded.
    gradients: stages can be gone back over, too (`pull_back`).
    """

    def __init__(
        self,
        text: str,
        statistics: Sequence[str],
        name: str = "module",
        output: bool = False,
        only_parameters: bool = False,
        gradients: bool = False,
    ):
        self.statistics = list(statistics)
        self.text, stages = _lowbit.split_stages(
            text,
            self.statistics,
            output=output,
            only_parameters=only_parameters,
            gradients=gradients,
            name=name.encode("utf-8", "replace").decode(),  # names of files may be other bytes
        )
        self.stages = [_make_stage(*stage) for stage in stages]
        integers = [
            int(argument.removeprefix("argument "))
            for stage in self.stages
            for argument, kind in zip(stage.arguments, stage.types)
            if argument.startswith("argument ") and kind.endswith("xi64>")
        ]
        self._tokens = f"argument {min(integers, default=0)}"

    @cached_property
    def _program(self) -> _lowbit.Program:
        return _lowbit.Program(self.text)

    def with_rounded_inputs(self, weights: Collection[str], encoding: str) -> StagedProgram:
        """The same stages, in which the inputs of products with these weights are encoded, as within #lowbit.quantized<…>, and decoded.

        Stages that are one function are changed together.
        """
        text = self.text
        places = {
            (stage.function, place)
            for stage in self.stages
            for place, argument in enumerate(stage.arguments)
            if argument.removeprefix("parameter ") in weights
        }
        for function, place in places:
            attribute = f"lowbit.activations = #lowbit.quantized<{encoding}>"
            pattern = rf"(func\.func @{function}\([^\n]*?%arg{place}: tensor<[^>]*>)"
            text, count = re.subn(pattern, rf"\1 {{{attribute}}}", text)
            assert count == 1, f"{function} has an argument {place}"
        rounded = copy.copy(self)
        rounded.__dict__.pop("_program", None)
        rounded.text = _lowbit.opt(text, "builtin.module(func.func(lowbit-quantize-activations))")
        return rounded

    def run(
        self,
        stage: Stage,
        tokens: Tokens,
        value: Array | None,
        weights: Mapping[str, Array],
        taps: Sequence[Statistics] | None = None,
    ) -> Array | None:
        """The value that goes to the next stage, None after the last.

        value: that of the stage before. weights: by key, f32. taps: those of the stage, which grow.
        """
        inputs = self._inputs(stage, tokens, value, weights, taps)
        results = self._program.run(stage.function, inputs)
        passed = results.pop(0) if stage.arguments[-1:] == ["result"] else None
        for number, tap in enumerate(taps or ()):
            first = number * len(self.statistics)
            tap.add(dict(zip(self.statistics, results[first:])), len(tokens))
        return passed

    def _inputs(
        self,
        stage: Stage,
        tokens: Tokens,
        value: Array | None,
        weights: Mapping[str, Array],
        taps: Sequence[Statistics] | None,
    ) -> list[Any]:
        rows, inputs = len(tokens), []
        for argument, text in zip(stage.arguments, stage.types):
            if encoded := re.fullmatch(r"tensor<((?:\d+x)+)f32, (#lowbit\..*)>", text):
                shape = [int(extent) for extent in encoded[1].split("x")[:-1]]
                inputs += _lowbit.encode(np.zeros(shape, np.float32), encoded[2]).values()
                continue
            shape, dtype = _array_type(text, rows)
            if argument == "value":
                inputs.append(value)
            elif argument.startswith("parameter "):
                inputs.append(weights[argument.removeprefix("parameter ")])
            elif argument == self._tokens:
                inputs.append(tokens.reshape(shape))
            elif dtype is np.int64 and shape:
                inputs.append(np.ones(shape, dtype))
            else:
                inputs.append(np.zeros(shape, dtype))
        places = [(tap, kind) for tap in range(len(stage.feeds)) for kind in self.statistics]
        for (tap, kind), text in zip(places, stage.types[len(stage.arguments) :]):
            fresh = Statistics(stage.feeds[tap])
            inputs.append((taps[tap] if taps else fresh).start(kind, *_array_type(text, rows)))
        return inputs

    def pull_back(
        self,
        stage: Stage,
        tokens: Tokens,
        value: Array | None,
        weights: Mapping[str, Array],
        cotangent: Array,
    ) -> dict[str, Array]:
        """The gradients with respect to the stage's value ("value") and weights (by key), if that with respect to what it gives is `cotangent`."""
        inputs = self._inputs(stage, tokens, value, weights, None)
        storage = [
            np.zeros(_array_type(stage.types[place], len(tokens))[0], np.float32)
            for place in stage.differentiated
        ]
        names = [
            stage.arguments[place].removeprefix("parameter ") for place in stage.differentiated
        ]
        found = self._program.run(stage.gradient, [*inputs, cotangent, *storage])
        return dict(zip(names, found))


class Calibration:
    """Where a run over a text stands: the values between two stages, and which stage comes next.

    progress: called before each sequence of a stage with how many have passed.
    """

    def __init__(
        self,
        text: str,
        statistics: Sequence[str],
        sequences: Sequence[Tokens],
        name: str = "module",
        progress: Callable[[int], None] = lambda sequence: None,
    ):
        self.sequences, self.progress = list(sequences), progress
        self._observing = StagedProgram(text, statistics, name)
        self._source = (text, name)
        self.stages = self._observing.stages
        self.position = 0
        self.values: list[Array | None] = [None] * len(self.sequences)

    @cached_property
    def _passing(self) -> StagedProgram:
        """The same without second moments, which cost as much as the stages themselves."""
        text, name = self._source
        return StagedProgram(text, ["sums"], name)

    def resume(self, position: int, values: Sequence[Array] | None) -> None:
        """Goes on before the stage of this number, with what passes to it."""
        self.position = position
        self.values = list(values) if values is not None else [None] * len(self.sequences)

    @cached_property
    def _measuring(self) -> StagedProgram:
        """The same with what says how far values reach."""
        text, name = self._source
        return StagedProgram(text, ["maxima", "minima", "histogram"], name)

    def observe(self, weights: Mapping[str, Array]) -> list[Statistics]:
        """Of the stage that comes next: statistics of each of its taps."""
        return self._observe(self._observing, weights)

    def measure(self, weights: Mapping[str, Array]) -> list[Statistics]:
        """Of the stage that comes next with these weights: maxima, minima and histograms."""
        return self._observe(self._measuring, weights)

    def _observe(self, program: StagedProgram, weights: Mapping[str, Array]) -> list[Statistics]:
        stage = program.stages[self.position]
        taps = [Statistics(feeds) for feeds in stage.feeds]
        for number, (tokens, value) in enumerate(zip(self.sequences, self.values)):
            self.progress(number // 2)
            program.run(stage, tokens, value, weights, taps)
        for tap in taps:
            tap.finish()
            tap.check()
        return taps

    def advance(self, weights: Mapping[str, Array]) -> None:
        """Past the next stage, with these weights."""
        last = self.position + 1 == len(self.stages)
        for number, (tokens, value) in enumerate(zip(self.sequences, self.values)):
            if not last:
                self.progress((len(self.sequences) + number) // 2)
                stage = self._passing.stages[self.position]
                self.values[number] = self._passing.run(stage, tokens, value, weights)
        self.position += 1
