// RUN: lowbit-opt %s --lowbit-split-stages | FileCheck %s

// Two layers that are alike are one function, with the parameters of each. The mask depends on an argument alone, the transposed table on
// a parameter alone: both are computed again where they are needed. What no tap depends on goes.

#e = affine_map<(m, k) -> (m, k)>
#r = affine_map<(m, k) -> (m)>
#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>

// CHECK:       module attributes {lowbit.stages = [
// CHECK-SAME:    {arguments = ["argument 0", "argument 1", "parameter a", "result"], feeds = {{\[\[}}"a"]], function = @net_stage},
// CHECK-SAME:    {arguments = ["value", "argument 1", "parameter b", "result"], feeds = {{\[\[}}"b"]], function = @net_stage_1},
// CHECK-SAME:    {arguments = ["value", "argument 1", "parameter c", "result"], feeds = {{\[\[}}"c"]], function = @net_stage_1},
// CHECK-SAME:    {arguments = ["value"], feeds = {{\[\[}}"head"]], function = @net_stage_2}]}

// CHECK-LABEL: func.func @net_stage(
// CHECK-SAME:    %[[X:[^:]*]]: tensor<?x8xf32>, %[[MASK:[^:]*]]: tensor<?xi64>, %[[A:[^:]*]]: tensor<8x8xf32>, %{{.*}}: tensor<?x8xf32>) -> tensor<?x8xf32>
// CHECK-SAME:    attributes {lowbit.entry, lowbit.updates = array<i64: 3>}
// CHECK:         lowbit.observe %[[X]] for ["0"] [sums]
// CHECK:         %[[Y:.*]] = linalg.matmul
// CHECK:         return %[[Y]]

// CHECK-LABEL: func.func @net_stage_1(
// CHECK-SAME:    %[[V:[^:]*]]: tensor<?x8xf32>, %[[MASK:[^:]*]]: tensor<?xi64>, %[[B:[^:]*]]: tensor<8x8xf32>
// CHECK:         %[[F:.*]] = linalg.generic {{.*}} ins(%[[MASK]] :
// CHECK:         %[[MASKED:.*]] = linalg.generic {{.*}} ins(%[[V]], %[[F]] :
// CHECK:         lowbit.observe %[[MASKED]] for ["0"] [sums]
// CHECK:         linalg.matmul {{.*}} ins(%[[MASKED]], %[[B]] : {{.*}}) outs(%[[V]] :

// CHECK-LABEL: func.func @net_stage_2(
// CHECK-SAME:    %[[V:[^:]*]]: tensor<?x8xf32>) attributes {lowbit.entry, lowbit.updates = array<i64>}
// CHECK:         lowbit.observe %[[V]] for ["0"] [sums]
// CHECK-NEXT:    return
// CHECK-NOT:   func.func
func.func @net(%x: tensor<?x8xf32>, %mask: tensor<?xi64>, %out: tensor<?x4xf32>) -> tensor<?x4xf32> attributes {lowbit.entry, lowbit.updates = array<i64: 2>} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %a = lowbit.parameter "a" : tensor<8x8xf32>
  %b = lowbit.parameter "b" : tensor<8x8xf32>
  %c = lowbit.parameter "c" : tensor<8x8xf32>
  %head = lowbit.parameter "head" : tensor<4x8xf32>
  %rows = tensor.dim %mask, %c0 : tensor<?xi64>
  %vector = tensor.empty(%rows) : tensor<?xf32>
  %empty = tensor.empty(%rows) : tensor<?x8xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x8xf32>) -> tensor<?x8xf32>
  %f = linalg.generic {indexing_maps = [affine_map<(m) -> (m)>, affine_map<(m) -> (m)>], iterator_types = ["parallel"]}
      ins(%mask : tensor<?xi64>) outs(%vector : tensor<?xf32>) {
    ^bb0(%i: i64, %o: f32):
      %n = arith.sitofp %i : i64 to f32
      linalg.yield %n : f32
  } -> tensor<?xf32>
  lowbit.observe %x for ["a"] [sums] : tensor<?x8xf32>
  %0 = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %a : tensor<?x8xf32>, tensor<8x8xf32>) outs(%zeros : tensor<?x8xf32>) -> tensor<?x8xf32>
  %1 = linalg.generic {indexing_maps = [#e, #r, #e], iterator_types = ["parallel", "parallel"]}
      ins(%0, %f : tensor<?x8xf32>, tensor<?xf32>) outs(%empty : tensor<?x8xf32>) {
    ^bb0(%p: f32, %q: f32, %o: f32):
      %n = arith.mulf %p, %q : f32
      linalg.yield %n : f32
  } -> tensor<?x8xf32>
  lowbit.observe %1 for ["b"] [sums] : tensor<?x8xf32>
  %2 = linalg.matmul indexing_maps = [#x, #w, #y] ins(%1, %b : tensor<?x8xf32>, tensor<8x8xf32>) outs(%0 : tensor<?x8xf32>) -> tensor<?x8xf32>
  %3 = linalg.generic {indexing_maps = [#e, #r, #e], iterator_types = ["parallel", "parallel"]}
      ins(%2, %f : tensor<?x8xf32>, tensor<?xf32>) outs(%empty : tensor<?x8xf32>) {
    ^bb0(%p: f32, %q: f32, %o: f32):
      %n = arith.mulf %p, %q : f32
      linalg.yield %n : f32
  } -> tensor<?x8xf32>
  lowbit.observe %3 for ["c"] [sums] : tensor<?x8xf32>
  %4 = linalg.matmul indexing_maps = [#x, #w, #y] ins(%3, %c : tensor<?x8xf32>, tensor<8x8xf32>) outs(%2 : tensor<?x8xf32>) -> tensor<?x8xf32>
  lowbit.observe %4 for ["head"] [sums] : tensor<?x8xf32>
  %5 = linalg.matmul indexing_maps = [#x, #w, #y] ins(%4, %head : tensor<?x8xf32>, tensor<4x8xf32>) outs(%out : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %5 : tensor<?x4xf32>
}
