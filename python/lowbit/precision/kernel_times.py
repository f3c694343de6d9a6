"""How long this machine takes to multiply one row with a weight, for each shape and encoding: measured, and kept as a file."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from typing import Callable, Mapping, Sequence

import numpy as np

from .. import _lowbit, _runtime, cache
from ..files import whole_file
from .activations import encoding_of, split_pair
from .allocation import Item

_ROUNDS = 40
_TEXT = """
#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>
func.func @product(%x: tensor<1x{k}xf32>, %y: tensor<1x{n}xf32>) -> tensor<1x{n}xf32>
    attributes {{lowbit.entry, lowbit.updates = array<i64: 1>}} {{
  %zero = arith.constant 0.0 : f32
  %w = lowbit.parameter "w" : tensor<{n}x{k}xf32, {encoding}>
  %z = linalg.fill ins(%zero : f32) outs(%y : tensor<1x{n}xf32>) -> tensor<1x{n}xf32>
  %r = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %w : tensor<1x{k}xf32>, tensor<{n}x{k}xf32, {encoding}>)
                     outs(%z : tensor<1x{n}xf32>) -> tensor<1x{n}xf32>
  return %r : tensor<1x{n}xf32>
}}
"""


def table_path() -> str:
    return os.path.join(cache.folder(), "kernel-times.json")


def _read_table() -> dict[str, float]:
    try:
        with open(table_path(), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def _key(shape: Sequence[int], candidate: str) -> str:
    """Another processor or compiler has other times."""
    return json.dumps([_runtime.processor(), _runtime.compiler_version(), list(shape), candidate])


def measure(shape: Sequence[int], candidate: str, folder: str) -> float:
    """Seconds of x [1, k] times the transposed weight [n, k] with activations as the candidate, a pair, says, or as models have them (int15): the
    least of some rounds, which what else the machine does cannot lower. Weights that fit a cache come from there.
    """
    encoding, activations = split_pair(candidate)
    n, k = shape
    values = np.random.default_rng(0).standard_normal((n, k)).astype(np.float32)
    path = os.path.join(folder, "w.safetensors")
    _lowbit.write_archive(path, {}, [("w", [n, k], encoding, _lowbit.encode(values, encoding))])
    text = _TEXT.format(n=n, k=k, encoding=encoding)
    rounded = encoding_of(activations)
    pipeline = "cpu" if rounded == "f32" else f"cpu{{activations='{rounded}'}}"
    program = _lowbit.Program(text, [path], pipeline=pipeline)
    inputs = [np.ones((1, k), np.float32), np.zeros((1, n), np.float32)]
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        program.run("product", inputs)
        times.append(time.perf_counter() - start)
    return min(times)


def with_times(
    items: Sequence[Item],
    shapes: Mapping[str, Sequence[int]],
    progress: Callable[[int, int, str], None],
) -> list[Item]:
    """Items whose candidates have `seconds`; what is not in the table yet is measured, and added to it."""
    import tempfile

    table = _read_table()
    wanted = {
        (tuple(shapes[item.key]), c.encoding): _key(shapes[item.key], c.encoding)
        for item in items
        for c in item.candidates
    }
    missing = [pair for pair, key in wanted.items() if key not in table]
    with tempfile.TemporaryDirectory() as folder:
        for number, pair in enumerate(missing):
            progress(number, len(missing), "timing kernels")
            table[wanted[pair]] = measure(*pair, folder)
    if missing:
        os.makedirs(cache.folder(), exist_ok=True)
        with whole_file(table_path(), ".json") as path, open(path, "w", encoding="utf-8") as file:
            json.dump(table, file, indent=1)
    return [
        replace(
            item,
            candidates=tuple(
                replace(c, seconds=table[_key(shapes[item.key], c.encoding)])
                for c in item.candidates
            ),
        )
        for item in items
    ]
