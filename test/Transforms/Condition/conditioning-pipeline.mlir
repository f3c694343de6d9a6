// RUN: lowbit-opt %s --lowbit-conditioning-pipeline | FileCheck %s

#e = affine_map<(m, k) -> (m, k)>
#c = affine_map<(m, k) -> (k)>
#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>

// Of calls, and of weights in any encoding: a program in one piece, with taps.
// CHECK: func.func @two(
// CHECK-SAME: lowbit.bases = [{reason = "it is what is given to the function", taps = array<i64: 0>},
// CHECK-SAME:   {extent = 32 : i64, gains = [], members = [{axis = 0 : i64, parameter = "in.bias", stride = 1 : i64}, {axis = 0 : i64, parameter = "in.weight", stride = 1 : i64},
// CHECK-SAME:    {axis = 1 : i64, parameter = "up.weight", stride = 1 : i64}], taps = array<i64: 1>}]
// CHECK-SAME: lowbit.shift_sinks = ["it is what is given to the function", [
// CHECK-SAME:   {axis = 0 : i64, digits = array<i64: 32>, parameter = "in.bias", sign = -1 : i64, strides = array<i64: 1>},
// CHECK-SAME:   {axis = 0 : i64, digits = array<i64: 32>, parameter = "up.bias", sign = 1 : i64, strides = array<i64: 1>, weight = "up.weight"}]]
// CHECK: lowbit.observe
// CHECK: lowbit.observe
// CHECK-NOT: call
func.func private @linear(%x: tensor<?x32xf32>, %w: tensor<32x32xf32>, %b: tensor<32xf32>) -> tensor<?x32xf32> {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x32xf32>
  %empty = tensor.empty(%rows) : tensor<?x32xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x32xf32>) -> tensor<?x32xf32>
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %w : tensor<?x32xf32>, tensor<32x32xf32>) outs(%zeros : tensor<?x32xf32>) -> tensor<?x32xf32>
  %r = linalg.generic {indexing_maps = [#e, #c, #e], iterator_types = ["parallel", "parallel"]} ins(%p, %b : tensor<?x32xf32>, tensor<32xf32>) outs(%empty : tensor<?x32xf32>) {
    ^bb0(%a: f32, %c: f32, %old: f32):
      %0 = arith.addf %a, %c : f32
      linalg.yield %0 : f32
  } -> tensor<?x32xf32>
  return %r : tensor<?x32xf32>
}
func.func @two(%x: tensor<?x32xf32>) -> tensor<?x32xf32> attributes {lowbit.entry} {
  %in = lowbit.parameter "in.weight" : tensor<32x32xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>
  %plain = lowbit.decode %in : tensor<32x32xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>
  %inbias = lowbit.parameter "in.bias" : tensor<32xf32>
  %up = lowbit.parameter "up.weight" : tensor<32x32xf32>
  %upbias = lowbit.parameter "up.bias" : tensor<32xf32>
  %h = func.call @linear(%x, %plain, %inbias) : (tensor<?x32xf32>, tensor<32x32xf32>, tensor<32xf32>) -> tensor<?x32xf32>
  %r = func.call @linear(%h, %up, %upbias) : (tensor<?x32xf32>, tensor<32x32xf32>, tensor<32xf32>) -> tensor<?x32xf32>
  return %r : tensor<?x32xf32>
}
