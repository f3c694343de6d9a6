"""Numbers with their units, and encodings in few words."""

from __future__ import annotations

import math
import re
from typing import Iterable

_GRANULARITIES = {"per tensor": "tensor", "per axis 0": "row", "per axis 1": "column"}
_LONGEST = 44
"""Characters of a label."""


def _special(value: float | None) -> str | None:
    """What stands for numbers that are none."""
    if value is None:
        return "–"
    if math.isnan(value):
        return "NaN"
    return ("∞" if value > 0 else "−∞") if math.isinf(value) else None


def digits(value: float | None, significant: int = 3) -> str:
    """To so many significant digits, without an exponent from 0.0001 to a million."""
    special = _special(value)
    if special is not None:
        return special
    if value == 0:
        return "0"
    text = f"{value:.{significant}g}"
    if "e" in text and 1e-5 < abs(value) < 1e6:
        text = f"{value:,.0f}" if abs(value) >= 1 else f"{value:.{significant + 4}f}"
    return text.replace("-", "−").replace("e−0", "e−").replace("e+0", "e").replace("e+", "e")


def count(value: float | None) -> str:
    return _special(value) or f"{value:,.0f}"


def quantity(value: float | None) -> str:
    """A large number in words: "3.47 million"."""
    for name, scale in (("trillion", 1e12), ("billion", 1e9), ("million", 1e6)):
        if value is not None and math.isfinite(value) and value >= 0.9995 * scale:
            return f"{digits(value / scale)} {name}"
    return count(value)


def size(value: float | None) -> str:
    """Of bytes, in units of powers of 1,000."""
    special = _special(value)
    if special is not None:
        return special
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(value) >= 0.9995 * scale:
            scaled = value / scale
            return (
                f"{scaled:.0f} {unit}"
                if abs(scaled) >= 999.5
                else f"{scaled:#.3g} {unit}".replace(". ", " ")
            )
    return f"{value:.0f} B"


def duration(value: float | None) -> str:
    special = _special(value)
    if special is not None:
        return special
    if value >= 5400:
        minutes = round(value / 60)
        return f"{minutes // 60} h {minutes % 60:02} min"
    if value >= 99.5:
        return f"{int(value + 0.5) // 60} min {int(value + 0.5) % 60:02} s"
    if value >= 1:
        return f"{value:.1f} s"
    return f"{digits(1000 * value, 2)} ms" if value > 0 else "0 s"


def shape(extents: Iterable[int] | None) -> str:
    return "×".join(map(str, extents)) if extents else "–"


def shorten(text: str, longest: int = _LONGEST) -> str:
    """Its beginning and end, where it is longer: names differ in both."""
    if len(text) <= longest:
        return text
    tail = (longest - 1) // 3
    return text[: longest - 1 - tail] + "…" + text[len(text) - tail :]


def _split(text: str) -> list[str]:
    """At the commas that stand in no brackets."""
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        depth += (character in "<[(") - (character in ">])")
        if character == "," and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    return [*parts, text[start:].strip()]


def _format_label(text: str) -> str:
    match = re.fullmatch(r"(\w+)<(.*)>", text, re.DOTALL)
    if not match:
        return text
    name, inner = match[1], _split(match[2])
    if name in ("int", "uint"):
        return f"{name}{match[2]}"
    if name == "codebook":
        if inner[0].startswith("["):
            return f"{len(_split(inner[0][1:-1]))} levels"
        return "".join(inner)
    if name == "learned":
        return f"learned{inner[0]}"
    return f"{name}({match[2]})"


def _scale_label(text: str) -> str:
    def each(match: re.Match) -> str:
        granularity = match[2]
        if granularity in _GRANULARITIES:
            return f"{match[1]}/{_GRANULARITIES[granularity]}"
        extents = [extent.strip() for extent in granularity[5:-1].split(",")]
        while len(extents) > 1 and extents[0] == "1":
            extents = extents[1:]
        return f"{match[1]}/{'×'.join(extents)}"

    text = re.sub(r"\b(\w+)<(\d+)>", r"\1\2", text)
    text = re.sub(r"(\w+) (per tensor|per axis [01]|per \[[\d, ]+\])", each, text)
    return text.replace(" * ", "·").replace(" + ", "+")


def _label(encoding: str, depth: int = 0) -> str:
    match = re.fullmatch(r"#lowbit\.(\w+)<(.*)>", encoding.strip(), re.DOTALL)
    if not match or depth > 8:
        return encoding.strip()
    name, arguments = match[1], _split(match[2])
    inner = [
        _label(argument, depth + 1) for argument in arguments if argument.startswith("#lowbit.")
    ]
    if name == "quantized":
        words = [_format_label(arguments[0])]
        for argument in arguments[1:]:
            key, _, value = argument.partition(" = ")
            if key == "scale":
                words.append(_scale_label(value))
            elif key in ("min", "zero"):
                words.append(f"+{key}")
            elif key == "layout" and value.startswith(("ggml<", "checkpoint<")):
                words.append(f"({value.partition('<')[2].rstrip('>')})")
        return " ".join(words)
    if name == "sum":
        return " + ".join(inner)
    if name == "part":
        return " | ".join(inner)
    if name == "sparse":
        return "sparse " + " ".join(argument.replace("density = ", "") for argument in arguments)
    if name == "outlier_columns":
        return f"{inner[0]} | columns {inner[1]}"
    if name == "low_rank":
        return arguments[0].replace("rank = ", "rank ")
    if name == "n_m":
        return f"{arguments[0]}:{arguments[1]} " + "".join(inner)
    if name in ("permuted", "flattened", "block_sparse") and inner:
        return f"{name.replace('_', '-')} {inner[0]}"
    return f"{name} {', '.join(arguments)}"


def labels(encodings: Iterable[str]) -> dict[str, str]:
    """Of each distinct encoding a short label, such as "int4 f16/32" for 4-bit integers with an f16 scale for each 32 of a row.

    Labels are distinct, too; the order is that of the first occurrences.
    """
    result: dict[str, str] = {}
    taken: set[str] = set()
    for encoding in encodings:
        if encoding in result:
            continue
        label = short = shorten(_label(encoding)) or "(none)"
        number = 2
        while label in taken:
            label, number = f"{short} ({number})", number + 1
        taken.add(label)
        result[encoding] = label
    return result
