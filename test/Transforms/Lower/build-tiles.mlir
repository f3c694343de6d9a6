// RUN: lowbit-opt %s -split-input-file --pass-pipeline='builtin.module(func.func(lowbit-build-tiles),canonicalize,cse)' | FileCheck %s

// Only what is decided; that values and codes are right is checked by running them.

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// Blocks that fill the tile: a blocked iteration space without a copy, scales in a generic of their own, components cut
// to the tile.

// CHECK-LABEL: func @aligned(
// CHECK-SAME: %[[C:.*]]: tensor<8x32xi8>, %[[S:.*]]: tensor<8x2xf16>, %[[I:.*]]: index
// CHECK: tensor.extract_slice %[[C]][%[[I]], 0] [4, 32]
// CHECK: tensor.extract_slice %[[S]][%[[I]], 0] [4, 2]
// CHECK: arith.extf
// CHECK-NOT: tensor.extract %
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %{{.*}} : tensor<4x2x32xi8>, tensor<4x2xf32>)
// CHECK: arith.mulf
// CHECK: tensor.collapse_shape {{.*}} : tensor<4x2x32xf32> into tensor<4x64xf32>
func.func @aligned(%c: tensor<8x32xi8>, %s: tensor<8x2xf16>, %i: index) -> tensor<4x64xf32> {
  %0 = lowbit.decode_region tensor<8x64xf32, #w> (%c, %s) [%i, 0] [4, 64] : tensor<8x32xi8>, tensor<8x2xf16> -> tensor<4x64xf32>
  return %0 : tensor<4x64xf32>
}

// A partial last block: the tile is extended by its last element to whole blocks, and cut afterwards.

// CHECK-LABEL: func @ragged(
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<8x64xi8>)
// CHECK: arith.minui %{{.*}}, %c48
// CHECK: tensor.extract %
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %{{.*}} : tensor<8x2x32xi8>, tensor<8x2xf32>)
// CHECK: tensor.extract_slice %{{.*}}[0, 0] [8, 49] [1, 1] : tensor<8x64xf32> to tensor<8x49xf32>
func.func @ragged(%c: tensor<8x25xi8>, %s: tensor<8x2xf16>) -> tensor<8x49xf32> {
  %0 = lowbit.decode_region tensor<8x49xf32, #w> (%c, %s) [0, 0] [8, 49] : tensor<8x25xi8>, tensor<8x2xf16> -> tensor<8x49xf32>
  return %0 : tensor<8x49xf32>
}

// A row of codes that ends inside a byte: the rest of the byte is zero.

// CHECK-LABEL: func @last_byte(
// CHECK-SAME: %[[X:.*]]: tensor<8x49xf32>, %[[C:.*]]: tensor<8x25xi8>
// CHECK: %[[ZEROS:.*]] = linalg.fill {{.*}} -> tensor<8x50xi8>
// CHECK: tensor.insert_slice %{{.*}} into %[[ZEROS]][0, 0] [8, 49]
// CHECK: linalg.fill {{.*}} outs(%[[C]] :
func.func @last_byte(%x: tensor<8x49xf32>, %c: tensor<8x25xi8>, %s: tensor<8x2xf16>) -> (tensor<8x25xi8>, tensor<8x2xf16>) {
  %0:2 = lowbit.encode_region tensor<8x49xf32, #w> %x into (%c, %s) with [] [0, 0] [8, 49] : (tensor<8x49xf32>, tensor<8x25xi8>, tensor<8x2xf16>) -> (tensor<8x25xi8>, tensor<8x2xf16>)
  return %0#0, %0#1 : tensor<8x25xi8>, tensor<8x2xf16>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// Extents that are known at run time may be ragged.

// CHECK: #[[$WHOLE:.*]] = affine_map<()[s0] -> ((s0 ceildiv 32) * 32)>
// CHECK-LABEL: func @dynamic(
// CHECK-SAME: %[[M:[a-z0-9]*]]: index, %[[N:[a-z0-9]*]]: index
// CHECK: %[[PADDED:.*]] = affine.apply #[[$WHOLE]]()[%[[N]]]
// CHECK: tensor.empty(%[[M]], %[[PADDED]]) : tensor<?x?xi8>
// CHECK: tensor.extract_slice %{{.*}}[0, 0] [%[[M]], %[[N]]] [1, 1] : tensor<?x?xf32> to tensor<?x?xf32>
func.func @dynamic(%c: tensor<?x?xi8>, %s: tensor<?x?xf16>, %m: index, %n: index) -> tensor<?x?xf32> {
  %0 = lowbit.decode_region tensor<?x?xf32, #w> (%c, %s, %n) [0, 0] [%m, %n] : tensor<?x?xi8>, tensor<?x?xf16>, index -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// -----

#w = #lowbit.quantized<int<8>, scale = f32 per axis 0>

// A scale of whole rows needs no blocked space, whatever the row's length.

// CHECK-LABEL: func @axis(
// CHECK-NOT: tensor.extract %
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %{{.*}} : tensor<4x61xi8>, tensor<4xf32>)
// CHECK-NOT: tensor.collapse_shape
func.func @axis(%c: tensor<8x61xi8>, %s: tensor<8x1xf32>, %i: index) -> tensor<4x61xf32> {
  %0 = lowbit.decode_region tensor<8x61xf32, #w> (%c, %s) [%i, 0] [4, 61] : tensor<8x61xi8>, tensor<8x1xf32> -> tensor<4x61xf32>
  return %0 : tensor<4x61xf32>
}

// -----

// The offset of a scale is added to the factors on their grid, not to the elements.

#w = #lowbit.quantized<int<8>, scale = f32 per [1, 32] + f32 per tensor>

// CHECK-LABEL: func @offset(
// CHECK-SAME: %[[C:.*]]: tensor<8x64xi8>, %[[S:.*]]: tensor<8x2xf32>, %[[O:.*]]: tensor<1x1xf32>
// CHECK: linalg.generic {{.*}} ins(%[[S]], %{{.*}} : tensor<8x2xf32>, tensor<f32>) outs(%{{.*}} : tensor<8x2xf32>)
// CHECK: arith.addf
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %{{.*}} : tensor<8x2x32xi8>, tensor<8x2xf32>)
// CHECK: arith.mulf
// CHECK-NOT: arith.addf
func.func @offset(%c: tensor<8x64xi8>, %s: tensor<8x2xf32>, %o: tensor<1x1xf32>) -> tensor<8x64xf32> {
  %0 = lowbit.decode_region tensor<8x64xf32, #w> (%c, %s, %o) [0, 0] [8, 64] : tensor<8x64xi8>, tensor<8x2xf32>, tensor<1x1xf32> -> tensor<8x64xf32>
  return %0 : tensor<8x64xf32>
}

