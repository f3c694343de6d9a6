// Each contraction with an encoded operand is spoken of: what it became and what that costs, or why not. Others are not.
// RUN: lowbit-opt %s -verify-diagnostics --lowbit-inner-tiles --remarks-filter='lowbit-inner-tiles' -o /dev/null
// RUN: lowbit-opt %s --lowbit-inner-tiles --remarks-filter='lowbit.*' --mlir-disable-threading --remark-format=yaml --remarks-output-file=%t.yaml -o /dev/null
// RUN: FileCheck %s --input-file=%t.yaml --check-prefix=YAML

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#a15 = #lowbit.quantized<int<15>, scale = f32 per [1, 32], layout = planes<7, 8>>
#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>
#nf4 = #lowbit.quantized<codebook<nf4>, scale = f16 per [1, 32], layout = tiled>
#ij = affine_map<(i, j) -> (i, j)>
#planes = #lowbit.quantized<int<8>>
#tiled = #lowbit.quantized<int<8>, layout = tiled>
#cache = #lowbit.quantized<int<8>, scale = f32 per [1, 1, 16]>

// Codes of 15 bits in two planes; the weights have 32 x 64 / 2 bytes of codes and 32 x 2 x 2 of scales.
func.func @integers(%low: tensor<3x64xi8>, %high: tensor<3x64xi8>, %xs: tensor<3x2xf32>, %w: tensor<2x8x64xi8>, %ws: tensor<2x2x16xf16>,
                    %y: tensor<3x32xf32>) -> tensor<3x32xf32> {
  %x = lowbit.decode_region tensor<3x64xf32, #a15> (%low, %high, %xs) [0, 0] [3, 64]
    : tensor<3x64xi8>, tensor<3x64xi8>, tensor<3x2xf32> -> tensor<3x64xf32>
  %d = lowbit.decode_region tensor<32x64xf32, #w4> (%w, %ws) [0, 0] [32, 64] : tensor<2x8x64xi8>, tensor<2x2x16xf16> -> tensor<32x64xf32>
  // expected-remark @below {{[Passed] contraction | Category:lowbit-inner-tiles | Function=integers | ActivationPlanes=2, Activations="#lowbit.quantized<int<15>, scale = f32 per [1, 32], layout = planes<7, 8>>", Columns=64, Iterations=1, Kind="integer dot", Layout=#lowbit.tiled, MultiplyAdds=6144, Op=linalg.matmul, Outputs=32, OutputsOfIteration=32, ProductsInLoop=1, Rows=3, WeightBytes=1152, Weights="#lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>"}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<3x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<3x32xf32>) -> tensor<3x32xf32>
  return %r : tensor<3x32xf32>
}
// YAML:      --- !Passed
// YAML-NEXT: Pass: {{ *}}lowbit-inner-tiles
// YAML-NEXT: Name: {{ *}}contraction
// YAML:      Line: [[# @LINE - 7]],
// YAML-NEXT: Function: {{ *}}integers
// YAML:      Kind: {{ *}}integer dot
// YAML:      MultiplyAdds: {{ *}}'6144'

// Any number of rows; two products in one loop, of which each iteration has a share.
func.func @floats(%x: tensor<?x64xf32>, %qc: tensor<12x8x64xi8>, %qs: tensor<12x2x16xf16>, %kc: tensor<4x8x64xi8>, %ks: tensor<4x2x16xf16>,
                  %y: tensor<?x192xf32>, %z: tensor<?x64xf32>) -> (tensor<?x192xf32>, tensor<?x64xf32>) {
  %q = lowbit.decode_region tensor<192x64xf32, #nf4> (%qc, %qs) [0, 0] [192, 64] : tensor<12x8x64xi8>, tensor<12x2x16xf16> -> tensor<192x64xf32>
  %k = lowbit.decode_region tensor<64x64xf32, #nf4> (%kc, %ks) [0, 0] [64, 64] : tensor<4x8x64xi8>, tensor<4x2x16xf16> -> tensor<64x64xf32>
  // expected-remark @below {{Activations=f32, Columns=64, Iterations=2, Kind="f32 multiply-add", Layout=#lowbit.tiled, MultiplyAdds="12288 for each row", Op=linalg.matmul, Outputs=192, OutputsOfIteration=96, ProductsInLoop=2, Rows=?, WeightBytes=6912,}}
  %a = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %q : tensor<?x64xf32>, tensor<192x64xf32>)
                     outs(%y : tensor<?x192xf32>) -> tensor<?x192xf32>
  // expected-remark @below {{Iterations=2, Kind="f32 multiply-add", Layout=#lowbit.tiled, MultiplyAdds="4096 for each row", Op=linalg.matmul, Outputs=64, OutputsOfIteration=32, ProductsInLoop=2,}}
  %b = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %k : tensor<?x64xf32>, tensor<64x64xf32>)
                     outs(%z : tensor<?x64xf32>) -> tensor<?x64xf32>
  return %a, %b : tensor<?x192xf32>, tensor<?x64xf32>
}

