"""What is measured: one multiplication y = x wᵀ by an encoded w, again and again on copies of w in distinct memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


def gaussian(n: int, k: int) -> NDArray[np.float32]:
    """Weights [n, k] as those of a model nearly are."""
    values = np.random.default_rng(0).standard_normal((n, k), np.float32)
    return values * np.float32(k**-0.5)


@dataclass(frozen=True)
class Setting:
    """What all the workloads that are compared with each other have in common."""

    n: int
    k: int
    batch: int
    turn_bytes: int  # of encoded weights that a turn reads at batch 1
    resident: bool  # one matrix, which stays in a cache, instead of distinct ones
    huge_pages: bool

    @cached_property
    def x(self) -> NDArray[np.float32]:
        return np.random.default_rng(1).standard_normal((self.batch, self.k), np.float32)

    @property
    def operations(self) -> int:
        """Multiplications and additions of a call."""
        return 2 * self.n * self.k * self.batch

    def calls(self, matrix_bytes: int) -> int:
        """How many make a turn: a larger batch computes longer on each matrix."""
        return max(1, -(-self.turn_bytes // (matrix_bytes * self.batch)))

    def matrices(self, matrix_bytes: int) -> int:
        return 1 if self.resident else self.calls(matrix_bytes)


class Workload(ABC):
    """Calls on one encoding by one implementation. The subclass sets the attributes."""

    arithmetic: str  # that bounds it: probe_f32 or probe_int8 of probe.cpp
    errors: tuple[float, float]  # that are expected, from least to most
    name: str
    setting: Setting
    matrix_bytes: int
    calls: int  # of a turn

    @property
    def bits(self) -> float:
        return 8 * self.matrix_bytes / (self.setting.n * self.setting.k)

    @abstractmethod
    def run(self) -> None:
        """One turn."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What it is, for the report."""

    def close(self) -> None:
        """Frees what is not freed with the object."""

    @abstractmethod
    def decoded(self) -> NDArray[np.float32]:
        """The values [n, k] of the encoded weights, by other means than those that are measured."""

    @abstractmethod
    def results(self) -> list[NDArray[np.float32]]:
        """y [batch, n] of the first and of the last call of a turn."""

    @cached_property
    def expected(self) -> NDArray[np.float64]:
        return self.setting.x.astype(np.float64) @ self.decoded().T.astype(np.float64)

    def error(self) -> float:
        """Of the results, relative to the exact ones, in the 2-norm; not finite for NaN."""
        scale = np.linalg.norm(self.expected)
        errors = [np.linalg.norm(y - self.expected) / scale for y in self.results()]
        return float(np.max(errors))  # unlike Python's max, NaN if one is
