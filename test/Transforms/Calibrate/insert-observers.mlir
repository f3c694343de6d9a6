// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-insert-observers{statistics=moments,maxima,moments}))' -verify-diagnostics | FileCheck %s

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#wt = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// Products of one value share its tap, before the first of them; each parameter is named once.
// CHECK-LABEL: func @shared(
// CHECK-SAME:    %[[X:[^:]*]]: tensor<?x64xf32>
// CHECK:       lowbit.observe %[[X]] for ["q", "k"] [moments, maxima] : tensor<?x64xf32>
// CHECK-NEXT:  linalg.matmul
// CHECK-NOT:   lowbit.observe
func.func @shared(%x: tensor<?x64xf32>, %y: tensor<?x32xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>) {
  %q = lowbit.parameter "q" : tensor<32x64xf32>
  %k = lowbit.parameter "k" : tensor<32x64xf32>
  %a = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %q : tensor<?x64xf32>, tensor<32x64xf32>) outs(%y : tensor<?x32xf32>) -> tensor<?x32xf32>
  %b = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %k : tensor<?x64xf32>, tensor<32x64xf32>) outs(%y : tensor<?x32xf32>) -> tensor<?x32xf32>
  %c = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %q : tensor<?x64xf32>, tensor<32x64xf32>) outs(%y : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %a, %b, %c : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>
}

// The parameter may come first. Products of two values have no tap.
// CHECK-LABEL: func @other_side(
// CHECK-SAME:    %[[X:[^:]*]]: tensor<8x64xf32>
// CHECK:       lowbit.observe %[[X]] for ["w"]
// CHECK-NOT:   lowbit.observe
func.func @other_side(%x: tensor<8x64xf32>, %y: tensor<32x8xf32>, %z: tensor<8x8xf32>) -> (tensor<32x8xf32>, tensor<8x8xf32>) {
  %w = lowbit.parameter "w" : tensor<32x64xf32>
  %a = linalg.matmul indexing_maps = [#x, #w, #y] ins(%w, %x : tensor<32x64xf32>, tensor<8x64xf32>) outs(%y : tensor<32x8xf32>) -> tensor<32x8xf32>
  %b = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %x : tensor<8x64xf32>, tensor<8x64xf32>) outs(%z : tensor<8x8xf32>) -> tensor<8x8xf32>
  return %a, %b : tensor<32x8xf32>, tensor<8x8xf32>
}

// CHECK-LABEL: func @other_axis(
// CHECK-NOT:   lowbit.observe
func.func @other_axis(%x: tensor<8x64xf32>, %y: tensor<8x32xf32>) -> tensor<8x32xf32> {
  %w = lowbit.parameter "w" : tensor<64x32xf32>
  // expected-remark @below {{no tap: the product with parameter 'w' is not over the last axis of both operands alone}}
  %a = linalg.matmul indexing_maps = [#x, #wt, #y] ins(%x, %w : tensor<8x64xf32>, tensor<64x32xf32>) outs(%y : tensor<8x32xf32>) -> tensor<8x32xf32>
  return %a : tensor<8x32xf32>
}
