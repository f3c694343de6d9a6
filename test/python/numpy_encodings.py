"""The encodings in numpy, straight from the contract (docs/Numerics.md), independent of Lowbit.

Formats are those of numpy_formats.py. Each class gives for a matrix x (float32 [rows, columns])
    encode(x)           its stored arrays, not yet packed
    decode(parts, shape)  the float32 matrix that they mean
    storage(parts)      the arrays as an archive holds them: packed, by component name
Every operation on floats is one float32 operation that rounds once; numpy never fuses two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy_formats import F16, F32, NF4, Integer, Table


def reduce_blocks(operation: np.ufunc, x: np.ndarray, block: tuple) -> np.ndarray:
    """One number for each block; None in `block`: the whole axis; the last one may be partial."""
    for axis, size in enumerate(block):
        if size != 1:
            x = operation.reduceat(x, np.arange(0, x.shape[axis], size or x.shape[axis]), axis=axis)
    return x


def smallest(x: np.ndarray, block: tuple) -> np.ndarray:
    """The smallest of each block; -0 is below +0, which `np.minimum` leaves open."""
    bits = x.view(np.int32)
    ordered = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    least = reduce_blocks(np.minimum, ordered, block)
    return np.where(least < 0, least ^ 0x7FFFFFFF, least).view(np.float32)


def spread(values: np.ndarray, block: tuple, shape: tuple) -> np.ndarray:
    """The number of each element's block."""
    for axis, size in enumerate(block):
        if size != 1:
            values = np.repeat(values, size or shape[axis], axis=axis)
    return values[tuple(slice(extent) for extent in shape)]


