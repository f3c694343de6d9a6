"""States in a file: components with their encodings, so that any program that knows the encodings can read them."""

from __future__ import annotations

import hashlib
import json
import os

import numpy as np

from .. import _lowbit
from ..errors import LowbitError
from .arrays import copy_of
from .functional import Components, Optimizer, State

_KEY = "lowbit.optimizer"


def _digest(components: Components) -> str:
    """Of all bytes, with what they are."""
    found = hashlib.blake2b(digest_size=16)
    for name, array in components.items():
        found.update(f"{name} {array.dtype.str} {array.shape};".encode())
        found.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return found.hexdigest()


def save(path: str | os.PathLike[str], optimizer: Optimizer, state: State) -> None:
    """Writes the states into a safetensors file, under a temporary name first: `path` is the old file or the new one, whole.

    A tensor is named 'PARAMETER/STATE'; `lowbit inspect` lists them, lowbit.Archive reads them.
    """
    tensors, digests = [], {}
    for name, states in state.tensors.items():
        encodings = optimizer.encodings(name)
        for key, components in states.items():
            tensor = f"{name}/{key}"
            tensors.append((tensor, list(optimizer.view(name, key)), encodings[key], components))
            digests[tensor] = _digest(components)
    kept = {"rule": optimizer.rule.name, "step": state.step, "digests": digests}
    try:
        _lowbit.write_archive(os.fspath(path), {_KEY: json.dumps(kept)}, tensors)
    except RuntimeError as error:
        raise LowbitError(str(error)) from None


def load(path: str | os.PathLike[str], optimizer: Optimizer) -> State:
    """The states that save() wrote, for an optimizer of the same rule and shapes. What it stores in another encoding is converted:
    decoded and encoded again."""
    try:
        archive = _lowbit.Archive(os.fspath(path))
        text = archive.metadata(_KEY)
        if text is None:
            raise LowbitError(f"{path}: these are no states of an optimizer")
        kept = json.loads(text)
        rule, step, digests = kept["rule"], int(kept["step"]), dict(kept["digests"])
    except RuntimeError as error:
        raise LowbitError(str(error)) from None
    except (ValueError, KeyError, TypeError):
        raise LowbitError(f"{path}: '{_KEY}' is damaged") from None
    if rule != optimizer.rule.name:
        raise LowbitError(f"{path}: states of rule '{rule}', not '{optimizer.rule.name}'")
    infos = {info.name: info for info in archive.tensors}
    tensors: dict[str, dict[str, Components]] = {}
    for name in optimizer.shapes:
        tensors[name] = {}
        for key, encoding in optimizer.encodings(name).items():
            tensor, shape = f"{name}/{key}", list(optimizer.view(name, key))
            info = infos.get(tensor)
            if info is None:
                raise LowbitError(f"{path}: there is no '{tensor}'")
            if info.shape != shape:
                raise LowbitError(f"{path}: '{tensor}' has shape {info.shape}, not {shape}")
            components = archive.components(tensor)
            if _digest(components) != digests.get(tensor):
                raise LowbitError(f"{path}: '{tensor}' is damaged: its digest is another one")
            if info.encoding == (encoding or "f32"):
                tensors[name][key] = {c: copy_of(array) for c, array in components.items()}
            else:
                stored = "" if info.encoding == "f32" else info.encoding
                values = _lowbit.decode(stored, shape, components)
                tensors[name][key] = _lowbit.encode(values, encoding)
    return State(tensors, step)
