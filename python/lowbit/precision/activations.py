"""Activations: what the inputs of products are rounded to, weight by weight.

They are stored nowhere: what they cost is time and loss. So they are chosen in pairs with the encoding of the weight that they meet. In a plan the
input of a weight is KEY:input; a type is one of NAMED, or an encoding as `--activations` takes it.
"""

from __future__ import annotations

import json
from typing import Mapping, Sequence

from .. import _lowbit
from ..errors import LowbitError

NAMED = {
    "f32": "f32",
    "int15": "int<15>, scale = f32 per [1, 32], layout = planes<7, 8>",
    "int8": "int<8>, scale = f32 per [1, 32]",
}
"""As lib/Compile/Program.cpp has them."""

DEFAULT = "int15"
"""What models are run with where nobody says otherwise."""

METADATA_KEY = "lowbit.activations"
"""Of an archive: encodings by the names of weights, as JSON (include/lowbit/Import/Llama.h)."""

_INPUT, _PAIR = ":input", " on inputs of "


def make_pair(encoding: str, type: str) -> str:
    """A candidate of a weight and its input."""
    return f"{encoding}{_PAIR}{type}"


def split_pair(candidate: str) -> tuple[str, str]:
    """Encoding of the weight and type of its input."""
    encoding, _, type = candidate.partition(_PAIR)
    return encoding, type or DEFAULT


def split_choice(choice: Mapping[str, str]) -> dict[str, str]:
    """A choice of pairs as a plan has it."""
    plan = {}
    for key, candidate in choice.items():
        plan[key], type = split_pair(candidate)
        if _PAIR in candidate:
            plan[key + _INPUT] = type
    return plan


def is_input(key: str) -> bool:
    """Whether a plan's key names an input."""
    return key.endswith(_INPUT)


def check(type: str, where: str) -> None:
    """Raises LowbitError for what is no type."""
    for word, reason in (
        ("rule = given", "scales that are given come from the step static-activations, for all"),
        ("learned<", "levels are learned of weights, not while a program runs"),
    ):
        if word in type:
            raise LowbitError(f"{where}: activations of '{type}': {reason}")
    try:
        if type not in NAMED:
            _lowbit.encoded_bytes(f"#lowbit.quantized<{type}>", [1, 256])
    except RuntimeError as error:
        raise LowbitError(
            f"{where}: activations of '{type}': {error}",
            hint=f"give {', '.join(NAMED)}, or an encoding such as 'int<8>, scale = f32 per [1, 64]'",
        ) from None


def complete(plan: Mapping[str, str], products: Sequence[str]) -> dict[str, str]:
    """The type of each product's input by its weight, of the inputs in a plan; {} where there are none.

    Raises LowbitError that names the weight where it is no product's, or the type is none.
    """
    chosen = {key.removesuffix(_INPUT): type for key, type in plan.items() if is_input(key)}
    for key, type in chosen.items():
        if key not in products:
            raise LowbitError(
                f"the plan names the input of '{key}', which no product multiplies with",
                hint="take it out of the plan",
            )
        check(type, f"the input of '{key}'")
    return {key: chosen.get(key, DEFAULT) for key in products} if chosen else {}


def encoding_of(type: str) -> str:
    """As the IR takes it, within the brackets of #lowbit.quantized; 'f32' is none."""
    return NAMED.get(type, type)


def as_encodings(types: Mapping[str, str]) -> dict[str, str]:
    """As METADATA_KEY has them."""
    return {key: encoding_of(type) for key, type in types.items()}


def of_archive(archive: _lowbit.Archive) -> dict[str, str]:
    """What an archive says; the importer checks it."""
    text = archive.metadata(METADATA_KEY)
    chosen = json.loads(text) if isinstance(text, str) else {}
    return dict(chosen) if isinstance(chosen, dict) else {}


def as_plan(types: Mapping[str, str]) -> dict[str, str]:
    return {key + _INPUT: type for key, type in types.items()}
