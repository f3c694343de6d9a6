"""Small programs around one encoding, and the data that exercises its numerics contract."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import numpy as np
import pytest
from lowbit import _lowbit

PIPELINES = ["cpu", "reference"]

BLOCK = 32
"""The block of most encodings under test: rows of special values are written block by block."""


def flags_of_this_machine() -> set[str]:
    info = Path("/proc/cpuinfo")
    return set(re.findall(r"\w+", info.read_text())) if info.exists() else set()


def those_of_this_machine(needs: dict[str, set[str]]) -> list:
    """Parameters of a test by what each needs of the processor, in /proc/cpuinfo's words: others are skipped."""
    missing = {name: needed - flags_of_this_machine() for name, needed in needs.items()}
    return [
        pytest.param(
            name,
            marks=pytest.mark.skipif(bool(absent), reason=f"no {', '.join(sorted(absent))} here"),
        )
        for name, absent in missing.items()
    ]


def tensor_type(shape, encoding: str | None = None) -> str:
    """An extent that is None is dynamic."""
    extents = "".join("?x" if n is None else f"{n}x" for n in shape)
    return f"tensor<{extents}f32, {encoding}>" if encoding else f"tensor<{extents}f32>"


@functools.lru_cache(maxsize=8)
def compile(module: str, pipeline: str) -> _lowbit.Program:
    """As users do; but of the reference pipeline its own steps are under test, and LLVM optimizes what comes of `cpu`."""
    level = 0 if pipeline == "reference" else 2
    return _lowbit.Program(module, pipeline=pipeline, optimization_level=level)


def run(module: str, inputs, pipeline: str) -> list[np.ndarray]:
    """Compiles `module`, calls its entry @main."""
    return compile(module, pipeline).run("main", list(inputs))


def join_programs(write, cases) -> str:
    """Functions @case0, @case1 and so on: write(*case, name=...) of each case."""
    return "\n".join(write(*case, name=f"case{i}") for i, case in enumerate(cases))


def compile_case(write, case, pipeline: str, cases) -> tuple[_lowbit.Program, str]:
    """A program that write(*case) is part of, and its entry. All `cases` are compiled together: most of the time that a small
    program takes is spent once for each module. Their tests follow each other, so that the first of them compiles for all.
    """
    try:
        program = compile(join_programs(write, cases), pipeline)
    except _lowbit.Error as error:
        compile(join_programs(write, [case]), pipeline)  # fails where this case is to blame
        raise AssertionError(f"compiled alone it is well, but not with others: {error}") from error
    return program, f"case{cases.index(case)}"


def run_case(write, case, inputs, pipeline: str, cases) -> list[np.ndarray]:
    program, entry = compile_case(write, case, pipeline, cases)
    return program.run(entry, list(inputs))


