#!/usr/bin/env python3
"""Tables and the checklist of docs/Precision.md, from the results of precision.py.

precision_report.py [RESULTS.json] prints the page again.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Iterable

from machine import ROOT
from precision_expectations import checklist
from precision_jobs import GROUPS, NEAREST, PLANTED, TOKEN, activations
from precision_results import UNITS, Entry, Results, Table, difference, figure_of, mean_of
from precision_results import mean_ratio, name_of, scores
from quality import bootstrap_error

TITLES = {"byte": "The byte model", "minilm": "MiniLM-L6", "smollm2": "SmolLM2-135M-Instruct"}


def _markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(head)
    lines = [f"| {' | '.join(head)} |", f"|---|{'--:|' * (len(head) - 1)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def _frontier(rows: list[tuple[float, float, Entry]]) -> set[int]:
    """Which rows (bits, figure) no other one of as few bits betters."""
    best, found = math.inf, set()
    for bits, value, entry in sorted(rows, key=lambda row: row[:2]):
        if value < best:
            best = value
            found.add(id(entry))
    return found


def _effort(entry: Entry) -> list[str]:
    memory = entry.get("peak_memory_bytes")
    return [f"{entry['seconds']:.1f}", f"{memory / 2**20:.0f}" if memory else ""]


def codes_of(entry: Entry) -> str:
    """Bits of the codes alone; the peer mixes them."""
    q = entry["quantized"]
    return str(q["bits"]) if q["group"] else ""


def weights_table(table: Table, model: str) -> list[str]:
    """A language model in other weights, by size."""
    reference = table.find(model, "float")
    if not reference:
        return []
    figure = figure_of(model)
    rows = [
        (e["bits_per_weight"], figure(scores(e, "cost")), e)
        for e in table.select(model)
        if e is not reference
    ]
    best = _frontier(rows)
    lines = [["float", "", "32", f"{figure(scores(reference, 'cost')):.4f}", "", "", ""]]
    for bits, value, entry in sorted(rows, key=lambda row: (-row[0], row[1])):
        more, error = difference(model, entry, reference)
        name = f"**{name_of(entry)}**" if id(entry) in best else name_of(entry)
        lines.append(
            [
                name,
                codes_of(entry),
                f"{bits:.3f}",
                f"{value:.4f}",
                f"{more:+.4f} ± {error:.4f}",
                *_effort(entry),
            ]
        )
    unit = UNITS[model.removesuffix(PLANTED)]
    return _markdown(
        ["recipe", "codes", "bits/weight", unit, "costs", "seconds", "MB at most"], lines
    )


def encoder_table(table: Table, model: str = "minilm") -> list[str]:
    rows = [
        (e["bits_per_weight"], mean_of(scores(e, "distance")), e)
        for e in table.select(model)
        if e["quantized"]["recipe"] != "float"
    ]
    if not rows:
        return []
    best = _frontier(rows)
    lines = []
    for bits, value, entry in sorted(rows, key=lambda row: (-row[0], row[1])):
        name = f"**{name_of(entry)}**" if id(entry) in best else name_of(entry)
        distance, overlap = scores(entry, "distance"), scores(entry, "overlap")
        q = entry["quantized"]
        nearest = table.find(model, NEAREST, q["bits"], q["group"])
        of_nearest = ""
        if nearest and nearest is not entry:
            ratio, error = mean_ratio(distance, scores(nearest, "distance"))
            of_nearest = f"{ratio:.1%} ± {error:.1%}"
        lines.append(
            [
                name,
                codes_of(entry),
                f"{bits:.3f}",
                f"{value:.5f} ± {bootstrap_error(mean_of, distance):.5f}",
                of_nearest,
                f"{overlap.mean():.3f} ± {bootstrap_error(mean_of, overlap):.3f}",
                *_effort(entry),
            ]
        )
    head = [
        "recipe",
        "codes",
        "bits/weight",
        "1 - cosine",
        "of rtn's",
        "ten nearest kept",
        "seconds",
        "MB at most",
    ]
    return _markdown(head, lines)


COLUMNS = {
    "W8A8": (8, activations(8, TOKEN)),
    "W4A8": (4, activations(8, TOKEN)),
    "W4A4": (4, activations(4, TOKEN)),
    "W8A8, groups": (8, activations(8, GROUPS)),
    "W4A8, groups": (4, activations(8, GROUPS)),
    "W4A4, groups": (4, activations(4, GROUPS)),
}


def activations_table(table: Table, model: str) -> list[str]:
    """What rounded activations cost more than the float model, by recipe."""
    reference = table.find(model, "float")
    entries = [e for e in table.select(model, None) if e["activations"] and not e["kv_cache"]]
    if not reference or not entries:
        return []
    columns = [c for c in COLUMNS if any(COLUMNS[c][1] == e["activations"] for e in entries)]
    lines = []
    for recipe in dict.fromkeys(e["quantized"]["recipe"] for e in entries):
        cells = []
        for column in columns:
            bits, rounding = COLUMNS[column]
            entry = table.find(model, recipe, bits, activations=rounding)
            if entry:
                more, error = difference(model, entry, reference)
                cells.append(f"{more:+.4f} ± {error:.4f}")
            else:
                cells.append("")
        lines.append([recipe, *cells])
    return _markdown(["recipe", *columns], lines)


def caches_table(table: Table, model: str) -> list[str]:
    reference = table.find(model, "float")
    entries = [e for e in table.select(model, None) if e["kv_cache"]]
    if not reference or not entries:
        return []
    lines = []
    for entry in entries:
        q = entry["quantized"]
        weights = f"{q['recipe']}, {q['bits']} bits" if q["pipeline"] else "float"
        more, error = difference(model, entry, reference)
        rounded = "int8, groups" if entry["activations"] else "f32"
        lines.append([weights, rounded, entry["kv_cache"], f"{more:+.4f} ± {error:.4f}"])
    return _markdown(["weights", "activations", "keys and values", "costs"], lines)


def _part(title: str, text: str, rows: list[str]) -> list[str]:
    """A section, if it has rows."""
    return ["", title, "", *([text, ""] if text else []), *rows] if rows else []


def page(results: Results, machine: str) -> str:
    table = Table(results)
    dates = sorted({e["date"] for e in table.entries})
    span = f"{dates[0]} to {dates[-1]}" if len(dates) > 1 else "".join(dates)
    lines = INTRODUCTION.format(machine=machine, dates=span).splitlines()
    for model in TITLES:
        rows = encoder_table(table) if model == "minilm" else weights_table(table, model)
        lines += _part(f"## {TITLES[model]}: weights only", ABOUT.get(model, ""), rows)
    for model in UNITS:
        title = TITLES[model]
        lines += _part(
            f"## {title}: activations",
            ACTIVATIONS if model == "byte" else "",
            activations_table(table, model),
        )
        lines += _part(
            f"## {title}: keys and values",
            CACHES if model == "byte" else "",
            caches_table(table, model),
        )
    for model in UNITS:
        title, name = TITLES[model], model + PLANTED
        lines += _part(
            f"## {title} with planted outliers",
            PLANTING if model == "byte" else "",
            weights_table(table, name),
        )
        lines += _part(
            f"### {title} with planted outliers: activations", "", activations_table(table, name)
        )
    lines += _part("## What was expected", "", checklist(results).splitlines())
    return "\n".join(lines) + "\n"


INTRODUCTION = """\
# What a recipe costs

