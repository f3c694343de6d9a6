"""States in files: components with their encodings, so that any program that knows the encodings can read them.

A checkpoint is a file, or a folder: files of several processes, each with what that one holds, and an index that names them. A file's metadata says
for each tensor the extents of the whole, where the part begins, and a digest of what is stored. A file in a folder is named by the digest of
its metadata, so the index, which is written last and under a temporary name first, names contents: it is the old checkpoint or the new one, whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any, Iterable, Protocol, Sequence

import numpy as np

from .. import _lowbit
from ..errors import LowbitError
from .arrays import zeros
from .assembly import Part, assemble
from .functional import Components, State
from .rule import Rule
from .shards import Shard, cells, count

_KEY, _DIGEST = "lowbit.optimizer", "lowbit.optimizer.digest"
_INDEX = "index.json"
_NAME = re.compile(r"step-(\d+)\.([0-9a-f]{32})\.safetensors")
"""Of files in a folder."""
_TEMPORARY = re.compile(rf"\.{_NAME.pattern}\.\w+\.tmp")
"""What is left where a process was killed while it wrote one."""

Path_ = str | os.PathLike[str]


class Holder(Protocol):
    """What a checkpoint asks of an Optimizer, or of torch's with several."""

    rule: Rule

    @property
    def shapes(self) -> Iterable[str]: ...
    def encodings(self, name: str) -> dict[str, str]: ...
    def view(self, name: str, state: str) -> tuple[int, int]: ...
    def part(self, name: str, state: str) -> tuple[tuple[int, int], Shard]: ...


def _hash(text: str) -> Any:
    return hashlib.blake2b(text.encode(), digest_size=16)


def _digest(encoding: str, components: Components) -> str:
    """Of all bytes, with what they are."""
    found = _hash(encoding)
    for name, array in components.items():
        found.update(f"{name} {array.dtype.str} {array.shape};".encode())
        found.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return found.hexdigest()


class _File:
    """States of one process: its own, or all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._archive = _lowbit.Archive(os.fspath(path))
            text, digest = (self._archive.metadata(key) for key in (_KEY, _DIGEST))
            if not isinstance(text, str):
                raise LowbitError(f"{path}: these are no states of an optimizer")
            if _hash(text).hexdigest() != digest:
                raise LowbitError(f"{path}: '{_KEY}' is damaged: its digest is another one")
            self.digest = digest
            kept = json.loads(text)
            self.rule, self.step = kept["rule"], int(kept["step"])
            self.tensors: dict[str, dict[str, Any]] = kept["tensors"]
            self._infos = {info.name: info for info in self._archive.tensors}
        except RuntimeError as error:
            raise LowbitError(str(error)) from None
        except (ValueError, KeyError, TypeError):
            raise LowbitError(f"{path}: '{_KEY}' is damaged") from None

    def whole(self, tensor: str) -> tuple[int, ...]:
        return tuple(self.tensors[tensor]["whole"])

    def box(self, tensor: str) -> Shard:
        kept = self.tensors[tensor]
        return Shard(tuple(kept["offset"]), tuple(kept["shape"]))

    def part(self, tensor: str) -> Part:
        box, info = self.box(tensor), self._infos.get(tensor)
        if info is None or tuple(info.shape) != box.shape:
            raise LowbitError(f"{self.path}: '{tensor}' is damaged: {box} is not there")
        encoding = "" if info.encoding == "f32" else info.encoding
        components = self._archive.components(tensor)
        if _digest(encoding, components) != self.tensors[tensor]["digest"]:
            raise LowbitError(f"{self.path}: '{tensor}' is damaged: its digest is another one")
        return Part(box, encoding, components)


class _Checkpoint:
    """All files, which are of one step of one rule."""

    def __init__(self, path: Path, files: Sequence[_File]) -> None:
        self.path, self._files = path, files
        self.rule, self.step = files[0].rule, files[0].step
        for file in files:
            if (file.rule, file.step) != (self.rule, self.step):
                raise LowbitError(
                    f"{file.path}: step {file.step} of rule '{file.rule}', but {files[0].path.name} is step "
                    f"{self.step} of rule '{self.rule}'"
                )

    def holders(self, tensor: str, whole: tuple[int, ...], box: Shard) -> list[_File]:
        """The files that hold a box of a tensor: each element is in one. Of equal parts that several processes wrote one counts."""
        found: dict[Shard, _File] = {}
        named = [file for file in self._files if tensor in file.tensors]
        if not named:
            raise LowbitError(f"{self.path}: there is no '{tensor}'")
        for file in named:
            if file.whole(tensor) != whole:
                raise LowbitError(
                    f"{file.path}: '{tensor}' has shape {list(file.whole(tensor))}, not {list(whole)}"
                )
            own = file.box(tensor)
            other = found.setdefault(own, file)
            if other.tensors[tensor] != file.tensors[tensor]:
                raise LowbitError(
                    f"{file.path}: '{tensor}' {own} is another one than in {other.path.name}"
                )
        parts = [own for own in found if own.intersection(box).size]
        number, edges = count(box, parts)
        for wrong, message in ((number == 0, "no file holds"), (number > 1, "several files hold")):
            if wrong.any():
                where = cells(wrong, edges)[0]
                raise LowbitError(f"{self.path}: {message} '{tensor}' {where}")
        return [found[own] for own in parts]

    @property
    def wholes(self) -> dict[str, tuple[int, ...]]:
        return {tensor: file.whole(tensor) for file in self._files for tensor in file.tensors}

    def check(self) -> None:
        """That whole tensors are there."""
        for tensor, whole in self.wholes.items():
            self.holders(tensor, whole, Shard((0, 0), whole))


def _write(path: Path | None, folder: Path, optimizer: Holder, state: State) -> str:
    """Into a file, or one of a folder, under a name of its own; its name."""
    tensors, kept = [], {}
    for name, states in state.tensors.items():
        encodings = optimizer.encodings(name)
        for key, components in states.items():
            tensor, (whole, box) = f"{name}/{key}", optimizer.part(name, key)
            tensors.append((tensor, list(box.shape), encodings[key], components))
            kept[tensor] = {
                "whole": whole,
                "offset": box.offset,
                "shape": box.shape,
                "digest": _digest(encodings[key], components),
            }
    text = json.dumps({"rule": optimizer.rule.name, "step": state.step, "tensors": kept})
    digest = _hash(text).hexdigest()
    path = path or folder / f"step-{state.step}.{digest}.safetensors"
    try:
        _lowbit.write_archive(os.fspath(path), {_KEY: text, _DIGEST: digest}, tensors)
    except RuntimeError as error:
        raise LowbitError(str(error)) from None
    return path.name


def save(path: Path_, optimizer: Holder, state: State) -> None:
    """Writes the states into a safetensors file, under a temporary name first: `path` is the old file or the new one, whole.

    A tensor is named 'PARAMETER/STATE'; `lowbit inspect` lists them, lowbit.Archive reads them.
    """
    _write(Path(path), Path(), optimizer, state)


def save_part(folder: Path_, optimizer: Holder, state: State) -> str:
    """Writes what this process holds into a file of its own in a folder; its name, for commit(). The checkpoint that is there stays."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise LowbitError(f"{os.fspath(folder)}: {error.strerror}") from None
    return _write(None, Path(folder), optimizer, state)