// -----

// A search runs over the elements of a block in order, once for each candidate; the last block of a row is cut off at its end.

#w = #lowbit.quantized<int<8>, scale = f32 per [1, 32], rule = mse<steps = 4, least = 0.5>>

// CHECK-LABEL: func @search(
// CHECK-SAME: %[[X:.*]]: tensor<8x49xf32>
// CHECK: linalg.generic {{.*}} ins(%{{.*}} : tensor<8x2xf32>) outs(%{{.*}} : tensor<8x2xf32>)
// CHECK: %[[END:.*]] = arith.minsi %{{.*}}, %c49
// CHECK: scf.for %{{.*}} = %c0 to %c5
// CHECK: scf.for
// CHECK: scf.for %{{.*}} = %{{.*}} to %[[END]]
// CHECK: tensor.extract %[[X]]
func.func @search(%x: tensor<8x49xf32>, %c: tensor<8x49xi8>, %s: tensor<8x2xf32>) -> (tensor<8x49xi8>, tensor<8x2xf32>) {
  %0:2 = lowbit.encode_region tensor<8x49xf32, #w> %x into (%c, %s) with [] [0, 0] [8, 49] : (tensor<8x49xf32>, tensor<8x49xi8>, tensor<8x2xf32>) -> (tensor<8x49xi8>, tensor<8x2xf32>)
  return %0#0, %0#1 : tensor<8x49xi8>, tensor<8x2xf32>
}

// -----

// The nearest of 16 levels: its rank among the thresholds, which registers hold. A scale in f32 is the largest magnitude if that of
// a level is 1.

#w = #lowbit.quantized<codebook<nf4>, scale = f32 per [1, 32]>

// CHECK-LABEL: func @few_levels(
// CHECK: %[[RANK:.*]] = lowbit.rank %{{.*}} by %{{.*}} in [-0.84809637, {{.*}}] bounded : f32
// CHECK: arith.trunci %[[RANK]] : i32 to i8
// CHECK: return
func.func @few_levels(%x: tensor<8x64xf32>, %c: tensor<8x32xi8>, %s: tensor<8x2xf32>) -> (tensor<8x32xi8>, tensor<8x2xf32>) {
  %0:2 = lowbit.encode_region tensor<8x64xf32, #w> %x into (%c, %s) with [] [0, 0] [8, 64] : (tensor<8x64xf32>, tensor<8x32xi8>, tensor<8x2xf32>) -> (tensor<8x32xi8>, tensor<8x2xf32>)
  return %0#0, %0#1 : tensor<8x32xi8>, tensor<8x2xf32>
}

// -----

// Scales that are rounded, or that a search chose, are not known to be as large as their numbers.

