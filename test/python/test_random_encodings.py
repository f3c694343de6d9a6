"""Any legal nesting works: random terms on random shapes. Each is refused with a reason or passes all of: text reads back as
itself; components have the bytes that the encoding says; encoded data and random bits decode to the reference's bits; an
encode gives the reference's components, or says that it cannot."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from random_encodings import check, make_case

COUNT = 150
CASES = [make_case(number) for number in range(COUNT)]


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case.number}") for case in CASES])
def test_random(case):
    try:
        check(case)
    except AssertionError as error:
        raise AssertionError(f"{case}: {error}") from error


def test_most_cases_are_legal():
    """A generator whose terms were all refused would test nothing."""
    from lowbit import _lowbit

    legal = 0
    for case in CASES:
        try:
            _lowbit.component_names(case.encoding, list(case.shape))
            legal += 1
        except RuntimeError:
            pass
    assert legal > COUNT // 2


def find_opt() -> str:
    from lowbit import _lowbit

    beside = Path(_lowbit.__file__).parents[2] / "bin" / "lowbit-opt"
    return str(beside) if beside.exists() else shutil.which("lowbit-opt") or pytest.skip("no lowbit-opt")


def test_texts_read_back(tmp_path):
    """What is printed is what was written: each case's type, through the printer and the parser twice."""
    from lowbit import _lowbit

    types = []
    for case in CASES:
        try:
            _lowbit.component_names(case.encoding, list(case.shape))
        except RuntimeError:
            continue
        types.append(f"tensor<{''.join(f'{n}x' for n in case.shape)}f32, {case.encoding}>")
    opt = find_opt()

    def read(text: str) -> str:
        return subprocess.run([opt], input=text, capture_output=True, text=True, check=True).stdout

    printed = read("\n".join(f"func.func private @f{i}({text})" for i, text in enumerate(types)))
    assert read(printed) == printed
    aliases = dict(line.split(" = ", 1) for line in printed.splitlines() if line.startswith("#"))
    for name in reversed(aliases):  # an alias is defined before its uses
        aliases = {other: text.replace(name + ",", aliases[name] + ",").replace(name + ">", aliases[name] + ">") for other, text in aliases.items()}
    written = {text[text.index("f32, ") + 5 : -1] for text in types}
    assert written <= set(aliases.values())
