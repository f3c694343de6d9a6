// RUN: lowbit-opt %s --pass-pipeline='builtin.module(lowbit-explicit-pipeline,lowbit-tiling-pipeline,lowbit-bufferization-pipeline)' -o %t
// RUN: FileCheck %s --input-file=%t --implicit-check-not='memref.alloc(' --implicit-check-not=memref.clone \
// RUN:   --implicit-check-not='memref.copy {{.*}}<512x{{[0-9]}}' --implicit-check-not='alloca{{.*}}<512x{{[0-9]}}'
// RUN: lowbit-opt %s --pass-pipeline='builtin.module(lowbit-explicit-pipeline,lowbit-tiling-pipeline{fail-on-fallback=true})' -o /dev/null

// An optimizer step whose states are encoded: one parallel loop decodes, updates and encodes a tile of everything. States
// are updated in place; nothing of their size is allocated or copied.

!P = tensor<512x128xf32>
!M = tensor<512x128xf32, #lowbit.quantized<int<8>, scale = f32 per [1, 64]>>
!V = tensor<512x128xf32, #lowbit.quantized<uint<4>, scale = f32 rank1<min>>>
!B = tensor<512x128xf32, #lowbit.quantized<uint<4>, scale = f32 per [1, 64], min = f32 per [1, 64]>>
#id = affine_map<(i, j) -> (i, j)>

// CHECK-LABEL: func.func @blocks(
// CHECK-NEXT:  call @blocks.body(
// CHECK:       func.func private @blocks.body(
// CHECK-SAME:  %[[G:[a-z0-9]*]]: memref<512x128xf32>, %[[P:[a-z0-9]*]]: memref<512x128xf32>, %[[MC:[a-z0-9]*]]: memref<512x128xi8>, %[[MS:[a-z0-9]*]]: memref<512x2xf32>
// CHECK:       scf.forall (%[[I:[a-z0-9]*]]) = (0) to (512) step (2) {
// CHECK-DAG:   memref.subview %[[P]][%[[I]], 0] [2, 128]
// CHECK-DAG:   memref.subview %[[MC]][%[[I]], 0] [2, 128]
// CHECK-DAG:   memref.subview %[[MS]][%[[I]], 0] [2, 2]
// CHECK:       math.sqrt
// CHECK:       math.roundeven
// CHECK:       math.roundeven
// CHECK-NOT:   scf.for
// CHECK-LABEL: func.func @rank1(
func.func @blocks(%g: !P, %p: !P, %m: !M, %v: !B) -> (!P, !M, !B)
    attributes {lowbit.entry, lowbit.updates = array<i64: 1, 2, 3>} {
  %b1 = arith.constant 0.9 : f32
  %c1 = arith.constant 0.1 : f32
  %eps = arith.constant 1.0e-8 : f32
  %rate = arith.constant 1.0e-3 : f32
  %0:3 = linalg.generic {indexing_maps = [#id, #id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%g : !P) outs(%p, %m, %v : !P, !M, !B) {
    ^bb0(%x: f32, %w: f32, %m0: f32, %v0: f32):
      %ma = arith.mulf %m0, %b1 : f32
      %mb = arith.mulf %x, %c1 : f32
      %m1 = arith.addf %ma, %mb : f32
      %square = arith.mulf %x, %x : f32
      %va = arith.mulf %v0, %b1 : f32
      %vb = arith.mulf %square, %c1 : f32
      %v1 = arith.addf %va, %vb : f32
      %root = math.sqrt %v1 : f32
      %denominator = arith.addf %root, %eps : f32
      %direction = arith.divf %m1, %denominator : f32
      %step = arith.mulf %direction, %rate : f32
      %w1 = arith.subf %w, %step : f32
      linalg.yield %w1, %m1, %v1 : f32, f32, f32
  } -> (!P, !M, !B)
  return %0#0, %0#1, %0#2 : !P, !M, !B
}

// Scales of whole rows and columns: their maxima come first, from the update computed row by row, and are started once;
// the old vectors are read until the last tile is encoded.

// CHECK:       func.func private @rank1.body(
// CHECK-SAME:  %[[VR:[a-z0-9]*]]: memref<512xf32>, %[[VK:[a-z0-9]*]]: memref<128xf32>) {
// CHECK-DAG:   linalg.fill {{.*}} outs(%[[ROW:.*]] : memref<512xf32>)
// CHECK-DAG:   linalg.fill {{.*}} outs(%[[COLUMN:.*]] : memref<128xf32>)
// CHECK:       scf.for
// CHECK-NOT:   linalg.fill
// CHECK:       iterator_types = ["reduction", "reduction"]
// CHECK:       scf.forall (%{{.*}}) = (0) to (512) step (2) {
// CHECK:       math.sqrt
// CHECK-NOT:   scf.for
// CHECK:       memref.copy %{{.*}}, %[[VR]] : memref<512xf32> to memref<512xf32>
// CHECK-NEXT:  memref.copy %{{.*}}, %[[VK]] : memref<128xf32> to memref<128xf32>
func.func @rank1(%g: !P, %p: !P, %m: !M, %v: !V) -> (!P, !M, !V)
    attributes {lowbit.entry, lowbit.updates = array<i64: 1, 2, 3>} {
  %b1 = arith.constant 0.9 : f32
  %c1 = arith.constant 0.1 : f32
  %eps = arith.constant 1.0e-8 : f32
  %rate = arith.constant 1.0e-3 : f32
  %0:3 = linalg.generic {indexing_maps = [#id, #id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%g : !P) outs(%p, %m, %v : !P, !M, !V) {
    ^bb0(%x: f32, %w: f32, %m0: f32, %v0: f32):
      %ma = arith.mulf %m0, %b1 : f32
      %mb = arith.mulf %x, %c1 : f32
      %m1 = arith.addf %ma, %mb : f32
      %square = arith.mulf %x, %x : f32
      %va = arith.mulf %v0, %b1 : f32
      %vb = arith.mulf %square, %c1 : f32
      %v1 = arith.addf %va, %vb : f32
      %root = math.sqrt %v1 : f32
      %denominator = arith.addf %root, %eps : f32
      %direction = arith.divf %m1, %denominator : f32
      %step = arith.mulf %direction, %rate : f32
      %w1 = arith.subf %w, %step : f32
      linalg.yield %w1, %m1, %v1 : f32, f32, f32
  } -> (!P, !M, !V)
  return %0#0, %0#1, %0#2 : !P, !M, !V
}
