// RUN: lowbit-opt %s -split-input-file --pass-pipeline='builtin.module(lowbit-components,func.func(lowbit-distribute),canonicalize,cse)' | FileCheck %s

// A sum: one contraction for each term, each accumulates into what the one before gives.

#base = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#rest = #lowbit.quantized<int<2>, scale = f16 per [1, 32]>
#sum = #lowbit.sum<#base, #rest>
#nt = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]

// CHECK-LABEL: func @sum(
// CHECK-SAME: %[[X:.*]]: tensor<2x64xf32>, %[[C0:.*]]: tensor<48x32xi8>, %[[S0:.*]]: tensor<48x2xf16>, %[[C1:.*]]: tensor<48x16xi8>, %[[S1:.*]]: tensor<48x2xf16>, %[[Y:.*]]: tensor<2x48xf32>
// CHECK: %[[D0:.*]] = lowbit.decode_region tensor<48x64xf32, #int4_codes{{[0-9]*}}>{{.*}}(%[[C0]], %[[S0]]) [0, 0] [48, 64]
// CHECK: %[[Y0:.*]] = linalg.matmul {{.*}} ins(%[[X]], %[[D0]] : {{.*}}) outs(%[[Y]] :
// CHECK: %[[D1:.*]] = lowbit.decode_region tensor<48x64xf32, #int2_codes{{[0-9]*}}>{{.*}}(%[[C1]], %[[S1]]) [0, 0] [48, 64]
// CHECK: %[[Y1:.*]] = linalg.matmul {{.*}} ins(%[[X]], %[[D1]] : {{.*}}) outs(%[[Y0]] :
// CHECK: return %[[Y1]]
func.func @sum(%x: tensor<2x64xf32>, %w: tensor<48x64xf32, #sum>, %y: tensor<2x48xf32>) -> tensor<2x48xf32> {
  %d = lowbit.decode %w : tensor<48x64xf32, #sum>
  %0 = linalg.matmul indexing_maps = #nt ins(%x, %d : tensor<2x64xf32>, tensor<48x64xf32>) outs(%y : tensor<2x48xf32>) -> tensor<2x48xf32>
  return %0 : tensor<2x48xf32>
}

// -----

// Parts of the rows of a weight are columns of the result.

#rows = #lowbit.part<axis = 0, at = [16], #lowbit.quantized<int<8>, scale = f32 per axis 0>, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>
#nt = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]

// CHECK-LABEL: func @rows(
// CHECK-SAME: %[[X:.*]]: tensor<2x64xf32>, {{.*}}, %[[Y:[a-z0-9]*]]: tensor<2x48xf32>)
// CHECK: %[[D0:.*]] = lowbit.decode_region tensor<16x64xf32, #int8_codes{{[0-9]*}}>{{.*}} [0, 0] [16, 64]
// CHECK: %[[O0:.*]] = tensor.extract_slice %[[Y]][0, 0] [2, 16]
// CHECK: %[[P0:.*]] = linalg.matmul {{.*}} ins(%[[X]], %[[D0]] : {{.*}}) outs(%[[O0]] :
// CHECK: %[[Y0:.*]] = tensor.insert_slice %[[P0]] into %[[Y]][0, 0] [2, 16]
// CHECK: %[[D1:.*]] = lowbit.decode_region tensor<32x64xf32, #int4_codes{{[0-9]*}}>{{.*}} [0, 0] [32, 64]
// CHECK: %[[O1:.*]] = tensor.extract_slice %[[Y0]][0, 16] [2, 32]
// CHECK: %[[P1:.*]] = linalg.matmul {{.*}} ins(%[[X]], %[[D1]] : {{.*}}) outs(%[[O1]] :
// CHECK: %[[Y1:.*]] = tensor.insert_slice %[[P1]] into %[[Y0]][0, 16] [2, 32]
// CHECK: return %[[Y1]]
func.func @rows(%x: tensor<2x64xf32>, %w: tensor<48x64xf32, #rows>, %y: tensor<2x48xf32>) -> tensor<2x48xf32> {
  %d = lowbit.decode %w : tensor<48x64xf32, #rows>
  %0 = linalg.matmul indexing_maps = #nt ins(%x, %d : tensor<2x64xf32>, tensor<48x64xf32>) outs(%y : tensor<2x48xf32>) -> tensor<2x48xf32>
  return %0 : tensor<2x48xf32>
}

// -----

// Parts of the reduction: slices of the activation, and the sums add up.

#k = #lowbit.part<axis = 1, at = [32], #lowbit.quantized<int<8>, scale = f32 per axis 0>, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>
#nt = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]

