"""What is measured of this machine, once: how far ahead kernels prefetch weights, whether scales lie between codes, and the size of their tiles.

`lowbit tune` measures a product of one row of activations with 4-bit weights in several variants, and keeps what was best in the folder of compiled
models (lowbit.cache), under a name that digests the processor and the compiler. Nothing else measures: without such a file, or with
LOWBIT_TUNING=off, options are those of the processor's record. They change the time of kernels alone, never a result.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import statistics
import tempfile
import time
import warnings
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np

from . import _runtime, cache

_CANDIDATES = {
    "prefetch": [0, 1024, 4096],
    "prefetch-locality": [2],
    "inline-scales": [1],
    "register-groups": [2, 4, 8],
    "iteration-groups": [8, 32],
}
"""Options of lowbit-cpu-pipeline, each tried with the best of those before it."""

_LIMITS = {
    "prefetch": range(0, 65537),
    "prefetch-locality": range(0, 4),
    "inline-scales": range(0, 2),
    "register-groups": range(1, 17),
    "iteration-groups": range(1, 1025),
}

_SHAPE = (4096, 4096)
_LAYOUTS = ["tiled", "records"]
"""Without and with inline-scales."""
_ACTIVATIONS = "int<15>, scale = f32 per [1, 32], layout = planes<7, 8>"  # as models have them
_MOST_BYTES = 512 << 20
_ROUNDS = 15
_CALLS = 4
"""Products in a sample, each of other weights."""
_LEAST_GAIN = 0.02
"""Less than this is noise, for which nothing is changed."""


def path() -> str:
    """Where the result for this machine is, or would be."""
    identity = [_runtime.processor(), _runtime.compiler_version()]
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    return os.path.join(cache.folder(), f"tuning-{digest[:16]}.json")


def options(target_cpu: str | None = None) -> dict[str, int]:
    """What was chosen that differs from the processor's record; {} where nothing was measured: of this machine, and no other."""
    if target_cpu not in (None, "native") or os.environ.get("LOWBIT_TUNING") == "off":
        return {}
    try:
        with open(path(), encoding="utf-8") as file:
            chosen = json.load(file)["options"]
        if all(type(value) is int and value in _LIMITS[name] for name, value in chosen.items()):
            return dict(sorted(chosen.items()))
    except OSError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    warnings.warn(f"{path()} is damaged: run `lowbit tune` again", RuntimeWarning, stacklevel=3)
    return {}


def pipeline(chosen: dict[str, int]) -> str:
    """The pipeline with these options."""
    return f"cpu{{{' '.join(f'{name}={value}' for name, value in chosen.items())}}}"


@dataclass
class Measurement:
    options: dict[str, int]
    """Those that differ from the processor's record."""
    gigabytes_per_second: float
    """Of weights."""
    gain: float
    """By which part, in three of four rounds, it takes less time than the best before it: what disturbs one of them does not count."""


def _descriptor(array: np.ndarray) -> np.ndarray:
    address = array.ctypes.data
    strides = [stride // array.itemsize for stride in array.strides]
    return np.array([address, address, 0, *array.shape, *strides], np.int64)


def _encoding(layout: str) -> str:
    return f"#lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = {layout}>"


class _Product:
    """y += x wT by one variant, called where the data lies."""

    def __init__(self, chosen: dict[str, int]):
        from ._lowbit import Program

        n, k = _SHAPE
        self.layout = _LAYOUTS[chosen.get("inline-scales", 0)]
        w = f"tensor<{n}x{k}xf32, {_encoding(self.layout)}>"
        x, y = f"tensor<1x{k}xf32>", f"tensor<1x{n}xf32>"
        maps = ", ".join(f"affine_map<(m, n, k) -> {to}>" for to in ("(m, k)", "(n, k)", "(m, n)"))
        text = f"""
func.func @main(%x: {x}, %w: {w}, %y: {y}) -> {y} attributes {{lowbit.entry, lowbit.updates = array<i64: 2>}} {{
  %r = linalg.matmul indexing_maps = [{maps}] ins(%x, %w : {x}, {w}) outs(%y : {y}) -> {y}
  return %r : {y}
}}"""
        given = f"{pipeline(chosen)[:-1]} activations='{_ACTIVATIONS}'}}"
        self._program = Program(text, pipeline=given)
        function = ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_void_p))
        self._call = function(self._program.lookup("main"))

    def __call__(self, arrays: list[np.ndarray]) -> None:
        descriptors = [_descriptor(array) for array in arrays]
        addresses = (ctypes.c_void_p * len(arrays))(*(d.ctypes.data for d in descriptors))
        self._call(addresses)


