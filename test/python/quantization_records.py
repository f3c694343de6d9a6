"""Records of quantizations that were never made, for tests of their report."""

from __future__ import annotations

import math

import numpy as np

_ENCODINGS = {
    2: "#lowbit.quantized<int<2>, scale = f16 per [1, 32]>",
    3: "#lowbit.quantized<int<3>, scale = f16 per [1, 32]>",
    4: "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>",
    8: "#lowbit.quantized<int<8>, scale = f16 per axis 0>",
}
_ROLES = {
    "attn_q": (1, 1),
    "attn_k": (1, 1),
    "attn_v": (1, 1),
    "attn_output": (1, 1),
    "ffn_gate": (3, 1),
    "ffn_up": (3, 1),
    "ffn_down": (1, 3),
}
"""Rows and columns, in terms of the width."""


def _tensor(rng: np.random.Generator, key: str, shape: tuple[int, int], bits: int) -> dict:
    spent = bits + (0.5 if bits < 8 else 16 / shape[1])
    nearest = float(0.3 * 4.0**-bits * rng.lognormal(0, 0.4))
    decisions = ["codes with error feedback, columns by falling second moments"]
    if "attn_q" in key:
        decisions.insert(0, f"scales migrated from attn_norm, alpha {rng.integers(30, 70) / 100}")
    if "ffn_down" in key:
        decisions.append(
            "refused: rotation of the inputs: the activation before them is not linear"
        )
    return {
        "key": key,
        "shape": list(shape),
        "encoding": _ENCODINGS[bits],
        "bytes": math.ceil(math.prod(shape) * spent / 8),
        "bits_per_weight": spent,
        "error": nearest * float(rng.uniform(0.2, 0.9 if bits < 8 else 1.05)),
        "error_nearest": nearest,
        "weight_error": nearest * float(rng.uniform(1.1, 1.6)),
        "decisions": decisions,
        "seconds": float(rng.uniform(0.05, 0.4)),
    }


def _site(rng: np.random.Generator, block: int, names: list[str], channels: int) -> dict:
    squares = rng.lognormal(0, 0.35, channels)
    # The same few channels are great in all blocks, as in language models.
    squares[[17 % channels, 101 % channels, channels // 2]] *= [30, 12, 20]
    maxima = squares * rng.uniform(3, 5, channels)
    return {
        "name": ",".join(f"blk.{block}.{name}.weight" for name in names),
        "feeds": [f"blk.{block}.{name}.weight" for name in names],
        "maxima": maxima.tolist(),
        "root_mean_squares": squares.tolist(),
        "maxima_after": (maxima**0.5 * 1.6).tolist(),
    }


def realistic(blocks: int = 4, width: int = 256) -> dict:
    """A record with everything in it, of a language model with so many blocks."""
    rng = np.random.default_rng(0)
    tensors = [_tensor(rng, "token_embd.weight", (256, width), 8)]
    steps, sites = [{"name": "read the model", "seconds": 0.3}], []
    for block in range(blocks):
        steps.append({"name": f"calibrate blk.{block}", "seconds": float(rng.uniform(1, 2))})
        steps.append({"name": f"quantize blk.{block}", "seconds": float(rng.uniform(2, 5))})
        for role, (rows, columns) in _ROLES.items():
            bits = 4 if role in ("attn_v", "ffn_down") else int(rng.choice([2, 3, 3]))
            shape = (rows * width, columns * width)
            tensors.append(_tensor(rng, f"blk.{block}.{role}.weight", shape, bits))
        for names, channels in (
            (["attn_q", "attn_k", "attn_v"], width),
            (["attn_output"], width),
            (["ffn_gate", "ffn_up"], width),
            (["ffn_down"], 3 * width),
        ):
            sites.append(_site(rng, block, names, channels))
        tensors.append(
            {"key": f"blk.{block}.attn_norm.weight", "shape": [width], "encoding": "f32"}
        )
        tensors[-1] |= {"bytes": 4 * width, "bits_per_weight": 32.0, "error": 0.0}
    steps.append({"name": "write", "seconds": 0.2, "note": "GGUF, 3 of 4 encodings are ggml’s own"})

    weights = sum(math.prod(tensor["shape"]) for tensor in tensors)
    size = sum(tensor["bytes"] for tensor in tensors)
    loss = sum(tensor["error"] for tensor in tensors)
    front = [
        {
            "bytes": size * share,
            "loss": loss * share**-3.2,
            "bits_per_weight": 8 * size * share / weights,
        }
        for share in (0.6, 0.68, 0.75, 0.81, 0.88, 0.94, 1.0, 1.1, 1.25, 1.4, 1.7, 2.1)
    ]
    candidates = [
        {"key": t["key"], "encoding": encoding, "bytes": 1.0, "loss": 1.0, "seconds": 0.1}
        for t in tensors
        for encoding in _ENCODINGS.values()
    ]
    return {
        "schema": 1,
        "model": "byte-model.gguf",
        "recipe": "gptq",
        "description": "Scales migrate from norms into weights, then codes are chosen column by column with error feedback.",
        "command": "lowbit quantize byte-model.gguf --recipe gptq --budget 3.5bpw --calibration king-james.txt",
        "calibration": {"text": "king-james.txt", "tokens": 32768, "sequences": 32, "length": 1024}
        | {"seconds": 12.4},
        "budget": "3.5bpw",
        "totals": {
            "weights": weights,
            "bytes": size,
            "bytes_before": 4 * weights,
            "bits_per_weight": 8 * size / weights,
            "seconds": 61.04,
            "peak_memory_bytes": 8.1e8,
        },
        "steps": steps,
        "tensors": tensors,
        "sites": sites,
        "allocation": {
            "budgets": {"bytes": round(1.02 * size)},
            "loss": loss,
            "bound": 0.985 * loss,
            "gap": 0.015,
            "status": "optimal within 2 %",
            "front": front,
            "candidates": candidates,
        },
    }
