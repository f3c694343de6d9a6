// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-find-scale-sinks))' | FileCheck %s

#e = affine_map<(m, k) -> (m, k)>
#c = affine_map<(m, k) -> (k)>
#r = affine_map<(m, k) -> (m)>
#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>

// Gain and bias of a norm, with a factor for each row between them; both taps of one product's sides.
// CHECK-LABEL: func @norm(
// CHECK-SAME:    lowbit.scale_sinks = [
// CHECK-SAME:      [{argument = 2 : i64, axis = 0 : i64, digits = array<i64: 64>, strides = array<i64: 1>},
// CHECK-SAME:       {argument = 3 : i64, axis = 0 : i64, digits = array<i64: 64>, strides = array<i64: 1>}]]
func.func @norm(%x: tensor<?x64xf32>, %s: tensor<?xf32>, %gain: tensor<64xf32>, %bias: tensor<64xf32>, %up: tensor<32x64xf32>,
                %o: tensor<?x64xf32>, %z: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %n = linalg.generic {indexing_maps = [#e, #r, #c, #c, #e], iterator_types = ["parallel", "parallel"]}
      ins(%x, %s, %gain, %bias : tensor<?x64xf32>, tensor<?xf32>, tensor<64xf32>, tensor<64xf32>) outs(%o : tensor<?x64xf32>) {
    ^bb0(%a: f32, %q: f32, %g: f32, %b: f32, %old: f32):
      %0 = arith.mulf %a, %q : f32
      %1 = arith.mulf %0, %g : f32
      %2 = arith.addf %1, %b : f32
      linalg.yield %2 : f32
  } -> tensor<?x64xf32>
  lowbit.observe %n for ["up"] [maxima] : tensor<?x64xf32>
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %up : tensor<?x64xf32>, tensor<32x64xf32>) outs(%z : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %p : tensor<?x32xf32>
}

// A post-norm model: what the norm gives is added again later.
// CHECK-LABEL: func @residual(
// CHECK-SAME:    lowbit.scale_sinks = ["it also feeds 'linalg.generic'"]
func.func @residual(%x: tensor<?x64xf32>, %gain: tensor<64xf32>, %up: tensor<64x64xf32>, %o: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %zero = arith.constant 0.0 : f32
  %zeros = linalg.fill ins(%zero : f32) outs(%o : tensor<?x64xf32>) -> tensor<?x64xf32>
  %n = linalg.generic {indexing_maps = [#e, #c, #e], iterator_types = ["parallel", "parallel"]}
      ins(%x, %gain : tensor<?x64xf32>, tensor<64xf32>) outs(%o : tensor<?x64xf32>) {
    ^bb0(%a: f32, %g: f32, %old: f32):
      %0 = arith.mulf %a, %g : f32
      linalg.yield %0 : f32
  } -> tensor<?x64xf32>
  lowbit.observe %n for ["up"] [maxima] : tensor<?x64xf32>
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %up : tensor<?x64xf32>, tensor<64x64xf32>) outs(%zeros : tensor<?x64xf32>) -> tensor<?x64xf32>
  %sum = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%p, %n : tensor<?x64xf32>, tensor<?x64xf32>) outs(%o : tensor<?x64xf32>) {
    ^bb0(%a: f32, %b: f32, %old: f32):
      %0 = arith.addf %a, %b : f32
      linalg.yield %0 : f32
  } -> tensor<?x64xf32>
  return %sum : tensor<?x64xf32>
}

// A gated product: not through the gate, whose number is used twice, but through what it is multiplied with; and from there into the rows of a matrix.
// CHECK-LABEL: func @gated(
// CHECK-SAME:    lowbit.scale_sinks = [
// CHECK-SAME:      [{argument = 2 : i64, axis = 0 : i64, digits = array<i64: 32>, strides = array<i64: 1>}]]
func.func @gated(%x: tensor<?x64xf32>, %gate: tensor<?x32xf32>, %up: tensor<32x64xf32>, %down: tensor<64x32xf32>, %o: tensor<?x32xf32>,
                 %z: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %zeros = linalg.fill ins(%zero : f32) outs(%o : tensor<?x32xf32>) -> tensor<?x32xf32>
  %u = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %up : tensor<?x64xf32>, tensor<32x64xf32>) outs(%zeros : tensor<?x32xf32>) -> tensor<?x32xf32>
  %n = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%gate, %u : tensor<?x32xf32>, tensor<?x32xf32>) outs(%o : tensor<?x32xf32>) {
    ^bb0(%g: f32, %a: f32, %old: f32):
      %0 = math.exp %g : f32
      %1 = arith.addf %0, %one : f32
      %2 = arith.divf %g, %1 : f32
      %3 = arith.mulf %2, %a : f32
      linalg.yield %3 : f32
  } -> tensor<?x32xf32>
  lowbit.observe %n for ["down"] [maxima] : tensor<?x32xf32>
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %down : tensor<?x32xf32>, tensor<64x32xf32>) outs(%z : tensor<?x64xf32>) -> tensor<?x64xf32>
  return %p : tensor<?x64xf32>
}

