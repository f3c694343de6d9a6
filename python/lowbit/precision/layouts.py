"""A term in another layout: the same codes and scales in other bytes, by the compiler's own conversion."""

from __future__ import annotations

import re
import threading
from functools import lru_cache

import numpy as np

from .. import _lowbit
from .weights import Term

_LAYOUT = re.compile(r", layout = ggml<\w+>")
_DTYPES = {"U8": np.uint8, "F16": np.float16, "F32": np.float32}
_lock = threading.Lock()


def in_planes(encoding: str) -> str:
    """The encoding without a layout of ggml, whose blocks hold codes and scales side by side."""
    return _LAYOUT.sub("", encoding)


@lru_cache(maxsize=64)
def _converter(source: str, target: str, shape: tuple[int, ...]) -> _lowbit.Program:
    extents = "x".join(map(str, shape))
    old, new = (f"tensor<{extents}xf32, {encoding}>" for encoding in (source, target))
    return _lowbit.Program(
        f"""func.func @convert(%x: {old}, %out: {new}) -> {new} attributes {{lowbit.entry, lowbit.updates = array<i64: 1>}} {{
  %y = lowbit.convert %x : {old} to {new}
  return %y : {new}
}}""",
        pipeline="reference",
        name="conversion",
    )


def convert(term: Term, target: str, shape: tuple[int, ...]) -> Term:
    """The term with the layout of `target`, which is otherwise its encoding: no code changes."""
    if term.encoding == target:
        return term
    names = _lowbit.component_names(term.encoding, list(shape))
    types = _lowbit.component_types(target, list(shape))
    storage = [np.zeros(extents, _DTYPES[dtype]) for _, dtype, extents in types]
    with _lock:  # one compilation for tensors of one shape
        program = _converter(term.encoding, target, tuple(shape))
    results = program.run("convert", [term.components[name] for name in names] + storage)
    return Term(target, dict(zip((name for name, _, _ in types), results)))
