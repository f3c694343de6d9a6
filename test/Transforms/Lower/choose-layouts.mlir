// RUN: lowbit-opt %s -verify-diagnostics --lowbit-choose-layouts | FileCheck %s
// RUN: lowbit-opt %s -verify-diagnostics --lowbit-choose-layouts=inline-scales | FileCheck %s --check-prefix=INLINE

// Records need not fill the columns.
// INLINE-DAG:   #[[$RECORDS:.+]] = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = records>
// INLINE-LABEL: func @two_uses(
// INLINE:       lowbit.convert {{.*}} to tensor<64x64xf32, #[[$RECORDS]]>
// INLINE-LABEL: func @half_a_record(
// INLINE:       lowbit.convert {{.*}} to tensor<64x32xf32, #[[$RECORDS]]>

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
#q4_0 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>
#rank1 = #lowbit.quantized<int<4>, scale = f32 rank1<min>>
#pairs = #lowbit.quantized<int<4>, scale = f16 per [1, 2]>
#columns = #lowbit.outlier_columns<density = 0.05, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>, #lowbit.quantized<f16>>
#tall = #lowbit.quantized<int<4>, scale = f16 per [8, 32]>

// CHECK-DAG: #[[$Q:.+]] = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>
// CHECK-DAG: #[[$TILED:.+]] = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>
// CHECK-DAG: #[[$COLUMNS:.+]] = #lowbit.outlier_columns<density = 0.05, #[[$TILED]], #{{.*}}>

// Products read tiles, all else reads what is stored.
// CHECK-LABEL: func @two_uses(
// CHECK:       %[[W:.*]] = lowbit.parameter "w" : tensor<64x64xf32, #[[$Q]]>
// CHECK:       %[[T:.*]] = lowbit.convert %[[W]] : tensor<64x64xf32, #[[$Q]]> to tensor<64x64xf32, #[[$TILED]]>
// CHECK-DAG:   %[[STORED:.*]] = lowbit.decode %[[W]]
// CHECK-DAG:   %[[TILES:.*]] = lowbit.decode %[[T]]
// CHECK:       linalg.matmul {{.*}} ins(%{{.*}}, %[[TILES]] :
// CHECK:       tensor.extract_slice %[[STORED]]
func.func @two_uses(%x: tensor<1x64xf32>, %y: tensor<1x64xf32>, %row: index) -> (tensor<1x64xf32>, tensor<64xf32>) {
  %w = lowbit.parameter "w" : tensor<64x64xf32, #q4_0>
  %d = lowbit.decode %w : tensor<64x64xf32, #q4_0>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<64x64xf32>)
                     outs(%y : tensor<1x64xf32>) -> tensor<1x64xf32>
  %s = tensor.extract_slice %d[%row, 0] [1, 64] [1, 1] : tensor<64x64xf32> to tensor<64xf32>
  return %r, %s : tensor<1x64xf32>, tensor<64xf32>
}

// Weights [inputs, outputs], an argument of an entry, and what no kernel could read keep their layout; of products of them, with
// the reason.
// CHECK-LABEL: func @stay(
// CHECK-NOT:   lowbit.convert
// CHECK:       return
func.func @stay(%x: tensor<1x64xf32>, %a: tensor<64x64xf32, #q4_0>, %y: tensor<1x64xf32>) -> tensor<1x64xf32> {
  %v = lowbit.parameter "v" : tensor<64x64xf32, #q4_0>
  %dv = lowbit.decode %v : tensor<64x64xf32, #q4_0>
  %0 = linalg.matmul indexing_maps = [#mk, #kn, #mn] ins(%x, %dv : tensor<1x64xf32>, tensor<64x64xf32>)
                     outs(%y : tensor<1x64xf32>) -> tensor<1x64xf32>
  %da = lowbit.decode %a : tensor<64x64xf32, #q4_0>
  // expected-remark @below {{weights stay in layout #lowbit.ggml<q4_0>: it has weights in argument 1, which is laid out by callers that are not known}}
  %1 = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %da : tensor<1x64xf32>, tensor<64x64xf32>)
                     outs(%0 : tensor<1x64xf32>) -> tensor<1x64xf32>
  %rank1 = lowbit.parameter "rank1" : tensor<64x64xf32, #rank1>
  %drank1 = lowbit.decode %rank1 : tensor<64x64xf32, #rank1>
  // expected-remark @below {{weights stay in layout #lowbit.planes: it has weights that the layout cannot hold: layout tiled holds scales by blocks, not rank1}}
  %2 = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %drank1 : tensor<1x64xf32>, tensor<64x64xf32>)
                     outs(%1 : tensor<1x64xf32>) -> tensor<1x64xf32>
  %pairs = lowbit.parameter "pairs" : tensor<64x64xf32, #pairs>
  %dpairs = lowbit.decode %pairs : tensor<64x64xf32, #pairs>
  // expected-remark @below {{weights stay in layout #lowbit.planes: it has blocks of 2 columns over which all scales are constant: a multiple of 4 is needed}}
  %3 = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %dpairs : tensor<1x64xf32>, tensor<64x64xf32>)
                     outs(%2 : tensor<1x64xf32>) -> tensor<1x64xf32>
  %tall = lowbit.parameter "tall" : tensor<64x64xf32, #tall>
  %dtall = lowbit.decode %tall : tensor<64x64xf32, #tall>
  // expected-remark @below {{weights stay in layout #lowbit.planes: it has weights whose scale cuts groups of 16 rows: #lowbit.block_scale<f16 per [8, 32]>}}
  %4 = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %dtall : tensor<1x64xf32>, tensor<64x64xf32>)
                     outs(%3 : tensor<1x64xf32>) -> tensor<1x64xf32>
  return %4 : tensor<1x64xf32>
}