def divide(x: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """x / scale, 0 where the scale is 0."""
    return np.divide(x, scale, out=np.zeros_like(x), where=scale != 0)


def whole_blocks(inner: tuple, outer: tuple) -> tuple:
    """How many blocks of an inner level lie in one of the outer level, along each axis."""
    return tuple(o and (o // i if i else None) for i, o in zip(inner, outer))


@dataclass(frozen=True)
class Tree:
    """Levels (format, block), outermost first; in a block, None is the whole axis."""

    levels: tuple

    @property
    def block(self) -> tuple:
        return self.levels[-1][1]

    def encode(self, ideal: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """The codes of each level, and the values that they make, on the grid of the innermost."""
        wanted = [ideal]
        for (inner, inner_block), (_, outer_block) in zip(self.levels[:0:-1], self.levels[-2::-1]):
            ratio = whole_blocks(inner_block, outer_block)
            if inner.lowest < 0:
                peak = reduce_blocks(np.maximum, np.abs(wanted[0]), ratio)
            else:
                high = reduce_blocks(np.maximum, wanted[0], ratio)
                low = reduce_blocks(np.minimum, wanted[0], ratio)
                assert np.all((low >= 0) | (high <= 0)), "one sign in each outer block"
                peak = np.where(high > 0, high, low)
            wanted.insert(0, peak / np.float32(inner.largest))
        codes, product = [], None
        for number, (format, block) in enumerate(self.levels):
            value = wanted[number]
            if number:
                ratio = whole_blocks(block, self.levels[number - 1][1])
                outside = spread(product, ratio, value.shape)
                value = divide(value, outside)
            codes.append(format.nearest(value))
            product = format.level(codes[-1]) if number == 0 else outside * format.level(codes[-1])
        return codes, product

    def decode(self, codes: list[np.ndarray]) -> np.ndarray:
        product = self.levels[0][0].level(codes[0])
        for number, (format, block) in enumerate(self.levels[1:], 1):
            ratio = whole_blocks(block, self.levels[number - 1][1])
            product = spread(product, ratio, codes[number].shape) * format.level(codes[number])
        return product

    def storage(self, codes: list[np.ndarray], name: str) -> dict[str, np.ndarray]:
        out = {}
        for number, ((format, _), code) in enumerate(zip(self.levels, codes)):
            out |= format.storage(code, name if len(self.levels) == 1 else f"{name}.{number}")
        return out


def per(element, *block) -> Tree:
    return Tree(((element, block),))


def power_of_two_below(x: np.ndarray) -> np.ndarray:
    """2^floor(log2 x), 0 for 0."""
    _, exponent = np.frexp(x)
    return np.where(x == 0, np.float32(0), np.ldexp(np.float32(1), exponent - 1))


@dataclass(frozen=True)
class Quantized:
    """scale * level; with `min` + minimum; with `zero` scale * (level - zero), integers.

    The scale of a block is its largest magnitude over the format's, or with a zero point its range over the format's;
    `is_mx`: the power of two of OCP's MX specification 1.0, section 6.3. `steps`: the best of 1 + steps fractions of it, from all to half.
    """

    format: object
    scale: Tree
    zero_point: str | None = None
    zero: Tree | None = None
    is_mx: bool = False
    steps: int = 0

    def best_fraction(self, x: np.ndarray, ideal: np.ndarray) -> np.ndarray:
        """The rule mse: of equal errors the first."""
        best, least = ideal, np.full(ideal.shape, np.inf, np.float32)
        for step in range(self.steps + 1):
            _, scale = self.scale.encode(ideal * np.float32(1 - step * 0.5 / self.steps))
            each = spread(scale, self.scale.block, x.shape)
            error = x - each * self.format.level(self.format.nearest(divide(x, each)))
            error = reduce_blocks(np.add, error * error, self.scale.block)
            best, least = np.where(error < least, scale, best), np.minimum(error, least)
        return best

    def encode(self, x: np.ndarray) -> dict[str, np.ndarray]:
        def per_element(values: np.ndarray) -> np.ndarray:
            return spread(values, self.scale.block, x.shape)

        x = np.where(np.isnan(x), np.float32(0), x)
        if self.zero_point is None:
            peak = reduce_blocks(np.maximum, np.abs(x), self.scale.block)
            if self.is_mx:
                ideal = power_of_two_below(peak) / power_of_two_below(self.format.largest)
            else:
                ideal = peak / np.float32(self.format.largest)
                ideal = self.best_fraction(x, ideal) if self.steps else ideal
            scales, scale = self.scale.encode(ideal)
            return {
                "codes": self.format.nearest(divide(x, per_element(scale))),
                "scale": scales,
            }
        low = smallest(x, self.scale.block)
        high = reduce_blocks(np.maximum, x, self.scale.block)
        steps = np.float32(self.format.highest) - np.float32(self.format.lowest)
        if self.zero_point == "min":
            if len(self.zero.levels) > 1 and self.zero.levels[-1][0].lowest >= 0:
                low = np.minimum(low, 0)
            scales, scale = self.scale.encode((high - low) / steps)
            zeros, zero = self.zero.encode(low)
            codes = self.format.nearest(divide(x - per_element(zero), per_element(scale)))
        else:
            low, high = np.minimum(low, 0), np.maximum(high, 0)
            scales, scale = self.scale.encode((high - low) / steps)
            zeros, zero = self.zero.encode(-divide(low, scale))
            integer = np.rint(divide(x, per_element(scale))) + per_element(zero)
            codes = self.format.nearest(integer)
        return {"codes": codes, "scale": scales, self.zero_point: zeros}

    def decode(self, parts: dict[str, np.ndarray], shape: tuple) -> np.ndarray:
        value = self.format.level(parts["codes"])
        if self.zero_point == "zero":
            value = value - spread(self.zero.decode(parts["zero"]), self.zero.block, shape)
        value = spread(self.scale.decode(parts["scale"]), self.scale.block, shape) * value
        if self.zero_point == "min":
            value = value + spread(self.zero.decode(parts["min"]), self.zero.block, shape)
        return value

    def storage(self, parts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        out = self.format.storage(parts["codes"], "codes")
        out |= self.scale.storage(parts["scale"], "scale")
        if self.zero:
            out |= self.zero.storage(parts[self.zero_point], self.zero_point)
        return out


@dataclass(frozen=True)
class HighBits:
    """The `kept` high bits of the codes of `base`, each for the mean of the levels that begin so."""

    base: Quantized
    kept: int

    def encode(self, x: np.ndarray) -> dict[str, np.ndarray]:
        return self.base.encode(x)

    def decode(self, parts: dict[str, np.ndarray], shape: tuple) -> np.ndarray:
        rest = 1 << (self.base.format.bits - self.kept)
        levels = self.base.format.level(np.arange(1 << self.base.format.bits))
        means = levels.reshape(-1, rest).mean(1, dtype=np.float64).astype(np.float32)
        scale = spread(self.base.scale.decode(parts["scale"]), self.base.scale.block, shape)
        return scale * means[parts["codes"] // rest]


@dataclass(frozen=True)
class Learned:
    """Each row's own ascending levels for the elements over their scale, if any. The levels are `given`: what was learned."""

    bits: int
    scale: Tree | None = None
    given = ("levels",)

    def encode(self, x: np.ndarray, levels: np.ndarray) -> dict:
        parts, t = {}, x
        if self.scale:
            # A scale brings the elements to -1 ... 1.
            peak = reduce_blocks(np.maximum, np.abs(x), self.scale.block)
            parts["scale"], scale = self.scale.encode(peak)
            t = divide(x, spread(scale, self.scale.block, x.shape))
        steps = levels.astype(np.float32).reshape(-1, 1, 1 << self.bits)
        codes = np.zeros(x.shape, np.int64)
        for step in range((1 << self.bits) - 1):
            above, below = t - steps[..., step], steps[..., step + 1] - t
            codes += (above > below) | ((above == below) & (step % 2 == 1))
        return parts | {"codes": codes, "levels": steps[:, 0]}

    def decode(self, parts: dict, shape: tuple) -> np.ndarray:
        value = np.take_along_axis(parts["levels"], parts["codes"], axis=1)
        if not self.scale:
            return value
        return spread(self.scale.decode(parts["scale"]), self.scale.block, shape) * value


@dataclass(frozen=True)
class Residual:
    """A second term encodes what the first one leaves."""

    first: Quantized
    second: Quantized

    def encode(self, x: np.ndarray) -> dict:
        first = self.first.encode(x)
        rest = x - self.first.decode(first, x.shape)
        return {"first": first, "second": self.second.encode(rest)}

    def decode(self, parts: dict, shape: tuple) -> np.ndarray:
        return self.first.decode(parts["first"], shape) + self.second.decode(parts["second"], shape)

    def storage(self, parts: dict) -> dict[str, np.ndarray]:
        out = {f"0.{name}": a for name, a in self.first.storage(parts["first"]).items()}
        return out | {f"1.{name}": a for name, a in self.second.storage(parts["second"]).items()}


@dataclass(frozen=True)
class SumWithSparse:
    """A base and remainders of the floor(density * elements) largest |x|, ties by lower index."""

    base: Quantized
    density: float

    def encode(self, x: np.ndarray) -> dict:
        magnitude = np.abs(x).ravel()
        count = int(np.floor(self.density * x.size))
        if count:
            least = np.partition(magnitude, x.size - count)[x.size - count]
            above = np.flatnonzero(magnitude > least)
            equal = np.flatnonzero(magnitude == least)[: count - len(above)]
            chosen = np.sort(np.concatenate([above, equal]))
        else:
            chosen = np.zeros(0, np.int64)
        inliers = x.copy()
        inliers.ravel()[chosen] = 0
        base = self.base.encode(inliers)
        remainder = x.ravel()[chosen] - self.base.decode(base, x.shape).ravel()[chosen]
        with np.errstate(over="ignore"):  # these do become infinite
            values = remainder.astype(np.float16)
        return {"base": base, "chosen": chosen, "values": values, "shape": x.shape}

    def decode(self, parts: dict, shape: tuple) -> np.ndarray:
        out = self.base.decode(parts["base"], shape)
        out.ravel()[parts["chosen"]] += parts["values"].astype(np.float32)
        return out

    def storage(self, parts: dict) -> dict[str, np.ndarray]:
        rows, columns = parts["shape"]
        out = {f"0.{name}": array for name, array in self.base.storage(parts["base"]).items()}
        starts = np.searchsorted(parts["chosen"], np.arange(rows + 1) * columns)
        out["1.positions"] = starts.astype(np.int32)
        out["1.columns"] = (parts["chosen"] % columns).astype(np.int32)
        out["1.values"] = parts["values"]
        return out


@dataclass(frozen=True)
class PartRows:
    """Rows [0, at) in one encoding, the others in another."""

    at: int
    first: Quantized
    second: Quantized

    def encode(self, x: np.ndarray) -> dict:
        return {
            "first": self.first.encode(x[: self.at]),
            "second": self.second.encode(x[self.at :]),
        }

    def decode(self, parts: dict, shape: tuple) -> np.ndarray:
        first = self.first.decode(parts["first"], (self.at, shape[1]))
        second = self.second.decode(parts["second"], (shape[0] - self.at, shape[1]))
        return np.concatenate([first, second])

    def storage(self, parts: dict) -> dict[str, np.ndarray]:
        out = {f"0.{name}": a for name, a in self.first.storage(parts["first"]).items()}
        return out | {f"1.{name}": a for name, a in self.second.storage(parts["second"]).items()}


_INT8_ROWS_TEXT = "#lowbit.quantized<int<8>, scale = f32 per axis 0>"
_INT4_TEXT = "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>"
_int8_rows = Quantized(Integer(8), per(F32, 1, None))
_int4 = Quantized(Integer(4), per(F16, 1, 32))

# By a short name: the attribute's text and what it must do. The tests run all of these.
CASES = {
    "int8-rows": (_INT8_ROWS_TEXT, _int8_rows),
    "int4": (_INT4_TEXT, _int4),
    "uint4-min": (
        "#lowbit.quantized<uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32]>",
        Quantized(Integer(4, signed=False), per(F16, 1, 32), "min", per(F16, 1, 32)),
    ),
    "uint4-zero": (
        "#lowbit.quantized<uint<4>, scale = f16 per [1, 32], zero = uint<4> per [1, 32]>",
        Quantized(
            Integer(4, signed=False),
            per(F16, 1, 32),
            "zero",
            per(Integer(4, signed=False), 1, 32),
        ),
    ),
    "nf4": (
        "#lowbit.quantized<codebook<nf4>, scale = f32 per [1, 64]>",
        Quantized(Table(NF4), per(F32, 1, 64)),
    ),
    "int3-sparse": (
        "#lowbit.sum<#lowbit.quantized<int<3>, scale = f16 per [1, 32]>, "
        "#lowbit.sparse<f16, density = 0.01>>",
        SumWithSparse(Quantized(Integer(3), per(F16, 1, 32)), 0.01),
    ),
    "part-8-4": (
        f"#lowbit.part<axis = 0, at = [64], {_INT8_ROWS_TEXT}, {_INT4_TEXT}>",
        PartRows(64, _int8_rows, _int4),
    ),
}
