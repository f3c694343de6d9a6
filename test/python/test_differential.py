"""The reference lowering after every pass of the road from notation to tiles."""

from __future__ import annotations

import numpy as np
import pytest
from differential import TILING, compare_after_each_pass, list_passes
from kernels import mixed_values
from lowbit import _lowbit

INT4 = "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>"
INT8 = "#lowbit.quantized<int<8>, scale = f32 per axis 0>"


def check(module: str, inputs: list, tolerance: float = 0.0) -> None:
    passes, differences = compare_after_each_pass(module, "main", inputs, TILING, tolerance)
    assert "func.func(lowbit-build-tiles)" in passes
    assert not differences, "\n".join(map(str, differences))


def test_passes_of_a_pipeline():
    passes = list_passes("canonicalize{max-iterations=3},func.func(cse,lowbit-build-tiles)")
    assert passes[0].startswith("canonicalize{") and "max-iterations=3" in passes[0]
    assert passes[1:] == ["func.func(cse)", "func.func(lowbit-build-tiles)"]


def test_a_wrong_pass_is_found():
    """lowbit-strip drops a rounding. (So does upstream's folding of casts, see test/Integration.)"""
    encoded = f"tensor<4x32xf32, {INT4}>"
    module = f"""
func.func @main(%x: tensor<4x32xf32>) -> tensor<4x32xf32> attributes {{lowbit.entry}} {{
  %s = tensor.empty() : {encoded}
  %e = lowbit.encode %x into %s : tensor<4x32xf32> into {encoded}
  %d = lowbit.decode %e : {encoded}
  return %d : tensor<4x32xf32>
}}"""
    x = np.random.default_rng(0).normal(size=(4, 32)).astype(np.float32)
    passes, differences = compare_after_each_pass(module, "main", [x], "canonicalize,lowbit-strip,cse")
    assert len(passes) == 3
    assert [difference.position for difference in differences] == [2, 3]
    assert "lowbit-strip" in str(differences[0]) and "result 0" in str(differences[0])


def test_contractions():
    """Two layers: a weight of 8- and 4-bit rows, one with outliers; ragged rows; a rounded activation between them."""
    rows = f"tensor<70x64xf32, #lowbit.part<axis = 0, at = [16], {INT8}, {INT4}>>"
    outliers = f"tensor<48x70xf32, #lowbit.sum<{INT4}, #lowbit.sparse<f16, density = 0.02>>>"
    rounded = "tensor<3x70xf32, #lowbit.quantized<int<8>, scale = f32 per [1, 32]>>"
    module = f"""
#nt = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
func.func @main(%x: tensor<3x64xf32>, %w: {rows}, %v: {outliers}) -> tensor<3x48xf32> attributes {{lowbit.entry}} {{
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<3x70xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<3x70xf32>) -> tensor<3x70xf32>
  %h = linalg.matmul indexing_maps = #nt ins(%x, %w : tensor<3x64xf32>, {rows}) outs(%z : tensor<3x70xf32>) -> tensor<3x70xf32>
  %s = tensor.empty() : {rounded}
  %r = linalg.tanh ins(%h : tensor<3x70xf32>) outs(%s : {rounded}) -> {rounded}
  %f = tensor.empty() : tensor<3x48xf32>
  %g = linalg.fill ins(%zero : f32) outs(%f : tensor<3x48xf32>) -> tensor<3x48xf32>
  %y = linalg.matmul indexing_maps = #nt ins(%r, %v : {rounded}, {outliers}) outs(%g : tensor<3x48xf32>) -> tensor<3x48xf32>
  return %y : tensor<3x48xf32>
}}"""
    generator = np.random.default_rng(1)
    inputs = [generator.normal(size=(3, 64)).astype(np.float32)]
    for shape, type_text in (((70, 64), rows), ((48, 70), outliers)):
        encoding = type_text[type_text.index("#") : -1]
        inputs += _lowbit.encode(generator.normal(size=shape).astype(np.float32) / 8, encoding).values()
    # The order of sums is free, and a sum may fall on the other side of a rounding of the activation.
    check(module, inputs, tolerance=2e-2)


