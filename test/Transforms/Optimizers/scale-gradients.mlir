// RUN: lowbit-opt %s --lowbit-scale-gradients | FileCheck %s

#e = affine_map<(i, j) -> (i, j)>
#bf16 = #lowbit.quantized<bf16>

// A gradient of any encoding and size; whatever read it reads the product.
// CHECK-LABEL: func @step(
// CHECK-SAME:    %[[G:[a-z0-9]*]]: tensor<?x?xf32, #{{.*}}> {lowbit.name = "gradient"}, %[[P:[a-z0-9]*]]: tensor<?x?xf32>, %[[LR:[a-z0-9]*]]: f32,
// CHECK-SAME:    %[[SCALE:[a-z0-9]*]]: f32 {lowbit.name = "gradient_scale"})
// CHECK:       %[[SCALED:.*]] = linalg.generic {{.*}} ins(%[[G]] :
// CHECK:         arith.mulf %{{.*}}, %[[SCALE]] : f32
// CHECK:       linalg.generic {{.*}} ins(%[[SCALED]] : tensor<?x?xf32>) outs(%[[P]]
func.func @step(%g: tensor<?x?xf32, #bf16> {lowbit.name = "gradient"}, %p: tensor<?x?xf32>, %lr: f32) -> tensor<?x?xf32> {
  %r = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%g : tensor<?x?xf32, #bf16>) outs(%p : tensor<?x?xf32>) {
    ^bb0(%x: f32, %w: f32):
      %change = arith.mulf %lr, %x : f32
      %w1 = arith.subf %w, %change : f32
      linalg.yield %w1 : f32
  } -> tensor<?x?xf32>
  return %r : tensor<?x?xf32>
}

// No gradient, no argument.
// CHECK-LABEL: func @other(
// CHECK-SAME:    %{{[a-z0-9]*}}: tensor<?x?xf32>)
func.func @other(%p: tensor<?x?xf32>) -> tensor<?x?xf32> {
  return %p : tensor<?x?xf32>
}
