// RUN: lowbit-opt %s --lowbit-allow-approximations | FileCheck %s

#e = affine_map<(i) -> (i)>

// What is computed once for all elements, and f64, stays exact.

// CHECK-LABEL: func @step(
// CHECK: arith.divf %{{.*}}, %{{[a-z0-9]+}} : f32
// CHECK: linalg.generic
// CHECK: math.sqrt %{{.*}} fastmath<afn> : f32
// CHECK: arith.divf %{{.*}}, %{{.*}} fastmath<arcp> : f32
// CHECK: arith.divf %{{.*}}, %{{[a-z0-9]+}} : f64
func.func @step(%g: tensor<?xf32>, %p: tensor<?xf32>, %lr: f32, %rate: f64) -> tensor<?xf32> {
  %ratio = arith.divf %lr, %lr : f32
  %r = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel"]}
      ins(%g : tensor<?xf32>) outs(%p : tensor<?xf32>) {
    ^bb0(%x: f32, %w: f32):
      %root = math.sqrt %x : f32
      %q = arith.divf %w, %root : f32
      %wide = arith.divf %rate, %rate : f64
      %narrow = arith.truncf %wide : f64 to f32
      %y = arith.mulf %q, %narrow : f32
      %z = arith.mulf %y, %ratio : f32
      linalg.yield %z : f32
  } -> tensor<?xf32>
  return %r : tensor<?xf32>
}
