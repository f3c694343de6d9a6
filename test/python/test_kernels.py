"""Compiled kernels against the scalar reference: codes, scales and decoded values bit for bit, contractions within their
error bound. Each case runs through the CPU pipeline and through the reference pipeline."""

from __future__ import annotations

import kernels
import numpy as np
import pytest
from kernels import assert_same_bits, check_components, mixed_values, run, run_case, seed_of
from lowbit import _lowbit

PIPELINES = ["cpu", "reference"]
ALIGNED, RAGGED, PRIME, ONE, LARGE = (8, 64), (6, 49), (13, 131), (1, 1), (130, 96)
NO_ROWS, NO_COLUMNS = (0, 64), (7, 0)

# Each row: an encoding, and what is special about its shapes. `whole`: 32 divides the last axis.
QUANTIZED = {
    "int8-row": "int<8>, scale = f32 per axis 0",
    "int8-column": "int<8>, scale = f32 per axis 1",
    "int8-tensor": "int<8>, scale = f16 per tensor",
    "int1": "int<1>, scale = f32 per [1, 32]",
    "int2": "int<2>, scale = bf16 per [1, 32]",
    "int3": "int<3>, scale = f16 per [1, 32]",
    "int4": "int<4>, scale = f16 per [1, 32]",
    "int5": "int<5>, scale = f16 per [1, 32]",
    "int6": "int<6>, scale = f32 per [1, 32]",
    "int7": "int<7>, scale = f16 per [1, 32]",
    "int8-narrow": "int<8, narrow>, scale = f32 per axis 0",
    "int3-narrow-signed_max": "int<3, narrow>, scale = f16 per [1, 32], rule = signed_max",
    "int9": "int<9>, scale = f32 per [1, 32]",
    "int12": "int<12>, scale = f16 per [1, 32]",
    "int15": "int<15>, scale = f32 per axis 1",
    "int16": "int<16>, scale = f32 per [1, 32]",
    "uint10-min": "uint<10>, scale = f32 per [1, 32], min = f32 per [1, 32]",
    "uint16-zero": "uint<16>, scale = f32 per [1, 32], zero = uint<16> per [1, 32]",
    "uint11-zero": "uint<11>, scale = f16 per axis 0, zero = uint<13> per axis 0",
    "int16-scale": "int<4>, scale = f32 per [1, 64] * int<16> per [1, 32]",
    "uint12-scale": "int<4>, scale = f32 per [1, 64] * uint<12> per [1, 32]",
    "int4-signed_max": "int<4>, scale = f16 per [1, 32], rule = signed_max",
    "int4-tall-blocks": "int<4>, scale = f16 per [4, 1]",
    "int4-square-blocks": "int<4>, scale = f32 per [8, 16]",
    "int4-half_up": "int<4>, scale = f16 per [1, 32], rounding = half_up",
    "int4-half_away": "int<4>, scale = f16 per [1, 32], rounding = half_away",
    "int4-mx_floor": "int<4>, scale = f32 per [1, 32], rule = mx_floor",
    "int4-mx_ceil": "int<4>, scale = f32 per [1, 32], rule = mx_ceil",
    "int4-percentile": "int<4>, scale = f16 per [1, 32], rule = percentile<90.0>",
    "int8-percentile-tensor": "int<8>, scale = f32 per tensor, rule = percentile<99.5>",
    "int3-mse": "int<3>, scale = f16 per [1, 32], rule = mse",
    "nf4-mse": "codebook<nf4>, scale = f32 per [4, 16], rule = mse<steps = 5, least = 0.25>",
    "nested-mse": "int<4>, scale = f16 per [1, 64] * uint<6> per [1, 32], rule = mse<steps = 7, least = 0.6>",
    "int8-stochastic": "int<8>, scale = f32 per axis 0, rounding = stochastic<1>",
    "int4-stochastic": "int<4>, scale = f16 per [1, 32], rounding = stochastic<123456789012345>",
    "uint4-min-stochastic": "uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32], rounding = stochastic<2>",
    "uint4-zero-stochastic": "uint<4>, scale = f16 per [1, 32], zero = uint<4> per [1, 32], rounding = stochastic<3>",
    "nf4-stochastic": "codebook<nf4>, scale = f32 per [1, 32], rounding = stochastic<4>",
    "ternary-stochastic": "codebook<[-1.0, 0.0, 1.0]>, scale = f32 per tensor, rule = percentile<80.0>, rounding = stochastic<5>",
    "prefix4": "prefix<4, int<8>>, scale = f32 per axis 0",
    "prefix3-nf4": "prefix<3, codebook<nf4>>, scale = f16 per [1, 32]",
    "prefix6-min": "prefix<6, uint<12>>, scale = f32 per [1, 32], min = f32 per [1, 32]",
    "int8-planes": "int<8>, scale = f32 per axis 0, layout = planes<4, 4>",
    "int7-planes": "int<7>, scale = f16 per [1, 32], layout = planes<1, 2, 4>",
    "int12-planes": "int<12>, scale = f16 per [1, 32], layout = planes<4, 8>",
    "int16-planes": "int<16>, scale = f32 per [1, 32], layout = planes<8, 8>",
    "uint6-planes": "uint<6>, scale = f16 per [1, 32], min = f16 per [1, 32], layout = planes<1, 1, 1, 1, 1, 1>",
    "learned4": "learned<4, f16 per axis 0>",
    "learned4-column": "learned<4, bf16 per axis 1>, scale = f32 per axis 0",
    "learned3-tensor": "learned<3, f32 per tensor>, scale = f16 per [1, 32]",
    "learned2-blocks": "learned<2, f16 per [1, 32]>",
    "learned5-square": "learned<5, f32 per [4, 16]>, scale = f16 per [1, 64] * int<8> per [1, 32]",
    "learned8-tensor": "learned<8, f32 per tensor>",
    "learned1": "learned<1, f16 per [1, 32]>, scale = e8m0 per [1, 32]",
    "learned3-rank1": "learned<3, f32 per tensor>, scale = f32 rank1<min>",
    "uint1-min": "uint<1>, scale = f32 per [1, 32], min = f32 per [1, 32]",
    "uint4-min": "uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32]",
    "uint4-zero": "uint<4>, scale = f16 per [1, 32], zero = uint<4> per [1, 32]",
    "uint8-zero": "uint<8>, scale = f32 per axis 0, zero = uint<8> per axis 0",
    "int8-min": "int<8>, scale = f32 per [1, 32], min = f32 per [1, 32]",
    "uint3-zero": "uint<3>, scale = bf16 per [1, 32], zero = uint<3> per [1, 32]",
    "e4m3": "e4m3, scale = f32 per [1, 32]",
    "e5m2": "e5m2, scale = f32 per axis 0",
    "e4m3fnuz": "e4m3fnuz, scale = f32 per [1, 32]",
    "e5m2fnuz": "e5m2fnuz, scale = f16 per [1, 32]",
    "e3m2": "e3m2, scale = e8m0 per [1, 32]",
    "e2m3": "e2m3, scale = e8m0 per [1, 32]",
    "e2m1": "e2m1, scale = e8m0 per [1, 32]",
    "nvfp4": "e2m1, scale = f32 per tensor * e4m3 per [1, 16]",
    "e2m1-ue4m3": "e2m1, scale = f32 per [1, 64] * ue4m3 per [1, 16]",
    "e2m1-ue5m3": "e2m1, scale = ue5m3 per [1, 32]",
    "e8m0": "e8m0, scale = f32 per [1, 32]",
    "e8m0-unscaled": "e8m0",
    "e4m3-unscaled": "e4m3",
    "e5m2-unscaled": "e5m2",
    "ue5m3-unscaled": "ue5m3",
    "e4m3-min": "e4m3, scale = f32 per [1, 32], min = e5m2 per [1, 32]",
    "e4m3-signed_max": "e4m3, scale = e5m2 per [1, 32], rule = signed_max",
    "fp2-2": "fp<2, 2>, scale = f16 per [1, 32]",
    "fp-bias": "fp<3, 2, bias = 5, unsigned>, scale = f32 per [1, 32]",
    "fp-no-mantissa": "fp<3, 0>, scale = f32 per [1, 32]",
    "fp-even-bias": "fp<4, 0, bias = 6, unsigned>, scale = f32 per [1, 32]",
    "fp-fnu": "fp<5, 0, bias = 9, unsigned, fnu>, scale = f32 per [1, 32]",
    "fp-ieee": "fp<2, 3, ieee>, scale = f32 per [1, 32]",
    # Levels that are subnormal in f32: the bits of an f32 do not do.
    "fp-tables": "fp<4, 3, bias = 140, fn>, scale = f32 per [1, 32]",
    "fp-tables-large": "fp<2, 2, bias = -120>, scale = f32 per [1, 32]",
    "fp-tables-fnuz": "fp<3, 4, bias = 143, fnuz>",
    "codebook-unordered": "codebook<[0.0, 1.0, 3.0, -1.0, -3.0, 1.0]>, scale = f32 per [1, 32]",
    "fp4": "codebook<fp4>, scale = f32 per [1, 32]",
    "mxfp4-ggml": "codebook<mxfp4_ggml>, scale = e8m0 per [1, 32]",
    "af4": "codebook<af4, 64>, scale = f32 per [1, 64]",
    "iq4_nl": "codebook<iq4_nl>, scale = f16 per [1, 32], rule = signed_max",
    "dynamic8": "codebook<dynamic, 8>, scale = f32 per [1, 64]",
    "dynamic8-unsigned": "codebook<dynamic_unsigned, 8>, scale = f32 per [1, 64]",
    "dynamic4": "codebook<dynamic, 4>, scale = f32 per [1, 64]",
    "dynamic4-nonzero": "codebook<dynamic_nonzero, 4>, scale = f32 per [1, 64]",
    "linear5": "codebook<linear, 5>, scale = f32 per [1, 32]",
    "linear4-nonzero": "codebook<linear_nonzero, 4>, scale = f32 rank1<min>",
    "linear4-square": "codebook<linear_square, 4>, scale = f32 per [1, 64]",
    "softsign8": "codebook<softsign, 8>, scale = bf16 per [1, 32]",
    "softsign3": "codebook<softsign, 3>, scale = f32 per [1, 32]",
    "sqrt8": "codebook<sqrt, 8>, scale = bf16 per [1, 32]",
    "sqrt8-nonzero": "codebook<sqrt_nonzero, 8>, scale = bf16 per [1, 32]",
    "sqrt4": "codebook<sqrt, 4>, scale = f32 per [1, 32]",
    "log2": "codebook<log2, 4, 7.5>, scale = f32 per [1, 32]",
    "log2-signed": "codebook<log2_signed, 5, 14>, scale = f32 per [1, 32]",
    "power": "codebook<power, 6, 1.5>, scale = f16 per [1, 32]",
    "named-ternary": "codebook<ternary>, scale = f16 per [1, 32]",
    "binary": "codebook<binary>, scale = f16 per [1, 32]",
    "apot": "codebook<apot, 5>, scale = f32 per [1, 32]",
    "gaussian": "codebook<gaussian, 3>, scale = f32 per [1, 32]",
    "nf4-scale": "int<4>, scale = codebook<nf4> per [1, 16]",
    "codebook-scale": "int<4>, scale = f32 per [1, 64] * codebook<dynamic_unsigned, 8> per [1, 16]",
    "nf4": "codebook<nf4>, scale = f32 per [1, 32]",
    "ternary": "codebook<[-1.0, 0.0, 1.0]>, scale = f32 per tensor",
    "codebook-positive": "codebook<[0.0, 0.25, 0.5, 1.0, 2.0]>, scale = f16 per [1, 32]",
    "nested": "int<4>, scale = f16 per [1, 64] * int<6> per [1, 32]",
    "nested-unsigned": "int<4>, scale = f16 per [1, 64] * uint<6> per [1, 32]",
    "nested-tensor": "int<8>, scale = f32 per tensor * bf16 per [1, 16]",
    "nested-signed_max": "int<4>, scale = f16 per [1, 64] * int<6> per [1, 32], rule = signed_max",
    "k-quant": "uint<4>, scale = f16 per [1, 64] * uint<6> per [1, 32], min = f16 per [1, 64] * uint<6> per [1, 32]",
    "nested-three": "int<4>, scale = f32 per tensor * f16 per [1, 64] * uint<6> per [1, 32]",
    "nested-four": "int<4>, scale = f32 per tensor * bf16 per axis 0 * int<8> per [1, 64] * uint<4> per [1, 16]",
    "nested-codebook": "int<4>, scale = f16 per [1, 64] * codebook<[0.125, 0.25, 0.5, 1.0]> per [1, 32]",
    "nf4-scale": "int<4>, scale = codebook<nf4> per [1, 16]",
    "codebook-scale": "int<4>, scale = codebook<[0.125, 0.25, 0.5, 1.0]> per [1, 32]",
    "uint-scale": "int<8>, scale = uint<8> per [1, 32]",
    "scale-offset": "codebook<nf4>, scale = f32 per [1, 64] * int<8> per [1, 32] + f32 per tensor",
    "scale-offset-rows": "int<4>, scale = codebook<nf4> per [1, 16] + bf16 per axis 0",
    "min-three": "uint<4>, scale = f16 per [1, 32], min = f32 per tensor * f16 per axis 0 * int<6> per [1, 32]",
    "min-offset": "uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32] + f16 per tensor",
    "rank1": "uint<8>, scale = f32 rank1<min>",
    "rank1-f16": "int<4>, scale = f16 rank1<min>",
    "rank1-product": "int<4>, scale = f32 rank1<product>",
    "rank1-product-bf16": "codebook<nf4>, scale = bf16 rank1<product>",
    "rank1-geo": "int<8>, scale = f32 rank1<geo<0.15>>",
    "rank1-geo-stochastic": "int<4>, scale = f16 rank1<geo<0.5>>, rounding = stochastic<6>",
    "f16": "f16",
    "bf16": "bf16",
    "f32": "f32",
    "f16-scaled": "f16, scale = f32 per [1, 32]",
    "f16-stochastic": "f16, rounding = stochastic<7>",
    "bf16-stochastic": "bf16, scale = f32 per [1, 32], rounding = stochastic<8>",
    "int8-unscaled": "int<8>",
    "q4_0": "int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>",
    "q4_1": "uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32], layout = ggml<q4_1>",
    "q8_0": "int<8>, scale = f16 per [1, 32], layout = ggml<q8_0>",
}
# In inner tiles too: codes in one, two and three planes; levels that have a value for each row, for some rows, for all.
TILED = [
    "int1", "int2", "int3", "int4", "int5", "int6", "int7", "int8-row", "int8-column", "int8-tensor", "int4-tall-blocks",
    "int4-square-blocks", "int4-stochastic", "uint1-min", "uint4-min", "uint4-zero", "uint8-zero", "int8-min", "e2m1", "e3m2",
    "e4m3", "nvfp4", "nf4", "ternary", "dynamic8", "k-quant", "nested-four", "scale-offset", "uint12-scale", "int8-unscaled",
]  # fmt: skip
QUANTIZED |= {
    f"{name}-{layout}": f"{QUANTIZED[name]}, layout = {layout}"
    for name in TILED
    for layout in ("tiled", "records")
}
ENCODINGS = {name: f"#lowbit.quantized<{text}>" for name, text in QUANTIZED.items()}

