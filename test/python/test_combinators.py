"""Encodings made of encodings: compiled kernels against the scalar reference, as in test_kernels.py. Where structure comes
from data (outliers, blocks, orders) the storage that a program encodes into already has it, and keeps it.
"""

from __future__ import annotations

import kernels
import numpy as np
import pytest
from kernels import mixed_values, run, seed_of
from lowbit import _lowbit
from test_kernels import (
    ALIGNED,
    ENCODINGS,
    LARGE,
    NO_COLUMNS,
    NO_ROWS,
    ONE,
    PIPELINES,
    PRIME,
    RAGGED,
)

INT3, INT4, INT8, NF4, F16 = (
    ENCODINGS[name] for name in ("int3", "int4", "int8-row", "nf4", "f16")
)
WHOLE = "#lowbit.quantized<int<4>, scale = f32 per tensor>"
SPARSE = "#lowbit.sparse<f16, density = 0.05>"
LOW_RANK = "#lowbit.low_rank<rank = 3, #lowbit.quantized<f32>, #lowbit.quantized<f16>>"

ANY = [ALIGNED, RAGGED, PRIME, ONE, LARGE, NO_ROWS, NO_COLUMNS]
WHOLE_GROUPS = [ALIGNED, (6, 48), (2, 16), (130, 96), NO_ROWS, (8, 0)]
ROWS = [ALIGNED, (6, 49), LARGE, NO_COLUMNS]  # with at least 5 rows
COLUMNS = [ALIGNED, (6, 49), LARGE, NO_ROWS]  # with at least 32 columns

