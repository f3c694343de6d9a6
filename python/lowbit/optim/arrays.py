"""Arrays of other libraries, where they lie, and arrays of states."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _lowbit
from ..errors import LowbitError

_CACHE_LINE = 64


def _as_numpy(array: Any) -> NDArray[Any]:
    """The same memory; the bits of a bfloat16 as uint16."""
    if hasattr(array, "detach"):  # torch
        array = array.detach()
        if str(array.dtype) == "torch.bfloat16":
            import torch

            return array.view(torch.int16).numpy().view(np.uint16)
        array = array.numpy()
    elif not isinstance(array, np.ndarray):
        array = np.from_dlpack(array)
    # Names are slow to make, and there are thousands of arrays: numpy's own types are of other kinds.
    is_bfloat16 = array.dtype.kind == "V" and array.dtype.name == "bfloat16"
    return array.view(np.uint16) if is_bfloat16 else array


class Borrowed:
    """An array of the caller's, seen as `view`; what is not contiguous is a copy of it."""

    def __init__(
        self,
        array: Any,
        shape: tuple[int, ...],
        view: tuple[int, int],
        what: str,
        is_updated: bool = False,
    ):
        self._own = _as_numpy(array)
        if self._own.shape != shape:
            raise LowbitError(f"the {what} has shape {self._own.shape}, not {shape}")
        if is_updated and not self._own.flags.writeable:
            raise LowbitError(
                f"the {what} is read-only, but is updated in place", hint="pass a copy"
            )
        flags = self._own.flags
        self._is_copy = not (flags.c_contiguous and flags.aligned)
        self.array = (np.array(self._own, order="C") if self._is_copy else self._own).reshape(view)

    def give_back(self) -> None:
        if self._is_copy:
            self._own[...] = self.array.reshape(self._own.shape)


def aligned(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Begins with a cache line."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    buffer = np.empty(size + _CACHE_LINE, np.uint8)
    start = -buffer.ctypes.data % _CACHE_LINE
    return buffer[start : start + size].view(dtype).reshape(shape)


def zeros(encoding: str, shape: tuple[int, int]) -> dict[str, NDArray[Any]]:
    """The components of a tensor of zeros, as an encode has them."""
    types = _lowbit.component_types(encoding, list(shape))
    multiples = _lowbit.encode_multiples(encoding, list(shape))
    # Equal blocks are encoded once, and the last, partial one by itself.
    columns = multiples[1] if multiples[1] > 0 else shape[1]
    columns = max(columns, min(4096 // columns * columns, shape[1]))
    if shape[0] != 1 or shape[1] < 2 * columns:
        whole = _lowbit.encode(np.zeros(shape, np.float32), encoding)
        return {name: copy_of(array) for name, array in whole.items()}
    rest = shape[1] % columns
    first = _lowbit.encode(np.zeros((1, columns), np.float32), encoding)
    last = _lowbit.encode(np.zeros((1, rest), np.float32), encoding)
    components = {}
    for name, _, extents in types:
        array = aligned(tuple(extents), first[name].dtype)
        width = first[name].shape[1]
        whole = shape[1] // columns * width
        array[:, :whole].reshape(1, -1, *first[name].shape[1:])[...] = first[name]
        array[:, whole:] = last[name]
        components[name] = array
    return components


def copy_of(array: NDArray[Any]) -> NDArray[Any]:
    own = aligned(array.shape, array.dtype)
    own[...] = array
    return own
