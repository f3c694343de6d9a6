"""Compiled models on disk, so that a model is compiled once.

They lie in $LOWBIT_COMPILE_CACHE, or $XDG_CACHE_HOME/lowbit/compiled, or ~/.cache/lowbit/compiled. The name is a digest
of all that the result depends on: the model file (which file it is, its size and when it was written or renamed, not its bytes), the
options, the compiler's sources and the processor. A file appears under its name when it is whole; two processes that
compile the same model at the same time do the work twice, and either result is right.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import stat
import time
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
        bytes = int(float(text) * (1 << 30))
    except (ValueError, OverflowError):
        bytes = -1
    if bytes < 0:
        raise LowbitError(
            f"LOWBIT_COMPILE_CACHE_LIMIT is '{text}'",
            hint="give a number of GiB, as LOWBIT_COMPILE_CACHE_LIMIT=8",
        )
    return bytes


def describe(model: str, options: Mapping[str, Any]) -> str:
    """What an artifact was compiled from and how, as JSON."""
    origin = {
        "model": os.path.basename(model),
        "options": dict(options),
        "processor": _runtime.processor().split()[0],
    }
    return json.dumps(origin, sort_keys=True)


def _identity(model: str) -> list[int]:
    """Of a file as it is now. The last two change with every write, the last one whatever is done to the other."""
    status = os.stat(model)
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def path_of(model: str, options: Mapping[str, Any]) -> str:
    """Where the artifact of a model with these options is, or would be."""
    identity = {
        "file": _identity(model),
        "options": dict(options),
        "compiler": _runtime.compiler_version(),
        "processor": _runtime.processor(),
    }
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return os.path.join(folder(), f"{digest[:40]}.lbm")


def find(model: str, options: Mapping[str, Any]) -> str | None:
    """The path of an artifact that this user, or root, has made; None if there is none."""
    path = path_of(model, options)
    try:
        owner = os.stat(path).st_uid
    except OSError:
        return None
    if owner not in (0, os.geteuid()):
        return None  # it holds code
    with contextlib.suppress(OSError):
        os.utime(path)  # used now
    return path


def add(model: str, options: Mapping[str, Any], make: Callable[[str], Any]) -> str | None:
    """Lets `make` write the artifact; None if the folder takes no files (a home may be read-only)."""
    most = limit()
    with contextlib.suppress(OSError):
        os.makedirs(folder(), mode=0o700, exist_ok=True)
    if not (os.path.isdir(folder()) and os.access(folder(), os.W_OK)):
        return None
    before, path = _identity(model), path_of(model, options)
    make(path)
    if _identity(model) != before:  # of which of the two is it?
        with contextlib.suppress(OSError):
            os.unlink(path)
        return None
    prune(most, keep=path)
    return path


@dataclass
class Entry:
    path: str
    bytes: int
    used: float
    """When it was last opened or made, in seconds since the epoch."""
    model: str
    options: dict[str, Any]


# Artifacts, and what a process that was killed left of one. Other files in the folder are not ours.
_NAME = re.compile(r"[0-9a-f]{40}\.lbm")
_REST = re.compile(r"\.[0-9a-f]{40}\.lbm\..*\.tmp")


def _files(pattern: re.Pattern[str]) -> list[tuple[float, int, str]]:
    """Time of use, size and path of regular files, the ones used longest ago first."""
    found = []
    with contextlib.suppress(OSError):
        for item in os.scandir(folder()):
            with contextlib.suppress(OSError):  # another process removes files, too
                status = item.stat(follow_symlinks=False)
                if pattern.fullmatch(item.name) and stat.S_ISREG(status.st_mode):
                    found.append((status.st_mtime, status.st_size, item.path))
    return sorted(found)


def entries() -> list[Entry]:
    """What there is, the last used first."""
    found = []
    for used, size, path in reversed(_files(_NAME)):
        try:
            origin = json.loads(_runtime.Artifact(path).origin)
            model, options = str(origin["model"]), dict(origin["options"])
        except (RuntimeError, ValueError, KeyError, TypeError):
            model, options = "(damaged)", {}
        found.append(Entry(path, size, used, model, options))
    return found


def prune(limit: int, keep: str | None = None) -> int:
    """Removes what was used longest ago until `limit` bytes are not exceeded; how many artifacts it removed."""
    oldest = time.time() - 3600 if limit >= 0 else math.inf
    for used, _, path in _files(_REST):
        if used < oldest:  # nobody writes to it any more
            with contextlib.suppress(OSError):
                os.unlink(path)
    files = _files(_NAME)
    total, removed = sum(size for _, size, _ in files), 0
    for _, size, path in files:
        if total <= limit:
            break
        if path != keep:
            with contextlib.suppress(OSError):
                os.unlink(path)
                total, removed = total - size, removed + 1
    return removed
