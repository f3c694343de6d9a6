"""Products x wT by weights in inner tiles, straight on their components: against f64 on the decoded operands.

Bound (docs/Numerics.md, "Contractions"): |y - exact| <= (n + 8) eps sum |x| (|s level| + |z|), eps = 2^-24, where z is what the
zero point adds to the scaled level. n is the number of f32 additions: the columns, or with integer activations the blocks
of 16 columns or more, whose own sums are exact; 8 are the roundings of an element's factors, which decoding has otherwise.
"""

from __future__ import annotations

import functools
import re

import gguf
import kernels
import numpy as np
import pytest
from lowbit import _lowbit

WEIGHTS = {
    "int1": "int<1>, scale = f16 per [1, 32]",
    "int2": "int<2>, scale = f16 per [1, 32]",
    "int3": "int<3>, scale = f16 per [1, 32]",
    "int4": "int<4>, scale = f16 per [1, 32]",
    "int5": "int<5>, scale = f16 per [1, 16]",
    "int6": "int<6>, scale = bf16 per [1, 32]",
    "int7": "int<7>, scale = f32 per [1, 32]",
    "int8-axis": "int<8>, scale = f32 per axis 0",
    "int8-tensor": "int<8>, scale = f32 per tensor",
    "int4-rows": "int<4>, scale = f16 per [32, 16]",
    "uint8": "uint<8>, scale = f32 per [1, 32]",
    "uint4-min": "uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32]",
    "uint8-min-axis": "uint<8>, scale = f32 per axis 0, min = f32 per axis 0",
    "uint4-zero": "uint<4>, scale = f16 per [1, 32], zero = uint<4> per [1, 32]",
    "uint8-zero-axis": "uint<8>, scale = f32 per axis 0, zero = uint<8> per axis 0",
    "k-quant": "uint<4>, scale = f16 per [1, 64] * uint<6> per [1, 32], min = f16 per [1, 64] * uint<6> per [1, 32]",
    "nested-int": "int<6>, scale = f16 per [1, 64] * int<8> per [1, 16]",
    "scale-offset": "int<4>, scale = f32 per [1, 64] * int<8> per [1, 32] + f32 per tensor",
    "mxfp4": "e2m1, scale = e8m0 per [1, 32]",
    "nvfp4": "e2m1, scale = f32 per tensor * e4m3 per [1, 16]",
    "nf4": "codebook<nf4>, scale = f16 per [1, 32]",
    "iq4_nl": "codebook<iq4_nl>, scale = f16 per [1, 32]",
    "ternary": "codebook<ternary>, scale = f16 per [1, 32]",
    "positive": "codebook<[0.5, 1.0, 2.0]>, scale = f16 per [1, 32]",
    "e4m3": "e4m3, scale = f32 per [1, 32]",
    "e3m2": "e3m2, scale = e8m0 per [1, 32]",
}
FLOATS = ["nf4", "e4m3", "e3m2"]
"""Levels that are no small integers: the activations stay f32."""

ACTIVATIONS = {
    "f32": "",
    "blocks": "int<8>, scale = f32 per [1, 32]",
    "rows": "int<8>, scale = f32 per axis 0",
    "half-blocks": "int<8>, scale = bf16 per [1, 16]",
    "two-planes": "int<15>, scale = f32 per [1, 32], layout = planes<7, 8>",
}
SHAPES = [(1, 16, 32), (1, 64, 128), (5, 100, 256), (13, 192, 576)]
"""Rows of activations, outputs, inputs."""


LANES = {
    "generic": set(),
    "avx2": {"avx2"},
    "vnni256": {"avx512_vnni", "avx512vl"},
    "vnni512": {"avx512_vnni", "avx512bw"},
}


def tiled(text: str, layout: str = "tiled") -> str:
    return f"#lowbit.quantized<{text}, layout = {layout}>"


