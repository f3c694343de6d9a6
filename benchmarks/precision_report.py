#!/usr/bin/env python3
"""Tables and the checklist of docs/Precision.md, from the results of precision.py.

precision_report.py [RESULTS.json] prints the page again.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any, Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from machine import ROOT
from precision_jobs import GPTQ_PLAIN, GROUPS, LLAMA_TYPES, NEAREST, NEAREST_MSE, PLANTED, TOKEN
from precision_jobs import activations
from quality import bootstrap_error

Entry = Mapping[str, Any]
Results = Mapping[str, Entry]
Array = NDArray[np.float64]

TITLES = {"byte": "The byte model", "minilm": "MiniLM-L6", "smollm2": "SmolLM2-135M-Instruct"}
UNITS = {"byte": "bits/byte", "smollm2": "perplexity"}
MOST_OF_NEAREST = 0.45
"""What GPTQ is expected to leave of nearest's error at 3 bits, at most."""


def figure_of(model: str) -> Callable[[Array], float]:
    """Of a language model: what the costs of its windows come to."""
    if model.startswith("smollm2"):
        return lambda nats: math.exp(nats.mean())
    return lambda bits: float(bits.mean())


def scores(entry: Entry, metric: str) -> Array:
    return np.array(entry["scores"][metric])


def difference(model: str, a: Entry, b: Entry) -> tuple[float, float]:
    """How much more a costs than b, and its standard error: windows are paired."""
    figure = figure_of(model)
    x, y = scores(a, "cost"), scores(b, "cost")

    def more(x: Array, y: Array) -> float:
        return figure(x) - figure(y)

    return more(x, y), bootstrap_error(more, x, y)


def mean_ratio(x: Array, y: Array) -> tuple[float, float]:
    def ratio(x: Array, y: Array) -> float:
        return float(x.mean() / y.mean())

    return ratio(x, y), bootstrap_error(ratio, x, y)


def _mean(x: Array) -> float:
    return float(x.mean())


class Table:
    """What was measured, found by what it is."""

    def __init__(self, results: Results):
        self.entries = [e for e in results.values() if "scores" in e]
        self.failed = {key: e["error"] for key, e in results.items() if "error" in e}

    def select(self, model: str, rounded: bool | None = False) -> list[Entry]:
        """Of a model; rounded: with rounded activations or caches, without (False), both (None)."""
        return [
            e
            for e in self.entries
            if e["quantized"]["model"] == model
            and rounded in (None, bool(e["activations"] or e["kv_cache"]))
        ]

    def find(
        self,
        model: str,
        recipe: str,
        bits: int = 32,
        group: int = 32,
        activations: str | None = None,
        kv_cache: str | None = None,
    ) -> Entry | None:
        for e in self.entries:
            q = e["quantized"]
            is_it = (q["model"], q["recipe"]) == (model, recipe)
            if is_it and recipe != "float" and not recipe.startswith("llama"):
                is_it = (q["bits"], q["group"]) == (bits, group)
            if is_it and (e["activations"], e["kv_cache"]) == (activations, kv_cache):
                return e
        return None


# Tables
# ------


def name_of(entry: Entry) -> str:
    q = entry["quantized"]
    group = f", groups of {q['group']}" if q["group"] not in (0, 32) else ""
    return q["recipe"] + group


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
    lines = [["float", "32", f"{figure(scores(reference, 'cost')):.4f}", "", "", ""]]
    for bits, value, entry in sorted(rows, key=lambda row: (-row[0], row[1])):
        more, error = difference(model, entry, reference)
        name = f"**{name_of(entry)}**" if id(entry) in best else name_of(entry)
        lines.append(
            [name, f"{bits:.3f}", f"{value:.4f}", f"{more:+.4f} ± {error:.4f}", *_effort(entry)]
        )
    unit = UNITS[model.removesuffix(PLANTED)]
    return _markdown(["recipe", "bits/weight", unit, "costs", "seconds", "MB at most"], lines)


