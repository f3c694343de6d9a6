// RUN: lowbit-opt %s --pass-pipeline='builtin.module(lowbit-differentiate{function=pick arguments=2 results=1},canonicalize,cse)' | FileCheck %s

// Of one argument, by one result: what lies on no way between them is neither differentiated nor computed. A table that a payload
// looks up numbers in is no matter where nothing is asked of it.

#e = affine_map<(i) -> (i)>
func.func private @other()

// CHECK-LABEL: func.func @pick(
// CHECK-LABEL: func.func @pick_vjp(
// CHECK-SAME:    %[[I:[^:]*]]: tensor<8xi64>, %[[T:[^:]*]]: tensor<16xf32>, %[[X:[^:]*]]: tensor<8xf32>, %[[C:[^:]*]]: tensor<8xf32>) -> tensor<8xf32>
// CHECK-NOT:     math.cbrt
// CHECK:         %[[ROWS:.*]] = linalg.generic {{.*}} ins(%[[I]] :
// CHECK:           tensor.extract %[[T]]
// CHECK:         %[[D:.*]] = linalg.generic {{.*}} ins(%[[ROWS]], %[[C]] :
// CHECK:           arith.mulf
// CHECK:         return %[[D]] : tensor<8xf32>
func.func @pick(%i: tensor<8xi64>, %t: tensor<16xf32>, %x: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
  %o = tensor.empty() : tensor<8xf32>
  %rows = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel"]} ins(%i : tensor<8xi64>) outs(%o : tensor<8xf32>) {
    ^bb0(%a: i64, %z: f32):
      %n = arith.index_cast %a : i64 to index
      %y = tensor.extract %t[%n] : tensor<16xf32>
      linalg.yield %y : f32
  } -> tensor<8xf32>
  %r:2 = linalg.generic {indexing_maps = [#e, #e, #e, #e], iterator_types = ["parallel"]}
      ins(%rows, %x : tensor<8xf32>, tensor<8xf32>) outs(%o, %o : tensor<8xf32>, tensor<8xf32>) {
    ^bb0(%a: f32, %b: f32, %z: f32, %w: f32):
      %y = math.cbrt %b : f32
      %u = arith.mulf %a, %b : f32
      linalg.yield %y, %u : f32, f32
  } -> (tensor<8xf32>, tensor<8xf32>)
  return %r#0, %r#1 : tensor<8xf32>, tensor<8xf32>
}
