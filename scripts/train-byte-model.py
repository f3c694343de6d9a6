#!/usr/bin/env python3
"""Trains the byte model: a small llama whose tokens are bytes, on the King James text, on the CPU.

Writes models/byte-model.f16.gguf.xz (matrices rounded to f16: from then on they *are* the model),
models/byte-model-held-out.txt.xz and models/byte-model.sha256; scripts/get-byte-model.sh expands
them. docs/ByteModel.md has the figures of the committed run. Needs Debian's bible-kjv and
bible-kjv-text:

    sudo apt-get install bible-kjv bible-kjv-text
    .venv/bin/python scripts/train-byte-model.py

Deterministic: fixed seeds, a fixed order of the text, and sums in an order that only the number of
cores and the CPU's vector width should change. `--dry-run` helps to check: its digests must agree.

Sources: Loshchilov & Hutter 2017, 2019 (cosine schedule, AdamW); Jordan et al. 2024 (Muon); those of
the model are in byte_model_jax.py.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Iterator

import jax
import jax.numpy as jnp
import numpy as np

import byte_model
import byte_model_jax
from byte_model import CONTEXT

SEED = 1611
SIZE = byte_model_jax.Size()


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one window length: short first, where attention costs least."""

    steps: int
    batch: int
    length: int

    def windows(self, text: bytes, generator: np.random.Generator) -> Iterator[np.ndarray]:
        return byte_model_jax.windows(text, self.steps, self.batch, self.length, generator)


PHASES = (Phase(steps=220, batch=8, length=256), Phase(steps=110, batch=2, length=CONTEXT))
WARM_UP = 30
WEIGHT_DECAY = 0.1  # of matrices, times the rate

# AdamW, for the embedding, the head and the norms.
RATE = 6e-3
BETA1, BETA2 = 0.9, 0.98
ADAM_EPSILON = 1e-8

# Muon, for the matrices of the layers: at equal bytes read far ahead of AdamW (docs/ByteModel.md).
MUON_RATE = 2e-2
MOMENTUM = 0.95
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5

loss = partial(byte_model_jax.loss, SIZE)