def commit(folder: Path_, names: Iterable[str]) -> None:
    """Makes the files that save_part() wrote the checkpoint of the folder: one process calls it when all have written, with all their names.

    Checks that they belong together, and that each element of each tensor is in one of them. Until the last moment the checkpoint
    is the one from before, whose files are removed then.
    """
    root, chosen = Path(folder), sorted(set(names))
    if not chosen:
        raise LowbitError(f"{root}: a checkpoint has one file or more")
    new = _open(root, chosen)
    new.check()
    try:
        old = set(json.loads((root / _INDEX).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        old = set()
    temporary = root / f".{_INDEX}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump({"files": chosen}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        _sync(root)
        os.replace(temporary, root / _INDEX)
        _sync(root)
    except OSError as error:
        raise LowbitError(f"{root}: cannot write {_INDEX}: {error.strerror}") from None
    for name in os.listdir(root):
        match = _NAME.fullmatch(name) or _TEMPORARY.fullmatch(name)
        if match and name not in chosen and (name in old or int(match.group(1)) <= new.step):
            (root / name).unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Names in it survive a crash of the machine from here on."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(folder: Path, names: Iterable[str]) -> _Checkpoint:
    files = []
    for name in names:
        match = _NAME.fullmatch(name)
        if not match:
            raise LowbitError(f"{folder / _INDEX}: '{name}' is no file of a checkpoint")
        if not (folder / name).is_file():
            raise LowbitError(f"{folder}: the file '{name}' of the checkpoint is missing")
        file = _File(folder / name)
        if file.digest != match.group(2):
            raise LowbitError(f"{file.path}: it is not what its name says")
        files.append(file)
    return _Checkpoint(folder, files)


def _open_folder(folder: Path) -> _Checkpoint:
    index = folder / _INDEX
    try:
        names = json.loads(index.read_text(encoding="utf-8"))["files"]
        if not names or not all(isinstance(name, str) for name in names):
            raise ValueError
    except OSError as error:
        hint = "it is written last, by commit_shards()" if folder.is_dir() else None
        raise LowbitError(f"{index}: {error.strerror}", hint=hint) from None
    except (ValueError, KeyError, TypeError):
        raise LowbitError(f"{index}: it is damaged") from None
    return _open(folder, names)


def describe(path: Path_) -> tuple[str, dict[str, tuple[int, ...]]]:
    """The rule's name, and the extents of each whole tensor, 'PARAMETER/STATE', of a file or a folder."""
    root = Path(path)
    found = _open_folder(root) if root.is_dir() else _Checkpoint(root, [_File(root)])
    return found.rule, found.wholes


def load(path: Path_, optimizer: Holder, *, allow_rounding: bool = False) -> State:
    """The states of a file or a folder, for an optimizer of the same rule and parameters, which may hold any shards of them.

    What is stored in another encoding is converted: decoded and encoded again. In the same encoding components are cut and joined code
    for code; where shards cut blocks of the encoding in two that is not possible: an error, or, with allow_rounding, these blocks are
    decoded and encoded again.
    """
    root = Path(path)
    found = _open_folder(root) if root.is_dir() else _Checkpoint(root, [_File(root)])
    if found.rule != optimizer.rule.name:
        raise LowbitError(f"{path}: states of rule '{found.rule}', not '{optimizer.rule.name}'")
    tensors: dict[str, dict[str, Components]] = {}
    for name in optimizer.shapes:
        tensors[name] = {}
        for key, encoding in optimizer.encodings(name).items():
            tensor, (whole, box) = f"{name}/{key}", optimizer.part(name, key)
            files = found.holders(tensor, whole, box)
            if not box.size:
                tensors[name][key] = zeros(encoding, optimizer.view(name, key))
                continue
            try:
                parts = [file.part(tensor) for file in files]
                what = f"{path}: '{tensor}'"
                tensors[name][key] = assemble(what, box, encoding, parts, allow_rounding)
            except RuntimeError as error:
                raise LowbitError(f"{path}: '{tensor}': {error}") from None
    return State(tensors, found.step)
