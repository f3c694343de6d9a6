"""A compiled program in Python: calls of its entries by address."""

import ctypes

import numpy as np
import pytest
from kernels import matmul_program
from lowbit import _lowbit

ENCODING = "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>"
SHAPE = (48, 96)


def descriptor(array: np.ndarray) -> ctypes.Array:
    strides = [stride // array.itemsize for stride in array.strides]
    words = [array.ctypes.data, array.ctypes.data, 0, *array.shape, *strides]
    return (ctypes.c_int64 * len(words))(*words)


def test_lookup_gives_an_address_to_call():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(2, SHAPE[1])).astype(np.float32)
    components = _lowbit.encode(generator.normal(size=SHAPE).astype(np.float32), ENCODING)
    program = _lowbit.Program(matmul_program(2, SHAPE, ENCODING))
    (expected,) = program.run("main", [x, *components.values()])

    y = np.full(expected.shape, np.nan, np.float32)
    words = [descriptor(array) for array in (x, *components.values(), y)]
    arguments = (ctypes.c_void_p * len(words))(*map(ctypes.addressof, words))
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(program.lookup("main"))(arguments)
    np.testing.assert_array_equal(y, expected)


def test_lookup_of_no_entry():
    program = _lowbit.Program(matmul_program(1, SHAPE, ENCODING))
    with pytest.raises(RuntimeError, match="mian"):
        program.lookup("mian")
