// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-overlap-updates))' | FileCheck %s

#e = affine_map<(i, j) -> (i, j)>
#b = affine_map<(i, j) -> (i)>

// The step, which nothing waits for, is computed with both codes; their scales come first, and its view follows. The root that it divides by
// stays in the first loop.

// CHECK-LABEL: func @both_codes(
// CHECK: %[[NEW:.*]]:3 = linalg.generic
// CHECK: %[[ROOT:.*]] = math.sqrt
// CHECK-NOT: arith.divf
// CHECK: linalg.yield %{{.*}}, %{{.*}}, %[[ROOT]]
// CHECK: %[[M:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} ins(%[[NEW]]#0
// CHECK: %[[V:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} ins(%[[NEW]]#1
// CHECK: %[[REST:.*]]:3 = linalg.generic {{.*}} ins(%[[NEW]]#0, %[[NEW]]#1, %[[NEW]]#2, %[[V]], %[[M]] :
// CHECK-NOT: math.sqrt
// CHECK: arith.divf
// CHECK: arith.fptosi
// CHECK: arith.fptosi
// CHECK: tensor.collapse_shape %[[REST]]#0
// CHECK-NOT: linalg.generic
func.func @both_codes(%g: tensor<2x64xf32>, %p: tensor<2x64xf32>, %none: tensor<2xf32>) -> (tensor<128xf32>, tensor<2x64xi8>, tensor<2x64xi8>) {
  %empty = tensor.empty() : tensor<2x64xf32>
  %new:3 = linalg.generic {indexing_maps = [#e, #e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%g : tensor<2x64xf32>) outs(%p, %empty, %empty : tensor<2x64xf32>, tensor<2x64xf32>, tensor<2x64xf32>) {
    ^bb0(%x: f32, %old: f32, %o1: f32, %o2: f32):
      %m = arith.addf %x, %x : f32
      %v = arith.mulf %x, %x : f32
      %root = math.sqrt %v : f32
      %q = arith.divf %m, %root : f32
      %step = arith.subf %old, %q : f32
      linalg.yield %step, %m, %v : f32, f32, f32
  } -> (tensor<2x64xf32>, tensor<2x64xf32>, tensor<2x64xf32>)
  %flat = tensor.collapse_shape %new#0 [[0, 1]] : tensor<2x64xf32> into tensor<128xf32>
  %codes = tensor.empty() : tensor<2x64xi8>
  %sm = linalg.generic {indexing_maps = [#e, #b], iterator_types = ["parallel", "reduction"]}
      ins(%new#1 : tensor<2x64xf32>) outs(%none : tensor<2xf32>) {
    ^bb0(%x: f32, %most: f32):
      %r = arith.maximumf %x, %most : f32
      linalg.yield %r : f32
  } -> tensor<2xf32>
  %cm = linalg.generic {indexing_maps = [#e, #b, #e], iterator_types = ["parallel", "parallel"]}
      ins(%new#1, %sm : tensor<2x64xf32>, tensor<2xf32>) outs(%codes : tensor<2x64xi8>) {
    ^bb0(%x: f32, %s: f32, %out: i8):
      %q = arith.divf %x, %s : f32
      %c = arith.fptosi %q : f32 to i8
      linalg.yield %c : i8
  } -> tensor<2x64xi8>
  %sv = linalg.generic {indexing_maps = [#e, #b], iterator_types = ["parallel", "reduction"]}
      ins(%new#2 : tensor<2x64xf32>) outs(%none : tensor<2xf32>) {
    ^bb0(%x: f32, %most: f32):
      %r = arith.maximumf %x, %most : f32
      linalg.yield %r : f32
  } -> tensor<2xf32>
  %cv = linalg.generic {indexing_maps = [#e, #b, #e], iterator_types = ["parallel", "parallel"]}
      ins(%new#2, %sv : tensor<2x64xf32>, tensor<2xf32>) outs(%codes : tensor<2x64xi8>) {
    ^bb0(%x: f32, %s: f32, %out: i8):
      %q = arith.mulf %x, %s : f32
      %c = arith.fptosi %q : f32 to i8
      linalg.yield %c : i8
  } -> tensor<2x64xi8>
  return %flat, %cm, %cv : tensor<128xf32>, tensor<2x64xi8>, tensor<2x64xi8>
}

// Codes of codes stay behind them; lengths that are not known are left alone.

// CHECK-LABEL: func @chain(
// CHECK-COUNT-2: linalg.generic
// CHECK: arith.fptosi
// CHECK-LABEL: func @unknown(
// CHECK: linalg.yield %{{.*}}, %{{.*}} : f32, f32
func.func @chain(%g: tensor<2x64xf32>, %p: tensor<2x64xf32>) -> (tensor<2x64xf32>, tensor<2x64xf32>, tensor<2x64xi8>) {
  %empty = tensor.empty() : tensor<2x64xf32>
  %new:2 = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%g : tensor<2x64xf32>) outs(%p, %empty : tensor<2x64xf32>, tensor<2x64xf32>) {
    ^bb0(%x: f32, %old: f32, %o1: f32):
      %m = arith.addf %x, %x : f32
      %step = arith.subf %old, %m : f32
      linalg.yield %step, %m : f32, f32
  } -> (tensor<2x64xf32>, tensor<2x64xf32>)
  %left = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%new#1 : tensor<2x64xf32>) outs(%empty : tensor<2x64xf32>) {
    ^bb0(%x: f32, %out: f32):
      %r = arith.negf %x : f32
      linalg.yield %r : f32
  } -> tensor<2x64xf32>
  %codes = tensor.empty() : tensor<2x64xi8>
  %cm = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%new#1, %left : tensor<2x64xf32>, tensor<2x64xf32>) outs(%codes : tensor<2x64xi8>) {
    ^bb0(%x: f32, %s: f32, %out: i8):
      %q = arith.divf %x, %s : f32
      %c = arith.fptosi %q : f32 to i8
      linalg.yield %c : i8
  } -> tensor<2x64xi8>
  return %new#0, %left, %cm : tensor<2x64xf32>, tensor<2x64xf32>, tensor<2x64xi8>
}
func.func @unknown(%g: tensor<?x64xf32>, %p: tensor<?x64xf32>, %to: tensor<?x64xi8>, %q: tensor<?x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xi8>) {
  %new:2 = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%g : tensor<?x64xf32>) outs(%p, %q : tensor<?x64xf32>, tensor<?x64xf32>) {
    ^bb0(%x: f32, %old: f32, %o1: f32):
      %m = arith.addf %x, %x : f32
      %step = arith.subf %old, %m : f32
      linalg.yield %step, %m : f32, f32
  } -> (tensor<?x64xf32>, tensor<?x64xf32>)
  %cm = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%new#1 : tensor<?x64xf32>) outs(%to : tensor<?x64xi8>) {
    ^bb0(%x: f32, %out: i8):
      %c = arith.fptosi %x : f32 to i8
      linalg.yield %c : i8
  } -> tensor<?x64xi8>
  return %new#0, %cm : tensor<?x64xf32>, tensor<?x64xi8>
}

// What an update is joined with has several results itself.

// CHECK-LABEL: func @update_of_an_update(
// CHECK: linalg.generic
// CHECK: %[[REST:.*]]:3 = linalg.generic
// CHECK-NOT: linalg.generic
// CHECK: return %[[REST]]#0, %[[REST]]#1, %[[REST]]#2
func.func @update_of_an_update(%g: tensor<2x64xf32>, %p: tensor<2x64xf32>) -> (tensor<2x64xf32>, tensor<2x64xf32>, tensor<2x64xi8>) {
  %empty = tensor.empty() : tensor<2x64xf32>
  %new:2 = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%g : tensor<2x64xf32>) outs(%p, %empty : tensor<2x64xf32>, tensor<2x64xf32>) {
    ^bb0(%x: f32, %old: f32, %o1: f32):
      %m = arith.addf %x, %x : f32
      %step = arith.subf %old, %m : f32
      linalg.yield %step, %m : f32, f32
  } -> (tensor<2x64xf32>, tensor<2x64xf32>)
  %codes = tensor.empty() : tensor<2x64xi8>
  %both:2 = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%new#1 : tensor<2x64xf32>) outs(%empty, %codes : tensor<2x64xf32>, tensor<2x64xi8>) {
    ^bb0(%x: f32, %o1: f32, %o2: i8):
      %r = arith.negf %x : f32
      %c = arith.fptosi %x : f32 to i8
      linalg.yield %r, %c : f32, i8
  } -> (tensor<2x64xf32>, tensor<2x64xi8>)
  return %new#0, %both#0, %both#1 : tensor<2x64xf32>, tensor<2x64xf32>, tensor<2x64xi8>
}
