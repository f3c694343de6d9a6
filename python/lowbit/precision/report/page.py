"""The report of a quantization: one HTML page with charts, complete in itself.

The page loads nothing, and says so to the browser (its Content-Security-Policy). Without JavaScript all of it is there, but its tables
are not sorted by a click. What comes from the record, such as names of tensors, is a stranger's: every text of it is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import html
import importlib.resources
import math
import os
from typing import Any, Iterable

from . import charts, heatmaps, svg, tables, wording
from .record import Record, checked
from .summary import by_encoding, mean_ratio, ratio, summary
from .tables import text
from ...errors import LowbitError
from ...files import whole_file

__all__ = ["render", "summary", "write_report"]

_MOST_TENSORS = 2000
"""More than these are not drawn or listed, to keep the page readable and small."""
_MOST_FINDINGS = 12
_ENCODINGS = "The last column is the geometric mean over the tensors: below 1 is better than rounding to nearest."
_TENSORS = "“Nearest” is the error if each weight is rounded to the nearest value, the ratio what the recipe leaves of it."
_MOST_LINKS = 6


def _resource(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _compared(record: Record) -> str:
    """Bars for the sizes before and after."""
    totals = record.get("totals", {})
    sizes = [totals.get("bytes_before"), totals.get("bytes")]
    if not all(size is not None and 0 < size < math.inf for size in sizes):
        return ""
    rows = []
    for name, size, kind in zip(("before", "after"), sizes, ("before", "after")):
        share = 100 * size / max(sizes)
        bar = f'<i style="width: calc((100% - 5rem) * {share / 100:.4f})"></i>'
        rows.append(f'<dt>{name}</dt><dd class="{kind}">{bar} {wording.size(size)}</dd>')
    return f'<dl class="sizes">{"".join(rows)}</dl>'


def _tiles(record: Record) -> str:
    totals, calibration = record.get("totals", {}), record.get("calibration", {})
    tiles: list[tuple[str, str, str]] = []

    def add(name: str, value: Any, shown: str, *details: str) -> None:
        if value is not None:
            tiles.append((name, shown, " · ".join(detail for detail in details if detail)))

    size, before = totals.get("bytes"), totals.get("bytes_before")
    smaller = ""
    if size and before and 0 < size < math.inf and 0 < before < math.inf:
        smaller = f"{wording.digits(before / size)}× smaller than {wording.size(before)}"
    add("Size", size, wording.size(size), smaller)
    bits, weights = totals.get("bits_per_weight"), totals.get("weights")
    of = f"{wording.quantity(weights)} weights" if weights is not None else ""
    budget = f"budget {record['budget']}" if record.get("budget") else ""
    add("Bits per weight", bits, wording.digits(bits), of, budget)
    ratios = [value for tensor in record["tensors"] if (value := ratio(tensor))]
    better = sum(value < 1 for value in ratios)
    add(
        "Error against rounding to nearest",
        ratios or None,
        f"{wording.digits(mean_ratio(record['tensors']))}×",
        f"geometric mean; {better} of {len(ratios)} tensors are better",
    )
    seconds, spent = totals.get("seconds"), calibration.get("seconds")
    shown = f"of which calibration {wording.duration(spent)}" if spent is not None else ""
    add("Time", seconds, wording.duration(seconds), shown)
    memory = totals.get("peak_memory_bytes")
    add("Peak memory", memory, wording.size(memory))
    tokens = calibration.get("tokens")
    sequences, length = calibration.get("sequences"), calibration.get("length")
    each = ""
    if sequences is not None and length is not None:
        each = f"{wording.count(sequences)} sequences of {wording.count(length)}"
    source = f"of {calibration['text']}" if calibration.get("text") else ""
    add("Calibration tokens", tokens, wording.count(tokens), each, source)
    cells = (
        f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd>"
        + (f"<dd>{text(detail)}</dd>" if detail else "")
        + "</div>"
        for name, value, detail in tiles
    )
    return f'<dl class="tiles">{"".join(cells)}</dl>' if tiles else ""


def _findings(record: Record) -> str:
    """What needs a look: errors that are no numbers or worse than rounding to nearest, and what was refused."""
    found: dict[str, list[int]] = {}
    tensors = record["tensors"]
    worse: list[tuple[float, int]] = []
    for index, tensor in enumerate(tensors):
        error, quotient = tensor.get("error"), ratio(tensor)
        if error is not None and not math.isfinite(error):
            found.setdefault("the error is no finite number", []).append(index)
        if quotient is not None and quotient > 1:
            worse.append((quotient, index))
    if worse:
        worse.sort(key=lambda item: -item[0])
        what = (
            f"rounding to nearest would have been better, by up to {wording.digits(worse[0][0])}×"
        )
        found[what] = [index for _, index in worse]
    for index, tensor in enumerate(tensors):
        for decision in tensor.get("decisions", ()):
            if decision.lower().startswith("refused"):
                found.setdefault(decision, []).append(index)
    if not found:
        return ""
    items = []
    for what, indices in list(found.items())[:_MOST_FINDINGS]:
        links = []
        for index in indices[:_MOST_LINKS]:
            name = f"<code>{text(tensors[index]['key'], 160)}</code>"
            listed = index < _MOST_TENSORS
            links.append(f'<a href="#tensor-{index + 1}">{name}</a>' if listed else name)
        more = f" and {len(indices) - _MOST_LINKS:,} more" if len(indices) > _MOST_LINKS else ""
        items.append(f"<li>{text(what)}: {', '.join(links)}{more}</li>")
    more = len(found) - _MOST_FINDINGS
    rest = (
        f'<p class="note">{more:,} findings more are in the table of tensors.</p>'
        if more > 0
        else ""
    )
    return _section("What to look at", f'<ul class="findings">{"".join(items)}</ul>{rest}')


def _section(title: str, body: str, how: str = "", kind: str = "") -> str:
    name = "".join(c if c.isalnum() else "-" for c in title.lower())
    paragraph = f'<p class="how">{text(how, None)}</p>' if how else ""
    attributes = f' class="{kind}"' if kind else ""
    head = f'<h2 id="{name}">{text(title)}</h2>'
    return f'<section{attributes} aria-labelledby="{name}">{head}{paragraph}{body}</section>\n'


def _figure(chart: svg.Chart, narrow: svg.Chart, keys: Iterable[svg.Key] = ()) -> str:
    """A chart in both widths; legend and notes are those of the wide one."""
    entries = "".join(
        f'<li><span class="key {key.shape}" style="--key: var(--{svg.variable(key.colour)})"></span>'
        f"{text(key.text)}</li>"
        for key in (*keys, *chart.keys)
    )
    legend = f'<ul class="legend">{entries}</ul>' if entries else ""
    notes = "".join(f'<p class="note">{text(note)}</p>' for note in chart.notes)
    drawings = (
        f'<div class="chart wide">{chart.svg}</div><div class="chart narrow">{narrow.svg}</div>'
    )
    return f"<figure>{legend}{drawings}{notes}</figure>"


def _allocation_words(record: Record) -> str:
    allocation = record.get("allocation", {})
    loss, bound, gap = (allocation.get(name) for name in ("loss", "bound", "gap"))
    words = []
    if allocation.get("status"):
        words.append(f"The solver’s verdict is “{wording.shorten(allocation['status'], 160)}”.")
    if gap is not None and -1e-6 <= gap <= 1e-9:  # below zero by the solver's tolerance
        words.append("No allocation within the budget has a smaller loss: that is proven.")
    elif gap is not None and 0 < gap < math.inf:
        most = wording.digits(100 * gap)
        words.append(f"No allocation within the budget is better by more than {most} %.")
    elif loss is not None and bound is not None:
        words.append(
            f"The loss is {wording.digits(loss)}; less than {wording.digits(bound)} is impossible."
        )
    candidates = allocation.get("candidates", ())
    if candidates:
        of = len({candidate["key"] for candidate in candidates})
        words.append(
            f"{len(candidates):,} candidates of {of:,} tensors were measured; they are not listed here."
        )
    for rejected in allocation.get("rejected", ()):
        words.append(
            f"Rejected before the search: {wording.shorten(rejected['encoding'], 160)}: {wording.shorten(rejected['reason'], 400)}."
        )
    if flat := allocation.get("flat"):
        names = wording.shorten(", ".join(flat), 400)
        words.append(f"Curvature estimated below 0 counts as 0: changes of {names} cost nothing.")
    return f"<p>{text(' '.join(words), None)}</p>" if words else ""


def _charts(record: Record) -> Iterable[str]:
    """The sections with charts. Inside of svg.drawing()."""
    widths = (svg.WIDE, svg.NARROW)
    chart, narrow = (charts.errors(record, width) for width in widths)
    if chart:
        yield _section(
            "Error of each tensor",
            _figure(chart, narrow),
            "The longer the line from a ring to its dot, the more the recipe gains over rounding; on this logarithmic scale equal lengths are equal factors.",
        )
    chart, narrow = (heatmaps.blocks(record, width) for width in widths)
    if chart:
        yield _section(
            "Error by block and part",
            _figure(chart, narrow),
            "A row is a part of the network, a column a block; bright cells are where the network suffers most, grey ones were not measured.",
        )
    chart, narrow = (charts.sizes(record, width) for width in widths)
    if chart:
        groups, colours = by_encoding(record), charts.colours_of(record)
        own = [group for group in groups if colours[group.encoding] != svg.SERIES[-1]]
        others = len(groups) - len(own)
        keys = [svg.Key("bar", colours[group.encoding], group.label) for group in own]
        if others:
            name = (
                f"{others} other encodings"
                if others > 1
                else next(group.label for group in groups if group not in own)
            )
            keys.append(svg.Key("bar", svg.SERIES[-1], name))
        yield _section(
            "Bits of each tensor",
            _figure(chart, narrow, keys),
            "Each bar is a tensor, in the order of the file: as wide as it has weights, as high as a weight has bits, so that its area is its size.",
        )
    chart, narrow = (charts.front(record, width) for width in widths)
    words = _allocation_words(record)
    if chart or words:
        yield _section(
            "Loss against size",
            words + (_figure(chart, narrow) if chart else ""),
            (
                "Each ring is the best mix of encodings for its size; where the curve is steep, a few more bytes buy much."
                if chart
                else ""
            ),
        )
    if caches := tables.cache_table(record):
        yield _section(
            "Key-value caches",
            caches,
            "k is of keys, v of values, by layer; a loss is the change of the model’s output when that cache alone is stored so.",
        )
    chart, narrow = (heatmaps.outliers(record, width) for width in widths)
    if chart:
        yield _section(
            "Outlier channels",
            _figure(chart, narrow) + tables.outlier_table(heatmaps.strongest(record)),
            "A row is a place where activations enter weights, a column a channel; bright columns are channels that need many bits, unless conditioning has darkened them.",
        )
    chart, narrow = (charts.steps(record, width) for width in widths)
    if chart:
        notes = tables.step_notes(record)
        yield _section(
            "Time of each step",
            _figure(chart, narrow) + notes,
            "The longer a bar, the longer that step took.",
        )


def render(record: Record) -> str:
    """The page. A LowbitError if `record` has not the schema of record.py; equal records give equal pages."""
    record = checked(record)
    shown: Record = record
    cut = ""
    if len(record["tensors"]) > _MOST_TENSORS:
        shown = record | {"tensors": record["tensors"][:_MOST_TENSORS]}
        cut = (
            f'<p class="note">Of {len(record["tensors"]):,} tensors the first {_MOST_TENSORS:,} are '
            "drawn and listed; the figures above and the table of encodings are of all.</p>"
        )
    with svg.drawing():
        sections = "".join(_charts(shown))
    colours = charts.colours_of(record)
    style, script = _resource("page.css"), _resource("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    about = f"<p>{text(record['description'], 2000)}</p>" if record.get("description") else ""
    command = record.get("command")
    made = f"<p>Made by <code>{text(command, 4000)}</code></p>" if command else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{html.escape(policy, quote=True).replace("&#x27;", "'")}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{text(record["model"])} by {text(record["recipe"])}</title>
<style>
{style}</style>
</head>
<body>
<header>
<p class="kicker">Quantization report · recipe <strong>{text(record["recipe"])}</strong></p>
<h1>{text(record["model"])}</h1>
{about}{_compared(record)}
{_tiles(record)}
</header>
<main>
{_findings(record)}{_section("Encodings", tables.encoding_table(by_encoding(record), colours), _ENCODINGS)}{cut}{sections}\
{_section("All tensors", tables.tensor_table(shown), _TENSORS, "bleed")}</main>
<footer>
{made}<p>Errors are squared and relative, on the calibration inputs: tr(E H Eᵀ) / tr(W H Wᵀ), with H the inputs’ second moments.
Sizes are in powers of 1,000 bytes.</p>
</footer>
<script>{script}</script>
</body>
</html>
"""


def write_report(record: Record, path: str | os.PathLike[str]) -> None:
    """Renders to a file, which is written whole or not at all. What is in the way is a LowbitError."""
    page = render(record)
    path = os.fspath(path)
    try:
        with whole_file(path, ".html") as temporary:
            with open(temporary, "w", encoding="utf-8", errors="replace", newline="\n") as file:
                file.write(page)
    except OSError as error:
        raise LowbitError(
            f"cannot write '{path}': {error.strerror or error}", hint="write the report elsewhere"
        ) from error
