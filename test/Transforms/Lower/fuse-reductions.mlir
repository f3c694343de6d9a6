// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-fuse-reductions))' --split-input-file | FileCheck %s
// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-fuse-reductions),one-shot-bufferize{bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map},func.func(lowbit-vectorize-elementwise))' --split-input-file | FileCheck %s --check-prefix=LOOP

#e = affine_map<(i, j) -> (i, j)>
#b = affine_map<(i, j) -> (i)>

// Both reductions, and what the second begins with, become results of the op. In its loop vectors are stored as they are combined.

// CHECK-LABEL: func @both(
// CHECK: %[[FILL:.*]] = linalg.fill
// CHECK: %[[ALL:.*]]:4 = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} {{.*}} outs(%{{.*}}, %{{.*}}, %{{.*}}, %[[FILL]] :
// CHECK: arith.maxui
// CHECK: arith.minsi
// CHECK-NOT: linalg.generic
// CHECK: return %[[ALL]]#0, %[[ALL]]#1, %[[ALL]]#2, %[[ALL]]#3
// LOOP-LABEL: func @both(
// LOOP: scf.for {{.*}} iter_args
// LOOP-COUNT-8: vector.store
// LOOP: scf.yield
// LOOP-NOT: linalg.generic
// LOOP: return
func.func @both(%x: tensor<2x128xi32>, %none: tensor<2xi32>) -> (tensor<2x128xi32>, tensor<2x128xi32>, tensor<2xi32>, tensor<2xi32>) {
  %empty = tensor.empty() : tensor<2x128xi32>
  %new:2 = linalg.generic {indexing_maps = [#e, #e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<2x128xi32>) outs(%empty, %empty : tensor<2x128xi32>, tensor<2x128xi32>) {
    ^bb0(%in: i32, %o1: i32, %o2: i32):
      %a = arith.addi %in, %in : i32
      %m = arith.muli %in, %in : i32
      linalg.yield %a, %m : i32, i32
  } -> (tensor<2x128xi32>, tensor<2x128xi32>)
  %most = linalg.generic {indexing_maps = [#e, #b], iterator_types = ["parallel", "reduction"]}
      ins(%new#0 : tensor<2x128xi32>) outs(%none : tensor<2xi32>) {
    ^bb0(%in: i32, %out: i32):
      %r = arith.maxui %in, %out : i32
      linalg.yield %r : i32
  } -> tensor<2xi32>
  %zero = arith.constant 0 : i32
  %two = tensor.empty() : tensor<2xi32>
  %zeros = linalg.fill ins(%zero : i32) outs(%two : tensor<2xi32>) -> tensor<2xi32>
  %least = linalg.generic {indexing_maps = [#e, #b], iterator_types = ["parallel", "reduction"]}
      ins(%new#1 : tensor<2x128xi32>) outs(%zeros : tensor<2xi32>) {
    ^bb0(%in: i32, %out: i32):
      %r = arith.minsi %in, %out : i32
      linalg.yield %r : i32
  } -> tensor<2xi32>
  return %new#0, %new#1, %most, %least : tensor<2x128xi32>, tensor<2x128xi32>, tensor<2xi32>, tensor<2xi32>
}

// -----

#e = affine_map<(i, j) -> (i, j)>
#b = affine_map<(i, j) -> (i)>

// A sum depends on its order, and stays.

// CHECK-LABEL: func @sum(
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]
func.func @sum(%x: tensor<2x128xf32>, %none: tensor<2xf32>) -> (tensor<2x128xf32>, tensor<2xf32>) {
  %empty = tensor.empty() : tensor<2x128xf32>
  %new = linalg.generic {indexing_maps = [#e, #e], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<2x128xf32>) outs(%empty : tensor<2x128xf32>) {
    ^bb0(%in: f32, %out: f32):
      %a = arith.addf %in, %in : f32
      linalg.yield %a : f32
  } -> tensor<2x128xf32>
  %sum = linalg.generic {indexing_maps = [#e, #b], iterator_types = ["parallel", "reduction"]}
      ins(%new : tensor<2x128xf32>) outs(%none : tensor<2xf32>) {
    ^bb0(%in: f32, %out: f32):
      %r = arith.addf %in, %out : f32
      linalg.yield %r : f32
  } -> tensor<2xf32>
  return %new, %sum : tensor<2x128xf32>, tensor<2xf32>
}