// Through calls: a private function takes tiles if it only multiplies with them, whoever calls it.
// CHECK-LABEL: func @layers(
// CHECK:       %[[A:.*]] = lowbit.convert %{{.*}} to tensor<64x64xf32, #[[$TILED]]>
// CHECK:       %[[B:.*]] = lowbit.convert %{{.*}} to tensor<64x64xf32, #[[$TILED]]>
// CHECK:       %[[Y:.*]] = call @outer(%{{.*}}, %[[A]]) : (tensor<1x64xf32>, tensor<64x64xf32, #[[$TILED]]>)
// CHECK:       call @outer(%[[Y]], %[[B]])
func.func @layers(%x: tensor<1x64xf32>) -> tensor<1x64xf32> {
  %a = lowbit.parameter "a" : tensor<64x64xf32, #q4_0>
  %b = lowbit.parameter "b" : tensor<64x64xf32, #q4_0>
  %y = call @outer(%x, %a) : (tensor<1x64xf32>, tensor<64x64xf32, #q4_0>) -> tensor<1x64xf32>
  %z = call @outer(%y, %b) : (tensor<1x64xf32>, tensor<64x64xf32, #q4_0>) -> tensor<1x64xf32>
  return %z : tensor<1x64xf32>
}
// CHECK:       func private @outer(%{{.*}}: tensor<1x64xf32>, %{{.*}}: tensor<64x64xf32, #[[$TILED]]>)
func.func private @outer(%x: tensor<1x64xf32>, %w: tensor<64x64xf32, #q4_0>) -> tensor<1x64xf32> {
  %y = call @inner(%x, %w) : (tensor<1x64xf32>, tensor<64x64xf32, #q4_0>) -> tensor<1x64xf32>
  return %y : tensor<1x64xf32>
}
// CHECK:       func private @inner(%{{.*}}: tensor<1x64xf32>, %{{.*}}: tensor<64x64xf32, #[[$TILED]]>)
func.func private @inner(%x: tensor<1x64xf32>, %w: tensor<64x64xf32, #q4_0>) -> tensor<1x64xf32> {
  %d = lowbit.decode %w : tensor<64x64xf32, #q4_0>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<64x64xf32>)
                     outs(%x : tensor<1x64xf32>) -> tensor<1x64xf32>
  return %r : tensor<1x64xf32>
}

// Terms of combinators take tiles each for itself: here not the outliers, whose number is not known.
// CHECK-LABEL: func @terms(
// CHECK:       lowbit.convert %{{.*}} to tensor<64x64xf32, #[[$COLUMNS]]>
func.func @terms(%x: tensor<1x64xf32>) -> tensor<1x64xf32> {
  %w = lowbit.parameter "terms" : tensor<64x64xf32, #columns>
  %d = lowbit.decode %w : tensor<64x64xf32, #columns>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<64x64xf32>)
                     outs(%x : tensor<1x64xf32>) -> tensor<1x64xf32>
  return %r : tensor<1x64xf32>
}

// One caller without a parameter, one other use in the callee: as it is stored.
// CHECK-LABEL: func @mixed(
// CHECK-NOT:   lowbit.convert
// CHECK:       func private @shared(%{{.*}}: tensor<1x64xf32>, %{{.*}}: tensor<64x64xf32, #[[$Q]]>)
// CHECK:       func private @reads(%{{.*}}: tensor<64x64xf32, #[[$Q]]>)
func.func @mixed(%x: tensor<1x64xf32>, %given: tensor<64x64xf32, #q4_0>) -> (tensor<1x64xf32>, tensor<64x64xf32>) {
  %w = lowbit.parameter "c" : tensor<64x64xf32, #q4_0>
  %y = call @shared(%x, %w) : (tensor<1x64xf32>, tensor<64x64xf32, #q4_0>) -> tensor<1x64xf32>
  %z = call @shared(%y, %given) : (tensor<1x64xf32>, tensor<64x64xf32, #q4_0>) -> tensor<1x64xf32>
  %v = call @reads(%w) : (tensor<64x64xf32, #q4_0>) -> tensor<64x64xf32>
  return %z, %v : tensor<1x64xf32>, tensor<64x64xf32>
}
func.func private @shared(%x: tensor<1x64xf32>, %w: tensor<64x64xf32, #q4_0>) -> tensor<1x64xf32> {
  %d = lowbit.decode %w : tensor<64x64xf32, #q4_0>
  // expected-remark @below {{it has weights in argument 1, which is no parameter in some call or which not only products read}}
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x64xf32>, tensor<64x64xf32>)
                     outs(%x : tensor<1x64xf32>) -> tensor<1x64xf32>
  return %r : tensor<1x64xf32>
}
func.func private @reads(%w: tensor<64x64xf32, #q4_0>) -> tensor<64x64xf32> {
  %d = lowbit.decode %w : tensor<64x64xf32, #q4_0>
  return %d : tensor<64x64xf32>
}

func.func @half_a_record(%x: tensor<1x32xf32>, %y: tensor<1x64xf32>) -> tensor<1x64xf32> {
  %w = lowbit.parameter "half" : tensor<64x32xf32, #q4_0>
  %d = lowbit.decode %w : tensor<64x32xf32, #q4_0>
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %d : tensor<1x32xf32>, tensor<64x32xf32>)
                     outs(%y : tensor<1x64xf32>) -> tensor<1x64xf32>
  return %r : tensor<1x64xf32>
}
