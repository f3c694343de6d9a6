"""Which tensor is stored in what."""

from __future__ import annotations

import fnmatch
from typing import Mapping, Sequence

from .. import _lowbit
from ..errors import LowbitError
from .stages import Stage

KEEP = "same"
"""Instead of an encoding: as it is stored."""


class Choices:
    """For the weights that products multiply with.

    keep: (pattern, encoding), the first match decides.

    A table that is looked up as well (an embedding that is the head, too) is left unless something names it: its other readers are
    nothing that calibration sees.
    """

    def __init__(
        self, archive: _lowbit.Archive, stages: Sequence[Stage], keep: Sequence[tuple[str, str]]
    ):
        self.keep = keep
        self.shapes = {tensor.name: list(tensor.shape) for tensor in archive.tensors}
        self.products = list(dict.fromkeys(k for s in stages for feeds in s.feeds for k in feeds))
        self._looked_up = {
            key
            for stage in stages
            for key in stage.parameters
            if key in self.products and not any(key in feeds for feeds in stage.feeds)
        }
        for pattern, _ in keep:
            if not any(fnmatch.fnmatchcase(name, pattern) for name in self.shapes):
                raise LowbitError(
                    f"no tensor has a name like '{pattern}'",
                    hint="`lowbit inspect` lists the names",
                )
        for name in self.shapes:
            if (encoding := self.match(name)) is not None:
                self._check(name, encoding)

    def _check(self, key: str, encoding: str) -> None:
        try:
            if encoding != KEEP:
                _lowbit.encoded_bytes(encoding, self.shapes[key])
        except RuntimeError as error:
            raise LowbitError(
                f"tensor '{key}': {error}",
                hint=f"choose another encoding, or leave it as it is: --keep '{key}={KEEP}'",
            ) from None

    def match(self, key: str) -> str | None:
        """What the first pattern says that a name matches."""
        return next((e for pattern, e in self.keep if fnmatch.fnmatchcase(key, pattern)), None)

    def fixed(self, key: str) -> str | None:
        """The encoding of a weight that nothing is left to choose of."""
        return self.match(key) or (KEEP if key in self._looked_up else None)

    def fits(self, key: str, encoding: str) -> bool:
        """Whether an encoding is legal for a weight, and its bytes are known before it is encoded."""
        try:
            return _lowbit.encoded_bytes(encoding, self.shapes[key]) is not None
        except RuntimeError:
            return False

    def complete(self, plan: Mapping[str, str], default: str) -> dict[str, str]:
        """For each weight the encoding of its base, or KEEP. Checked: each fits its tensor."""
        for key in plan:
            if key not in self.products:
                raise LowbitError(
                    f"the plan names '{key}', which no product multiplies with",
                    hint="take it out of the plan; other tensors are for --keep",
                )
        chosen = {key: self.match(key) or plan.get(key) for key in self.products}
        for key in self.products:
            chosen[key] = chosen[key] or self.fixed(key) or default
        for key, encoding in chosen.items():
            self._check(key, encoding)
        if all(encoding == KEEP for encoding in chosen.values()):
            raise LowbitError("no weight is left to quantize", hint="--keep leaves all as they are")
        return chosen
