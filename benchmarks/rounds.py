"""Measuring workloads against each other: all of them in each round, each right after a look at the machine."""

from __future__ import annotations

import time
from typing import NamedTuple, Sequence

from probe import QUICK_BYTES, Bounds, Probe
from workload import Workload


class Sample(NamedTuple):
    seconds: float  # of one call
    bounds: Bounds


def check(workload: Workload) -> float:
    """The error of its results, from a turn that also warms it up; raises for one that is not expected."""
    workload.run()
    error = workload.error()
    least, most = workload.errors
    if not error <= most:
        raise ArithmeticError(
            f"{workload.name} computes a wrong y: its relative error is {error:.2g}, "
            f"and {most:.2g} at most is expected"
        )
    if error < least:
        raise ArithmeticError(
            f"{workload.name} is not what it is called: the relative error of its y is only {error:.2g}, "
            f"as if activations were not rounded; jobs.py expects {least:.2g} at least"
        )
    return error


def measure(
    workloads: Sequence[Workload], probe: Probe, threads: int, rounds: int
) -> list[list[Sample]]:
    """Of each workload, one for each round. Those of a round belong together: the machine's speed drifts."""
    samples: list[list[Sample]] = [[] for _ in workloads]
    for _ in range(rounds):
        for workload, taken in zip(workloads, samples):
            size = workload.matrix_bytes if probe.resident else QUICK_BYTES
            bounds = probe.quick(workload.arithmetic, threads, size)
            start = time.perf_counter()
            workload.run()
            seconds = (time.perf_counter() - start) / workload.calls
            taken.append(Sample(seconds, bounds))
    return samples