_int4, _int8 = ENCODINGS["int4"], ENCODINGS["int8-row"]
PARTS = {
    "part-rows": f"#lowbit.part<axis = 0, at = [5], {_int8}, {_int4}>",
    "part-columns": f"#lowbit.part<axis = 1, at = [32], {_int8}, {_int4}>",
    "part-inside-block": f"#lowbit.part<axis = 1, at = [7], {_int8}, {_int4}>",
    "part-three": f"#lowbit.part<axis = 0, at = [1, 4], {_int8}, {ENCODINGS['nf4']}, {_int4}>",
}
SUMS = {
    "sparse": "#lowbit.sparse<f16, density = 0.05>",
    "sum-sparse": f"#lowbit.sum<{ENCODINGS['int3']}, #lowbit.sparse<f16, density = 0.05>>",
    "residual-rows": f"#lowbit.sum<{_int4}, {_int8}>",
    "sum-sparse-f32": f"#lowbit.sum<{_int8}, #lowbit.sparse<f32, density = 0.01>>",
    "part-of-sums": f"#lowbit.part<axis = 0, at = [5], #lowbit.sum<{_int4}, #lowbit.sparse<f16, density = 0.05>>, {_int8}>",
}
ALL = {**ENCODINGS, **PARTS, **SUMS}


