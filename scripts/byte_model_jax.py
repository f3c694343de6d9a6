"""The byte model in JAX, at its own size or a smaller one: first weights, forward pass, loss, and windows of text.

Sources: Touvron et al. 2023 (LLaMA); Su et al. 2021 (rotary embedding); Shazeer 2020 (SwiGLU);
Ainslie et al. 2023 (grouped queries).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Iterator

import jax
import jax.numpy as jnp
import numpy as np

import byte_model
from byte_model import EPSILON, ROTARY_BASE, VOCABULARY


@dataclass(frozen=True)
class Size:
    width: int = byte_model.WIDTH
    hidden: int = byte_model.HIDDEN
    layers: int = byte_model.LAYERS
    heads: int = byte_model.HEADS
    kv_heads: int = byte_model.KV_HEADS

    @property
    def head_width(self) -> int:
        return self.width // self.heads


def initial_weights(size: Size, seed: int) -> dict[str, jax.Array]:
    """Under their names in a GGUF file, matrices [out, in]. What adds to the stream starts at 0."""
    generator = np.random.Generator(np.random.PCG64(seed))
    weights = {}

    def matrix(name: str, out: int, inner: int, scale: float = 1.0) -> None:
        weights[f"{name}.weight"] = scale * generator.standard_normal((out, inner)) / inner**0.5

    def ones(name: str) -> None:
        weights[f"{name}.weight"] = np.ones(size.width)

    matrix("token_embd", VOCABULARY, size.width)
    for layer in range(size.layers):
        ones(f"blk.{layer}.attn_norm")
        matrix(f"blk.{layer}.attn_q", size.width, size.width)
        matrix(f"blk.{layer}.attn_k", size.kv_heads * size.head_width, size.width)
        matrix(f"blk.{layer}.attn_v", size.kv_heads * size.head_width, size.width)
        matrix(f"blk.{layer}.attn_output", size.width, size.width, scale=0)
        ones(f"blk.{layer}.ffn_norm")
        matrix(f"blk.{layer}.ffn_gate", size.hidden, size.width)
        matrix(f"blk.{layer}.ffn_up", size.hidden, size.width)
        matrix(f"blk.{layer}.ffn_down", size.width, size.hidden, scale=0)
    ones("output_norm")
    matrix("output", VOCABULARY, size.width, scale=0)
    return {name: jnp.asarray(weight, jnp.float32) for name, weight in weights.items()}


def normalize(x: jax.Array, scale: jax.Array) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + EPSILON) * scale


def rotate(x: jax.Array) -> jax.Array:
    """x [batch, length, heads, width]; pairs (2i, 2i+1) turn by position * base^(-2i/width)."""
    frequency = ROTARY_BASE ** (-np.arange(0, x.shape[3], 2) / x.shape[3])
    angle = np.arange(x.shape[1])[:, None] * frequency[None, :]
    cosine = np.cos(angle).astype(np.float32)[None, :, None, :]
    sine = np.sin(angle).astype(np.float32)[None, :, None, :]
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = jnp.stack([even * cosine - odd * sine, even * sine + odd * cosine], axis=-1)
    return turned.reshape(x.shape)


def forward(size: Size, weights: dict[str, jax.Array], tokens: jax.Array) -> jax.Array:
    """The logits [batch, length, VOCABULARY] after each of `tokens` [batch, length]."""
    batch, length = tokens.shape
    visible = np.tril(np.ones((length, length), bool))

    def linear(x: jax.Array, name: str) -> jax.Array:
        return x @ weights[f"{name}.weight"].T

    def attend(x: jax.Array, block: str) -> jax.Array:
        def by_heads(name: str, heads: int) -> jax.Array:
            return linear(x, f"{block}.{name}").reshape(batch, length, heads, size.head_width)

        q = rotate(by_heads("attn_q", size.heads))
        k = rotate(by_heads("attn_k", size.kv_heads))
        v = by_heads("attn_v", size.kv_heads)
        # Query heads h*group … (h+1)*group-1 share the key and value head h.
        k = jnp.repeat(k, size.heads // size.kv_heads, axis=2)
        v = jnp.repeat(v, size.heads // size.kv_heads, axis=2)
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(size.head_width)
        shares = jax.nn.softmax(jnp.where(visible, scores, -jnp.inf), axis=-1)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", shares, v).reshape(batch, length, size.width)
        return linear(mixed, f"{block}.attn_output")

    x = weights["token_embd.weight"][tokens]
    for layer in range(size.layers):
        block = f"blk.{layer}"
        x = x + attend(normalize(x, weights[f"{block}.attn_norm.weight"]), block)
        h = normalize(x, weights[f"{block}.ffn_norm.weight"])
        gated = jax.nn.silu(linear(h, f"{block}.ffn_gate")) * linear(h, f"{block}.ffn_up")
        x = x + linear(gated, f"{block}.ffn_down")
    return linear(normalize(x, weights["output_norm.weight"]), "output")


def loss(size: Size, weights: dict[str, jax.Array], windows: jax.Array) -> jax.Array:
    """Mean negative log likelihood, in nats, of windows[:, 1:], each given all before it."""
    logits = forward(size, weights, windows[:, :-1])
    chosen = jnp.take_along_axis(logits, windows[:, 1:, None], axis=-1)[..., 0]
    return jnp.mean(jax.nn.logsumexp(logits, axis=-1) - chosen)


def windows(
    text: bytes, steps: int, batch: int, length: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """For each step `batch` windows of length + 1: they overlap by one. Every pass over the text cuts it elsewhere."""
    data = np.frombuffer(text, np.uint8).astype(np.int32)
    rows: list[int] = []
    for _ in range(steps):
        if len(rows) < batch:
            offset = int(generator.integers(length))
            count = (len(data) - 1 - offset) // length
            rows = (offset + length * generator.permutation(count)).tolist()
        starts, rows = rows[:batch], rows[batch:]
        yield np.stack([data[start : start + length + 1] for start in starts])
