"""States that bitsandbytes' and torchao's optimizers saved, as encodings and components of ours."""

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
_CODES = ("codebook<dynamic, 8>", "codebook<dynamic_unsigned, 8>")
_CODES4 = ("codebook<dynamic, 4>", "codebook<linear_nonzero, 4>")


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy().reshape(1, -1)


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


def _blocks(format: str, elements: int, scales: int) -> str:
    block = next((b for b in (128, 256, 2048) if math.ceil(elements / b) == scales), None)
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


def recognize(saved: Mapping[str, Any]) -> list[Stored] | None:
    """The states of one parameter, in the order of the rule's, if this is what one of the two saved; else None."""
    if _BNB in saved or "state1" in saved:
        return _bitsandbytes(saved)
    if "exp_avg" in saved:
        return [_torchao(saved[key]) for key in ("exp_avg", "exp_avg_sq") if key in saved]
    if "momentum_buffer" in saved and saved["momentum_buffer"] is not None:
        return [_torchao(saved["momentum_buffer"])]
    return None


def convert(stored: Stored, encoding: str, view: tuple[int, int]) -> Components:
    """In another encoding, of a tensor that is seen as `view`; nothing is rounded where it is the same."""
    given, components = stored
    if given == encoding and view[0] == 1:
        return components
    values = _lowbit.decode(given, [1, math.prod(view)], components)
    return _lowbit.encode(values.reshape(view), encoding)