#w = #lowbit.quantized<codebook<nf4>, scale = f16 per [1, 32]>

// CHECK-LABEL: func @rounded_scale(
// CHECK: lowbit.rank %{{.*}} by %{{.*}} in [{{.*}}] : f32
func.func @rounded_scale(%x: tensor<8x64xf32>, %c: tensor<8x32xi8>, %s: tensor<8x2xf16>) -> (tensor<8x32xi8>, tensor<8x2xf16>) {
  %0:2 = lowbit.encode_region tensor<8x64xf32, #w> %x into (%c, %s) with [] [0, 0] [8, 64] : (tensor<8x64xf32>, tensor<8x32xi8>, tensor<8x2xf16>) -> (tensor<8x32xi8>, tensor<8x2xf16>)
  return %0#0, %0#1 : tensor<8x32xi8>, tensor<8x2xf16>
}

// -----

// Of 256, too.

#w = #lowbit.quantized<codebook<dynamic, 8>, scale = f32 per [1, 32]>

// CHECK-LABEL: func @many_levels(
// CHECK: %[[RANK:.*]] = lowbit.rank %{{.*}} by %{{.*}} in [-0.985937476, {{.*}}] bounded : f32
// CHECK: arith.trunci %[[RANK]] : i32 to i8
// CHECK: return
func.func @many_levels(%x: tensor<8x64xf32>, %c: tensor<8x64xi8>, %s: tensor<8x2xf32>) -> (tensor<8x64xi8>, tensor<8x2xf32>) {
  %0:2 = lowbit.encode_region tensor<8x64xf32, #w> %x into (%c, %s) with [] [0, 0] [8, 64] : (tensor<8x64xf32>, tensor<8x64xi8>, tensor<8x2xf32>) -> (tensor<8x64xi8>, tensor<8x2xf32>)
  return %0#0, %0#1 : tensor<8x64xi8>, tensor<8x2xf32>
}

// -----

// With a threshold at zero, which quotients may be rounded to: a division, one look-up in the bucket of the number's sign, exponent
// and first mantissa bits, and a sum that carries at the threshold inside.

#w = #lowbit.quantized<codebook<gaussian, 8>, scale = f32 per [1, 32]>

// CHECK-LABEL: func @split_at_zero(
// CHECK: %[[WORDS:.*]] = arith.constant dense<{{.*}}> : tensor<{{[0-9]*}}xi32>
// CHECK: arith.divf
// CHECK: arith.bitcast %{{.*}} : f32 to i32
// CHECK: arith.shrsi %{{.*}}, %{{.*}} : i32
// CHECK: arith.maxsi
// CHECK: arith.minui
// CHECK: tensor.extract %[[WORDS]]
// CHECK: arith.addi
// CHECK: arith.shrui
// CHECK-NOT: tensor.extract
// CHECK: return
func.func @split_at_zero(%x: tensor<8x64xf32>, %c: tensor<8x64xi8>, %s: tensor<8x2xf32>) -> (tensor<8x64xi8>, tensor<8x2xf32>) {
  %0:2 = lowbit.encode_region tensor<8x64xf32, #w> %x into (%c, %s) with [] [0, 0] [8, 64] : (tensor<8x64xf32>, tensor<8x64xi8>, tensor<8x2xf32>) -> (tensor<8x64xi8>, tensor<8x2xf32>)
  return %0#0, %0#1 : tensor<8x64xi8>, tensor<8x2xf32>
}

// -----

// Such a threshold, and two side by side that would share every bucket: a search in memory.

#w = #lowbit.quantized<codebook<[-1.0, 1.0, 1.0000001, 1.0000002, 1.0000004, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0]>,
                       scale = f32 per [1, 32], layout = planes<4, 1>>

// CHECK-LABEL: func @close_levels(
// CHECK: arith.divf
// CHECK-COUNT-5: arith.cmpf oge
// CHECK: return
func.func @close_levels(%x: tensor<8x64xf32>, %c: tensor<8x32xi8>, %c1: tensor<8x8xi8>, %s: tensor<8x2xf32>)
    -> (tensor<8x32xi8>, tensor<8x8xi8>, tensor<8x2xf32>) {
  %0:3 = lowbit.encode_region tensor<8x64xf32, #w> %x into (%c, %c1, %s) with [] [0, 0] [8, 64]
    : (tensor<8x64xf32>, tensor<8x32xi8>, tensor<8x8xi8>, tensor<8x2xf32>) -> (tensor<8x32xi8>, tensor<8x8xi8>, tensor<8x2xf32>)
  return %0#0, %0#1, %0#2 : tensor<8x32xi8>, tensor<8x8xi8>, tensor<8x2xf32>
}
