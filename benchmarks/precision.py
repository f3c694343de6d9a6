#!/usr/bin/env python3
"""What each recipe of lowbit.precision costs: real models, measured on text that they were not calibrated on.

    .venv/bin/python benchmarks/precision.py [--models byte,minilm,smollm2] [--only PATTERN] [--again] [--output docs/Precision.md]

Results go to build/precision/results.json as they come, and what is there is not measured again (unless --again says so, or its recipe or its
settings have changed); the page is made of all that are there. What docs/Precision.md was made of lies in precision-results.json.xz, and is where a fresh
checkout goes on. Hours on two cores for everything; each quantization and each evaluation is a process
of its own, so that its peak of memory is its own. Set OMP_NUM_THREADS=1 on a machine that others use, too.

Needs what scripts/setup.sh installs, and Debian's bible-kjv, bible-kjv-text and debian-handbook:

    sudo apt-get install bible-kjv bible-kjv-text debian-handbook

quality.py says what is measured, precision_jobs.py what is compared, planted.py where outliers come from, rounded.py how activations are rounded.
scripts/get-ggml.sh, which is called, builds llama.cpp for the peer's rows.
"""

from __future__ import annotations

import argparse
import fcntl
import fnmatch
import json
import lzma
import multiprocessing
import os
import platform
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable

from commandline import say, write_whole
from machine import ROOT, cpu_name
from precision_jobs import MODELS, PLANTED, Job, Quantized, jobs

FOLDER = ROOT / "build" / "precision"
PAGE = ROOT / "docs" / "Precision.md"
KEPT = ROOT / "benchmarks" / "precision-results.json.xz"
TOLERANCE = 1e-4
"""How far a planted model's figures may be from the original's, relative."""

Entry = dict[str, Any]


# In processes of their own
# -------------------------


def subject_of(model: str) -> Any:
    import quality

    subject = quality.open_subject(model.removesuffix(PLANTED), FOLDER)
    if model.endswith(PLANTED):
        import planted

        path = FOLDER / f"{model}.safetensors"
        if not path.exists():
            planted.plant(subject.path, path)
        subject.path = str(path)
        subject.settings["seed"] = planted.SEED
    return subject


def quantize(quantized: Quantized, output: str) -> Entry:
    """Writes the quantized model; its size, and what it took."""
    subject = subject_of(quantized.model)
    if quantized.pipeline.startswith("llama.cpp "):
        return quantize_by_peer(quantized, subject.path, output)
    from lowbit.precision.quantize import Options, Quantization

    options = Options(
        recipe=quantized.pipeline,
        weights=quantized.weights,
        tokens=subject.tokens,
        length=subject.length,
        **({"budget": quantized.budget} if quantized.budget else {}),
    )
    needs_text = quantized.pipeline != "nearest"
    text = subject.calibration() if needs_text else None
    record = Quantization(subject.source(), output, options, text).run()
    totals = record["totals"]
    keys = ("weights", "bytes", "bits_per_weight", "seconds", "peak_memory_bytes")
    errors = [t["error"] for t in record["tensors"] if "error" in t]
    return {**{key: totals[key] for key in keys}, "tensor_errors": errors}


def quantize_by_peer(quantized: Quantized, model: str, output: str) -> Entry:
    """By llama.cpp; counted is what our recipes quantize, too: all that products multiply with."""
    from generators import quantize_by_llama
    from lowbit import Archive

    began = time.perf_counter()
    quantize_by_llama(model, output, int(quantized.pipeline.split()[-1]))
    seconds = time.perf_counter() - began
    weights = [
        tensor
        for tensor in Archive(output).tensors
        if len(tensor.shape) == 2 and tensor.name != "token_embd.weight"
    ]
    count = sum(tensor.shape[0] * tensor.shape[1] for tensor in weights)
    size = sum(tensor.bytes for tensor in weights)
    return {
        "weights": count,
        "bytes": size,
        "bits_per_weight": 8 * size / count,
        "seconds": seconds,
    }


def evaluate(job: Job, path: str | None) -> dict[str, list[float]]:
    """path: of the quantized model; None: the float model's own."""
    subject = subject_of(job.quantized.model)
    own = path or subject.source().archive.path
    return subject.evaluate(own, job.activations, job.kv_cache)


def settings_of(model: str) -> dict[str, Any]:
    return subject_of(model).settings


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function gives in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


# All of them
# -----------


