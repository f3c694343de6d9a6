"""A step that moves the middle of channels to zero, where biases take that for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _lowbit
from ..errors import LowbitError
from .bases import ANOTHER_ENTRY
from .sources import Source, Tokens, load_parameters
from .stages import Calibration, Sink, make_sink
from .statistics import Statistics
from .steps import ModelStep, Note, step

Values = NDArray[np.float64]
"""[channels]"""


@step("shift-channels")
@dataclass(frozen=True)
class ShiftChannels(ModelStep):
    """x becomes x - z, with z = (max + min) / 2 of each channel over the calibration text: a channel that lies on one side of zero needs half of the range
    (Outlier Suppression+, Wei et al. 2023, arXiv 2304.09145, equation 4; its scales are those of migrate-scales). A bias before takes z, the biases of
    the products behind take W z, and where x is added to a residual a bias that is added with it gives z back. Models without biases, as llama, refuse.
    For activations with one scale for all tokens: with a scale for each token the range of a few moves all others away from zero.
    """

    needs_text = True

    def transform(
        self, source: Source, path: str, note: Note, sequences: Sequence[Tokens] = ()
    ) -> Source:
        text = source.program(max(map(len, sequences)))
        taps = {tuple(feeds): (sinks, why) for feeds, sinks, why in find_shifts(text, source.path)}
        if not any(sinks for sinks, _ in taps.values()):
            reasons = "; ".join(dict.fromkeys(f"{f[0]}: {why}" for f, (_, why) in taps.items()))
            raise LowbitError(
                f"no channels of '{source.path}' can be shifted: {reasons[:400]}",
                hint="use a recipe without the step 'shift-channels'",
            )
        changed: dict[str, Values] = {}
        for tap in observe(source, text, sequences):
            sinks, why = taps[tuple(tap.feeds)]
            if sinks:
                z = middle(tap, sinks)
                add_shift(source, changed, sinks, z)
                after = np.maximum(abs(tap.mean("maxima") - z), abs(tap.mean("minima") - z))
                sizes = f"largest |x| {tap.largest.max():.4g} before, {after.max():.4g} after"
                keys = ", ".join(dict.fromkeys(sink.key for sink in sinks))
            for key in tap.feeds:
                note(
                    key, f"channels shifted by {keys}: {sizes}" if sinks else f"not shifted: {why}"
                )
        return source.with_values(changed, path)


def find_shifts(text: str, name: str) -> list[tuple[list[str], list[Sink], str]]:
    """For each tap of a program's first entry the weights that it feeds, what takes a shift, and, where nothing does, why."""
    (_, feeds, _, shifts, refusals), *others = _lowbit.describe_entries(text, name)
    found = []
    for number, (tap, reason) in enumerate(zip(shifts, refusals)):
        keys = {sink[0] for sink in tap}
        for parameters, _, _, other, _ in others:
            # Taps of other entries may come in another order.
            if keys & set(parameters) and not any(_same(tap, sinks) for sinks in other):
                reason = ANOTHER_ENTRY
        sinks = [] if reason else [make_sink(*sink) for sink in tap]
        if not reason and {sink.weight for sink in sinks if sink.weight} != set(feeds[number]):
            sinks, reason = [], "nothing is computed of a product with it"
        found.append((feeds[number], sinks, reason))
    return found


def _same(a: list[tuple], b: list[tuple]) -> bool:
    return sorted(map(str, a)) == sorted(map(str, b))


def observe(source: Source, text: str, sequences: Sequence[Tokens]) -> list[Statistics]:
    """The extremes of all taps of the float program on a text."""
    calibration = Calibration(text, ["maxima", "minima"], sequences, source.path)
    taps: list[Statistics] = []
    for stage in calibration.stages:
        weights = load_parameters(source.archive, stage.weights)
        taps += calibration.observe(weights)
        calibration.advance(weights)
    return taps


def middle(tap: Statistics, sinks: Sequence[Sink]) -> Values:
    """Of each channel's range; channels that lie in one place of a parameter share the range of all."""
    most, least = (tap.mean(kind).astype(np.float64) for kind in ("maxima", "minima"))
    for sink in sinks:
        if not sink.weight:
            size = int(sink.places.max()) + 1
            highest, lowest = np.full(size, -np.inf), np.full(size, np.inf)
            np.maximum.at(highest, sink.places, most)
            np.minimum.at(lowest, sink.places, least)
            most, least = highest[sink.places], lowest[sink.places]
    return (most + least) / 2


def add_shift(source: Source, changed: dict[str, Values], sinks: Sequence[Sink], z: Values) -> None:
    """To what has changed already, by key."""
    for sink in sinks:
        by = source.archive.tensor_f32(sink.weight).astype(np.float64) @ z if sink.weight else z
        values = changed.get(sink.key, source.archive.tensor_f32(sink.key).astype(np.float64))
        changed[sink.key] = values + sink.sign * sink.spread(by, values.shape, 0)
