// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-find-bases))' | FileCheck %s
// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-find-bases{change=permutation}))' | FileCheck %s --check-prefix=ORDER
// RUN: not lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-find-bases{change=shear}))' 2>&1 | FileCheck %s --check-prefix=WRONG

// WRONG: error: 'shear' is no change of a basis: give rotation or permutation

#e = affine_map<(m, k) -> (m, k)>
#c = affine_map<(m, k) -> (k)>
#r = affine_map<(m, k) -> (m)>
#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>

// A residual stream: from a table by a loop, through a root mean square norm whose gain goes into the weights behind it, back by another matrix with
// a bias, and to a head behind a gain of its own.
// CHECK-LABEL: func @stream(
// CHECK-SAME:    lowbit.bases = [{extent = 16 : i64, gains = ["gain", "last"], members = [
// CHECK-SAME:      {axis = 0 : i64, parameter = "bias", stride = 1 : i64},
// CHECK-SAME:      {axis = 0 : i64, parameter = "down", stride = 1 : i64},
// CHECK-SAME:      {axis = 1 : i64, gain = "last", parameter = "head", stride = 1 : i64},
// CHECK-SAME:      {axis = 1 : i64, parameter = "table", stride = 1 : i64},
// CHECK-SAME:      {axis = 1 : i64, gain = "gain", parameter = "up", stride = 1 : i64}],
// CHECK-SAME:      taps = array<i64: 0, 2>}
// CHECK-SAME:      {reason = "no rotation passes through 'math.erf'", taps = array<i64: 1>}]
// An order is the same behind what is not linear, too; gains have it.
// ORDER-LABEL: func @stream(
// ORDER-SAME:    lowbit.bases = [{extent = 16 : i64, gains = [], members = [
// ORDER-SAME:      {axis = 0 : i64, parameter = "gain", stride = 1 : i64}
// ORDER-SAME:      taps = array<i64: 0, 2>}
// ORDER-SAME:      {extent = 32 : i64, gains = [], members = [
// ORDER-SAME:      {axis = 1 : i64, parameter = "down", stride = 1 : i64}, {axis = 0 : i64, parameter = "up", stride = 1 : i64}], taps = array<i64: 1>}]
func.func @stream(%ids: tensor<?xindex>, %o: tensor<?x16xf32>, %h: tensor<?x32xf32>, %s: tensor<?xf32>, %z: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %zero = arith.constant 0.0 : f32
  %width = arith.constant 16.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %rows = tensor.dim %ids, %c0 : tensor<?xindex>
  %table = lowbit.parameter "table" : tensor<50x16xf32>
  %gain = lowbit.parameter "gain" : tensor<16xf32>
  %up = lowbit.parameter "up" : tensor<32x16xf32>
  %down = lowbit.parameter "down" : tensor<16x32xf32>
  %bias = lowbit.parameter "bias" : tensor<16xf32>
  %last = lowbit.parameter "last" : tensor<16xf32>
  %head = lowbit.parameter "head" : tensor<8x16xf32>
  %empty = tensor.empty(%rows) : tensor<?x16xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%s : tensor<?xf32>) -> tensor<?xf32>
  %wide0 = linalg.fill ins(%zero : f32) outs(%h : tensor<?x32xf32>) -> tensor<?x32xf32>
  %x = scf.for %i = %c0 to %rows step %c1 iter_args(%filled = %empty) -> tensor<?x16xf32> {
    %id = tensor.extract %ids[%i] : tensor<?xindex>
    %row = tensor.extract_slice %table[%id, 0] [1, 16] [1, 1] : tensor<50x16xf32> to tensor<16xf32>
    %more = tensor.insert_slice %row into %filled[%i, 0] [1, 16] [1, 1] : tensor<16xf32> into tensor<?x16xf32>
    scf.yield %more : tensor<?x16xf32>
  }
  %squares = linalg.generic {indexing_maps = [#e, #r], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<?x16xf32>) outs(%sum0 : tensor<?xf32>) {
    ^bb0(%a: f32, %old: f32):
      %0 = arith.mulf %a, %a : f32
      %1 = arith.addf %old, %0 : f32
      linalg.yield %1 : f32
  } -> tensor<?xf32>
  %n = linalg.generic {indexing_maps = [#e, #r, #c, #e], iterator_types = ["parallel", "parallel"]}
      ins(%x, %squares, %gain : tensor<?x16xf32>, tensor<?xf32>, tensor<16xf32>) outs(%o : tensor<?x16xf32>) {
    ^bb0(%a: f32, %q: f32, %g: f32, %old: f32):
      %0 = arith.divf %q, %width : f32
      %1 = math.rsqrt %0 : f32
      %2 = arith.mulf %a, %1 : f32
      %3 = arith.mulf %2, %g : f32
      linalg.yield %3 : f32
  } -> tensor<?x16xf32>
  lowbit.observe %n for ["up"] [maxima] : tensor<?x16xf32>
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %up : tensor<?x16xf32>, tensor<32x16xf32>) outs(%wide0 : tensor<?x32xf32>) -> tensor<?x32xf32>
  %act = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<?x32xf32>) outs(%h : tensor<?x32xf32>) {
    ^bb0(%a: f32, %old: f32):
      %0 = math.erf %a : f32
      linalg.yield %0 : f32
  } -> tensor<?x32xf32>
  lowbit.observe %act for ["down"] [maxima] : tensor<?x32xf32>
  %back = linalg.matmul indexing_maps = [#x, #w, #y] ins(%act, %down : tensor<?x32xf32>, tensor<16x32xf32>) outs(%x : tensor<?x16xf32>) -> tensor<?x16xf32>
  %biased = linalg.generic {indexing_maps = [#e, #c, #e], iterator_types = ["parallel", "parallel"]} ins(%back, %bias : tensor<?x16xf32>, tensor<16xf32>) outs(%o : tensor<?x16xf32>) {
    ^bb0(%a: f32, %b: f32, %old: f32):
      %0 = arith.addf %a, %b : f32
      linalg.yield %0 : f32
  } -> tensor<?x16xf32>
  %scaled = linalg.generic {indexing_maps = [#e, #c, #e], iterator_types = ["parallel", "parallel"]} ins(%biased, %last : tensor<?x16xf32>, tensor<16xf32>) outs(%o : tensor<?x16xf32>) {
    ^bb0(%a: f32, %g: f32, %old: f32):
      %0 = arith.mulf %a, %g : f32
      linalg.yield %0 : f32
  } -> tensor<?x16xf32>
  lowbit.observe %scaled for ["head"] [maxima] : tensor<?x16xf32>
  %logits = linalg.matmul indexing_maps = [#x, #w, #y] ins(%scaled, %head : tensor<?x16xf32>, tensor<8x16xf32>) outs(%z : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %logits : tensor<?x8xf32>
}

// The mean is subtracted, and a bias is behind the gain: ones stay where they are, and the bias is divided by the gain that goes on.
// CHECK-LABEL: func @mean(
// CHECK-SAME:    lowbit.bases = [{extent = 16 : i64, gains = ["gain"], keeps_ones, members = [
// CHECK-SAME:      {axis = 0 : i64, divided = "gain", parameter = "bias", stride = 1 : i64}, {axis = 0 : i64, parameter = "in", stride = 1 : i64}, {axis = 1 : i64, gain = "gain", parameter = "up", stride = 1 : i64}]
func.func @mean(%t: tensor<?x4xf32>, %o: tensor<?x16xf32>, %s: tensor<?xf32>, %z: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %zero = arith.constant 0.0 : f32
  %width = arith.constant 16.0 : f32
  %in = lowbit.parameter "in" : tensor<16x4xf32>
  %gain = lowbit.parameter "gain" : tensor<16xf32>
  %bias = lowbit.parameter "bias" : tensor<16xf32>
  %up = lowbit.parameter "up" : tensor<32x16xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%o : tensor<?x16xf32>) -> tensor<?x16xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%s : tensor<?xf32>) -> tensor<?xf32>
  %x = linalg.matmul indexing_maps = [#x, #w, #y] ins(%t, %in : tensor<?x4xf32>, tensor<16x4xf32>) outs(%zeros : tensor<?x16xf32>) -> tensor<?x16xf32>
  %sum = linalg.generic {indexing_maps = [#e, #r], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<?x16xf32>) outs(%sum0 : tensor<?xf32>) {
    ^bb0(%a: f32, %old: f32):
      %0 = arith.addf %a, %old : f32
      linalg.yield %0 : f32
  } -> tensor<?xf32>
  %n = linalg.generic {indexing_maps = [#e, #r, #c, #c, #e], iterator_types = ["parallel", "parallel"]}
      ins(%x, %sum, %gain, %bias : tensor<?x16xf32>, tensor<?xf32>, tensor<16xf32>, tensor<16xf32>) outs(%o : tensor<?x16xf32>) {
    ^bb0(%a: f32, %q: f32, %g: f32, %b: f32, %old: f32):
      %0 = arith.divf %q, %width : f32
      %1 = arith.subf %a, %0 : f32
      %2 = arith.mulf %1, %g : f32
      %3 = arith.addf %2, %b : f32
      linalg.yield %3 : f32
  } -> tensor<?x16xf32>
  lowbit.observe %n for ["up"] [maxima] : tensor<?x16xf32>
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %up : tensor<?x16xf32>, tensor<32x16xf32>) outs(%z : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %p : tensor<?x32xf32>
}

// Behind the residual: what the gain scales is added again.
// CHECK-LABEL: func @residual(
// CHECK-SAME:    lowbit.bases = [{reason = "the gain 'gain' cannot go into the weights that read it: what it scales also feeds 'linalg.generic'", taps = array<i64: 0>}]
// An order would be that of the result.
// ORDER-LABEL: func @residual(
// ORDER-SAME:    lowbit.bases = [{reason = "it is what the function gives", taps = array<i64: 0>}]
func.func @residual(%t: tensor<?x4xf32>, %o: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %zero = arith.constant 0.0 : f32
  %in = lowbit.parameter "in" : tensor<16x4xf32>
  %gain = lowbit.parameter "gain" : tensor<16xf32>
  %square = lowbit.parameter "square" : tensor<16x16xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%o : tensor<?x16xf32>) -> tensor<?x16xf32>
  %x = linalg.matmul indexing_maps = [#x, #w, #y] ins(%t, %in : tensor<?x4xf32>, tensor<16x4xf32>) outs(%zeros : tensor<?x16xf32>) -> tensor<?x16xf32>
  %n = linalg.generic {indexing_maps = [#e, #c, #e], iterator_types = ["parallel", "parallel"]} ins(%x, %gain : tensor<?x16xf32>, tensor<16xf32>) outs(%o : tensor<?x16xf32>) {
    ^bb0(%a: f32, %g: f32, %old: f32):
      %0 = arith.mulf %a, %g : f32
      linalg.yield %0 : f32
  } -> tensor<?x16xf32>
  lowbit.observe %n for ["square"] [maxima] : tensor<?x16xf32>
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %square : tensor<?x16xf32>, tensor<16x16xf32>) outs(%zeros : tensor<?x16xf32>) -> tensor<?x16xf32>
  %sum = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]} ins(%p, %n : tensor<?x16xf32>, tensor<?x16xf32>) outs(%o : tensor<?x16xf32>) {
    ^bb0(%a: f32, %b: f32, %old: f32):
      %0 = arith.addf %a, %b : f32
      linalg.yield %0 : f32
  } -> tensor<?x16xf32>
  return %sum : tensor<?x16xf32>
}

// A parameter that something else reads.
// CHECK-LABEL: func @shared(
// CHECK-SAME:    lowbit.bases = [{reason = "'in' is also used by 'linalg.generic'", taps = array<i64: 0>}]
func.func @shared(%t: tensor<?x16xf32>, %o: tensor<?x16xf32>, %s: tensor<16xf32>, %z: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<16xf32>) {
  %zero = arith.constant 0.0 : f32
  %in = lowbit.parameter "in" : tensor<16x16xf32>
  %up = lowbit.parameter "up" : tensor<8x16xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%o : tensor<?x16xf32>) -> tensor<?x16xf32>
  %x = linalg.matmul indexing_maps = [#x, #w, #y] ins(%t, %in : tensor<?x16xf32>, tensor<16x16xf32>) outs(%zeros : tensor<?x16xf32>) -> tensor<?x16xf32>
  lowbit.observe %x for ["up"] [maxima] : tensor<?x16xf32>
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %up : tensor<?x16xf32>, tensor<8x16xf32>) outs(%z : tensor<?x8xf32>) -> tensor<?x8xf32>
  %sum = linalg.generic {indexing_maps = [#e, #c], iterator_types = ["reduction", "parallel"]} ins(%in : tensor<16x16xf32>) outs(%s : tensor<16xf32>) {
    ^bb0(%a: f32, %old: f32):
      %0 = arith.addf %a, %old : f32
      linalg.yield %0 : f32
  } -> tensor<16xf32>
  return %p, %sum : tensor<?x8xf32>, tensor<16xf32>
}

// A gated product can be in another order, but in no other basis.
// CHECK-LABEL: func @gated(
// CHECK-SAME:    lowbit.bases = [{reason = "it is multiplied with what differs by channel, in 'linalg.generic'", taps = array<i64: 0>}]
// ORDER-LABEL: func @gated(
// ORDER-SAME:    lowbit.bases = [{extent = 16 : i64, gains = [], members = [
// ORDER-SAME:      {axis = 1 : i64, parameter = "down", stride = 1 : i64}, {axis = 0 : i64, parameter = "gate", stride = 1 : i64}, {axis = 0 : i64, parameter = "up", stride = 1 : i64}]
func.func @gated(%t: tensor<?x4xf32>, %o: tensor<?x16xf32>, %z: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %zero = arith.constant 0.0 : f32
  %gate = lowbit.parameter "gate" : tensor<16x4xf32>
  %up = lowbit.parameter "up" : tensor<16x4xf32>
  %down = lowbit.parameter "down" : tensor<8x16xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%o : tensor<?x16xf32>) -> tensor<?x16xf32>
  %g = linalg.matmul indexing_maps = [#x, #w, #y] ins(%t, %gate : tensor<?x4xf32>, tensor<16x4xf32>) outs(%zeros : tensor<?x16xf32>) -> tensor<?x16xf32>
  %u = linalg.matmul indexing_maps = [#x, #w, #y] ins(%t, %up : tensor<?x4xf32>, tensor<16x4xf32>) outs(%zeros : tensor<?x16xf32>) -> tensor<?x16xf32>
  %n = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]} ins(%g, %u : tensor<?x16xf32>, tensor<?x16xf32>) outs(%o : tensor<?x16xf32>) {
    ^bb0(%a: f32, %b: f32, %old: f32):
      %0 = arith.mulf %a, %b : f32
      linalg.yield %0 : f32
  } -> tensor<?x16xf32>
  lowbit.observe %n for ["down"] [maxima] : tensor<?x16xf32>
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%n, %down : tensor<?x16xf32>, tensor<8x16xf32>) outs(%z : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %p : tensor<?x8xf32>
}

// A stage: parameters are its arguments. Two query heads share each of two value heads of four elements, through a cache: each head is rotated by itself.
// CHECK-LABEL: func @attention(
// CHECK-SAME:    lowbit.bases = [{extent = 4 : i64, gains = [], members = [
// CHECK-SAME:      {argument = 2 : i64, axis = 0 : i64, stride = 1 : i64}, {argument = 4 : i64, axis = 1 : i64, stride = 1 : i64}], taps = array<i64: 0>}]
// ORDER-LABEL: func @attention(
// ORDER-SAME:    lowbit.bases = [{extent = 4 : i64
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

// Half of the channels alone go on: rotary embeddings do so with queries.
// CHECK-LABEL: func @half(
// CHECK-SAME:    lowbit.bases = [{reason = "it goes through a slice of its channels", taps = array<i64: 0>}]
// ORDER-LABEL: func @half(
// ORDER-SAME:    lowbit.bases = [{reason = "it goes through a slice of its channels", taps = array<i64: 0>}]
func.func @half(%x: tensor<?x16xf32>, %q: tensor<16x16xf32>, %o: tensor<?x16xf32>, %up: tensor<4x8xf32>, %z: tensor<?x4xf32>, %rows: index) -> tensor<?x4xf32> {
  %zero = arith.constant 0.0 : f32
  %zeros = linalg.fill ins(%zero : f32) outs(%o : tensor<?x16xf32>) -> tensor<?x16xf32>
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %q : tensor<?x16xf32>, tensor<16x16xf32>) outs(%zeros : tensor<?x16xf32>) -> tensor<?x16xf32>
  %h = tensor.extract_slice %p[0, 0] [%rows, 8] [1, 1] : tensor<?x16xf32> to tensor<?x8xf32>
  lowbit.observe %h for ["up"] [maxima] : tensor<?x8xf32>
  %r = linalg.matmul indexing_maps = [#x, #w, #y] ins(%h, %up : tensor<?x8xf32>, tensor<4x8xf32>) outs(%z : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %r : tensor<?x4xf32>
}

// What is summed is used once more: the result depends on the order.
// CHECK-LABEL: func @recurrent(
// CHECK-SAME:    lowbit.bases = [{reason = "its channels are reduced otherwise than by a sum, in 'linalg.generic'", taps = array<i64: 0>}]
// ORDER-LABEL: func @recurrent(
// ORDER-SAME:    lowbit.bases = [{reason = "its channels are reduced otherwise than by a sum, in 'linalg.generic'", taps = array<i64: 0>}]
func.func @recurrent(%t: tensor<?x4xf32>, %o: tensor<?x16xf32>, %s: tensor<?xf32>, %z: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?xf32>) {
  %zero = arith.constant 0.0 : f32
  %in = lowbit.parameter "in" : tensor<16x4xf32>
  %up = lowbit.parameter "up" : tensor<8x16xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%o : tensor<?x16xf32>) -> tensor<?x16xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%s : tensor<?xf32>) -> tensor<?xf32>
  %x = linalg.matmul indexing_maps = [#x, #w, #y] ins(%t, %in : tensor<?x4xf32>, tensor<16x4xf32>) outs(%zeros : tensor<?x16xf32>) -> tensor<?x16xf32>
  lowbit.observe %x for ["up"] [maxima] : tensor<?x16xf32>
  %p = linalg.matmul indexing_maps = [#x, #w, #y] ins(%x, %up : tensor<?x16xf32>, tensor<8x16xf32>) outs(%z : tensor<?x8xf32>) -> tensor<?x8xf32>
  %sum = linalg.generic {indexing_maps = [#e, #r], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<?x16xf32>) outs(%sum0 : tensor<?xf32>) {
    ^bb0(%a: f32, %old: f32):
      %0 = arith.mulf %old, %old : f32
      %1 = arith.subf %a, %0 : f32
      %2 = arith.addf %old, %1 : f32
      linalg.yield %2 : f32
  } -> tensor<?xf32>
  return %p, %sum : tensor<?x8xf32>, tensor<?xf32>
}
