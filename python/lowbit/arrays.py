"""Encodings on numpy arrays, by the scalar reference that every compiled kernel reproduces."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _lowbit
from .errors import LowbitError


def encode(
    array: ArrayLike,
    encoding: str,
    *,
    second_moments: ArrayLike | None = None,
    damping: float = 0.01,
    order: str = "natural",
    sweeps: int = 0,
    given: Mapping[str, ArrayLike] | None = None,
) -> dict[str, NDArray[Any]]:
    """The stored components of `array` in an encoding, by name ('codes', 'scale', 'blocks', …).

    array: anything that converts to float32.
    encoding: the attribute's text, as '#lowbit.quantized<int<4>, scale = f16 per [1, 32]>'.
    second_moments: [columns, columns], of the inputs of a weight [rows, columns], x.T @ x of many inputs x
        [n, columns]. Given, codes are not the nearest of each number: the error of each column is carried to
        those after it, so that x @ weight.T changes least (GPTQ, arXiv 2210.17323). The second moments should be
        summed in float64.
    damping: what is added to their diagonal, as a part of its mean; raised tenfold until they are positive definite.
    order: of columns: 'natural', or 'falling' by their own second moment (GPTQ's act_order), with scales of
        the values as they came.
    sweeps: afterwards each code is chosen anew that often with all others as they are, which only lowers the error
        (coordinate descent: QuantEase, arXiv 2309.01885).
    given: for an encoding with `rule = given`: its scales and zero points as they are stored, by component, as
        {'scale': [[0.01]]}.

    >>> lowbit.encode(np.float32([[1.0, -0.5]]), "#lowbit.quantized<int<4>, scale = f16 per [1, 2]>")
    """
    values = np.ascontiguousarray(array, np.float32)
    if order not in ("natural", "falling"):
        raise LowbitError(f"unknown order '{order}'", hint="'natural' or 'falling'")
    if second_moments is not None and given is not None:
        raise LowbitError(
            "scales are given, and codes that make up for one another choose their own",
            hint="leave second_moments or given out",
        )
    try:
        if second_moments is None:
            # Arrays have the type that is stored, plain numbers are f32.
            scales = {
                name: np.ascontiguousarray(part, getattr(part, "dtype", np.float32))
                for name, part in (given or {}).items()
            }
            return _lowbit.encode(values, encoding, scales)
        moments = np.ascontiguousarray(second_moments, np.float64)
        components, _ = _lowbit.encode_with_feedback(
            values, encoding, moments, damping, order == "falling", sweeps
        )
        return components
    except RuntimeError as error:
        raise LowbitError(str(error)) from None


def decode(
    encoding: str, shape: Sequence[int], components: Mapping[str, NDArray[Any]]
) -> NDArray[np.float32]:
    """The float32 values [shape] of stored components, exactly as the encoding defines them."""
    arrays = {name: np.ascontiguousarray(array) for name, array in components.items()}
    try:
        return _lowbit.decode(encoding, list(shape), arrays)
    except RuntimeError as error:
        raise LowbitError(str(error)) from None


def decode_ggml(raw: ArrayLike, type: str) -> NDArray[np.float32]:
    """The float32 values of a GGUF file's bytes, bit for bit those of gguf.quants.dequantize.

    raw: uint8 [..., bytes of a row], as gguf.GGUFReader gives the data of a quantized tensor.
    type: ggml's name of the tensor type: 'Q4_K', 'IQ4_XS', 'F16', …
    """
    raw = np.ascontiguousarray(raw)
    if raw.dtype != np.uint8 or raw.ndim == 0:
        raise LowbitError(
            f"decode_ggml() takes uint8 bytes, not {raw.ndim}-dimensional {raw.dtype}",
            hint="view the array's bytes with .view(np.uint8)",
        )
    try:
        encoding, block_size, block_bytes = _lowbit.ggml_type(type, raw.ndim)
    except RuntimeError as error:
        raise LowbitError(str(error)) from None
    if raw.shape[-1] % block_bytes:
        raise LowbitError(
            f"a row of {raw.shape[-1]} bytes is no whole number of {type} blocks",
            hint=f"{block_bytes} bytes hold {block_size} elements",
        )
    blocks = raw.shape[-1] // block_bytes
    if block_size > 1:
        components = {"blocks": raw.reshape(*raw.shape[:-1], blocks, block_bytes)}
        return decode(encoding, (*raw.shape[:-1], blocks * block_size), components)
    if type.upper() == "BF16":
        return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
    return raw.view(f"<f{block_bytes}").astype(np.float32)
