#!/usr/bin/env python3
"""Speed of compiled multiplications y = x wᵀ by encoded weights w, against ggml's and against what the machine can do
at most.

Prints a table for each shape, batch and number of threads; docs/Benchmarks.md tells what its columns mean. Needs
lowbit, benchmarks/requirements.txt and, to compare with ggml, scripts/get-ggml.sh, which it calls.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any, Iterator

import ggml
import jobs
import machine
import report
from commandline import number, numbers, say, write_runs
from jobs import Job
from peers import GgmlMatmul, kernels
from probe import PEAKS, QUICK_BYTES, Probe
from rounds import Sample, check, measure
from workload import Setting, Workload, gaussian

try:
    from lowbit import _lowbit
    from programs import LowbitMatmul
except ModuleNotFoundError as error:
    sys.exit(f"gemv: error: {error}: run .venv/bin/python, which scripts/setup.sh makes")


def shape(text: str) -> tuple[int, int]:
    n, k = (number(extent) for extent in text.split("x"))
    return n, k


def parse_arguments(
    description: str, name: str, batches: list[int], shapes: list[tuple[int, int]]
) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def add(name: str, help: str, **options: Any) -> None:
        parser.add_argument(name, help=help, **options)

    add(
        "--shape",
        f"of w; may be repeated ({', '.join(f'{n}x{k}' for n, k in shapes)})",
        type=shape,
        action="append",
        metavar="NxK",
    )
    add(
        "--batch",
        f"rows of x ({','.join(map(str, batches))})",
        type=numbers,
        default=batches,
        metavar="M,...",
    )
    add("--threads", "(1 and one for each core)", type=numbers, metavar="N,...")
    add("--jobs", "of the table in jobs.py (all)", metavar="NAME,...")
    add("--encoding", "this one instead of the table's", metavar="TEXT")
    add(
        "--activations",
        "with --encoding (%(default)s)",
        choices=jobs.ACTIVATIONS,
        default="f32",
    )
    add("--peers", "types of ggml (those of the jobs; '' for none)", metavar="TYPE,...")
    add("--options", "more of lowbit-cpu-pipeline, for all jobs", default="", metavar="TEXT")
    add("--rounds", "of measuring all (7)", type=number, default=7, metavar="N")
    add(
        "--megabytes",
        "distinct weights in a turn, at least (256)",
        type=number,
        default=256,
        metavar="N",
    )
    add("--resident", "one matrix for each job, which stays in a cache", action="store_true")
    add("--small-pages", "weights in 4K pages instead of 2M, ggml's too", action="store_true")
    add("--ggml", "folder of its libraries (scripts/get-ggml.sh)", type=Path, metavar="FOLDER")
    output = machine.BUILD / name
    add("--output", f"PATH.json and PATH.png ({output})", type=Path, default=output, metavar="PATH")
    arguments = parser.parse_args()
    arguments.shape = arguments.shape or shapes
    arguments.threads = arguments.threads or sorted({1, os.cpu_count() or 1})
    return arguments


class Benchmark:
    """The jobs of one command line, measured in setting after setting."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        peers = None if arguments.peers is None else tuple(filter(None, arguments.peers.split(",")))
        if unknown := set(peers or ()) - set(ggml.TYPES):
            raise ValueError(
                f"no ggml type {', '.join(unknown)}: known are {', '.join(ggml.TYPES)}"
            )
        self.jobs = jobs.select(
            arguments.jobs, arguments.encoding, arguments.activations, peers, arguments.options
        )
        self.openmp = machine.OpenMP()
        self.ggml = None
        if any(job.peers for job in self.jobs):
            self.ggml = ggml.Ggml(arguments.ggml or ggml.build())
        self.probe = Probe(arguments.resident)
        self.bounds: dict[int, dict[str, Any]] = {}  # by threads: the machine's bounds

    def set_threads(self, threads: int) -> None:
        self.openmp.set_threads(threads)
        if self.ggml:
            self.ggml.set_threads(threads)
        if threads not in self.bounds:
            say(f"probing the machine, threads: {threads}")
            rounds = self.arguments.rounds
            rates = self.probe.sweep(threads, rounds)
            self.bounds[threads] = {
                "reads": [{"variant": str(each), "rate": rate} for each, rate in rates.items()],
                "peaks": {name: self.probe.peak(name, threads, rounds) for name in PEAKS},
            }

    def run(self) -> Iterator[report.Run]:
        for n, k in self.arguments.shape:
            say(f"encoding weights {n} x {k} for {len(self.jobs)} jobs")
            weights = gaussian(n, k)
            types = list(dict.fromkeys(type for job in self.jobs for type in job.peers))
            with self.openmp.other_threads() as pool:
                ours = pool.map(lambda job: _lowbit.encode(weights, job.encoding), self.jobs)
                theirs = pool.map(lambda type: self.ggml.quantize(type, weights), types)
                encoded = dict(zip(self.jobs, ours))
                raw = dict(zip(types, theirs))
            for batch in self.arguments.batch:
                yield from self.run_setting(n, k, batch, encoded, raw)

    def run_setting(
        self, n: int, k: int, batch: int, encoded: dict[Job, Any], raw: dict[str, Any]
    ) -> Iterator[report.Run]:
        found = kernels(self.ggml, raw, n, k, batch) if self.ggml else []
        setting = self.choose_setting(n, k, batch, len(encoded) + len(found))
        say(
            f"batch {batch}: compiling {len(encoded)} programs, building {len(found)} graphs of ggml"
        )
        workloads: list[Workload] = []
        for (
            job,
            components,
        ) in encoded.items():  # each with those of its peers that are not there yet
            workloads.append(LowbitMatmul(job, components, setting))
            for type, buffer in [kernel for kernel in found if kernel[0] in job.peers]:
                found.remove((type, buffer))
                workloads.append(GgmlMatmul(self.ggml, type, buffer, raw[type], setting))
        self.openmp.check_alone()
        for threads in self.arguments.threads:
            self.set_threads(threads)
            say(f"measuring, threads: {threads}, rounds: {self.arguments.rounds}")
            errors = [check(workload) for workload in workloads]
            samples = measure(workloads, self.probe, threads, self.arguments.rounds)
            yield {
                "n": n,
                "k": k,
                "batch": batch,
                "threads": threads,
                "resident": setting.resident,
                "huge_pages": setting.huge_pages,
                "operations": setting.operations,
                **self.bounds[threads],
                "workloads": [record(*each) for each in zip(workloads, errors, samples)],
            }
        for workload in workloads:
            workload.close()

    def choose_setting(self, n: int, k: int, batch: int, workloads: int) -> Setting:
        """What a turn reads is not in a cache any more when its next turn comes."""
        turn = self.arguments.megabytes << 20
        if not self.arguments.resident:
            turn = max(turn, machine.beyond_caches() // workloads)
            needed, available = workloads * turn // batch, machine.available_memory()
            if needed > available:
                raise MemoryError(
                    f"{workloads} jobs and kernels of {turn >> 20} MB do not fit into "
                    f"{available >> 20} MB of memory: take fewer --jobs or a lower --megabytes"
                )
            say(
                f"weights of a turn: {turn // batch >> 20} MB; read between two uses of one: "
                f"{workloads * (turn // batch + QUICK_BYTES) >> 20} MB"
            )
        pages = not self.arguments.small_pages
        return Setting(n, k, batch, turn, self.arguments.resident, pages)


def record(workload: Workload, error: float, samples: list[Sample]) -> dict[str, Any]:
    return workload.describe() | {
        "name": workload.name,
        "bits": workload.bits,
        "bytes": workload.matrix_bytes,
        "calls": workload.calls,
        "arithmetic": workload.arithmetic,
        "error": error,
        "seconds": [sample.seconds for sample in samples],
        "bandwidth": [sample.bounds.bandwidth for sample in samples],
        "peak": [sample.bounds.peak for sample in samples],
    }


def main(
    description: str | None = __doc__,
    name: str = "gemv",
    batches: list[int] = [1],
    shapes: list[tuple[int, int]] = [(4096, 4096), (11008, 4096)],
) -> None:
    """The command `name`, with its defaults."""
    try:
        arguments = parse_arguments(description, name, batches, shapes)
        write_runs(Benchmark(arguments).run(), arguments.output, report.table, report.plot)
    except (ArithmeticError, MemoryError, RuntimeError, ValueError) as error:
        sys.exit(f"{name}: error: {error}")


if __name__ == "__main__":
    main()
