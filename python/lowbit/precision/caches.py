"""Key-value caches of a language model: what they may be stored as, and what that takes.

Keys and values of each layer are arguments of the model's program, "k_0", "v_0", "k_1", ...; a type is a text as `--kv-cache` takes it.
"""

from __future__ import annotations

import json
from typing import Mapping

from .. import _lowbit
from ..errors import LowbitError
from .sources import LanguageModel, Source

CANDIDATES = ("f16", "int8", "int<6>, scale = f16 per [1, 1, 32]", "int4")

DEFAULT = "f16"
"""What models are run with where nobody says otherwise."""

METADATA_KEY = "lowbit.kv_cache"
"""Of an archive: types by names, as JSON (include/lowbit/Import/Llama.h)."""


def has_static_caches(source: Source) -> bool:
    """Whether a cache holds codes whose scales are in the weights (static_caches.py)."""
    kept = source.archive.metadata(METADATA_KEY)
    if not isinstance(kept, str):
        return False
    try:
        types = json.loads(kept)
    except ValueError:
        types = kept
    types = types.values() if isinstance(types, dict) else [types]
    return any("int<" in str(type) and "scale" not in str(type) for type in types)


class Caches:
    """context: tokens that they hold, of all sequences together; None: one of as many as the model takes. A program of one's own has no
    caches that are known, and with a context is a LowbitError.
    """

    def __init__(self, source: Source, context: int | None = None):
        self.source = source
        self.shapes: dict[str, list[int]] = {}
        """Of each [heads, tokens, head size]."""
        if not isinstance(source, LanguageModel):
            if context is not None:
                raise LowbitError(
                    "a context is for the caches of a language model: which arguments of a program are caches is not known",
                    hint="leave --context out",
                )
            return
        self.context = context or int(source.archive.metadata("llama.context_length") or 1)
        self.shapes = {name: shape for name, shape, _ in self._list("f32")}

    def _list(self, types: str) -> list[tuple[str, list[int], str]]:
        """Of each its name, shape and encoding ('f32' is one, too)."""
        try:
            # What it may be does not depend on the positions, which no block spans.
            listed = _lowbit.list_caches(self.source.archive, 1, types)
            return [(n, [h, self.context, size], e or "f32") for n, (h, _, size), e in listed]
        except RuntimeError as error:
            path = f"{self.source.archive.path}: "
            raise LowbitError(
                str(error).removeprefix(path),
                hint="types are as --kv-cache takes them",
            ) from None

    def sizes(self, type: str) -> dict[str, int]:
        """Of each cache the bytes of all components, exactly. Raises LowbitError for what is no type of a cache."""
        return {
            name: _lowbit.encoded_bytes(encoding, shape)
            for name, shape, encoding in self._list(type)
        }

    def complete(self, chosen: Mapping[str, str]) -> dict[str, str]:
        """The type of each cache; {} where nothing is chosen. Raises LowbitError that names the cache where one is none."""
        if not chosen:
            return {}
        types = {name: chosen.get(name, DEFAULT) for name in self.shapes}
        self._list(json.dumps(types))
        return types

    def describe(self, types: Mapping[str, str]) -> list[dict]:
        """For a report (report/record.py)."""
        listed = self._list(json.dumps(types)) if types else []
        return [
            {
                "key": name,
                "shape": shape,
                "encoding": types[name],
                "bytes": _lowbit.encoded_bytes(encoding, shape),
            }
            for name, shape, encoding in listed
        ]