def assert_same_bits(actual, expected, what: str) -> None:
    """Equal bit for bit; the payloads of NaNs are unspecified."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, what
    assert actual.dtype.itemsize == expected.dtype.itemsize, what
    bits = f"u{actual.dtype.itemsize}"
    same = actual.view(bits) == expected.view(bits)
    if expected.dtype.kind == "f":
        same |= np.isnan(actual) & np.isnan(expected)
    if not same.all():
        place = tuple(int(i) for i in np.argwhere(~same)[0])
        raise AssertionError(
            f"{what}: {np.sum(~same)} of {same.size} differ, first at {place}: "
            f"{actual[place]!r} instead of {expected[place]!r}"
        )


# ----------------------------------------------------------------------------------------------
# Values
# ----------------------------------------------------------------------------------------------


def _ties(generator, count):
    """Halves of a power of two: many lie exactly between two levels of a linear format."""
    return generator.integers(-16, 17, count) * np.float32(2.0 ** generator.integers(-4, 4) / 2)


def _range_ends(generator, count):
    return generator.choice(np.float32([-8, -7, 7, 8, 127, -128, 255, 1, -1]), count)


def _zeros(generator, count):
    return generator.choice(np.float32([0.0, -0.0]), count)


def _constant(generator, count):
    return np.full(count, generator.normal())


def _positive(generator, count):
    return np.abs(generator.normal(size=count)) + 3


def _negative(generator, count):
    return -_positive(generator, count)


def _denormals(generator, count):
    return generator.integers(-3000, 3000, count) * np.float32(2.0**-149)


def _tiny(generator, count):
    """Scales that are denormal, or zero, in f16."""
    return generator.normal(size=count) * np.float32(2.0 ** generator.integers(-30, -14))


def _huge(generator, count):
    """Scales beyond f16."""
    return generator.normal(size=count) * np.float32(3e37)


def _nan(generator, count):
    values = generator.normal(size=count)
    values[generator.random(count) < 0.3] = np.nan
    return values


def _all_nan(generator, count):
    return np.full(count, np.nan)


def _infinities(generator, count):
    values = generator.normal(size=count)
    values[generator.random(count) < 0.1] = generator.choice([np.inf, -np.inf])
    return values


def _one_infinity(generator, count):
    return np.full(count, generator.choice([np.inf, -np.inf]))


def _normal(generator, count):
    return generator.normal(size=count)


FINITE = [_normal, _ties, _range_ends, _zeros, _constant, _positive, _negative, _tiny, _normal]
SPECIAL = [_nan, _infinities, _denormals, _huge, _all_nan, _one_infinity]


def mixed_values(shape, seed: int, kinds=None) -> np.ndarray:
    """float32 [shape]: each run of BLOCK elements of the last axis is of one kind, all kinds occur in large tensors."""
    generator = np.random.default_rng(seed)
    kinds = kinds or FINITE + SPECIAL
    values = np.empty(shape, np.float32)
    next_kind = int(generator.integers(len(kinds)))
    with np.errstate(over="ignore"):
        for row in values.reshape(-1, max(shape[-1], 1) if shape else 1):
            for start in range(0, len(row), BLOCK):
                run_of_row = row[start : start + BLOCK]
                run_of_row[:] = kinds[next_kind % len(kinds)](generator, len(run_of_row))
                next_kind += 1
    return values


def scrambled(components: dict, seed: int) -> dict:
    """The same arrays with random bits: every code and, in scales, every kind of number."""
    generator = np.random.default_rng(seed)

    def scramble(name, array):
        if array.dtype == np.int32:  # positions and columns are not free
            return array
        raw = generator.integers(0, 256, array.nbytes, dtype=np.uint8).tobytes()
        return np.frombuffer(raw, array.dtype).reshape(array.shape)

    return {name: scramble(name, array) for name, array in components.items()}


def storage_for(components: dict, seed: int) -> dict:
    """What an encode can write over: scrambled, but for the levels, which it is given and does not write."""
    return scrambled(components, seed) | {
        name: array for name, array in components.items() if name.endswith("levels")
    }


# ----------------------------------------------------------------------------------------------
# Programs
# ----------------------------------------------------------------------------------------------


def decode_program(shape, encoding: str, name: str = "main") -> str:
    """@main(w, storage) -> the values of w."""
    encoded, plain = tensor_type(shape, encoding), tensor_type(shape)
    return f"""
func.func @{name}(%w: {encoded}, %o: {plain}) -> {plain} attributes {{lowbit.entry, lowbit.updates = array<i64: 1>}} {{
  %d = lowbit.decode %w : {encoded}
  %r = linalg.copy ins(%d : {plain}) outs(%o : {plain}) -> {plain}
  return %r : {plain}
}}"""


def encode_program(shape, encoding: str, name: str = "main") -> str:
    """@main(x, storage) -> x in the encoding."""
    encoded, plain = tensor_type(shape, encoding), tensor_type(shape)
    return f"""
func.func @{name}(%x: {plain}, %d: {encoded}) -> {encoded} attributes {{lowbit.entry, lowbit.updates = array<i64: 1>}} {{
  %e = lowbit.encode %x into %d : {plain} into {encoded}
  return %e : {encoded}
}}"""


def matmul_program(
    rows: int, shape, encoding: str, transposed: bool = True, name: str = "main"
) -> str:
    """@main(x [rows, k], w) -> x times w, w [n, k] (transposed) or [k, n], in the implicit notation."""
    n, k = shape if transposed else shape[::-1]
    x, y = tensor_type((rows, k)), tensor_type((rows, n))
    w = tensor_type(shape, encoding)
    weight = "(n, k)" if transposed else "(k, n)"
    maps = ", ".join(f"affine_map<(m, n, k) -> {to}>" for to in ("(m, k)", weight, "(m, n)"))
    return f"""
