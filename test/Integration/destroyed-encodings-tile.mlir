// RUN: lowbit-opt %s -split-input-file --pass-pipeline='builtin.module(lowbit-explicit-pipeline,transform-interpreter,canonicalize,cse,lowbit-verify-explicit)' | FileCheck %s

// Tiling the reduction of an implicit contraction rounds its encoded accumulator once for each tile. In the program the
// accumulator is plain and the rounding stands after the loop.

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#a = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>

// CHECK-LABEL: func @reduction(
// CHECK-SAME: %[[X:.*]]: tensor<64x64xf32>, %[[W:.*]]: tensor<64x64xf32, #{{.*}}>, %[[S:.*]]: tensor<64x64xf32, #{{.*}}>
// CHECK: %[[D:.*]] = lowbit.decode %[[W]]
// CHECK: %[[I:.*]] = lowbit.decode %[[S]]
// CHECK: %[[R:.*]] = scf.for {{.*}} iter_args(%{{.*}} = %[[I]]) -> (tensor<64x64xf32>)
// CHECK-NOT: lowbit.
// CHECK: linalg.matmul
// CHECK-NOT: lowbit.
// CHECK: scf.yield
// CHECK: %[[E:.*]] = lowbit.encode %[[R]] into %[[S]]
// CHECK: return %[[E]]
module attributes {transform.with_named_sequence} {
  func.func @reduction(%x: tensor<64x64xf32>, %w: tensor<64x64xf32, #w>, %o: tensor<64x64xf32, #a>) -> tensor<64x64xf32, #a> {
    %0 = linalg.matmul ins(%x, %w : tensor<64x64xf32>, tensor<64x64xf32, #w>) outs(%o : tensor<64x64xf32, #a>) -> tensor<64x64xf32, #a>
    return %0 : tensor<64x64xf32, #a>
  }
  transform.named_sequence @__transform_main(%m: !transform.any_op {transform.readonly}) {
    %mm = transform.structured.match ops{["linalg.matmul"]} in %m : (!transform.any_op) -> !transform.any_op
    %t, %l = transform.structured.tile_using_for %mm tile_sizes [0, 0, 16] : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

// Tile and fuse with tiles that cut a block: on the notation each tile of the intermediate gets scales of its own. The
// program's encode is not tilable, so it stays whole, and so does what comes before it.

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#a = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>

// CHECK-LABEL: func @chain(
// CHECK: linalg.matmul {{.*}} -> tensor<64x64xf32>
// CHECK: %[[E:.*]] = lowbit.encode %{{.*}} : tensor<64x64xf32> into tensor<64x64xf32, #
// CHECK: %[[D:.*]] = lowbit.decode %[[E]]
// CHECK: scf.for
// CHECK-NOT: lowbit.
// CHECK: tensor.extract_slice %[[D]][{{.*}}] [1, 8]
// CHECK: linalg.elementwise
module attributes {transform.with_named_sequence} {
  func.func @chain(%x: tensor<64x64xf32>, %w: tensor<64x64xf32, #w>, %i: tensor<64x64xf32, #a>, %o: tensor<64x64xf32>) -> tensor<64x64xf32> {
    %0 = linalg.matmul ins(%x, %w : tensor<64x64xf32>, tensor<64x64xf32, #w>) outs(%i : tensor<64x64xf32, #a>) -> tensor<64x64xf32, #a>
    %1 = linalg.elementwise kind=#linalg.elementwise_kind<exp> ins(%0 : tensor<64x64xf32, #a>) outs(%o : tensor<64x64xf32>) -> tensor<64x64xf32>
    return %1 : tensor<64x64xf32>
  }
  transform.named_sequence @__transform_main(%m: !transform.any_op {transform.readonly}) {
    %e = transform.structured.match ops{["linalg.elementwise"]} in %m : (!transform.any_op) -> !transform.any_op
    %t, %l:2 = transform.structured.fuse %e tile_sizes [1, 8] : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op)
    transform.yield
  }
}