def shapes_for(name: str) -> list[tuple[int, int]]:
    if name.startswith("q"):  # ggml layouts: whole blocks only
        return [ALIGNED, (1, 32), LARGE, NO_ROWS, NO_COLUMNS]
    if name in ("part-rows", "part-three", "part-of-sums"):  # cuts lie within the axis
        return [ALIGNED, (6, 49), LARGE, NO_COLUMNS]
    if name.startswith("part"):
        return [ALIGNED, (6, 49), LARGE, NO_ROWS]
    return [ALIGNED, RAGGED, PRIME, ONE, LARGE, NO_ROWS, NO_COLUMNS]


def cases(names) -> list:
    return [
        pytest.param(name, shape, id=f"{name}-{'x'.join(map(str, shape))}")
        for name in names
        for shape in shapes_for(name)
    ]


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("name, shape", cases(ALL))
def test_decode(name, shape, pipeline):
    kernels.check_decode(ALL[name], shape, pipeline, shapes_for(name))


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("name, shape", cases({**ENCODINGS, **PARTS}))
def test_encode(name, shape, pipeline):
    kernels.check_encode(ALL[name], shape, pipeline, shapes_for(name))


# Where components do not tell the length of the last axis, it is one of them: `extent`.
DYNAMIC = [
    "int8-row", "int4", "int3", "uint4-min", "uint4-zero", "nf4", "nested-unsigned", "int4-square-blocks", "f16", "rank1", "q4_1",
    "int4-percentile", "int3-mse", "int8-percentile-tensor", "int8-stochastic", "int4-stochastic", "nested-three", "scale-offset",
    "rank1-product", "rank1-geo", "int9", "int16", "uint11-zero", "nvfp4", "e4m3", "fp4", "sparse", "sum-sparse",
    "residual-rows",
]  # fmt: skip


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize(
    "shape", [ALIGNED, RAGGED, LARGE, NO_ROWS], ids=["aligned", "ragged", "large", "no-rows"]
)
@pytest.mark.parametrize("name", DYNAMIC)
def test_dynamic_extents(name, shape, pipeline):
    encoding = ALL[name]
    if name.startswith("q") and shape == RAGGED:
        shape = (5, 96)
    names = _lowbit.component_names(encoding, [-1, -1])

    def given(components):
        return [components[name] if name in components else np.int64(shape[-1]) for name in names]

    values = mixed_values(shape, seed_of(encoding, shape))
    expected = _lowbit.encode(values, encoding)
    assert [name for name in names if not name.endswith("extent")] == list(expected)
    program = kernels.encode_program((None, None), encoding)
    encoded = dict(
        zip(names, run(program, [values, *given(kernels.scrambled(expected, 1))], pipeline))
    )
    check_components([encoded[name] for name in expected], expected, "encoded")
    decode = kernels.decode_program((None, None), encoding)
    (actual,) = run(decode, [*given(expected), np.zeros(shape, np.float32)], pipeline)
    assert_same_bits(actual, _lowbit.decode(encoding, list(shape), expected), "decoded")


