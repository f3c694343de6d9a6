"""Three small models on real data, and their training: gradients from JAX, steps of an optimizer outside of it.

The byte model (docs/ByteModel.md) in a smaller size on the King James text; a perceptron and a convolutional network on
the handwritten digits that come with scikit-learn (Alpaydin and Kaynak 1998: 1,797 images of 8 x 8 pixels).

Everything that is random comes from one seed: first weights, and the order of the data. So runs of one seed with different
optimizers differ in nothing else, and a run is the same bit for bit as often as it is made on one machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Callable, Iterator, Mapping, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from lowbit import optim
from sklearn.datasets import load_digits

import byte_model_jax

Arrays = dict[str, np.ndarray]
Batch = Any  # arrays, as a task's loss takes them


@dataclass(frozen=True)
class Task:
    name: str
    start: Callable[[int], Mapping[str, Any]]
    """The first weights, of a seed."""
    loss: Callable[[Mapping[str, Any], Batch], jax.Array]
    """Mean negative log likelihood, in nats."""
    batches: Callable[[int, int], Iterator[Batch]]
    """So many for training, of a seed."""
    held_out: list[Batch]
    """Of equal sizes."""
    steps: int
    rate: float
    """At its peak: linear warm-up in the first tenth, then a cosine to 0."""

    def rate_at(self, step: int, steps: int) -> float:
        warm_up = max(1, steps // 10)
        if step <= warm_up:
            return self.rate * step / warm_up
        return self.rate * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2


# --------------------------------------------------------------------------------------------------
# Tasks
# --------------------------------------------------------------------------------------------------

BYTE_MODEL = byte_model_jax.Size(width=128, hidden=384, layers=2, heads=2, kv_heads=1)


def byte_model(text: bytes, held_out: bytes, size: byte_model_jax.Size = BYTE_MODEL) -> Task:
    batch, length = 8, 128

    def batches(seed: int, steps: int) -> Iterator[Batch]:
        generator = np.random.default_rng([seed, 1])
        return byte_model_jax.windows(text, steps, batch, length, generator)

    # Windows side by side, spread over the text.
    count = len(held_out) // (length + 1)
    cut = np.frombuffer(held_out, np.uint8)[: count * (length + 1)].reshape(count, length + 1)
    cut = cut[:: max(1, count // 128)][:128].astype(np.int32)
    return Task(
        name="byte model",
        start=partial(byte_model_jax.initial_weights, size),
        loss=partial(byte_model_jax.loss, size),
        batches=batches,
        held_out=[cut[i : i + 32] for i in range(0, len(cut) // 32 * 32, 32)],
        steps=600,
        rate=2e-3,
    )


def _he(generator: np.random.Generator, *shape: int) -> np.ndarray:
    """First weights [out, in, …]. He et al. 2015."""
    scale = math.sqrt(2 / math.prod(shape[1:]))
    return (scale * generator.standard_normal(shape)).astype(np.float32)


def _perceptron_start(seed: int) -> Arrays:
    generator, weights = np.random.default_rng(seed), {}
    for i, (inner, out) in enumerate([(64, 256), (256, 256), (256, 10)]):
        weights[f"{i}.weight"] = _he(generator, out, inner)
        weights[f"{i}.bias"] = np.zeros(out, np.float32)
    return weights


def _perceptron(weights: Mapping[str, Any], x: jax.Array) -> jax.Array:
    x = x.reshape(len(x), 64)
    for i in range(2):
        x = jax.nn.relu(x @ weights[f"{i}.weight"].T + weights[f"{i}.bias"])
    return x @ weights["2.weight"].T + weights["2.bias"]


def _convolutional_start(seed: int) -> Arrays:
    generator = np.random.default_rng(seed)
    return {
        "first.weight": _he(generator, 16, 1, 3, 3),
        "second.weight": _he(generator, 32, 16, 3, 3),
        "hidden.weight": _he(generator, 128, 32 * 4 * 4),
        "hidden.bias": np.zeros(128, np.float32),
        "output.weight": _he(generator, 10, 128),
        "output.bias": np.zeros(10, np.float32),
    }


def _convolutional(weights: Mapping[str, Any], x: jax.Array) -> jax.Array:
    x = x[:, None]  # [batch, channel, row, column]
    for layer in ("first", "second"):
        x = jax.nn.relu(jax.lax.conv(x, weights[f"{layer}.weight"], (1, 1), "SAME"))
    x = x.reshape(len(x), 32, 4, 2, 4, 2).mean((3, 5)).reshape(len(x), 32 * 4 * 4)
    x = jax.nn.relu(x @ weights["hidden.weight"].T + weights["hidden.bias"])
    return x @ weights["output.weight"].T + weights["output.bias"]


def _digits(name: str, start: Callable, logits: Callable, steps: int, rate: float) -> Task:
    digits = load_digits()
    images, labels = (digits.images / 16).astype(np.float32), digits.target.astype(np.int32)
    order = np.random.default_rng(0).permutation(len(labels))
    chosen, held_out = order[360:], order[:360]

    def loss(weights: Mapping[str, Any], batch: Batch) -> jax.Array:
        x, label = batch
        scores = jax.nn.log_softmax(logits(weights, x))
        return -jnp.mean(jnp.take_along_axis(scores, label[:, None], axis=1))

    def batches(seed: int, steps: int) -> Iterator[Batch]:
        generator, rest = np.random.default_rng([seed, 1]), chosen[:0]
        for _ in range(steps):
            if len(rest) < 64:
                rest = generator.permutation(chosen)
            batch, rest = rest[:64], rest[64:]
            yield images[batch], labels[batch]

    return Task(name, start, loss, batches, [(images[held_out], labels[held_out])], steps, rate)


def perceptron() -> Task:
    return _digits("perceptron", _perceptron_start, _perceptron, steps=300, rate=2e-3)


def convolutional() -> Task:
    return _digits("convolutional", _convolutional_start, _convolutional, steps=300, rate=2e-3)


# --------------------------------------------------------------------------------------------------
# Training
# --------------------------------------------------------------------------------------------------


def _scheme(m: str, v: str, least: int) -> str:
    """Encodings of the first and the second moment, for tensors of so many elements; others stay f32."""
    return (
        f"[{{nonnegative = true, elements = {least}, encoding = #lowbit.quantized<{v}>}}, "
        f"{{nonnegative = false, elements = {least}, encoding = #lowbit.quantized<{m}>}}]"
    )


def _four_bits(v: str) -> str:
    """The scheme int4 with the second moment in another table."""
    blocks = "scale = f32 per [1, 128]"
    return _scheme(f"codebook<dynamic, 4>, {blocks}", f"codebook<{v}, 4>, {blocks}", 4097)


SCHEMES = {name: name for name in optim.NAMED} | {
    "int4-dynamic-nonzero": _four_bits("dynamic_nonzero"),
    # Where the second moment can be stored as 0.
    "int4-dynamic-zero": _four_bits("dynamic_unsigned"),
    "int4-linear-zero": _four_bits("linear_unsigned"),
}
"""What lowbit.optim knows by name, and second moments that Li, Chen and Zhu 2023 compare in 4 bits."""


class Stepper(Protocol):
    """AdamW with its states, for some parameters."""

    bytes: int
    """Of all states."""

    def step(self, params: Arrays, grads: Arrays, lr: float) -> None:
        """Updates the parameters in place."""


@cache
def _compile(scheme: str, shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> optim.Optimizer:
    """Once for all seeds."""
    return optim.compile("adamw", dict(shapes), SCHEMES[scheme])


class Compiled:
    """lowbit.optim's, with states in one of SCHEMES."""

    def __init__(self, scheme: str, params: Arrays):
        self.optimizer = _compile(scheme, tuple((name, p.shape) for name, p in params.items()))
        self.state = self.optimizer.init()
        self.bytes = self.state.bytes

    def step(self, params: Arrays, grads: Arrays, lr: float) -> None:
        self.optimizer.step(params, grads, self.state, lr=lr)