// CHECK-LABEL: func @reduction(
// CHECK-SAME: %[[X:.*]]: tensor<2x64xf32>, {{.*}}, %[[Y:[a-z0-9]*]]: tensor<2x48xf32>)
// CHECK: %[[D0:.*]] = lowbit.decode_region tensor<48x32xf32, #int8_codes{{[0-9]*}}>
// CHECK: %[[X0:.*]] = tensor.extract_slice %[[X]][0, 0] [2, 32]
// CHECK: %[[Y0:.*]] = linalg.matmul {{.*}} ins(%[[X0]], %[[D0]] : {{.*}}) outs(%[[Y]] :
// CHECK: %[[D1:.*]] = lowbit.decode_region tensor<48x32xf32, #int4_codes{{[0-9]*}}>
// CHECK: %[[X1:.*]] = tensor.extract_slice %[[X]][0, 32] [2, 32]
// CHECK: %[[Y1:.*]] = linalg.matmul {{.*}} ins(%[[X1]], %[[D1]] : {{.*}}) outs(%[[Y0]] :
// CHECK: return %[[Y1]]
func.func @reduction(%x: tensor<2x64xf32>, %w: tensor<48x64xf32, #k>, %y: tensor<2x48xf32>) -> tensor<2x48xf32> {
  %d = lowbit.decode %w : tensor<48x64xf32, #k>
  %0 = linalg.matmul indexing_maps = #nt ins(%x, %d : tensor<2x64xf32>, tensor<48x64xf32>) outs(%y : tensor<2x48xf32>) -> tensor<2x48xf32>
  return %0 : tensor<2x48xf32>
}

// -----

// A cut that is known at run time is a component; the parts have its extents.

#rows = #lowbit.part<axis = 0, at = [?], #lowbit.quantized<int<8>, scale = f32 per axis 0>, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>
#nt = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]

// CHECK: #[[$REST:.*]] = affine_map<()[s0] -> (-s0 + 48)>
// CHECK-LABEL: func @cut(
// CHECK-SAME: %[[X:.*]]: tensor<2x64xf32>, %[[CUT:.*]]: index, %[[C0:.*]]: tensor<?x64xi8>,
// CHECK: %[[REST_SIZE:.*]] = affine.apply #[[$REST]]()[%[[CUT]]]
// CHECK: lowbit.decode_region tensor<?x64xf32, #int8_codes{{[0-9]*}}>{{.*}} [0, 0] [%[[CUT]], 64]
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[0, 0] [2, %[[CUT]]]
// CHECK: lowbit.decode_region tensor<?x64xf32, #int4_codes{{[0-9]*}}>{{.*}} [0, 0] [%[[REST_SIZE]], 64]
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[0, %[[CUT]]] [2, %[[REST_SIZE]]]
func.func @cut(%x: tensor<2x64xf32>, %w: tensor<48x64xf32, #rows>, %y: tensor<2x48xf32>) -> tensor<2x48xf32> {
  %d = lowbit.decode %w : tensor<48x64xf32, #rows>
  %0 = linalg.matmul indexing_maps = #nt ins(%x, %d : tensor<2x64xf32>, tensor<48x64xf32>) outs(%y : tensor<2x48xf32>) -> tensor<2x48xf32>
  return %0 : tensor<2x48xf32>
}

// -----

// Combinators in each other; the sparse term is contracted entry by entry, it never becomes dense.

#base = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#outliers = #lowbit.sum<#base, #lowbit.sparse<f16, density = 0.01>>
#nested = #lowbit.part<axis = 0, at = [16], #outliers, #base>
#nt = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]

// CHECK-LABEL: func @nested(
// CHECK-SAME: %[[X:.*]]: tensor<2x64xf32>, {{.*}}, %[[P:[a-z0-9]*]]: tensor<17xi32>, %[[C:[a-z0-9]*]]: tensor<?xi32>, %[[V:[a-z0-9]*]]: tensor<?xf16>,
// CHECK: lowbit.decode_region tensor<16x64xf32, #int4_codes{{[0-9]*}}>
// CHECK: %[[DENSE:.*]] = linalg.matmul
// CHECK: scf.for %[[ROW:.*]] = %c0 to %c16 {{.*}} iter_args(%{{.*}} = %[[DENSE]])
// CHECK:   scf.for %[[AT:.*]] = %{{.*}} to %{{.*}} step %c1
// CHECK:     %[[COLUMN:.*]] = tensor.extract %[[C]][%[[AT]]]
// CHECK:     %[[VALUE:.*]] = tensor.extract %[[V]][%[[AT]]]
// CHECK:     %[[WIDE:.*]] = arith.extf %[[VALUE]]
// CHECK:     scf.for %[[M:.*]] = %c0 to %c2
// CHECK:       tensor.extract %[[X]][%[[M]], %{{.*}}]
// CHECK:       tensor.insert %{{.*}} into %{{.*}}[%[[M]], %[[ROW]]]
// CHECK: lowbit.decode_region tensor<32x64xf32, #int4_codes{{[0-9]*}}>
// CHECK: linalg.matmul
// CHECK-NOT: f32, #sparse>
func.func @nested(%x: tensor<2x64xf32>, %w: tensor<48x64xf32, #nested>, %y: tensor<2x48xf32>) -> tensor<2x48xf32> {
  %d = lowbit.decode %w : tensor<48x64xf32, #nested>
  %0 = linalg.matmul indexing_maps = #nt ins(%x, %d : tensor<2x64xf32>, tensor<48x64xf32>) outs(%y : tensor<2x48xf32>) -> tensor<2x48xf32>
  return %0 : tensor<2x48xf32>
}

