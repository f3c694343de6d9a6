"""Maps by colour: the errors by block and part of the network, and the channels whose activations are far greater than the others'.

Colours are made here, not by matplotlib, so that an image in the page has one pixel for each cell.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import svg, wording
from .record import Record, Site

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, LogNorm

_LEAST_BLOCKS = 6
"""Fewer are seen as well where each tensor has its row."""
_MOST_PARTS = 60
_MOST_BINS = 384
"""Columns of a map; of the channels in one, the greatest is shown."""
_MOST_ROWS = 320
_MOST_NAMES = 64
_LEAST, _GREATEST = 1.0, 1000.0
"""Multiples of the root mean square at the ends of the colours; a map may end earlier."""


@dataclass(frozen=True)
class Outlier:
    """A channel of a site, with its multiple of the root mean square, before and after conditioning."""

    site: str
    channel: int
    before: float
    after: float | None


def _unit(site: Site, maxima: np.ndarray) -> float:
    """What a site's maxima are multiples of: the root mean square over all of its channels, else their median."""
    if site.get("root_mean_squares") is not None:
        values = np.abs(site["root_mean_squares"])
        values = values[np.isfinite(values)]
        greatest = float(values.max(initial=0.0))
        if greatest > 0:
            # Without overflow of the squares.
            return greatest * float(np.sqrt(np.mean((values / greatest) ** 2)))
    finite = maxima[np.isfinite(maxima) & (maxima > 0)]
    return float(np.median(finite)) if finite.size else 1.0


def _multiples(site: Site) -> tuple[np.ndarray, np.ndarray | None]:
    """[channels] each, before and after; both in the unit before, so that they compare."""
    before = np.abs(site["maxima"])
    unit = _unit(site, before)
    after = site.get("maxima_after")
    with np.errstate(over="ignore"):
        return before / unit, None if after is None else np.abs(after) / unit


def _row(values: np.ndarray | None, bins: int) -> np.ndarray:
    """[bins]: of so many equal parts of the channels the maxima; NaN where there are none."""
    if values is None or values.size == 0:
        return np.full(bins, np.nan)
    count = values.size
    starts = np.arange(bins) * count // bins
    if count < bins:
        return values[starts]
    # fmax, so that a NaN does not hide its neighbours.
    return np.fmax.reduceat(values, starts)


def strongest(record: Record, count: int = 8) -> list[Outlier]:
    """The greatest channels of all sites, at most one of each."""
    found = []
    for site in record.get("sites", ()):
        before, after = _multiples(site)
        if not before.size or not np.isfinite(before).any():
            continue
        channel = int(np.nanargmax(np.where(np.isfinite(before), before, -1.0)))
        has = after is not None and channel < after.size
        found.append(
            Outlier(
                site["name"],
                channel,
                float(before[channel]),
                float(after[channel]) if has else None,
            )
        )
    return sorted(found, key=lambda outlier: -outlier.before)[:count]


def _label(site: Site, longest: int) -> str:
    """Of one tensor its name; of several the first one's and how many more there are."""
    names = [name.strip() for name in site["name"].split(",") if name.strip()]
    first = svg.printable(names[0] if names else "")
    more = len(names) - 1 + ("…" in names)
    text = wording.shorten(first.removesuffix(".weight"), longest)
    return f"{text} +{more}" if more else text


def _colours() -> "Colormap":
    import matplotlib

    # Few, as eyes have it: an image becomes a third smaller.
    return matplotlib.colormaps["magma"].resampled(64).with_extremes(bad="#808080")


def _scale(
    axes: "Axes", norm: "LogNorm", colours: "Colormap", ticks: dict[float, str], label: str
) -> None:
    """Shows what the colours mean. Of the ticks those are shown that the scale has."""
    ramp = colours(np.linspace(0, 1, 128), bytes=True)[None]
    axes.imshow(ramp, aspect="auto", interpolation="none", extent=(0, 1, 0, 1))
    inside = {float(norm(at)): text for at, text in ticks.items() if norm.vmin <= at <= norm.vmax}
    axes.set_xticks(list(inside), list(inside.values()))
    axes.set_yticks([])
    axes.grid(False)
    axes.set_xlabel(label)


def _parts(record: Record) -> dict[tuple[str, int], float]:
    """The errors by the part's name and the block's number."""
    errors: dict[tuple[str, int], float] = {}
    for tensor in record["tensors"]:
        match = re.fullmatch(r"((?:.*?\.)??)(\d{1,5})\.(.+)", tensor["key"], re.DOTALL)
        error = tensor.get("error")
        if match and error is not None and not error <= 0:
            errors.setdefault((match[1] + "*." + match[3], int(match[2])), error)
    return errors