// A number that goes two ways inside of the payload: GELU, which is linear in neither of them.
// CHECK-LABEL: func @gelu(
// CHECK-SAME:    lowbit.scale_sinks = ["no factor passes through 'math.erf'"]
func.func @gelu(%x: tensor<?x32xf32>, %bias: tensor<32xf32>, %down: tensor<64x32xf32>, %o: tensor<?x32xf32>, %z: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %n = linalg.generic {indexing_maps = [#e, #c, #e], iterator_types = ["parallel", "parallel"]}
      ins(%x, %bias : tensor<?x32xf32>, tensor<32xf32>) outs(%o : tensor<?x32xf32>) {
    ^bb0(%a: f32, %b: f32, %old: f32):
      %0 = arith.addf %a, %b : f32
      %1 = math.erf %0 : f32
      %2 = arith.mulf %0, %1 : f32
      linalg.yield %2 : f32
  } -> tensor<?x32xf32>
  lowbit.observe %n for ["down"] [maxima] : tensor<?x32xf32>
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %down : tensor<?x32xf32>, tensor<64x32xf32>) outs(%z : tensor<?x64xf32>) -> tensor<?x64xf32>
  return %p : tensor<?x64xf32>
}

// An attention in which two query heads share each of two value heads, of four elements: the values' weights take the factors, which the
// heads that share must have in common.
// CHECK-LABEL: func @attention(
// CHECK-SAME:    lowbit.scale_sinks = [
// CHECK-SAME:      [{argument = 2 : i64, axis = 0 : i64, digits = array<i64: 2, 2, 4>, strides = array<i64: 4, 0, 1>}]]
func.func @attention(%x: tensor<?x16xf32>, %p: tensor<2x2x?x?xf32>, %v: tensor<8x16xf32>, %cache: tensor<2x64x4xf32>, %o: tensor<16x16xf32>,
                     %a0: tensor<?x8xf32>, %a1: tensor<2x?x4xf32>, %a2: tensor<?x2x2x4xf32>, %z: tensor<?x16xf32>, %rows: index) -> tensor<?x16xf32> {
  %zero = arith.constant 0.0 : f32
  %z0 = linalg.fill ins(%zero : f32) outs(%a0 : tensor<?x8xf32>) -> tensor<?x8xf32>
  %z2 = linalg.fill ins(%zero : f32) outs(%a2 : tensor<?x2x2x4xf32>) -> tensor<?x2x2x4xf32>
  %values = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %v : tensor<?x16xf32>, tensor<8x16xf32>) outs(%z0 : tensor<?x8xf32>) -> tensor<?x8xf32>
  %heads = tensor.expand_shape %values [[0], [1, 2]] output_shape [%rows, 2, 4] : tensor<?x8xf32> into tensor<?x2x4xf32>
  %first = linalg.generic {indexing_maps = [affine_map<(h, m, d) -> (m, h, d)>, affine_map<(h, m, d) -> (h, m, d)>], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%heads : tensor<?x2x4xf32>) outs(%a1 : tensor<2x?x4xf32>) {
    ^bb0(%a: f32, %old: f32):
      linalg.yield %a : f32
  } -> tensor<2x?x4xf32>
  %kept = tensor.insert_slice %first into %cache[0, 0, 0] [2, %rows, 4] [1, 1, 1] : tensor<2x?x4xf32> into tensor<2x64x4xf32>
  %read = tensor.extract_slice %kept[0, 0, 0] [2, %rows, 4] [1, 1, 1] : tensor<2x64x4xf32> to tensor<2x?x4xf32>
  %mean = linalg.generic {indexing_maps = [affine_map<(m, h, g, d, t) -> (h, g, m, t)>, affine_map<(m, h, g, d, t) -> (h, t, d)>, affine_map<(m, h, g, d, t) -> (m, h, g, d)>],
                          iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%p, %read : tensor<2x2x?x?xf32>, tensor<2x?x4xf32>) outs(%z2 : tensor<?x2x2x4xf32>) {
    ^bb0(%a: f32, %b: f32, %sum: f32):
      %0 = arith.mulf %a, %b : f32
      %1 = arith.addf %sum, %0 : f32
      linalg.yield %1 : f32
  } -> tensor<?x2x2x4xf32>
  %n = tensor.collapse_shape %mean [[0], [1, 2, 3]] : tensor<?x2x2x4xf32> into tensor<?x16xf32>
  lowbit.observe %n for ["o"] [maxima] : tensor<?x16xf32>
  %r = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %o : tensor<?x16xf32>, tensor<16x16xf32>) outs(%z : tensor<?x16xf32>) -> tensor<?x16xf32>
  return %r : tensor<?x16xf32>
}

