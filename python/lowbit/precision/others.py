"""Tensors that no product multiplies with, as embeddings and gains: what they are stored in, to nearest."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator

import numpy as np

from .. import _lowbit
from .choices import KEEP, Choices
from .records import describe_tensor
from .weights import Array, Term, Weight, check_finite, encode


class Others:
    """Of a model's archive, of what steps have made of it, and of what `choices` says."""

    def __init__(self, original: _lowbit.Archive, archive: _lowbit.Archive, choices: Choices):
        self._archive, self._choices = archive, choices
        self._stored_as = {tensor.name: tensor.encoding for tensor in original.tensors}
        self._is_changed = archive is not original

    def check(self, quantized: set[str]) -> None:
        """Weights are checked when they are encoded; what goes into the output as it is is checked here."""
        for tensor in self._archive.tensors:
            if tensor.name not in quantized:
                with contextlib.suppress(RuntimeError):  # whole numbers
                    check_finite(tensor.name, self._archive.tensor_f32(tensor.name))

    def _find(self, name: str) -> str:
        """What `choices` gives it, or KEEP."""
        encoding = self._choices.match(name) or KEEP
        if encoding == KEEP and self._is_changed:  # a table that was rotated
            return self._stored_as.get(name, "f32")
        return encoding

    def store(self, name: str, values: Array) -> tuple[Term, dict[str, Any] | None]:
        """What it is stored as with these values, and the entry for a record where its encoding is another one than f32, which it was."""
        encoding = self._find(name)
        if encoding == KEEP or encoding == self._stored_as.get(name, "f32") == "f32":
            return Term("", {"values": np.float32(values)}), None
        term = Weight(name, values, encoding, np.zeros((0, 0))).finish(encode(values, encoding))
        return term, describe_tensor(name, values.shape, term)

    def left(self, done: set[str]) -> Iterator[tuple[str, Array]]:
        """Name and values of those that are to be stored otherwise than the archive has them, without the ones of these names."""
        for tensor in self._archive.tensors:
            if tensor.name not in done and self._find(tensor.name) not in (KEEP, tensor.encoding):
                yield tensor.name, self._archive.tensor_f32(tensor.name)