CONTRACTED = [
    "int8-row", "int3", "int4", "int4-square-blocks", "uint4-min", "uint4-zero", "nf4", "nested-unsigned", "k-quant",
    "rank1", "bf16", "q4_0", "q4_1", "q8_0", "part-rows", "part-columns", "part-inside-block", "sum-sparse", "part-of-sums",
    "int12", "int16", "nvfp4", "e2m1", "e4m3", "e5m2fnuz", "fp-tables", "fp4", "dynamic8", "int3-tiled", "uint4-zero-tiled",
]  # fmt: skip


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("transposed", [True, False], ids=["nt", "nn"])
@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("shape", kernels.SHAPES_OF_PRODUCTS)
@pytest.mark.parametrize("name", CONTRACTED)
def test_matmul(name, shape, rows, transposed, pipeline):
    """|y - exact| <= n eps sum |x w|, exact in f64 from the reference's decoded weights."""
    shapes = dict(kernels.SHAPES_OF_PRODUCTS)
    if name.startswith("q"):
        shapes["ragged"] = (37, 96)
    encoding, shape = ALL[name], shapes[shape]
    generator = np.random.default_rng(seed_of(encoding, shape))
    components = _lowbit.encode(generator.normal(size=shape).astype(np.float32), encoding)
    weights = _lowbit.decode(encoding, list(shape), components).astype(np.float64)
    weights = weights.T if transposed else weights
    x = generator.normal(size=(rows, len(weights))).astype(np.float32)
    y = kernels.multiply(
        rows, shape, encoding, transposed, [x, *components.values()], pipeline, shapes.values()
    )
    bound = len(weights) * 2.0**-24 * (np.abs(x.astype(np.float64)) @ np.abs(weights))
    # Pieces of a sum add their products one term at a time: that many times more roundings.
    bound *= 2 if "sum" in encoding else 1
    assert np.all(np.abs(y - x.astype(np.float64) @ weights) <= bound)


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("name", CONTRACTED)
def test_matmul_of_nothing(name, pipeline):
    """Without rows of weights there are no results, without terms of the sums they are zero."""
    encoding = ALL[name]
    cases = [
        (3, (0, 64), encoding, True),
        (3, (0, 64), encoding, False),
        (0, (8, 64), encoding, True),
    ]
    if name in ("part-rows", "part-of-sums"):
        cases = cases[2:]  # cut beyond the axis
    for case in cases:
        rows, shape, _, transposed = case
        components = _lowbit.encode(np.ones(shape, np.float32), encoding)
        n, k = shape if transposed else shape[::-1]
        x = np.ones((rows, k), np.float32)
        (y,) = run_case(kernels.matmul_program, case, [x, *components.values()], pipeline, cases)
        assert y.shape == (rows, n) and not y.any()


