"""What the machine can do at most, measured: the bound that kernels are compared with (probe.cpp)."""

from __future__ import annotations

import ctypes
import functools
import itertools
import platform
import statistics
from typing import NamedTuple

from machine import ROOT, Memory, beyond_caches, compile_library

SOURCE = ROOT / "benchmarks" / "probe.cpp"
MEGABYTE = 1 << 20
SWEEP_BYTES = 256 * MEGABYTE
RESIDENT_SWEEP_BYTES = 16 * MEGABYTE
QUICK_BYTES = 128 * MEGABYTE
PEAKS = ("f32", "int8")
PEAK_STEPS = 200_000


class Variant(NamedTuple):
    """A way to read memory."""

    streams: int
    prefetch: int  # 0: none, 1: to L1, 2: to L2
    distance: int
    huge_pages: bool

    def __str__(self) -> str:
        hint = f"prefetcht{self.prefetch - 1} {self.distance} ahead" if self.prefetch else "plain"
        return f"{self.streams} streams, {hint}, {'2M' if self.huge_pages else '4K'} pages"


VARIANTS = [
    Variant(streams, *hint, huge)
    for streams, hint, huge in itertools.product(
        (1, 4, 8), ((0, 0), (1, 512), (1, 1024), (2, 512), (2, 1024)), (False, True)
    )
]


class Bounds(NamedTuple):
    """Operations or bytes per second, at the time of the probe."""

    bandwidth: float
    peak: float  # of the arithmetic that was asked for; 0: the machine lacks it


@functools.cache
def compile_probe() -> ctypes.CDLL:
    flags = ["-O3", "-march=native", "-std=c++17", "-fopenmp=libomp"]
    if platform.machine() == "x86_64":
        flags.append("-mprefer-vector-width=512")
    loaded = ctypes.CDLL(str(compile_library(SOURCE, flags)))
    loaded.probe_read.restype = ctypes.c_double
    loaded.probe_read.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_size_t,
        ctypes.c_int,
    ]
    loaded.probe_update.restype = ctypes.c_double
    loaded.probe_update.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for name in ("probe_f32", "probe_int8"):
        function = getattr(loaded, name)
        function.restype = ctypes.c_double
        function.argtypes = [ctypes.c_int64, ctypes.c_int]
    return loaded


class Probe:
    """Reads memory that no cache holds, or, resident, the same bytes again and again."""

    def __init__(self, resident: bool = False) -> None:
        self.library = compile_probe()
        self.resident = resident
        # Before a part of it is read again, all of it has been.
        size = SWEEP_BYTES if resident else max(beyond_caches(), 4 * SWEEP_BYTES)
        self.memory = {huge: Memory(size, huge) for huge in (False, True)}
        for memory in self.memory.values():
            memory.bytes[:] = 1  # a page that was never written is one and the same page of zeros
        self.next = 0
        self.best: dict[int, Variant] = {}

    def read(self, variant: Variant, size: int, threads: int) -> float:
        """Bytes per second."""
        memory = self.memory[variant.huge_pages].bytes
        if self.resident or self.next + size > memory.size:
            self.next = 0
        address = memory.ctypes.data + self.next
        hint = (variant.streams, variant.prefetch, variant.distance)
        if self.resident:
            self.library.probe_read(address, size, *hint, threads)
        else:
            self.next += size
        return self.library.probe_read(address, size, *hint, threads)

    def sweep(self, threads: int, rounds: int) -> dict[Variant, float]:
        """Median bytes per second of every variant, the best first; quick() takes that one."""
        size = RESIDENT_SWEEP_BYTES if self.resident else SWEEP_BYTES
        samples: dict[Variant, list[float]] = {variant: [] for variant in VARIANTS}
        for _ in range(rounds):
            for variant in VARIANTS:
                samples[variant].append(self.read(variant, size, threads))
        medians = {variant: statistics.median(rates) for variant, rates in samples.items()}
        ordered = dict(sorted(medians.items(), key=lambda item: -item[1]))
        self.best[threads] = next(iter(ordered))
        return ordered

    def peak(self, arithmetic: str, threads: int, rounds: int = 3) -> float:
        """Most operations per second, of one of PEAKS."""
        probe = getattr(self.library, f"probe_{arithmetic}")
        return max(probe(PEAK_STEPS, threads) for _ in range(rounds))

    def quick(self, arithmetic: str, threads: int, size: int = QUICK_BYTES) -> Bounds:
        """A read of a cache is so short that one interruption spoils it: the best of several counts."""
        reads = 5 if self.resident else 1
        bandwidth = max(self.read(self.best[threads], size, threads) for _ in range(reads))
        return Bounds(bandwidth, self.peak(arithmetic, threads))
