"""Parameters that change together, as the compiler finds them (lowbit-find-bases), and how they change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _lowbit
from ..errors import LowbitError

ANOTHER_ENTRY = "another entry of the program uses these parameters otherwise"

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Member:
    """An axis of a parameter that lies in the basis: blocks of channels, `stride` elements from one to the next."""

    key: str
    axis: int
    stride: int
    gain: str
    """A parameter [channels] that goes into it first; or ""."""
    is_divided: bool
    """By the gain, instead of multiplied."""


@dataclass(frozen=True)
class Basis:
    taps: tuple[int, ...]
    """The numbers of the taps whose values lie in it."""
    extent: int
    """Its channels; a value may have several blocks of so many, which change alike."""
    keeps_ones: bool
    """Only rotations are allowed that leave the vector of ones where it is."""
    members: tuple[Member, ...]
    gains: tuple[str, ...]
    """Parameters that go into others, and become ones."""
    reason: str
    """Why nothing can change; then the rest is empty."""

    @property
    def keys(self) -> list[str]:
        """What changes."""
        return list(dict.fromkeys([*(member.key for member in self.members), *self.gains]))

    def change(
        self, load: Callable[[str], NDArray[Any]], by: Callable[[Values], Values]
    ) -> dict[str, Values]:
        """All that changes, when channels do by a function of arrays [..., extent]. load: a parameter by key."""
        changed: dict[str, Values] = {}
        for member in self.members:
            values = changed.get(member.key, load(member.key)).astype(np.float64)
            gain = load(member.gain).astype(np.float64) if member.gain else np.ones(self.extent)
            if member.is_divided:
                if not gain.all():
                    raise LowbitError(
                        f"'{member.key}' cannot be rotated: it is behind the gain '{member.gain}', which has zeros",
                        hint="use a recipe without the step 'rotate'",
                    )
                gain = 1 / gain
            shape = values.shape
            blocks = (-1, self.extent, member.stride)
            apart = values.reshape(*shape[: member.axis], *blocks, *shape[member.axis + 1 :])
            last = np.moveaxis(apart, member.axis + 1, -1) * gain
            changed[member.key] = np.moveaxis(by(last), -1, member.axis + 1).reshape(shape)
        for key in self.gains:
            changed[key] = np.ones(self.extent)
        return changed


def make_basis(
    taps: Sequence[int],
    extent: int,
    keeps_ones: bool,
    members: Sequence[tuple[str, int, int, str, bool]],
    gains: Sequence[str],
    reason: str,
) -> Basis:
    return Basis(
        tuple(taps),
        extent,
        keeps_ones,
        tuple(Member(*member) for member in members),
        tuple(gains),
        reason,
    )


def find_rotations(text: str, name: str) -> list[tuple[list[str], Basis]]:
    """The bases of a program's first entry, each with the weights that its values are multiplied with; one that another entry does not
    share is refused."""
    entries = [
        (set(parameters), feeds, [make_basis(*basis) for basis in bases])
        for parameters, feeds, bases, _, _ in _lowbit.describe_entries(text, name)
    ]
    (_, feeds, first), *others = entries
    found = []
    for basis in first:
        for parameters, _, bases in others:
            if parameters & set(basis.keys) and not any(
                set(basis.members) == set(other.members) for other in bases
            ):
                basis = make_basis(basis.taps, 0, False, [], [], ANOTHER_ENTRY)
        found.append(([key for tap in basis.taps for key in feeds[tap]], basis))
    return found