def orthogonalize(g: jax.Array) -> jax.Array:
    """About U Vᵀ of g = U S Vᵀ: a polynomial in g that drives every singular value towards 1."""
    a, b, c = NEWTON_SCHULZ
    wide = g if g.shape[0] <= g.shape[1] else g.T
    x = wide / (jnp.linalg.norm(wide) + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x if g.shape[0] <= g.shape[1] else x.T


@partial(jax.jit, donate_argnums=(0, 1))
def train_step(weights, moments, windows, step, share):
    """Step `step`, counted from 1, at `share` of the peak rates: new weights, moments, the loss."""
    value, gradient = jax.value_and_grad(loss)(weights, windows)
    bias1, bias2 = 1 - BETA1**step, 1 - BETA2**step
    new_weights, new_moments = {}, {}
    for name, weight in weights.items():
        g = gradient[name]
        if uses_muon(name, weight):
            momentum = MOMENTUM * moments[name][0] + g
            rate = MUON_RATE * max(1, weight.shape[0] / weight.shape[1]) ** 0.5
            update = rate * orthogonalize(g + MOMENTUM * momentum)
            new_moments[name] = (momentum,)
        else:
            first = BETA1 * moments[name][0] + (1 - BETA1) * g
            second = BETA2 * moments[name][1] + (1 - BETA2) * g * g
            update = RATE * (first / bias1) / (jnp.sqrt(second / bias2) + ADAM_EPSILON)
            new_moments[name] = (first, second)
        decay = RATE * WEIGHT_DECAY if weight.ndim == 2 else 0.0
        new_weights[name] = weight - share * (update + decay * weight)
    return new_weights, new_moments, value


def uses_muon(name: str, weight: jax.Array) -> bool:
    return weight.ndim == 2 and name.startswith("blk.")


evaluate_loss = jax.jit(loss)


def held_out_bits(weights: dict[str, jax.Array], text: bytes, windows: int | None = None) -> float:
    """Bits per byte in windows of CONTEXT bytes side by side; each alone, its first not scored."""
    count = len(text) // CONTEXT
    cut = np.frombuffer(text, np.uint8)[: count * CONTEXT].reshape(count, CONTEXT)
    if windows is not None:
        cut = cut[:: count // windows][:windows]
    # Batches of one size, so that there is one program to compile.
    batch = 4
    cut = cut[: len(cut) // batch * batch].astype(np.int32)
    values = [evaluate_loss(weights, cut[i : i + batch]) for i in range(0, len(cut), batch)]
    return float(np.mean(values)) / math.log(2)


def rate_share(step: int, steps: int) -> float:
    """Of the peak rates: linear warm-up, then a cosine to 0."""
    if step <= WARM_UP:
        return step / WARM_UP
    return (1 + math.cos(math.pi * (step - WARM_UP) / (steps - WARM_UP))) / 2


def train(phases: tuple[Phase, ...], text: bytes, held_out: bytes) -> dict[str, jax.Array]:
    weights = byte_model_jax.initial_weights(SIZE, SEED)
    parameters = sum(weight.size for weight in weights.values())
    print(f"{parameters:,} parameters; {len(text):,} bytes to train on, {len(held_out):,} held out")
    moments = {
        name: tuple(jnp.zeros_like(weight) for _ in range(1 if uses_muon(name, weight) else 2))
        for name, weight in weights.items()
    }
    generator = np.random.Generator(np.random.PCG64(SEED + 1))
    steps = sum(phase.steps for phase in phases)
    step, seen, recent, began = 0, 0, [], time.perf_counter()
    for phase in phases:
        for windows in phase.windows(text, generator):
            step += 1
            weights, moments, value = train_step(
                weights, moments, windows, jnp.float32(step), rate_share(step, steps)
            )
            seen += phase.batch * phase.length
            recent.append(float(value))
            if step % 50 == 0 or step == steps:
                bits = float(np.mean(recent)) / math.log(2)
                line = f"step {step:5} {seen:9,} bytes {time.perf_counter() - began:6.0f} s"
                line += f" training {bits:.3f} bits/byte"
                if step % 200 == 0:
                    line += f", held out (32 windows) {held_out_bits(weights, held_out, 32):.3f}"
                print(line, flush=True)
                recent = []
    print(f"trained {steps} steps in {time.perf_counter() - began:.0f} s")
    return weights


def digest(weights: dict[str, jax.Array]) -> str:
    """SHA-256 of all bits: two runs that agree in it agree in everything."""
    return hashlib.sha256(b"".join(np.asarray(w).tobytes() for w in weights.values())).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the byte model and write it to models/.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--dry-run",
        type=int,
        metavar="N",
        help="train N steps in each phase, print a digest of the weights, and write nothing",
    )
    mode.add_argument("--evaluate", action="store_true", help="score the model in models/ again")
    options = parser.parse_args()
    try:
        text, held_out = byte_model.read_text()
    except RuntimeError as error:
        sys.exit(f"train-byte-model: error: {error}")
    if options.dry_run is not None:
        phases = tuple(replace(phase, steps=options.dry_run) for phase in PHASES)
        print(f"SHA-256 of the weights: {digest(train(phases, text, held_out))}")
        return
    if not options.evaluate:
        weights = train(PHASES, text, held_out)
        print(f"held out, before rounding to f16: {held_out_bits(weights, held_out):.4f} bits/byte")
        byte_model.pack({name: np.asarray(weight) for name, weight in weights.items()}, held_out)
        print(byte_model.PACKED_SUMS.read_text(), end="")
    weights = byte_model.read_weights()
    print(f"held out: {held_out_bits(weights, held_out):.4f} bits/byte")
    first = held_out_bits(weights, held_out[: 4 * CONTEXT])
    print(f"held out, the first four windows: {first:.6f} bits/byte")


if __name__ == "__main__":
    main()
