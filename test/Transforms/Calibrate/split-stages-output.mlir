// RUN: lowbit-opt %s --pass-pipeline='builtin.module(lowbit-split-stages{output})' | FileCheck %s

// With `output`, what the entry gives last is what the last stage gives.
// CHECK:      module attributes {lowbit.stages = [{arguments = ["argument 0", "argument 1", "parameter a", "result"], feeds = {{.*}}, function = @net_stage}]}
// CHECK:      func.func @net_stage({{.*}}) -> tensor<?x4xf32> attributes {lowbit.entry, lowbit.updates = array<i64: 3>}
// CHECK:        lowbit.observe
// CHECK:        %[[Y:.*]] = linalg.matmul
// CHECK-NEXT:   return %[[Y]]

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>
func.func @net(%x: tensor<?x8xf32>, %out: tensor<?x4xf32>) -> (tensor<?x8xf32>, tensor<?x4xf32>) attributes {lowbit.entry, lowbit.updates = array<i64: 0, 1>} {
  %a = lowbit.parameter "a" : tensor<4x8xf32>
  lowbit.observe %x for ["a"] [sums] : tensor<?x8xf32>
  %0 = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %a : tensor<?x8xf32>, tensor<4x8xf32>) outs(%out : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %x, %0 : tensor<?x8xf32>, tensor<?x4xf32>
}