def program(rows, shape, text: str, layout: str = "tiled", name: str = "main") -> str:
    """@main(x, w, y) -> y + x wT; `rows` may be "?"."""
    n, k = shape
    x, w, y = (
        f"tensor<{rows}x{k}xf32>",
        kernels.tensor_type(shape, tiled(text, layout)),
        f"tensor<{rows}x{n}xf32>",
    )
    maps = ", ".join(f"affine_map<(m, n, k) -> {to}>" for to in ("(m, k)", "(n, k)", "(m, n)"))
    return f"""
func.func @{name}(%x: {x}, %w: {w}, %y: {y}) -> {y} attributes {{lowbit.entry, lowbit.updates = array<i64: 2>}} {{
  %r = linalg.matmul indexing_maps = [{maps}] ins(%x, %w : {x}, {w}) outs(%y : {y}) -> {y}
  return %r : {y}
}}"""


def pipeline_of(activations: str, **options) -> str:
    options = {name.replace("_", "-"): value for name, value in options.items()}
    if activations:
        options["activations"] = f"'{activations}'"
    return f"cpu{{{' '.join(f'{name}={value}' for name, value in options.items())}}}"


@functools.lru_cache(maxsize=4)
def contractions(module: str, activations: str) -> list[str]:
    """The types of the activations of what is contracted straight on components."""
    quantize = f"func.func(lowbit-quantize-activations{{encoding='{activations}'}})"
    text = _lowbit.opt(
        module, f"builtin.module(lowbit-explicit-pipeline,{quantize},lowbit-tiling-pipeline)"
    )
    return re.findall(r"lowbit\.contract (tensor<[^(]*>) ?\(", text)


def rounded(x: np.ndarray, activations: str) -> np.ndarray:
    if not activations:
        return x
    encoding = f"#lowbit.quantized<{activations}>"
    return _lowbit.decode(encoding, list(x.shape), _lowbit.encode(x, encoding))


def exact_and_magnitude(
    x: np.ndarray, text: str, shape, components
) -> tuple[np.ndarray, np.ndarray]:
    """x wT in f64, and sum |x| (|s level| + |z|)."""
    weights = _lowbit.decode(tiled(text), list(shape), components).astype(np.float64)
    without = re.sub(r", (zero|min) = .*", "", text)
    names = _lowbit.component_names(tiled(without), list(shape))
    scaled = _lowbit.decode(tiled(without), list(shape), {name: components[name] for name in names})
    x = x.astype(np.float64)
    return x @ weights.T, np.abs(x) @ (np.abs(scaled) + np.abs(weights - scaled)).T


def check_call(
    compiled: _lowbit.Program, rows: int, shape, text: str, activations: str, entry: str = "main"
) -> np.ndarray:
    generator = np.random.default_rng(kernels.seed_of(text + activations, shape))
    components = _lowbit.encode(generator.normal(size=shape).astype(np.float32), tiled(text))
    x = generator.normal(size=(rows, shape[1])).astype(np.float32)
    before = generator.normal(size=(rows, shape[0])).astype(np.float32)
    (y,) = compiled.run(entry, [x, *components.values(), before])
    exact, magnitude = exact_and_magnitude(rounded(x, activations), text, shape, components)
    additions = shape[1] // 16 if activations else shape[1]
    bound = (additions + 8) * 2.0**-24 * (magnitude + np.abs(before))
    excess = np.abs(y - (before + exact)) / bound
    assert np.all(
        excess <= 1
    ), f"{np.sum(excess > 1)} of {y.size} beyond the bound, by up to {excess.max():.3g} times"
    return y


def check(rows: int, shape, text: str, activations: str, **options) -> np.ndarray:
    compiled = kernels.compile(program(rows, shape, text), pipeline_of(activations, **options))
    return check_call(compiled, rows, shape, text, activations)


def shapes_for(activations: str) -> list:
    """The rarer kinds of activations on one shape."""
    return SHAPES if activations in ("f32", "blocks", "rows") else SHAPES[2:3]