// What lies elsewhere, or is seen through something. Plain operands are none of this pass's business.
func.func @misses(%x: tensor<1x16xf32>, %p: tensor<16x16xi8>, %t: tensor<1x4x64xi8>, %f: tensor<16x16xf32>, %y: tensor<1x16xf32>) -> tensor<1x16xf32> {
  %dp = lowbit.decode_region tensor<16x16xf32, #planes> (%p) [0, 0] [16, 16] : tensor<16x16xi8> -> tensor<16x16xf32>
  // expected-remark @below {{[Missed] contraction | Category:lowbit-inner-tiles | Function=misses | Outcome="contraction not on inner tiles", Reason="it has weights in a layout without inner tiles: #lowbit.planes"}}
  %0 = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %dp : tensor<1x16xf32>, tensor<16x16xf32>) outs(%y : tensor<1x16xf32>) -> tensor<1x16xf32>
  %dt = lowbit.decode_region tensor<16x16xf32, #tiled> (%t) [0, 0] [16, 16] : tensor<1x4x64xi8> -> tensor<16x16xf32>
  %part = tensor.extract_slice %dt[0, 0] [16, 16] [1, 1] : tensor<16x16xf32> to tensor<16x16xf32>
  // expected-remark @below {{Reason="it reads decoded weights through 'tensor.extract_slice'"}}
  %1 = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %part : tensor<1x16xf32>, tensor<16x16xf32>) outs(%0 : tensor<1x16xf32>) -> tensor<1x16xf32>
  %twice = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%dt : tensor<16x16xf32>) outs(%f : tensor<16x16xf32>) {
  ^bb0(%u: f32, %v: f32):
    %s = arith.addf %u, %u : f32
    linalg.yield %s : f32
  } -> tensor<16x16xf32>
  // expected-remark @below {{Reason="it reads decoded weights through 'linalg.generic'"}}
  %2 = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %twice : tensor<1x16xf32>, tensor<16x16xf32>) outs(%1 : tensor<1x16xf32>) -> tensor<1x16xf32>
  %3 = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %f : tensor<1x16xf32>, tensor<16x16xf32>) outs(%2 : tensor<1x16xf32>) -> tensor<1x16xf32>
  return %3 : tensor<1x16xf32>
}

// A product of batches, as of a stored cache, has a form of its own.
func.func @batches(%x: tensor<2x1x16xf32>, %c: tensor<2x16x16xi8>, %s: tensor<2x16x1xf32>, %y: tensor<2x1x16xf32>) -> tensor<2x1x16xf32> {
  %d = lowbit.decode_region tensor<2x16x16xf32, #cache> (%c, %s) [0, 0, 0] [2, 16, 16] : tensor<2x16x16xi8>, tensor<2x16x1xf32> -> tensor<2x16x16xf32>
  // expected-remark @below {{Reason="it is no product x[m, k] * w[n, k] of matrices with encoded w"}}
  %r = linalg.batch_matmul ins(%x, %d : tensor<2x1x16xf32>, tensor<2x16x16xf32>) outs(%y : tensor<2x1x16xf32>) -> tensor<2x1x16xf32>
  return %r : tensor<2x1x16xf32>
}

// A filter is decoded again for each tile of the result.
func.func @filters(%x: tensor<1x10x10x16xf32>, %c: tensor<3x3x16x8xi8>, %y: tensor<1x8x8x8xf32>) -> tensor<1x8x8x8xf32> {
  %d = lowbit.decode_region tensor<3x3x16x8xf32, #planes> (%c) [0, 0, 0, 0] [3, 3, 16, 8] : tensor<3x3x16x8xi8> -> tensor<3x3x16x8xf32>
  // expected-remark @below {{Reason="it is no product x[m, k] * w[n, k] of matrices with encoded w"}}
  %r = linalg.conv_2d_nhwc_hwcf ins(%x, %d : tensor<1x10x10x16xf32>, tensor<3x3x16x8xf32>) outs(%y : tensor<1x8x8x8xf32>) -> tensor<1x8x8x8xf32>
  return %r : tensor<1x8x8x8xf32>
}