class _Weights:
    """Matrices in turn, more of them than caches hold: `_MOST_BYTES`, or an eighth of what memory is free."""

    def __init__(self):
        from ._lowbit import encode

        n, k = _SHAPE
        generator = np.random.default_rng(0)
        rows = generator.normal(size=(16, k)).astype(np.float32)
        groups = {layout: encode(rows, _encoding(layout)).values() for layout in _LAYOUTS}
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        # Of a matrix; no more in records, since K is whole records.
        self.bytes = sum(array.nbytes for array in groups["tiled"]) * n // 16
        self._count = max(2, min(_MOST_BYTES, free // 8) // self.bytes)
        # All in one block for each component, one matrix after the other.
        self._components = {
            layout: [
                np.tile(array, (self._count, n // 16, *[1] * (array.ndim - 1))) for array in group
            ]
            for layout, group in groups.items()
        }
        self._x = generator.normal(size=(1, k)).astype(np.float32)
        self._y = np.zeros((1, n), np.float32)
        self._next = 0

    def arguments(self, layout: str) -> list[np.ndarray]:
        i = self._next
        self._next = (i + 1) % self._count
        return [self._x, *(component[i] for component in self._components[layout]), self._y]


def _sample(product: _Product, weights: _Weights) -> float:
    calls = [weights.arguments(product.layout) for _ in range(_CALLS)]
    start = time.perf_counter()
    for arrays in calls:
        product(arrays)
    return (time.perf_counter() - start) / _CALLS


def measure(progress: Callable[[Measurement], None] = lambda m: None) -> Measurement:
    """Tries the candidates; the first measurement is that of the processor's record, the result the best one."""
    from ._lowbit import target

    record = target("native")
    weights = _Weights()
    best, best_product = {}, _Product({})
    _sample(best_product, weights)  # threads start, pages come
    result = None
    for name, values in _CANDIDATES.items():
        kept = best
        variants = [
            kept | {name: value}
            for value in values
            if value != kept.get(name, record[name])
            and not (name == "prefetch-locality" and kept.get("prefetch", record["prefetch"]) == 0)
        ]
        products = [best_product, *map(_Product, variants)]
        times: list[list[float]] = [[] for _ in products]
        for _ in range(_ROUNDS):
            for product, seconds in zip(products, times):
                seconds.append(_sample(product, weights))
        for i, (variant, product) in enumerate(zip([kept, *variants], products)):
            if i == 0 and result is not None:
                continue  # measured before
            ratios = [t / base for t, base in zip(times[i], times[0])]
            speed = weights.bytes / statistics.median(times[i]) / 1e9
            found = Measurement(variant, speed, 1 - statistics.quantiles(ratios, n=4)[2])
            progress(found)
            if result is None or found.gain > max(_LEAST_GAIN, result.gain if best != kept else 0):
                result, best, best_product = found, variant, product
    return result


def save(found: Measurement) -> None:
    os.makedirs(cache.folder(), mode=0o700, exist_ok=True)
    record: dict[str, Any] = {
        "options": found.options,
        "gigabytes_per_second": round(found.gigabytes_per_second, 2),
        "processor": _runtime.processor(),
        "compiler": _runtime.compiler_version(),
    }
    handle, temporary = tempfile.mkstemp(prefix=".tuning-", dir=cache.folder())
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
        os.replace(temporary, path())
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