Written by `benchmarks/precision.py` from what it measured ({machine}; {dates}). Each recipe of `lowbit quantize --list-recipes` on real models, on text that it was
not calibrated on. Weights are integers in groups of 32 with a scale in f16 (or of the size that the name says); *bits/weight* is exact, all components counted, of
the tensors that products multiply with. Embeddings, norms and, where nothing else is said, activations, keys and values stay f32.

- *Costs*: more than the float model, with its standard error from 1,000 bootstrap resamples of windows or paragraphs, those of the float model resampled with
  them. Less than twice the error is no difference.
- **Bold**: no other one of as few bits is better.
- *rtn* rounds to nearest with scales that fit the largest weight, *rtn, mse* with scales of least squared error, which gptq and what builds on it have, too. *gptq, natural order* takes columns from left to right, all others those of large inputs first. Where a recipe's own
  default is another number of bits, it is put into that of the table.
- *Seconds* and *MB at most* are of the whole quantization in a process of its own, calibration included, on whatever else the machine did."""

ABOUT = {
    "byte": "Bits per byte of 48 windows of 1,024 bytes, spread over the held-out text, each alone; its weights lie on no grid. Calibrated on 16,384 bytes of other chapters, "
    "which it was trained on.\n*llama.cpp* is its own quantizer (`llama_model_quantize`) without an importance matrix, its usual mix of types; the embedding stays f32, as ours. Its file is read by our "
    "importer,\nso that everything but the codes is the same. *gptq in Q2_K* and so on: our codes in the encoding of that type, in every tensor.",
    "minilm": "300 paragraphs of Debian's debian-handbook; calibrated on 8,192 tokens of other chapters. *1 - cosine* with the embedding of the float model, and the part of a paragraph's ten nearest "
    "ones\n(of the 299 others) that are so still.",
    "smollm2": "Perplexity of 10 windows of 512 tokens of the debian-handbook; calibrated on 4,096 tokens of other chapters. **What it can prove**: the weights that we have of it, all but its embedding, lie\n"
    "on the grid of Q4_1 (uint<4> with a minimum) already. At 3 bits, and of activations, its figures mean what they say. At 4 bits they tell how well a grid meets another grid, and nothing of a model whose "
    "weights lie on none.\nIts head is its embedding, which recipes leave as it is: it is not among the weights here.",
}
ACTIVATIONS = (
    "Inputs of all products with weights rounded, to scales for each token (a row) or for each 64 channels of it (*groups*), weights in groups of 32. What is told is what it costs more than the float\n"
    "model. The compiler rounds (`--activations`), and for the head, whose weights stay f32, `benchmarks/rounded.py` does the same. Columns apart (*llm-int8*) and low-rank branches in f16 (*svdquant*) meet inputs as they "
    "are; the\nothers' scales are those of inputs without these columns."
)
CACHES = "By `--kv-cache` and, in groups of 64 channels, `--activations`; prefill of whole windows, whose keys and values are read as they are stored."
PLANTING = (
    "One gain of 256 of each norm, in SmolLM2 three of 576, is multiplied by 20 to 100, and the columns of the weights that read it are divided by that (`benchmarks/planted.py`): the float model\n"
    "is the same, its activations have the outliers of large models. The tensors that change are f32."
)


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build/precision/results.json"
    data = json.loads(path.read_text())
    print(page(data["results"], data["machine"]))


if __name__ == "__main__":
    main()
