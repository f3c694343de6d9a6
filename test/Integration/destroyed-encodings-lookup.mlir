// RUN: lowbit-opt %s --pass-pipeline='builtin.module(lowbit-explicit-pipeline,canonicalize,cse,lowbit-verify-explicit)' | FileCheck %s
// RUN: lowbit-opt %s --pass-pipeline='builtin.module(lowbit-explicit-pipeline,lowbit-components,lowbit-verify-plain)' | FileCheck %s --check-prefix=PLAIN

// A look-up by `tensor.extract` has its encoded operand inside a region, where it is easily missed: bufferization would
// then read codes as if they were values.

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// CHECK-LABEL: func @embedding(
// CHECK-SAME: %{{.*}}: tensor<5xi64>, %[[T:.*]]: tensor<1024x64xf32, #{{.*}}>, %{{.*}}: tensor<5x64xf32>
// CHECK: %[[D:.*]] = lowbit.decode %[[T]]
// CHECK: linalg.generic
// CHECK: tensor.extract %[[D]][%{{.*}}, %{{.*}}] : tensor<1024x64xf32>
// PLAIN-LABEL: func @embedding(
// PLAIN-SAME: tensor<1024x32xi8>, %{{.*}}: tensor<1024x2xf16>
func.func @embedding(%ids: tensor<5xi64>, %t: tensor<1024x64xf32, #w>, %o: tensor<5x64xf32>) -> tensor<5x64xf32> {
  %0 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%ids : tensor<5xi64>) outs(%o : tensor<5x64xf32>) {
    ^bb0(%i: i64, %u: f32):
      %x = arith.index_cast %i : i64 to index
      %j = linalg.index 1 : index
      %v = tensor.extract %t[%x, %j] : tensor<1024x64xf32, #w>
      linalg.yield %v : f32
  } -> tensor<5x64xf32>
  return %0 : tensor<5x64xf32>
}
