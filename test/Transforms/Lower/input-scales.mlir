// RUN: lowbit-opt %s --lowbit-input-scales | FileCheck %s

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#a8 = #lowbit.quantized<int<8>, scale = f32 per tensor, rule = given>
#affine = #lowbit.quantized<uint<8>, scale = f32 per tensor, zero = uint<8> per tensor, rule = given>
#dynamic = #lowbit.quantized<int<8>, scale = f32 per tensor>

// The scale is an argument beside the weight, whichever layer calls.
// CHECK-LABEL: func private @layer(
// CHECK-SAME:    %[[X:[^:]*]]: tensor<?x64xf32>, %[[W:[^:]*]]: tensor<32x64xf32, #{{[^>]*}}>, %[[Y:[^:]*]]: tensor<?x32xf32>, %[[S:[^:]*]]: tensor<1x1xf32>)
// CHECK:       %[[CODES:.*]] = tensor.empty(%{{.*}}) : tensor<?x64xi8>
// CHECK:       %[[STORAGE:.*]] = lowbit.assemble %[[CODES]], %[[S]]
// CHECK:       lowbit.encode %[[X]] into %[[STORAGE]]
func.func private @layer(%x: tensor<?x64xf32>, %w: tensor<32x64xf32, #w4>, %y: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x64xf32>
  %empty = tensor.empty(%rows) : tensor<?x64xf32, #a8>
  %e = lowbit.encode %x into %empty : tensor<?x64xf32> into tensor<?x64xf32, #a8>
  %a = lowbit.decode %e : tensor<?x64xf32, #a8>
  %d = lowbit.decode %w : tensor<32x64xf32, #w4>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%a, %d : tensor<?x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %r : tensor<?x32xf32>
}

// CHECK-LABEL: func private @outer(
// CHECK-SAME:    %[[S:[^:]*]]: tensor<1x1xf32>)
// CHECK:       call @layer(%{{.*}}, %{{.*}}, %{{.*}}, %[[S]])
func.func private @outer(%x: tensor<?x64xf32>, %w: tensor<32x64xf32, #w4>, %y: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %r = call @layer(%x, %w, %y) : (tensor<?x64xf32>, tensor<32x64xf32, #w4>, tensor<?x32xf32>) -> tensor<?x32xf32>
  return %r : tensor<?x32xf32>
}

// CHECK-LABEL: func @net(
// CHECK-DAG:   %[[A:.*]] = lowbit.parameter "a.input_scale" : tensor<1x1xf32>
// CHECK-DAG:   %[[B:.*]] = lowbit.parameter "b.input_scale" : tensor<1x1xf32>
// CHECK:       call @outer(%{{.*}}, %{{.*}}, %{{.*}}, %[[A]])
// CHECK:       call @layer(%{{.*}}, %{{.*}}, %{{.*}}, %[[B]])
func.func @net(%x: tensor<?x64xf32>, %y: tensor<?x32xf32>, %z: tensor<?x32xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  %a = lowbit.parameter "a" : tensor<32x64xf32, #w4>
  %b = lowbit.parameter "b" : tensor<32x64xf32, #w4>
  %r = call @outer(%x, %a, %y) : (tensor<?x64xf32>, tensor<32x64xf32, #w4>, tensor<?x32xf32>) -> tensor<?x32xf32>
  %s = call @layer(%x, %b, %z) : (tensor<?x64xf32>, tensor<32x64xf32, #w4>, tensor<?x32xf32>) -> tensor<?x32xf32>
  return %r, %s : tensor<?x32xf32>, tensor<?x32xf32>
}

// Everything that is given comes, for the first product that reads the value; the weight may be read after the value is rounded.
// CHECK-LABEL: func @affine(
// CHECK-DAG:   %[[S:.*]] = lowbit.parameter "first.input_scale" : tensor<1x1xf32>
// CHECK-DAG:   %[[Z:.*]] = lowbit.parameter "first.input_zero" : tensor<1x1xi8>
// CHECK:       lowbit.assemble %{{.*}}, %[[S]], %[[Z]]
// CHECK-NOT:   "second.input_scale"
func.func @affine(%x: tensor<4x64xf32>, %y: tensor<4x32xf32>) -> tensor<4x32xf32> {
  %empty = tensor.empty() : tensor<4x64xf32, #affine>
  %e = lowbit.encode %x into %empty : tensor<4x64xf32> into tensor<4x64xf32, #affine>
  %a = lowbit.decode %e : tensor<4x64xf32, #affine>
  %v = lowbit.parameter "first" : tensor<32x64xf32>
  %w = lowbit.parameter "second" : tensor<32x64xf32>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%a, %v : tensor<4x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<4x32xf32>) -> tensor<4x32xf32>
  %s = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%a, %w : tensor<4x64xf32>, tensor<32x64xf32>)
                     outs(%r : tensor<4x32xf32>) -> tensor<4x32xf32>
  return %s : tensor<4x32xf32>
}

// Storage that has its scales, and scales that are chosen, stay.
// CHECK-LABEL: func @others(
// CHECK-NOT:   lowbit.parameter
// CHECK-NOT:   lowbit.assemble
func.func @others(%x: tensor<4x64xf32>, %to: tensor<4x64xf32, #a8>) -> (tensor<4x64xf32, #a8>, tensor<4x64xf32, #dynamic>) {
  %e = lowbit.encode %x into %to : tensor<4x64xf32> into tensor<4x64xf32, #a8>
  %empty = tensor.empty() : tensor<4x64xf32, #dynamic>
  %f = lowbit.encode %x into %empty : tensor<4x64xf32> into tensor<4x64xf32, #dynamic>
  return %e, %f : tensor<4x64xf32, #a8>, tensor<4x64xf32, #dynamic>
}
