// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-find-shift-sinks))' | FileCheck %s

#e = affine_map<(m, k) -> (m, k)>
#c = affine_map<(m, k) -> (k)>
#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>

// A post-norm model: the norm's bias takes the shift, the product's own bias what becomes of it behind the weight, though an error function follows; and the bias
// that is added together with the residual gives it back.
// CHECK-LABEL: func @residual(
// CHECK-SAME:    lowbit.shift_sinks = [
// CHECK-SAME:      [{axis = 0 : i64, digits = array<i64: 16>, parameter = "norm.bias", sign = -1 : i64, strides = array<i64: 1>},
// CHECK-DAG:        {axis = 0 : i64, digits = array<i64: 16>, parameter = "down.bias", sign = 1 : i64, strides = array<i64: 1>}
// CHECK-DAG:        {axis = 0 : i64, digits = array<i64: 32>, parameter = "up.bias", sign = 1 : i64, strides = array<i64: 1>, weight = "up"}
// CHECK-SAME:      "there is no bias before it: no shift passes through 'arith.mulf'"]
func.func @residual(%x: tensor<?x16xf32>, %o: tensor<?x16xf32>, %h: tensor<?x32xf32>) -> tensor<?x16xf32> {
  %zero = arith.constant 0.0 : f32
  %gain = lowbit.parameter "norm.gain" : tensor<16xf32>
  %bias = lowbit.parameter "norm.bias" : tensor<16xf32>
  %up = lowbit.parameter "up" : tensor<32x16xf32>
  %upbias = lowbit.parameter "up.bias" : tensor<32xf32>
  %down = lowbit.parameter "down" : tensor<16x32xf32>
  %downbias = lowbit.parameter "down.bias" : tensor<16xf32>
  %z0 = linalg.fill ins(%zero : f32) outs(%h : tensor<?x32xf32>) -> tensor<?x32xf32>
  %z1 = linalg.fill ins(%zero : f32) outs(%o : tensor<?x16xf32>) -> tensor<?x16xf32>
  %n = linalg.generic {indexing_maps = [#e, #c, #c, #e], iterator_types = ["parallel", "parallel"]}
      ins(%x, %gain, %bias : tensor<?x16xf32>, tensor<16xf32>, tensor<16xf32>) outs(%o : tensor<?x16xf32>) {
    ^bb0(%a: f32, %g: f32, %b: f32, %old: f32):
      %0 = arith.mulf %a, %g : f32
      %1 = arith.addf %0, %b : f32
      linalg.yield %1 : f32
  } -> tensor<?x16xf32>
  lowbit.observe %n for ["up"] [maxima] : tensor<?x16xf32>
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %up : tensor<?x16xf32>, tensor<32x16xf32>) outs(%z0 : tensor<?x32xf32>) -> tensor<?x32xf32>
  %act = linalg.generic {indexing_maps = [#e, #c, #e], iterator_types = ["parallel", "parallel"]} ins(%p, %upbias : tensor<?x32xf32>, tensor<32xf32>) outs(%h : tensor<?x32xf32>) {
    ^bb0(%a: f32, %b: f32, %old: f32):
      %0 = arith.addf %a, %b : f32
      %1 = math.erf %0 : f32
      %2 = arith.mulf %0, %1 : f32
      linalg.yield %2 : f32
  } -> tensor<?x32xf32>
  lowbit.observe %act for ["down"] [maxima] : tensor<?x32xf32>
  %q = linalg.matmul indexing_maps = [#x, #w, #y] ins(%act, %down : tensor<?x32xf32>, tensor<16x32xf32>) outs(%z1 : tensor<?x16xf32>) -> tensor<?x16xf32>
  %sum = linalg.generic {indexing_maps = [#e, #c, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%q, %downbias, %n : tensor<?x16xf32>, tensor<16xf32>, tensor<?x16xf32>) outs(%o : tensor<?x16xf32>) {
    ^bb0(%a: f32, %b: f32, %r: f32, %old: f32):
      %0 = arith.addf %a, %b : f32
      %1 = arith.addf %0, %r : f32
      linalg.yield %1 : f32
  } -> tensor<?x16xf32>
  return %sum : tensor<?x16xf32>
}

// Biases that a product goes on from, of which one is subtracted; and a product without one.
// CHECK-LABEL: func @initial(
// CHECK-SAME:    lowbit.shift_sinks = [
// CHECK-SAME:      [{axis = 0 : i64, digits = array<i64: 16>, parameter = "before", sign = 1 : i64, strides = array<i64: 1>},
// CHECK-SAME:       {axis = 0 : i64, digits = array<i64: 8>, parameter = "up.bias", sign = 1 : i64, strides = array<i64: 1>, weight = "up"}],
// CHECK-SAME:      "a product that it feeds has no bias behind it"]
func.func @initial(%x: tensor<?x16xf32>, %o: tensor<?x16xf32>, %h: tensor<?x8xf32>, %z: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %before = lowbit.parameter "before" : tensor<16xf32>
  %up = lowbit.parameter "up" : tensor<8x16xf32>
  %upbias = lowbit.parameter "up.bias" : tensor<8xf32>
  %last = lowbit.parameter "last" : tensor<4x8xf32>
  %n = linalg.generic {indexing_maps = [#e, #c, #e], iterator_types = ["parallel", "parallel"]} ins(%x, %before : tensor<?x16xf32>, tensor<16xf32>) outs(%o : tensor<?x16xf32>) {
    ^bb0(%a: f32, %b: f32, %old: f32):
      %0 = arith.subf %a, %b : f32
      linalg.yield %0 : f32
  } -> tensor<?x16xf32>
  lowbit.observe %n for ["up"] [maxima] : tensor<?x16xf32>
  %rows = linalg.generic {indexing_maps = [#c, #e], iterator_types = ["parallel", "parallel"]} ins(%upbias : tensor<8xf32>) outs(%h : tensor<?x8xf32>) {
    ^bb0(%b: f32, %old: f32):
      linalg.yield %b : f32
  } -> tensor<?x8xf32>
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %up : tensor<?x16xf32>, tensor<8x16xf32>) outs(%rows : tensor<?x8xf32>) -> tensor<?x8xf32>
  lowbit.observe %p for ["last"] [maxima] : tensor<?x8xf32>
  %r = linalg.matmul indexing_maps = [#x, #w, #y] ins(%p, %last : tensor<?x8xf32>, tensor<4x8xf32>) outs(%z : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %r : tensor<?x4xf32>
}

// An attention whose weights are divided by their sum before or afterwards: the mean of shifted values is shifted. Two query heads share each of two value heads.
// CHECK-LABEL: func @before(
// CHECK-SAME:    lowbit.shift_sinks = [
// CHECK-SAME:      [{axis = 0 : i64, digits = array<i64: 2, 2, 4>, parameter = "v.bias", sign = -1 : i64, strides = array<i64: 4, 0, 1>},
// CHECK-SAME:       {axis = 0 : i64, digits = array<i64: 8>, parameter = "o.bias", sign = 1 : i64, strides = array<i64: 1>, weight = "o"}]]
// CHECK-LABEL: func @afterwards(
// CHECK-SAME:    lowbit.shift_sinks = [
// CHECK-SAME:      [{axis = 0 : i64, digits = array<i64: 2, 2, 4>, parameter = "v.bias", sign = -1 : i64, strides = array<i64: 4, 0, 1>},
// CHECK-SAME:       {axis = 0 : i64, digits = array<i64: 8>, parameter = "o.bias", sign = 1 : i64, strides = array<i64: 1>, weight = "o"}]]
// What is no mean, since the sum is over something else, is not shifted.
// CHECK-LABEL: func @otherwise(
// CHECK-SAME:    lowbit.shift_sinks = ["there is no bias before it
#full = affine_map<(h, g, m, t) -> (h, g, m, t)>
#part = affine_map<(h, g, m, t) -> (h, g, m)>
#other = affine_map<(h, g, m, t) -> (h, g, t)>
#p5 = affine_map<(m, h, g, d, t) -> (h, g, m, t)>
#v5 = affine_map<(m, h, g, d, t) -> (h, t, d)>
#o5 = affine_map<(m, h, g, d, t) -> (m, h, g, d)>
func.func @before(%v: tensor<?x8xf32>, %e: tensor<2x2x?x?xf32>, %s: tensor<2x2x?xf32>, %q: tensor<2x2x?x?xf32>, %a1: tensor<2x?x4xf32>, %a2: tensor<?x2x2x4xf32>, %a3: tensor<?x8xf32>, %rows: index) -> tensor<?x8xf32> {
  %zero = arith.constant 0.0 : f32
  %vbias = lowbit.parameter "v.bias" : tensor<8xf32>
  %o = lowbit.parameter "o" : tensor<8x16xf32>
  %obias = lowbit.parameter "o.bias" : tensor<8xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s : tensor<2x2x?xf32>) -> tensor<2x2x?xf32>
  %z2 = linalg.fill ins(%zero : f32) outs(%a2 : tensor<?x2x2x4xf32>) -> tensor<?x2x2x4xf32>
  %z3 = linalg.fill ins(%zero : f32) outs(%a3 : tensor<?x8xf32>) -> tensor<?x8xf32>
  %biased = linalg.generic {indexing_maps = [#e, #c, #e], iterator_types = ["parallel", "parallel"]} ins(%v, %vbias : tensor<?x8xf32>, tensor<8xf32>) outs(%a3 : tensor<?x8xf32>) {
    ^bb0(%a: f32, %b: f32, %old: f32):
      %0 = arith.addf %a, %b : f32
      linalg.yield %0 : f32
  } -> tensor<?x8xf32>
  %heads = tensor.expand_shape %biased [[0], [1, 2]] output_shape [%rows, 2, 4] : tensor<?x8xf32> into tensor<?x2x4xf32>
  %first = linalg.generic {indexing_maps = [affine_map<(h, m, d) -> (m, h, d)>, affine_map<(h, m, d) -> (h, m, d)>], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%heads : tensor<?x2x4xf32>) outs(%a1 : tensor<2x?x4xf32>) {
    ^bb0(%a: f32, %old: f32):
      linalg.yield %a : f32
  } -> tensor<2x?x4xf32>
  %total = linalg.generic {indexing_maps = [#full, #part], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%e : tensor<2x2x?x?xf32>) outs(%s0 : tensor<2x2x?xf32>) {
    ^bb0(%a: f32, %sum: f32):
      %0 = arith.addf %a, %sum : f32
      linalg.yield %0 : f32
  } -> tensor<2x2x?xf32>
  %p = linalg.generic {indexing_maps = [#full, #part, #full], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%e, %total : tensor<2x2x?x?xf32>, tensor<2x2x?xf32>) outs(%q : tensor<2x2x?x?xf32>) {
    ^bb0(%a: f32, %b: f32, %old: f32):
      %0 = arith.divf %a, %b : f32
      linalg.yield %0 : f32
  } -> tensor<2x2x?x?xf32>
  %mean = linalg.generic {indexing_maps = [#p5, #v5, #o5], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins(%p, %first : tensor<2x2x?x?xf32>, tensor<2x?x4xf32>) outs(%z2 : tensor<?x2x2x4xf32>) {
    ^bb0(%a: f32, %b: f32, %sum: f32):
      %0 = arith.mulf %a, %b : f32
      %1 = arith.addf %sum, %0 : f32
      linalg.yield %1 : f32
  } -> tensor<?x2x2x4xf32>
  %n = tensor.collapse_shape %mean [[0], [1, 2, 3]] : tensor<?x2x2x4xf32> into tensor<?x16xf32>
  lowbit.observe %n for ["o"] [maxima] : tensor<?x16xf32>
  %r = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %o : tensor<?x16xf32>, tensor<8x16xf32>) outs(%z3 : tensor<?x8xf32>) -> tensor<?x8xf32>
  %out = linalg.generic {indexing_maps = [#e, #c, #e], iterator_types = ["parallel", "parallel"]} ins(%r, %obias : tensor<?x8xf32>, tensor<8xf32>) outs(%a3 : tensor<?x8xf32>) {
    ^bb0(%a: f32, %b: f32, %old: f32):
      %0 = arith.addf %a, %b : f32
      linalg.yield %0 : f32
  } -> tensor<?x8xf32>
  return %out : tensor<?x8xf32>
}

func.func @afterwards(%v: tensor<?x8xf32>, %e: tensor<2x2x?x?xf32>, %s: tensor<2x2x?xf32>, %q: tensor<2x2x?x?xf32>, %a1: tensor<2x?x4xf32>, %a2: tensor<?x2x2x4xf32>, %a3: tensor<?x8xf32>, %rows: index) -> tensor<?x8xf32> {
  %zero = arith.constant 0.0 : f32
  %vbias = lowbit.parameter "v.bias" : tensor<8xf32>
  %o = lowbit.parameter "o" : tensor<8x16xf32>
  %obias = lowbit.parameter "o.bias" : tensor<8xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s : tensor<2x2x?xf32>) -> tensor<2x2x?xf32>
  %z2 = linalg.fill ins(%zero : f32) outs(%a2 : tensor<?x2x2x4xf32>) -> tensor<?x2x2x4xf32>
  %z3 = linalg.fill ins(%zero : f32) outs(%a3 : tensor<?x8xf32>) -> tensor<?x8xf32>
  %biased = linalg.generic {indexing_maps = [#e, #c, #e], iterator_types = ["parallel", "parallel"]} ins(%v, %vbias : tensor<?x8xf32>, tensor<8xf32>) outs(%a3 : tensor<?x8xf32>) {
    ^bb0(%a: f32, %b: f32, %old: f32):
      %0 = arith.addf %a, %b : f32
      linalg.yield %0 : f32
  } -> tensor<?x8xf32>
  %heads = tensor.expand_shape %biased [[0], [1, 2]] output_shape [%rows, 2, 4] : tensor<?x8xf32> into tensor<?x2x4xf32>
  %first = linalg.generic {indexing_maps = [affine_map<(h, m, d) -> (m, h, d)>, affine_map<(h, m, d) -> (h, m, d)>], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%heads : tensor<?x2x4xf32>) outs(%a1 : tensor<2x?x4xf32>) {
    ^bb0(%a: f32, %old: f32):
      linalg.yield %a : f32
  } -> tensor<2x?x4xf32>
  %total = linalg.generic {indexing_maps = [#full, #part], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%e : tensor<2x2x?x?xf32>) outs(%s0 : tensor<2x2x?xf32>) {
    ^bb0(%a: f32, %sum: f32):
      %0 = arith.addf %a, %sum : f32
      linalg.yield %0 : f32
  } -> tensor<2x2x?xf32>
  %mixed = linalg.generic {indexing_maps = [#p5, #v5, #o5], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins(%e, %first : tensor<2x2x?x?xf32>, tensor<2x?x4xf32>) outs(%z2 : tensor<?x2x2x4xf32>) {
    ^bb0(%a: f32, %b: f32, %sum: f32):
      %0 = arith.mulf %a, %b : f32
      %1 = arith.addf %sum, %0 : f32
      linalg.yield %1 : f32
  } -> tensor<?x2x2x4xf32>
  %mean = linalg.generic {indexing_maps = [affine_map<(m, h, g, d) -> (m, h, g, d)>, affine_map<(m, h, g, d) -> (h, g, m)>, affine_map<(m, h, g, d) -> (m, h, g, d)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%mixed, %total : tensor<?x2x2x4xf32>, tensor<2x2x?xf32>) outs(%a2 : tensor<?x2x2x4xf32>) {
    ^bb0(%a: f32, %b: f32, %old: f32):
      %0 = arith.divf %a, %b : f32
      linalg.yield %0 : f32
  } -> tensor<?x2x2x4xf32>
  %n = tensor.collapse_shape %mean [[0], [1, 2, 3]] : tensor<?x2x2x4xf32> into tensor<?x16xf32>
  lowbit.observe %n for ["o"] [maxima] : tensor<?x16xf32>
  %r = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %o : tensor<?x16xf32>, tensor<8x16xf32>) outs(%z3 : tensor<?x8xf32>) -> tensor<?x8xf32>
  %out = linalg.generic {indexing_maps = [#e, #c, #e], iterator_types = ["parallel", "parallel"]} ins(%r, %obias : tensor<?x8xf32>, tensor<8xf32>) outs(%a3 : tensor<?x8xf32>) {
    ^bb0(%a: f32, %b: f32, %old: f32):
      %0 = arith.addf %a, %b : f32
      linalg.yield %0 : f32
  } -> tensor<?x8xf32>
  return %out : tensor<?x8xf32>
}

func.func @otherwise(%v: tensor<?x8xf32>, %e: tensor<2x2x?x?xf32>, %s: tensor<2x2x?xf32>, %q: tensor<2x2x?x?xf32>, %a1: tensor<2x?x4xf32>, %a2: tensor<?x2x2x4xf32>, %a3: tensor<?x8xf32>, %rows: index) -> tensor<?x8xf32> {
  %zero = arith.constant 0.0 : f32
  %vbias = lowbit.parameter "v.bias" : tensor<8xf32>
  %o = lowbit.parameter "o" : tensor<8x16xf32>
  %obias = lowbit.parameter "o.bias" : tensor<8xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s : tensor<2x2x?xf32>) -> tensor<2x2x?xf32>
  %z2 = linalg.fill ins(%zero : f32) outs(%a2 : tensor<?x2x2x4xf32>) -> tensor<?x2x2x4xf32>
  %z3 = linalg.fill ins(%zero : f32) outs(%a3 : tensor<?x8xf32>) -> tensor<?x8xf32>
  %biased = linalg.generic {indexing_maps = [#e, #c, #e], iterator_types = ["parallel", "parallel"]} ins(%v, %vbias : tensor<?x8xf32>, tensor<8xf32>) outs(%a3 : tensor<?x8xf32>) {
    ^bb0(%a: f32, %b: f32, %old: f32):
      %0 = arith.addf %a, %b : f32
      linalg.yield %0 : f32
  } -> tensor<?x8xf32>
  %heads = tensor.expand_shape %biased [[0], [1, 2]] output_shape [%rows, 2, 4] : tensor<?x8xf32> into tensor<?x2x4xf32>
  %first = linalg.generic {indexing_maps = [affine_map<(h, m, d) -> (m, h, d)>, affine_map<(h, m, d) -> (h, m, d)>], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%heads : tensor<?x2x4xf32>) outs(%a1 : tensor<2x?x4xf32>) {
    ^bb0(%a: f32, %old: f32):
      linalg.yield %a : f32
  } -> tensor<2x?x4xf32>
  %total = linalg.generic {indexing_maps = [#full, #other], iterator_types = ["parallel", "parallel", "reduction", "parallel"]} ins(%e : tensor<2x2x?x?xf32>) outs(%s0 : tensor<2x2x?xf32>) {
    ^bb0(%a: f32, %sum: f32):
      %0 = arith.addf %a, %sum : f32
      linalg.yield %0 : f32
  } -> tensor<2x2x?xf32>
  %p = linalg.generic {indexing_maps = [#full, #other, #full], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%e, %total : tensor<2x2x?x?xf32>, tensor<2x2x?xf32>) outs(%q : tensor<2x2x?x?xf32>) {
    ^bb0(%a: f32, %b: f32, %old: f32):
      %0 = arith.divf %a, %b : f32
      linalg.yield %0 : f32
  } -> tensor<2x2x?x?xf32>
  %mean = linalg.generic {indexing_maps = [#p5, #v5, #o5], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins(%p, %first : tensor<2x2x?x?xf32>, tensor<2x?x4xf32>) outs(%z2 : tensor<?x2x2x4xf32>) {
    ^bb0(%a: f32, %b: f32, %sum: f32):
      %0 = arith.mulf %a, %b : f32
      %1 = arith.addf %sum, %0 : f32
      linalg.yield %1 : f32
  } -> tensor<?x2x2x4xf32>
  %n = tensor.collapse_shape %mean [[0], [1, 2, 3]] : tensor<?x2x2x4xf32> into tensor<?x16xf32>
  lowbit.observe %n for ["o"] [maxima] : tensor<?x16xf32>
  %r = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %o : tensor<?x16xf32>, tensor<8x16xf32>) outs(%z3 : tensor<?x8xf32>) -> tensor<?x8xf32>
  %out = linalg.generic {indexing_maps = [#e, #c, #e], iterator_types = ["parallel", "parallel"]} ins(%r, %obias : tensor<?x8xf32>, tensor<8xf32>) outs(%a3 : tensor<?x8xf32>) {
    ^bb0(%a: f32, %b: f32, %old: f32):
      %0 = arith.addf %a, %b : f32
      linalg.yield %0 : f32
  } -> tensor<?x8xf32>
  return %out : tensor<?x8xf32>
}

// A sum of shifted rows is shifted by as many times as much: neither before a value nor behind it.
// CHECK-LABEL: func @summed(
// CHECK-SAME:    lowbit.shift_sinks = ["it also feeds 'linalg.generic', with no bias", "there is no bias before it"]
func.func @summed(%x: tensor<?x16xf32>, %o: tensor<?x16xf32>, %h: tensor<1x16xf32>, %z: tensor<?x8xf32>, %y: tensor<1x8xf32>) -> (tensor<?x8xf32>, tensor<1x8xf32>) {
  %zero = arith.constant 0.0 : f32
  %before = lowbit.parameter "before" : tensor<16xf32>
  %up = lowbit.parameter "up" : tensor<8x16xf32>
  %bias = lowbit.parameter "up.bias" : tensor<8xf32>
  %h0 = linalg.fill ins(%zero : f32) outs(%h : tensor<1x16xf32>) -> tensor<1x16xf32>
  %n = linalg.generic {indexing_maps = [#e, #c, #e], iterator_types = ["parallel", "parallel"]} ins(%x, %before : tensor<?x16xf32>, tensor<16xf32>) outs(%o : tensor<?x16xf32>) {
    ^bb0(%a: f32, %b: f32, %old: f32):
      %0 = arith.addf %a, %b : f32
      linalg.yield %0 : f32
  } -> tensor<?x16xf32>
  lowbit.observe %n for ["up"] [maxima] : tensor<?x16xf32>
  %rows = linalg.generic {indexing_maps = [#c, #e], iterator_types = ["parallel", "parallel"]} ins(%bias : tensor<8xf32>) outs(%z : tensor<?x8xf32>) {
    ^bb0(%b: f32, %old: f32):
      linalg.yield %b : f32
  } -> tensor<?x8xf32>
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %up : tensor<?x16xf32>, tensor<8x16xf32>) outs(%rows : tensor<?x8xf32>) -> tensor<?x8xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(i, m, k) -> (m, k)>, affine_map<(i, m, k) -> (i, k)>], iterator_types = ["parallel", "reduction", "parallel"]} ins(%n : tensor<?x16xf32>) outs(%h0 : tensor<1x16xf32>) {
    ^bb0(%a: f32, %s: f32):
      %0 = arith.addf %s, %a : f32
      linalg.yield %0 : f32
  } -> tensor<1x16xf32>
  lowbit.observe %sum for ["up"] [maxima] : tensor<1x16xf32>
  %q = linalg.matmul indexing_maps = [#x, #w, #y] ins(%sum, %up : tensor<1x16xf32>, tensor<8x16xf32>) outs(%y : tensor<1x8xf32>) -> tensor<1x8xf32>
  return %p, %q : tensor<?x8xf32>, tensor<1x8xf32>
}
