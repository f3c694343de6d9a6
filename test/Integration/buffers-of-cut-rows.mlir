// Rows that are longer than a tile are a sequential loop. Its buffers on the stack belong outside of it: when loops
// have become branches, a buffer inside is a new one in each iteration, until the stack overflows.
//
// RUN: lowbit-opt %s --lowbit-explicit-pipeline --lowbit-tiling-pipeline --lowbit-bufferization-pipeline | FileCheck %s

#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// CHECK-LABEL: func.func @long_rows
// CHECK:         scf.forall
// CHECK:           memref.alloca
// CHECK:           scf.for
// CHECK-NOT:         memref.alloc
// CHECK:         return
func.func @long_rows(%x: tensor<1x8192xf32>, %w: tensor<64x8192xf32, #w4>) -> tensor<1x64xf32> attributes {lowbit.entry} {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<1x64xf32>
  %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<1x64xf32>) -> tensor<1x64xf32>
  %y = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
    ins(%x, %w : tensor<1x8192xf32>, tensor<64x8192xf32, #w4>) outs(%start : tensor<1x64xf32>) -> tensor<1x64xf32>
  return %y : tensor<1x64xf32>
}