@dataclass
class Training:
    """What became of a run."""

    params: Arrays
    bytes_per_parameter: float
    """Of the states."""
    steps: list[int] = field(default_factory=list)
    """Those after which the loss was measured, from 0 to the last one."""
    losses: list[float] = field(default_factory=list)
    """Held out, in nats; of a model that fell apart NaN."""


class Trainer:
    """A task's programs, compiled once for all runs."""

    def __init__(self, task: Task):
        self.task = task
        self._gradient, self._loss = jax.jit(jax.grad(task.loss)), jax.jit(task.loss)

    def held_out(self, params: Arrays) -> float:
        return float(np.mean([self._loss(params, batch) for batch in self.task.held_out]))

    def run(
        self, seed: int, make: Callable[[Arrays], Stepper], steps: int | None = None, every: int = 0
    ) -> Training:
        """Trains from the start; `every` so many steps the held-out loss is measured, too."""
        steps = steps or self.task.steps
        params = {name: np.array(w, np.float32) for name, w in self.task.start(seed).items()}
        stepper = make(params)
        size = sum(array.size for array in params.values())
        done = Training(params, stepper.bytes / size, [0], [self.held_out(params)])
        for step, batch in enumerate(self.task.batches(seed, steps), 1):
            # The gradients are there before the parameters change.
            grads = {name: np.asarray(g) for name, g in self._gradient(params, batch).items()}
            stepper.step(params, grads, self.task.rate_at(step, steps))
            if step == steps or every and step % every == 0:
                done.steps.append(step)
                done.losses.append(self.held_out(params))
        return done
