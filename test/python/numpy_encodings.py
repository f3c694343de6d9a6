"""The encodings in numpy, straight from the contract (docs/Numerics.md), independent of Lowbit.

Each class gives for a matrix x (float32 [rows, columns])
    encode(x)           its stored arrays, not yet packed
    decode(parts, shape)  the float32 matrix that they mean
    storage(parts)      the arrays as an archive holds them: packed, by component name
Every operation on floats is one float32 operation that rounds once; numpy never fuses two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NF4 = np.array(  # Dettmers et al. 2023 (QLoRA), appendix E
    [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453]
    + [-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0]
    + [0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224]
    + [0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0],
    np.float32,
)


def reduce_blocks(operation: np.ufunc, x: np.ndarray, block: tuple) -> np.ndarray:
    """One number for each block; None in `block`: the whole axis; the last one may be partial."""
    for axis, size in enumerate(block):
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
        values = np.repeat(values, size or shape[axis], axis=axis)
    return values[tuple(slice(extent) for extent in shape)]


def divide(x: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """x / scale, 0 where the scale is 0."""
    return np.divide(x, scale, out=np.zeros_like(x), where=scale != 0)


def stored(ideal: np.ndarray, element: type) -> np.ndarray:
    """Rounded to the element; what is too large becomes the largest finite number."""
    limit = np.float32(np.finfo(element).max)
    return np.clip(ideal, -limit, limit).astype(element)


def nearest(levels: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The index of the nearest of the ascending levels; a tie goes to the even index."""
    # In float64 the middle of two float32 numbers is exact.
    middle = (levels[:-1].astype(np.float64) + levels[1:]) / 2
    index = np.searchsorted(middle, x.astype(np.float64), side="left")
    tie = (index < len(middle)) & (middle[np.minimum(index, len(middle) - 1)] == x)
    return np.where(tie & (index % 2 == 1), index + 1, index)


def planes(codes: np.ndarray, bits: int, name: str) -> dict[str, np.ndarray]:
    """k-bit codes as planes of 4, 2 and 1 bits (or 8), the low bits first, little end first."""
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


@dataclass(frozen=True)
class Integers:
    """int<k>, or uint<k> with a zero point: 'min' (scale*q + min) or 'zero' (scale*(q - zero))."""

    bits: int
    scale: type
    block: tuple
    zero_point: str | None = None

    @property
    def low(self) -> int:
        return 0 if self.zero_point else -(1 << (self.bits - 1))

    @property
    def high(self) -> int:
        return self.low + (1 << self.bits) - 1

    def encode(self, x: np.ndarray) -> dict[str, np.ndarray]:
        def per_element(values: np.ndarray) -> np.ndarray:
            return spread(values.astype(np.float32), self.block, x.shape)

        steps = np.float32(self.high)
        if self.zero_point is None:
            scale = stored(reduce_blocks(np.maximum, np.abs(x), self.block) / steps, self.scale)
            codes = np.rint(divide(x, per_element(scale))) + np.float32(0)  # not -0
            return {"codes": np.clip(codes, self.low, self.high), "scale": scale}
        low = smallest(x, self.block)
        high = reduce_blocks(np.maximum, x, self.block)
        if self.zero_point == "min":
            scale = stored((high - low) / steps, self.scale)
            minimum = stored(low, self.scale)
            codes = np.rint(divide(x - per_element(minimum), per_element(scale))) + np.float32(0)
            return {"codes": np.clip(codes, 0, self.high), "scale": scale, "min": minimum}
        low, high = np.minimum(low, 0), np.maximum(high, 0)
        scale = stored((high - low) / steps, self.scale)
        zero = np.clip(np.rint(-divide(low, scale.astype(np.float32))), 0, self.high)
        codes = np.rint(divide(x, per_element(scale))) + per_element(zero)
        return {"codes": np.clip(codes, 0, self.high), "scale": scale, "zero": zero}

    def decode(self, parts: dict[str, np.ndarray], shape: tuple) -> np.ndarray:
        level = parts["codes"].astype(np.float32)
        if "zero" in parts:
            level = level - spread(parts["zero"].astype(np.float32), self.block, shape)
        value = spread(parts["scale"].astype(np.float32), self.block, shape) * level
        if "min" in parts:
            value = value + spread(parts["min"].astype(np.float32), self.block, shape)
        return value

    def storage(self, parts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        out = planes(parts["codes"], self.bits, "codes") | {"scale": parts["scale"]}
        if "zero" in parts:
            out |= planes(parts["zero"], self.bits, "zero")
        if "min" in parts:
            out["min"] = parts["min"]
        return out


@dataclass(frozen=True)
class Codebook:
    """Ascending levels whose largest magnitude is 1, times a scale."""

    levels: np.ndarray
    scale: type
    block: tuple

    def encode(self, x: np.ndarray) -> dict[str, np.ndarray]:
        scale = stored(reduce_blocks(np.maximum, np.abs(x), self.block), self.scale)
        codes = nearest(
            self.levels, divide(x, spread(scale.astype(np.float32), self.block, x.shape))
        )
        return {"codes": codes, "scale": scale}

    def decode(self, parts: dict[str, np.ndarray], shape: tuple) -> np.ndarray:
        scale = spread(parts["scale"].astype(np.float32), self.block, shape)
        return scale * self.levels[parts["codes"]]

    def storage(self, parts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return planes(parts["codes"], 4, "codes") | {"scale": parts["scale"]}


@dataclass(frozen=True)
class SumWithSparse:
    """A base and remainders of the floor(density * elements) largest |x|, ties by lower index."""

    base: Integers | Codebook
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
    first: Integers | Codebook
    second: Integers | Codebook

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


_int8_rows = Integers(8, np.float32, (1, None))
_int4 = Integers(4, np.float16, (1, 32))
_INT8_ROWS_TEXT = "#lowbit.quantized<int<8>, scale = f32 per axis 0>"
_INT4_TEXT = "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>"

# By a short name: the attribute's text and what it must do.
CASES = {
    "int8-rows": (_INT8_ROWS_TEXT, _int8_rows),
    "int4": (_INT4_TEXT, _int4),
    "uint4-min": (
        "#lowbit.quantized<uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32]>",
        Integers(4, np.float16, (1, 32), "min"),
    ),
    "uint4-zero": (
        "#lowbit.quantized<uint<4>, scale = f16 per [1, 32], zero = uint<4> per [1, 32]>",
        Integers(4, np.float16, (1, 32), "zero"),
    ),
    "nf4": (
        "#lowbit.quantized<codebook<nf4>, scale = f32 per [1, 64]>",
        Codebook(NF4, np.float32, (1, 64)),
    ),
    "int3-sparse": (
        "#lowbit.sum<#lowbit.quantized<int<3>, scale = f16 per [1, 32]>, "
        "#lowbit.sparse<f16, density = 0.01>>",
        SumWithSparse(Integers(3, np.float16, (1, 32)), 0.01),
    ),
    "part-8-4": (
        f"#lowbit.part<axis = 0, at = [64], {_INT8_ROWS_TEXT}, {_INT4_TEXT}>",
        PartRows(64, _int8_rows, _int4),
    ),
}