@pytest.mark.parametrize(
    "first, second",
    [
        ("int<8>, scale = f32 per [1, 32]", "uint<4>, scale = f32 rank1<min>"),
        (
            "codebook<dynamic, 8>, scale = f32 per [1, 40]",
            "codebook<dynamic_unsigned, 8>, scale = f32 per [1, 40]",
        ),
        (
            "codebook<dynamic, 4>, scale = f32 per [1, 16]",
            "codebook<linear_nonzero, 4>, scale = f32 per [1, 80]",
        ),
        (
            "codebook<gaussian, 6>, scale = f16 per [8, 16]",
            "e4m3, scale = f32 per [1, 32]",
        ),
    ],
    ids=["int8-rank1", "dynamic8", "dynamic4", "gaussian6-e4m3"],
)
def test_update_of_encoded_states(first, second):
    """One generic with two encoded states: equal bit for bit, whatever the lowering."""
    m, v = (f"tensor<72x80xf32, #lowbit.quantized<{term}>>" for term in (first, second))
    p = "tensor<72x80xf32>"
    module = f"""
#id = affine_map<(i, j) -> (i, j)>
func.func @main(%g: {p}, %p: {p}, %m: {m}, %v: {v}) -> ({p}, {m}, {v})
    attributes {{lowbit.entry, lowbit.updates = array<i64: 1, 2, 3>}} {{
  %b = arith.constant 0.9 : f32
  %c = arith.constant 0.1 : f32
  %eps = arith.constant 1.0e-4 : f32
  %0:3 = linalg.generic {{indexing_maps = [#id, #id, #id, #id], iterator_types = ["parallel", "parallel"]}}
      ins(%g : {p}) outs(%p, %m, %v : {p}, {m}, {v}) {{
    ^bb0(%x: f32, %w: f32, %m0: f32, %v0: f32):
      %ma = arith.mulf %m0, %b : f32
      %mb = arith.mulf %x, %c : f32
      %m1 = arith.addf %ma, %mb : f32
      %square = arith.mulf %x, %x : f32
      %va = arith.mulf %v0, %b : f32
      %vb = arith.mulf %square, %c : f32
      %v1 = arith.addf %va, %vb : f32
      %root = math.sqrt %v1 : f32
      %denominator = arith.addf %root, %eps : f32
      %step = arith.divf %m1, %denominator : f32
      %w1 = arith.subf %w, %step : f32
      linalg.yield %w1, %m1, %v1 : f32, f32, f32
  }} -> ({p}, {m}, {v})
  return %0#0, %0#1, %0#2 : {p}, {m}, {v}
}}"""
    generator = np.random.default_rng(2)
    inputs = [generator.normal(size=(72, 80)).astype(np.float32) for _ in range(2)]
    for type_text in (m, v):
        encoding = type_text[type_text.index("#") : -1]
        inputs += _lowbit.encode(np.abs(generator.normal(size=(72, 80))).astype(np.float32), encoding).values()
    check(module, inputs)


def test_look_up_and_control_flow():
    """Rows of an encoded table, chosen at run time; an encoded value through a loop and a branch."""
    table = f"tensor<40x64xf32, {INT4}>"
    module = f"""
func.func @main(%ids: tensor<7xi64>, %t: {table}, %u: {table}, %c: i1, %n: index, %o: tensor<7x64xf32>) -> tensor<7x64xf32>
    attributes {{lowbit.entry, lowbit.updates = array<i64: 5>}} {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %chosen = scf.if %c -> {table} {{
    scf.yield %t : {table}
  }} else {{
    scf.yield %u : {table}
  }}
  %values = lowbit.decode %chosen : {table}
  %0 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %o) -> tensor<7x64xf32> {{
    %id = tensor.extract %ids[%i] : tensor<7xi64>
    %row = arith.index_cast %id : i64 to index
    %r = tensor.extract_slice %values[%row, 0] [1, 64] [1, 1] : tensor<40x64xf32> to tensor<64xf32>
    %next = tensor.insert_slice %r into %a[%i, 0] [1, 64] [1, 1] : tensor<64xf32> into tensor<7x64xf32>
    scf.yield %next : tensor<7x64xf32>
  }}
  return %0 : tensor<7x64xf32>
}}"""
    first, second = (_lowbit.encode(mixed_values((40, 64), seed), INT4) for seed in (3, 4))
    for choice in (True, False):
        inputs = [np.int64([3, 39, 0, 7, 7, 20, 1]), *first.values(), *second.values(), np.array(choice), np.int64(7)]
        check(module, [*inputs, np.zeros((7, 64), np.float32)])
