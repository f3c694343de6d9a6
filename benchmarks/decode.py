#!/usr/bin/env python3
"""Speed of language models compiled by Lowbit, decoding and reading prompts, against llama.cpp's and against what the
machine can do at most.

Prints a table for each model and number of threads; docs/Benchmarks.md tells what its columns mean. Needs lowbit,
benchmarks/requirements.txt and, to compare with llama.cpp, scripts/get-ggml.sh, which it calls.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Iterator, NamedTuple

import decode_report
import machine
from commandline import number, numbers, say, write_runs
from probe import SWEEP_BYTES, Probe
from stage import Stage

try:
    from generators import Llama, Lowbit, Text, compile_llama, llama_folder, weight_bytes
    from lowbit import Archive, _lowbit
    from lowbit.errors import LowbitError
    from lowbit.tokenizer import Tokenizer
except ModuleNotFoundError as error:
    sys.exit(f"decode: error: {error}: run .venv/bin/python, which scripts/setup.sh makes")

TEXT = Path("/usr/share/common-licenses/Artistic")  # every Debian has it
Q4_0 = "#lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>"
# Whether with flash attention, which is llama.cpp's default, but on a CPU slower at long contexts.
PEERS = {"llama.cpp": True, "llama.cpp -fa off": False}
# After a parallel loop OpenMP's threads wait for the next one, spinning, for 0.2 s.
IDLE_SECONDS = 0.25
# Where the two likeliest tokens are closer than this, rounding may choose between them.
DOUBT = 0.05


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def add(name: str, help: str, **options: Any) -> None:
        parser.add_argument(name, help=help, **options)

    add(
        "--model",
        "GGUF file; may be repeated (SmolLM2-135M as it is, and in q4_0)",
        type=Path,
        action="append",
        metavar="FILE",
    )
    add("--activations", "ours (f32,int15,int8)", default="f32,int15,int8", metavar="NAME,...")
    add("--threads", "(1 and one for each core)", type=numbers, metavar="N,...")
    add("--prompts", "tokens (16,1000)", type=numbers, default=[16, 1000], metavar="N,...")
    add("--tokens", "to decode after each (128)", type=number, default=128, metavar="N")
    add("--prefill", "tokens of a prompt (512)", type=number, default=512, metavar="N")
    add("--rounds", "of measuring all (5)", type=number, default=5, metavar="N")
    add("--text", f"that prompts are taken from ({TEXT})", type=Path, default=TEXT, metavar="FILE")
    peer = parser.add_mutually_exclusive_group()
    peer.add_argument(
        "--llama",
        help="folder of its libraries (scripts/get-ggml.sh --llama)",
        type=Path,
        metavar="FOLDER",
    )
    peer.add_argument("--without-llama", help="ours only", action="store_true")
    output = machine.BUILD / "decode"
    add("--output", f"PATH.json and PATH.png ({output})", type=Path, default=output, metavar="PATH")
    arguments = parser.parse_args()
    arguments.threads = arguments.threads or sorted({1, os.cpu_count() or 1})
    return arguments


def default_models() -> list[Path]:
    script = machine.ROOT / "scripts" / "get-smollm2.sh"
    result = subprocess.run([script], stdout=subprocess.PIPE, text=True)
    if result.returncode:
        raise RuntimeError(f"{script.name} failed (its words are above): name a --model")
    model = Path(result.stdout.strip())
    again = machine.BUILD / "SmolLM2-135M-Instruct.Q4_0.gguf"
    if not again.exists():
        say(f"encoding {model.name} in q4_0")
        again.parent.mkdir(parents=True, exist_ok=True)
        keep = [("token_embd.weight", "same")]
        _lowbit.encode_archive(str(model), str(again), Q4_0, keep, lambda *_: None)
    return [model, again]


def check_texts(texts: dict[str, Text]) -> None:
    """Raises where int15 decodes another token than f32, though f32 is in no doubt."""
    if not {"lowbit f32", "lowbit int15"} <= texts.keys():
        return
    exact, rounded = texts["lowbit f32"], texts["lowbit int15"]
    doubt = next((i for i, margin in enumerate(exact.margins) if margin < DOUBT), None)
    sure = len(exact.tokens) if doubt is None else doubt
    same = decode_report.common_tokens(exact.tokens, rounded.tokens)
    if same < sure:
        raise ArithmeticError(
            f"int15 decodes token {rounded.tokens[same]} where f32 decodes {exact.tokens[same]}, whose logit "
            f"is {exact.margins[same]:.2g} above the next: a kernel computes something else"
        )


class Task(NamedTuple):
    """What is timed: decoding that many tokens after a prompt, or, with none, reading the prompt."""

    prompt: int
    decoded: int

    @property
    def name(self) -> str:
        return f"decode after {self.prompt:,}" if self.decoded else f"prefill of {self.prompt:,}"

    def seconds(self, stage: Stage, text: list[int]) -> float:
        prompt = text[: self.prompt]
        return stage.decode(prompt, self.decoded).seconds if self.decoded else stage.prefill(prompt)


class Benchmark:
    """The generators of one command line, measured on each model with each number of threads."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.models = arguments.model or default_models()
        self.activations = list(filter(None, arguments.activations.split(",")))
        self.llama = None
        if not arguments.without_llama:
            self.llama = compile_llama(arguments.llama or llama_folder())
        self.tasks = [
            *(Task(length, arguments.tokens) for length in dict.fromkeys(arguments.prompts)),
            Task(arguments.prefill, 0),
        ]
        self.positions = machine.aligned(
            max(task.prompt + task.decoded for task in self.tasks), 256
        )
        self.openmp = machine.OpenMP()

    def run(self) -> Iterator[decode_report.Run]:
        for model in self.models:
            archive = Archive(str(model))
            size = weight_bytes(archive)
            text = Tokenizer(archive.metadata).encode(self.arguments.text.read_text())
            longest = max(task.prompt for task in self.tasks)
            if len(text) < longest:
                raise ValueError(
                    f"{self.arguments.text} has {len(text)} tokens, and {longest} are needed: take "
                    "another --text, or shorter --prompts and --prefill"
                )
            # A token reads the same weights as the one before, which a cache may hold.
            probe = Probe(resident=size <= SWEEP_BYTES)
            for threads in self.arguments.threads:
                yield self.run_setting(model, size, text, probe, threads)

    def run_setting(
        self, model: Path, size: int, text: list[int], probe: Probe, threads: int
    ) -> decode_report.Run:
        say(f"{model.name}, threads: {threads}: probing the machine")
        self.openmp.set_threads(threads)
        probe.sweep(threads, self.arguments.rounds)
        stages = self.stages(model, threads)
        workloads = {}
        for stage in stages:
            say(f"starting {stage.name}")
            time.sleep(IDLE_SECONDS)
            start = stage.start(text[: min(self.arguments.prompts)])._asdict()
            # A short prompt's text is soon a loop, in which nothing is in doubt.
            prompt = text[: max(self.arguments.prompts)]
            decoded = stage.decode(prompt, self.arguments.tokens)._asdict()
            workloads[stage.name] = start | {
                "peer": stage.name in PEERS,
                "text": decoded,
                "tasks": {},
            }
        check_texts({name: Text(**workload["text"]) for name, workload in workloads.items()})
        say(f"measuring, rounds: {self.arguments.rounds}")
        for _ in range(self.arguments.rounds):
            for task in self.tasks:
                for stage in stages:
                    time.sleep(IDLE_SECONDS)
                    bandwidth = probe.quick("f32", threads, size).bandwidth
                    time.sleep(IDLE_SECONDS)
                    sample = {"seconds": task.seconds(stage, text), "bandwidth": bandwidth}
                    workloads[stage.name]["tasks"].setdefault(task.name, []).append(sample)
        for stage in stages:
            workloads[stage.name]["memory_used"] = stage.memory()
            stage.close()
        return {
            "model": model.name,
            "threads": threads,
            "weight_bytes": size,
            "positions": self.positions,
            "tasks": {task.name: task._asdict() for task in self.tasks},
            "workloads": workloads,
        }

    def stages(self, model: Path, threads: int) -> list[Stage]:
        make = {
            f"lowbit {name}": partial(Lowbit, model, name, threads, self.positions)
            for name in self.activations
        }
        if self.llama:
            settings = (self.llama, model, threads, self.positions)
            make |= {name: partial(Llama, *settings, flash) for name, flash in PEERS.items()}
        return [Stage(name, self.openmp.cores, threads, each) for name, each in make.items()]


def main() -> None:
    arguments = parse_arguments()
    write_runs(Benchmark(arguments).run(), arguments.output, decode_report.table, decode_report.plot)


if __name__ == "__main__":
    try:
        main()
    except (ArithmeticError, LowbitError, MemoryError, OSError, RuntimeError, ValueError) as error:
        sys.exit(f"decode: error: {error}")
