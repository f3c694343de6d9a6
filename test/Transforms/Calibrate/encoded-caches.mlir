// RUN: lowbit-opt %s --lowbit-calibration-pipeline='statistics=sums output only-parameters' | FileCheck %s
// RUN: lowbit-opt %s --lowbit-calibration-pipeline='statistics=sums output' | FileCheck %s --check-prefix=PLAIN --implicit-check-not=lowbit.quantized

// Stages whose caches stay encoded round what passes through them; private functions are inlined.

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>
#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#c8 = #lowbit.quantized<int<8>, scale = f16 per [1, 1, 64]>

// CHECK: #[[C8:.*]] = #lowbit.quantized<int<8>, scale = f16 per [1, 1, 64]>
// CHECK: arguments = ["argument 0", "argument 1", "argument 2", "parameter up.weight", "result"]
// CHECK: func @net_stage(%{{.*}}: tensor<1x64xf32>, %{{.*}}: tensor<1x16x64xf32, #[[C8]]>, %{{.*}}: tensor<1x32xf32>, %{{.*}}: tensor<32x64xf32>,
// CHECK: lowbit.insert
// CHECK: lowbit.decode %{{.*}} : tensor<1x16x64xf32, #[[C8]]>
// PLAIN: func @net_stage(%{{.*}}: tensor<1x64xf32>, %{{.*}}: tensor<1x16x64xf32>,
func.func private @store(%x: tensor<1x1x64xf32>, %c: tensor<1x16x64xf32, #c8>) -> tensor<1x16x64xf32, #c8> {
  %0 = lowbit.insert %x into %c[0, 0, 0] : tensor<1x1x64xf32> into tensor<1x16x64xf32, #c8>
  return %0 : tensor<1x16x64xf32, #c8>
}
func.func @net(%x: tensor<1x64xf32>, %c: tensor<1x16x64xf32, #c8>, %y: tensor<1x32xf32>) -> (tensor<1x16x64xf32, #c8>, tensor<1x32xf32>)
    attributes {lowbit.entry, lowbit.updates = array<i64: 1, 2>} {
  %w = lowbit.parameter "up.weight" : tensor<32x64xf32, #w4>
  %row = tensor.expand_shape %x [[0, 1], [2]] output_shape [1, 1, 64] : tensor<1x64xf32> into tensor<1x1x64xf32>
  %stored = func.call @store(%row, %c) : (tensor<1x1x64xf32>, tensor<1x16x64xf32, #c8>) -> tensor<1x16x64xf32, #c8>
  %read = lowbit.decode %stored : tensor<1x16x64xf32, #c8>
  %back = tensor.extract_slice %read[0, 0, 0] [1, 1, 64] [1, 1, 1] : tensor<1x16x64xf32> to tensor<1x64xf32>
  %r = linalg.matmul indexing_maps = [#x, #w, #y] ins(%back, %w : tensor<1x64xf32>, tensor<32x64xf32, #w4>) outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %stored, %r : tensor<1x16x64xf32, #c8>, tensor<1x32xf32>
}
