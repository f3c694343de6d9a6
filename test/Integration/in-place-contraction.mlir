// RUN: lowbit-opt %s --pass-pipeline='builtin.module(lowbit-explicit-pipeline,func.func(lowbit-quantize-activations{encoding="int<8>, scale = f32 per [1, 32]"}),lowbit-tiling-pipeline,lowbit-bufferization-pipeline)' -o %t
// RUN: FileCheck %s --input-file=%t --implicit-check-not='memref.alloc(' --implicit-check-not='memref.copy {{.*}}512' \
// RUN:   --implicit-check-not='alloca{{.*}}x512x'

// Outputs are added to where they lie; weights are read where they lie.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>

// CHECK-LABEL: func.func @linear(
// CHECK:       func.func private @linear.body(
// CHECK-SAME:    %{{.*}}: memref<2x64xf32>, %[[W:[a-z0-9]*]]: memref<32x8x64xi8>, %[[S:[a-z0-9]*]]: memref<32x2x16xf16>, %[[Y:[a-z0-9]*]]: memref<2x512xf32>
// CHECK:       scf.forall (%[[N:.*]]) = (0) to (512) step (128)
// CHECK:         %[[PART:.*]] = memref.subview %[[Y]][0, %[[N]]] [2, 128] [1, 1]
// CHECK:         lowbit.contract tensor<2x64xf32, #{{.*}}>(%{{.*}}, %{{.*}}) by tensor<512x64xf32, #{{.*}}>(%[[W]], %[[S]]) from %[[N]] sums(%{{.*}}) into %[[PART]]
// CHECK-SAME:      -> ()
func.func @linear(%x: tensor<2x64xf32>, %w: tensor<512x64xf32, #w4>, %y: tensor<2x512xf32>) -> tensor<2x512xf32>
    attributes {lowbit.entry, lowbit.updates = array<i64: 2>} {
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %w : tensor<2x64xf32>, tensor<512x64xf32, #w4>)
                     outs(%y : tensor<2x512xf32>) -> tensor<2x512xf32>
  return %r : tensor<2x512xf32>
}
