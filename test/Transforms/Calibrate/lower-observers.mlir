// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-lower-observers))' | FileCheck %s

// Arguments come after those that are there, tap by tap; rows of any shape are rows.
// CHECK-DAG:   #[[$ROWS:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG:   #[[$CHANNELS:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-DAG:   #[[$LEFT:.*]] = affine_map<(d0, d1, d2) -> (d2, d0)>
// CHECK-DAG:   #[[$RIGHT:.*]] = affine_map<(d0, d1, d2) -> (d2, d1)>
// CHECK-DAG:   #[[$SUM:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-LABEL: func @taps(
// CHECK-SAME:    %[[X:[^:]*]]: tensor<?x4x64xf32>, %[[OUT:[^:]*]]: tensor<?x4x64xf32>,
// CHECK-SAME:    %[[H:[^:]*]]: tensor<64x64xf32> {lowbit.name = "a.moments"}, %[[M:[^:]*]]: tensor<64xf32> {lowbit.name = "a.magnitudes"},
// CHECK-SAME:    %[[S:[^:]*]]: tensor<8xf32> {lowbit.name = "b.squares"}
// CHECK-SAME:    -> (tensor<?x4x64xf32>, tensor<64x64xf32>, tensor<64xf32>, tensor<8xf32>) attributes {lowbit.entry, lowbit.updates = array<i64: 1, 3, 4, 5>}
// CHECK:       %[[ROWS:.*]] = tensor.collapse_shape %[[X]] {{\[\[}}0, 1], [2]]
// CHECK:       %[[NH:.*]] = linalg.matmul indexing_maps = [#[[$LEFT]], #[[$RIGHT]], #[[$SUM]]] ins(%[[ROWS]], %[[ROWS]] : {{.*}}) outs(%[[H]] :
// CHECK:       %[[NM:.*]] = linalg.generic {indexing_maps = [#[[$ROWS]], #[[$CHANNELS]]], iterator_types = ["reduction", "parallel"]} ins(%[[ROWS]] : {{.*}}) outs(%[[M]] :
// CHECK:         math.absf
// CHECK:         arith.addf
// CHECK:       %[[ONE:.*]] = tensor.expand_shape
// CHECK:       %[[NS:.*]] = linalg.generic {{.*}} ins(%[[ONE]] : tensor<1x8xf32>) outs(%[[S]] :
// CHECK:         arith.mulf
// CHECK-NOT:   lowbit.observe
// CHECK:       return %[[X]], %[[NH]], %[[NM]], %[[NS]]
func.func @taps(%x: tensor<?x4x64xf32>, %out: tensor<?x4x64xf32>, %v: tensor<8xf32>) -> tensor<?x4x64xf32>
    attributes {lowbit.entry, lowbit.updates = array<i64: 1>} {
  lowbit.observe %x for ["a", "c"] [moments, magnitudes] : tensor<?x4x64xf32>
  lowbit.observe %v for ["b"] [squares] : tensor<8xf32>
  return %x : tensor<?x4x64xf32>
}

// CHECK-LABEL: func @extremes(
// CHECK:         arith.maximumf
// CHECK:         arith.minimumf
// CHECK:         arith.addf
func.func @extremes(%x: tensor<2x8xf32>) attributes {lowbit.entry, lowbit.updates = array<i64>} {
  lowbit.observe %x for ["a"] [maxima, minima, sums] : tensor<2x8xf32>
  return
}

// Every element is counted by the high half of its magnitude, exactly.
// CHECK-LABEL: func @counts(
// CHECK-SAME:    %[[X:[^:]*]]: tensor<?x8xf32>, %[[H:[^:]*]]: tensor<32768xi64> {lowbit.name = "a.histogram"}) -> tensor<32768xi64>
// CHECK:       %[[R:.*]] = scf.for {{.*}} iter_args({{.*}} = %[[H]])
// CHECK:         scf.for
// CHECK:           tensor.extract %[[X]]
// CHECK:           math.absf
// CHECK:           %[[BIN:.*]] = arith.index_cast
// CHECK:           %[[N:.*]] = tensor.extract %[[COUNTS:.*]][%[[BIN]]] : tensor<32768xi64>
// CHECK:           %[[NEXT:.*]] = arith.addi %[[N]]
// CHECK:           tensor.insert %[[NEXT]] into %[[COUNTS]][%[[BIN]]]
// CHECK:       return %[[R]]
func.func @counts(%x: tensor<?x8xf32>) attributes {lowbit.entry, lowbit.updates = array<i64>} {
  lowbit.observe %x for ["a"] [histogram] : tensor<?x8xf32>
  return
}

// CHECK-LABEL: func private @untouched
func.func private @untouched(%x: tensor<2x8xf32>) -> tensor<2x8xf32> {
  return %x : tensor<2x8xf32>
}
