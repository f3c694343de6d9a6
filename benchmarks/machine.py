"""The machine that benchmarks run on: what it is, its OpenMP threads, and memory that is laid out for kernels."""

from __future__ import annotations

import ctypes
import hashlib
import math
import mmap
import os
import platform
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "benchmarks"
COMPILER = "clang++-22"
LIBOMP = "libomp.so.5"
HUGE_PAGE = 2 << 20
ALIGNMENT = 64

CPU = Path("/sys/devices/system/cpu/cpu0")


# ----------------------------------------------------------------------------------------------
# What it is
# ----------------------------------------------------------------------------------------------


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def caches() -> dict[str, int]:
    """Bytes of each cache that the first core reads data through, by its level: {'L1': 49152, …}."""
    sizes = {}
    for index in sorted(CPU.glob("cache/index*")):
        if (index / "type").read_text().strip() != "Instruction":
            size = (index / "size").read_text().strip()
            sizes["L" + (index / "level").read_text().strip()] = int(size.rstrip("K")) * 1024
    return sizes


def beyond_caches() -> int:
    """Bytes to read between two reads of the same, so that no cache still holds it: three times the largest."""
    return 3 * max(caches().values(), default=0)


def available_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/meminfo does not tell MemAvailable")


def describe() -> dict[str, Any]:
    version = subprocess.run([COMPILER, "--version"], capture_output=True, text=True).stdout
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "caches": caches(),
        "memory": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "system": f"{platform.system()} {platform.release()}",
        "compiler": version.splitlines()[0] if version else COMPILER,
        "load": os.getloadavg()[0],
    }


def anonymous_memory() -> int:
    """Bytes of this process that no file holds."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/smaps_rollup does not tell Anonymous")


def compile_library(source: Path, flags: list[str], compiler: str = COMPILER) -> Path:
    """The source as a shared library in the build folder: made once for each text, flags and processor."""
    key = source.read_text() + str(flags) + cpu_name()
    library = BUILD / f"{source.stem}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.so"
    if not library.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(
                [compiler, "-shared", "-fPIC", str(source), *flags, "-o", str(library)], check=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            library.unlink(missing_ok=True)
            raise RuntimeError(
                f"{source.name} cannot be compiled ({error}): scripts/setup.sh installs {compiler}"
            ) from None
    return library


# ----------------------------------------------------------------------------------------------
# Threads
# ----------------------------------------------------------------------------------------------


class OpenMP:
    """LLVM's OpenMP library, whose threads run our kernels, ggml's and the probe's.

    To be made before anything that uses OpenMP is loaded: the library reads its settings then.
    """

    def __init__(self) -> None:
        # It keeps this thread on a core from the first parallel loop on, and what it starts as well.
        self.cores = os.sched_getaffinity(0)
        os.environ.setdefault("OMP_PROC_BIND", "true")
        self.library = ctypes.CDLL(LIBOMP, ctypes.RTLD_GLOBAL)

    def set_threads(self, threads: int) -> None:
        self.library.omp_set_num_threads(threads)

    def other_threads(self) -> ThreadPoolExecutor:
        """For work beside OpenMP, on all cores."""
        return ThreadPoolExecutor(initializer=os.sched_setaffinity, initargs=(0, self.cores))

    @staticmethod
    def check_alone() -> None:
        """Two such libraries would keep two sets of threads spinning on the same cores."""
        names = ("libomp", "libgomp", "libiomp")
        lines = Path("/proc/self/maps").read_text().splitlines()
        paths = {line.split()[-1] for line in lines if "/" in line}
        loaded = sorted(path for path in paths if Path(path).name.startswith(names))
        if len(loaded) != 1:
            raise RuntimeError(
                f"several OpenMP libraries are in this process ({', '.join(loaded)}): "
                "build ggml by scripts/get-ggml.sh"
            )


# ----------------------------------------------------------------------------------------------
# Memory
# ----------------------------------------------------------------------------------------------


def aligned(size: int, alignment: int = ALIGNMENT) -> int:
    return -(-size // alignment) * alignment


class Memory:
    """Zeroed bytes from the system, which arrays are cut from one after the other."""

    def __init__(self, size: int, huge_pages: bool = True) -> None:
        mapped = mmap.mmap(-1, aligned(size, HUGE_PAGE) + HUGE_PAGE)
        mapped.madvise(mmap.MADV_HUGEPAGE if huge_pages else mmap.MADV_NOHUGEPAGE)
        raw = np.frombuffer(mapped, np.uint8)
        start = -raw.ctypes.data % HUGE_PAGE
        self.bytes: NDArray[np.uint8] = raw[start : start + aligned(size, HUGE_PAGE)]
        self.used = 0

    def take(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """The next array, at a multiple of ALIGNMENT."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        start, self.used = self.used, self.used + aligned(size)
        return self.bytes[start : start + size].view(dtype).reshape(shape)

    def put(self, array: NDArray[Any]) -> NDArray[Any]:
        copy = self.take(array.shape, array.dtype)
        copy[...] = array
        return copy
