// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --lowbit-quantize-activations="encoding='int<8>, scale = f32 per [1, 32]'" | FileCheck %s
// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --lowbit-quantize-activations | FileCheck %s --check-prefix=ALONE

// Weights choose for themselves: one is multiplied with what the pass is told, one with another encoding, one with what stays, two share.

#nk = affine_map<(m, n, k) -> (n, k)>
#mk = affine_map<(m, n, k) -> (m, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>
#a8 = #lowbit.quantized<int<8>, scale = f32 per [1, 64]>

// CHECK-DAG: #[[A32:.*]] = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>
// CHECK-DAG: #[[A64:.*]] = #lowbit.quantized<int<8>, scale = f32 per [1, 64]>
// CHECK: func @choices(%[[X:[a-z0-9]+]]:
// CHECK-DAG: %[[E32:.*]] = lowbit.encode %[[X]] {{.*}}, #[[A32]]>
// CHECK-DAG: %[[E64:.*]] = lowbit.encode %[[X]] {{.*}}, #[[A64]]>
// CHECK-DAG: %[[D32:.*]] = lowbit.decode %[[E32]]
// CHECK-DAG: %[[D64:.*]] = lowbit.decode %[[E64]]
// CHECK-NOT: lowbit.encode
// CHECK: linalg.matmul {{.*}} ins(%[[D64]],
// CHECK: linalg.matmul {{.*}} ins(%[[D32]],
// CHECK: linalg.matmul {{.*}} ins(%[[X]],
// CHECK: linalg.matmul {{.*}} ins(%[[D64]],
// ALONE: func @choices(%[[X:[a-z0-9]+]]:
// ALONE: %[[D64:.*]] = lowbit.decode %{{.*}} : tensor<1x64xf32, #{{.*}}>
// ALONE: linalg.matmul {{.*}} ins(%[[D64]],
// ALONE: linalg.matmul {{.*}} ins(%[[X]],
// ALONE: linalg.matmul {{.*}} ins(%[[X]],
// ALONE: linalg.matmul {{.*}} ins(%[[D64]],
func.func @choices(%x: tensor<1x64xf32>, %a: tensor<32x64xf32, #w4> {lowbit.activations = #a8}, %b: tensor<32x64xf32, #w4>,
                   %c: tensor<32x64xf32, #w4> {lowbit.activations = "f32"}, %y: tensor<1x32xf32>)
    -> (tensor<1x32xf32>, tensor<1x32xf32>, tensor<1x32xf32>, tensor<1x32xf32>) {
  %p = lowbit.parameter "p" {lowbit.activations = #a8} : tensor<32x64xf32, #w4>
  %da = lowbit.decode %a : tensor<32x64xf32, #w4>
  %db = lowbit.decode %b : tensor<32x64xf32, #w4>
  %dc = lowbit.decode %c : tensor<32x64xf32, #w4>
  %dp = lowbit.decode %p : tensor<32x64xf32, #w4>
  %0 = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %da : tensor<1x64xf32>, tensor<32x64xf32>) outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  %1 = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %db : tensor<1x64xf32>, tensor<32x64xf32>) outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  %2 = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %dc : tensor<1x64xf32>, tensor<32x64xf32>) outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  %3 = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %dp : tensor<1x64xf32>, tensor<32x64xf32>) outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %0, %1, %2, %3 : tensor<1x32xf32>, tensor<1x32xf32>, tensor<1x32xf32>, tensor<1x32xf32>
}

// -----

// What is multiplied with a plain parameter is rounded where that says so.

#nk = affine_map<(m, n, k) -> (n, k)>
#mk = affine_map<(m, n, k) -> (m, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#a8 = #lowbit.quantized<int<8>, scale = f32 per [1, 64]>

// CHECK: func @plain(%[[X:[a-z0-9]+]]:
// CHECK: %[[E:.*]] = lowbit.encode %[[X]]
// CHECK: %[[D:.*]] = lowbit.decode %[[E]]
// CHECK: linalg.matmul {{.*}} ins(%[[D]],
// CHECK: linalg.matmul {{.*}} ins(%[[X]],
func.func @plain(%x: tensor<1x64xf32>, %y: tensor<1x32xf32>) -> (tensor<1x32xf32>, tensor<1x32xf32>) {
  %p = lowbit.parameter "p" {lowbit.activations = #a8} : tensor<32x64xf32>
  %q = lowbit.parameter "q" : tensor<32x64xf32>
  %0 = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %p : tensor<1x64xf32>, tensor<32x64xf32>) outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  %1 = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %q : tensor<1x64xf32>, tensor<32x64xf32>) outs(%y : tensor<1x32xf32>) -> tensor<1x32xf32>
  return %0, %1 : tensor<1x32xf32>, tensor<1x32xf32>
}
