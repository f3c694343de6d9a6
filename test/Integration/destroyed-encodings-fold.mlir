// RUN: lowbit-opt %s --pass-pipeline='builtin.module(lowbit-explicit-pipeline,canonicalize,func.func(linalg-fuse-elementwise-ops),canonicalize,cse,lowbit-verify-explicit)' | FileCheck %s
// RUN: lowbit-opt %s --pass-pipeline='builtin.module(lowbit-explicit-pipeline,func.func(lowbit-fuse-elementwise),canonicalize,cse,lowbit-verify-explicit)' | FileCheck %s

// On the implicit notation canonicalization turns an encode and the decode after it into the identity, and elementwise
// fusion deletes an encoded intermediate together with its rounding, both without a word. In the explicit program every
// rounding survives.

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 8]>
#v = #lowbit.quantized<int<8>, scale = f16 per [1, 8]>
#id = affine_map<(i, j) -> (i, j)>

// CHECK-LABEL: func @encode_decode(
// CHECK-SAME: %[[X:.*]]: tensor<4x8xf32>, %[[S:.*]]: tensor<4x8xf32, #{{.*}}>, %
// CHECK: %[[E:.*]] = lowbit.encode %[[X]] into %[[S]]
// CHECK: %[[D:.*]] = lowbit.decode %[[E]]
// CHECK: return %[[D]]
func.func @encode_decode(%x: tensor<4x8xf32>, %e: tensor<4x8xf32, #w>, %o: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32, #w>) {
    ^bb0(%a: f32, %b: f32):
      linalg.yield %a : f32
  } -> tensor<4x8xf32, #w>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<4x8xf32, #w>) outs(%o : tensor<4x8xf32>) {
    ^bb0(%a: f32, %b: f32):
      linalg.yield %a : f32
  } -> tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// CHECK-LABEL: func @fuse(
// CHECK-SAME: %[[X:.*]]: tensor<4x8xf32>, %[[S:.*]]: tensor<4x8xf32, #{{.*}}>, %
// CHECK: %[[M:.*]] = linalg.generic
// CHECK: arith.mulf
// CHECK: %[[E:.*]] = lowbit.encode %[[M]] into %[[S]]
// CHECK: %[[D:.*]] = lowbit.decode %[[E]]
// CHECK: linalg.generic {{.*}} ins(%[[D]] :
// CHECK: arith.addf
func.func @fuse(%x: tensor<4x8xf32>, %e: tensor<4x8xf32, #w>, %o: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32, #w>) {
    ^bb0(%a: f32, %b: f32):
      %m = arith.mulf %a, %a : f32
      linalg.yield %m : f32
  } -> tensor<4x8xf32, #w>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<4x8xf32, #w>) outs(%o : tensor<4x8xf32>) {
    ^bb0(%a: f32, %b: f32):
      %m = arith.addf %a, %a : f32
      linalg.yield %m : f32
  } -> tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// A copy from one encoding to another rounds: it is no identity.
// CHECK-LABEL: func @recode(
// CHECK: %[[D:.*]] = lowbit.decode %{{.*}} : tensor<?x8xf32, #int8_codes>
// CHECK: lowbit.encode %[[D]] into %{{.*}} : tensor<?x8xf32> into tensor<?x8xf32, #int4_codes>
func.func @recode(%w: tensor<?x8xf32, #v>, %o: tensor<?x8xf32, #w>) -> tensor<?x8xf32, #w> {
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%w : tensor<?x8xf32, #v>) outs(%o : tensor<?x8xf32, #w>) {
    ^bb0(%a: f32, %b: f32):
      linalg.yield %a : f32
  } -> tensor<?x8xf32, #w>
  return %0 : tensor<?x8xf32, #w>
}

// A constant becomes rounded; a fill too.
// CHECK-LABEL: func @constants(
// CHECK: lowbit.encode
// CHECK: lowbit.encode
func.func @constants(%o: tensor<4x8xf32, #w>) -> (tensor<4x8xf32, #w>, tensor<4x8xf32, #w>) {
  %f = arith.constant 1.0 : f32
  %0 = arith.constant dense<1.0> : tensor<4x8xf32, #w>
  %1 = linalg.fill ins(%f : f32) outs(%o : tensor<4x8xf32, #w>) -> tensor<4x8xf32, #w>
  return %0, %1 : tensor<4x8xf32, #w>, tensor<4x8xf32, #w>
}

// A transposed encoded tensor has other blocks: decoded, transposed, encoded.
// CHECK-LABEL: func @transpose(
// CHECK: lowbit.decode
// CHECK: lowbit.encode
func.func @transpose(%w: tensor<4x8xf32, #w>, %o: tensor<8x4xf32, #w>) -> tensor<8x4xf32, #w> {
  %0 = linalg.transpose ins(%w : tensor<4x8xf32, #w>) outs(%o : tensor<8x4xf32, #w>) permutation = [1, 0]
  return %0 : tensor<8x4xf32, #w>
}
