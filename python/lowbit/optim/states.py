"""What states are stored in: named schemes, encodings, or assignments as `lowbit-assign-states` takes them."""

from __future__ import annotations

import json
import re
from typing import Collection, Mapping

from ..errors import LowbitError


def _blocks(format: str, block: int, scale: str = "f32") -> str:
    return f"#lowbit.quantized<{format}, scale = {scale} per [1, {block}]>"


def _scheme(signed: str, nonnegative: str, least: int) -> str:
    """Assignments of one encoding for states of either sign and one for those without; small tensors stay f32."""
    return (
        f"{{nonnegative = true, elements = {least}, encoding = {nonnegative}}}, "
        f"{{nonnegative = false, elements = {least}, encoding = {signed}}}"
    )


_INT4 = _scheme(
    _blocks("codebook<dynamic, 4>", 128), _blocks("codebook<linear_nonzero, 4>", 128), 4097
)
_RANK1 = "#lowbit.quantized<codebook<linear_nonzero, 4>, scale = f32 rank1<min>>"

NAMED = {
    "f32": "",
    "bf16": "{encoding = #lowbit.quantized<bf16>}",
    # bitsandbytes' 8-bit states: dynamic codes, blocks of 256, tensors from 4096 elements on. Dettmers et al., "8-bit
    # Optimizers via Block-wise Quantization", 2021.
    "dynamic8": _scheme(
        _blocks("codebook<dynamic, 8>", 256), _blocks("codebook<dynamic_unsigned, 8>", 256), 4096
    ),
    # Equal steps of 2 x / (1 + |x|) and of the square root, blocks of 32, whatever the size. Gonzalez Ortiz et al., "FlashOptim:
    # Optimizers for Memory Efficient Training", 2026. Its scales are f16, which small gradients are out of the range of, and its second
    # moments may be 0, which makes steps far too long.
    "companded8": _scheme(
        _blocks("codebook<softsign, 8>", 32, "bf16"),
        _blocks("codebook<sqrt_nonzero, 8>", 32, "bf16"),
        0,
    ),
    # What FlashOptim has, to go on from its states code for code. f32 holds its scales, which are f16, and the squares of those of roots.
    "companded8_flashoptim": _scheme(
        _blocks("codebook<softsign, 8>", 32), _blocks("codebook<sqrt, 8>", 32), 0
    ),
    # E5M2 for what has no sign: E4M3 would store as 0 what is below 2e-6 of the largest of its block, and a second moment of 0 makes
    # steps far too long.
    "fp8": _scheme(_blocks("e4m3", 256), _blocks("e5m2", 256), 4096),
    # What torchao's AdamWFp8 has, to go on from its states code for code.
    "fp8_torchao": _scheme(_blocks("e4m3", 256), _blocks("e4m3", 256), 4096),
    # Dynamic exponent for what has a sign, linear without zero for what has none, blocks of 128, tensors of more than 4096
    # elements. Li, Chen and Zhu, "Memory Efficient Optimizers with 4-bit States", 2023: its fused kernel, which has no rank-1
    # scales.
    "int4": _INT4,
    # The same with the scales that the paper recommends for what has no sign: of rows and columns, where there are any.
    "int4_rank1": f"{{nonnegative = true, elements = 4097, rows = 2, encoding = {_RANK1}}}, {_INT4}",
}
"""Schemes by name: assignments without the brackets around them."""

MATRICES = {"int4_rank1"}
"""Schemes that look at a parameter as a matrix; to others it is [1, n], if the rule does not mind."""

_FLOATS = {
    "f32": "",
    "bf16": ", encoding = #lowbit.quantized<bf16>",
    "bf16_stochastic": ", encoding = #lowbit.quantized<bf16, rounding = stochastic<0>>",
    "f16": ", encoding = #lowbit.quantized<f16>",
    # A bf16 that the model computes with, and what an optimizer knows beyond it: 24 or 32 bits of a weight in f32.
    "bf16+8": ", encoding = #lowbit.split<bf16, 8>",
    "bf16+16": ", encoding = #lowbit.split<bf16, 16>",
}


def _listed(text: str) -> str:
    return text[1:-1].strip()


def _assignments(states: str, own: Mapping[str, str]) -> str:
    if states in NAMED or states in own:
        return ", ".join(filter(None, [_listed(own.get(states, "[]")), NAMED.get(states)]))
    text = states.strip()
    if text.startswith("#"):
        return f"{{encoding = {text}}}"
    if text.startswith("[") and text.endswith("]"):
        return _listed(text)
    known = ", ".join([*NAMED, *(own.keys() - NAMED.keys())])
    raise LowbitError(
        f"states '{states}' are no scheme",
        hint=f"known are {known}; or give an encoding, as '#lowbit.quantized<int<8>, scale = f32 per [1, 256]>'",
    )


def _quoted(name: str) -> str:
    """A name as a pattern that fits nothing else, in quotes."""
    pattern = re.sub(r"([][*?{}\\!^])", r"\\\1", name)
    return json.dumps(pattern, ensure_ascii=False)


def of_plan(path: str, parameters: Collection[str], states: Collection[str]) -> str:
    """Assignments by a plan of lowbit.optim.allocate_states(), a file that may have been edited; what it does not name is f32.

    Raises LowbitError where it names what is no parameter, or no state of the rule.
    """
    from ..precision.allocation import read_plan

    try:
        plan = read_plan(path)
    except OSError as error:
        raise LowbitError(f"{path}: {error.strerror}") from None
    fields = []
    for tensor, encoding in plan.tensors.items():
        parameter, _, state = tensor.rpartition("/")
        if parameter not in parameters:
            raise LowbitError(
                f"'{path}': '{tensor}' is of no parameter that is here",
                hint="tensors are named PARAMETER/STATE, as 'embed/m'",
            )
        if state not in states:
            raise LowbitError(
                f"'{path}': '{tensor}' is no state of the rule", hint=f"states: {', '.join(states)}"
            )
        stored = "" if encoding == "f32" else f", encoding = {encoding}"
        fields.append(f"{{parameters = {_quoted(parameter)}, names = {_quoted(state)}{stored}}}")
    return f"[{', '.join(fields)}]"


def assignments(
    states: str | Mapping[str, str], parameters: str, gradients: str, own: Mapping[str, str]
) -> str:
    """The list that `lowbit-assign-states` takes.

    own: the rule's schemes: of one that NAMED has, too, the rule's assignments come first.
    states: a scheme of NAMED or the rule, an encoding for all states, a list of assignments as text, or encodings by patterns of the
        states' names, as {'m': '#lowbit…', '*': 'f32'}.
    parameters, gradients: 'f32', 'bf16', 'bf16_stochastic', 'f16', and parameters 'bf16+8' or 'bf16+16'.
    """
    fields = []
    for name, dtype in (("parameter", parameters), ("gradient", gradients)):
        known = [kind for kind in _FLOATS if name == "parameter" or "+" not in kind]
        if dtype not in known:
            raise LowbitError(f"{name}s are {', '.join(known)}, not '{dtype}'")
        fields.append(f'{{names = "{name}"{_FLOATS[dtype]}}}')
    if isinstance(states, str):
        fields.append(_assignments(states, own))
    else:
        for pattern, encoding in states.items():
            stored = "" if encoding == "f32" else f", encoding = {encoding}"
            fields.append(f'{{names = "{pattern}"{stored}}}')
    return f"[{', '.join(filter(None, fields))}]"
