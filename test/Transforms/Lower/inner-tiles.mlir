// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --lowbit-inner-tiles | FileCheck %s

// Integer codes with an offset need the sums of codes of each block, once for all outputs. The last iteration is shorter; what a
// fill would write is written where it is added to.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#a8 = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>
#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 16], layout = tiled>

// CHECK-DAG: #[[$A8:.+]] = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>
// CHECK-DAG: #[[$W4:.+]] = #lowbit.quantized<int<4>, scale = f16 per [1, 16], layout = tiled>
// CHECK-DAG: #[[$LEFT:.+]] = affine_map<(d0) -> (64, -d0 + 200)>

// CHECK-LABEL: func @integers(
// CHECK-SAME:    %[[X:[a-z0-9]*]]: tensor<?x64xi8>, %[[XS:[a-z0-9]*]]: tensor<?x2xf32>, %[[W:[a-z0-9]*]]: tensor<13x8x64xi8>, %[[WS:[a-z0-9]*]]: tensor<13x4x16xf16>, %{{[a-z0-9]*}}: index, %[[Y:[a-z0-9]*]]: tensor<?x200xf32>
// CHECK:       %[[BLOCKS:.*]] = tensor.expand_shape %[[X]] {{.*}} into tensor<?x4x16xi8>
// CHECK:       %[[SUMS:.*]] = linalg.generic {{.*}} ins(%[[BLOCKS]] : tensor<?x4x16xi8>)
// CHECK:         arith.extsi %{{.*}} : i8 to i32
// CHECK:       %[[OFFSETS:.*]] = linalg.generic {{.*}} ins(%[[SUMS]] : tensor<?x4xi32>)
// CHECK:         arith.muli %{{.*}}, %c-8_i32
// CHECK:       scf.forall (%[[N:.*]]) = (0) to (200) step (64) shared_outs(%[[ALL:.*]] = %[[Y]])
// CHECK-DAG:     %[[SIZE:.*]] = affine.min #[[$LEFT]](%[[N]])
// CHECK-DAG:     %[[ROWS:.*]] = tensor.dim %[[ALL]]
// CHECK:         %[[PART:.*]] = tensor.extract_slice %[[ALL]][0, %[[N]]] [%[[ROWS]], %[[SIZE]]] [1, 1]
// CHECK:         %[[ZEROS:.*]] = linalg.fill ins(%{{.*}} : f32) outs(%[[PART]]
// CHECK:         %[[NEW:.*]] = lowbit.contract tensor<?x64xf32, #[[$A8]]>(%[[X]], %[[XS]]) by tensor<200x64xf32, #[[$W4]]>(%[[W]], %[[WS]]) from %[[N]] sums(%[[OFFSETS]]) into %[[ZEROS]]
// CHECK:         tensor.parallel_insert_slice %[[NEW]] into %[[ALL]][0, %[[N]]] [%[[ROWS]], %[[SIZE]]] [1, 1]
func.func @integers(%x: tensor<?x64xi8>, %xs: tensor<?x2xf32>, %w: tensor<13x8x64xi8>, %ws: tensor<13x4x16xf16>, %m: index,
                    %y: tensor<?x200xf32>) -> tensor<?x200xf32> {
  %a = lowbit.decode_region tensor<?x64xf32, #a8> (%x, %xs) [0, 0] [%m, 64] : tensor<?x64xi8>, tensor<?x2xf32> -> tensor<?x64xf32>
  %d = lowbit.decode_region tensor<200x64xf32, #w4> (%w, %ws) [0, 0] [200, 64] : tensor<13x8x64xi8>, tensor<13x4x16xf16> -> tensor<200x64xf32>
  %zero = arith.constant 0.0 : f32
  %z = linalg.fill ins(%zero : f32) outs(%y : tensor<?x200xf32>) -> tensor<?x200xf32>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%a, %d : tensor<?x64xf32>, tensor<200x64xf32>)
                     outs(%z : tensor<?x200xf32>) -> tensor<?x200xf32>
  return %r : tensor<?x200xf32>
}

