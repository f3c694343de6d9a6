"""Number formats in numpy, straight from the contract (docs/Numerics.md), independent of Lowbit.

Each format has its smallest and largest level `lowest` and `highest`, the number `largest` that absmax divides by, and
    nearest(t)          the codes (non-negative integers) of the levels nearest to float32 numbers
    level(codes)        the float32 levels of codes
    storage(codes, name)  the arrays in which an archive holds codes
The floats of the OCP's specifications come from `ml_dtypes`.
"""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np

NF4 = np.array(  # Dettmers et al. 2023 (QLoRA), appendix E
    [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453]
    + [-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0]
    + [0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224]
    + [0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0],
    np.float32,
)


def planes(codes: np.ndarray, bits: int, name: str) -> dict[str, np.ndarray]:
    """k-bit codes as planes of 8, 4, 2 and 1 bits, the low bits first, little end first."""
    codes = codes.astype(np.int64) & ((1 << bits) - 1)
    out, shift = [], 0
    for width in (8, 4, 2, 1):
        if not bits & width:
            continue
        field = codes >> shift & ((1 << width) - 1)
        shift += width
        per_byte = 8 // width
        padding = [(0, 0)] * (codes.ndim - 1) + [(0, -codes.shape[-1] % per_byte)]
        field = np.pad(field, padding).reshape(*codes.shape[:-1], -1, per_byte)
        out.append((field << np.arange(per_byte) * width).sum(axis=-1).astype(np.uint8))
    names = [name] if len(out) == 1 else [f"{name}.{i}" for i in range(len(out))]
    return dict(zip(names, out))