# Each row: an encoding, and the shapes it is for.
CASES = {
    # Terms that add up
    "residual": (f"#lowbit.sum<{INT3}, {INT4}>", ANY),
    "residual-three": (f"#lowbit.sum<{NF4}, {WHOLE}, {INT4}>", ANY),
    "residual-rank1": (f"#lowbit.sum<{ENCODINGS['rank1']}, {INT4}>", ANY),
    "residual-rank1-last": (f"#lowbit.sum<{INT4}, {ENCODINGS['rank1-product']}>", ANY),
    "residual-min-ggml": (f"#lowbit.sum<{ENCODINGS['q4_1']}, {INT3}>", [ALIGNED, LARGE, NO_ROWS, NO_COLUMNS]),
    "sum-sparse": (f"#lowbit.sum<{INT3}, {SPARSE}>", ANY),
    "sparse": (SPARSE, ANY),
    "sparse-first": (f"#lowbit.sum<{SPARSE}, {INT3}, {INT4}>", ANY),
    "sparse-twice": (f"#lowbit.sum<{SPARSE}, {INT3}, #lowbit.sparse<f32, density = 0.1>>", ANY),
    "only-sparse": (f"#lowbit.sum<{SPARSE}, #lowbit.sparse<f32, density = 0.1>>", ANY),
    "sum-of-sums": (f"#lowbit.sum<#lowbit.sum<{INT3}, {SPARSE}>, {INT4}>", ANY),
    "part-of-sums": (f"#lowbit.part<axis = 0, at = [5], #lowbit.sum<{INT4}, {SPARSE}>, {INT8}>", ROWS),
    # Sparse structure around a term
    "2-of-4": ("#lowbit.n_m<2, 4, #lowbit.quantized<int<4>, scale = f16 per [1, 16]>>", WHOLE_GROUPS),
    "3-of-8": (f"#lowbit.n_m<3, 8, {NF4}>", WHOLE_GROUPS),
    "1-of-2": (f"#lowbit.n_m<1, 2, {F16}>", WHOLE_GROUPS),
    "2-of-16": (f"#lowbit.n_m<2, 16, {INT8}>", WHOLE_GROUPS),
    "outliers-of-16": (f"#lowbit.sum<#lowbit.n_m<1, 16, {F16}>, {INT3}>", WHOLE_GROUPS),
    "blocks": ("#lowbit.block_sparse<[2, 16], density = 0.5, #lowbit.quantized<int<4>, scale = f16 per [1, 16]>>", WHOLE_GROUPS),
    "blocks-tall-scales": ("#lowbit.block_sparse<[2, 8], density = 0.3, #lowbit.quantized<int<8>, scale = f32 per [4, 8]>>", WHOLE_GROUPS),
    "blocks-tensor-scale": (f"#lowbit.block_sparse<[1, 4], density = 0.9, {WHOLE}>", WHOLE_GROUPS),
    "no-blocks": (f"#lowbit.block_sparse<[2, 16], density = 0.0, {INT8}>", WHOLE_GROUPS),
    # Some columns apart
    "outlier-columns": (f"#lowbit.outlier_columns<density = 0.1, {INT4}, {F16}>", ANY),
    "outlier-columns-none": (f"#lowbit.outlier_columns<density = 0.0, {INT4}, {F16}>", ANY),
    "outlier-columns-all": (f"#lowbit.outlier_columns<density = 1.0, {NF4}, {INT8}>", ANY),
    "outlier-columns-sum": (f"#lowbit.sum<#lowbit.outlier_columns<density = 0.1, {INT3}, {F16}>, {SPARSE}>", ANY),
    "outlier-columns-of-sums": (f"#lowbit.outlier_columns<density = 0.2, #lowbit.sum<{INT3}, {INT4}>, {WHOLE}>", ANY),
    # Factors: read-only
    "low-rank": (LOW_RANK, ANY),
    "low-rank-quantized": (f"#lowbit.low_rank<rank = 5, {INT8}, {INT4}>", ANY),
    "svdquant": (f"#lowbit.sum<{LOW_RANK}, {INT4}>", ANY),
    "lorc": (f"#lowbit.sum<{INT3}, {LOW_RANK}>", ANY),
    # Other orders
    "permuted-columns": (f"#lowbit.permuted<axis = 1, {INT4}>", ANY),
    "permuted-rows": (f"#lowbit.permuted<axis = 0, {INT4}>", ANY),
    "permuted-both": (f"#lowbit.permuted<axis = 0, #lowbit.permuted<axis = 1, {NF4}>>", ANY),
    "permuted-groups": (f"#lowbit.permuted<axis = 1, block = 16, {INT4}>", WHOLE_GROUPS),
    "permuted-part-rows": (f"#lowbit.permuted<axis = 0, #lowbit.part<axis = 0, at = [5], {INT8}, {INT4}>>", ROWS),
    "permuted-part-columns": (f"#lowbit.permuted<axis = 1, #lowbit.part<axis = 1, at = [32], {F16}, {INT4}>>", COLUMNS),
    "permuted-part-groups": (f"#lowbit.permuted<axis = 1, block = 16, #lowbit.part<axis = 1, at = [16], {F16}, {INT4}>>", [ALIGNED, (6, 48), (2, 16), LARGE, NO_ROWS]),
    "permuted-sum": (f"#lowbit.permuted<axis = 1, #lowbit.sum<{INT3}, {SPARSE}>>", ANY),
    # A bfloat16 and what it leaves
    "split8": ("#lowbit.split<bf16, 8>", [*ANY, (7,), (3, 5, 7)]),
    "split16": ("#lowbit.split<bf16, 16>", [*ANY, (7,), (3, 5, 7)]),
    "part-of-splits": (f"#lowbit.part<axis = 0, at = [5], #lowbit.split<bf16, 8>, {INT8}>", ROWS),
    "flattened-split": ("#lowbit.flattened<#lowbit.split<bf16, 16>>", ANY),
    # Rows of all elements
    "flattened": ("#lowbit.flattened<#lowbit.quantized<codebook<nf4>, scale = f32 per [64]>>", [*ANY, (), (7,), (0,), (3, 5, 7), (2, 64, 33), (2, 0, 33)]),
    "flattened-256": ("#lowbit.flattened<#lowbit.quantized<codebook<dynamic, 8>, scale = f32 per [256]>>", [*ANY, (), (700,), (256, 4, 3)]),
    "flattened-min": ("#lowbit.flattened<#lowbit.quantized<uint<3>, scale = f16 per [128], min = f16 per [128]>>", [*ANY, (1, 1, 1)]),
    "flattened-tensor": ("#lowbit.flattened<#lowbit.quantized<int<8>, scale = f32 per tensor>>", [*ANY, (3, 5, 7)]),
    "flattened-residual": ("#lowbit.flattened<#lowbit.sum<#lowbit.quantized<int<4>, scale = f32 per [64]>, #lowbit.quantized<int<4>, scale = f32 per [32]>>>", [*ANY, (3, 5, 7)]),
    "empty-pieces": (
        f"#lowbit.part<axis = 0, at = [0, 0], #lowbit.flattened<#lowbit.sum<#lowbit.quantized<int<2>, scale = f16 per tensor>, "
        f"{ENCODINGS['q4_0'].replace('[1, 32]', '[32]')}>>, {INT8}, {INT4}>", [*ANY]),
    "flattened-part": (f"#lowbit.part<axis = 0, at = [5], #lowbit.flattened<#lowbit.quantized<int<4>, scale = f32 per [64]>>, {INT4}>", ROWS),
}  # fmt: skip
READ_ONLY = {name for name, (text, _) in CASES.items() if "low_rank" in text}


