"""What a record tells of weights and of what enters them."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

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
