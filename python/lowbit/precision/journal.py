"""What a run has done so far, in a folder beside its output: an interrupted run goes on there.

The folder has for each stage that is done `stage-N.safetensors`, an archive of its tensors; `values-N.safetensors`, what passes to the next
stage; and `journal.json`, which is replaced last: {"settings": what the run was asked for, "done": stages, "files": those of them that there must be,
"record": the report so far}. A folder of other settings, or without one of its files, is started anew.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import re
import tempfile
from typing import Any, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _lowbit, _runtime
from ..errors import LowbitError
from ..files import is_gguf, whole_file
from .sources import Source, Tokens
from .weights import Term

Array = NDArray[np.float32]
Stored = dict[str, tuple[Sequence[int], Term]]
"""Shape and term by key."""


def _tensors(stored: Stored) -> list[tuple[str, list[int], str, dict[str, Any]]]:
    return [(k, list(shape), t.encoding, dict(t.components)) for k, (shape, t) in stored.items()]


def check_format(output: str, stored: Stored) -> None:
    """GGUF has few encodings: what it cannot hold is refused with the first stage, not after the last one."""
    if not (is_gguf(output) and stored):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "stage.gguf")
        try:
            _lowbit.write_archive(path, {}, _tensors(stored))
        except RuntimeError as error:
            raise LowbitError(
                str(error).replace(path, output),
                hint="give --output a name that ends in .safetensors",
            ) from None


_OWN = re.compile(
    r"((stage|values|model|fisher)-\d+|journal|allocation|fisher)\.(safetensors|json)|\..*"
)


def remove_folder(folder: str) -> None:
    """What a run has kept in it, and the folder if nothing else is in it."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if _OWN.fullmatch(name):
                os.remove(os.path.join(folder, name))
        os.rmdir(folder)


def origin_of(source: Source, sequences: Sequence[Tokens]) -> dict[str, Any]:
    """Of a run's settings: the model, what it reads, and the compiler."""
    paths = dict.fromkeys([source.path, source.archive.path])
    tokens = [hashlib.sha256(sequence.tobytes()).hexdigest() for sequence in sequences]
    return {
        "model": [[path, (s := os.stat(path)).st_size, s.st_mtime_ns] for path in paths],
        "text": hashlib.sha256("".join(tokens).encode()).hexdigest(),
        "compiler": _runtime.compiler_version(),
    }


class Journal:
    def __init__(self, folder: str, settings: Mapping[str, Any]):
        self.folder = folder
        self.settings = json.loads(json.dumps(settings))
        self.done = 0
        self.record: dict[str, Any] = {}
        try:
            with open(self._path("journal.json"), encoding="utf-8") as file:
                journal = json.load(file)
            # A file that is gone would be missing from the output without a word.
            if journal["settings"] == self.settings and all(
                os.path.exists(self._path(name)) for name in journal["files"]
            ):
                self.done, self.record = journal["done"], journal["record"]
        except (OSError, ValueError, KeyError, TypeError):
            pass  # no journal, or none that can be read

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    @property
    def archives(self) -> list[str]:
        """Of the stages that are done."""
        return [
            path
            for n in range(self.done)
            if os.path.exists(path := self._path(f"stage-{n}.safetensors"))
        ]

    def load_values(self) -> list[Array] | None:
        """What passes to the next stage, of each sequence."""
        path = self._path(f"values-{self.done}.safetensors")
        if not self.done or not os.path.exists(path):
            return None
        archive = _lowbit.Archive(path)
        return [archive.tensor_f32(str(n)) for n in range(len(archive.tensors))]

    def save(
        self,
        terms: Stored,
        values: Sequence[Array | None],
        record: Mapping[str, Any],
    ) -> None:
        """After a stage: what its tensors (shape and term by key) are stored as, and what passes to the next one."""
        os.makedirs(self.folder, exist_ok=True)
        if not self.done:  # what other settings left would be taken for this run's
            for path in glob.glob(glob.escape(self.folder) + "/stage-*.safetensors"):
                os.remove(path)
        if terms:
            _lowbit.write_archive(
                self._path(f"stage-{self.done}.safetensors"),
                {},
                _tensors(terms),
            )
        self.done += 1
        if all(value is not None for value in values) and values:
            tensors = [(str(n), v.shape, "", {"values": v}) for n, v in enumerate(values)]
            _lowbit.write_archive(self._path(f"values-{self.done}.safetensors"), {}, tensors)
        names = [os.path.basename(path) for path in self.archives]
        if values:
            names.append(f"values-{self.done}.safetensors")
        journal = {"settings": self.settings, "done": self.done, "files": names, "record": record}
        with whole_file(self._path("journal.json"), ".json") as path:
            with open(path, "w", encoding="utf-8") as file:
                json.dump(journal, file)
        for path in glob.glob(glob.escape(self.folder) + "/values-*.safetensors"):
            if path != self._path(f"values-{self.done}.safetensors"):
                os.remove(path)

    def load_note(self, name: str) -> Any:
        """What save_note() kept; None where there is nothing of these settings."""
        try:
            with open(self._path(f"{name}.json"), encoding="utf-8") as file:
                note = json.load(file)
            return note["value"] if note["settings"] == self.settings else None
        except (OSError, ValueError, KeyError):
            return None

    def save_note(self, name: str, value: Any) -> None:
        os.makedirs(self.folder, exist_ok=True)
        with whole_file(self._path(f"{name}.json"), ".json") as path:
            with open(path, "w", encoding="utf-8") as file:
                json.dump({"settings": self.settings, "value": value}, file)

    def drop_note(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._path(f"{name}.json"))

    def remove(self) -> None:
        remove_folder(self.folder)
