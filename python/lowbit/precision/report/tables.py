"""The tables of a report, as HTML."""

from __future__ import annotations

import html
import math
from typing import Iterable, Sequence

from . import svg, wording
from .heatmaps import Outlier
from .record import Record, Tensor
from .summary import Group, ratio

_LONGEST = 400
"""Characters of one text of the record."""
_MOST_DECISIONS = 12


def text(value: str, longest: int | None = _LONGEST) -> str:
    """A text as HTML, which it cannot leave; shortened in the middle where it is longer."""
    return html.escape(svg.printable(value if longest is None else wording.shorten(value, longest)))


def element(tag: str, content: str, kind: str = "", value: float | None = None) -> str:
    """A cell of a table. `value` is what it is sorted by, if that is a number."""
    attributes = f' class="{kind}"' if kind else ""
    if value is not None and not math.isnan(value):
        attributes += f' data-value="{value!r}"'.replace("inf", "Infinity")
    scope = {"th": ' scope="row"'}.get(tag, "")
    return f"<{tag}{scope}{attributes}>{content}</{tag}>"


def _number(value: float | None, shown: str) -> str:
    kind = "number" if value is None or math.isfinite(value) else "number bad"
    return element("td", shown, kind, value)


def _table(
    caption: str,
    heads: Sequence[tuple[str, str]],
    rows: Iterable[str],
    kind: str = "",
    box: str = "",
) -> str:
    """`heads` has names and classes of the columns."""
    columns = "".join(
        f'<th scope="col" class="{kind}">{name}</th>' if kind else f'<th scope="col">{name}</th>'
        for name, kind in heads
    )
    opening = f'<table class="{kind}">' if kind else "<table>"
    return (
        f'<div class="scroll{box}" role="region" aria-label="{caption}" tabindex="0">{opening}<caption>{caption}</caption>'
        f"<thead><tr>{columns}</tr></thead>\n<tbody>\n{''.join(rows)}</tbody></table></div>"
    )


def encoding_table(groups: Sequence[Group], colours: dict[str, str]) -> str:
    """One row for each encoding, with the colour that it has in the charts."""
    most = max(
        (group.bytes for group in groups if group.bytes and math.isfinite(group.bytes)), default=0
    )
    rows = []
    for group in groups:
        style = f'style="--key: var(--{svg.variable(colours[group.encoding])})"'
        full = f"<code>{text(group.encoding)}</code>" if group.encoding != group.label else ""
        share = ""
        if most and group.bytes and math.isfinite(group.bytes):
            width = 7 * group.bytes / most
            share = f'<span class="meter" {style[:-1]}; width: {width:.2f}rem"></span>'
        rows.append(
            "<tr>"
            + element(
                "th", f'<span class="key bar" {style}></span> {text(group.label)}{full}', "encoding"
            )
            + _number(float(group.count), f"{group.count:,}")
            + _number(group.bits_per_weight, wording.digits(group.bits_per_weight))
            + _number(group.bytes, wording.size(group.bytes))
            + element("td", share, "share")
            + _number(group.ratio, wording.digits(group.ratio) + ("×" if group.ratio else ""))
            + "</tr>\n"
        )
    heads = [
        ("encoding", ""), ("tensors", "number"), ("bits per weight", "number"), ("size", "number"),
        ("share", "share"), ("error / nearest", "number"),
    ]  # fmt: skip
    caption = "Encodings and what they hold, the greatest first"
    return _table(caption, heads, rows)


def _decisions(decisions: Sequence[str]) -> str:
    items = []
    for decision in decisions[:_MOST_DECISIONS]:
        kind = ' class="bad"' if decision.lower().startswith("refused") else ""
        items.append(f"<li{kind}>{text(decision)}</li>")
    if len(decisions) > _MOST_DECISIONS:
        items.append(f"<li>… and {len(decisions) - _MOST_DECISIONS} more</li>")
    return f"<ul>{''.join(items)}</ul>" if items else ""