def products() -> list:
    """Each format by each kind of activations."""
    return [
        pytest.param(name, kind, *shape, id=f"{name}-{kind}-{'x'.join(map(str, shape))}")
        for name in WEIGHTS
        for kind in ACTIVATIONS
        for shape in shapes_for(kind)
        if kind == "f32" or name not in FLOATS
    ]


@pytest.mark.parametrize("name, activations, rows, n, k", products())
def test_product(name, activations, rows, n, k):
    cases = [(m, tuple(of), WEIGHTS[name]) for m, *of in shapes_for(activations)]
    case, activations = (rows, (n, k), WEIGHTS[name]), ACTIVATIONS[activations]
    found = contractions(kernels.join_programs(program, cases), activations)
    assert len(found) == len(cases)
    lhs = found[cases.index(case)]
    assert lhs.startswith(f"tensor<{rows}x{k}xf32") and ("#" in lhs) == bool(activations)
    compiled, entry = kernels.compile_case(program, case, pipeline_of(activations), cases)
    check_call(compiled, *case, activations, entry)


# What differs by the instructions: codes of one and more planes, of a table, beyond seven bits.
@pytest.mark.parametrize("lanes", kernels.those_of_this_machine(LANES))
@pytest.mark.parametrize("activations", ["blocks", "two-planes"])
@pytest.mark.parametrize("name", ["int3", "uint8", "iq4_nl", "uint4-zero"])
def test_instructions(name, activations, lanes):
    case = (5, (100, 256), WEIGHTS[name], ACTIVATIONS[activations])
    kernels.assert_same_bits(check(*case, lanes=lanes), check(*case), "by other instructions")


ROWS_OF_RECORDS = {1: (100, 256), 5: (100, 288), 39: (100, 256)}


@pytest.mark.parametrize("rows", ROWS_OF_RECORDS)
@pytest.mark.parametrize("activations", ["f32", "blocks", "two-planes"])
@pytest.mark.parametrize("name", WEIGHTS)
def test_records(name, activations, rows):
    """Where a code lies changes no sum; columns need not be whole records."""
    if activations != "f32" and name in FLOATS:
        pytest.skip("the activations stay f32")
    shape, text, activations = ROWS_OF_RECORDS[rows], WEIGHTS[name], ACTIVATIONS[activations]
    layouts = ("tiled", "records")
    cases = [(m, of, text, layout) for m, of in ROWS_OF_RECORDS.items() for layout in layouts]
    assert len(contractions(kernels.join_programs(program, cases), activations)) == len(cases)
    generator = np.random.default_rng(kernels.seed_of(text + activations, shape))
    weights = generator.normal(size=shape).astype(np.float32)
    x = generator.normal(size=(rows, shape[1])).astype(np.float32)
    results = []
    for layout in layouts:
        components = _lowbit.encode(weights, tiled(text, layout))
        inputs = [x, *components.values(), np.zeros((rows, shape[0]), np.float32)]
        case = (rows, shape, text, layout)
        results += kernels.run_case(program, case, inputs, pipeline_of(activations), cases)
    kernels.assert_same_bits(*results, "of records")


needs_amx = pytest.mark.skipif(
    "amx_int8" not in kernels.flags_of_this_machine(), reason="no amx_int8 here"
)


@needs_amx
@pytest.mark.parametrize("activations", [kind for kind in ACTIVATIONS if kind != "f32"])
@pytest.mark.parametrize("name", [name for name in WEIGHTS if name not in FLOATS])
def test_matrix_unit(name, activations):
    """Two tiles of rows and some more: the same integers, and the same sums of their products with scales."""
    case = (39, (100, 256), WEIGHTS[name], ACTIVATIONS[activations])
    kernels.assert_same_bits(
        check(*case, matrix_unit="amx"), check(*case, matrix_unit="none"), "by the matrix unit"
    )


