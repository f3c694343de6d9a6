"""Outliers of activations that the running program finds: what thresholds cost and give, a table in Markdown.

    PYTHONPATH=build/python .venv/bin/python benchmarks/dynamic_outliers.py [--model byte|smollm2] [--windows N] [--rounds N]

Weights, tables too, are int<8> with a scale for each row, to nearest; inputs of products int<8> with a scale for each token, as LLM.int8() has them. Elements of at
least the threshold (`--outlier-threshold`) are multiplied in f32. What is told is the loss for a token (bits, or nats of SmolLM2) more than the float model's, with the standard
error of the difference, of the model as it is and with planted outliers (planted.py); and the speed of generating, as a part of that without a threshold:
the median of rounds in which all take turns.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from lowbit import Model
from lowbit.cli import main as lowbit
from planted import plant
from quality import LanguageSubject, bootstrap_error, open_subject

WEIGHTS = "#lowbit.quantized<int<8>, scale = f32 per axis 0>"
ACTIVATIONS = "int<8>, scale = f32 per axis 0"
THRESHOLDS = (None, 12.0, 6.0, 3.0, 1.5)
GENERATED = 64


def measure(subject: LanguageSubject, path: str, base: np.ndarray, rounds: int) -> list[list[str]]:
    """Of each threshold: the loss and the speed."""
    windows = subject.windows()
    length = max(len(windows[0]), GENERATED + 8)
    scale = np.log(2) if subject.unit == "bits" else 1.0
    models = [
        Model(
            path,
            ACTIVATIONS,
            kv_cache="f32",
            context_length=length,
            use_cache=False,
            outlier_threshold=threshold,
        )
        for threshold in THRESHOLDS
    ]
    cells = []
    for model in models:
        more = np.array([model.nll(window) / scale for window in windows]) - base
        cells.append([f"{more.mean():+.4f} ± {bootstrap_error(np.mean, more):.4f}"])
    speeds = [
        [model.generate(windows[0][:8], GENERATED).tokens_per_second for model in models]
        for _ in range(rounds)
    ]
    ratios = np.median([np.array(row) / row[0] for row in speeds], axis=0)
    for cell, ratio in zip(cells, ratios):
        cell.append(f"{ratio:.2f}")
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=["byte", "smollm2"], default="byte")
    parser.add_argument("--windows", type=int, help="of the held-out text (all)")
    parser.add_argument("--rounds", type=int, default=7, help="of generating (%(default)s)")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        subject = open_subject(wanted.model, folder)
        assert isinstance(subject, LanguageSubject)
        subject.spread(wanted.windows)
        base = np.array(subject.evaluate(subject.path)["cost"])
        planted = folder / "planted.safetensors"
        plant(subject.path, planted)
        columns = []
        for model in (subject.path, str(planted)):
            encoded = str(folder / f"w8-{len(columns)}.safetensors")
            given = ["--weights", WEIGHTS, "--output", encoded]
            assert lowbit(["encode", model, *given]) == 0
            columns.append(measure(subject, encoded, base, wanted.rounds))
    print(f"\nfloat: {base.mean():.4f} {subject.unit} a token, {len(base)} windows\n")
    print("| threshold | loss | speed | with outliers: loss | speed |\n|---|--:|--:|--:|--:|")
    for threshold, *cells in zip(THRESHOLDS, *columns):
        name = "none" if threshold is None else f"{threshold:g}"
        print(f"| {name} | {' | '.join(text for cell in cells for text in cell)} |")


if __name__ == "__main__":
    main()
