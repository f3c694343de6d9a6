"""Which pass changed the numbers: the reference lowering after any pass of a pipeline.

    differences = compare_after_each_pass(module, "main", inputs, pipeline="lowbit-explicit-pipeline,lowbit-tiling-pipeline")

runs the pipeline pass by pass; after each one the module as it then is goes down the rest of the reference pipeline, runs,
and its results are compared with those of the reference pipeline on the original module.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lowbit import _lowbit

TILING = "lowbit-explicit-pipeline,lowbit-tiling-pipeline"
REST = "lowbit-components,func.func(lowbit-build-tiles),lowbit-bufferization-pipeline,lowbit-llvm-pipeline"
"""From an explicit program, or anything later up to tiles, to what can run."""


@dataclass
class Difference:
    """The first result that was not as expected after the passes up to and including number `position`."""

    position: int
    step: str
    message: str

    def __str__(self) -> str:
        return f"after pass {self.position}, {self.step}: {self.message}"


def list_passes(pipeline: str) -> list[str]:
    """The passes that a pipeline on modules consists of, each as text that runs it on a module."""
    tool = Path(_lowbit.__file__).parents[2] / "bin" / "lowbit-opt"
    done = subprocess.run(
        [tool, "--dump-pass-pipeline", f"--pass-pipeline=builtin.module({pipeline})"],
        input="module {}", capture_output=True, text=True,
    )  # fmt: skip
    start = done.stderr.find("builtin.module(")
    if start < 0:
        raise ValueError(f"'{pipeline}' is no pipeline: {done.stderr.strip()}")
    lines = done.stderr[start:].splitlines()
    return _flatten("".join(line.strip() for line in lines), "builtin.module")


def _flatten(text: str, anchor: str) -> list[str]:
    """`anchor(a,b{x=1},func.func(c,d))` to [a, b{x=1}, func.func(c), func.func(d)]."""
    body = text[len(anchor) + 1 : text.rindex(")")]
    steps, depth, start = [], 0, 0
    for i, character in enumerate(body + ","):
        depth += character in "({"
        depth -= character in ")}"
        if character == "," and depth == 0:
            step = body[start:i].strip()
            start = i + 1
            nested = step.split("(")[0]
            if "(" in step and "{" not in nested:
                steps += [f"{nested}({inner})" for inner in _flatten(step, nested)]
            elif step:
                steps.append(step)
    return steps


def compare_after_each_pass(
    module: str, entry: str, inputs: list, pipeline: str = TILING, tolerance: float = 0.0
) -> tuple[list[str], list[Difference]]:
    """Runs `pipeline` (names or passes, comma-separated) as described above.

    The entry's arguments are `inputs`, encoded ones by component. Integer results must be equal; float results must lie
    within `tolerance` times the largest magnitude of the expected array, 0 means bit for bit.
    Returns the passes and a Difference for each after which a result was different, or which could not be lowered.
    """
    expected = _lowbit.run_module(module, entry, inputs, pipeline="reference")
    passes, differences = list_passes(pipeline), []
    for position, step in enumerate(passes, start=1):
        try:
            module = _lowbit.opt(module, f"builtin.module({step})")
        except RuntimeError as error:
            differences.append(Difference(position, step, str(error)))
            break
        try:
            actual = _lowbit.run_module(module, entry, inputs, pipeline=f"builtin.module({REST})")
        except RuntimeError as error:
            differences.append(Difference(position, step, str(error)))
            continue
        if message := _describe(actual, expected, tolerance):
            differences.append(Difference(position, step, message))
    return passes, differences


def _describe(actual: list, expected: list, tolerance: float) -> str | None:
    if len(actual) != len(expected):
        return f"{len(actual)} results instead of {len(expected)}"
    for number, (have, want) in enumerate(zip(actual, expected)):
        if have.shape != want.shape or have.dtype != want.dtype:
            return f"result {number} is {have.dtype} {have.shape} instead of {want.dtype} {want.shape}"
        if tolerance and want.dtype.kind == "f":
            scale = np.max(np.abs(want), initial=0.0)
            wrong = ~(np.abs(have - want) <= tolerance * scale)
        else:
            wrong = (have != want) & ~((have != have) & (want != want))
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            return f"{wrong.sum()} elements of result {number} differ, first {place}: {have[place]} instead of {want[place]}"
    return None
