// RUN: lowbit-opt %s --lowbit-quantize-activations="encoding='int<8>, scale = f32 per [1, 32]' outlier-threshold=6" --canonicalize --cse | FileCheck %s

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>

// Looked for once for all products of a value. NaN counts as one, so that it is seen.
// CHECK-LABEL: func @products(
// CHECK-SAME:    %[[X:.*]]: tensor<?x64xf32>,
// CHECK-DAG:   %[[SIX:.*]] = arith.constant 6.0
// CHECK-DAG:   %[[ZERO:.*]] = arith.constant 0.0
// CHECK:       %[[LARGEST:.*]] = linalg.generic {{.*}}["reduction", "reduction"]} ins(%[[X]] :
// CHECK:         arith.maximumf
// CHECK:       %[[MOST:.*]] = tensor.extract %[[LARGEST]][]
// CHECK:       %[[ANY:.*]] = arith.cmpf uge, %[[MOST]], %[[SIX]]
// CHECK:       %[[REST:.*]] = linalg.generic {{.*}} ins(%[[X]] :
// CHECK:       ^bb0(%[[A:.*]]: f32, %{{.*}}: f32):
// CHECK:         %[[SIZE:.*]] = math.absf %[[A]]
// CHECK:         %[[IS:.*]] = arith.cmpf uge, %[[SIZE]], %[[SIX]]
// CHECK:         arith.select %[[IS]], %[[ZERO]], %[[A]]
// CHECK:       %[[CODES:.*]] = lowbit.encode %[[REST]] into
// CHECK:       %[[ROUNDED:.*]] = lowbit.decode %[[CODES]]
// CHECK:       %[[P:.*]] = linalg.matmul {{.*}} ins(%[[ROUNDED]], %[[V:[0-9]+]] :
// CHECK:       %[[R:.*]] = scf.if %[[ANY]]
// CHECK:         %[[OUTLIERS:.*]] = linalg.generic {{.*}} ins(%[[X]] :
// CHECK:         arith.select %{{.*}}, %{{.*}}, %[[ZERO]]
// CHECK:         %[[SUM:.*]] = linalg.matmul {{.*}} ins(%[[OUTLIERS]], %[[V]] : {{.*}}) outs(%[[P]] :
// CHECK:         scf.yield %[[SUM]]
// CHECK:       } else {
// CHECK:         scf.yield %[[P]]
// CHECK:       linalg.matmul {{.*}} ins(%[[ROUNDED]], %{{[0-9]+}} : {{.*}}) outs(%[[R]] :
// CHECK:       scf.if %[[ANY]]
// CHECK-NOT:   lowbit.encode
func.func @products(%x: tensor<?x64xf32>, %v: tensor<32x64xf32, #w4>, %w: tensor<32x64xf32, #w4>, %y: tensor<?x32xf32>)
    -> tensor<?x32xf32> {
  %dv = lowbit.decode %v : tensor<32x64xf32, #w4>
  %dw = lowbit.decode %w : tensor<32x64xf32, #w4>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %dv : tensor<?x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<?x32xf32>) -> tensor<?x32xf32>
  %s = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %dw : tensor<?x64xf32>, tensor<32x64xf32>)
                     outs(%r : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %s : tensor<?x32xf32>
}

// What is not rounded is not taken apart.
// CHECK-LABEL: func @stays(
// CHECK-NOT:   scf.if
func.func @stays(%x: tensor<8x64xf32>, %w: tensor<32x64xf32, #w4> {lowbit.activations = "f32"}, %y: tensor<8x32xf32>) -> tensor<8x32xf32> {
  %d = lowbit.decode %w : tensor<32x64xf32, #w4>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<8x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<8x32xf32>) -> tensor<8x32xf32>
  return %r : tensor<8x32xf32>
}