@needs_amx
@pytest.mark.parametrize(
    "columns", [800, 1056, 1280]
)  # chunks of 24, 12 and 1 blocks of 32, or of 20
@pytest.mark.parametrize("name", ["int4", "uint4-min", "nested-int", "uint8"])
def test_matrix_unit_on_chunks_of_rows_and_columns(name, columns):
    case = (150, (20, columns), WEIGHTS[name], ACTIVATIONS["two-planes"])
    kernels.assert_same_bits(
        check(*case, matrix_unit="amx"), check(*case, matrix_unit="none"), "by the matrix unit"
    )


@needs_amx
def test_matrix_unit_on_dynamic_rows():
    text, activations, shape = WEIGHTS["uint4-min"], ACTIVATIONS["two-planes"], (100, 256)
    with_unit, without = (
        _lowbit.Program(
            program("?", shape, text), pipeline=pipeline_of(activations, matrix_unit=unit)
        )
        for unit in ("amx", "none")
    )
    for rows in (0, 1, 15, 16, 33):
        results = [check_call(p, rows, shape, text, activations) for p in (with_unit, without)]
        kernels.assert_same_bits(*results, f"of {rows} rows by the matrix unit")


@pytest.mark.parametrize("activations", ACTIVATIONS)
@pytest.mark.parametrize("name", ["int4", "k-quant", "uint8-zero-axis"])
def test_dynamic_rows(name, activations):
    text, activations, shape = WEIGHTS[name], ACTIVATIONS[activations], (100, 256)
    compiled = _lowbit.Program(program("?", shape, text), pipeline=pipeline_of(activations))
    for rows in (0, 1, 3, 13):
        check_call(compiled, rows, shape, text, activations)


@pytest.mark.parametrize("options", [
    dict(register_groups=1, register_vectors=1), dict(register_groups=3, register_vectors=7), dict(register_groups=8),
    dict(iteration_groups=1), dict(iteration_groups=3), dict(prefetch=0), dict(prefetch=64, prefetch_locality=1),
], ids=str)  # fmt: skip
def test_options(options):
    """They choose what is computed when, and no sum."""
    for activations in ("f32", "blocks"):
        case = (5, (100, 256), WEIGHTS["uint4-min"], ACTIVATIONS[activations])
        kernels.assert_same_bits(check(*case, **options), check(*case), "by other options")


@pytest.mark.parametrize("lanes", kernels.those_of_this_machine(LANES))
@pytest.mark.parametrize(
    "text",
    ["int<8>", "uint<8>", "int<5>", "e2m1", "codebook<iq4_nl>", "codebook<[2.0, -0.5, 1.0]>"],
)
def test_integers_are_exact(text, lanes):
    """Scales that are powers of two and sums of less than 24 bits: no rounding anywhere, whatever the order."""
    rows, shape = 3, (48, 256)
    generator = np.random.default_rng(len(text))
    text += ", scale = e8m0 per [1, 64]"
    components = kernels.scrambled(_lowbit.encode(np.ones(shape, np.float32), tiled(text)), 5)
    components["scale"] = generator.integers(125, 128, components["scale"].shape, dtype=np.uint8)
    codes = generator.integers(-127, 128, (rows, 8, 32))
    codes[..., 0] = 127  # so that the scale of the block is the power of two
    x = (
        (codes * 2.0 ** -generator.integers(0, 3, (rows, 8, 1)))
        .reshape(rows, 256)
        .astype(np.float32)
    )
    module, pipeline = program(rows, shape, text), pipeline_of(ACTIVATIONS["blocks"], lanes=lanes)
    (y,) = kernels.run(
        module, [x, *components.values(), np.zeros((rows, 48), np.float32)], pipeline
    )
    exact, _ = exact_and_magnitude(x, text, shape, components)
    kernels.assert_same_bits(y + np.float32(0), (exact + 0.0).astype(np.float32), "products")


