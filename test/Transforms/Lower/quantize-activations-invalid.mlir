// RUN: not lowbit-opt %s --lowbit-quantize-activations="encoding='int<99>'" 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not lowbit-opt %s --lowbit-quantize-activations="encoding='int<8>, scale = f32 per [32]'" 2>&1 | FileCheck %s --check-prefix=RANK
// RUN: not lowbit-opt %s --lowbit-quantize-activations="encoding='learned<3, f16 per axis 0>'" 2>&1 | FileCheck %s --check-prefix=LEARNED
// RUN: not lowbit-opt %s --lowbit-quantize-activations="encoding='int<8>, scale = f32 per [1, 32]' outlier-threshold=-1" 2>&1 | FileCheck %s --check-prefix=THRESHOLD
// RUN: lowbit-opt %s --lowbit-quantize-activations | FileCheck %s --check-prefix=NONE

// UNKNOWN: error: 'int<99>' is no encoding of activations
// UNKNOWN-NOT: is no encoding
// RANK: error: a block of 1 axes does not tile a tensor of 2 axes
// LEARNED: error: inputs cannot be rounded to levels that a tensor brings along
// THRESHOLD: error: outliers cannot begin at -1{{.*}}: give a positive number
// NONE-NOT: lowbit.encode

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>
func.func @linear(%x: tensor<8x64xf32>, %w: tensor<32x64xf32, #w4>, %y: tensor<8x32xf32>) -> tensor<8x32xf32> {
  %d = lowbit.decode %w : tensor<32x64xf32, #w4>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<8x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<8x32xf32>) -> tensor<8x32xf32>
  return %r : tensor<8x32xf32>
}
func.func @another(%x: tensor<8x64xf32>) -> tensor<8x64xf32> {
  return %x : tensor<8x64xf32>
}