// -----

// Codes without an offset, and without zero points, need no sums; the weights may come first.

#mk = affine_map<(n, m, k) -> (m, k)>
#nk = affine_map<(n, m, k) -> (n, k)>
#mn = affine_map<(n, m, k) -> (m, n)>
#a8 = #lowbit.quantized<int<8>, scale = f32 per axis 0>
#w4 = #lowbit.quantized<uint<4>, scale = f16 per [1, 32], layout = tiled>

// CHECK-LABEL: func @no_sums(
// CHECK-NOT:   linalg.generic
// CHECK:       lowbit.contract tensor<3x64xf32, #{{.*}}>(%{{.*}}, %{{.*}}) by tensor<32x64xf32, #{{.*}}>(%{{.*}}, %{{.*}}) from %{{.*}} into
func.func @no_sums(%x: tensor<3x64xi8>, %xs: tensor<3x1xf32>, %w: tensor<2x8x64xi8>, %ws: tensor<2x2x16xf16>, %y: tensor<3x32xf32>)
    -> tensor<3x32xf32> {
  %a = lowbit.decode_region tensor<3x64xf32, #a8> (%x, %xs) [0, 0] [3, 64] : tensor<3x64xi8>, tensor<3x1xf32> -> tensor<3x64xf32>
  %d = lowbit.decode_region tensor<32x64xf32, #w4> (%w, %ws) [0, 0] [32, 64] : tensor<2x8x64xi8>, tensor<2x2x16xf16> -> tensor<32x64xf32>
  %r = linalg.generic {indexing_maps = [#nk, #mk, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%d, %a : tensor<32x64xf32>, tensor<3x64xf32>) outs(%y : tensor<3x32xf32>) {
  ^bb0(%u: f32, %v: f32, %sum: f32):
    %p = arith.mulf %u, %v : f32
    %q = arith.addf %sum, %p : f32
    linalg.yield %q : f32
  } -> tensor<3x32xf32>
  return %r : tensor<3x32xf32>
}

// -----

// Minima need the sums of f32 activations, too.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w4 = #lowbit.quantized<uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32], layout = tiled>

// CHECK-LABEL: func @minima(
// CHECK:       %[[BLOCKS:.*]] = tensor.expand_shape %{{.*}} into tensor<3x2x32xf32>
// CHECK:       %[[SUMS:.*]] = linalg.generic {{.*}} ins(%[[BLOCKS]] :
// CHECK-NEXT:  ^bb0(%[[V:.*]]: f32, %[[SUM:.*]]: f32):
// CHECK-NEXT:    arith.addf %[[SUM]], %[[V]]
// CHECK:       lowbit.contract tensor<3x64xf32>(%{{.*}}) by {{.*}} sums(%[[SUMS]])
func.func @minima(%x: tensor<3x64xf32>, %w: tensor<2x8x64xi8>, %ws: tensor<2x2x16xf16>, %wm: tensor<2x2x16xf16>, %y: tensor<3x32xf32>)
    -> tensor<3x32xf32> {
  %d = lowbit.decode_region tensor<32x64xf32, #w4> (%w, %ws, %wm) [0, 0] [32, 64]
    : tensor<2x8x64xi8>, tensor<2x2x16xf16>, tensor<2x2x16xf16> -> tensor<32x64xf32>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<3x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<3x32xf32>) -> tensor<3x32xf32>
  return %r : tensor<3x32xf32>
}

// -----

// Groups of 16 outputs are shared out evenly: 24 in sixes.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w8 = #lowbit.quantized<int<8>, layout = tiled>