def test_the_largest_sum_of_a_block_fits():
    """255 * -128 on every column of the longest block that is summed in integers."""
    k = 65760  # 32 divides it
    text, activations = (
        "uint<8>, scale = f32 per axis 0",
        "int<8>, scale = f32 per axis 0, rule = signed_max",
    )
    weights, x = np.full((16, k), 255, np.float32), np.full((1, k), -128, np.float32)
    assert contractions(program(1, (16, k), text), activations)
    components = _lowbit.encode(weights, tiled(text))
    inputs = [x, *components.values(), np.zeros((1, 16), np.float32)]
    (y,) = kernels.run(program(1, (16, k), text), inputs, pipeline_of(activations))
    exact, magnitude = exact_and_magnitude(rounded(x, activations), text, (16, k), components)
    assert np.all(np.abs(y - exact) <= 8 * 2.0**-24 * magnitude)


# Left to other lowerings, with the same values: activations as they are, or not on components at all.
@pytest.mark.parametrize("activations", ["f32", "blocks"])
@pytest.mark.parametrize("text, k, on_components", [
    (WEIGHTS["nf4"], 64, True),
    (WEIGHTS["e4m3"], 64, True),
    ("int<4>, scale = f16 per [1, 32]", 50, False),
    ("int<4>, scale = f16 per [1, 2]", 64, False),
    ("int<4>, scale = f16 per axis 1", 64, False),
    ("int<4>, scale = f16 per [4, 32]", 64, False),
    ("e8m0, scale = f32 per [1, 32]", 64, False),
    ("codebook<linear, 5>, scale = f32 per [1, 32]", 64, False),
    ("int<4>, scale = f32 per [1, 64] * codebook<dynamic_unsigned, 8> per [1, 16]", 64, False),
])  # fmt: skip
def test_left_to_other_lowerings(text, k, on_components, activations):
    rows, shape, activations = 3, (40, k), ACTIVATIONS[activations]
    lhs = contractions(program(rows, shape, text), activations)
    assert lhs == ([f"tensor<{rows}x{k}xf32>"] if on_components else [])
    generator = np.random.default_rng(k)
    components = _lowbit.encode(
        np.abs(generator.normal(size=shape)).astype(np.float32), tiled(text)
    )
    x = generator.normal(size=(rows, k)).astype(np.float32)
    inputs = [x, *components.values(), np.zeros((rows, 40), np.float32)]
    (y,) = kernels.run(program(rows, shape, text), inputs, pipeline_of(activations))
    exact, magnitude = exact_and_magnitude(x, text, shape, components)
    assert np.all(np.abs(y - exact) <= (k + 8) * 2.0**-24 * magnitude)


