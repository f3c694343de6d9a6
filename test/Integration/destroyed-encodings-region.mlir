// RUN: lowbit-opt %s -verify-diagnostics --pass-pipeline='builtin.module(transform-interpreter,canonicalize,cse)' | FileCheck %s

// Region ops refuse a tile that cuts a block, and say so; a legal one is fused.

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#id = affine_map<(i, j) -> (i, j)>

// CHECK-LABEL: func @cut(
// CHECK: %[[D:.*]] = lowbit.decode_region {{.*}} [0, 0] [8, 64]
// CHECK: scf.for
// CHECK: tensor.extract_slice %[[D]]
// CHECK-LABEL: func @whole(
// CHECK: scf.for %[[I:[a-z0-9]*]] =
// CHECK: scf.for %[[J:[a-z0-9]*]] =
// CHECK: lowbit.decode_region {{.*}} [%[[I]], %[[J]]] [1, 32]
module attributes {transform.with_named_sequence} {
  func.func @cut(%c: tensor<8x32xi8>, %s: tensor<8x2xf16>, %o: tensor<8x64xf32>) -> tensor<8x64xf32> {
    // expected-remark @+1 {{not tiled: a tile along axis 1 must be a multiple of 32 for #lowbit.quantized<int<4>, scale = f16 per [1, 32]>}}
    %d = lowbit.decode_region tensor<8x64xf32, #w> (%c, %s) [0, 0] [8, 64] : tensor<8x32xi8>, tensor<8x2xf16> -> tensor<8x64xf32>
    %0 = linalg.exp {cut} ins(%d : tensor<8x64xf32>) outs(%o : tensor<8x64xf32>) -> tensor<8x64xf32>
    return %0 : tensor<8x64xf32>
  }
  func.func @whole(%c: tensor<8x32xi8>, %s: tensor<8x2xf16>, %o: tensor<8x64xf32>) -> tensor<8x64xf32> {
    %d = lowbit.decode_region tensor<8x64xf32, #w> (%c, %s) [0, 0] [8, 64] : tensor<8x32xi8>, tensor<8x2xf16> -> tensor<8x64xf32>
    %0 = linalg.exp {whole} ins(%d : tensor<8x64xf32>) outs(%o : tensor<8x64xf32>) -> tensor<8x64xf32>
    return %0 : tensor<8x64xf32>
  }
  transform.named_sequence @__transform_main(%m: !transform.any_op {transform.readonly}) {
    %a = transform.structured.match attributes {cut} in %m : (!transform.any_op) -> !transform.any_op
    %t, %l:2 = transform.structured.fuse %a tile_sizes [1, 16] : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op)
    %b = transform.structured.match attributes {whole} in %m : (!transform.any_op) -> !transform.any_op
    %u, %k:2 = transform.structured.fuse %b tile_sizes [1, 32] : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op)
    transform.yield
  }
}