def convert(shape, source: str, target: str, components, pipeline: str, shapes) -> list:
    case, cases = (shape, source, target), [(shape, source, target) for shape in shapes]
    return run_case(kernels.convert_program, case, components, pipeline, cases)


WHOLE_BLOCKS = [ALIGNED, (1, 32), LARGE, NO_ROWS]


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("layout", ["q4_0", "q4_1", "q8_0"])
@pytest.mark.parametrize("shape", WHOLE_BLOCKS, ids=["aligned", "one-block", "large", "no-rows"])
def test_convert_between_layouts(layout, shape, pipeline):
    """Bytes move, whatever they are: a convert never rounds."""
    ggml = ENCODINGS[layout]
    planes = ggml.replace(f", layout = ggml<{layout}>", "")
    blocks = kernels.scrambled(_lowbit.encode(np.zeros(shape, np.float32), ggml), 3)
    unpacked = convert(shape, ggml, planes, blocks.values(), pipeline, WHOLE_BLOCKS)
    names = _lowbit.component_names(planes, list(shape))
    assert_same_bits(
        _lowbit.decode(planes, list(shape), dict(zip(names, unpacked))),
        _lowbit.decode(ggml, list(shape), blocks),
        "decoded",
    )
    check_components(
        convert(shape, planes, ggml, unpacked, pipeline, WHOLE_BLOCKS), blocks, "packed again"
    )