class Results:
    """By key of a job; in a file, replaced after each. Several runs may share it."""

    def __init__(self, path: Path):
        self.path = path
        self.entries: dict[str, Entry] = {}
        self._read()

    def _read(self) -> None:
        if self.path.exists():
            self.entries = json.loads(self.path.read_text())["results"]
        elif KEPT.exists():
            self.entries = json.loads(lzma.decompress(KEPT.read_bytes()))["results"]

    def keep(self) -> None:
        """What the page of the repository was made of, for whoever goes on from there."""
        data = json.dumps({"results": self.entries}).encode()
        write_whole(KEPT, lambda to: to.write_bytes(lzma.compress(data, preset=9)))

    def has(self, job: Job, settings: dict[str, Any]) -> bool:
        entry = self.entries.get(job.key)
        return (
            entry is not None
            and "error" not in entry
            and entry["quantized"] == asdict(job.quantized)
            and entry["settings"] == settings
        )

    def add(self, key: str, entry: Entry) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._read()
            self.entries[key] = entry
            data = {"machine": cpu_name(), "results": self.entries}
            write_whole(self.path, lambda to: to.write_text(json.dumps(data) + "\n"))


def measure(wanted: list[Job], results: Results, settings: dict[str, dict[str, Any]]) -> int:
    """Quantizes once for all jobs of one quantized model. How many went wrong."""
    wrong = 0
    groups: dict[Quantized, list[Job]] = {}
    for job in wanted:
        groups.setdefault(job.quantized, []).append(job)
    for number, (quantized, group) in enumerate(groups.items(), 1):
        say(f"{number} of {len(groups)}: {quantized.key}")
        suffix = ".gguf" if "llama" in quantized.pipeline else ".safetensors"
        output = FOLDER / f"{os.getpid()}{suffix}"
        common: Entry = {
            "quantized": asdict(quantized),
            "settings": settings[quantized.model],
            "date": time.strftime("%Y-%m-%d"),
        }
        at = group[0].key
        try:
            made = alone(quantize, quantized, str(output)) if quantized.pipeline else {}
            for job in group:
                at = job.key
                scores = alone(evaluate, job, str(output) if quantized.pipeline else None)
                fields = {"activations": job.activations, "kv_cache": job.kv_cache}
                results.add(job.key, {**common, **made, **fields, "scores": scores})
        except Exception as error:  # one recipe less, and it is said
            wrong += 1
            say(f"{at}: error: {error}")
            results.add(at, {**common, "error": str(error)})
        finally:
            output.unlink(missing_ok=True)
            shutil.rmtree(f"{output}.partial", ignore_errors=True)
    return wrong


def check_planted(results: Results) -> list[str]:
    """Planted models whose float figures are not those of the original."""
    wrong = []
    for model in {job.quantized.model for job in jobs(list(MODELS))}:
        planted = results.entries.get(f"{model}{PLANTED} | float")
        original = results.entries.get(f"{model} | float")
        if planted and original and "scores" in planted and "scores" in original:
            pairs = zip(planted["scores"]["cost"], original["scores"]["cost"])
            if not all(abs(a - b) <= TOLERANCE * abs(b) for a, b in pairs):
                wrong.append(model)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default=",".join(MODELS), help="(%(default)s)")
    parser.add_argument(
        "--only", action="append", metavar="PATTERN", help="part of a job's name, with * and ?"
    )
    parser.add_argument("--again", action="store_true", help="measure also what is there")
    parser.add_argument("--list", action="store_true", help="name the jobs, and do nothing else")
    parser.add_argument("--output", type=Path, help="write the page, e.g. docs/Precision.md")
    parser.add_argument("--results", type=Path, default=FOLDER / "results.json")
    options = parser.parse_args()
    models = options.models.split(",")
    if unknown := set(models) - set(MODELS):
        parser.error(f"no model {', '.join(sorted(unknown))}: {', '.join(MODELS)}")

    wanted = [
        job
        for job in jobs(models)
        if not options.only or any(fnmatch.fnmatch(job.key, f"*{p}*") for p in options.only)
    ]
    if options.list:
        print("\n".join(job.key for job in wanted))
        return 0
    results = Results(options.results)
    settings = {m: alone(settings_of, m) for m in dict.fromkeys(j.quantized.model for j in wanted)}
    todo = [j for j in wanted if options.again or not results.has(j, settings[j.quantized.model])]
    say(f"{len(todo)} of {len(wanted)} to measure")
    wrong = measure(todo, results, settings)
    for model in check_planted(results):
        say(f"error: the float figures of {model}{PLANTED} are not those of {model}")
        wrong += 1

    import precision_report

    machine = f"{cpu_name()}, {os.cpu_count()} cores, {platform.system()}"
    print(precision_report.checklist(results.entries))
    if options.output:
        options.output.write_text(precision_report.page(results.entries, machine))
        if options.output.resolve() == PAGE:
            results.keep()
        say(f"written: {options.output}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
