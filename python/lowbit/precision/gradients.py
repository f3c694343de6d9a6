"""Gradients of a model's loss, and what they say of its weights: Fisher information and curvature.

The compiler makes of each stage the product of a cotangent with its Jacobian (lowbit-differentiate). A model is gone through forwards, keeping what
passes between two stages (in f32: stages x tokens x width), and then backwards, one stage at a time, with the gradients of that stage alone.

The loss of a language model is its cross-entropy, in nats for each token that is predicted. Another program has none; there, it is half the squared change of what
it gives, summed over its elements, for each sequence: second-order terms at the model itself are those of its Jacobian alone (Gauss-Newton).

A table that is looked up as well as multiplied with gets the gradient of the product alone.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Callable, Iterator, Mapping, Protocol, Sequence

import numpy as np

from ..errors import LowbitError
from .sources import LanguageModel, Source, Tokens, load_parameters
from .stages import Progress, Stage, StagedProgram
from .weights import Array

PIECE = 256
"""Tokens of a text that are differentiated together, at most: more pieces give more squares of gradients, and attention is cheaper. What comes before a piece is not seen."""

SQUARES = 128
"""A square of a normal variable has twice its squared mean as variance: of 128 the mean is known to an eighth."""

Load = Callable[[Stage], dict[str, Array]]


class Loss(Protocol):
    """What is differentiated, for one sequence."""

    def draw(self, output: Array, tokens: Tokens, generator: np.random.Generator) -> Array:
        """A random cotangent c of the output. The mean of (J^T c)^2, with the Jacobian J of the output, is the diagonal of the Fisher information."""

    def slope(self, output: Array, tokens: Tokens, reference: Array) -> Array:
        """The loss's gradient with respect to the output. reference: the output of the model as it is."""

    def count(self, tokens: Tokens) -> int:
        """How many terms of the loss a sequence has."""

    def cut(self, tokens: Tokens) -> list[Tokens]:
        """A sequence as those that are differentiated."""

    draws_differ: bool
    """Whether another draw says anything new."""


@dataclass(frozen=True)
class CrossEntropy:
    """Of the next token, given logits [tokens, vocabulary].

    labels: "model" draws them from what the model itself predicts, which gives the Fisher information. Labels of different tokens are independent, so that the
    square of a sequence's gradient has the sum of the squares of its tokens' gradients as its mean: one pass suffices. "text" takes the text's tokens: the
    empirical Fisher information, of whole sequences, as SqueezeLLM has it.
    """

    labels: str = "model"

    @property
    def draws_differ(self) -> bool:
        return self.labels == "model"

    def draw(self, output: Array, tokens: Tokens, generator: np.random.Generator) -> Array:
        if self.labels == "text":
            return self.slope(output, tokens, output)
        probabilities = _softmax(output)
        places = generator.random((len(output), 1)) * probabilities.sum(axis=-1, keepdims=True)
        labels = (np.cumsum(probabilities, axis=-1) < places).sum(axis=-1)
        return self._difference(probabilities, np.minimum(labels, output.shape[-1] - 1))

    def slope(self, output: Array, tokens: Tokens, reference: Array) -> Array:
        return self._difference(_softmax(output), tokens[1:])

    @staticmethod
    def _difference(probabilities: Array, labels: Tokens) -> Array:
        """Of softmax and label; the last token predicts nothing that is known."""
        change = probabilities
        count = len(change) - 1
        change[np.arange(count), labels[:count]] -= 1
        change[count:] = 0
        return change.astype(np.float32)

    def count(self, tokens: Tokens) -> int:
        return len(tokens) - 1

    def cut(self, tokens: Tokens) -> list[Tokens]:
        return [tokens[start : start + PIECE] for start in range(0, len(tokens), PIECE)]


