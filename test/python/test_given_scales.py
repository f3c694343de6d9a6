"""The rule `given`: codes by scales that the destination has. The scalar reference, both pipelines and the integer kernels against numpy, bit for
bit (docs/Numerics.md)."""

from __future__ import annotations

import itertools

import kernels
import lowbit
import numpy as np
import pytest
from kernels import PIPELINES, assert_same_bits, run
from lowbit import _lowbit
from lowbit.errors import LowbitError

F32 = np.float32
SCALES = F32([0.03, 1, 2.0**-100, 1e30, -0.5, 0, -0.0, 1e-40, 3e-38, np.inf, np.nan])
"""A scale is what someone gave: denormal ones count as zero, and by one that is no number every code is that of 0."""
STATIC = "int<8>, scale = f32 per tensor, rule = given"


def over(x: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """x / s, zero by a scale that is denormal or zero, and instead of NaN."""
    with np.errstate(all="ignore"):
        quotient = np.where(np.isnan(x), F32(0), x) / scale
    return np.where((np.abs(scale) < F32(2.0**-126)) | np.isnan(quotient), F32(0), quotient)


def extremes(shape, seed: int) -> np.ndarray:
    """All kinds of numbers, and some beside borders of codes by a scale of 0.03."""
    x = kernels.mixed_values(shape, seed)
    x[0] = (np.arange(shape[1]) % 300 - 150 + F32(0.5)) * F32(0.03)
    x[1] = np.nextafter(x[0], F32(np.inf))
    return x


def found_by_all(x: np.ndarray, encoding: str, given: dict[str, np.ndarray]):
    """Who, and what it stores for x."""
    reference = lowbit.encode(x, encoding, given=given)
    yield "reference encoder", reference
    storage = kernels.scrambled(reference, 1) | given
    for pipeline in PIPELINES:
        found = run(kernels.encode_program(x.shape, encoding), [x, *storage.values()], pipeline)
        yield pipeline, dict(zip(reference, found))


@pytest.mark.parametrize("per", ["per tensor", "per [1, 16]", "per axis 1"])
def test_codes_and_scales(per):
    x = extremes((8, 64), 3)
    block = {"per tensor": (8, 64), "per [1, 16]": (1, 16), "per axis 1": (8, 1)}[per]
    grid = tuple(n // b for n, b in zip(x.shape, block))
    encoding = f"#lowbit.quantized<int<8>, scale = f32 {per}, rule = given>"
    for first in range(len(SCALES)) if per == "per tensor" else [0]:
        values = itertools.islice(itertools.cycle(SCALES), first, first + int(np.prod(grid)))
        scales = np.array(list(values), F32).reshape(grid)
        wide = np.repeat(np.repeat(scales, block[0], axis=0), block[1], axis=1)
        codes = np.clip(np.rint(over(x, wide)), -128, 127).astype(np.int8)
        for who, found in found_by_all(x, encoding, {"scale": scales}):
            assert_same_bits(found["scale"], scales, f"{who}: scales")
            assert_same_bits(found["codes"].view(np.int8), codes, f"{who}: codes by {scales[0, 0]}")


def test_zero_points_and_packed_ones():
    x = extremes((6, 64), 4)
    generator = np.random.default_rng(5)
    scale = generator.uniform(0.01, 2, (6, 4)).astype(F32)
    zero = generator.integers(0, 16, (6, 4))
    packed = (zero[:, ::2] | zero[:, 1::2] << 4).astype(np.uint8)
    t = np.rint(over(x, np.repeat(scale, 16, axis=1))) + np.repeat(zero, 16, axis=1).astype(F32)
    codes = np.clip(t, 0, 15).astype(np.uint8)
    encoding = "#lowbit.quantized<uint<4>, scale = f32 per [1, 16], zero = uint<4> per [1, 16], rule = given>"
    for who, found in found_by_all(x, encoding, {"scale": scale, "zero": packed}):
        assert_same_bits(found["zero"].view(np.uint8), packed, f"{who}: zero points")
        expected = codes[:, ::2] | codes[:, 1::2] << 4
        assert_same_bits(found["codes"].view(np.uint8), expected, f"{who}: codes")


OTHERS = {
    "e4m3, scale = f32 per tensor": {"scale": F32([[0.01]])},
    "codebook<nf4>, scale = f16 per [1, 64]": {"scale": np.float16([[2], [1e-7], [0], [40], [1]])},
    "int<5>, scale = f16 per [1, 64] * uint<4> per [1, 16]": {
        "scale.0": np.float16([[0.1]] * 5),
        "scale.1": np.uint8([[0x21, 0xF3]] * 5),
    },
    "uint<3>, scale = f32 per axis 0, min = f32 per axis 0": {
        "scale": F32([[1], [0.1], [0], [3], [1e-40]]),
        "min": F32([[-1], [0], [0.25], [-9], [0.5]]),
    },
    "learned<4, f16 per tensor>, scale = f32 per axis 0": {"scale": F32([[1], [2], [3], [4], [5]])},
}


@pytest.mark.parametrize("text", [t for t in OTHERS if "learned" not in t])
def test_compiled_code_equals_the_reference(text):
    encoding, given = f"#lowbit.quantized<{text}, rule = given>", OTHERS[text]
    (_, reference), *compiled = found_by_all(extremes((5, 64), 6), encoding, given)
    for name, array in given.items():
        assert_same_bits(reference[name], array, name)
    for pipeline, found in compiled:
        kernels.check_components(list(found.values()), reference, pipeline)


def test_scales_that_an_absmax_rule_chose_give_its_codes():
    x = np.random.default_rng(7).normal(size=(6, 64)).astype(F32)
    for text in ["int<4>, scale = f16 per [1, 32]", "learned<4, f16 per tensor>, scale = f32 per axis 0"]:  # fmt: skip
        chosen = lowbit.encode(x, f"#lowbit.quantized<{text}>")
        given = {name: array for name, array in chosen.items() if name not in ("codes", "levels")}
        if "learned" in text:
            given["levels"] = chosen["levels"]
        found = lowbit.encode(x, f"#lowbit.quantized<{text}, rule = given>", given=given)
        for name, array in chosen.items():
            assert_same_bits(found[name], array, name)


def test_what_is_missing_is_told():
    x = np.ones((2, 4), F32)
    with pytest.raises(LowbitError, match="'given' keeps the scales of a destination"):
        lowbit.encode(x, f"#lowbit.quantized<{STATIC}>")
    with pytest.raises(LowbitError, match="those of a destination, and there is none"):
        lowbit.encode(x, f"#lowbit.quantized<{STATIC}>", second_moments=np.eye(4))
    with pytest.raises(LowbitError, match="scales are given, and codes .* choose their own"):
        lowbit.encode(x, f"#lowbit.quantized<{STATIC}>", given={}, second_moments=np.eye(4))
    with pytest.raises(
        LowbitError, match="component 'scale' is f32 .1, 2., the encoding wants f32 .1, 1."
    ):
        lowbit.encode(x, f"#lowbit.quantized<{STATIC}>", given={"scale": np.ones((1, 2), F32)})
    with pytest.raises(LowbitError, match="only an encode by the rule 'given' takes scales"):
        lowbit.encode(x, "#lowbit.quantized<int<8>, scale = f32 per tensor>", given={"scale": [[1]]})  # fmt: skip


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_rows_of_a_cache_are_written_by_its_scales(pipeline):
    """`lowbit.insert` takes any row: no scale would have to be chosen anew."""
    cache = "#lowbit.quantized<int<8>, scale = f32 per axis 0, rule = given>"
    module = f"""
    func.func @main(%x: tensor<2x?x16xf32>, %cache: tensor<2x9x16xf32, {cache}>, %at: index) -> tensor<2x9x16xf32, {cache}>
        attributes {{lowbit.entry, lowbit.updates = array<i64: 1>}} {{
      %new = lowbit.insert %x into %cache[0, %at, 0] : tensor<2x?x16xf32> into tensor<2x9x16xf32, {cache}>
      return %new : tensor<2x9x16xf32, {cache}>
    }}"""
    generator = np.random.default_rng(8)
    x = generator.normal(size=(2, 3, 16)).astype(F32) * 4
    codes = generator.integers(-128, 128, (2, 9, 16)).astype(np.int8)
    scale = F32([0.05, 0.02]).reshape(2, 1, 1)
    expected = codes.copy()
    expected[:, 4:7] = np.clip(np.rint(x / scale), -128, 127)
    found, kept = run(module, [x, codes, scale, np.int64(4)], pipeline)
    assert_same_bits(found.view(np.int8), expected, "codes")
    assert_same_bits(kept, scale, "scales")


# In products
# -----------

W8 = "#lowbit.quantized<int<8>, scale = f32 per axis 0>"
INPUTS = 128


def layer_program(rows: str | int) -> str:
    """@main(x, y) -> (y + x a^T) b^T in a private function that is called for the weights of two layers."""
    x, w = f"tensor<{rows}x{INPUTS}xf32>", f"tensor<{INPUTS}x{INPUTS}xf32, {W8}>"
    maps = ", ".join(f"affine_map<(m, n, k) -> {to}>" for to in ("(m, k)", "(n, k)", "(m, n)"))
    return f"""
func.func private @layer(%x: {x}, %a: {w}, %y: {x}) -> {x} {{
  %r = linalg.matmul indexing_maps = [{maps}] ins(%x, %a : {x}, {w}) outs(%y : {x}) -> {x}
  return %r : {x}
}}
func.func @main(%x: {x}, %y: {x}, %z: {x}) -> ({x}, {x}) attributes {{lowbit.entry, lowbit.updates = array<i64: 1, 2>}} {{
  %a = lowbit.parameter "a.weight" : {w}
  %b = lowbit.parameter "b.weight" : {w}
  %r = call @layer(%x, %a, %y) : ({x}, {w}, {x}) -> {x}
  %s = call @layer(%r, %b, %z) : ({x}, {w}, {x}) -> {x}
  return %r, %s : {x}, {x}
}}"""


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    """An archive of two weights and the scales of their inputs, powers of two: all that follows is exact."""
    generator = np.random.default_rng(9)
    path = str(tmp_path_factory.mktemp("layers") / "layers.safetensors")
    codes = {k: generator.integers(-127, 128, (INPUTS, INPUTS)).astype(np.int8) for k in "ab"}
    scales = {"a": F32(2.0**-5), "b": F32(2.0**9)}
    ones = np.full((INPUTS, 1), 2.0**-3, F32)
    tensors = [
        (f"{k}.weight", [INPUTS, INPUTS], W8, {"codes": v.view(np.uint8), "scale": ones})
        for k, v in codes.items()
    ]
    tensors += [
        (f"{k}.weight.input_scale", [1, 1], "", {"values": v.reshape(1, 1)})
        for k, v in scales.items()
    ]
    _lowbit.write_archive(path, {}, tensors)
    return path, codes, scales


@pytest.mark.parametrize("rows", [1, 4, "?"])
def test_products_round_by_the_scales_beside_their_weights(layers, rows):
    path, codes, scales = layers
    program = _lowbit.Program(layer_program(rows), [path], f"cpu{{activations='{STATIC}'}}")
    x = np.random.default_rng(10).normal(size=(7 if rows == "?" else rows, INPUTS)).astype(F32) * 3
    x[0, :3] = [1e9, -np.inf, np.nan]
    zeros = np.zeros_like(x)
    first, second = program.run("main", [x, zeros, zeros])
    for given, key, found in ((x, "a", first), (first, "b", second)):
        q = np.clip(np.rint(over(given, np.broadcast_to(scales[key], given.shape))), -128, 127)
        exact = q.astype(np.int64) @ codes[key].T.astype(np.int64)
        expected = exact.astype(np.float64) * float(scales[key]) * 2.0**-3
        assert_same_bits(found, expected.astype(F32), f"product with {key}")


def test_an_archive_without_them_is_told(layers, tmp_path):
    path, codes, _ = layers
    other = str(tmp_path / "other.safetensors")
    parts = _lowbit.Archive(path).components("a.weight")
    _lowbit.write_archive(other, {}, [(f"{k}.weight", [INPUTS, INPUTS], W8, dict(parts)) for k in "ab"])  # fmt: skip
    with pytest.raises(RuntimeError, match="no tensor is named .[ab].weight.input_scale"):
        _lowbit.Program(layer_program(4), [other], f"cpu{{activations='{STATIC}'}}")