// What is given to the function takes nothing.
// CHECK-LABEL: func @given(
// CHECK-SAME:    lowbit.scale_sinks = ["it is what is given to the stage"]
func.func @given(%x: tensor<?x64xf32>, %up: tensor<32x64xf32>, %z: tensor<?x32xf32>) -> tensor<?x32xf32> {
  lowbit.observe %x for ["up"] [maxima] : tensor<?x64xf32>
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %up : tensor<?x64xf32>, tensor<32x64xf32>) outs(%z : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %p : tensor<?x32xf32>
}

// A square has no factor for each of its channels that its root could take.
// CHECK-LABEL: func @squared(
// CHECK-SAME:    lowbit.scale_sinks = ["a value before it is used twice by 'linalg.generic'"]
func.func @squared(%x: tensor<?x64xf32>, %up: tensor<32x64xf32>, %down: tensor<64x32xf32>, %o: tensor<?x32xf32>, %z: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %zero = arith.constant 0.0 : f32
  %zeros = linalg.fill ins(%zero : f32) outs(%o : tensor<?x32xf32>) -> tensor<?x32xf32>
  %u = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %up : tensor<?x64xf32>, tensor<32x64xf32>) outs(%zeros : tensor<?x32xf32>) -> tensor<?x32xf32>
  %n = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%u, %u : tensor<?x32xf32>, tensor<?x32xf32>) outs(%o : tensor<?x32xf32>) {
    ^bb0(%a: f32, %b: f32, %old: f32):
      %0 = arith.mulf %a, %b : f32
      linalg.yield %0 : f32
  } -> tensor<?x32xf32>
  lowbit.observe %n for ["down"] [maxima] : tensor<?x32xf32>
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %down : tensor<?x32xf32>, tensor<64x32xf32>) outs(%z : tensor<?x64xf32>) -> tensor<?x64xf32>
  return %p : tensor<?x64xf32>
}

// A weight of two products cannot take the factors of the inputs of one.
// CHECK-LABEL: func @shared_weight(
// CHECK-SAME:    lowbit.scale_sinks = ["a weight that it meets also feeds 'linalg.matmul'"]
func.func @shared_weight(%x: tensor<?x64xf32>, %gain: tensor<64xf32>, %up: tensor<32x64xf32>, %o: tensor<?x64xf32>, %z: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %n = linalg.generic {indexing_maps = [#e, #c, #e], iterator_types = ["parallel", "parallel"]}
      ins(%x, %gain : tensor<?x64xf32>, tensor<64xf32>) outs(%o : tensor<?x64xf32>) {
    ^bb0(%a: f32, %g: f32, %old: f32):
      %0 = arith.mulf %a, %g : f32
      linalg.yield %0 : f32
  } -> tensor<?x64xf32>
  lowbit.observe %n for ["up"] [maxima] : tensor<?x64xf32>
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %up : tensor<?x64xf32>, tensor<32x64xf32>) outs(%z : tensor<?x32xf32>) -> tensor<?x32xf32>
  %q = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %up : tensor<?x64xf32>, tensor<32x64xf32>) outs(%p : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %q : tensor<?x32xf32>
}
