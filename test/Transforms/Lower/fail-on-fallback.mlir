// What is a remark without the option.
// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --lowbit-choose-layouts=fail-on-fallback -o /dev/null
// RUN: not lowbit-opt %s -split-input-file --lowbit-cpu-pipeline=fail-on-fallback -o /dev/null 2>&1 | FileCheck %s --check-prefix=PIPELINE
// RUN: not lowbit-opt %s -split-input-file --lowbit-cpu-pipeline="fail-on-fallback activations='int<8>, scale = f32 per [1, 32]'" -o /dev/null 2>&1 | FileCheck %s --check-prefix=PIPELINE
// PIPELINE-NOT: error:

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#nf4 = #lowbit.quantized<codebook<nf4>, scale = f16 per [1, 32]>
// Activations that stay f32 are no fallback.
func.func @floats(%x: tensor<1x64xf32>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> attributes {lowbit.entry, lowbit.updates = array<i64: -1>} {
  %w = lowbit.parameter "w" : tensor<32x64xf32, #nf4>
  %d = lowbit.decode %w : tensor<32x64xf32, #nf4>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %r : tensor<1x32xf32>
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#pairs = #lowbit.quantized<int<4>, scale = f16 per [1, 2]>
func.func @arguments(%x: tensor<1x64xf32>, %w: tensor<32x64xf32, #w4>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> attributes {lowbit.entry, lowbit.updates = array<i64: -1>} {
  %d = lowbit.decode %w : tensor<32x64xf32, #w4>
  // PIPELINE: [[# @LINE + 2]]:8: error: 'linalg.matmul' op weights stay in layout #lowbit.planes: it has weights in argument 1
  // expected-error @below {{'linalg.matmul' op weights stay in layout #lowbit.planes: it has weights in argument 1, which is laid out by callers that are not known}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  %p = lowbit.parameter "pairs" : tensor<32x64xf32, #pairs>
  %e = lowbit.decode %p : tensor<32x64xf32, #pairs>
  // All misses are named at once.
  // PIPELINE: [[# @LINE + 2]]:8: error: 'linalg.matmul' op weights stay in layout #lowbit.planes: it has blocks of 2 columns
  // expected-error @below {{it has blocks of 2 columns over which all scales are constant: a multiple of 4 is needed}}
  %s = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %e : tensor<1x64xf32>, tensor<32x64xf32>)
                     outs(%r : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %s : tensor<1x32xf32>
}

// -----

// Weights [inputs, outputs] are no product that a layout is chosen for: the contraction itself is missed.
#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
func.func @transposed(%x: tensor<1x64xf32>, %y: tensor<1x32xf32>) -> tensor<1x32xf32> attributes {lowbit.entry, lowbit.updates = array<i64: -1>} {
  %w = lowbit.parameter "w" : tensor<64x32xf32, #w4>
  %d = lowbit.decode %w : tensor<64x32xf32, #w4>
  // PIPELINE: [[# @LINE + 1]]:8: error: 'linalg.matmul' op contraction not on inner tiles: it is no product x[m, k] * w[n, k] of matrices with encoded w
  %r = linalg.matmul ins(%x, %d : tensor<1x64xf32>, tensor<64x32xf32>) outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %r : tensor<1x32xf32>
}

// -----

// What is no contraction and needs the whole tensor.
#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
func.func @whole(%at: index) -> f32 attributes {lowbit.entry} {
  %w = lowbit.parameter "w" : tensor<1024x64xf32, #w4>
  // PIPELINE: error: 'lowbit.decode_region' op decoded as a whole, tensor<1024x64xf32> in memory: what reads it could not be tiled with it: 'tensor.extract'
  %d = lowbit.decode %w : tensor<1024x64xf32, #w4>
  %r = tensor.extract %d[%at, %at] : tensor<1024x64xf32>
  return %r : f32
}
