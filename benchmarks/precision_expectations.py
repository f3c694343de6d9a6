"""What is expected of recipes, and whether it was measured so. Nothing here knows a figure that was measured."""

from __future__ import annotations

from typing import Iterable

import numpy as np

from precision_jobs import GPTQ_PLAIN, LLAMA_TYPES, NEAREST, NEAREST_MSE, PLANTED, TOKEN
from precision_jobs import activations
from precision_results import UNITS, Results, Table, difference, mean_ratio
from precision_results import name_of, scores

MOST_OF_NEAREST = 0.45
"""What GPTQ is expected to leave of nearest's error at 3 bits, at most."""


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
        steps, wrong = 0, []
        for recipe in dict.fromkeys(e["quantized"]["recipe"] for e in table.select(model)):
            ladder = [table.find(model, recipe, bits) for bits in (4, 3, 2)]
            for more, fewer in zip(ladder, ladder[1:]):
                if recipe == "float" or recipe.startswith("llama") or not (more and fewer):
                    continue
                gap, error = difference(model, fewer, more)
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
        compared, wrong = 0, []
        for entry in table.select(model):
            q = entry["quantized"]
            nearest = table.find(model, NEAREST, q["bits"], q["group"])
            if not nearest or nearest is entry:
                continue
            gap, error = difference(model, entry, nearest)
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


def _mixed(table: Table) -> Iterable[str]:
    """Bits by tensor against the same bits for all, at equal bytes."""
    for model in ("byte", "minilm"):
        for bits, group in ((2, 32), (2, 16), (3, 32), (4, 32)):
            mixed, uniform = (table.find(model, name, bits, group) for name in ("mixed", "gptq"))
            if not mixed or not uniform:
                continue
            gap, error = difference(model, mixed, uniform)
            yield _check(
                gap < 0 and mixed["bytes"] <= uniform["bytes"],
                f"{model}: mixed is better than gptq at {uniform['bits_per_weight']:.3g} bits/weight",
                f"{gap:+.4f} ± {error:.4f}",
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
                if original:
                    part = scores(entry, "cost").mean() / scores(original, "cost").mean() - 1
                    yield _check(
                        part <= 0.005,
                        f"{model} with outliers, W8A8: {recipe} is within 0.5 % of the float model",
                        f"{part:+.2%}",
                    )
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
        *_mixed(table),
        *_planted(table),
        *_peer(table),
    ]
    return "\n".join([*lines, *(f"- [ ] {key}: {error}" for key, error in table.failed.items())])
