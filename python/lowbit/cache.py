"""Compiled models on disk, so that a model is compiled once.

They lie in $LOWBIT_COMPILE_CACHE, or $XDG_CACHE_HOME/lowbit/compiled, or ~/.cache/lowbit/compiled. The name is a digest
of all that the result depends on: the model file (which file it is, its size and when it was written, not its bytes), the
options, the compiler's sources and the processor. A file appears under its name when it is whole; two processes that
compile the same model at the same time do the work twice, and either result is right.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from typing import Any, Callable, Mapping

from . import _runtime
from .errors import LowbitError

# Of all files together, in bytes: the ones that were used longest ago go first.
_DEFAULT_LIMIT = 20 << 30


def folder() -> str:
    given = os.environ.get("LOWBIT_COMPILE_CACHE")
    if given:
        return given
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "lowbit", "compiled")


def limit() -> int:
    text = os.environ.get("LOWBIT_COMPILE_CACHE_LIMIT")
    if not text:
        return _DEFAULT_LIMIT
    try:
        return int(float(text) * (1 << 30))
    except (ValueError, OverflowError):
        raise LowbitError(
            f"LOWBIT_COMPILE_CACHE_LIMIT is '{text}'", hint="give a number of GiB, as LOWBIT_COMPILE_CACHE_LIMIT=8"
        ) from None


def describe(model: str, options: Mapping[str, Any]) -> str:
    """What an artifact was compiled from and how, as JSON."""
    return json.dumps({"model": os.path.abspath(model), "options": dict(options)}, sort_keys=True)


def path_of(model: str, options: Mapping[str, Any]) -> str:
    """Where the artifact of a model with these options is, or would be."""
    status = os.stat(model)
    identity = {
        "file": [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns],
        "options": dict(options),
        "compiler": _runtime.compiler_version(),
        "processor": _runtime.processor(),
    }
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return os.path.join(folder(), f"{digest[:40]}.lbm")


def is_usable() -> bool:
    """Whether the folder is there, or can be made, and takes files: a home may be read-only."""
    with contextlib.suppress(OSError):
        os.makedirs(folder(), mode=0o700, exist_ok=True)
    return os.access(folder(), os.W_OK)


def obtain(
    model: str, options: Mapping[str, Any], make: Callable[[str], Any]
) -> tuple[str, Any | None]:
    """The path of an artifact, and what `make` returned if it had to be made."""
    path = path_of(model, options)
    if os.path.exists(path):
        with contextlib.suppress(OSError):
            os.utime(path)  # used now
        return path, None
    made = make(path)
    prune(limit(), keep=path)
    return path, made


@dataclass
class Entry:
    path: str
    bytes: int
    used: float
    """When it was last opened or made, in seconds since the epoch."""
    model: str
    options: dict[str, Any]


def entries() -> list[Entry]:
    """What there is, the last used first."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for item in os.scandir(folder()):
            if not item.name.endswith(".lbm"):
                continue
            try:
                origin = json.loads(_runtime.Artifact(item.path).origin)
                model, options = str(origin["model"]), dict(origin["options"])
            except (RuntimeError, ValueError, KeyError, TypeError):
                model, options = "(damaged)", {}
            with contextlib.suppress(FileNotFoundError):
                status = item.stat()
                found.append(Entry(item.path, status.st_size, status.st_mtime, model, options))
    return sorted(found, key=lambda entry: -entry.used)


def prune(limit: int, keep: str | None = None) -> int:
    """Removes what was used longest ago until `limit` bytes are not exceeded; how many files it removed."""
    with contextlib.suppress(FileNotFoundError):
        files = [
            (item.stat().st_mtime, item.stat().st_size, item.path)
            for item in os.scandir(folder())
            if item.name.endswith(".lbm")
        ]
        total, removed = sum(size for _, size, _ in files), 0
        for _, size, path in sorted(files):
            if total <= limit:
                break
            if path != keep:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
                total, removed = total - size, removed + 1
        return removed
    return 0
