#!/usr/bin/env python3
"""Squared error of our scale search over that of llama.cpp's quantizers, on the same tensors.

Needs lowbit, and ggml by scripts/get-ggml.sh, which it calls. Prints one line for each tensor type and one
column for each tensor; below 1 is better than llama.cpp. Weights of a model are read from --gguf and --safetensors.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import ggml

TYPES = ("q2_K", "q3_K", "q4_K", "q5_K", "q6_K", "iq4_nl", "iq4_xs")
COLUMNS = 256
LIMIT = 4096  # rows of a model's tensor


def squared_error(values: np.ndarray, x: np.ndarray) -> float:
    return float(np.sum((values.astype(np.float64) - x) ** 2))


def rows_of(values: np.ndarray) -> np.ndarray:
    flat = np.ascontiguousarray(values, np.float32).ravel()
    return flat[: flat.size // COLUMNS * COLUMNS].reshape(-1, COLUMNS)[:LIMIT]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ggml", type=Path, help="folder of its libraries (scripts/get-ggml.sh)")
    parser.add_argument("--gguf", help="a model whose largest tensors are compared, too")
    parser.add_argument("--safetensors", help="likewise")
    arguments = parser.parse_args()
    library = ggml.Ggml(arguments.ggml or ggml.build())
    import lowbit
    from lowbit import _lowbit

    generator = np.random.default_rng(0)
    shape = (1024, COLUMNS)
    tensors = {
        "Gaussian": generator.normal(size=shape).astype(np.float32),
        "Laplace": generator.laplace(size=shape).astype(np.float32),
        "uniform": generator.random(shape).astype(np.float32),
    }
    for label, path in (("gguf", arguments.gguf), ("safetensors", arguments.safetensors)):
        if path:
            archive = lowbit.Archive(path)
            weights = [info for info in archive.tensors if len(info.shape) == 2]
            for info in weights[len(weights) // 2 : len(weights) // 2 + 2]:
                tensors[f"{label}:{info.name}"[-28:]] = rows_of(archive.tensor_f32(info.name))
    print(
        f"{'type':8}"
        + "".join(f"{name:>30}" for name in tensors)
        + "   ns/element (ours, llama.cpp)"
    )
    for name in TYPES:
        encoding, _, _ = _lowbit.ggml_type(name.upper(), 2)
        ratios, seconds = [], [0.0, 0.0]
        for x in tensors.values():
            start = time.perf_counter()
            ours = lowbit.encode(x, encoding)
            middle = time.perf_counter()
            raw = library.quantize(name, x)
            seconds[0] += middle - start
            seconds[1] += time.perf_counter() - middle
            error = squared_error(lowbit.decode(encoding, x.shape, ours), x)
            ratios.append(error / squared_error(lowbit.decode_ggml(raw, name.upper()), x))
        elements = sum(x.size for x in tensors.values())
        times = ", ".join(f"{1e9 * value / elements:.0f}" for value in seconds)
        print(f"{name:8}" + "".join(f"{ratio:30.4f}" for ratio in ratios) + f"   {times}")


if __name__ == "__main__":
    main()