TILED_SHAPES = [ALIGNED, PRIME, ONE, (96, 80), NO_COLUMNS]


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize(
    "shape", TILED_SHAPES, ids=["aligned", "prime", "one", "groups", "no-columns"]
)
@pytest.mark.parametrize(
    "name", ["int1", "int7", "int8-row", "int4-square-blocks", "uint4-zero", "k-quant", "nvfp4"]
)
def test_convert_to_inner_tiles(name, shape, pipeline):
    """And back; the components of both layouts are those of an encode, zero bits beyond the edges included."""
    values = mixed_values(shape, seed_of(name, shape))
    planes, tiled = ENCODINGS[name], ENCODINGS[name + "-tiled"]
    in_planes, in_tiles = _lowbit.encode(values, planes), _lowbit.encode(values, tiled)
    there = convert(shape, planes, tiled, in_planes.values(), pipeline, TILED_SHAPES)
    check_components(there, in_tiles, "in tiles")
    back = convert(shape, tiled, planes, there, pipeline, TILED_SHAPES)
    check_components(back, in_planes, "in planes")


def squares_program(shape, encoding: str, name: str) -> str:
    """@main(x, o, storage) -> the squares of 2 x, and 2 x in the encoding."""
    plain, encoded = kernels.tensor_type(shape), kernels.tensor_type(shape, encoding)
    maps = "indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>]"
    loop = f"linalg.generic {{{maps}, iterator_types = ['parallel', 'parallel']}}".replace("'", '"')
    return f"""
func.func @{name}(%x: {plain}, %o: {plain}, %d: {encoded}) -> ({plain}, {encoded})
    attributes {{lowbit.entry, lowbit.updates = array<i64: 1, 2>}} {{
  %empty = tensor.empty() : {plain}
  %twice = {loop} ins(%x : {plain}) outs(%empty : {plain}) {{
  ^bb0(%a: f32, %b: f32):
    %c = arith.addf %a, %a : f32
    linalg.yield %c : f32
  }} -> {plain}
  %square = {loop} ins(%twice : {plain}) outs(%o : {plain}) {{
  ^bb0(%a: f32, %b: f32):
    %c = arith.mulf %a, %a : f32
    linalg.yield %c : f32
  }} -> {plain}
  %e = lowbit.encode %twice into %d : {plain} into {encoded}
  return %square, %e : {plain}, {encoded}
}}"""


