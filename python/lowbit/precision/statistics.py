"""What taps keep of the values that pass, and the archive that it is stored in.

An archive of statistics is a safetensors file of Lowbit. For each tap, named by the first parameter that it feeds, it has the tensors

    TAP.moments      f32 [channels, channels]   the mean of x x^T over rows x
    TAP.squares      f32 [channels]             the mean of x^2 (the diagonal of the moments)
    TAP.sums         f32 [channels]             the mean of x
    TAP.magnitudes   f32 [channels]             the mean of |x|
    TAP.maxima       f32 [channels]             the largest x
    TAP.minima       f32 [channels]             the smallest x
    TAP.histogram    i64 [32768]                how many |x|, of all channels, have each high half of an f32

and for each weight KEY the tensor

    KEY.fisher       f32 [outputs, inputs]      the diagonal of its Fisher information (gradients.py), for each token or sequence

of those that were asked for, and in its metadata, under "lowbit.statistics", a JSON object {"schema": 1, "taps": {TAP: {"feeds": [parameters],
"rows": how many rows have passed}}}. Sums are kept in f64 while rows pass, counts in i64, so that neither loses units.

Bins of a histogram: histogram.py.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _lowbit
from ..errors import LowbitError
from .histogram import Histogram

SCHEMA = 1
KINDS = ("moments", "squares", "sums", "magnitudes", "maxima", "minima", "histogram")
"""Of a tap."""
FISHER = "fisher"
"""Of a weight."""
_ROWS_IN_F32 = 2048
_EXTREMES = {"maxima": -np.inf, "minima": np.inf}
_AS_THEY_ARE = (*_EXTREMES, "histogram")
"""Not sums over rows in f32."""


@dataclass
class Statistics:
    """Of the values at one tap."""

    feeds: list[str]
    """The parameters that they are multiplied with; the first one names the tap."""
    rows: int = 0
    sums: dict[str, NDArray] = field(default_factory=dict)
    """By kind: sums over rows in f64, extremes in f32, counts in i64."""
    fisher: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """By weight."""

    @property
    def name(self) -> str:
        return self.feeds[0]

    _pending: dict[str, NDArray[np.float32]] = field(default_factory=dict, repr=False)
    _pending_rows: int = field(default=0, repr=False)

    def start(self, kind: str, shape: tuple[int, ...], dtype: type = np.float32) -> NDArray[Any]:
        """What a stage is given for a statistic, to go on from."""
        value = self._pending.get(kind)
        return np.full(shape, _EXTREMES.get(kind, 0), dtype) if value is None else value

    def add(self, updated: Mapping[str, NDArray[np.float32]], rows: int) -> None:
        """What the stage gave back, after as many rows more."""
        self._pending.update(updated)
        self._pending_rows += rows
        self.rows += rows
        if self._pending_rows >= _ROWS_IN_F32:
            self.finish()

    def finish(self) -> None:
        """Adds what is summed in f32 to the sums in f64."""
        for kind, value in self._pending.items():
            if kind in _AS_THEY_ARE:
                self.sums[kind] = value
            elif kind in self.sums:
                self.sums[kind] += value
            else:
                self.sums[kind] = value.astype(np.float64)
        self._pending = {k: v for k, v in self._pending.items() if k in _AS_THEY_ARE}
        self._pending_rows = 0

    def mean(self, kind: str) -> NDArray[np.float64]:
        """Per row; extremes and counts as they are."""
        if kind not in self.sums:
            raise LowbitError(
                f"no {kind} {'was' if kind == 'histogram' else 'were'} kept of the inputs of '{self.name}'",
                hint=f"ask for it: --statistics {kind}",
            )
        return self.sums[kind] if kind in _AS_THEY_ARE else self.sums[kind] / max(self.rows, 1)

    @property
    def largest(self) -> NDArray[np.float64]:
        """[channels] the largest |x|."""
        return np.maximum(np.abs(self.mean("maxima")), np.abs(self.mean("minima"))).astype(
            np.float64
        )

    @property
    def histogram(self) -> Histogram:
        """Of |x|, over all channels."""
        known = all(kind in self.sums for kind in _EXTREMES)
        largest = float(self.largest.max(initial=0)) if known else math.inf
        return Histogram(self.mean("histogram"), largest)

    def __add__(self, other: Statistics) -> Statistics:
        """Of the rows of both, with kinds that both have."""
        joined: dict[str, Callable[..., NDArray]] = {"maxima": np.maximum, "minima": np.minimum}
        sums = {
            kind: joined.get(kind, np.add)(value, other.sums[kind])
            for kind, value in self.sums.items()
            if kind in other.sums
        }
        return Statistics(self.feeds, self.rows + other.rows, sums)

    def scaled(self, factors: NDArray[np.float64]) -> Statistics:
        """Those of x * factors [channels], all above 0; without the histogram, which knows no channels."""
        sums = {}
        for kind, value in self.sums.items():
            if kind == "histogram":
                continue
            if kind == "moments":
                sums[kind] = value * factors[:, None] * factors[None, :]
            else:
                sums[kind] = value * (factors**2 if kind == "squares" else factors)
        return Statistics(self.feeds, self.rows, sums)

    def permuted(self, order: NDArray[np.int64]) -> Statistics:
        """Those of x[order]."""
        places = {"moments": np.ix_(order, order), "histogram": ...}
        sums = {kind: value[places.get(kind, order)] for kind, value in self.sums.items()}
        return Statistics(self.feeds, self.rows, sums)

    def check(self) -> None:
        for kind, value in self.sums.items():
            finite = Histogram(value).finite if kind == "histogram" else np.isfinite(value).all()
            if not finite:
                raise LowbitError(
                    f"the {kind} of the inputs of '{self.name}' are not finite",
                    hint="the weights before it may be damaged (NaN or infinity)",
                )


def tensors_of(tap: Statistics) -> Iterator[tuple[str, NDArray[Any]]]:
    """Name and values of each tensor that an archive has of a tap."""
    for kind in tap.sums:
        value = tap.mean(kind)
        yield f"{tap.name}.{kind}", value if kind == "histogram" else value.astype(np.float32)


def describe(statistics: Iterable[Statistics]) -> dict[str, Any]:
    """What an archive says of its taps."""
    taps = {tap.name: {"feeds": tap.feeds, "rows": tap.rows} for tap in statistics}
    return {"schema": SCHEMA, "taps": taps}


def write(path: str, statistics: Sequence[Statistics]) -> None:
    tensors = [
        (name, value.shape, "", {"values": np.ascontiguousarray(value)})
        for tap in statistics
        for name, value in tensors_of(tap)
    ]
    _lowbit.write_archive(path, {"lowbit.statistics": json.dumps(describe(statistics))}, tensors)


def read(path: str) -> dict[str, Statistics]:
    """By tap."""
    archive = _lowbit.Archive(path)
    try:
        record = json.loads(archive.metadata("lowbit.statistics"))
        if record["schema"] != SCHEMA:
            raise ValueError
        statistics = {
            name: Statistics(list(tap["feeds"]), int(tap["rows"]))
            for name, tap in record["taps"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        raise LowbitError(f"{path}: this is no archive of statistics (schema {SCHEMA})") from None
    for tensor in archive.tensors:
        name, _, kind = tensor.name.rpartition(".")
        owner = next((tap for tap in statistics.values() if name in tap.feeds), None)
        if kind == FISHER and owner:
            owner.fisher[name] = archive.tensor_f32(tensor.name)
            continue
        if name not in statistics or kind not in KINDS:
            raise LowbitError(f"{path}: tensor '{tensor.name}' belongs to no tap")
        tap = statistics[name]
        if kind == "histogram":
            tap.sums[kind] = archive.components(tensor.name)["values"].copy()
            continue
        value = archive.tensor_f32(tensor.name)
        tap.sums[kind] = value if kind in _EXTREMES else value.astype(np.float64) * tap.rows
    return statistics