def blocks(record: Record, width: float = svg.WIDE) -> svg.Chart | None:
    """Parts of the network by blocks: the errors. None of networks whose names are not of that kind, or that have few blocks."""
    from matplotlib.colors import LogNorm

    errors = _parts(record)
    parts = list(dict.fromkeys(part for part, _ in errors))
    columns = sorted({block for _, block in errors})
    if len(columns) < _LEAST_BLOCKS or not 2 <= len(parts) <= _MOST_PARTS:
        return None
    values = np.full((len(parts), len(columns)), np.nan)
    places = {block: column for column, block in enumerate(columns)}
    for (part, block), error in errors.items():
        values[parts.index(part), places[block]] = error
    finite = values[np.isfinite(values) & (values > 1e-290) & (values < 1e290)]
    if not finite.size or finite.size < values.size / 2:
        return None
    low, high = float(finite.min()), float(finite.max())
    norm = LogNorm(low, high if high > 1.01 * low else 1.01 * low, clip=True)
    colours = _colours()

    rows = len(parts)
    height = 0.8 + 0.17 * rows
    made = svg.figure(width, height + 0.7)
    grid = made.add_gridspec(2, 1, height_ratios=[height, 0.1])
    axes = made.add_subplot(grid[0])
    pixels = colours(norm(np.ma.masked_invalid(values)), bytes=True)
    axes.imshow(
        pixels,
        aspect="auto",
        interpolation="none",
        extent=(-0.5, len(columns) - 0.5, rows - 0.5, -0.5),
    )
    axes.grid(False)
    names = [svg.printable(part.removesuffix(".weight")) for part in parts]
    axes.set_yticks(
        range(rows), [wording.shorten(n, 32 if width >= svg.WIDE else 18) for n in names]
    )
    axes.tick_params("both", length=0)
    axes.tick_params("y", labelcolor=svg.INK)
    every = -(-len(columns) // round(2.4 * width))
    axes.set_xticks(range(0, len(columns), every), columns[::every])
    axes.set_xlabel("block")
    first = math.floor(math.log10(low))
    decades = math.log10(high) - first
    steps = (1, 3) if decades < 4 else (1,)
    powers = range(first, first + math.ceil(decades) + 1, max(1, round(decades / 6)))
    ticks = {
        step * 10.0**power: wording.digits(step * 10.0**power) for power in powers for step in steps
    }
    _scale(
        made.add_subplot(grid[1]),
        norm,
        colours,
        ticks,
        "relative squared error of the layer’s output",
    )
    return svg.Chart(svg.to_svg(made, "blocks", "Error by block and part"))


def outliers(record: Record, width: float = svg.WIDE) -> svg.Chart | None:
    """Sites by channels: the greatest magnitude of each channel, as a multiple of the site's root mean square."""
    from matplotlib.colors import LogNorm

    sites = [site for site in record.get("sites", ()) if len(site["maxima"])]
    if not sites:
        return None
    notes = []
    if len(sites) > _MOST_ROWS:
        notes.append(f"Of {len(sites)} sites the first {_MOST_ROWS} are shown.")
        sites = sites[:_MOST_ROWS]
    pairs = [_multiples(site) for site in sites]
    channels = [before.size for before, _ in pairs]
    bins = min(_MOST_BINS if width >= svg.WIDE else _MOST_BINS // 3, max(channels))
    if max(channels) > bins:
        notes.append(
            f"Sites have up to {max(channels):,} channels; a column is the greatest of up to {-(-max(channels) // bins)}."
        )
    if any(site.get("root_mean_squares") is None for site in sites):
        notes.append("Sites without root mean squares are in multiples of their median maximum.")
    maps = [np.stack([_row(before, bins) for before, _ in pairs])]
    titles = ["before"]
    if any(after is not None for _, after in pairs):
        maps.append(np.stack([_row(after, bins) for _, after in pairs]))
        titles.append("after conditioning")
    finite = np.concatenate([m[np.isfinite(m)] for m in maps])
    greatest = float(np.clip(finite.max(initial=_LEAST), 10.0, _GREATEST))
    norm = LogNorm(_LEAST, greatest, clip=True)
    colours = _colours()

    rows = len(sites)
    height = float(np.clip(0.15 * rows, 0.8, 9.6))
    made = svg.figure(width, height + 1.1)
    grid = made.add_gridspec(2, len(maps), height_ratios=[height, 0.1])
    panels = [made.add_subplot(grid[0, index]) for index in range(len(maps))]
    for axes, values, title in zip(panels, maps, titles):
        shown = np.ma.masked_invalid(np.where(np.isposinf(values), greatest, values))
        pixels = colours(norm(np.ma.maximum(shown, _LEAST)), bytes=True)
        axes.imshow(pixels, aspect="auto", interpolation="none", extent=(0, 1, rows - 0.5, -0.5))
        axes.grid(False)
        axes.set_xticks([0, 1], ["first", "last channel"])
        axes.get_xticklabels()[0].set_horizontalalignment("left")
        axes.get_xticklabels()[1].set_horizontalalignment("right")
        axes.tick_params("both", length=0)
        if len(maps) > 1:
            axes.set_title(title, loc="left")
    every = -(-rows // _MOST_NAMES)
    names = [_label(site, 28 if width >= svg.WIDE else 18) for site in sites]
    panels[0].set_yticks(range(0, rows, every), names[::every])
    panels[0].tick_params("y", labelcolor=svg.INK)
    for axes in panels[1:]:
        axes.set_yticks([])
    if every > 1:
        notes.append(f"Of the sites, one in {every} has its name written.")

    ticks = {tick: f"{tick}×" for tick in (1, 3, 10, 30, 100, 300, 1000)}
    label = "greatest magnitude of a channel / root mean square"
    _scale(made.add_subplot(grid[1, :]), norm, colours, ticks, label)
    title = "Outlier channels" + (", before and after conditioning" if len(maps) > 1 else "")
    return svg.Chart(svg.to_svg(made, "outliers", title), notes=tuple(notes))
