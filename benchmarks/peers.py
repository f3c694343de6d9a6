"""The peer: ggml's matrix multiplications on its CPU back end."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any, Iterable

import numpy as np
from numpy.typing import NDArray

from ggml import F32, TYPES, Ggml
from machine import HUGE_PAGE, aligned
from probe import compile_probe
from workload import Setting, Workload


class GgmlMatmul(Workload):
    """A graph of multiplications, the weights in buffers of one type."""

    arithmetic = "int8"  # of its kernels, which quantize the activations
    errors = (0, 2e-2)

    def __init__(
        self, ggml: Ggml, type: str, buffer: str, raw: NDArray[np.uint8], setting: Setting
    ) -> None:
        self.ggml, self.type, self.raw, self.setting = ggml, type, raw, setting
        self.name = f"ggml {type}{buffer}"
        self.calls = setting.calls(raw.nbytes)
        matrices = setting.matrices(raw.nbytes)
        self.contexts: list[int] = []
        self.buffers: list[int] = []
        try:
            weights = self._allocate_weights(matrices, ggml.buffer_types[buffer])
            self._build_graph(weights)
        except BaseException:
            self.close()
            raise

    def _allocate(self, context: int, buffer_type: int) -> int:
        buffer = self.ggml.ggml_backend_alloc_ctx_tensors_from_buft(context, buffer_type)
        if not buffer:
            raise MemoryError(f"{self.name}: no memory; take a lower --megabytes or fewer --jobs")
        self.buffers.append(buffer)
        return buffer

    def _allocate_weights(self, matrices: int, buffer_type: int) -> list[int]:
        ggml, setting = self.ggml, self.setting
        self.contexts.append(context := ggml.context(matrices))
        weights = [
            ggml.ggml_new_tensor_2d(context, TYPES[self.type], setting.k, setting.n)
            for _ in range(matrices)
        ]
        buffer = self._allocate(context, buffer_type)
        size = ggml.ggml_backend_buffer_get_size(buffer)
        self.matrix_bytes = size // matrices
        advise(ggml.ggml_backend_buffer_get_base(buffer), size, setting.huge_pages)
        for tensor in weights:
            ggml.ggml_backend_tensor_set(tensor, self.raw.ctypes.data, 0, self.raw.nbytes)
        return weights

    def _build_graph(self, weights: list[int]) -> None:
        ggml, setting = self.ggml, self.setting
        nodes = self.calls + len(weights) + 1
        self.contexts.append(context := ggml.context(self.calls + 1, graph=nodes))
        x = ggml.ggml_new_tensor_2d(context, F32, setting.k, setting.batch)
        self.graph = ggml.ggml_new_graph_custom(context, nodes, False)
        self.products = [
            ggml.ggml_mul_mat(context, weights[call % len(weights)], x)
            for call in range(self.calls)
        ]
        for product in self.products:
            ggml.ggml_build_forward_expand(self.graph, product)
        self._allocate(context, ggml.buffer_types[""])
        ggml.ggml_backend_tensor_set(x, setting.x.ctypes.data, 0, setting.x.nbytes)

    def run(self) -> None:
        # Others use the matrix unit, too. It takes a microsecond.
        compile_probe().probe_load_tiles()
        if self.ggml.ggml_backend_graph_compute(self.ggml.backend, self.graph):
            raise RuntimeError(f"ggml cannot compute {self.name}")
        compile_probe().probe_save_tiles()

    def describe(self) -> dict[str, Any]:
        return {"type": self.type, "peers": []}

    def decoded(self) -> NDArray[np.float32]:
        return self.ggml.dequantize(self.type, self.raw, (self.setting.n, self.setting.k))

    def results(self) -> list[NDArray[np.float32]]:
        values = []
        for product in (self.products[0], self.products[-1]):
            y = np.empty((self.setting.batch, self.setting.n), np.float32)
            self.ggml.ggml_backend_tensor_get(product, y.ctypes.data, 0, y.nbytes)
            values.append(y)
        return values

    def close(self) -> None:
        for buffer in self.buffers:
            self.ggml.ggml_backend_buffer_free(buffer)
        for context in self.contexts:
            self.ggml.ggml_free(context)
        self.buffers, self.contexts = [], []


def advise(address: int, size: int, huge_pages: bool) -> None:
    """Gives memory that nobody has written to yet large pages, or small ones."""
    start = aligned(address, HUGE_PAGE)
    end = (address + size) // HUGE_PAGE * HUGE_PAGE
    if start < end:
        advice = mmap.MADV_HUGEPAGE if huge_pages else mmap.MADV_NOHUGEPAGE
        ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), advice)


def kernels(ggml: Ggml, types: Iterable[str], n: int, k: int, batch: int) -> list[tuple[str, str]]:
    """The type and the kind of buffer of each way in which ggml multiplies by weights of these types."""
    return [
        (type, buffer)
        for type in types
        for buffer, number in ggml.buffer_types.items()
        if ggml.has_kernel(type, number, n, k, batch)
    ]