def nearest_level(levels: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The index of the nearest of the ascending levels; a tie goes to the even index."""
    # In float64 the middle of two float32 numbers is exact.
    middle = (levels[:-1].astype(np.float64) + levels[1:]) / 2
    index = np.searchsorted(middle, x.astype(np.float64), side="left")
    tie = (index < len(middle)) & (middle[np.minimum(index, len(middle) - 1)] == x)
    return np.where(tie & (index % 2 == 1), index + 1, index)


@dataclass(frozen=True)
class Integer:
    """int<bits> in two's complement, or uint<bits>."""

    bits: int
    signed: bool = True

    @property
    def lowest(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        return self.lowest + (1 << self.bits) - 1

    @property
    def largest(self) -> int:
        return self.highest

    def nearest(self, t: np.ndarray) -> np.ndarray:
        return self.code(np.clip(np.rint(t), self.lowest, self.highest))

    def code(self, integer: np.ndarray) -> np.ndarray:
        return integer.astype(np.int64) & ((1 << self.bits) - 1)

    def level(self, codes: np.ndarray) -> np.ndarray:
        sign = 1 << (self.bits - 1) if self.signed else 0
        return ((codes ^ sign) - sign).astype(np.float32)

    def storage(self, codes: np.ndarray, name: str) -> dict[str, np.ndarray]:
        return planes(codes, self.bits, name)


@dataclass(frozen=True)
class Table:
    """Ascending levels; the code is the index."""

    levels: np.ndarray

    @property
    def lowest(self) -> np.float32:
        return self.levels[0]

    @property
    def highest(self) -> np.float32:
        return self.levels[-1]

    @property
    def largest(self) -> np.float32:
        return np.abs(self.levels).max()

    def nearest(self, t: np.ndarray) -> np.ndarray:
        return nearest_level(self.levels, t)

    def level(self, codes: np.ndarray) -> np.ndarray:
        return self.levels[codes]

    def storage(self, codes: np.ndarray, name: str) -> dict[str, np.ndarray]:
        return planes(codes, int(np.ceil(np.log2(len(self.levels)))), name)


@dataclass(frozen=True)
class Companded:
    """8-bit codes of FlashOptim (Gonzalez Ortiz et al. 2026), in the order of the levels: with a sign round(127 y), y = 2 t / (1 + |t|), counted
    from -127; without round(255 sqrt(t)). In float64, where no number of float32 lies on a border but for the root's 1 / 4.
    """

    signed: bool
    zero: bool = True
    """Without a sign: else code 0 is a quarter of a step."""

    largest = np.float32(1)

    def nearest(self, t: np.ndarray) -> np.ndarray:
        t = np.clip(t.astype(np.float64), -1 if self.signed else 0, 1)
        if self.signed:
            return (np.floor(127 * (2 * t / (1 + np.abs(t))) + 0.5) + 127).astype(np.int64)
        return np.floor(255 * np.sqrt(t) + 0.5).astype(np.int64)

    def level(self, codes: np.ndarray) -> np.ndarray:
        if self.signed:
            y = (codes.astype(np.int64) - 127) / 127
            return (y / (2 - np.abs(y))).astype(np.float32)
        steps = np.where((codes == 0) & (not self.zero), 0.25, codes)
        return ((steps / 255) ** 2).astype(np.float32)

    def storage(self, codes: np.ndarray, name: str) -> dict[str, np.ndarray]:
        return planes(codes, 8, name)


@dataclass(frozen=True)
class Float:
    """A type of numpy or ml_dtypes; what is beyond its range becomes the largest finite number."""

    type: type

    @property
    def highest(self) -> np.float32:
        return np.float32(ml_dtypes.finfo(self.type).max)

    @property
    def lowest(self) -> np.float32:
        return np.float32(ml_dtypes.finfo(self.type).min)

    @property
    def largest(self) -> np.float32:
        return self.highest

    @property
    def _integer(self) -> str:
        return f"u{np.dtype(self.type).itemsize}"

    def nearest(self, t: np.ndarray) -> np.ndarray:
        return np.clip(t, self.lowest, self.highest).astype(self.type).view(self._integer)

    def level(self, codes: np.ndarray) -> np.ndarray:
        return codes.astype(self._integer).view(self.type).astype(np.float32)

    def storage(self, codes: np.ndarray, name: str) -> dict[str, np.ndarray]:
        numbers = codes.astype(self._integer).view(self.type)
        if np.dtype(self.type).itemsize > 1:
            return {name: numbers}
        return planes(codes, ml_dtypes.finfo(self.type).bits, name)


@dataclass(frozen=True)
class Exponent:
    """e8m0: code c is 2^(c - 127), for scales that are powers of two; 0 becomes the smallest."""

    lowest = np.float32(2.0**-127)
    highest = np.float32(2.0**127)
    largest = highest

    def nearest(self, t: np.ndarray) -> np.ndarray:
        mantissa, exponent = np.frexp(t)
        assert np.all((mantissa == 0.5) | (t == 0)), "only powers of two"
        return np.where(t == 0, 0, np.clip(exponent - 1 + 127, 0, 254))

    def level(self, codes: np.ndarray) -> np.ndarray:
        return np.ldexp(np.float32(1), codes.astype(np.int32) - 127)

    def storage(self, codes: np.ndarray, name: str) -> dict[str, np.ndarray]:
        return planes(codes, 8, name)


F16, F32 = Float(np.float16), Float(np.float32)
BF16 = Float(ml_dtypes.bfloat16)
E4M3, E5M2 = Float(ml_dtypes.float8_e4m3fn), Float(ml_dtypes.float8_e5m2)
E3M2, E2M3 = Float(ml_dtypes.float6_e3m2fn), Float(ml_dtypes.float6_e2m3fn)
E2M1 = Float(ml_dtypes.float4_e2m1fn)
E8M0 = Exponent()


def levels(numbers) -> Table:
    return Table(np.asarray(numbers, np.float32))


def dynamic(signed: bool, bits: int = 8) -> Table:
    """The dynamic exponent table of Dettmers et al. 2022 (8-bit Optimizers), as bitsandbytes' create_dynamic_map makes it: with
    torch.linspace, which counts from the nearer end and rounds a product and a sum once."""
    decades, fraction_bits = 7 if bits == 8 else bits - 1, bits - 1
    numbers = [0.0, 1.0]
    for decade in range(decades):
        count = 2 ** (decade + fraction_bits - decades + (0 if signed else 1))
        # In f32: the borders of `count` equal parts of [0.1, 1], then the middle of each.
        low, high, i = np.float32(0.1), np.float32(1), np.arange(count + 1)
        step = np.float64((high - low) / np.float32(count))  # what follows is exact in float64
        borders = np.where(i < (count + 1) // 2, step * i + low, high - step * (count - i))
        borders = borders.astype(np.float32)
        middles = (borders[:-1] + borders[1:]) / np.float32(2)
        scaled = np.float32(10.0 ** (decade - decades + 1)) * middles
        numbers += list(scaled) + (list(-scaled) if signed else [])
    return levels(sorted(numbers))


def lloyd_max(bits: int) -> Table:
    """The levels of least squared error for a standard Gaussian (Lloyd 1982, Max 1960)."""
    from math import erf, exp, pi, sqrt

    def density(x):
        return exp(-x * x / 2) / sqrt(2 * pi)

    def below(x):
        return (1 + erf(x / sqrt(2))) / 2

    points = np.linspace(-2, 2, 1 << bits)
    for _ in range(20000):
        cuts = [-40.0, *((points[:-1] + points[1:]) / 2), 40.0]
        points = np.array(
            [(density(a) - density(b)) / (below(b) - below(a)) for a, b in zip(cuts, cuts[1:])]
        )
    return levels(points)
