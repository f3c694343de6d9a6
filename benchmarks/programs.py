"""Ours: a program of one multiplication, compiled by Lowbit and called by its address where the data lie."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
from lowbit import _lowbit
from numpy.typing import NDArray

from jobs import ACTIVATIONS, Job
from machine import ALIGNMENT, Memory, aligned
from workload import Setting, Workload

ENTRY = "multiply"
Function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def text(encoding: str, setting: Setting) -> str:
    x, y = f"tensor<{setting.batch}x{setting.k}xf32>", f"tensor<{setting.batch}x{setting.n}xf32>"
    w = f"tensor<{setting.n}x{setting.k}xf32, {encoding}>"
    maps = ", ".join(f"affine_map<(m, n, k) -> ({to})>" for to in ("m, k", "n, k", "m, n"))
    return f"""
func.func @{ENTRY}(%x: {x}, %w: {w}) -> {y} attributes {{lowbit.entry}} {{
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : {y}
  %start = linalg.fill ins(%zero : f32) outs(%empty : {y}) -> {y}
  %y = linalg.matmul indexing_maps = [{maps}] ins(%x, %w : {x}, {w}) outs(%start : {y}) -> {y}
  return %y : {y}
}}"""


def describe(array: NDArray) -> ctypes.Array:
    """What a compiled entry's argument points to: a memref's descriptor, or the scalar itself."""
    if array.ndim == 0:
        return (ctypes.c_uint8 * array.nbytes).from_address(array.ctypes.data)
    strides = [stride // array.itemsize for stride in array.strides]
    words = [array.ctypes.data, array.ctypes.data, 0, *array.shape, *strides]
    return (ctypes.c_int64 * len(words))(*words)


class LowbitMatmul(Workload):
    """A compiled program, its encoded weights in one piece of memory for each component."""

    def __init__(self, job: Job, components: dict[str, NDArray], setting: Setting) -> None:
        self.job, self.name, self.setting = job, job.name, setting
        self.components = components
        activations = ACTIVATIONS[job.activations]
        self.arithmetic, self.errors = activations.arithmetic, activations.errors
        self.program = _lowbit.Program(
            text(job.encoding, setting), pipeline=job.pipeline, name=job.name
        )
        # A call that checks what the others are handed without a check.
        self.program.run(ENTRY, [setting.x, *components.values()])
        self.entry = Function(self.program.lookup(ENTRY))
        self.matrix_bytes = sum(array.nbytes for array in components.values())
        self.calls = setting.calls(self.matrix_bytes)
        self._lay_out(setting.matrices(self.matrix_bytes))

    def _lay_out(self, matrices: int) -> None:
        setting = self.setting
        shape = (setting.batch, setting.n)
        sizes = [array.nbytes for array in self.components.values()]
        memory = Memory(matrices * sum(map(aligned, sizes)), setting.huge_pages)
        weights = [
            [memory.put(array) for array in self.components.values()] for _ in range(matrices)
        ]
        floats = Memory(
            setting.x.nbytes + (self.calls + 1) * (4 * math.prod(shape) + ALIGNMENT),
            setting.huge_pages,
        )
        x = describe(floats.put(setting.x))
        matrix_words = [[describe(array) for array in matrix] for matrix in weights]
        self.outputs = [floats.take(shape, np.float32) for _ in range(self.calls)]
        self.arguments = []
        # The descriptors and the arrays behind them are only pointed to: they are kept here.
        self.kept = [memory, floats, x, matrix_words]
        for call, output in enumerate(self.outputs):
            words = [x, *matrix_words[call % matrices], describe(output)]
            self.kept.append(words)
            self.arguments.append(
                (ctypes.c_void_p * len(words))(*(ctypes.addressof(each) for each in words))
            )

    def run(self) -> None:
        for arguments in self.arguments:
            self.entry(arguments)

    def describe(self) -> dict[str, Any]:
        return {
            "type": None,
            "encoding": self.job.encoding,
            "pipeline": self.job.pipeline,
            "activations": self.job.activations,
            "compile_seconds": self.program.compile_seconds,
            "peers": list(self.job.peers),
        }

    def decoded(self) -> NDArray[np.float32]:
        shape = [self.setting.n, self.setting.k]
        return _lowbit.decode(self.job.encoding, shape, self.components)

    def results(self) -> list[NDArray[np.float32]]:
        return [self.outputs[0], self.outputs[-1]]
