"""What a choice of encodings may cost: bits per weight, or bytes; seconds; or both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ...errors import LowbitError
from .table import Item

_BYTES = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}
_SECONDS = {
    "s": Fraction(1),
    "ms": Fraction(1, 10**3),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "ns": Fraction(1, 10**9),
}
_HINT = (
    "a size as 3.5bpw (bits per weight, on the average), 60MB, 57.2MiB, or a time as 4ms, or both as 3.5bpw,4ms; "
    f"units are bpw; {', '.join(_BYTES)}; {', '.join(_SECONDS)}"
)
_PART = re.compile(r"([0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})\s*([A-Za-zµ]+)")


@dataclass(frozen=True)
class Budget:
    """Limits, each of which holds; None where there is none. Of `bits_per_weight` and `bytes` at most one is given."""

    bits_per_weight: Fraction | None = None
    """Bits of all stored components, over the number of weights, of all items together."""
    bytes: int | None = None
    seconds: float | None = None

    def __post_init__(self):
        if self.bits_per_weight is not None and self.bytes is not None:
            raise LowbitError("a budget has two sizes", hint=_HINT)
        for limit in (self.bits_per_weight, self.bytes, self.seconds):
            if limit is not None and not 0 < limit < float("inf"):
                raise LowbitError(f"the budget's limit {limit} is not above 0", hint=_HINT)
        if self.bits_per_weight is not None:
            object.__setattr__(self, "bits_per_weight", Fraction(self.bits_per_weight))
        if self.bytes is not None:
            object.__setattr__(self, "bytes", int(self.bytes))
        if self.seconds is not None:
            object.__setattr__(self, "seconds", float(self.seconds))

    @staticmethod
    def parse(text: str) -> Budget:
        """'3.5bpw', '60MB', '4ms', '3.5bpw,4ms': decimal numbers, taken exactly. Raises LowbitError that says what is understood."""
        found: dict[str, Fraction] = {}
        for part in text.split(","):
            match = _PART.fullmatch(part.strip())
            number, unit = match.groups() if match else ("0", "")
            if unit == "bpw":
                kind, factor = "bits_per_weight", Fraction(1)
            elif unit in _BYTES:
                kind, factor = "bytes", Fraction(_BYTES[unit])
            elif unit in _SECONDS:
                kind, factor = "seconds", _SECONDS[unit]
            else:
                raise LowbitError(f"'{part.strip()}' is no budget", hint=_HINT)
            if kind in found:
                raise LowbitError(f"the budget '{text}' has two limits of {kind}", hint=_HINT)
            found[kind] = Fraction(number) * factor
        return Budget(
            found.get("bits_per_weight"),
            int(found["bytes"]) if "bytes" in found else None,
            float(found["seconds"]) if "seconds" in found else None,
        )

    def byte_limit(self, items: Sequence[Item]) -> int | None:
        """The whole bytes that all items together may take. Raises LowbitError where the number of weights is needed and missing."""
        if self.bits_per_weight is None:
            return self.bytes
        return int(self.bits_per_weight * weights_of(items, required=True) / 8)

    def __str__(self) -> str:
        parts = []
        if self.bits_per_weight is not None:
            parts.append(f"{float(self.bits_per_weight):.12g}bpw")
        if self.bytes is not None:
            parts.append(f"{self.bytes}B")
        if self.seconds is not None:
            units = [u for u in _SECONDS if self.seconds >= _SECONDS[u]] or ["ns"]
            parts.append(f"{float(Fraction(self.seconds) / _SECONDS[units[0]]):.12g}{units[0]}")
        return ",".join(parts) or "no budget"


def weights_of(items: Sequence[Item], required: bool = False) -> int | None:
    """The number of weights of all items; None where an item has none (an error if they are required)."""
    for item in items:
        if item.weights is None:
            if required:
                raise LowbitError(
                    f"a budget in bits per weight needs the number of weights of item '{item.key}'",
                    hint="give its weights, or a budget in bytes",
                )
            return None
    return sum(item.weights for item in items)