// -----

#outliers = #lowbit.sum<#lowbit.quantized<int<4>, scale = f16 per [1, 32]>, #lowbit.sparse<f16, density = 0.01>>

// The sparse term knows one form of contraction; in another it is decoded.

// CHECK-LABEL: func @other_form(
// CHECK: %[[BASE:.*]] = linalg.matmul
// CHECK: %[[S:.*]] = lowbit.decode_region tensor<48x64xf32, #sparse>
// CHECK: linalg.matmul ins(%{{.*}}, %[[S]] : {{.*}}) outs(%[[BASE]] :
func.func @other_form(%x: tensor<2x48xf32>, %w: tensor<48x64xf32, #outliers>, %y: tensor<2x64xf32>) -> tensor<2x64xf32> {
  %d = lowbit.decode %w : tensor<48x64xf32, #outliers>
  %0 = linalg.matmul ins(%x, %d : tensor<2x48xf32>, tensor<48x64xf32>) outs(%y : tensor<2x64xf32>) -> tensor<2x64xf32>
  return %0 : tensor<2x64xf32>
}

// What is no contraction does not distribute over a sum: the combinator decodes itself.

// CHECK-LABEL: func @elementwise(
// CHECK: %[[D:.*]] = lowbit.decode_region tensor<48x64xf32, #sum>
// CHECK: linalg.exp ins(%[[D]] :
func.func @elementwise(%w: tensor<48x64xf32, #outliers>, %y: tensor<48x64xf32>) -> tensor<48x64xf32> {
  %d = lowbit.decode %w : tensor<48x64xf32, #outliers>
  %0 = linalg.exp ins(%d : tensor<48x64xf32>) outs(%y : tensor<48x64xf32>) -> tensor<48x64xf32>
  return %0 : tensor<48x64xf32>
}

// -----

// Columns apart: the first term meets inputs that are 0 there, so that what rounds them later sees no outliers; the
// second one meets only those.

#columns = #lowbit.outlier_columns<density = 0.05, #lowbit.quantized<int<8>, scale = f16 per [1, 32]>, #lowbit.quantized<f16>>
#nt = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]

// CHECK-LABEL: func @outlier_columns(
// CHECK-SAME: %[[X:.*]]: tensor<2x64xf32>, %[[COLUMNS:[a-z0-9]*]]: tensor<?xi32>, %{{.*}}: tensor<48x64xi8>, {{.*}}, %[[O:[a-z0-9]*]]: tensor<?x48xf16>, %[[Y:[a-z0-9]*]]: tensor<2x48xf32>)
// CHECK: %[[COUNT:.*]] = tensor.dim %[[COLUMNS]]
// CHECK: %[[REST:.*]] = scf.for %{{.*}} to %[[COUNT]] {{.*}} iter_args(%[[TAKEN:.*]] = %[[X]])
// CHECK:   %[[AT:.*]] = tensor.extract %[[COLUMNS]]
// CHECK:   tensor.insert_slice %{{.*}} into %[[TAKEN]][0, %{{.*}}] [2, 1]
// CHECK: %[[GATHERED:.*]] = scf.for %{{.*}} to %[[COUNT]]
// CHECK: %[[BASE:.*]] = lowbit.decode_region tensor<48x64xf32, #int8_codes{{[0-9]*}}>{{.*}} [0, 0] [48, 64]
// CHECK: %[[OWN:.*]] = lowbit.decode_region tensor<?x48xf32, #{{.*}}>{{.*}}(%[[O]])
// CHECK: %[[Y0:.*]] = linalg.matmul {{.*}} ins(%[[REST]], %[[BASE]] : {{.*}}) outs(%[[Y]] :
// CHECK: %[[Y1:.*]] = linalg.generic {{.*}} ins(%[[GATHERED]], %[[OWN]] : {{.*}}) outs(%[[Y0]] :
// CHECK: return %[[Y1]]
func.func @outlier_columns(%x: tensor<2x64xf32>, %w: tensor<48x64xf32, #columns>, %y: tensor<2x48xf32>) -> tensor<2x48xf32> {
  %d = lowbit.decode %w : tensor<48x64xf32, #columns>
  %0 = linalg.matmul indexing_maps = #nt ins(%x, %d : tensor<2x64xf32>, tensor<48x64xf32>) outs(%y : tensor<2x48xf32>) -> tensor<2x48xf32>
  return %0 : tensor<2x48xf32>
}
