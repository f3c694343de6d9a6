"""What a record tells of weights, of what enters them, and of a whole run."""

from __future__ import annotations

import resource
from typing import Any, Mapping, Sequence

import numpy as np

from .. import _lowbit
from .statistics import Statistics
from .weights import Term


def ratio(part: float, whole: float) -> float:
    """0 of a tensor of zeros."""
    return part / whole if whole > 0 else 0.0


def describe_tensor(key: str, shape: Sequence[int], term: Term) -> dict[str, Any]:
    size = sum(array.nbytes for array in term.components.values())
    weights = int(np.prod(shape))
    return {
        "key": key,
        "shape": list(shape),
        "encoding": term.encoding,
        "bytes": size,
        "bits_per_weight": 8 * size / weights,
    }


def describe_site(before: Statistics, after: Statistics) -> dict[str, Any]:
    moments = np.diag(before.mean("moments"))
    site = {
        "name": before.name,
        "feeds": before.feeds,
        "maxima": [float(f"{v:.4g}") for v in before.largest],
        "root_mean_squares": [float(f"{v:.4g}") for v in np.sqrt(moments)],
    }
    if after is not before:
        site["maxima_after"] = [float(f"{v:.4g}") for v in after.largest]
    return site


def totals(
    tensors: Sequence[Mapping[str, Any]], before: _lowbit.Archive, seconds: float
) -> dict[str, Any]:
    """Of tensors as describe_tensor has them, of which an archive had the ones before."""
    weights = sum(int(np.prod(tensor["shape"])) for tensor in tensors)
    size = sum(tensor["bytes"] for tensor in tensors)
    sizes = {tensor.name: tensor.bytes for tensor in before.tensors}
    return {
        "weights": weights,
        "bytes": size,
        "bytes_before": sum(sizes.get(tensor["key"], 0) for tensor in tensors),
        "bits_per_weight": 8 * size / max(weights, 1),
        "seconds": seconds,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
