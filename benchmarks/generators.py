"""What is measured of a language model: Lowbit's and llama.cpp's, behind the same few methods."""

from __future__ import annotations

import ctypes
import subprocess
import time
from ctypes import POINTER, c_char_p, c_float, c_int, c_int32, c_void_p
from pathlib import Path
from typing import NamedTuple, Protocol, Sequence

import numpy as np
from lowbit import Archive
from lowbit._lowbit import Session
from numpy.typing import NDArray

from machine import ROOT, compile_library


class Generator(Protocol):
    """A model with its key-value cache."""

    compile_seconds: float  # of opening it; 0 where nothing is compiled

    def read(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Appends tokens to the cache; the logits after the last, valid until the next call."""

    def reset(self) -> None:
        """Empties the cache."""


class Lowbit:
    def __init__(self, path: Path, activations: str, threads: int, positions: int) -> None:
        options = {
            "activations": activations,
            "threads": threads,
            "context_length": positions,
            "kv_cache": "f16",  # as llama.cpp's, and the default of `lowbit generate`
        }
        self.session = Session(str(path), options)
        self.compile_seconds = self.session.compile_seconds

    def read(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        if len(tokens) == 1:
            return self.session.decode(tokens[0])
        return self.session.prefill(np.asarray(tokens, np.int64), 1)[0]

    def reset(self) -> None:
        self.session.reset()


# Result and arguments of each function of llama.c.
FUNCTIONS = {
    "peer_open": (c_void_p, c_char_p, c_int, c_int, c_int),
    "peer_vocabulary": (c_int, c_void_p),
    "peer_read": (c_void_p, c_void_p, POINTER(c_int32), c_int),
    "peer_reset": (None, c_void_p),
    "peer_quantize": (c_int, c_char_p, c_char_p, c_int),
}


def llama_folder() -> Path:
    """Of llama.cpp's libraries and headers; builds them, once."""
    script = ROOT / "scripts" / "get-ggml.sh"
    result = subprocess.run([script, "--llama"], stdout=subprocess.PIPE, text=True)
    if result.returncode:
        raise RuntimeError(
            f"{script.name} failed (its words are above); --without-llama does without"
        )
    return Path(result.stdout.strip())


def compile_llama(folder: Path) -> Path:
    """llama.c, linked with the libraries in such a folder."""
    if not (folder / "include" / "llama.h").exists():
        raise RuntimeError(
            f"{folder} has no llama.cpp: scripts/get-ggml.sh --llama prints one that has"
        )
    folder = folder.resolve()
    flags = ["-O2", f"-I{folder / 'include'}", f"-L{folder}", "-lllama", f"-Wl,-rpath,{folder}"]
    return compile_library(ROOT / "benchmarks" / "llama.c", flags, "clang-22")


def load_llama(library: Path) -> ctypes.CDLL:
    loaded = ctypes.CDLL(str(library))
    for name, (result, *arguments) in FUNCTIONS.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded


def quantize_by_llama(model: str, output: str, type: int) -> None:
    """llama.cpp's own quantizer, without an importance matrix, to a llama_ftype."""
    library = load_llama(compile_llama(llama_folder()))
    if library.peer_quantize(model.encode(), output.encode(), type):
        raise RuntimeError(f"llama.cpp cannot quantize {model} (its words are above)")


class Llama:
    """llama.cpp, by the library that compile_llama makes."""

    compile_seconds = 0.0

    def __init__(
        self, library: Path, path: Path, threads: int, positions: int, flash_attention: bool
    ) -> None:
        self.library = load_llama(library)
        self.peer = self.library.peer_open(str(path).encode(), threads, positions, flash_attention)
        if not self.peer:
            raise RuntimeError(f"llama.cpp cannot open {path} (its words are above)")
        self.vocabulary = self.library.peer_vocabulary(self.peer)

    def read(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        ids = (c_int32 * len(tokens))(*tokens)
        address = self.library.peer_read(self.peer, ids, len(tokens))
        if not address:
            raise RuntimeError(f"llama.cpp cannot read {len(tokens)} tokens (its words are above)")
        return np.frombuffer((c_float * self.vocabulary).from_address(address), np.float32)

    def reset(self) -> None:
        self.library.peer_reset(self.peer)


class Text(NamedTuple):
    """Tokens that a model found likeliest, and how sure it was of each: its logit less the second's."""

    tokens: list[int]
    margins: list[float]
    seconds: float  # of reading them, one after the other


def prefill(generator: Generator, tokens: Sequence[int]) -> float:
    """Seconds until the logits after the last of `tokens` are there."""
    generator.reset()
    start = time.perf_counter()
    generator.read(tokens)
    return time.perf_counter() - start


def decode(generator: Generator, prompt: Sequence[int], count: int) -> Text:
    """`count` tokens after `prompt`; timed is reading them, not choosing them nor reading the prompt."""
    generator.reset()
    logits = generator.read(prompt)
    tokens, margins, seconds = [], [], 0.0
    for _ in range(count):
        second, first = np.partition(logits, -2)[-2:]
        tokens.append(int(logits.argmax()))
        margins.append(float(first - second))
        start = time.perf_counter()
        logits = generator.read(tokens[-1:])
        seconds += time.perf_counter() - start
    return Text(tokens, margins, seconds)


def weight_bytes(archive: Archive) -> int:
    """Bytes of weights that are read for each token: of the embedding one row, unless it is the output's matrix, too."""
    tensors = {tensor.name: tensor for tensor in archive.tensors}
    total = sum(tensor.bytes for tensor in tensors.values())
    if "output.weight" in tensors:
        embedding = tensors["token_embd.weight"]
        total -= embedding.bytes - embedding.bytes // embedding.shape[0]
    return total
