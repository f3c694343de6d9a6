// RUN: lowbit-opt %s -verify-diagnostics --lowbit-quantize-activations="encoding='int<8>, scale = f32 per [1, 32]'" | FileCheck %s

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>
#planes = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#nf4 = #lowbit.quantized<codebook<nf4>, scale = f16 per [1, 32], layout = tiled>
#rows = #lowbit.part<axis = 0, at = [32], #w4, #w4>
#columns = #lowbit.outlier_columns<density = 0.05, #w4, #lowbit.quantized<f16>>
#pairs = #lowbit.quantized<int<4>, scale = f16 per [1, 2], layout = tiled>

// CHECK: #[[$INT8:.+]] = #lowbit.quantized<int<8>, scale = f32 per [1, 32]>

// Once for all products of a value, of any number of rows.
// CHECK-LABEL: func @shared(
// CHECK-SAME:    %[[X:.*]]: tensor<?x64xf32>,
// CHECK:       %[[ROWS:.*]] = tensor.dim %[[X]]
// CHECK:       %[[STORAGE:.*]] = tensor.empty(%[[ROWS]]) : tensor<?x64xf32, #[[$INT8]]>
// CHECK:       %[[CODES:.*]] = lowbit.encode %[[X]] into %[[STORAGE]]
// CHECK:       %[[ROUNDED:.*]] = lowbit.decode %[[CODES]]
// CHECK:       linalg.matmul {{.*}} ins(%[[ROUNDED]], %{{.*}} :
// CHECK:       linalg.matmul {{.*}} ins(%[[ROUNDED]], %{{.*}} :
// CHECK-NOT:   lowbit.encode
func.func @shared(%x: tensor<?x64xf32>, %v: tensor<32x64xf32, #w4>, %w: tensor<32x64xf32, #w4>, %y: tensor<?x32xf32>)
    -> tensor<?x32xf32> {
  %dv = lowbit.decode %v : tensor<32x64xf32, #w4>
  %dw = lowbit.decode %w : tensor<32x64xf32, #w4>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %dv : tensor<?x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<?x32xf32>) -> tensor<?x32xf32>
  %s = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %dw : tensor<?x64xf32>, tensor<32x64xf32>)
                     outs(%r : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %s : tensor<?x32xf32>
}

// What is no factor of such a product keeps its value: weights in planes or [inputs, outputs], another use.
// CHECK-LABEL: func @others(
// CHECK-NOT:   lowbit.encode
// CHECK:       return
func.func @others(%x: tensor<8x64xf32>, %p: tensor<64x64xf32, #planes>, %w: tensor<64x64xf32, #w4>, %y: tensor<8x64xf32>)
    -> (tensor<8x64xf32>, tensor<64x64xf32>) {
  %dp = lowbit.decode %p : tensor<64x64xf32, #planes>
  %dw = lowbit.decode %w : tensor<64x64xf32, #w4>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %dp : tensor<8x64xf32>, tensor<64x64xf32>)
                     outs(%y : tensor<8x64xf32>) -> tensor<8x64xf32>
  %s = linalg.matmul indexing_maps = [#mk, #kn, #mn] ins(%x, %dw : tensor<8x64xf32>, tensor<64x64xf32>)
                     outs(%r : tensor<8x64xf32>) -> tensor<8x64xf32>
  return %s, %dw : tensor<8x64xf32>, tensor<64x64xf32>
}

// Activations that the program encodes itself stay as it says.
// CHECK-LABEL: func @encoded(
// CHECK-NOT:   lowbit.encode
// CHECK:       return
func.func @encoded(%x: tensor<8x64xf32, #planes>, %w: tensor<32x64xf32, #w4>, %y: tensor<8x32xf32>) -> tensor<8x32xf32> {
  %dx = lowbit.decode %x : tensor<8x64xf32, #planes>
  %dw = lowbit.decode %w : tensor<32x64xf32, #w4>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%dx, %dw : tensor<8x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<8x32xf32>) -> tensor<8x32xf32>
  return %r : tensor<8x32xf32>
}

// Terms of a combinator meet inputs of their own, when the product has been distributed over them: until then it is told.
// CHECK-LABEL: func @terms(
// CHECK-NOT:   lowbit.encode
// CHECK:       linalg.matmul {{.*}} {lowbit.activations = #[[$INT8]]} ins(
func.func @terms(%x: tensor<8x64xf32>, %w: tensor<64x64xf32, #rows>, %y: tensor<8x64xf32>) -> tensor<8x64xf32> {
  %dw = lowbit.decode %w : tensor<64x64xf32, #rows>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %dw : tensor<8x64xf32>, tensor<64x64xf32>)
                     outs(%y : tensor<8x64xf32>) -> tensor<8x64xf32>
  return %r : tensor<8x64xf32>
}

// Rounding is for integers alone.
// CHECK-LABEL: func @stay_f32(
// CHECK-NOT:   lowbit.encode
// CHECK:       return
func.func @stay_f32(%x: tensor<8x64xf32>, %v: tensor<32x64xf32, #nf4>, %w: tensor<32x64xf32, #pairs>, %y: tensor<8x32xf32>)
    -> tensor<8x32xf32> {
  %dv = lowbit.decode %v : tensor<32x64xf32, #nf4>
  %dw = lowbit.decode %w : tensor<32x64xf32, #pairs>
  // expected-remark @below {{activations stay f32: the contraction has integer activations and weights whose levels are no small integers: codebook<nf4>}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %dv : tensor<8x64xf32>, tensor<32x64xf32>)
                     outs(%y : tensor<8x32xf32>) -> tensor<8x32xf32>
  // expected-remark @below {{activations stay f32: the contraction has blocks of 2 columns over which all scales are constant: a multiple of 4 is needed}}
  %s = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %dw : tensor<8x64xf32>, tensor<32x64xf32>)
                     outs(%r : tensor<8x32xf32>) -> tensor<8x32xf32>
  return %s : tensor<8x32xf32>
}

// RUN: lowbit-opt %s --lowbit-quantize-activations="encoding='int<4>, scale = f32 per [1, 32]'" | FileCheck %s --check-prefix=FOUR

// What no kernel multiplies as codes is rounded for all encoded weights, whatever they lie in.
// FOUR: #[[$INT4:.+]] = #lowbit.quantized<int<4>, scale = f32 per [1, 32]>
// FOUR-LABEL: func @others(
// FOUR:       lowbit.encode %{{.*}} : tensor<8x64xf32> into tensor<8x64xf32, #[[$INT4]]>
// FOUR:       %[[X:.*]] = lowbit.decode
// FOUR:       linalg.matmul {{.*}} ins(%[[X]],

// Columns apart are for inputs as they are: only what meets codes is rounded. After the contraction was distributed.
// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-quantize-activations{encoding="int<4>, scale = f32 per [1, 32]"}),lowbit-components,func.func(lowbit-distribute),func.func(lowbit-quantize-activations),canonicalize,cse)' | FileCheck %s --check-prefix=APART

// APART-LABEL: func @apart(
// APART:       %[[REST:.*]] = scf.for
// APART:       %[[CODES:.*]]:2 = lowbit.encode_region {{.*}} %[[REST]] into
// APART:       %[[ROUNDED:.*]] = lowbit.decode_region {{.*}}(%[[CODES]]#0, %[[CODES]]#1)
// APART-NOT:   lowbit.encode_region
// APART:       %[[OWN:.*]] = scf.for
// APART-NOT:   lowbit.encode_region
// APART:       linalg.matmul {{.*}} ins(%[[ROUNDED]],
// APART:       linalg.generic {{.*}} ins(%[[OWN]],
func.func @apart(%x: tensor<8x64xf32>, %w: tensor<64x64xf32, #columns>, %y: tensor<8x64xf32>) -> tensor<8x64xf32> {
  %dw = lowbit.decode %w : tensor<64x64xf32, #columns>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %dw : tensor<8x64xf32>, tensor<64x64xf32>)
                     outs(%y : tensor<8x64xf32>) -> tensor<8x64xf32>
  return %r : tensor<8x64xf32>
}
