"""Imports a model, runs its entries and compares logits and caches with a forward pass in numpy.

    compare_with_numpy.py MODEL --pipeline reference

Runs lowbit-translate and lowbit-run: a prefill that asks for fewer logits than it has tokens, one
decode, and a prefill that goes on from there. The caches start as NaN, so that nothing may be read
before it is written. Encoded ones (--kv-cache) are not compared themselves: numpy computes in f32, and the logits may
differ by --tolerance.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "python"))
from reference import GgufFile, Llama  # noqa: E402

CONTEXT = 24
# Sums of at most a hundred products of numbers near 1, in another order.
RELATIVE_TOLERANCE = 1e-5


class Program:
    def __init__(self, model: str, pipeline: str, kv_cache: str, folder: Path):
        self.model, self.pipeline, self.folder = model, pipeline, folder
        translate = ["lowbit-translate", "--gguf-to-mlir", model, "--context", str(CONTEXT)]
        translate += ["--kv-cache", kv_cache]
        subprocess.run([*translate, "-o", folder / "module.mlir"], check=True)

    def call(
        self, entry: str, tokens: np.ndarray, position: int, caches: list, logits: np.ndarray
    ) -> list:
        """The caches and the logits afterwards."""
        arrays = {
            "tokens": tokens,
            **{f"cache{i}": cache for i, cache in enumerate(caches)},
            "logits": logits,
        }
        command = [
            "lowbit-run",
            self.folder / "module.mlir",
            "--entry",
            entry,
            "--pipeline",
            self.pipeline,
        ]
        command += ["--parameters", self.model]
        if self.pipeline == "reference":
            command += [
                "-O",
                "0",
            ]  # its own steps are under test; optimized it takes five times as long
        for name, array in arrays.items():
            np.save(self.folder / f"{name}.npy", array)
            command += ["--input", self.folder / f"{name}.npy"]
            if name == "tokens":
                command += ["--input", f"{position}:index"]
        results = [self.folder / f"result{i}.npy" for i in range(len(arrays) - 1)]
        for result in results:
            command += ["--output", result]
        subprocess.run(command, check=True)
        return [np.load(result) for result in results]


def empty_cache(kv_cache: str, shape: tuple) -> list:
    """The components of a cache, without a value that could be one of a cache."""
    if kv_cache in ("f32", "f16"):
        return [np.full(shape, np.nan, {"f32": np.float32, "f16": np.float16}[kv_cache])]
    codes = (*shape[:2], shape[2] * int(kv_cache.removeprefix("int")) // 8)
    scale = (*shape[:2], -(-shape[2] // 32))
    return [np.full(codes, 0x55, np.int8), np.full(scale, np.nan, np.float16)]


def check(what: str, found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    # A difference with a NaN is a NaN, which is not small either.
    error = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"{what}: {error:.1e}")
    if not error < tolerance:
        sys.exit(f"{what}: relative error {error:.1e}, at most {tolerance} is allowed")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--pipeline", default="cpu")
    parser.add_argument("--kv-cache", default="f32", choices=("f32", "f16", "int8", "int4"))
    parser.add_argument("--tolerance", type=float, default=RELATIVE_TOLERANCE)
    options = parser.parse_args()

    reference = Llama(GgufFile(options.model))
    vocabulary = len(reference.weights["output.weight"])
    tokens = np.random.default_rng(1).integers(0, vocabulary, CONTEXT)
    expected = reference.forward(tokens)
    shape = (reference.kv_heads, CONTEXT, reference.head_width)
    caches = [
        component
        for _ in range(2 * reference.layers)
        for component in empty_cache(options.kv_cache, shape)
    ]
    with tempfile.TemporaryDirectory() as folder:
        program = Program(options.model, options.pipeline, options.kv_cache, Path(folder))
        # Calls as (entry, tokens, rows of logits); together they fill the caches.
        start = 0
        for entry, count, rows in (
            ("prefill", 13, 5),
            ("decode", 1, 1),
            ("prefill", CONTEXT - 14, CONTEXT - 14),
        ):
            empty = np.full((rows, vocabulary), np.nan, np.float32)
            *caches, logits = program.call(
                entry, tokens[start : start + count], start, caches, empty
            )
            start += count
            check(f"{entry} to {start}", logits, expected[start - rows : start], options.tolerance)
    if options.kv_cache != "f32":
        return
    for layer in range(reference.layers):
        check(f"keys of layer {layer}", caches[2 * layer], reference.keys[layer], options.tolerance)
        check(
            f"values of layer {layer}",
            caches[2 * layer + 1],
            reference.values[layer],
            options.tolerance,
        )


if __name__ == "__main__":
    main()
