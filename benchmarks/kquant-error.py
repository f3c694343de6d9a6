#!/usr/bin/env python3
"""Squared error of our scale search over that of llama.cpp's quantizers, on the same tensors.

Needs lowbit, the gguf package and llama-cpp-python (for its libggml). Prints one line for each tensor type and one
column for each tensor; below 1 is better than llama.cpp. Weights of a model are read from --gguf and --safetensors.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import sys
import time
from pathlib import Path

import numpy as np

TYPES = {
    "Q2_K": 10,
    "Q3_K": 11,
    "Q4_K": 12,
    "Q5_K": 13,
    "Q6_K": 14,
    "IQ4_NL": 20,
    "IQ4_XS": 23,
}
COLUMNS = 256
LIMIT = 4096  # rows of a model's tensor


def load_ggml(folder: str | None) -> ctypes.CDLL:
    if folder is None:
        spec = importlib.util.find_spec("llama_cpp")
        if spec is None:
            sys.exit(
                "kquant-error: llama_cpp is not installed: pip install llama-cpp-python==0.3.36, "
                "or name the folder of its libggml-base.so with --ggml"
            )
        folder = str(Path(spec.submodule_search_locations[0]) / "lib")
    library = ctypes.CDLL(str(Path(folder) / "libggml-base.so"))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int64,
        ctypes.c_int64,
        ctypes.c_int64,
        ctypes.c_void_p,
    ]
    return library


def theirs(library: ctypes.CDLL, number: int, x: np.ndarray, row_bytes: int) -> np.ndarray:
    raw = np.zeros((len(x), row_bytes), np.uint8)
    library.ggml_quantize_chunk(number, x.ctypes.data, raw.ctypes.data, 0, len(x), x.shape[1], None)
    return raw


def squared_error(values: np.ndarray, x: np.ndarray) -> float:
    return float(np.sum((values.astype(np.float64) - x) ** 2))


def rows_of(values: np.ndarray) -> np.ndarray:
    flat = np.ascontiguousarray(values, np.float32).ravel()
    return flat[: flat.size // COLUMNS * COLUMNS].reshape(-1, COLUMNS)[:LIMIT]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ggml", help="folder of libggml-base.so")
    parser.add_argument("--gguf", help="a model whose largest tensors are compared, too")
    parser.add_argument("--safetensors", help="likewise")
    arguments = parser.parse_args()
    library = load_ggml(arguments.ggml)
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
    for name, number in TYPES.items():
        encoding, block_size, block_bytes = _lowbit.ggml_type(name, 2)
        ratios, seconds = [], [0.0, 0.0]
        for x in tensors.values():
            start = time.perf_counter()
            ours = lowbit.encode(x, encoding)
            middle = time.perf_counter()
            raw = theirs(library, number, x, x.shape[1] // block_size * block_bytes)
            seconds[0] += middle - start
            seconds[1] += time.perf_counter() - middle
            error = squared_error(lowbit.decode(encoding, x.shape, ours), x)
            ratios.append(error / squared_error(lowbit.decode_ggml(raw, name), x))
        elements = sum(x.size for x in tensors.values())
        times = ", ".join(f"{1e9 * value / elements:.0f}" for value in seconds)
        print(f"{name:8}" + "".join(f"{ratio:30.4f}" for ratio in ratios) + f"   {times}")


if __name__ == "__main__":
    main()
