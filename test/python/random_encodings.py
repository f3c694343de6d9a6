"""Random encodings on random small shapes, each checked from its text to its compiled kernels.

As a program, `python test/python/random_encodings.py --first 1000 --count 5000` runs that many cases beyond those of the
suite; a failure prints the case, which `--first N --count 1` repeats. See test_random_encodings.py for what is checked."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

import kernels
import numpy as np
from lowbit import _lowbit

STORED = ["f32", "f16", "bf16"]
FLOATS = ["e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "e8m0", "ue4m3", "fp<2, 2>", "fp<3, 1, unsigned>", "fp<4, 3, bias = 5>"]
CODEBOOKS = [
    "codebook<nf4>", "codebook<ternary>", "codebook<dynamic, 8>", "codebook<[-1.0, -0.25, 0.0, 0.5, 1.0]>",
    "codebook<[0.0, 1.0, 3.0]>", "codebook<linear_nonzero, 4>", "codebook<log2, 4, 7.5>",
]  # fmt: skip
LAYOUTS = {
    "ggml<q4_0>": "int<4>, scale = f16 per {0}",
    "ggml<q4_1>": "uint<4>, scale = f16 per {0}, min = f16 per {0}",
    "ggml<q8_0>": "int<8>, scale = f16 per {0}",
}


@dataclass(frozen=True)
class Case:
    number: int
    shape: tuple[int, ...]
    encoding: str

    def __str__(self):
        return f"case {self.number}: {self.encoding} on {'x'.join(map(str, self.shape)) or 'a number'}"


class Choices:
    """Draws from one generator; every method returns text in the form that the printer gives it."""

    def __init__(self, seed: int):
        self.generator = np.random.default_rng(seed)

    def one(self, options):
        return options[int(self.generator.integers(len(options)))]

    def chance(self, probability: float) -> bool:
        return bool(self.generator.random() < probability)

    def between(self, low: int, high: int) -> int:
        return int(self.generator.integers(low, high + 1))

    # ------------------------------------------------------------------------------------------
    # Quantized terms
    # ------------------------------------------------------------------------------------------

    def integer(self, kind: str, most: int = 16) -> str:
        return f"{kind}<{self.between(1, 8 if self.chance(0.8) else most)}>"

    def format(self) -> str:
        return self.one([self.integer("int"), self.integer("uint"), self.one(FLOATS), self.one(CODEBOOKS), self.one(STORED), self.prefix()])

    def prefix(self) -> str:
        parent = self.one(["int<8>", "uint<6>", "int<12>", "codebook<nf4>", "e2m3"])
        return f"prefix<{self.between(1, 4)}, {parent}>"

    def learned(self, rank: int) -> str:
        return f"learned<{self.between(1, 5)}, {self.one(STORED)} per {self.granularity(rank)}>"

    def block(self, rank: int) -> list[int]:
        block = [1 if self.chance(0.7) else self.one([2, 3, 4]) for _ in range(rank)]
        block[-1] = self.one([1, 2, 4, 7, 8, 16, 32, 64])
        return block

    def level(self, rank: int, block: list[int] | None = None) -> str:
        element = self.one([*STORED, *STORED, "e8m0", "e4m3", self.integer("uint", 12), self.integer("int", 12), "codebook<dynamic, 8>"])
        return f"{element} per {block if block else self.granularity(rank)}"

    def granularity(self, rank: int) -> str:
        return self.one(["tensor", f"axis {self.between(0, rank - 1)}", str(self.block(rank))])

    def scale(self, rank: int) -> tuple[str, bool]:
        """A scale, and whether a zero point may stand beside it."""
        if rank == 2 and self.chance(0.12):
            return f"{self.one(STORED)} rank1<{self.one(['min', 'product', 'geo<0.25>'])}>", False
        if self.chance(0.7):
            return self.level(rank), True
        inner = self.block(rank)
        outer = [n * self.one([1, 2, 4]) for n in inner]
        levels = [f"{self.one(STORED)} per {outer}", self.level(rank, inner)]
        if self.chance(0.3):
            levels.insert(0, "f32 per tensor")
        return " * ".join(levels) + (f" + {self.one(STORED)} per tensor" if self.chance(0.15) else ""), True

    def quantized(self, rank: int) -> str:
        if self.chance(0.08):
            layout = self.one(list(LAYOUTS))
            block = [1] * (rank - 1) + [32]
            return f"#lowbit.quantized<{LAYOUTS[layout].format(block)}, layout = {layout}>"
        if self.chance(0.15):
            return f"#lowbit.quantized<{self.format()}>"
        if self.chance(0.1):
            scale = f", scale = {self.scale(rank)[0]}" if self.chance(0.5) else ""
            return f"#lowbit.quantized<{self.learned(rank)}{scale}>"
        if self.chance(0.05):
            bits = [self.one([1, 2, 4]) for _ in range(self.between(1, 3))]
            return f"#lowbit.quantized<int<{sum(bits)}>, scale = {self.scale(rank)[0]}, layout = planes<{', '.join(map(str, bits))}>>"
        scale, may_have_zero = self.scale(rank)
        grain = scale.split(" per ")[-1]
        kind = self.one(["none", "none", "zero", "min"]) if may_have_zero and "*" not in scale and "+" not in scale else "none"
        if kind == "zero":
            text = f"{self.integer('uint')}, scale = {scale}, zero = {self.integer('uint')} per {grain}"
        elif kind == "min":
            text = f"{self.one([self.integer('uint'), self.integer('int'), 'codebook<nf4>'])}, scale = {scale}, min = {self.one(STORED)} per {grain}"
        else:
            text = f"{self.format()}, scale = {scale}"
            if self.chance(0.15):
                text += f", rule = {self.one(['absmax', 'signed_max', 'min_max', 'mx_floor', 'percentile<99.5>'])}"
            if self.chance(0.15):
                text += f", rounding = {self.one(['half_away', 'half_up', 'stochastic<5>'])}"
        if rank == 2 and self.chance(0.3):
            text += f", layout = {self.one(['tiled', 'records'])}"
        return f"#lowbit.quantized<{text}>"

    # ------------------------------------------------------------------------------------------
    # Combinators
    # ------------------------------------------------------------------------------------------

    def terms(self, shape, depth: int, count: int) -> str:
        return ", ".join(self.term(shape, depth - 1) for _ in range(count))

    def term(self, shape, depth: int) -> str:
        """A term for a tensor of this shape; most fit it, the verifier refuses the others."""
        rank = len(shape)
        if depth == 0 or (rank > 0 and self.chance(0.25)):
            return self.quantized(rank) if rank else "#lowbit.flattened<#lowbit.quantized<f16>>"
        kinds = ["flattened"]
        if rank > 0:
            kinds += ["sum", "part", "permuted", "n_m"]
        if rank == 2:
            kinds += ["sparse", "block_sparse", "outlier_columns", "low_rank"]
        kind = self.one(kinds)
        if kind == "flattened":
            return f"#lowbit.flattened<{self.term((int(np.prod(shape)),), depth - 1)}>"
        if kind == "sum":
            return f"#lowbit.sum<{self.terms(shape, depth, self.between(2, 3))}>"
        if kind == "part":
            axis, cuts = self.between(0, rank - 1), self.between(1, 2)
            at = sorted(self.between(0, shape[axis]) for _ in range(cuts))
            ends = [0, *at, shape[axis]]
            pieces = [(*shape[:axis], end - start, *shape[axis + 1 :]) for start, end in zip(ends, ends[1:])]
            return f"#lowbit.part<axis = {axis}, at = {at}, {', '.join(self.term(piece, depth - 1) for piece in pieces)}>"
        if kind == "permuted":
            axis = self.between(0, rank - 1)
            block = self.one([n for n in (2, 3, 4, 16) if shape[axis] % n == 0] or [1]) if self.chance(0.4) else 1
            return f"#lowbit.permuted<axis = {axis}, {f'block = {block}, ' if block > 1 else ''}{self.term(shape, depth - 1)}>"
        if kind == "n_m":
            group = self.one([n for n in (2, 4, 8, 16) if shape[-1] % n == 0] or [4])
            kept = self.between(1, group - 1)
            return f"#lowbit.n_m<{kept}, {group}, {self.term((*shape[:-1], shape[-1] // group * kept), depth - 1)}>"
        density = self.one(["0.0", "0.05", "0.5", "1.0"])
        if kind == "sparse":
            return f"#lowbit.sparse<{self.one(STORED)}, density = {density}>"
        if kind == "block_sparse":
            height, width = (self.one([n for n in (1, 2, 3, 8) if extent % n == 0]) for extent in shape)
            count = int(float(density) * (shape[0] // height) * (shape[1] // width))
            return f"#lowbit.block_sparse<[{height}, {width}], density = {density}, {self.term((count * height, width), depth - 1)}>"
        if kind == "outlier_columns":
            outliers = self.term((int(float(density) * shape[1]), shape[0]), depth - 1)
            return f"#lowbit.outlier_columns<density = {density}, {self.term(shape, depth - 1)}, {outliers}>"
        chosen = self.between(1, 5)
        left, right = self.term((shape[0], chosen), depth - 1), self.term((chosen, shape[1]), depth - 1)
        return f"#lowbit.low_rank<rank = {chosen}, {left}, {right}>"

    def shape(self) -> tuple[int, ...]:
        extent = lambda: self.one([0, 1, 1, 2, 3, 4, 7, 8, 12, 13, 16, 17, 32, 33, 48, 64])  # noqa: E731
        rank = self.one([0, 1, 1, 2, 2, 2, 2, 2, 2, 3])
        return tuple(extent() if axis < 2 else self.between(1, 5) for axis in reversed(range(rank)))


def make_case(number: int) -> Case:
    choices = Choices(number)
    shape = choices.shape()
    return Case(number, shape, choices.term(shape, choices.between(0, 3) if shape else 1))


# ----------------------------------------------------------------------------------------------
# Checks
# ----------------------------------------------------------------------------------------------

REFUSED_ENCODES = ["cannot be encoded", "can only be read"]


def check(case: Case) -> str:
    """What happened: 'refused' by the verifier, 'read-only' or 'encoded'. Raises where something is wrong."""
    shape = list(case.shape)
    pipeline = kernels.PIPELINES[case.number % 2]
    try:
        names = _lowbit.component_names(case.encoding, shape)
    except RuntimeError as error:
        assert len(str(error)) > 20, "a refusal says why"
        return "refused"
    values = kernels.mixed_values(case.shape, case.number, kernels.FINITE if case.number % 3 else None)
    try:
        encoded = _lowbit.encode(values, case.encoding)
    except RuntimeError as error:
        # A term that decodes and that no rule encodes says so.
        assert len(str(error)) > 20, "a refusal says why"
        encoded = None
    decode = kernels.decode_program(case.shape, case.encoding)
    if encoded is None:
        return "read-only"
    assert list(encoded) == names
    size = _lowbit.encoded_bytes(case.encoding, shape)
    assert size is None or size == sum(array.nbytes for array in encoded.values()), "bytes"
    for components in (encoded, kernels.scrambled(encoded, case.number)):
        expected = _lowbit.decode(case.encoding, shape, components)
        (actual,) = kernels.run(decode, [*components.values(), np.full(case.shape, np.nan, np.float32)], pipeline)
        kernels.assert_same_bits(actual, expected, "decoded")
    storage = kernels.storage_for(encoded, case.number + 1)
    try:
        program = kernels.encode_program(case.shape, case.encoding)
        actual = kernels.run(program, [values, *storage.values()], pipeline)
    except RuntimeError as error:
        assert any(reason in str(error) for reason in REFUSED_ENCODES), error
        return "read-only"
    for array, (name, wanted) in zip(actual, encoded.items(), strict=True):
        wanted = wanted.view(f"i{wanted.itemsize}") if array.dtype.kind == "i" else wanted
        kernels.assert_same_bits(array, wanted, f"encoded {name}")
    return "encoded"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--show", action="store_true", help="print every case before it runs")
    arguments = parser.parse_args()
    outcomes: dict[str, int] = {}
    for number in range(arguments.first, arguments.first + arguments.count):
        case = make_case(number)
        if arguments.show:
            print(case, flush=True)
        try:
            outcome = check(case)
        except Exception as error:  # noqa: BLE001 — the case is what matters, and the next one runs
            outcome = "WRONG"
            print(f"{case}\n  {type(error).__name__}: {str(error)[:500]}", flush=True)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(outcomes)
    return 1 if "WRONG" in outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
