"""Tables and plans as files of JSON: checked with errors that say where, and replaced at once."""

from __future__ import annotations

import contextlib
import json
import math
import numbers
import operator
import os
from typing import Any

from ...errors import LowbitError
from ...files import whole_file

SCHEMA = 1


def whole(value: Any, what: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if isinstance(value, bool) or number < 0:
        raise LowbitError(f"{what} is {value!r}: it must be a whole number, at least 0")
    return number


def real(value: Any, what: str) -> float:
    message = f"{what} is {value!r}: it must be a finite number, at least 0"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise LowbitError(message)
    try:
        number = float(value)
    except OverflowError:
        raise LowbitError(message) from None
    if not math.isfinite(number) or number < 0:
        raise LowbitError(message)
    return abs(number)  # not -0.0


def read_json(path: str | os.PathLike, what: str, fields: set[str]) -> dict[str, Any]:
    """The fields of a file of this schema. A name that is there twice is an error: JSON leaves open which one counts."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise LowbitError(f"'{twice}' is there twice")
        return found

    with located(path):
        try:
            with open(path, encoding="utf-8") as file:
                top = json.load(file, object_pairs_hook=unique)
        except json.JSONDecodeError as error:
            raise LowbitError(
                f"line {error.lineno}, column {error.colno}: this is no JSON: {error.msg}"
            ) from None
        except (ValueError, RecursionError):
            raise LowbitError("this is no JSON") from None
        if not isinstance(top, dict) or "schema" not in top:
            raise LowbitError(f"this is not {what}: it has no schema")
        if type(top["schema"]) is not int or top["schema"] != SCHEMA:
            raise LowbitError(f"schema is {top['schema']!r}, but this version reads {SCHEMA}")
        return mapping(top, what, fields)


def mapping(value: Any, where: str, fields: set[str] | None = None) -> dict[str, Any]:
    """`value` as an object of JSON, with no fields but these."""
    if not isinstance(value, dict):
        said = "missing" if value is None else f"{value!r}"
        raise LowbitError(f"{where} is {said}: it must be an object {{…}}")
    for name in value:
        if fields is not None and name not in fields:
            raise LowbitError(f"{where}: no field is named '{name}'", hint=_listed(fields))
    return value


def _listed(fields: set[str]) -> str:
    return f"the fields are {', '.join(sorted(fields))}"


@contextlib.contextmanager
def located(path: str | os.PathLike):
    """Errors name the file."""
    try:
        yield
    except LowbitError as error:
        raise LowbitError(f"'{os.fspath(path)}': {error}", hint=error.hint) from None


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes beside the file, then takes its place: a reader sees the old one or the new one."""
    text = json.dumps(value, indent=1, allow_nan=False) + "\n"
    with whole_file(os.fspath(path), ".json") as temporary:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