def parameters(names) -> list:
    return [
        pytest.param(name, shape, id=f"{name}-{'x'.join(map(str, shape))}")
        for name in names
        for shape in CASES[name][1]
    ]


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("name, shape", parameters(CASES))
def test_decode(name, shape, pipeline):
    encoding, shapes = CASES[name]
    kernels.check_decode(encoding, shape, pipeline, shapes)


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("name, shape", parameters(name for name in CASES if name not in READ_ONLY))
def test_encode(name, shape, pipeline):
    """Into storage of other codes and scales, and of the structure that the values ask for."""
    encoding, shapes = CASES[name]
    kernels.check_encode(encoding, shape, pipeline, shapes)


def test_encode_keeps_structure():
    """Other values into the same places: a program never moves outliers."""
    encoding, shape = CASES["sum-sparse"][0], (8, 64)
    storage = _lowbit.encode(mixed_values(shape, 1), encoding)
    values = mixed_values(shape, 2, kernels.FINITE)
    names = list(storage)
    result = dict(
        zip(names, run(kernels.encode_program(shape, encoding), [values, *storage.values()], "cpu"))
    )
    for name in ("1.positions", "1.columns"):
        assert np.array_equal(result[name], storage[name])
    places = np.zeros(shape, bool)
    rows = np.repeat(np.arange(shape[0]), np.diff(storage["1.positions"]))
    places[rows, storage["1.columns"]] = True
    base = _lowbit.encode(np.where(places, np.float32(0), values), INT3)
    decoded = _lowbit.decode(INT3, list(shape), base)
    for name, array in base.items():
        assert np.array_equal(result[f"0.{name}"].view(array.dtype), array), name
    assert np.array_equal(result["1.values"], (values - decoded)[places].astype(np.float16))


@pytest.mark.parametrize("name", sorted(READ_ONLY))
def test_read_only(name):
    encoding, shape = CASES[name][0], (8, 64)
    storage = _lowbit.encode(np.ones(shape, np.float32), encoding)
    with pytest.raises(RuntimeError, match="cannot be encoded"):
        run(
            kernels.encode_program(shape, encoding),
            [np.ones(shape, np.float32), *storage.values()],
            "cpu",
        )


CONTRACTED = [
    "residual", "residual-three", "residual-rank1", "sparse-first", "2-of-4", "3-of-8", "outliers-of-16", "blocks",
    "blocks-tall-scales", "permuted-columns", "permuted-rows", "permuted-both", "permuted-groups", "permuted-part-rows",
    "permuted-part-columns", "permuted-sum", "flattened", "flattened-residual", "low-rank", "low-rank-quantized", "svdquant",
]  # fmt: skip


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("transposed", [True, False], ids=["nt", "nn"])
@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("shape", kernels.SHAPES_OF_PRODUCTS)
@pytest.mark.parametrize("name", CONTRACTED)
def test_matmul(name, shape, rows, transposed, pipeline):
    """|y - exact| <= n eps sum |x w|, exact in f64 from the reference's decoded weights. Terms of a sum add their products one
    term at a time; factors are multiplied one after the other, so that the sum runs over |x| |R| |L|.
    """
    shapes = dict(kernels.SHAPES_OF_PRODUCTS)
    if CASES[name][1] is WHOLE_GROUPS:
        shapes["ragged"] = (38, 48)
    encoding, shape = CASES[name][0], shapes[shape]
    generator = np.random.default_rng(seed_of(encoding, shape))
    components = _lowbit.encode(generator.normal(size=shape).astype(np.float32), encoding)
    weights = _lowbit.decode(encoding, list(shape), components).astype(np.float64)
    magnitude = np.abs(weights)
    products = max(shape) * (1 + encoding.count(", #lowbit."))
    if "low_rank" in encoding:
        # Encoding anew gives the same factors: their magnitudes bound every partial sum.
        inner = encoding[encoding.index("#lowbit.low_rank") :]
        left, right = factors(inner, components, shape)
        magnitude = magnitude + 2 * np.abs(left) @ np.abs(right)
    weights, magnitude = (w.T if transposed else w for w in (weights, magnitude))
    x = generator.normal(size=(rows, len(weights))).astype(np.float32)
    y = kernels.multiply(
        rows, shape, encoding, transposed, [x, *components.values()], pipeline, shapes.values()
    )
    bound = products * 2.0**-24 * (np.abs(x.astype(np.float64)) @ magnitude)
    assert np.all(np.abs(y - x.astype(np.float64) @ weights) <= bound)