def encoder_table(table: Table, model: str = "minilm") -> list[str]:
    rows = [
        (e["bits_per_weight"], _mean(scores(e, "distance")), e)
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
            of_nearest = f"{ratio:.0%} ± {error:.0%}"
        lines.append(
            [
                name,
                f"{bits:.3f}",
                f"{value:.5f} ± {bootstrap_error(_mean, distance):.5f}",
                of_nearest,
                f"{overlap.mean():.3f} ± {bootstrap_error(_mean, overlap):.3f}",
                *_effort(entry),
            ]
        )
    head = [
        "recipe",
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


# Expectations
# ------------


def _check(holds: bool, what: str, measured: str) -> str:
    return f"- [{'x' if holds else ' '}] {what}: {measured}"


def _gptq_on_encoder(table: Table) -> Iterable[str]:
    for group in (32, 64):
        nearest = {n: table.find("minilm", n, 3, group) for n in (NEAREST, NEAREST_MSE)}
        for name, scales in ((GPTQ_PLAIN, NEAREST), ("gptq", NEAREST), ("gptq", NEAREST_MSE)):
            entry, against = table.find("minilm", name, 3, group), nearest[scales]
            if entry and against:
                pair = (scores(e, "distance") for e in (entry, against))
                ratio, error = mean_ratio(*pair)
                what = f"MiniLM, 3 bits, groups of {group}: {name} leaves at most {MOST_OF_NEAREST:.0%} of the 1 - cosine of {scales}"
                yield _check(ratio <= MOST_OF_NEAREST, what, f"{ratio:.1%} ± {error:.1%}")


def _monotone(table: Table) -> Iterable[str]:
    models = dict.fromkeys(e["quantized"]["model"] for e in table.entries)
    for model in models:
        metric = "distance" if model == "minilm" else "cost"
        figure = _mean if model == "minilm" else figure_of(model)
        steps, wrong = 0, []
        for recipe in dict.fromkeys(e["quantized"]["recipe"] for e in table.select(model)):
            ladder = [table.find(model, recipe, bits) for bits in (4, 3, 2)]
            for more, fewer in zip(ladder, ladder[1:]):
                if recipe == "float" or recipe.startswith("llama") or not (more and fewer):
                    continue
                x, y = scores(fewer, metric), scores(more, metric)
                gap = figure(x) - figure(y)
                error = bootstrap_error(lambda x, y: figure(x) - figure(y), x, y)
                steps += 1
                if gap < -2 * error:
                    wrong.append(
                        f"{recipe} from {more['quantized']['bits']} bits ({gap:+.4f} ± {error:.4f})"
                    )
        if steps:
            told = f"{steps} steps down a ladder, {len(wrong)} better with fewer bits"
            yield _check(
                not wrong,
                f"{model}: fewer bits cost more, within twice the error",
                told + "".join(f"; {w}" for w in wrong),
            )


def _against_nearest(table: Table) -> Iterable[str]:
    for model in dict.fromkeys(e["quantized"]["model"] for e in table.entries):
        metric = "distance" if model == "minilm" else "cost"
        figure = _mean if model == "minilm" else figure_of(model)
        compared, wrong = 0, []
        for entry in table.select(model):
            q = entry["quantized"]
            nearest = table.find(model, NEAREST, q["bits"], q["group"])
            if not nearest or nearest is entry:
                continue
            x, y = scores(entry, metric), scores(nearest, metric)
            gap, error = figure(x) - figure(y), bootstrap_error(
                lambda x, y: figure(x) - figure(y), x, y
            )
            compared += 1
            if gap > 2 * error:
                wrong.append(f"{name_of(entry)}, {q['bits']} bits ({gap:+.4f} ± {error:.4f})")
        if compared:
            told = f"{compared} compared, {len(wrong)} are" + "".join(f"; {w}" for w in wrong)
            yield _check(
                not wrong,
                f"{model}: no recipe is worse than {NEAREST} at its bits, by twice the error",
                told,
            )


def _peer(table: Table) -> Iterable[str]:
    for name in LLAMA_TYPES.values():
        peer = table.find("byte", f"llama.cpp {name}")
        ours = [
            e
            for e in table.select("byte")
            if peer
            and "llama" not in e["quantized"]["pipeline"]
            and e.get("bits_per_weight", 99) <= peer["bits_per_weight"]
        ]
        if peer and ours:
            best = min(ours, key=lambda e: scores(e, "cost").mean())
            gap, error = difference("byte", best, peer)
            what = f"llama.cpp {name} ({peer['bits_per_weight']:.3f} bits/weight) costs no less than ours in as few"
            told = f"{name_of(best)} ({best['bits_per_weight']:.3f}): {gap:+.4f} ± {error:.4f} bits/byte more than it"
            yield _check(gap <= 2 * error, what, told)


def _planted(table: Table) -> Iterable[str]:
    for model in UNITS:
        planted, original = (table.find(m, "float") for m in (model + PLANTED, model))
        if planted and original:
            x, y = scores(planted, "cost"), scores(original, "cost")
            worst = float(np.abs(x / y - 1).max())
            yield _check(
                worst <= 1e-4,
                f"{model}: planted outliers leave the float model as it was (1e-4)",
                f"{worst:.0e} at most of a window's figure",
            )
        for recipe in ("smoothquant", "llm-int8", "awq", "rotate"):
            rounding = activations(8, TOKEN)
            entry = table.find(model + PLANTED, recipe, 8, activations=rounding)
            nearest = table.find(model + PLANTED, NEAREST, 8, activations=rounding)
            if entry and nearest:
                gap, error = difference(model, entry, nearest)
                yield _check(
                    gap < -2 * error,
                    f"{model} with outliers, W8A8, a scale for each token: {recipe} costs less than {NEAREST}",
                    f"{gap:+.4f} ± {error:.4f} {UNITS[model]}",
                )


def checklist(results: Results) -> str:
    """What was expected, and whether it was measured so."""
    table = Table(results)
    lines = [
        *_gptq_on_encoder(table),
        *_monotone(table),
        *_against_nearest(table),
        *_planted(table),
        *_peer(table),
    ]
    return "\n".join([*lines, *(f"- [ ] {key}: {error}" for key, error in table.failed.items())])


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
- *rtn* rounds to nearest with scales that fit the largest weight, *rtn, mse* with scales of least squared error, which gptq and what builds on it have, too. Where a recipe's own
  default is another number of bits, it is put into that of the table.
- *Seconds* and *MB at most* are of the whole quantization in a process of its own, calibration included, on whatever else the machine did."""

ABOUT = {
    "byte": "Bits per byte of 48 windows of 1,024 bytes, spread over the held-out text, each alone; its weights lie on no grid. Calibrated on 16,384 bytes of other chapters, "
    "which it was trained on.\n*llama.cpp* is its own quantizer (`llama_model_quantize`) without an importance matrix, its usual mix of types; the embedding stays f32, as ours. Its file is read by our "
    "importer,\nso that everything but the codes is the same.",
    "minilm": "300 paragraphs of Debian's debian-handbook; calibrated on 8,192 tokens of other chapters. *1 - cosine* with the embedding of the float model, and the part of a paragraph's ten nearest "
    "ones\n(of the 299 others) that are so still.",
    "smollm2": "Perplexity of 10 windows of 512 tokens of the debian-handbook; calibrated on 4,096 tokens of other chapters. **What it can prove**: the weights that we have of it, all but its embedding, lie\n"
    "on the grid of Q4_1 (uint<4> with a minimum) already. At 3 bits, and of activations, its figures mean what they say. At 4 bits they tell how well a grid meets another grid, and nothing of a model whose "
    "weights lie on none.\nIts head is its embedding, which recipes leave as it is: it is not among the weights here.",
}
ACTIVATIONS = (
    "Inputs of all products with weights rounded, to scales for each token (a row) or for each 64 channels of it (*groups*), weights in groups of 32. What is told is what it costs more than the float\n"
    "model. The rounding is an encode and a decode in the program (`benchmarks/rounded.py`): the compiled option `--activations` has kernels for int<8> and int<15>\nonly, and leaves activations in f32 "
    "for weights that are sums. *llm-int8* gains nothing from this: its columns of outliers are f16, but the inputs that they meet are rounded as all others."
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
