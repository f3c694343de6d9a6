"""Where programs, weights and texts come from."""

from __future__ import annotations

import copy
import os
from functools import cached_property
from typing import Any, Iterable, Mapping, Protocol, Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _lowbit, files
from ..errors import LowbitError
from ..tokenizer import Tokenizer

Tokens = NDArray[np.int64]
"""[tokens]"""


class Source(Protocol):
    """A model that can be quantized."""

    path: str
    archive: _lowbit.Archive
    """Has the weights; what is written has its other tensors and metadata."""

    def program(self, length: int, kv_cache: str = "f32") -> str:
        """MLIR text whose first entry reads at most `length` tokens. kv_cache: what keys and values are stored as, of a language model."""

    def sequences(self, text: str, tokens: int, length: int) -> list[Tokens]:
        """The beginning of a text, `tokens` tokens of it, in pieces of at most `length`."""

    def untied(self, path: str) -> Source:
        """The same with tensors of their own for what a parameter does in several places, as far as the program allows it: in an archive
        of this path, or itself."""

    def with_values(
        self, changed: Mapping[str, NDArray[Any]], path: str, metadata: Mapping[str, str] = {}
    ) -> Source:
        """The same with other values, in f32, of some parameters, or with more of them, and with more metadata: in an archive of this path."""


def load_parameters(
    archive: _lowbit.Archive, keys: Iterable[str]
) -> dict[str, NDArray[np.float32]]:
    """Parameters by key, as they decode."""
    return {key: archive.tensor_f32(key) for key in keys}


def _check_size(total: int, wanted: int) -> None:
    if total < 2:
        raise LowbitError(
            f"the calibration text has {total} {'token' if total == 1 else 'tokens'}",
            hint="statistics need some thousand: give a text that the model is used for",
        )


def read_text(source: Source, text: str, tokens: int, length: int) -> list[Tokens]:
    """The sequences of a text to calibrate on."""
    if not text.strip():
        raise LowbitError(
            "the calibration text is empty", hint="give a text that the model is used for"
        )
    return source.sequences(text, tokens, length)


def _merge(
    archive: _lowbit.Archive,
    changed: Mapping[str, NDArray[Any]],
    path: str,
    metadata: Mapping[str, str],
) -> None:
    """An archive with other values, in f32, of some tensors."""
    tensors = [
        (key, values.shape, "", {"values": np.ascontiguousarray(values, np.float32)})
        for key, values in changed.items()
    ]
    temporary = path + ".tensors"
    try:
        _lowbit.write_archive(temporary, {}, tensors)
        _lowbit.merge_archives(archive, [temporary], dict(metadata), path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


class LanguageModel:
    """A model of the llama family in a GGUF file, or in an archive that Lowbit wrote. name: of the file that people know it by."""

    def __init__(self, path: str | os.PathLike, name: str | None = None):
        from ..model import open_archive

        open_archive(path)  # says what is wrong with the name
        self.path = name or os.fsdecode(path)
        self.archive = _lowbit.Archive(os.fsdecode(path))

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return Tokenizer(self.archive.metadata)

    def _fit(self, length: int) -> int:
        """What the model takes, at most."""
        longest = self.archive.metadata("llama.context_length")
        return min(length, longest) if isinstance(longest, int) and longest > 0 else length

    def program(self, length: int, kv_cache: str = "f32") -> str:
        return _lowbit.import_model(self.archive, self._fit(length), kv_cache)

    def untied(self, path: str) -> Source:
        if any(tensor.name == "output.weight" for tensor in self.archive.tensors):
            return self
        # The importer takes the embedding for the head where there is none.
        head = self.archive.tensor_f32("token_embd.weight")
        return self.with_values({"output.weight": head}, path)

    def with_values(
        self, changed: Mapping[str, NDArray[Any]], path: str, metadata: Mapping[str, str] = {}
    ) -> Source:
        _merge(self.archive, changed, path, metadata)
        return LanguageModel(path, name=self.path)

    def sequences(self, text: str, tokens: int, length: int) -> list[Tokens]:
        ids = np.asarray(self.tokenizer.encode(text), np.int64)[:tokens]
        _check_size(len(ids), tokens)
        length = self._fit(length)
        return [ids[start : start + length] for start in range(0, len(ids), length)]


class EncoderProgram:
    """A program of one's own (.mlir) whose first entry reads the tokens of one text, as an exported encoder does; its parameters are in one
    archive. Other integer arguments are masks: all ones.

    tokenizer: a tokenizer.json of PyPI's `tokenizers`; each paragraph of a text is a sequence with its special tokens, cut where the
    tokenizer's own truncation cuts: what positions the program has, only its author knows.
    """

    def __init__(
        self, path: str | os.PathLike, parameters: str | os.PathLike, tokenizer: str | os.PathLike
    ):
        from ..model import open_archive

        self.path = os.fsdecode(path)
        open_archive(parameters)
        self.archive = _lowbit.Archive(os.fsdecode(parameters))
        self._text = files.read_text(self.path, "give a program of MLIR as text")
        if not os.path.exists(tokenizer):
            raise LowbitError(
                f"there is no file '{os.fsdecode(tokenizer)}'",
                hint="a program of your own needs its tokenizer.json to read a text",
            )
        import tokenizers

        try:
            self.tokenizer = tokenizers.Tokenizer.from_file(os.fsdecode(tokenizer))
        except Exception as error:  # the library raises nothing more exact
            raise LowbitError(
                f"'{os.fsdecode(tokenizer)}' is no tokenizer: {error}",
                hint="give a tokenizer.json, as PyPI's `tokenizers` writes it",
            ) from None
        self.tokenizer.no_padding()
        self._longest = (self.tokenizer.truncation or {}).get("max_length")

    def program(self, length: int, kv_cache: str = "f32") -> str:
        return self._text

    def untied(self, path: str) -> Source:
        return self

    def with_values(
        self, changed: Mapping[str, NDArray[Any]], path: str, metadata: Mapping[str, str] = {}
    ) -> Source:
        _merge(self.archive, changed, path, metadata)
        other = copy.copy(self)
        other.archive = _lowbit.Archive(path)
        return other

    def sequences(self, text: str, tokens: int, length: int) -> list[Tokens]:
        self.tokenizer.enable_truncation(min(length, self._longest or length))
        paragraphs = [" ".join(p.split()) for p in text.split("\n\n")]
        sequences: list[Tokens] = []
        total = 0
        for encoded in self.tokenizer.encode_batch([p for p in paragraphs if p]):
            if total >= tokens:
                break
            sequences.append(np.asarray(encoded.ids[: tokens - total], np.int64))
            total += len(sequences[-1])
        _check_size(total, tokens)
        return sequences


def open_source(path: str, parameters: Sequence[str] = (), tokenizer: str | None = None) -> Source:
    if not path.endswith(".mlir"):
        if parameters or tokenizer:
            raise LowbitError(
                "parameters and a tokenizer are for programs of your own (.mlir)",
                hint="a GGUF file or an archive of Lowbit brings both",
            )
        return LanguageModel(path)
    if len(parameters) != 1:
        raise LowbitError(
            f"the program '{path}' needs one archive with its parameters, not {len(parameters)}",
            hint="give --parameters model.safetensors",
        )
    return EncoderProgram(
        path,
        parameters[0],
        tokenizer or os.path.join(os.path.dirname(parameters[0]), "tokenizer.json"),
    )