func.func @{name}(%x: {x}, %w: {w}) -> {y} attributes {{lowbit.entry}} {{
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : {y}
  %z = linalg.fill ins(%zero : f32) outs(%e : {y}) -> {y}
  %y = linalg.matmul indexing_maps = [{maps}] ins(%x, %w : {x}, {w}) outs(%z : {y}) -> {y}
  return %y : {y}
}}"""


def by_scale_program(count: int, op: str, result: str = "f32") -> str:
    """@main(x [count], scale, storage) -> `op`, text of one that computes %0 of %a and %s, for each element and the scale."""
    x, y = f"tensor<{count}xf32>", f"tensor<{count}x{result}>"
    return f"""
func.func @main(%x: {x}, %scale: tensor<f32>, %to: {y}) -> {y} attributes {{lowbit.entry}} {{
  %q = linalg.generic {{indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>, affine_map<(i) -> (i)>],
      iterator_types = ["parallel"]}} ins(%x, %scale : {x}, tensor<f32>) outs(%to : {y}) {{
    ^bb0(%a: f32, %s: f32, %out: {result}):
      {op}
      linalg.yield %0 : {result}
  }} -> {y}
  return %q : {y}
}}"""


def convert_program(shape, source: str, target: str, name: str = "main") -> str:
    """@main(w) -> w in another encoding."""
    before, after = tensor_type(shape, source), tensor_type(shape, target)
    return f"""
func.func @{name}(%w: {before}) -> {after} attributes {{lowbit.entry}} {{
  %c = lowbit.convert %w : {before} to {after}
  return %c : {after}
}}"""


# ----------------------------------------------------------------------------------------------
# Checks against the scalar reference
# ----------------------------------------------------------------------------------------------


def seed_of(encoding: str, shape) -> int:
    return sum(map(ord, encoding)) + sum(shape)


def check_components(actual, expected: dict, what: str) -> None:
    assert len(actual) == len(expected)
    for array, (name, wanted) in zip(actual, expected.items()):
        assert_same_bits(
            array,
            wanted.view(f"i{wanted.itemsize}") if array.dtype.kind == "i" else wanted,
            f"{what} {name}",
        )


def check_decode(encoding: str, shape, pipeline: str, shapes=None) -> None:
    """Encoded data first, then components of random bits, which no encode would write. `shapes`: to compile together."""
    cases = [(shape, encoding) for shape in shapes or [shape]]
    encoded = _lowbit.encode(mixed_values(shape, seed_of(encoding, shape)), encoding)
    for components in (encoded, scrambled(encoded, seed_of(encoding, shape))):
        expected = _lowbit.decode(encoding, list(shape), components)
        inputs = [*components.values(), np.full(shape, np.nan, np.float32)]
        (actual,) = run_case(decode_program, (shape, encoding), inputs, pipeline, cases)
        assert_same_bits(actual, expected, "decoded")


def check_encode(encoding: str, shape, pipeline: str, shapes=None) -> None:
    """Into storage of other content. Values without and with NaN, infinities and extremes: where a scale spans the tensor,
    one of those decides all of it. `shapes`: to compile together."""
    cases = [(shape, encoding) for shape in shapes or [shape]]
    for kinds in (FINITE, None):
        values = mixed_values(shape, seed_of(encoding, shape), kinds)
        expected = _lowbit.encode(values, encoding)
        inputs = [values, *storage_for(expected, 1).values()]
        actual = run_case(encode_program, (shape, encoding), inputs, pipeline, cases)
        check_components(actual, expected, "encoded")


SHAPES_OF_PRODUCTS = {"aligned": (48, 64), "ragged": (37, 51), "long": (40, 2080)}


def multiply(rows: int, shape, encoding: str, transposed: bool, inputs, pipeline: str, shapes):
    """The result of matmul_program(), compiled together with those of 1 and 5 rows, of all `shapes`, either way round."""
    cases = [(m, of, encoding, way) for of in shapes for m in (1, 5) for way in (True, False)]
    case = (rows, shape, encoding, transposed)
    (y,) = run_case(matmul_program, case, inputs, pipeline, cases)
    return y
