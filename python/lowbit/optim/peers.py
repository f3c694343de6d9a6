"""States that optimizers of bitsandbytes, torchao and FlashOptim saved, as encodings and components of ours."""

from __future__ import annotations

import math
from typing import Any, Mapping

import numpy as np
import torch

from .. import _lowbit
from ..errors import LowbitError
from .functional import Components

Stored = tuple[str, Components]
"""An encoding ('': plain f32), and its components for a tensor [1, n]."""

_BNB = "__bnb_optimizer_quant_state__"
_NAMES = ("exp_avg", "exp_avg_sq", "momentum_buffer")
"""Torch's, which torchao and FlashOptim have, too."""
_CODES = ("codebook<dynamic, 8>", "codebook<dynamic_unsigned, 8>")
_CODES4 = ("codebook<dynamic, 4>", "codebook<linear_nonzero, 4>")


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().contiguous().numpy().reshape(1, -1)


def _plain(tensor: torch.Tensor) -> Stored:
    return "", {"values": _numpy(tensor.float())}


def _levels(format: str) -> np.ndarray:
    """Of all codes."""
    bits = 4 if format in _CODES4 else 8
    codes = np.arange(1 << bits, dtype=np.uint8)
    if bits == 4:
        codes = codes[0::2] | codes[1::2] << 4
    return _lowbit.decode(
        f"#lowbit.quantized<{format}>", [1, 1 << bits], {"codes": codes.reshape(1, -1)}
    )[0]


def _format(table: torch.Tensor, known: tuple[str, ...]) -> str:
    for format in known:
        levels = _levels(format)
        if len(levels) == table.numel() and np.allclose(
            levels, _numpy(table)[0], rtol=1e-6, atol=0
        ):
            return format
    raise LowbitError(
        "saved states have a table of levels that is none of bitsandbytes' or torchao's"
    )


def _blocks(
    format: str, elements: int, scales: int, known: tuple[int, ...] = (128, 256, 2048)
) -> str:
    block = next((b for b in known if math.ceil(elements / b) == scales), None)
    if block is None:
        raise LowbitError(f"{scales} scales of {elements} elements fit no block size that is known")
    return f"#lowbit.quantized<{format}, scale = f32 per [1, {block}]>"


def _bitsandbytes(saved: Mapping[str, Any]) -> list[Stored]:
    """`state1` and `state2`, codes of uint8 with absmax per block, or plain."""
    fields = {**saved, **saved.get(_BNB, {})}
    states = []
    for i in ("1", "2"):
        state = fields.get(f"state{i}")
        if state is None:
            continue
        if state.dtype != torch.uint8:
            states.append(_plain(state))
            continue
        format, scales = _format(fields[f"qmap{i}"], _CODES), _numpy(fields[f"absmax{i}"])
        encoding = _blocks(format, state.numel(), scales.size)
        states.append((encoding, {"codes": _numpy(state), "scale": scales}))
    return states


def _torchao(state: Any) -> Stored:
    """A subclass of a tensor with codes and scales, or a plain tensor."""
    if not hasattr(state, "codes"):
        return _plain(state)
    scales = _numpy(state.scale)
    if state.codes.dtype == torch.float8_e4m3fn:
        codes = _numpy(state.codes.view(torch.uint8))
        return _blocks("e4m3", codes.size, scales.size), {"codes": codes, "scale": scales}
    codes = _numpy(state.codes)
    if state.qmap.numel() == 16:
        # The first element is in the high half of a byte there, and in the low one here.
        codes = (codes << 4 | codes >> 4).astype(np.uint8)
        format, elements = _format(state.qmap, _CODES4), 2 * codes.size
    else:
        format, elements = _format(state.qmap, _CODES), codes.size
    return _blocks(format, elements, scales.size), {"codes": codes, "scale": scales}


def _flashoptim(name: str, saved: Mapping[str, Any]) -> Stored:
    """Codes, counted from -127 where they have a sign, and scales in f16: where they have none, those of roots."""
    signed = name != "exp_avg_sq"
    codes, scales = saved[f"{name}::quantized"].to(torch.int16), saved[f"{name}::scales"]
    # Of parameters in bfloat16 the bits are saved as if they were such, too, for torch to leave them alone.
    scales = _numpy(
        (scales.view(torch.float16) if scales.dtype == torch.bfloat16 else scales).float()
    )
    codes = _numpy(codes) + (127 if signed else 0)
    if np.any((codes < 0) | (codes > (254 if signed else 255))):
        raise LowbitError(f"saved states have codes of {name} that FlashOptim does not write")
    # Squares of numbers of 11 bits: f32 holds them as they are.
    format, scales = ("softsign", scales) if signed else ("sqrt", scales * scales)
    encoding = _blocks(f"codebook<{format}, 8>", codes.size, scales.size, (32,))
    return encoding, {"codes": codes.astype(np.uint8), "scale": scales}


def correction(
    saved: Mapping[str, Any], group: Mapping[str, Any], parameter: torch.Tensor, bits: int
) -> Stored:
    """FlashOptim's `error_bits` of a parameter in bfloat16, in 127ths or 32767ths of half the step of its exponent, as what a split weight
    with so many bits has: steps of the last one."""
    errors = saved["error_bits"]
    if errors.numel() != parameter.numel():
        raise LowbitError(
            f"{errors.numel()} saved corrections are those of another parameter than one of {parameter.numel()} elements"
        )
    # Of type bfloat16 for torch to leave them alone: 8 bits are the number, 16 bits are its bits.
    if errors.is_floating_point():
        errors = errors.view(torch.int16) if group.get("master_bytewidth") == 4 else errors.char()
    high = parameter.detach().contiguous().view(torch.int16).numpy().astype(np.int32).reshape(1, -1)
    near = (high << 16).view(np.float32)
    exponent = np.maximum(high >> 7 & 0xFF, 1) - (127 + 7 + 1)
    share = _numpy(errors).astype(np.float32) / np.float32(torch.iinfo(errors.dtype).max)
    weight = near + np.ldexp(share, exponent)
    after, before = weight.view(np.int32), near.view(np.int32)
    known = np.isfinite(weight) & (after ^ before >= 0)  # of one sign
    steps = np.where(known, after - before, 0).astype(np.float32)
    return "", {"values": steps / np.float32(1 << (16 - bits))}


def recognize(saved: Mapping[str, Any]) -> list[Stored] | None:
    """The states of one parameter, in the order of the rule's, if this is what one of them saved; else None."""
    if _BNB in saved or "state1" in saved:
        return _bitsandbytes(saved)
    states = []
    for name in _NAMES:
        if f"{name}::quantized" in saved:
            states.append(_flashoptim(name, saved))
        elif saved.get(name) is not None:
            states.append(_torchao(saved[name]))
    return states if states or "error_bits" in saved else None


def convert(stored: Stored, encoding: str, view: tuple[int, int]) -> Components:
    """In another encoding, of a tensor that is seen as `view`; nothing is rounded where it is the same."""
    given, components = stored
    if given == encoding and view[0] == 1:
        return components
    values = _lowbit.decode(given, [1, math.prod(view)], components)
    return _lowbit.encode(values.reshape(view), encoding)
