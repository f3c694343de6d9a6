"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import Iterable, Iterator

from .errors import LowbitError


@contextlib.contextmanager
def whole_file(path: str, suffix: str) -> Iterator[str]:
    """A temporary name next to `path` that takes its place at the end, or vanishes on failure."""
    check_folder(path)
    path = os.path.realpath(path)  # a symbolic link stays, what it points to is written
    folder = os.path.dirname(path)
    handle, temporary = tempfile.mkstemp(
        prefix=f".{os.path.basename(path)}.", suffix=suffix, dir=folder
    )
    os.close(handle)
    umask = os.umask(0)
    os.umask(umask)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes files private
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def check_folder(path: str) -> None:
    folder = os.path.dirname(os.path.realpath(path))
    if os.path.islink(os.path.realpath(path)):
        raise LowbitError(f"'{path}' is a circle of symbolic links", hint="give the name of a file")
    if not os.path.isdir(folder):
        raise LowbitError(
            f"there is no folder '{folder}' to write '{path}' in", hint=f"mkdir -p '{folder}'"
        )
    if os.path.isdir(path):
        raise LowbitError(f"'{path}' is a folder", hint="give the name of a file in it")
    if os.path.exists(path) and not os.path.isfile(path):
        # A rename would put a file in the place of a device or a pipe.
        raise LowbitError(f"'{path}' is not a regular file", hint="give the name of a file")


def is_gguf(path: str) -> bool:
    """By its name, as archives are written."""
    return path.lower().endswith(".gguf")


def read_text(path: str, hint: str) -> str:
    """All of a file in UTF-8. hint: what it should be, for one that is none."""
    with open(path, encoding="utf-8") as file:
        try:
            return file.read()
        except UnicodeDecodeError as error:
            raise LowbitError(
                f"'{path}' is not UTF-8 text (byte {error.start})", hint=hint
            ) from None


def check_outputs(outputs: Iterable[str], models: Iterable[str], inputs: Iterable[str]) -> None:
    """Each can be written, and takes the place of no model, no other input and no other output."""
    models = list(models)
    names: dict[str, str] = {os.path.realpath(path): "an input" for path in inputs}
    for output in outputs:
        check_folder(output)
        for model in models:
            check_not_model(output, model)
        path = os.path.realpath(output)
        if path in names:
            raise LowbitError(
                f"'{output}' is {names[path]}, too, and would be overwritten",
                hint="give another name for the output",
            )
        names[path] = "another output"


def check_not_model(output: str, model: str) -> None:
    if os.path.exists(output) and os.path.exists(model) and os.path.samefile(model, output):
        raise LowbitError("the output is the model itself", hint="give another name for the output")
