"""Keys and values whose scales are fixed and lie in the weights, against caches that store scales: a table in Markdown.

    PYTHONPATH=build/python .venv/bin/python benchmarks/static_caches.py [--model byte|smollm2] [--windows N] [--tokens N]

Weights and activations stay f32. `int8` and `int4` store an f16 for each 32 channels of each position; the step static-caches leaves codes alone. What is told is what a
cache costs more than one in f32, bits per byte or perplexity, with the standard error of the difference, and its bits for each number.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from lowbit.precision.static_caches import StaticCaches
from precision_results import figure_of
from quality import LanguageSubject, bootstrap_error, open_subject

STATIC = {
    "static, least squared error": StaticCaches(by="mse"),
    "static, maximum": StaticCaches(by="maximum"),
    "static, 99.9th percentile": StaticCaches(by="percentile", percentile=99.9),
    "static, least squared error, 4 bits": StaticCaches(by="mse", bits=4),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=("byte", "smollm2"), default="byte")
    parser.add_argument("--windows", type=int, help="of the held-out text (all)")
    parser.add_argument("--tokens", type=int, help="to calibrate on (the subject's)")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        subject = open_subject(wanted.model, Path(temporary))
        assert isinstance(subject, LanguageSubject)
        subject.spread(wanted.windows)
        source = subject.source()
        tokens = wanted.tokens or subject.tokens
        sequences = source.sequences(subject.calibration(), tokens, subject.length)
        figure = figure_of(wanted.model)
        base = np.array(subject.evaluate(subject.path)["cost"])
        print(f"float: {figure(base):.4f}, {len(base)} windows\n", flush=True)
        print("| keys and values | bits | costs |\n|---|--:|--:|")

        def tell(name: str, bits: float, path: str, cache: str) -> None:
            costs = np.array(subject.evaluate(path, None, cache)["cost"])
            more = figure(costs) - figure(base)
            error = bootstrap_error(lambda a, b: figure(a) - figure(b), costs, base)
            print(f"| {name} | {bits:g} | {more:+.4f} ± {error:.4f} |", flush=True)

        for bits in (8, 4):
            tell(f"int{bits}", bits + 0.5, subject.path, f"int{bits}")
        for number, (name, step) in enumerate(STATIC.items()):
            path = str(Path(temporary) / f"{number}.safetensors")
            step.transform(source, path, lambda key, text: None, sequences)
            tell(name, step.bits, path, f"int<{step.bits}>")


if __name__ == "__main__":
    main()
