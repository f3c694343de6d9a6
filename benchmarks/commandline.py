"""What the command lines of benchmarks have in common."""

from __future__ import annotations

import sys


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
