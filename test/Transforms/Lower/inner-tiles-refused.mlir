// What has no form on inner tiles is left to other lowerings, and said.
// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --lowbit-inner-tiles | FileCheck %s --implicit-check-not=lowbit.contract

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w = #lowbit.quantized<int<4>, scale = f16 per axis 0, layout = tiled>

// CHECK-LABEL: func @columns(
func.func @columns(%x: tensor<1x20xf32>, %w0: tensor<2x3x64xi8>, %w1: tensor<2x1x16xf16>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
  %d = lowbit.decode_region tensor<32x20xf32, #w> (%w0, %w1) [0, 0] [32, 20]
    : tensor<2x3x64xi8>, tensor<2x1x16xf16> -> tensor<32x20xf32>
  // expected-remark @below {{contraction not on inner tiles: it has 20 columns, no multiple of 8}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x20xf32>, tensor<32x20xf32>)
                     outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %r : tensor<1x32xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w = #lowbit.quantized<int<4>, scale = f16 per [1, 2], layout = tiled>

// CHECK-LABEL: func @pairs(
func.func @pairs(%x: tensor<1x64xf32>, %w0: tensor<2x8x64xi8>, %w1: tensor<2x32x16xf16>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
  %d = lowbit.decode_region tensor<32x64xf32, #w> (%w0, %w1) [0, 0] [32, 64]
    : tensor<2x8x64xi8>, tensor<2x32x16xf16> -> tensor<32x64xf32>
  // expected-remark @below {{contraction not on inner tiles: it has blocks of 2 columns over which all scales are constant: a multiple of 4 is needed}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %r : tensor<1x32xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w = #lowbit.quantized<int<4>, scale = f16 per [8, 32], layout = tiled>

// CHECK-LABEL: func @rows(
func.func @rows(%x: tensor<1x64xf32>, %w0: tensor<2x8x64xi8>, %w1: tensor<4x2xf16>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
  %d = lowbit.decode_region tensor<32x64xf32, #w> (%w0, %w1) [0, 0] [32, 64]
    : tensor<2x8x64xi8>, tensor<4x2xf16> -> tensor<32x64xf32>
  // expected-remark @below {{contraction not on inner tiles: it has weights whose scale cuts groups of 16 rows: #lowbit.block_scale<f16 per [8, 32]>}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %r : tensor<1x32xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w = #lowbit.quantized<uint<4>, scale = f16 per [16, 32], min = f16 per [4, 32], layout = tiled>

// CHECK-LABEL: func @zero_rows(
func.func @zero_rows(%x: tensor<1x64xf32>, %w0: tensor<2x8x64xi8>, %w1: tensor<2x2xf16>, %w2: tensor<8x2xf16>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
  %d = lowbit.decode_region tensor<32x64xf32, #w> (%w0, %w1, %w2) [0, 0] [32, 64]
    : tensor<2x8x64xi8>, tensor<2x2xf16>, tensor<8x2xf16> -> tensor<32x64xf32>
  // expected-remark @below {{contraction not on inner tiles: it has weights whose scale cuts groups of 16 rows: #lowbit.block_scale<f16 per [4, 32]>}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %r : tensor<1x32xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w = #lowbit.quantized<int<4>, scale = codebook<linear, 5> per [1, 32], layout = tiled>

// CHECK-LABEL: func @many_scales(
func.func @many_scales(%x: tensor<1x64xf32>, %w0: tensor<2x8x64xi8>, %w1: tensor<2x2x16xi8>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
  %d = lowbit.decode_region tensor<32x64xf32, #w> (%w0, %w1) [0, 0] [32, 64]
    : tensor<2x8x64xi8>, tensor<2x2x16xi8> -> tensor<32x64xf32>
  // expected-remark @below {{contraction not on inner tiles: it has weights whose scale is no product of levels that fit registers: #lowbit.block_scale<codebook<linear, 5> per [1, 32]>}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %r : tensor<1x32xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w = #lowbit.quantized<codebook<linear, 5>, scale = f16 per [1, 32], layout = tiled>

// CHECK-LABEL: func @many_levels(
func.func @many_levels(%x: tensor<1x64xf32>, %w0: tensor<2x8x64xi8>, %w1: tensor<2x2x64xi8>, %w2: tensor<2x2x16xf16>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
  %d = lowbit.decode_region tensor<32x64xf32, #w> (%w0, %w1, %w2) [0, 0] [32, 64]
    : tensor<2x8x64xi8>, tensor<2x2x64xi8>, tensor<2x2x16xf16> -> tensor<32x64xf32>
  // expected-remark @below {{contraction not on inner tiles: it has weights with more levels than fit registers: codebook<linear, 5>}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %r : tensor<1x32xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w = #lowbit.quantized<e8m0, scale = f32 per [1, 32], layout = tiled>

// CHECK-LABEL: func @large_levels(
func.func @large_levels(%x: tensor<1x64xf32>, %w0: tensor<2x16x64xi8>, %w1: tensor<2x2x16xf32>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
  %d = lowbit.decode_region tensor<32x64xf32, #w> (%w0, %w1) [0, 0] [32, 64]
    : tensor<2x16x64xi8>, tensor<2x2x16xf32> -> tensor<32x64xf32>
  // expected-remark @below {{contraction not on inner tiles: it has weights whose levels without their scale are no numbers to add in f32: e8m0}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %r : tensor<1x32xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w = #lowbit.quantized<codebook<nf4>, scale = f16 per [1, 32], layout = tiled>
#a = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>

// CHECK-LABEL: func @no_integers(
func.func @no_integers(%codes: tensor<1x64xi8>, %scales: tensor<1x2xf32>, %w0: tensor<2x8x64xi8>, %w1: tensor<2x2x16xf16>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
  %x = lowbit.decode_region tensor<1x64xf32, #a> (%codes, %scales) [0, 0] [1, 64] : tensor<1x64xi8>, tensor<1x2xf32> -> tensor<1x64xf32>
  %d = lowbit.decode_region tensor<32x64xf32, #w> (%w0, %w1) [0, 0] [32, 64]
    : tensor<2x8x64xi8>, tensor<2x2x16xf16> -> tensor<32x64xf32>
  // expected-remark @below {{contraction not on inner tiles: it has integer activations and weights whose levels are no small integers: codebook<nf4>}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %r : tensor<1x32xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>
#a = #lowbit.quantized<uint<8>, scale = f32 per [1, 32]>

// CHECK-LABEL: func @other_activations(
func.func @other_activations(%codes: tensor<1x64xi8>, %scales: tensor<1x2xf32>, %w0: tensor<2x8x64xi8>, %w1: tensor<2x2x16xf16>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
  %x = lowbit.decode_region tensor<1x64xf32, #a> (%codes, %scales) [0, 0] [1, 64] : tensor<1x64xi8>, tensor<1x2xf32> -> tensor<1x64xf32>
  %d = lowbit.decode_region tensor<32x64xf32, #w> (%w0, %w1) [0, 0] [32, 64]
    : tensor<2x8x64xi8>, tensor<2x2x16xf16> -> tensor<32x64xf32>
  // expected-remark @below {{contraction not on inner tiles: it has activations that are neither f32 nor int<8>, or int<15> in planes<7, 8>, with one scale of floats by blocks of the last axis}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %r : tensor<1x32xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>

// CHECK-LABEL: func @no_rows(
func.func @no_rows(%x: tensor<0x64xf32>, %w0: tensor<2x8x64xi8>, %w1: tensor<2x2x16xf16>, %y: tensor<0x32xf32>) -> tensor<0x32xf32> {
  %d = lowbit.decode_region tensor<32x64xf32, #w> (%w0, %w1) [0, 0] [32, 64]
    : tensor<2x8x64xi8>, tensor<2x2x16xf16> -> tensor<32x64xf32>
  // expected-remark @below {{contraction not on inner tiles: it is empty}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<0x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<0x32xf32>) -> tensor<0x32xf32>
  return %r : tensor<0x32xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w = #lowbit.quantized<uint<8>, scale = f32 per axis 0, layout = tiled>
#a = #lowbit.quantized<int<8>, scale = f32 per axis 0>

// CHECK-LABEL: func @long_blocks(
func.func @long_blocks(%codes: tensor<1x65796xi8>, %scales: tensor<1x1xf32>, %w0: tensor<2x16449x64xi8>, %w1: tensor<2x1x16xf32>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
  %x = lowbit.decode_region tensor<1x65796xf32, #a> (%codes, %scales) [0, 0] [1, 65796] : tensor<1x65796xi8>, tensor<1x1xf32> -> tensor<1x65796xf32>
  %d = lowbit.decode_region tensor<32x65796xf32, #w> (%w0, %w1) [0, 0] [32, 65796]
    : tensor<2x16449x64xi8>, tensor<2x1x16xf32> -> tensor<32x65796xf32>
  // expected-remark @below {{contraction not on inner tiles: it has blocks whose sums do not fit 32 bits}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x65796xf32>, tensor<32x65796xf32>)
                     outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %r : tensor<1x32xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w = #lowbit.quantized<int<1>, scale = f16 per [1, 68], layout = tiled>

// CHECK-LABEL: func @odd_blocks(
func.func @odd_blocks(%x: tensor<1x1088xf32>, %w0: tensor<2x34x64xi8>, %w1: tensor<2x16x16xf16>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
  %d = lowbit.decode_region tensor<32x1088xf32, #w> (%w0, %w1) [0, 0] [32, 1088]
    : tensor<2x34x64xi8>, tensor<2x16x16xf16> -> tensor<32x1088xf32>
  // expected-remark @below {{contraction not on inner tiles: it has blocks that do not fill vectors}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x1088xf32>, tensor<32x1088xf32>)
                     outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %r : tensor<1x32xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w = #lowbit.quantized<uint<8>, scale = f32 per axis 0, min = f32 per axis 0, layout = tiled>
#a = #lowbit.quantized<int<8>, scale = f32 per [1, 12]>

// The sums that minima are multiplied with are those of the activations' blocks.
// CHECK-LABEL: func @partial_block(
func.func @partial_block(%codes: tensor<1x64xi8>, %scales: tensor<1x6xf32>, %w0: tensor<2x16x64xi8>, %w1: tensor<2x1x16xf32>, %w2: tensor<2x1x16xf32>,
                         %y: tensor<1x32xf32>) -> tensor<1x32xf32> {
  %x = lowbit.decode_region tensor<1x64xf32, #a> (%codes, %scales) [0, 0] [1, 64] : tensor<1x64xi8>, tensor<1x6xf32> -> tensor<1x64xf32>
  %d = lowbit.decode_region tensor<32x64xf32, #w> (%w0, %w1, %w2) [0, 0] [32, 64]
    : tensor<2x16x64xi8>, tensor<2x1x16xf32>, tensor<2x1x16xf32> -> tensor<32x64xf32>
  // expected-remark @below {{contraction not on inner tiles: it has zero points or minima, and activations in blocks of 12 that do not fill 64 columns}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %r : tensor<1x32xf32>
}