SHAPES_OF_SQUARES = [RAGGED, LARGE, (300, 512)]


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("shape", SHAPES_OF_SQUARES, ids=["ragged", "large", "parallel"])
@pytest.mark.parametrize("name", ["int4", "int8-row", "rank1", "rank1-product", "rank1-geo"])
def test_a_value_is_encoded_and_used(name, shape, pipeline):
    """Its producer cannot wait for the encode: something else reads it before."""
    values = mixed_values(shape, 9, kernels.FINITE)
    expected = _lowbit.encode(values + values, ALL[name])
    storage = kernels.scrambled(expected, 1)
    inputs = [values, np.zeros(shape, np.float32), *storage.values()]
    case, cases = (shape, ALL[name]), [(shape, ALL[name]) for shape in SHAPES_OF_SQUARES]
    square, *actual = run_case(squares_program, case, inputs, pipeline, cases)
    assert_same_bits(square, (values + values) ** 2, "squares")
    check_components(actual, expected, "encoded")


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize(
    "source, target",
    [("q4_1", "int8-row"), ("nf4", "uint4-min"), ("sum-sparse", "int4"), ("nf4", "residual-rows")],
)
def test_convert_between_terms(source, target, pipeline):
    """Decoded, then encoded."""
    source, target = ALL[source], ALL[target]
    components = _lowbit.encode(mixed_values(LARGE, 5), source)
    expected = _lowbit.encode(_lowbit.decode(source, list(LARGE), components), target)
    check_components(
        run(kernels.convert_program(LARGE, source, target), components.values(), pipeline),
        expected,
        "converted",
    )
