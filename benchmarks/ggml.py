"""ggml's C interface, as far as benchmarks need it (scripts/get-ggml.sh)."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from ctypes import POINTER, c_bool, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from machine import ROOT

F32 = 0
# Numbers of types in GGUF files; ggml's own check of them is __init__'s.
TYPES = {
    "q4_0": 2,
    "q4_1": 3,
    "q8_0": 8,
    "q2_K": 10,
    "q3_K": 11,
    "q4_K": 12,
    "q5_K": 13,
    "q6_K": 14,
    "iq4_nl": 20,
    "iq4_xs": 23,
    "tq1_0": 34,
    "tq2_0": 35,
    "mxfp4": 39,
    "nvfp4": 40,
    "q2_0": 42,
}


class InitParams(ctypes.Structure):
    _fields_ = [("mem_size", c_size_t), ("mem_buffer", c_void_p), ("no_alloc", c_bool)]


Log = ctypes.CFUNCTYPE(None, c_int, c_char_p, c_void_p)
ToFloat = ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_int64)
GetExtraBufferTypes = ctypes.CFUNCTYPE(POINTER(c_void_p), c_void_p)


class TypeTraits(ctypes.Structure):
    _fields_ = [
        ("type_name", c_char_p),
        ("blck_size", c_int64),
        ("blck_size_interleave", c_int64),
        ("type_size", c_size_t),
        ("is_quantized", c_bool),
        ("to_float", ToFloat),
        ("from_float_ref", c_void_p),
    ]


# Result and arguments of each function; pointers to ggml's objects are opaque.
BASE = {
    "ggml_log_set": (None, Log, c_void_p),
    "ggml_init": (c_void_p, InitParams),
    "ggml_free": (None, c_void_p),
    "ggml_type_name": (c_char_p, c_int),
    "ggml_row_size": (c_size_t, c_int, c_int64),
    "ggml_get_type_traits": (POINTER(TypeTraits), c_int),
    "ggml_tensor_overhead": (c_size_t,),
    "ggml_graph_overhead_custom": (c_size_t, c_size_t, c_bool),
    "ggml_new_tensor_2d": (c_void_p, c_void_p, c_int, c_int64, c_int64),
    "ggml_mul_mat": (c_void_p, c_void_p, c_void_p, c_void_p),
    "ggml_new_graph_custom": (c_void_p, c_void_p, c_size_t, c_bool),
    "ggml_build_forward_expand": (None, c_void_p, c_void_p),
    "ggml_quantize_chunk": (
        c_size_t,
        c_int,
        c_void_p,
        c_void_p,
        c_int64,
        c_int64,
        c_int64,
        c_void_p,
    ),
    "ggml_backend_buft_name": (c_char_p, c_void_p),
    "ggml_backend_cpu_buffer_type": (c_void_p,),
    "ggml_backend_alloc_ctx_tensors_from_buft": (c_void_p, c_void_p, c_void_p),
    "ggml_backend_buffer_get_base": (c_void_p, c_void_p),
    "ggml_backend_buffer_get_size": (c_size_t, c_void_p),
    "ggml_backend_buffer_free": (None, c_void_p),
    "ggml_backend_tensor_set": (None, c_void_p, c_void_p, c_size_t, c_size_t),
    "ggml_backend_tensor_get": (None, c_void_p, c_void_p, c_size_t, c_size_t),
    "ggml_backend_graph_compute": (c_int, c_void_p, c_void_p),
    "ggml_backend_reg_dev_get": (c_void_p, c_void_p, c_size_t),
    "ggml_backend_reg_get_proc_address": (c_void_p, c_void_p, c_char_p),
    "ggml_backend_dev_supports_op": (c_bool, c_void_p, c_void_p),
}
CPU = {
    "ggml_backend_cpu_init": (c_void_p,),
    "ggml_backend_cpu_reg": (c_void_p,),
    "ggml_backend_cpu_set_n_threads": (None, c_void_p, c_int),
}


@Log
def log(level: int, text: bytes, _: int) -> None:
    """Warnings and errors; ggml also tells each tensor that it repacks."""
    if level in (3, 4):
        sys.stderr.write(text.decode())


def build() -> Path:
    """The folder of ggml's libraries; builds them, once."""
    script = ROOT / "scripts" / "get-ggml.sh"
    result = subprocess.run([script], stdout=subprocess.PIPE, text=True)
    if result.returncode:
        raise RuntimeError(f"{script.name} failed (its words are above); --peers '' does without")
    return Path(result.stdout.strip())


