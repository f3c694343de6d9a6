"""What the command lines of benchmarks have in common."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Callable, Iterable

import machine

Run = dict[str, Any]
Table = Callable[[Run], str]
Plot = Callable[[dict[str, Any], Path], None]


def numbers(text: str) -> list[int]:
    values = [int(number) for number in text.split(",")]
    if min(values) < 1:
        raise ValueError
    return values


def number(text: str) -> int:
    (value,) = numbers(text)
    return value


def say(text: str) -> None:
    print(f"==> {text}", file=sys.stderr, flush=True)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """What `write` writes to the path that it is given: the old file or the new one, whole."""
    temporary = path.with_stem(path.stem + ".part")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_runs(runs: Iterable[Run], output: Path, table: Table, plot: Plot) -> None:
    """Prints each run as it comes; those that there are become OUTPUT.json and OUTPUT.png."""
    data: dict[str, Any] = {"machine": machine.describe(), "command": sys.argv[1:], "runs": []}
    output.parent.mkdir(parents=True, exist_ok=True)
    path, picture = output.with_suffix(".json"), output.with_suffix(".png")
    for run in runs:
        data["runs"].append(run)
        print(table(run), end="\n\n", flush=True)
        text = json.dumps(data, indent=1) + "\n"
        write_whole(path, lambda to: to.write_text(text))
        write_whole(picture, lambda to: plot(data, to))
    say(f"written: {path} and its .png")


def show_runs(description: str | None, table: Table, plot: Plot) -> None:
    """The command line of a report: prints and plots a file of write_runs again."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("file", type=Path, help="what the benchmark wrote (.json)")
    file: Path = parser.parse_args().file
    data = json.loads(file.read_text())
    for run in data["runs"]:
        print(table(run), end="\n\n")
    plot(data, file.with_suffix(".png"))
