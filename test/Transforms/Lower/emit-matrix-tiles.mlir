// RUN: lowbit-opt %s --lowbit-emit-contractions="groups=1 matrix-unit=amx" -canonicalize -cse | FileCheck %s
// RUN: lowbit-opt %s --lowbit-emit-contractions="groups=1" | FileCheck %s --check-prefix=NONE

#a8 = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>
#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>
#u8 = #lowbit.quantized<uint<8>, scale = f16 per [1, 32], layout = tiled>

// NONE-NOT: amx.

// Tiles of whole rows go to the matrix unit, the rows that are left over to vectors. Codes are unpacked once for up to eight tiles, with their
// sign: nothing is added for an offset. Sums go to the factors by way of memory: those of the next block while this one's are scaled.
// CHECK-LABEL: func @dynamic(
// CHECK-SAME:    %[[X:[a-z0-9]*]]: memref<?x64xi8>,
// CHECK-DAG:   %[[EIGHT:.*]] = arith.constant dense<8> : vector<64xi8>
// CHECK:       %[[CODES:.*]] = memref.alloca() {alignment = 64 : i64} : memref<16x64xi8>
// CHECK:       %[[SUMS:.*]] = memref.alloca() {alignment = 64 : i64} : memref<16x16xi32>
// CHECK:       %[[NEXT:.*]] = memref.alloca() {alignment = 64 : i64} : memref<16x16xi32>
// CHECK:       %[[EIGHTS:.*]] = affine.apply
// CHECK:       scf.for %{{.*}} = %c0 to %[[EIGHTS]]
// CHECK:         %[[TILES:.*]] = affine.min
// CHECK:         scf.for
// CHECK:           scf.for
// CHECK:             %[[LEVELS:.*]] = arith.subi %{{.*}}, %[[EIGHT]]
// CHECK:             vector.store %[[LEVELS]], %[[CODES]]
// CHECK:           scf.for %{{.*}} = %c0 to %[[TILES]]
// CHECK:             %[[ZERO:.*]] = amx.tile_zero : !amx.tile<16x16xi32>
// CHECK:             %[[B:.*]] = amx.tile_load %[[CODES]][%c0, %c0] : memref<16x64xi8> into !amx.tile<8x64xi8>
// CHECK:             %[[A:.*]] = amx.tile_load %[[X]][%{{.*}}, %c0] : memref<?x64xi8> into !amx.tile<16x32xi8>
// CHECK:             %[[C:.*]] = amx.tile_muli %[[A]], %[[B]], %[[ZERO]] :
// CHECK:             amx.tile_store %[[SUMS]][%c0, %c0], %[[C]]
// CHECK-NOT:         vector.load %[[SUMS]]
// CHECK:             amx.tile_load %[[CODES]][%c8, %c0]
// CHECK:             amx.tile_store %[[NEXT]]
// CHECK-COUNT-16:    vector.load %[[SUMS]]
// CHECK-COUNT-16:    vector.load %[[NEXT]]
// CHECK:       lowbit.dot4
func.func @dynamic(%x: memref<?x64xi8>, %xs: memref<?x2xf32>, %w: memref<2x8x64xi8>, %s: memref<2x2x16xf16>, %offsets: memref<?x2xi32>, %y: memref<?x32xf32>) {
  %first = arith.constant 0 : index
  lowbit.contract tensor<?x64xf32, #a8> (%x, %xs) by tensor<32x64xf32, #w4> (%w, %s) from %first sums(%offsets) into %y
    : (memref<?x64xi8>, memref<?x2xf32>, memref<2x8x64xi8>, memref<2x2x16xf16>, index, memref<?x2xi32>, memref<?x32xf32>) -> ()
  return
}

// Several chunks of columns: sums of all rows wait in memory between them. Levels up to 255 have no sign.
// CHECK-LABEL: func @chunks(
// CHECK-DAG:   %[[PARTIAL:.*]] = memref.alloca() {alignment = 64 : i64} : memref<128x16xf32>
// CHECK-DAG:   memref.alloca() {alignment = 64 : i64} : memref<128x64xi8>
// CHECK:       vector.store %{{.*}}, %[[PARTIAL]]
// CHECK:       scf.for %{{.*}} = %c0 to %c32 step %c16
// CHECK:         vector.load %[[PARTIAL]]
// CHECK:         amx.tile_muli %{{.*}}, %{{.*}} zext, %{{.*}} :
// CHECK:         vector.store %{{.*}}, %[[PARTIAL]]
// CHECK:       vector.load %[[PARTIAL]]
func.func @chunks(%x: memref<16x1024xi8>, %xs: memref<16x32xf32>, %w: memref<1x256x64xi8>, %s: memref<1x32x16xf16>, %y: memref<16x16xf32>) {
  %first = arith.constant 0 : index
  lowbit.contract tensor<16x1024xf32, #a8> (%x, %xs) by tensor<16x1024xf32, #u8> (%w, %s) from %first into %y
    : (memref<16x1024xi8>, memref<16x32xf32>, memref<1x256x64xi8>, memref<1x32x16xf16>, index, memref<16x16xf32>) -> ()
  return
}