class Ggml:
    """The libraries and a CPU back end, with ggml's functions as attributes."""

    def __init__(self, folder: Path) -> None:
        for name, table in (("libggml-base.so", BASE), ("libggml-cpu.so", CPU)):
            try:
                library = ctypes.CDLL(str(folder / name))
            except OSError as error:
                raise RuntimeError(f"{error}: scripts/get-ggml.sh builds what is needed") from None
            for function, (result, *arguments) in table.items():
                pointer = getattr(library, function)
                pointer.restype, pointer.argtypes = result, arguments
                setattr(self, function, pointer)
        self.ggml_log_set(log, None)
        for name, number in TYPES.items():
            if self.ggml_type_name(number) != name.encode():
                raise RuntimeError(f"type {number} of {folder} is not {name}: another ggml?")
        self.backend = self.ggml_backend_cpu_init()
        registry = self.ggml_backend_cpu_reg()
        self.device = self.ggml_backend_reg_dev_get(registry, 0)
        # The first one holds weights as a file does, the others repack those they have kernels for.
        self.buffer_types = {"": self.ggml_backend_cpu_buffer_type()}
        get_extra = self.ggml_backend_reg_get_proc_address(
            registry, b"ggml_backend_dev_get_extra_bufts"
        )
        for buffer_type in GetExtraBufferTypes(get_extra)(self.device):
            if not buffer_type:
                break
            name = self.ggml_backend_buft_name(buffer_type).decode().lower()
            self.buffer_types["+" + name.removeprefix("cpu_")] = buffer_type

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{name} is not in the tables of functions")

    def set_threads(self, threads: int) -> None:
        self.ggml_backend_cpu_set_n_threads(self.backend, threads)

    def context(self, tensors: int, graph: int = 0) -> int:
        """For so many tensors, whose data lie elsewhere, and a graph of so many nodes."""
        size = tensors * self.ggml_tensor_overhead()
        if graph:
            size += self.ggml_graph_overhead_custom(graph, False)
        return self.ggml_init(InitParams(size, None, True))

    def check_columns(self, type: str, k: int) -> None:
        """ggml itself ends the process where a row is no whole number of blocks."""
        block = self.ggml_get_type_traits(TYPES[type]).contents.blck_size
        if k % block:
            raise ValueError(
                f"ggml has {type} in blocks of {block}, and {k} columns are no multiple of that: "
                "take another --shape, or other --peers"
            )

    def has_kernel(self, type: str, buffer_type: int, n: int, k: int, batch: int) -> bool:
        """Whether it multiplies by weights [n, k] of this type in such a buffer."""
        context = self.context(3)
        w = self.ggml_new_tensor_2d(context, TYPES[type], k, n)
        buffer = self.ggml_backend_alloc_ctx_tensors_from_buft(context, buffer_type)
        x = self.ggml_new_tensor_2d(context, F32, k, batch)
        product = self.ggml_mul_mat(context, w, x)
        supported = self.ggml_backend_dev_supports_op(self.device, product)
        self.ggml_backend_buffer_free(buffer)
        self.ggml_free(context)
        return supported

    def quantize(self, type: str, weights: NDArray[np.float32]) -> NDArray[np.uint8]:
        rows, columns = weights.shape
        self.check_columns(type, columns)
        raw = np.empty((rows, self.ggml_row_size(TYPES[type], columns)), np.uint8)
        self.ggml_quantize_chunk(
            TYPES[type], weights.ctypes.data, raw.ctypes.data, 0, rows, columns, None
        )
        return raw

    def dequantize(
        self, type: str, raw: NDArray[np.uint8], shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        values = np.empty(shape, np.float32)
        to_float = self.ggml_get_type_traits(TYPES[type]).contents.to_float
        to_float(raw.ctypes.data, values.ctypes.data, values.size)
        return values
