#!/usr/bin/env python3
"""Trains the byte model: a small llama whose tokens are bytes, on the King James text, on the CPU.

Writes models/byte-model.f16.gguf.xz (matrices rounded to f16: from then on they *are* the model),
models/byte-model-held-out.txt.xz and models/byte-model.sha256; scripts/get-byte-model.sh expands
them. docs/ByteModel.md has the figures of the committed run. Needs Debian's bible-kjv and
bible-kjv-text, and a Python of its own:

    sudo apt-get install bible-kjv bible-kjv-text
    python3 -m venv jax
    jax/bin/pip install -r python/requirements-training.txt -c python/constraints-training.txt
    jax/bin/python scripts/train-byte-model.py

Deterministic: fixed seeds, a fixed order of the text, and sums in an order that only the number of
cores and the CPU's vector width should change. `--dry-run` helps to check: its digests must agree.

Sources: Touvron et al. 2023 (LLaMA); Su et al. 2021 (rotary embedding); Shazeer 2020 (SwiGLU);
Ainslie et al. 2023 (grouped queries); Loshchilov & Hutter 2017, 2019 (cosine schedule, AdamW);
Jordan et al. 2024 (Muon).
"""

from __future__ import annotations

import argparse
import hashlib
import math
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import byte_model
from byte_model import (
    CONTEXT,
    EPSILON,
    HEAD_WIDTH,
    HEADS,
    HIDDEN,
    KV_HEADS,
    LAYERS,
    ROTARY_BASE,
    VOCABULARY,
    WIDTH,
)

# The text: `bible -f` prints "Ge1:1 In the beginning …", a verse a line.
TEXT_SHA256 = "cd45f0c9cedab8e4439bd6486c8952c77cc8b0ecc5d1f6ae3513f2039f47229d"
HELD_OUT_EVERY = 20  # chapters 20, 40, … of 1,189

