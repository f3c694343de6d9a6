"""The diagonal of the Fisher information while a model is quantized: where it is kept, and what it says that a change costs."""

from __future__ import annotations

import os
from typing import Callable, Iterator

import numpy as np

from .. import _lowbit
from ..errors import LowbitError
from .journal import Journal
from .weights import Array


def tensor_name(key: str) -> str:
    """In an archive: as statistics.py has it."""
    return f"{key}.fisher"


class KeptFisher:
    """In archives beside what a run has done, one for each weight: a model's diagonals are as large as the model in f32.

    compute: gives weights with their diagonals, where there are none of this run yet. Of a weight that comes several times they add up.
    """

    def __init__(self, compute: Callable[[], Iterator[tuple[str, Array]]], journal: Journal):
        self._folder = journal.folder
        names: dict[str, str] | None = journal.load_note("fisher")
        if names is None or not all(map(os.path.exists, map(self._path, names.values()))):
            names = {}
            os.makedirs(self._folder, exist_ok=True)
            journal.drop_note("fisher")  # of another run, whose files are overwritten
            for key, diagonal in compute():
                if not np.isfinite(diagonal).all():
                    raise LowbitError(
                        f"the Fisher information of '{key}' is not finite",
                        hint="the model's weights may be damaged (NaN or infinity): `lowbit perplexity` shows whether it works",
                    )
                if key in names:
                    diagonal = diagonal + self._read(key, names[key])
                name = names.setdefault(key, f"fisher-{len(names)}.safetensors")
                tensor = (tensor_name(key), diagonal.shape, "", {"values": diagonal})
                _lowbit.write_archive(self._path(name), {}, [tensor])
            journal.save_note("fisher", names)
        self._names = names

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)

    def _read(self, key: str, name: str) -> Array:
        return _lowbit.Archive(self._path(name)).tensor_f32(tensor_name(key))

    @property
    def archives(self) -> list[str]:
        return [self._path(name) for name in self._names.values()]

    def load(self, key: str) -> Array:
        if key not in self._names:
            raise LowbitError(
                f"the program's last result does not depend on '{key}': it has no Fisher information",
                hint=f"leave it as it is: --keep '{key}=same'",
            )
        return self._read(key, self._names[key])


def conditioned_fisher(fisher: Array, original: Array, values: Array) -> Array:
    """Of weights that came from others by factors, which something else in the model makes up for: with a weight c times as large, a change of it does 1/c of what it did.
    Factors of weights that are 0 are not known, and count as 1."""
    factors = np.divide(original, values, out=np.ones_like(fisher), where=values != 0)
    return fisher * np.where(original != 0, factors, 1) ** 2


def fisher_cost(fisher: Array, change: Array) -> float:
    """The loss that a change of a weight costs, to second order, with the diagonal for the Hessian (SqueezeLLM, arXiv 2306.07629, equation 4): in nats for each token."""
    return float((fisher * np.square(change, dtype=np.float64)).sum()) / 2