def factors(encoding: str, components: dict, shape):
    """The decoded factors of the low-rank term that begins the text `encoding`, f64."""
    rank = int(encoding.split("rank = ")[1].split(",")[0])
    terms, depth = [""], 0
    for c in encoding[encoding.index(",") + 1 :]:
        if c == "," and depth == 0:
            terms.append("")
            continue
        depth += {"<": 1, ">": -1, "[": 1, "]": -1}.get(c, 0)
        if depth < 0:
            break
        terms[-1] += c
    result = []
    for side, term, extents in (
        ("left.", terms[0], (shape[0], rank)),
        ("right.", terms[1], (rank, shape[1])),
    ):
        own = {name.split(side)[1]: array for name, array in components.items() if side in name}
        result.append(_lowbit.decode(term.strip(), list(extents), own).astype(np.float64))
    return result


def test_low_rank_is_the_best_approximation():
    """Against numpy's singular values: the error of rank r is the rest of them."""
    x = np.random.default_rng(4).normal(size=(40, 30)).astype(np.float32)
    encoding = "#lowbit.low_rank<rank = 7, #lowbit.quantized<f32>, #lowbit.quantized<f32>>"
    components = _lowbit.encode(x, encoding)
    error = np.linalg.norm(_lowbit.decode(encoding, [40, 30], components) - x)
    rest = np.linalg.norm(np.linalg.svd(x.astype(np.float64), compute_uv=False)[7:])
    assert abs(error - rest) < 1e-5 * rest
    left, right = components["left.codes"], components["right.codes"]
    assert np.allclose(np.linalg.norm(left, axis=0), np.linalg.norm(right, axis=1), rtol=1e-5)


def test_n_m_keeps_the_largest():
    """Against numpy: in each group of four, the two largest magnitudes."""
    x = np.random.default_rng(5).normal(size=(16, 64)).astype(np.float32)
    encoding = "#lowbit.n_m<2, 4, #lowbit.quantized<f32>>"
    decoded = _lowbit.decode(encoding, [16, 64], _lowbit.encode(x, encoding))
    groups = x.reshape(-1, 4)
    order = np.argsort(-np.abs(groups), axis=1, kind="stable")[:, :2]
    expected = np.zeros_like(groups)
    np.put_along_axis(expected, order, np.take_along_axis(groups, order, 1), 1)
    assert np.array_equal(decoded, expected.reshape(x.shape))


def test_cuts_at_run_time():
    """`?`: the same storage as of a part that is cut there, and an index."""
    shape = (10, 64)
    for axis, cut in ((0, 0), (0, 3), (0, 10), (1, 32), (1, 0)):
        fixed = f"#lowbit.part<axis = {axis}, at = [{cut}], {INT8}, {NF4}>"
        cut_later = f"#lowbit.part<axis = {axis}, at = [?], {INT8}, {NF4}>"
        values = mixed_values(shape, 7, kernels.FINITE)
        components = _lowbit.encode(values, fixed)
        expected = _lowbit.decode(fixed, list(shape), components)
        names = _lowbit.component_names(cut_later, list(shape))
        # The extents of codes narrower than a byte are components of their own.
        given = [
            (
                np.int64(cut)
                if name == "cut.0"
                else np.int64(shape[1] - cut) if name == "1.extent" else components[name]
            )
            for name in names
        ]
        for pipeline in PIPELINES:
            (actual,) = run(
                kernels.decode_program(shape, cut_later),
                [*given, np.zeros(shape, np.float32)],
                pipeline,
            )
            kernels.assert_same_bits(actual, expected, f"axis {axis} at {cut}")
