// RUN: lowbit-opt %s -split-input-file --pass-pipeline='builtin.module(func.func(lowbit-fuse-decodes),canonicalize,cse)' | FileCheck %s

#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>
#id = affine_map<(i) -> (i)>

// Two states of different blocks: the loops get the shape of one of them, the other is read from a buffer. The parameter,
// which no op computes, is updated where it is.

// CHECK-LABEL: func @update(
// CHECK-SAME: %[[G:.*]]: tensor<128xf32>, %[[P:.*]]: tensor<128xf32>, %[[MC:.*]]: tensor<2x64xi8>, %[[MS:.*]]: tensor<2xf32>, %[[VC:.*]]: tensor<4x32xi8>, %[[VS:.*]]: tensor<4xf32>
// CHECK-DAG: %[[GRADIENT:.*]] = tensor.expand_shape %[[G]] {{.*}} output_shape [4, 32]
// CHECK-DAG: %[[PARAMETER:.*]] = tensor.expand_shape %[[P]] {{.*}} output_shape [4, 32]
// CHECK-DAG: %[[M:.*]] = linalg.generic {{.*}} ins(%[[MC]], %[[MS]] :
// CHECK-DAG: %[[FLAT:.*]] = tensor.collapse_shape %[[M]]
// CHECK-DAG: %[[FIRST:.*]] = tensor.expand_shape %[[FLAT]] {{.*}} output_shape [4, 32]
// CHECK: linalg.generic {{.*}} ins(%[[GRADIENT]], %[[VC]], %[[VS]], %[[FIRST]] : {{.*}}) outs(%[[PARAMETER]], %{{.*}} : tensor<4x32xf32>, tensor<4x32xf32>) {
// CHECK: arith.uitofp
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @update(%g: tensor<128xf32>, %p: tensor<128xf32>, %mc: tensor<2x64xi8>, %ms: tensor<2xf32>, %vc: tensor<4x32xi8>,
                  %vs: tensor<4xf32>) -> (tensor<128xf32>, tensor<128xf32>) {
  %me = tensor.empty() : tensor<2x64xf32>
  %mb = linalg.generic {indexing_maps = [#ij, #i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%mc, %ms : tensor<2x64xi8>, tensor<2xf32>) outs(%me : tensor<2x64xf32>) {
    ^bb0(%code: i8, %s: f32, %out: f32):
      %q = arith.sitofp %code : i8 to f32
      %x = arith.mulf %s, %q : f32
      linalg.yield %x : f32
  } -> tensor<2x64xf32>
  %m = tensor.collapse_shape %mb [[0, 1]] : tensor<2x64xf32> into tensor<128xf32>
  %ve = tensor.empty() : tensor<4x32xf32>
  %vb = linalg.generic {indexing_maps = [#ij, #i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%vc, %vs : tensor<4x32xi8>, tensor<4xf32>) outs(%ve : tensor<4x32xf32>) {
    ^bb0(%code: i8, %s: f32, %out: f32):
      %q = arith.uitofp %code : i8 to f32
      %x = arith.mulf %s, %q : f32
      linalg.yield %x : f32
  } -> tensor<4x32xf32>
  %v = tensor.collapse_shape %vb [[0, 1]] : tensor<4x32xf32> into tensor<128xf32>
  %new:2 = linalg.generic {indexing_maps = [#id, #id, #id, #id], iterator_types = ["parallel"]}
      ins(%g, %v : tensor<128xf32>, tensor<128xf32>) outs(%p, %m : tensor<128xf32>, tensor<128xf32>) {
    ^bb0(%in: f32, %v0: f32, %w: f32, %m0: f32):
      %m1 = arith.addf %m0, %in : f32
      %step = arith.divf %m1, %v0 : f32
      %w1 = arith.subf %w, %step : f32
      linalg.yield %w1, %m1 : f32, f32
  } -> (tensor<128xf32>, tensor<128xf32>)
  return %new#0, %new#1 : tensor<128xf32>, tensor<128xf32>
}

// -----

// Without blocks there is nothing to expand.

// CHECK-LABEL: func @whole(
// CHECK: linalg.generic
// CHECK: arith.sitofp
// CHECK: math.exp
// CHECK-NOT: linalg.generic
#ij = affine_map<(i, j) -> (i, j)>
func.func @whole(%codes: tensor<?x64xi8>, %e: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %x = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%codes : tensor<?x64xi8>) outs(%e : tensor<?x64xf32>) {
    ^bb0(%code: i8, %out: f32):
      %q = arith.sitofp %code : i8 to f32
      linalg.yield %q : f32
  } -> tensor<?x64xf32>
  %y = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x64xf32>) outs(%e : tensor<?x64xf32>) {
    ^bb0(%in: f32, %out: f32):
      %p = math.exp %in : f32
      linalg.yield %p : f32
  } -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// What is broadcast would be decoded once for each row, what two ops read twice, and a reduction is no elementwise op.

// CHECK-LABEL: func @refused(
// CHECK-COUNT-5: linalg.generic
#ij = affine_map<(i, j) -> (i, j)>
#j = affine_map<(i, j) -> (j)>
#i = affine_map<(i, j) -> (i)>
#id = affine_map<(i) -> (i)>
func.func @refused(%codes: tensor<64xi8>, %more: tensor<8x64xi8>, %x: tensor<8x64xf32>, %z: tensor<8xf32>)
    -> (tensor<8x64xf32>, tensor<8x64xf32>, tensor<8xf32>) {
  %e = tensor.empty() : tensor<64xf32>
  %row = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%codes : tensor<64xi8>) outs(%e : tensor<64xf32>) {
    ^bb0(%code: i8, %out: f32):
      %q = arith.sitofp %code : i8 to f32
      linalg.yield %q : f32
  } -> tensor<64xf32>
  %e2 = tensor.empty() : tensor<8x64xf32>
  %y = linalg.generic {indexing_maps = [#ij, #j, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x, %row : tensor<8x64xf32>, tensor<64xf32>) outs(%e2 : tensor<8x64xf32>) {
    ^bb0(%a: f32, %b: f32, %out: f32):
      %p = arith.mulf %a, %b : f32
      linalg.yield %p : f32
  } -> tensor<8x64xf32>
  %twice = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%more : tensor<8x64xi8>) outs(%e2 : tensor<8x64xf32>) {
    ^bb0(%code: i8, %out: f32):
      %q = arith.uitofp %code : i8 to f32
      linalg.yield %q : f32
  } -> tensor<8x64xf32>
  %u = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%twice : tensor<8x64xf32>) outs(%e2 : tensor<8x64xf32>) {
    ^bb0(%a: f32, %out: f32):
      %p = math.sqrt %a : f32
      linalg.yield %p : f32
  } -> tensor<8x64xf32>
  %sum = linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%twice : tensor<8x64xf32>) outs(%z : tensor<8xf32>) {
    ^bb0(%a: f32, %s: f32):
      %p = arith.addf %a, %s : f32
      linalg.yield %p : f32
  } -> tensor<8xf32>
  return %y, %u, %sum : tensor<8x64xf32>, tensor<8x64xf32>, tensor<8xf32>
}