@dataclass(frozen=True)
class OutputChange:
    """Half the squared change of an output of any shape, by random signs: their outer product is the identity in the mean."""

    draws_differ = True

    def draw(self, output: Array, tokens: Tokens, generator: np.random.Generator) -> Array:
        return _signs(generator, output.shape)

    def slope(self, output: Array, tokens: Tokens, reference: Array) -> Array:
        return output - reference

    def count(self, tokens: Tokens) -> int:
        return 1

    def cut(self, tokens: Tokens) -> list[Tokens]:
        return [tokens]


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _signs(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """+1 and -1 (Rademacher)."""
    return (generator.integers(0, 2, shape, dtype=np.int8) * np.int8(2) - np.int8(1)).astype(
        np.float32
    )


def loss_of(source: Source, labels: str = "model") -> Loss:
    return CrossEntropy(labels) if isinstance(source, LanguageModel) else OutputChange()


@dataclass(frozen=True)
class Trace:
    """Of a weight's block of the Hessian of the mean loss."""

    estimates: tuple[float, ...]
    """Independent ones, each unbiased."""
    weights: int
    """How many numbers the weight has."""

    @property
    def value(self) -> float:
        return float(np.mean(self.estimates))

    @property
    def mean(self) -> float:
        """The mean curvature: what HAWQ-V2 weighs squared errors by."""
        return self.value / self.weights

    def cost(self, change: Array) -> float:
        """The loss that a change of the weight costs, to second order, with the mean curvature everywhere. An estimate below 0, as of a model that is not at a minimum, counts as 0."""
        return max(self.mean, 0.0) * float(np.square(change, dtype=np.float64).sum()) / 2


class Gradients:
    """Of a model in float, on sequences. Compiled when it is first run."""

    def __init__(
        self,
        source: Source,
        length: int,
        sequences: Sequence[Tokens],
        loss: Loss | None = None,
        progress: Progress = lambda done, total, what: None,
    ):
        self.loss = loss or loss_of(source)
        self.archive, self.progress = source.archive, progress
        pieces = [piece for tokens in sequences for piece in self.loss.cut(tokens)]
        self.sequences = [tokens for tokens in pieces if self.loss.count(tokens) > 0]
        if not self.sequences:
            raise LowbitError(
                "no sequence has a token that another one predicts",
                hint="gradients need sequences of at least two tokens: give a longer text",
            )
        self.count = sum(map(self.loss.count, self.sequences))
        text = source.program(length)
        self.program = StagedProgram(text, ["sums"], source.path, output=True, gradients=True)
        self.weights = list(
            dict.fromkeys(k for s in self.program.stages for feeds in s.feeds for k in feeds)
        )

    def load(self, stage: Stage) -> dict[str, Array]:
        return load_parameters(self.archive, stage.weights)

    def forward(self, load: Load) -> list[list[Array | None]]:
        """What passes before each stage, and at last the outputs: by stage, then by sequence."""
        values: list[list[Array | None]] = [[None] * len(self.sequences)]
        for number, stage in enumerate(self.program.stages):
            self._report(number, stage)
            weights = load(stage)
            values.append(
                [self.program.run(stage, t, v, weights) for t, v in zip(self.sequences, values[-1])]
            )
        return values

    def backward(
        self,
        values: list[list[Array | None]],
        cotangents: Sequence[Sequence[Array]],
        load: Load,
    ) -> Iterator[Iterator[tuple[str, Array]]]:
        """From the last stage to the first: its weights' gradients, for each cotangent of each sequence's output. All of a stage's are to be taken before the next
        stage.

        values: what `forward` gave; stages that are done with are taken out. cotangents: for each sequence.
        """
        stages = self.program.stages
        given = [list(of_sequence) for of_sequence in cotangents]
        values.pop()
        for number in range(len(stages) - 1, -1, -1):
            self._report(2 * len(stages) - 1 - number, stages[number])
            before = values.pop()
            if stages[number].gradient:
                yield self._pull_back(stages[number], before, given, load(stages[number]))

    def _pull_back(self, stage, before, given, weights) -> Iterator[tuple[str, Array]]:
        for tokens, value, of_sequence in zip(self.sequences, before, given):
            for draw, cotangent in enumerate(of_sequence):
                found = self.program.pull_back(stage, tokens, value, weights, cotangent)
                of_sequence[draw] = found.pop("value", None)
                yield from found.items()

    def _report(self, done: int, stage: Stage) -> None:
        self.progress(done, 2 * len(self.program.stages), stage.name)

    def fisher(self, draws: int | None = None, seed: int = 0) -> Iterator[tuple[str, Array]]:
        """For each weight the diagonal of the Fisher information, [outputs, inputs] f32, per term of the loss: the squared gradients of whole sequences, added up, over the
        number of terms, in the mean over `draws` of each sequence's cotangent; by default so many that there are at least SQUARES of them. Half of what it gives with the squares of a change of the weights is the
        loss that this costs, to second order. A weight that several stages use comes several times, with the squares of each.
        """
        if draws is None:
            draws = -(-SQUARES // len(self.sequences)) if self.loss.draws_differ else 1
        generator = np.random.default_rng(seed)
        values = self.forward(self.load)
        cotangents = [
            [self.loss.draw(output, tokens, generator) for _ in range(draws)]
            for tokens, output in zip(self.sequences, values[-1])
        ]
        for gradients in self.backward(values, cotangents, self.load):
            sums: dict[str, Array] = {}
            for key, gradient in gradients:
                if key not in sums:
                    sums[key] = np.zeros(gradient.shape, np.float64)
                sums[key] += np.square(gradient, dtype=np.float64)
            for key, total in sums.items():
                yield key, (total / (draws * self.count)).astype(np.float32)

    def traces(self, samples: int = 4, step: float = 0.01, seed: int = 0) -> dict[str, Trace]:
        """For each weight the trace of its block of the Hessian of the mean loss, as HAWQ-V2 estimates it (Dong et al. 2019, arXiv 1911.03852, section 3.2): the mean of
        v^T H v over random signs v (Hutchinson). All weights move at once, each by `step` times its root mean square, and back: the difference of the two
        gradients is H v. What other weights add to that is 0 in the mean.
        """
        outputs = self.forward(self.load)[-1]
        found: dict[str, list[float]] = {}
        sizes: dict[str, int] = {}
        for sample in range(samples):
            direction = _Direction(step, (seed, sample))
            changes: dict[str, float] = {}
            for side in (1, -1):
                for key, total in self._total(outputs, self._moved(direction, side)):
                    sizes[key] = total.size
                    changes[key] = changes.get(key, 0.0) + side * direction.along(key, total)
            for key, change in changes.items():
                found.setdefault(key, []).append(change / (2 * self.count))
        return {key: Trace(tuple(estimates), sizes[key]) for key, estimates in found.items()}

    def _moved(self, direction: _Direction, side: int) -> Load:
        def load(stage: Stage) -> dict[str, Array]:
            weights = self.load(stage)
            moved = {k: direction.move(k, v, side) for k, v in weights.items() if k in self.weights}
            return {**weights, **moved}

        return load

    def _total(self, outputs: Sequence[Array], load: Load) -> Iterator[tuple[str, Array]]:
        """For each weight the gradient of the loss of all sequences, in f64."""
        values = self.forward(load)
        cotangents = [
            [self.loss.slope(output, tokens, reference)]
            for tokens, output, reference in zip(self.sequences, values[-1], outputs)
        ]
        for gradients in self.backward(values, cotangents, load):
            sums: dict[str, Array] = {}
            for key, gradient in gradients:
                sums[key] = sums.get(key, 0.0) + gradient.astype(np.float64)
            yield from sums.items()


class _Direction:
    """Random signs for all weights, each scaled by a part of the weight's root mean square. They are drawn anew whenever they are asked for: nothing is kept."""

    def __init__(self, step: float, seed: Sequence[int]):
        self.step, self.seed = step, seed
        self._sizes: dict[str, float] = {}

    def _signs(self, key: str, shape: tuple[int, ...]) -> Array:
        return _signs(np.random.default_rng([*self.seed, zlib.crc32(key.encode())]), shape)

    def move(self, key: str, values: Array, side: int) -> Array:
        size = self.step * float(np.sqrt(np.square(values, dtype=np.float64).mean()))
        self._sizes[key] = size
        return values + np.float32(side * size) * self._signs(key, values.shape)

    def along(self, key: str, gradient: Array) -> float:
        """v^T g / size: with g at both sides, the second derivative. 0 of a weight of zeros, which does not move."""
        size = self._sizes[key]
        return float((gradient * self._signs(key, gradient.shape)).sum()) / size if size else 0.0