SEED = 1611


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one window length: short first, where attention costs least."""

    steps: int
    batch: int
    length: int


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


def read_text() -> tuple[bytes, bytes]:
    """The training text and the held-out text: a verse a line, an empty line after each chapter."""
    try:
        done = subprocess.run(
            ["bible", "-f", "-l100000", "Gen1:1-Rev22:21"], capture_output=True, check=True
        )
    except FileNotFoundError:
        sys.exit("train-byte-model: error: no program `bible`: install bible-kjv, bible-kjv-text")
    if hashlib.sha256(done.stdout).hexdigest() != TEXT_SHA256:
        sys.exit("train-byte-model: error: `bible` prints another text than that of version 4.38")
    chapters: dict[bytes, list[bytes]] = {}
    for line in done.stdout.splitlines():
        reference, verse = line.split(b" ", 1)
        chapters.setdefault(reference.split(b":")[0], []).append(verse)
    train, held_out = [], []
    for number, verses in enumerate(chapters.values(), 1):
        part = held_out if number % HELD_OUT_EVERY == 0 else train
        part.append(b"\n".join(verses) + b"\n\n")
    return b"".join(train), b"".join(held_out)


def initial_weights() -> dict[str, jax.Array]:
    """Under their names in a GGUF file, matrices [out, in]. What adds to the stream starts at 0."""
    generator = np.random.Generator(np.random.PCG64(SEED))
    weights = {}

    def matrix(name: str, out: int, inner: int, scale: float = 1.0) -> None:
        weights[f"{name}.weight"] = scale * generator.standard_normal((out, inner)) / inner**0.5

    def ones(name: str) -> None:
        weights[f"{name}.weight"] = np.ones(WIDTH)

    matrix("token_embd", VOCABULARY, WIDTH)
    for layer in range(LAYERS):
        ones(f"blk.{layer}.attn_norm")
        matrix(f"blk.{layer}.attn_q", HEADS * HEAD_WIDTH, WIDTH)
        matrix(f"blk.{layer}.attn_k", KV_HEADS * HEAD_WIDTH, WIDTH)
        matrix(f"blk.{layer}.attn_v", KV_HEADS * HEAD_WIDTH, WIDTH)
        matrix(f"blk.{layer}.attn_output", WIDTH, HEADS * HEAD_WIDTH, scale=0)
        ones(f"blk.{layer}.ffn_norm")
        matrix(f"blk.{layer}.ffn_gate", HIDDEN, WIDTH)
        matrix(f"blk.{layer}.ffn_up", HIDDEN, WIDTH)
        matrix(f"blk.{layer}.ffn_down", WIDTH, HIDDEN, scale=0)
    ones("output_norm")
    matrix("output", VOCABULARY, WIDTH, scale=0)
    return {name: jnp.asarray(weight, jnp.float32) for name, weight in weights.items()}


def normalize(x: jax.Array, scale: jax.Array) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + EPSILON) * scale


def rotate(x: jax.Array) -> jax.Array:
    """x [batch, length, heads, width]; pairs (2i, 2i+1) turn by position * base^(-2i/width)."""
    frequency = ROTARY_BASE ** (-np.arange(0, HEAD_WIDTH, 2) / HEAD_WIDTH)
    angle = np.arange(x.shape[1])[:, None] * frequency[None, :]
    cosine = np.cos(angle).astype(np.float32)[None, :, None, :]
    sine = np.sin(angle).astype(np.float32)[None, :, None, :]
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = jnp.stack([even * cosine - odd * sine, even * sine + odd * cosine], axis=-1)
    return turned.reshape(x.shape)


def forward(weights: dict[str, jax.Array], tokens: jax.Array) -> jax.Array:
    """The logits [batch, length, VOCABULARY] after each of `tokens` [batch, length]."""
    batch, length = tokens.shape
    visible = np.tril(np.ones((length, length), bool))

    def linear(x: jax.Array, name: str) -> jax.Array:
        return x @ weights[f"{name}.weight"].T

    def attend(x: jax.Array, block: str) -> jax.Array:
        q = rotate(linear(x, f"{block}.attn_q").reshape(batch, length, HEADS, HEAD_WIDTH))
        k = rotate(linear(x, f"{block}.attn_k").reshape(batch, length, KV_HEADS, HEAD_WIDTH))
        v = linear(x, f"{block}.attn_v").reshape(batch, length, KV_HEADS, HEAD_WIDTH)
        # Query heads h*group … (h+1)*group-1 share the key and value head h.
        k = jnp.repeat(k, HEADS // KV_HEADS, axis=2)
        v = jnp.repeat(v, HEADS // KV_HEADS, axis=2)
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(HEAD_WIDTH)
        shares = jax.nn.softmax(jnp.where(visible, scores, -jnp.inf), axis=-1)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", shares, v).reshape(batch, length, WIDTH)
        return linear(mixed, f"{block}.attn_output")

    x = weights["token_embd.weight"][tokens]
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        x = x + attend(normalize(x, weights[f"{block}.attn_norm.weight"]), block)
        h = normalize(x, weights[f"{block}.ffn_norm.weight"])
        gated = jax.nn.silu(linear(h, f"{block}.ffn_gate")) * linear(h, f"{block}.ffn_up")
        x = x + linear(gated, f"{block}.ffn_down")
    return linear(normalize(x, weights["output_norm.weight"]), "output")


def loss(weights: dict[str, jax.Array], windows: jax.Array) -> jax.Array:
    """Mean negative log likelihood, in nats, of windows[:, 1:], each given all before it."""
    logits = forward(weights, windows[:, :-1])
    chosen = jnp.take_along_axis(logits, windows[:, 1:, None], axis=-1)[..., 0]
    return jnp.mean(jax.nn.logsumexp(logits, axis=-1) - chosen)


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


def batches(text: bytes, phase: Phase, generator: np.random.Generator):
    """Windows of length + 1: they overlap by one. Every pass over the text cuts it elsewhere."""
    data = np.frombuffer(text, np.uint8).astype(np.int32)
    rows: list[int] = []
    for _ in range(phase.steps):
        if len(rows) < phase.batch:
            offset = int(generator.integers(phase.length))
            count = (len(data) - 1 - offset) // phase.length
            rows = (offset + phase.length * generator.permutation(count)).tolist()
        starts, rows = rows[: phase.batch], rows[phase.batch :]
        yield np.stack([data[start : start + phase.length + 1] for start in starts])


def train(phases: tuple[Phase, ...], text: bytes, held_out: bytes) -> dict[str, jax.Array]:
    weights = initial_weights()
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
        for windows in batches(text, phase, generator):
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
    text, held_out = read_text()
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