def test_unknown_options_are_errors():
    module = program(1, (16, 32), WEIGHTS["int4"])
    for pipeline, message in (
        (
            "cpu{lanes=sse9}",
            "unknown kind of instructions 'sse9'; known: vnni512, avx512, vnni256, avx2, ssse3, usdot, sdot, neon, generic",
        ),
        ("cpu{activations='int<99>'}", "'int<99>' is no encoding of activations"),
        (
            "cpu{activations='int<8>, scale = f32 per [32]'}",
            "a block of 1 axes does not tile a tensor of 2 axes",
        ),
        ("cpu{speed=11}", "the options are those of lowbit-cpu-pipeline"),
        ("cpu{", "is no pipeline"),
    ):
        with pytest.raises(_lowbit.Error, match=re.escape(message)):
            _lowbit.opt(module, pipeline)


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("activations", ["f32", "blocks"])
def test_products_of_one_value(activations, rows):
    """They share a loop, and the codes of the value."""
    outputs, k, activations = (192, 64, 64), 64, ACTIVATIONS[activations]
    texts = [WEIGHTS[name] for name in ("int4", "uint4-min", "int8-axis")]
    generator = np.random.default_rng(rows)
    x = generator.normal(size=(rows, k)).astype(np.float32)
    maps = ", ".join(f"affine_map<(m, n, k) -> {to}>" for to in ("(m, k)", "(n, k)", "(m, n)"))
    arguments, lines, inputs, expected = [f"%x: tensor<{rows}x{k}xf32>"], [], [x], []
    for i, (text, n) in enumerate(zip(texts, outputs)):
        w, y = kernels.tensor_type((n, k), tiled(text)), f"tensor<{rows}x{n}xf32>"
        arguments.append(f"%w{i}: {w}")
        lines.append(
            f"  %e{i} = tensor.empty() : {y}\n  %z{i} = linalg.fill ins(%zero : f32) outs(%e{i} : {y}) -> {y}"
        )
        lines.append(
            f"  %y{i} = linalg.matmul indexing_maps = [{maps}] ins(%x, %w{i} : tensor<{rows}x{k}xf32>, {w}) outs(%z{i} : {y}) -> {y}"
        )
        components = _lowbit.encode(generator.normal(size=(n, k)).astype(np.float32), tiled(text))
        inputs += components.values()
        expected.append(exact_and_magnitude(rounded(x, activations), text, (n, k), components))
    results = ", ".join(f"tensor<{rows}x{n}xf32>" for n in outputs)
    module = f"""
func.func @main({', '.join(arguments)}) -> ({results}) attributes {{lowbit.entry}} {{
  %zero = arith.constant 0.0 : f32
{chr(10).join(lines)}
  return %y0, %y1, %y2 : {results}
}}"""
    assert len(contractions(module, activations)) == 3
    for y, (exact, magnitude) in zip(
        kernels.run(module, inputs, pipeline_of(activations)), expected
    ):
        assert np.all(np.abs(y - exact) <= (k + 8) * 2.0**-24 * magnitude)


@pytest.mark.parametrize("activations", ["f32", "blocks"])
@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q8_0", "Q5_1"])
@pytest.mark.parametrize("n", [96, 100], ids=["groups", "ragged"])
def test_parameters_are_packed_when_they_are_loaded(make_gguf, kind, n, activations):
    """Products read inner tiles, everything else the file: both with the values of the file."""
    kind, activations = gguf.GGMLQuantizationType[kind], ACTIVATIONS[activations]
    generator = np.random.default_rng(n)
    blocks = gguf.quants.quantize(generator.normal(size=(n, 128)).astype(np.float32), kind)
    weights = gguf.quants.dequantize(blocks, kind)
    path = make_gguf("weights.gguf", {"w": (blocks, kind)})
    module = f"""
func.func @main(%x: tensor<3x128xf32>, %y: tensor<3x{n}xf32>, %row: tensor<128xf32>) -> (tensor<3x{n}xf32>, tensor<128xf32>)
    attributes {{lowbit.entry, lowbit.updates = array<i64: 1, 2>}} {{
  %w = lowbit.parameter "w" : tensor<{n}x128xf32>
  %r = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
    ins(%x, %w : tensor<3x128xf32>, tensor<{n}x128xf32>) outs(%y : tensor<3x{n}xf32>) -> tensor<3x{n}xf32>
  %slice = tensor.extract_slice %w[41, 0] [1, 128] [1, 1] : tensor<{n}x128xf32> to tensor<128xf32>
  %copy = linalg.copy ins(%slice : tensor<128xf32>) outs(%row : tensor<128xf32>) -> tensor<128xf32>
  return %r, %copy : tensor<3x{n}xf32>, tensor<128xf32>
}}"""
    x = generator.normal(size=(3, 128)).astype(np.float32)
    compiled = _lowbit.Program(module, [str(path)], pipeline=pipeline_of(activations))
    y, row = compiled.run("main", [x, np.zeros((3, n), np.float32), np.zeros(128, np.float32)])
    kernels.assert_same_bits(row, weights[41], "a row")
    x = rounded(x, activations).astype(np.float64)
    # A scaled level and a minimum together are at most twice the range of a block.
    magnitude = np.abs(x) @ np.full((128, n), 4 * np.abs(weights).max())
    assert np.all(np.abs(y - x @ weights.T) <= (128 + 8) * 2.0**-24 * magnitude)