def tensor_table(record: Record) -> str:
    """All tensors in the order of the file; columns that none of them has are left out."""
    tensors = record["tensors"]
    labels = wording.labels(tensor.get("encoding", "") for tensor in tensors)

    def encoding(tensor: Tensor) -> str:
        written = tensor.get("encoding", "")
        # The text in full is in the table of encodings.
        return f'<td class="short" title="{text(written)}">{text(labels[written])}</td>'

    def numeric(field: str, show):
        def cell(tensor: Tensor) -> str:
            value = tensor.get(field)
            return _number(value, show(value))

        return cell

    def quotient(tensor: Tensor) -> str:
        value = ratio(tensor)
        kind = "number bad" if value is not None and value > 1 else "number"
        return element("td", wording.digits(value) + ("×" if value else ""), kind, value)

    def shape(tensor: Tensor) -> str:
        extents = tensor.get("shape")
        weights = float(math.prod(map(float, extents))) if extents else None
        return element("td", wording.shape(extents), "number", weights)

    columns = [
        ("shape", "shape", "number", shape),
        ("encoding", "encoding", "", encoding),
        ("bits_per_weight", "bits", "number", numeric("bits_per_weight", wording.digits)),
        ("bytes", "size", "number", numeric("bytes", wording.size)),
        ("error", "error", "number", numeric("error", wording.digits)),
        ("error_nearest", "nearest", "number", numeric("error_nearest", wording.digits)),
        ("error_nearest", "ratio", "number", quotient),
        ("weight_error", "weight error", "number", numeric("weight_error", wording.digits)),
        ("seconds", "time", "number", numeric("seconds", wording.duration)),
        ("activations", "inputs", "", lambda t: element("td", text(t.get("activations", "")))),
        ("decisions", "decisions", "decisions", lambda t: element("td", _decisions(t.get("decisions", ())), "decisions")),
    ]  # fmt: skip
    present = [c for c in columns if any(tensor.get(c[0]) is not None for tensor in tensors)]
    rows = []
    for index, tensor in enumerate(tensors, 1):
        name = element("th", text(tensor["key"]).replace(".", ".<wbr>"), "name")
        cells = "".join(cell(tensor) for *_, cell in present)
        place = element("td", str(index), "number", float(index))
        rows.append(f'<tr id="tensor-{index}">{place}{name}{cells}</tr>\n')
    heads = [("#", "number"), ("tensor", ""), *((name, kind) for _, name, kind, _ in present)]
    caption = f"{len(tensors):,} tensors, in the order of the file"
    return _table(caption, heads, rows, "sortable", " tall")


def cache_table(record: Record) -> str:
    """Key-value caches, and what each costs at the model's end, where that was measured."""
    caches = record.get("caches", ())
    if not caches:
        return ""
    losses = {
        (candidate["key"], candidate.get("encoding")): candidate.get("loss")
        for candidate in record.get("allocation", {}).get("candidates", ())
    }
    rows = []
    for cache in caches:
        loss = losses.get((cache["key"], cache["encoding"]))
        numbers = math.prod(map(float, cache.get("shape", ())))
        size = cache.get("bytes")
        bits = 8 * size / numbers if size is not None and cache.get("shape") else None
        rows.append(
            "<tr>"
            + element("th", f"<code>{text(cache['key'])}</code>", "name")
            + element("td", f"<code>{text(cache['encoding'])}</code>")
            + _number(bits, wording.digits(bits))
            + _number(size, wording.size(size))
            + _number(loss, wording.digits(loss))
            + "</tr>\n"
        )
    heads = [
        ("cache", ""), ("type", ""), ("bits per number", "number"), ("size", "number"), ("loss", "number"),
    ]  # fmt: skip
    tokens = record.get("context")
    caption = "Key-value caches" + ("" if tokens is None else f" of {tokens:,.0f} tokens")
    return _table(caption, heads, rows, "sortable")


def outlier_table(strongest: Sequence[Outlier]) -> str:
    """The channels that stand out most."""
    if not strongest:
        return ""
    after = any(outlier.after is not None for outlier in strongest)
    rows = []
    for outlier in strongest:
        cells = element("th", f"<code>{text(outlier.site, 160)}</code>", "name")
        cells += _number(float(outlier.channel), str(outlier.channel))
        cells += _number(outlier.before, f"{wording.digits(outlier.before)}×")
        if after:
            cells += _number(
                outlier.after, wording.digits(outlier.after) + ("×" if outlier.after else "")
            )
        rows.append(f"<tr>{cells}</tr>\n")
    heads = [("site", ""), ("channel", "number"), ("maximum" if not after else "before", "number")]
    heads += [("after", "number")] if after else []
    return _table("The strongest channels, one of a site", heads, rows)


def step_notes(record: Record) -> str:
    """What the steps had to say."""
    steps = [step for step in record.get("steps", ()) if step.get("note")]
    if not steps:
        return ""
    most = 100
    rows = [
        f"<tr>{element('th', text(step['name']), 'name')}{element('td', text(step['note']))}</tr>\n"
        for step in steps[:most]
    ]
    caption = "Notes of the steps" + (
        f", the first {most} of {len(steps)}" if len(steps) > most else ""
    )
    return _table(caption, [("step", ""), ("note", "")], rows)
