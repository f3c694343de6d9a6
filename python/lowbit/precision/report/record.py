"""The record of a quantization: everything that its report shows, as plain JSON.

A record is a dict. Only "model", "recipe" and "tensors" must be there; the report leaves out what is absent. Sizes are in bytes, times in
seconds. Numbers may be NaN or infinite: that is a finding, which the report shows.
"""

from __future__ import annotations

import numbers
from typing import Any, Required, Sequence, TypedDict, get_args, get_origin, get_type_hints

import numpy as np

from ...errors import LowbitError

SCHEMA = 1
_WHOLE = "it"


class Vector(Sequence[float]):
    """Marks lists of numbers, one for each channel; numpy arrays will do, too. None is NaN."""


class Calibration(TypedDict, total=False):
    text: str
    """The name of the file that the tokens are of."""
    tokens: float
    sequences: float
    length: float
    """Tokens in a sequence."""
    seconds: float


class Totals(TypedDict, total=False):
    weights: float
    """How many there are."""
    bytes: float
    bytes_before: float
    bits_per_weight: float
    seconds: float
    peak_memory_bytes: float


class Step(TypedDict, total=False):
    name: Required[str]
    seconds: float
    note: str


class Tensor(TypedDict, total=False):
    key: Required[str]
    shape: list[int]
    encoding: str
    bytes: float
    bits_per_weight: float
    error: float
    """Of the layer's output on the calibration inputs X, squared and relative: tr(E H Eᵀ) / tr(W H Wᵀ) with H = Xᵀ X."""
    error_nearest: float
    """The same if each weight is rounded to the nearest value that it can have."""
    weight_error: float
    """The same with the identity for H: ‖E‖² / ‖W‖²."""
    activations: str
    """What its inputs are rounded to, as `--activations` takes it, where that was chosen for it."""
    decisions: list[str]
    """What was done, in order. Those that begin with "refused" say what was not, and why."""
    seconds: float


class Site(TypedDict, total=False):
    """A place in the network at which activations are inputs of tensors."""

    name: Required[str]
    feeds: list[str]
    """Keys of these tensors."""
    maxima: Required[Vector]
    """Of each channel, the greatest magnitude."""
    root_mean_squares: Vector
    maxima_after: Vector
    """The maxima after conditioning: once scales have migrated, or the channels are rotated."""


class Point(TypedDict, total=False):
    """An allocation that no other of at most its size betters."""

    bytes: Required[float]
    loss: Required[float]
    bits_per_weight: float


class Candidate(TypedDict, total=False):
    """An encoding that a tensor might have had."""

    key: Required[str]
    encoding: str
    bytes: float
    loss: float
    seconds: float


class Rejected(TypedDict, total=False):
    """An encoding that was no candidate, or not of each tensor."""

    encoding: Required[str]
    reason: Required[str]


class Cache(TypedDict, total=False):
    """A key-value cache of a language model."""

    key: Required[str]
    shape: list[int]
    """[heads, tokens, head size]."""
    encoding: Required[str]
    """As `--kv-cache` takes it."""
    bytes: float


class Budgets(TypedDict, total=False):
    bytes: float


class Allocation(TypedDict, total=False):
    budgets: Budgets
    bytes: float
    """Of the allocation that was chosen."""
    loss: float
    """Of the allocation that was chosen."""
    bound: float
    """No allocation within the budgets has a smaller loss: this is proven."""
    gap: float
    """(loss - bound) / loss."""
    status: str
    rejected: list[Rejected]
    flat: list[str]
    """Tensors with an estimate of curvature below 0, which counts as 0."""
    front: list[Point]
    candidates: list[Candidate]


class Record(TypedDict, total=False):
    schema: int
    model: Required[str]
    recipe: Required[str]
    description: str
    """What the recipe's steps are, in a sentence."""
    command: str
    calibration: Calibration
    budget: str
    totals: Totals
    steps: list[Step]
    tensors: Required[list[Tensor]]
    """In the order of the file."""
    sites: list[Site]
    context: float
    """Tokens that the caches are counted for."""
    caches: list[Cache]
    allocation: Allocation


def _fail(where: str, what: str) -> None:
    raise LowbitError(
        f"this is no record of a quantization: {where} is {what}",
        hint="pass what `lowbit quantize` made (lowbit/precision/report/record.py has the schema)",
    )


def _checked_fields(value: Any, schema: type, where: str) -> dict:
    if not isinstance(value, dict):
        _fail(where, "no object")
    result = {}
    for name, hint in get_type_hints(schema, include_extras=True).items():
        path = name if where == _WHOLE else f"{where}.{name}"
        required = get_origin(hint) is Required
        if value.get(name) is not None:
            result[name] = _checked(value[name], get_args(hint)[0] if required else hint, path)
        elif required:
            _fail(path, "missing")
    return result


def _checked(value: Any, hint: Any, where: str) -> Any:
    if hint is Vector:
        return _checked_vector(value, where)
    if hint in (int, float):
        # Of bool Python says that it is a number.
        if not isinstance(value, numbers.Real) or isinstance(value, bool):
            _fail(where, "no number")
        try:
            return hint(value)
        except (OverflowError, ValueError):
            if hint is int:
                _fail(where, "no whole number")
            return float("inf") if value > 0 else float("-inf")
    if hint is str:
        if not isinstance(value, str):
            _fail(where, "no text")
        return value
    if get_origin(hint) is list:
        if not isinstance(value, (list, tuple)):
            _fail(where, "no list")
        of = get_args(hint)[0]
        return [_checked(item, of, f"{where}[{index}]") for index, item in enumerate(value)]
    return _checked_fields(value, hint, where)


def _checked_vector(value: Any, where: str) -> np.ndarray:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.zeros(())
    except OverflowError:  # an int that no float64 holds
        array = np.array([_checked(item, float, f"{where}[…]") for item in value])
    if array.ndim != 1:
        _fail(where, "no list of numbers")
    return array


def checked(record: Any) -> Record:
    """A copy with the fields above alone, of just these types: numbers as float, vectors as [channels] float64, nothing that is None.

    What is of another type is a LowbitError that names the first such field.
    """
    result = _checked_fields(record, Record, _WHOLE)
    if result.get("schema", SCHEMA) != SCHEMA:
        raise LowbitError(
            f"the record has schema {result['schema']}; this version reads {SCHEMA}",
            hint="use the version of lowbit that wrote it",
        )
    return result