// CHECK-LABEL: func @evenly(
// CHECK:       scf.forall (%{{.*}}) = (0) to (384) step (96)
func.func @evenly(%x: tensor<1x4xf32>, %w: tensor<24x1x64xi8>, %y: tensor<1x384xf32>) -> tensor<1x384xf32> {
  %d = lowbit.decode_region tensor<384x4xf32, #w8> (%w) [0, 0] [384, 4] : tensor<24x1x64xi8> -> tensor<384x4xf32>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x4xf32>, tensor<384x4xf32>)
                     outs(%y : tensor<1x384xf32>) -> tensor<1x384xf32>
  return %r : tensor<1x384xf32>
}

// -----

// A part of the weights, and weights as [inputs, outputs], are other products, as remarks say.

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w8 = #lowbit.quantized<int<8>, layout = tiled>

// CHECK-LABEL: func @others(
// CHECK-NOT:   lowbit.contract
// CHECK:       return
func.func @others(%x: tensor<1x16xf32>, %w: tensor<2x4x64xi8>, %y: tensor<1x16xf32>) -> tensor<1x16xf32> {
  %part = lowbit.decode_region tensor<32x16xf32, #w8> (%w) [16, 0] [16, 16] : tensor<2x4x64xi8> -> tensor<16x16xf32>
  // expected-remark @below {{contraction not on inner tiles: it reads a part of its weights}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %part : tensor<1x16xf32>, tensor<16x16xf32>)
                     outs(%y : tensor<1x16xf32>) -> tensor<1x16xf32>
  // expected-remark @below {{contraction not on inner tiles: it is no product x[m, k] * w[n, k] of matrices with encoded w}}
  %s = linalg.matmul indexing_maps = [#mk, #kn, #mn] ins(%x, %part : tensor<1x16xf32>, tensor<16x16xf32>)
                     outs(%r : tensor<1x16xf32>) -> tensor<1x16xf32>
  return %s : tensor<1x16xf32>
}

// -----

// Minima are multiplied with the sums' values, which are computed once; a scale of the activations may serve several blocks.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#a8 = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>
#w4 = #lowbit.quantized<uint<4>, scale = f16 per [1, 16], min = f16 per [1, 16], layout = tiled>

// CHECK-LABEL: func @scaled_minima(
// CHECK-SAME:    %[[X:[a-z0-9]*]]: tensor<3x64xi8>, %[[XS:[a-z0-9]*]]: tensor<3x2xf32>
// CHECK:       %[[SUMS:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<3x4xi32>)
// CHECK:       %[[VIEW:.*]] = tensor.expand_shape %[[SUMS]] {{.*}} into tensor<3x2x2xi32>
// CHECK:       %[[VALUES:.*]] = linalg.generic {{.*}} ins(%[[VIEW]], %[[XS]] : tensor<3x2x2xi32>, tensor<3x2xf32>)
// CHECK:         %[[SUM:.*]] = arith.sitofp
// CHECK-NEXT:    arith.mulf %[[SUM]], %{{.*}} : f32
// CHECK:       %[[ALL:.*]] = tensor.collapse_shape %[[VALUES]]
// CHECK:       lowbit.contract {{.*}} sums(%[[ALL]])
func.func @scaled_minima(%x: tensor<3x64xi8>, %xs: tensor<3x2xf32>, %w: tensor<2x8x64xi8>, %ws: tensor<2x4x16xf16>, %wm: tensor<2x4x16xf16>,
                         %y: tensor<3x32xf32>) -> tensor<3x32xf32> {
  %a = lowbit.decode_region tensor<3x64xf32, #a8> (%x, %xs) [0, 0] [3, 64] : tensor<3x64xi8>, tensor<3x2xf32> -> tensor<3x64xf32>
  %d = lowbit.decode_region tensor<32x64xf32, #w4> (%w, %ws, %wm) [0, 0] [32, 64]
    : tensor<2x8x64xi8>, tensor<2x4x16xf16>, tensor<2x4x16xf16> -> tensor<32x64xf32>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%a, %d : tensor<3x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<3x32xf32>) -> tensor<3x32xf32>
  return %r : tensor<3x32xf32>
}
