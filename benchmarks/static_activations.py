"""Static scales of activations against dynamic ones, on the byte model and with planted outliers: a table in Markdown.

    PYTHONPATH=build/python .venv/bin/python benchmarks/static_activations.py [--windows N] [--tokens N]

Weights are int<8> with a scale for each row, to nearest. Inputs of all products with weights are rounded to 8 bits, as benchmarks/rounded.py writes it into
the program: by scales that each tensor or token chooses when the program runs (dynamic), or by one for each product that calibration fixed (static),
as the step static-activations chooses it. After the step `migrate-scales{by=ranges}` (SmoothQuant), too. What is told is bits per byte more than the float model, with the
standard error of the difference.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from lowbit import Archive, _lowbit
from lowbit.precision import statistics
from lowbit.precision.static_activations import StaticActivations
from lowbit.precision.calibrate import calibrate
from lowbit.precision.quantize import Options, Quantization
from lowbit.precision.sources import open_source
from planted import plant
from quality import LanguageSubject, bootstrap_error, open_subject

WEIGHTS = "#lowbit.quantized<int<8>, scale = f32 per axis 0>"
DYNAMIC = {
    "dynamic, per token": "int<8>, scale = f32 per axis 0",
    "dynamic, per tensor": "int<8>, scale = f32 per tensor",
}
STATIC = {
    "static, least squared error": StaticActivations(by="mse"),
    "static, 99.99th percentile": StaticActivations(by="percentile", percentile=99.99),
    "static, 99.9th percentile": StaticActivations(by="percentile", percentile=99.9),
    "static, maximum": StaticActivations(by="maximum"),
}
MIGRATIONS = {"as it is": "nearest", "migrated": "migrate-scales{by=ranges},nearest"}


def with_scales(model: str, counted: str, step: StaticActivations, output: str) -> None:
    """The model with the scales that a step chooses for what was counted."""
    scales = {
        f"{key}.input_scale": np.full((1, 1), step.scale(tap), np.float32)
        for tap in statistics.read(counted).values()
        for key in tap.feeds
    }
    tensors = [(name, [1, 1], "", {"values": scale}) for name, scale in scales.items()]
    _lowbit.write_archive(output + ".scales", {}, tensors)
    _lowbit.merge_archives(Archive(model), [output + ".scales"], {}, output)


def measure(
    subject: LanguageSubject, model: str, recipe: str, folder: Path
) -> dict[str, list[float]]:
    """Of each row of the table: bits per byte of each window."""
    folder.mkdir()
    weights, counted = str(folder / "weights.safetensors"), str(folder / "counted.safetensors")
    text, limits = subject.calibration(), {"tokens": subject.tokens, "length": subject.length}
    options = Options(recipe=recipe, weights=WEIGHTS, **limits)
    needed = text if "migrate" in recipe else None
    Quantization(open_source(model), weights, options, needed).run()
    calibrate(open_source(weights), counted, text, ["maxima", "minima", "histogram"], **limits)
    scores = {}
    for name, encoding in DYNAMIC.items():
        scores[name] = subject.evaluate(weights, encoding)["cost"]
    for number, (name, step) in enumerate(STATIC.items()):
        output = str(folder / f"static-{number}.safetensors")
        with_scales(weights, counted, step, output)
        scores[name] = subject.evaluate(output, step.activations)["cost"]
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, help="of the held-out text (all)")
    parser.add_argument("--tokens", type=int, help="to calibrate on (the subject's)")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        subject = open_subject("byte", folder)
        assert isinstance(subject, LanguageSubject)
        subject.spread(wanted.windows)
        subject.tokens = wanted.tokens or subject.tokens
        base = np.array(subject.evaluate(subject.path)["cost"])
        planted = folder / "planted.safetensors"
        plant(subject.path, planted)
        columns: dict[str, dict[str, str]] = {}
        for model, what in ((subject.path, ""), (str(planted), "outliers, ")):
            for migration, recipe in MIGRATIONS.items():
                column = what + migration
                found = measure(subject, model, recipe, folder / column.replace(", ", "-"))
                for name, costs in found.items():
                    more = np.array(costs) - base
                    cell = f"{more.mean():+.4f} ± {bootstrap_error(np.mean, more):.4f}"
                    columns.setdefault(column, {})[name] = cell
                    print(f"{column}: {name}: {cell}", flush=True)
    print(f"\nfloat: {base.mean():.4f} bits per byte, {len(base)} windows\n")
    print(f"| scales of activations | {' | '.join(columns)} |")
    print("|---" + "|--:" * len(columns) + "|")
    for name in [*DYNAMIC, *STATIC]:
        print(f"| {name} | {' | '.join(cells[name] for cells in columns.values())} |")


if __name__ == "__main__":
    main()
