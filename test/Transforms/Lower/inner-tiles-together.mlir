// Products that need nothing of each other share one parallel loop: each iteration has a share of all of them.
//
// RUN: lowbit-opt %s -split-input-file --lowbit-inner-tiles | FileCheck %s

#nk = affine_map<(m, n, k) -> (n, k)>
#mk = affine_map<(m, n, k) -> (m, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>

// Of 12 and 4 groups, each of 2 iterations has 6 and 2. The second product comes after an op that reads the first one,
// which does not matter: it reads %x alone.
//
// CHECK-LABEL: func.func @siblings
// CHECK:         %[[R:.*]]:2 = scf.forall (%[[I:.*]]) in (2) shared_outs(%{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}) -> (tensor<1x192xf32>, tensor<1x64xf32>)
// CHECK:           lowbit.contract {{.*}} by tensor<192x64xf32, {{.*}} -> tensor<1x96xf32>
// CHECK:           lowbit.contract {{.*}} by tensor<64x64xf32, {{.*}} -> tensor<1x32xf32>
// CHECK:         }
// CHECK:         math.absf
// CHECK-NOT:     scf.forall
// CHECK:         return
func.func @siblings(%x: tensor<1x64xf32>, %qc: tensor<12x8x64xi8>, %qs: tensor<12x2x16xf16>, %kc: tensor<4x8x64xi8>,
                    %ks: tensor<4x2x16xf16>) -> (tensor<1x192xf32>, tensor<1x64xf32>) {
  %zero = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<1x192xf32>
  %y0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<1x192xf32>) -> tensor<1x192xf32>
  %q = lowbit.decode_region tensor<192x64xf32, #w4> (%qc, %qs) [0, 0] [192, 64]
    : tensor<12x8x64xi8>, tensor<12x2x16xf16> -> tensor<192x64xf32>
  %a = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %q : tensor<1x64xf32>, tensor<192x64xf32>)
                     outs(%y0 : tensor<1x192xf32>) -> tensor<1x192xf32>
  %abs = math.absf %a : tensor<1x192xf32>
  %e1 = tensor.empty() : tensor<1x64xf32>
  %y1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<1x64xf32>) -> tensor<1x64xf32>
  %k = lowbit.decode_region tensor<64x64xf32, #w4> (%kc, %ks) [0, 0] [64, 64]
    : tensor<4x8x64xi8>, tensor<4x2x16xf16> -> tensor<64x64xf32>
  %b = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %k : tensor<1x64xf32>, tensor<64x64xf32>)
                     outs(%y1 : tensor<1x64xf32>) -> tensor<1x64xf32>
  return %abs, %b : tensor<1x192xf32>, tensor<1x64xf32>
}

// -----

#nk = affine_map<(m, n, k) -> (n, k)>
#mk = affine_map<(m, n, k) -> (m, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>

// The second one reads the first.
//
// CHECK-LABEL: func.func @chain
// CHECK:         %[[A:.*]] = scf.forall
// CHECK:         scf.forall
// CHECK:           lowbit.contract tensor<1x64xf32>(%[[A]]) by
func.func @chain(%x: tensor<1x64xf32>, %c: tensor<4x8x64xi8>, %s: tensor<4x2x16xf16>, %y: tensor<1x64xf32>) -> tensor<1x64xf32> {
  %w = lowbit.decode_region tensor<64x64xf32, #w4> (%c, %s) [0, 0] [64, 64]
    : tensor<4x8x64xi8>, tensor<4x2x16xf16> -> tensor<64x64xf32>
  %a = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %w : tensor<1x64xf32>, tensor<64x64xf32>)
                     outs(%y : tensor<1x64xf32>) -> tensor<1x64xf32>
  %b = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%a, %w : tensor<1x64xf32>, tensor<64x64xf32>)
                     outs(%y : tensor<1x64xf32>) -> tensor<1x64xf32>
  return %b : tensor<1x64xf32>
}

// -----

#nk = affine_map<(m, n, k) -> (n, k)>
#mk = affine_map<(m, n, k) -> (m, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w8 = #lowbit.quantized<int<8>, layout = tiled>

// What the second one is added to needs the first.
//
// CHECK-LABEL: func.func @fill
// CHECK:         %[[A:.*]] = scf.forall
// CHECK:         %[[V:.*]] = tensor.extract %[[A]]
// CHECK:         scf.forall
// CHECK:           linalg.fill ins(%[[V]] : f32)
func.func @fill(%x: tensor<1x16xf32>, %w: tensor<8x4x64xi8>, %y: tensor<1x128xf32>, %z: tensor<1x128xf32>)
    -> (tensor<1x128xf32>, tensor<1x128xf32>) {
  %c0 = arith.constant 0 : index
  %d = lowbit.decode_region tensor<128x16xf32, #w8> (%w) [0, 0] [128, 16] : tensor<8x4x64xi8> -> tensor<128x16xf32>
  %a = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x16xf32>, tensor<128x16xf32>)
                     outs(%y : tensor<1x128xf32>) -> tensor<1x128xf32>
  %v = tensor.extract %a[%c0, %c0] : tensor<1x128xf32>
  %f = linalg.fill ins(%v : f32) outs(%z : tensor<1x128xf32>) -> tensor<1x128xf32>
  %b = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x16xf32>, tensor<128x16xf32>)
                     outs(%f : tensor<1x128xf32>) -> tensor<1x128xf32>
  return %a, %b : tensor<1x128xf32>, tensor<1x128xf32>
}
