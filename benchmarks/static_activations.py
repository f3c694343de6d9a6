"""Static scales of activations against dynamic ones, on the byte model and with planted outliers: a table in Markdown.

    PYTHONPATH=build/python .venv/bin/python benchmarks/static_activations.py [--windows N]

Weights are int<8> with a scale for each row, to nearest. Inputs of all products with weights are rounded to 8 bits, as benchmarks/rounded.py writes it into
the program: by scales that each tensor or token chooses when the program runs (dynamic), or by one for each product that calibration fixed (static).
After a recipe's step `migrate-scales{by=ranges}` (SmoothQuant), too. What is told is bits per byte more than the float model, with the
standard error of the difference.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

import numpy as np

from lowbit.precision.quantize import Options, Quantization
from lowbit.precision.sources import open_source
from planted import plant
from quality import LanguageSubject, bootstrap_error, open_subject

WEIGHTS = "#lowbit.quantized<int<8>, scale = f32 per axis 0>"
GIVEN = "int<8>, scale = f32 per tensor, rule = given"
DYNAMIC = {
    "dynamic, per tensor": "int<8>, scale = f32 per tensor",
    "dynamic, per token": "int<8>, scale = f32 per axis 0",
}
STATIC = {
    "static, maximum": "static-activations{by=maximum}",
    "static, 99.9th percentile": "static-activations{by=percentile percentile=99.9}",
    "static, 99.99th percentile": "static-activations{by=percentile percentile=99.99}",
    "static, least squared error": "static-activations{by=mse}",
}


def measure(subject: LanguageSubject, model: str, folder: Path) -> dict[str, list[list[float]]]:
    """Of each row of the table without and with migrated scales: bits per byte of each window."""
    scores: dict[str, list[list[float]]] = {}
    for migration in ("", "migrate-scales{by=ranges},"):
        for name, step in {**dict.fromkeys(DYNAMIC, ""), **STATIC}.items():
            output = folder / (re.sub(r"\W+", "-", f"model-{migration}{step}") + ".safetensors")
            if not output.exists():
                steps = f"{migration}{step + ',' if step else ''}nearest"
                options = Options(
                    recipe=steps, weights=WEIGHTS, tokens=subject.tokens, length=subject.length
                )
                Quantization(open_source(model), str(output), options, subject.calibration()).run()
            found = subject.evaluate(str(output), DYNAMIC.get(name, GIVEN))
            scores.setdefault(name, []).append(found["cost"])
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, help="of the held-out text (all)")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        subject = open_subject("byte", folder)
        assert isinstance(subject, LanguageSubject)
        if wanted.windows:
            subject.windows = (lambda all: lambda: all()[: wanted.windows])(subject.windows)
        base = np.array(subject.evaluate(subject.path)["cost"])
        planted = folder / "planted.safetensors"
        plant(subject.path, planted)
        columns: dict[str, list[str]] = {}
        for model in (subject.path, str(planted)):
            place = folder / Path(model).stem
            place.mkdir()
            for name, all in measure(subject, model, place).items():
                for costs in all:
                    more = np.array(costs) - base
                    error = bootstrap_error(np.mean, more)
                    columns.setdefault(name, []).append(f"{more.mean():+.4f} ± {error:.4f}")
    print(f"float: {base.mean():.4f} bits per byte, {len(base)} windows\n")
    print("| scales of activations | as it is | migrated | outliers | outliers, migrated |")
    print("|---|--:|--:|--:|--:|")
    for name, cells in columns.items():
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
