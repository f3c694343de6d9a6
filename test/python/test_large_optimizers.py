"""A step on more elements than an int32 counts, in little memory: all but the end of each array is one piece of memory, mapped over and over."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys

import numpy as np
import pytest
from kernels import assert_same_bits
from lowbit import _lowbit, optim
from optimizer_reference import gradients, parameters

REPEATED = 1 << 31
TAIL = (1 << 16) + 1000
"""Two whole pieces of a step and a part, with a partial block."""

_CHUNK = 32 << 20


class Repeated:
    """An array of REPEATED + TAIL elements whose first REPEATED lie in one chunk of memory, `low`; `tail` is memory of its own."""

    def __init__(self, dtype) -> None:
        itemsize = np.dtype(dtype).itemsize
        head, rest = REPEATED * itemsize, -(-TAIL * itemsize // mmap.PAGESIZE) * mmap.PAGESIZE
        self._file = os.memfd_create("repeated")
        os.ftruncate(self._file, _CHUNK + rest)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.mmap.restype = ctypes.c_void_p
        self._libc.mmap.argtypes = [
            ctypes.c_void_p,
            ctypes.c_size_t,
            *(ctypes.c_int for _ in range(3)),
            ctypes.c_int64,
        ]
        self._libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        self._size = head + rest
        # Addresses for all, then the file's chunk in each place.
        self._start = self._map(None, self._size, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        flags = mmap.MAP_SHARED | 0x10  # MAP_FIXED
        access = mmap.PROT_READ | mmap.PROT_WRITE
        for offset in range(0, head, _CHUNK):
            self._map(self._start + offset, _CHUNK, access, flags, self._file, 0)
        self._map(self._start + head, rest, access, flags, self._file, _CHUNK)
        memory = (ctypes.c_uint8 * self._size).from_address(self._start)
        self.array = np.frombuffer(memory, dtype, REPEATED + TAIL).reshape(1, -1)
        self.low = self.array[0, : _CHUNK // itemsize]
        self.tail = self.array[:, REPEATED:]

    def _map(self, *arguments) -> int:
        address = self._libc.mmap(*arguments)
        if address == ctypes.c_void_p(-1).value:
            raise OSError(ctypes.get_errno(), "mmap")
        return address

    def close(self) -> None:
        del self.array, self.low, self.tail
        self._libc.munmap(self._start, self._size)
        os.close(self._file)


@pytest.mark.skipif(sys.platform != "linux", reason="maps memory as Linux does")
def test_more_elements_than_an_int32_counts():
    """Gradients are zero but at the end, where the step is that of the end by itself, and nothing else changes."""
    shapes, bf16 = {"w": (TAIL,)}, "#lowbit.quantized<bf16>"
    compiled = dict(rule="lion", states="dynamic8", parameters="bf16", gradients="bf16")
    small = optim.compile(shapes=shapes, **compiled)
    start, given = (
        _lowbit.encode(make["w"].reshape(1, -1), bf16)["codes"]
        for make in (parameters(shapes), gradients(shapes, 0))
    )
    expected, state = start.copy(), small.init()
    small.step({"w": expected.reshape(-1)}, {"w": given.reshape(-1)}, state, decay=0.1)

    large = optim.compile(shapes={"w": (REPEATED + TAIL,)}, **compiled)
    assert large.encodings("w") == small.encodings("w")
    p, g, codes = Repeated(np.uint16), Repeated(np.uint16), Repeated(np.uint8)
    zero = small.zeros("w")["m"]["codes"][0, 0]
    codes.low[...] = codes.tail[...] = zero
    p.tail[...], g.tail[...] = start, given
    scale = np.zeros((1, -(-(REPEATED + TAIL) // 256)), np.float32)
    states = optim.State({"w": {"m": {"codes": codes.array, "scale": scale}}})
    large.step({"w": p.array.reshape(-1)}, {"w": g.array.reshape(-1)}, states, decay=0.1)

    assert_same_bits(p.tail, expected, "parameters")
    assert_same_bits(codes.tail, state.tensors["w"]["m"]["codes"], "codes")
    assert_same_bits(scale[:, REPEATED // 256 :], state.tensors["w"]["m"]["scale"], "scales")
    assert not p.low.any() and (codes.low == zero).all() and not scale[:, : REPEATED // 256].any()
    del states
    for array in (p, g, codes):
        array.close()
