"""The native module without the compiler: archives and compiled models.

Every failure raises RuntimeError with a located message.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

class TensorInfo:
    """One tensor of an archive."""

    name: str
    shape: list[int]
    encoding: str
    bits_per_weight: float
    bytes: int

class Archive:
    """A memory-mapped GGUF or safetensors file."""

    def __init__(self, path: str) -> None: ...
    @property
    def path(self) -> str: ...
    @property
    def tensors(self) -> list[TensorInfo]: ...
    def metadata(self, key: str) -> str | int | float | bool | list[Any] | None: ...
    def components(self, name: str) -> dict[str, NDArray[Any]]: ...

class Artifact:
    """A compiled model in a file, not loaded."""

    def __init__(self, path: str) -> None: ...
    @property
    def origin(self) -> str:
        """JSON: what it was compiled from, with which options, and for which processor."""
    @property
    def signature(self) -> str:
        """JSON: its entries and parameters, with their types, and what its code needs."""
    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of its code ("code"), and of each parameter by its symbol."""

    def metadata(self, key: str) -> str | int | float | bool | list[Any] | None: ...

class Session:
    """A compiled model with its key-value cache, which starts empty; as `_lowbit.Session`."""

    def __init__(self, path: str, threads: int = 0) -> None: ...
    @property
    def compile_seconds(self) -> float: ...
    @property
    def compile_times(self) -> dict[str, float]: ...
    @property
    def context_length(self) -> int: ...
    @property
    def vocabulary(self) -> int: ...
    @property
    def position(self) -> int: ...
    def prefill(self, tokens: NDArray[np.int64], rows: int) -> NDArray[np.float32]: ...
    def decode(self, token: int) -> NDArray[np.float32]: ...
    def reset(self) -> None: ...

def compiler_version() -> str:
    """A digest of the compiler's sources, and LLVM's version."""

def processor() -> str:
    """This machine's processor, with all that it can do."""
