// RUN: lowbit-opt %s --lowbit-emit-contractions="groups=1 matrix-unit=amx" -canonicalize -cse | FileCheck %s
// RUN: lowbit-opt %s --lowbit-emit-contractions="groups=1" | FileCheck %s --check-prefix=NONE

#a8 = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>
#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>

// NONE-NOT: amx.

// Tiles of whole rows go to the matrix unit, each of its sums to the factors by way of memory; the rows that are left over go to vectors.
// Weights are unpacked once for all rows.
// CHECK-LABEL: func @dynamic(
// CHECK-SAME:    %[[X:[a-z0-9]*]]: memref<?x64xi8>,
// CHECK:       %[[CODES:.*]] = memref.alloca() {alignment = 64 : i64} : memref<16x64xi8>
// CHECK:       %[[SUMS:.*]] = memref.alloca() {alignment = 64 : i64} : memref<16x16xi32>
// CHECK:       %[[SOME:.*]] = arith.cmpi sgt
// CHECK:       scf.if %[[SOME]]
// CHECK:         scf.for
// CHECK:           vector.store %{{.*}}, %[[CODES]]
// CHECK:           scf.for
// CHECK:             scf.for
// CHECK:               %[[ZERO:.*]] = amx.tile_zero : !amx.tile<16x16xi32>
// CHECK:               %[[A:.*]] = amx.tile_load %[[X]][%{{.*}}, %{{.*}}] : memref<?x64xi8> into !amx.tile<16x32xi8>
// CHECK:               %[[B:.*]] = amx.tile_load %[[CODES]][%{{.*}}, %{{.*}}] : memref<16x64xi8> into !amx.tile<8x64xi8>
// CHECK:               %[[C:.*]] = amx.tile_muli %[[A]], %[[B]] zext, %[[ZERO]]
// CHECK:               amx.tile_store %[[SUMS]][%{{.*}}, %{{.*}}], %[[C]]
// CHECK-COUNT-16:      vector.load %[[SUMS]]
// CHECK:       lowbit.dot4
func.func @dynamic(%x: memref<?x64xi8>, %xs: memref<?x2xf32>, %w: memref<2x8x64xi8>, %s: memref<2x2x16xf16>, %sums: memref<?x2xi32>, %y: memref<?x32xf32>) {
  %first = arith.constant 0 : index
  lowbit.contract tensor<?x64xf32, #a8> (%x, %xs) by tensor<32x64xf32, #w4> (%w, %s) from %first sums(%sums) into %y
    : (memref<?x64xi8>, memref<?x2xf32>, memref<2x8x64xi8>, memref<2x2x16xf16>, index, memref<?x2xi32>, memref<?x32xf32>) -> ()
  return
}
