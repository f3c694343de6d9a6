"""The charts of a report: errors and sizes of tensors, the front of allocations, the time of steps.

Each function takes a checked record (record.py) and a width in inches, and gives a Chart, or None where the record has nothing for it.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Sequence

from . import svg, wording
from .record import Record, Tensor
from .summary import weights as weights_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_NAMES = 64
"""As many tensors have their names along an axis."""
_MOST_STEPS = 30
_NARROWEST = 0.002
"""The part of a chart's width that a bar needs to be seen."""
_ROW = 0.17
"""Inches for a row with a name."""


def _plain(axis: Any) -> None:
    """Ticks of a logarithmic axis as plain numbers, also between the powers of ten where there are few."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = sorted(axis.get_view_interval())
    decades = math.log10(high / low)
    subs = (1.0, 2.0, 5.0) if decades < 2.2 else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: wording.digits(value)))
    axis.set_minor_formatter(NullFormatter())
    axis.set_tick_params(which="minor", length=0)


def _logarithmic(axes: "Axes", axis: str, values: Sequence[float]) -> None:
    """A scale on which all the values are, with a margin."""
    low, high = min(values), max(values)
    # Values that are all alike still need an extent, and float64 has an end.
    margin = max((high / low) ** 0.06, 1.15)
    getattr(axes, f"set_{axis}scale")("log")
    getattr(axes, f"set_{axis}lim")(max(low / margin, 1e-300), min(high * margin, 1e300))
    _plain(getattr(axes, f"{axis}axis"))


def _usable(value: float | None) -> float | None:
    """A number that has a place on a logarithmic scale."""
    return value if value is not None and 1e-290 < value < 1e290 else None


def _names(keys: Sequence[str], width: float) -> list[str]:
    """For an axis: without the end that all have, and no longer than there is space."""
    if all(key.endswith(".weight") for key in keys):
        keys = [key.removesuffix(".weight") for key in keys]
    return [wording.shorten(key, 36 if width >= svg.WIDE else 20) for key in keys]


def block_ticks(keys: Sequence[str], most: int) -> tuple[list[int], list[str]]:
    """Where the model's blocks begin (the first number of a name), and their numbers; or every so many tensors."""
    starts: list[tuple[int, str]] = []
    for index, key in enumerate(keys):
        match = re.search(r"(?:^|\.)(\d{1,5})\.", key)
        block = match[1] if match else ""
        if match and (not starts or starts[-1][1] != block):
            starts.append((index, block))
    if len(starts) < 2 or len(starts) > len(keys) / 2:
        starts = [(index, str(index + 1)) for index in range(len(keys))]
    every = -(-len(starts) // most)
    starts = starts[::every]
    return [index for index, _ in starts], [text for _, text in starts]


def _is_of_blocks(keys: Sequence[str]) -> bool:
    positions, texts = block_ticks(keys, len(keys))
    return any(str(position + 1) != text for position, text in zip(positions, texts))


def errors(record: Record, width: float = svg.WIDE) -> svg.Chart | None:
    """Of each tensor the error, and that of rounding to nearest, in the order of the file: downwards if they are few, else rightwards."""
    tensors = record["tensors"]
    shown = [t for t in tensors if _usable(t.get("error")) or _usable(t.get("error_nearest"))]
    if not shown:
        return None
    count = len(shown)
    named = count <= _MOST_NAMES
    made = svg.figure(width, max(1.8, 0.7 + _ROW * count) if named else 3.9)
    axes = made.add_subplot()
    series = {
        "error": [_usable(t.get("error")) for t in shown],
        "error_nearest": [_usable(t.get("error_nearest")) for t in shown],
    }
    places = range(count)

    def drawn(field: str) -> tuple[list, list]:
        pairs = [(p, v) for p, v in zip(places, series[field]) if v is not None]
        positions, values = [p for p, _ in pairs], [v for _, v in pairs]
        return (values, positions) if named else (positions, values)

    both = [(p, a, b) for p, a, b in zip(places, *series.values()) if a and b]
    lines = axes.hlines if named else axes.vlines
    if both:
        lines(*zip(*both), colors=svg.SERIES[0], alpha=0.35, linewidth=2 if count <= 200 else 1)
    area = 26 if count <= 120 else 12 if count <= 400 else 7
    look = {"s": area, "linewidths": 1.0, "zorder": 3}
    tooltips = {}
    for field, faces, edges in (
        ("error_nearest", svg.PAPER, svg.MUTED),
        ("error", svg.SERIES[0], svg.SERIES[0]),
    ):
        if any(series[field]):
            axes.scatter(*drawn(field), facecolors=faces, edgecolors=edges, gid=field, **look)
            tooltips[field] = [
                f"{wording.shorten(t['key'], 160)}: error {wording.digits(t.get('error'))}, "
                f"nearest {wording.digits(t.get('error_nearest'))}"
                for t, value in zip(shown, series[field])
                if value is not None
            ]
    values = [v for field in series.values() for v in field if v is not None]
    _logarithmic(axes, "x" if named else "y", values)
    keys = [svg.printable(t["key"]) for t in shown]
    label = "relative squared error of the layer’s output"
    if named:
        axes.set_yticks(places, _names(keys, width))
        axes.tick_params("y", length=0, labelcolor=svg.INK)
        axes.set_ylim(count - 0.4, -0.6)
        axes.set_xlabel(label)
        axes.grid(False, axis="y")
    else:
        axes.set_xticks(*block_ticks(keys, round(1.8 * width)))
        axes.set_xlim(-1, count)
        axes.set_xlabel("block" if _is_of_blocks(keys) else "tensor, in the order of the file")
        axes.set_ylabel(label)

    legend = [svg.Key("dot", svg.SERIES[0], "this recipe")]
    if any(series["error_nearest"]):
        legend.append(svg.Key("ring", svg.MUTED, "each weight rounded to nearest"))
    notes = _left_out(tensors, len(tensors) - count)
    return svg.Chart(
        svg.to_svg(made, "errors", "Error of each tensor", tooltips), tuple(legend), notes
    )


def _left_out(tensors: Sequence[Tensor], count: int) -> tuple[str, ...]:
    """What is said about tensors that have no error to draw."""
    broken = [t["key"] for t in tensors if not math.isfinite(t.get("error") or 0)]
    notes = []
    if broken:
        names = ", ".join(wording.shorten(key) for key in broken[:3]) + (" …" if broken[3:] else "")
        notes.append(f"{len(broken)} tensors have an error that is no finite number: {names}.")
    if count > len(broken):
        notes.append(
            f"{count - len(broken)} tensors are exact or were not measured; they are not shown."
        )
    return tuple(notes)


def colours_of(record: Record) -> dict[str, str]:
    """Of each encoding a colour; the encodings with the most bytes have one of their own."""
    weight: dict[str, float] = {}
    for tensor in record["tensors"]:
        size = tensor.get("bytes") or 0.0
        encoding = tensor.get("encoding", "")
        weight[encoding] = weight.get(encoding, 0.0) + (size if math.isfinite(size) else 0.0)
    ranked = sorted(weight, key=lambda encoding: -weight[encoding])
    own = len(svg.SERIES) if len(ranked) <= len(svg.SERIES) else len(svg.SERIES) - 1
    return {encoding: svg.SERIES[min(i, own)] for i, encoding in enumerate(ranked)}


def sizes(record: Record, width: float = svg.WIDE) -> svg.Chart | None:
    """Of each tensor a bar: as wide as its weights are many, as high as bits are for each, hence of the area of its bytes."""
    from matplotlib.collections import PolyCollection

    colours = colours_of(record)
    labels = wording.labels(tensor.get("encoding", "") for tensor in record["tensors"])
    bars = []
    for tensor in record["tensors"]:
        weights, bits = weights_of(tensor), _usable(tensor.get("bits_per_weight"))
        if bits is None and weights and tensor.get("bytes"):
            bits = 8 * tensor["bytes"] / weights
        if weights and bits and 0 < weights < 1e18 and 0 < bits < 1e6:
            bars.append((tensor, weights, bits))
    if not bars:
        return None
    made = svg.figure(width, 3.3)
    axes = made.add_subplot()
    scale, unit = (1e9, "billion") if sum(b[1] for b in bars) >= 1e9 else (1e6, "million")
    if sum(bar[1] for bar in bars) < 1e6:
        scale, unit = 1e3, "thousand"
    polygons: dict[str, list] = {}
    texts: dict[str, list[str]] = {}
    starts, left = [], 0.0
    for tensor, weights, bits in bars:
        encoding, right = tensor.get("encoding", ""), left + weights / scale
        corners = [(left, 0), (left, bits), (right, bits), (right, 0)]
        polygons.setdefault(encoding, []).append(corners)
        texts.setdefault(encoding, []).append(
            f"{wording.shorten(tensor['key'], 160)}: {labels[encoding]}, {wording.digits(bits)} bits for a weight, "
            f"{wording.size(tensor.get('bytes'))}"
        )
        starts.append(left)
        left = right
    tooltips = {}
    for index, (encoding, corners) in enumerate(polygons.items()):
        look = {"facecolors": colours[encoding], "edgecolors": svg.PAPER}
        edge = 0.8 if len(bars) <= 150 else 0.3
        axes.add_collection(PolyCollection(corners, gid=f"bars{index}", linewidths=edge, **look))
        tooltips[f"bars{index}"] = texts[encoding]
    axes.set_xlim(0, left)
    # Norms stay wide and have next to no weights: too narrow to be seen, they must not rule the scale.
    seen = [bits for _, weights, bits in bars if weights / scale >= _NARROWEST * left]
    highest = max(seen or [bits for _, _, bits in bars])
    axes.set_ylim(0, 1.08 * highest)
    axes.set_ylabel("bits for a weight")
    axes.set_xlabel(f"weights, {unit}")
    axes.grid(False, axis="x")
    totals = record.get("totals", {})
    mean = _usable(totals.get("bits_per_weight"))
    legend = []
    if mean and mean < 1e6:
        axes.axhline(mean, color=svg.INK, linewidth=1, linestyle=(0, (4, 3)))
        legend.append(svg.Key("dashes", svg.INK, f"all tensors: {wording.digits(mean)} bits"))
    keys = [svg.printable(tensor["key"]) for tensor, _, _ in bars]
    if _is_of_blocks(keys):
        # Above the bars, where the blocks begin.
        positions, names = block_ticks(keys, round(1.8 * width))
        look = {"transform": axes.get_xaxis_transform(), "color": svg.MUTED, "fontsize": 8}
        for position, name in zip(positions, names):
            axes.text(starts[position], 1.02, name, **look)
        axes.set_title("block", loc="right", pad=14, color=svg.MUTED, fontsize=8)
    missing = len(record["tensors"]) - len(bars)
    notes = (f"{missing} tensors are not shown: their sizes are not known.",) if missing else ()
    higher = sum(bits > 1.08 * highest for _, _, bits in bars)
    if higher:
        notes += (f"{higher} tensors with more bits are too narrow to be seen.",)
    return svg.Chart(
        svg.to_svg(made, "sizes", "Bits of each tensor’s weights", tooltips), tuple(legend), notes
    )


def front(record: Record, width: float = svg.WIDE) -> svg.Chart | None:
    """Sizes and losses of the best allocations, with the chosen one, the budget and the proven bound."""
    allocation = record.get("allocation", {})
    given = [(p["bytes"], _usable(p["loss"])) for p in allocation.get("front", ())]
    points = sorted(
        (b, l) for b, l in given if b is not None and math.isfinite(b) and l is not None
    )
    if len(points) < 2:
        return None
    loss, bound = _usable(allocation.get("loss")), _usable(allocation.get("bound"))
    budget = _usable(allocation.get("budgets", {}).get("bytes"))
    chosen = _usable(allocation.get("bytes"))
    if chosen is None and loss is not None:
        # The front has it, unless the solver was stopped early.
        nearest = min(points, key=lambda point: abs(math.log(point[1] / loss)))
        chosen = nearest[0] if math.isclose(nearest[1], loss, rel_tol=1e-6) else budget

    made = svg.figure(width, 3.6)
    axes = made.add_subplot()
    largest = max(points[-1][0], budget or 0, chosen or 0)
    scale, unit = next(
        (s, u)
        for s, u in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B"))
        if largest >= s or s == 1
    )
    xs, ys = [b / scale for b, _ in points], [l for _, l in points]
    ends = [v / scale for v in (budget, chosen) if v is not None]
    low, high = min(xs + ends), max(xs + ends)
    margin = 0.05 * (high - low) or 0.05 * high or 1.0
    axes.plot(xs, ys, color=svg.SERIES[0], linewidth=1.4)
    axes.scatter(
        xs, ys, s=20, facecolors=svg.PAPER, edgecolors=svg.SERIES[0], zorder=3, gid="front"
    )
    axes.set_xlim(low - margin, high + margin)
    _logarithmic(axes, "y", [*ys, *(v for v in (loss, bound) if v)])
    axes.set_xlabel(f"size, {unit}")
    axes.set_ylabel("loss")
    legend = [svg.Key("ring", svg.SERIES[0], "best loss for its size")]
    if budget is not None:
        axes.axvline(budget / scale, color=svg.MUTED, linewidth=1, linestyle=(0, (4, 3)))
        legend.append(svg.Key("dashes", svg.MUTED, f"budget: {wording.size(budget)}"))
    if bound is not None:
        right = (budget or chosen or largest) / scale
        bottom = axes.get_ylim()[0]
        axes.fill_between(
            [low - margin, right], bottom, bound, color=svg.GRID, alpha=0.6, linewidth=0, zorder=0
        )
        axes.hlines(bound, low - margin, right, colors=svg.SERIES[2], linewidth=1.6)
        legend.append(svg.Key("line", svg.SERIES[2], f"proven bound: {wording.digits(bound)}"))
    if loss is not None and chosen is not None:
        look = {"s": 150, "marker": "*", "color": svg.MARK, "zorder": 4}
        axes.scatter([chosen / scale], [loss], **look)
        legend.append(
            svg.Key("star", svg.MARK, f"chosen: {wording.size(chosen)}, {wording.digits(loss)}")
        )
    tooltips = {"front": [f"{wording.size(b)}: loss {wording.digits(l)}" for b, l in points]}
    missing = len(given) - len(points)
    notes = (f"{missing} points have no place on these axes.",) if missing else ()
    return svg.Chart(svg.to_svg(made, "front", "Loss against size", tooltips), tuple(legend), notes)


def steps(record: Record, width: float = svg.WIDE) -> svg.Chart | None:
    """The time of each step, in order; of many steps, of each first word of their names."""
    timed = [(s["name"], s.get("seconds")) for s in record.get("steps", ())]
    timed = [(name, s) for name, s in timed if s is not None and math.isfinite(s) and 0 <= s < 1e12]
    if not timed:
        return None
    notes: tuple[str, ...] = ()
    if len(timed) > _MOST_STEPS:
        groups: dict[str, list[float]] = {}
        for name, seconds in timed:
            groups.setdefault(name.split(" ")[0], []).append(seconds)
        notes = (f"{len(timed)} steps are taken together by the first words of their names.",)
        timed = [(f"{name} ({len(of)})", sum(of)) for name, of in groups.items()]
        if len(timed) > _MOST_STEPS:
            ranked = sorted((s for _, s in timed), reverse=True)
            least = ranked[_MOST_STEPS - 1]
            others = [s for _, s in timed if s < least]
            timed = [item for item in timed if item[1] >= least][:_MOST_STEPS]
            timed.append((f"others ({len(others)})", sum(others)))
    made = svg.figure(width, 0.7 + 0.22 * len(timed))
    axes = made.add_subplot()
    axes.barh(range(len(timed)), [s for _, s in timed], height=0.66, color=svg.SERIES[0])
    longest = max(s for _, s in timed) or 1.0
    for place, (_, seconds) in enumerate(timed):
        text = wording.duration(seconds)
        axes.text(seconds + 0.008 * longest, place, text, va="center", color=svg.MUTED, fontsize=8)
    names = [svg.printable(name) for name, _ in timed]
    axes.set_yticks(range(len(timed)), _names(names, width))
    axes.tick_params("y", length=0, labelcolor=svg.INK)
    axes.set_ylim(len(timed) - 0.4, -0.6)
    axes.set_xlim(0, (1 + 1.1 / width) * longest)
    axes.set_xlabel("seconds")
    axes.grid(False, axis="y")
    return svg.Chart(svg.to_svg(made, "steps", "Time of each step"), notes=notes)
