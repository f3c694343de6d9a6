// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-row-lookups))' | FileCheck %s
// RUN: lowbit-opt %s --lowbit-tiling-pipeline | FileCheck %s --check-prefix=TILES

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#i = affine_map<(i, j) -> (i)>
#j = affine_map<(i, j) -> (j)>
#ij = affine_map<(i, j) -> (i, j)>

// Of an encoded table, only the row that is read is decoded. What is checked is checked for each row.

// CHECK-LABEL: func @encoded(
// CHECK: %[[TABLE:.*]] = lowbit.decode
// CHECK: scf.for %[[I:[a-z0-9_]+]] = {{.*}} iter_args(%[[FILLED:[a-z0-9_]+]] =
// CHECK: %[[ID:.*]] = tensor.extract %{{.*}}[%[[I]]] : tensor<?xi64>
// CHECK: %[[ROW:.*]] = arith.index_cast %[[ID]]
// CHECK: cf.assert
// CHECK: tensor.extract_slice %[[TABLE]][%[[ROW]], 0] [1, 64] [1, 1] : tensor<1000x64xf32> to tensor<64xf32>
// CHECK: tensor.insert_slice %{{.*}} into %[[FILLED]][%[[I]], 0] [1, 64] [1, 1]
// CHECK-NOT: linalg.generic
// TILES-LABEL: func @encoded(
// TILES-NOT: tensor<1000x64xf32>
// TILES: return
func.func @encoded(%ids: tensor<?xi64>, %codes: tensor<1000x64xf32, #w>, %o: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %table = lowbit.decode %codes : tensor<1000x64xf32, #w>
  %c1000 = arith.constant 1000 : index
  %0 = linalg.generic {indexing_maps = [#i, #ij], iterator_types = ["parallel", "parallel"]} ins(%ids : tensor<?xi64>) outs(%o : tensor<?x64xf32>) {
    ^bb0(%id: i64, %out: f32):
      %row = arith.index_cast %id : i64 to index
      %column = linalg.index 1 : index
      %inside = arith.cmpi ult, %row, %c1000 : index
      cf.assert %inside, "no such row"
      %element = tensor.extract %table[%row, %column] : tensor<1000x64xf32>
      linalg.yield %element : f32
  } -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// Rows of a table of three axes, for each of two.

// CHECK-LABEL: func @more_axes(
// CHECK: scf.for %[[A:[a-z0-9_]+]] =
// CHECK: scf.for %[[B:[a-z0-9_]+]] =
// CHECK: tensor.extract_slice %{{.*}}[%{{.*}}, 0, 0] [1, 4, 8] [1, 1, 1] : tensor<10x4x8xf32> to tensor<4x8xf32>
// CHECK: tensor.insert_slice %{{.*}}[%[[A]], %[[B]], 0, 0] [1, 1, 4, 8] [1, 1, 1, 1] : tensor<4x8xf32> into tensor<2x3x4x8xf32>
func.func @more_axes(%ids: tensor<3x2xi64>, %table: tensor<10x4x8xf32>, %o: tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32> {
  %0 = linalg.generic {indexing_maps = [affine_map<(a, b, c, d) -> (b, a)>, affine_map<(a, b, c, d) -> (a, b, c, d)>],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%ids : tensor<3x2xi64>) outs(%o : tensor<2x3x4x8xf32>) {
    ^bb0(%id: i64, %out: f32):
      %row = arith.index_cast %id : i64 to index
      %y = linalg.index 2 : index
      %x = linalg.index 3 : index
      %element = tensor.extract %table[%row, %y, %x] : tensor<10x4x8xf32>
      linalg.yield %element : f32
  } -> tensor<2x3x4x8xf32>
  return %0 : tensor<2x3x4x8xf32>
}

// What reads no rows stays: a row for each element, columns, an element that is changed.

// CHECK-LABEL: func @no_rows(
// CHECK-COUNT-3: linalg.generic
// CHECK-NOT: scf.for
// CHECK: return
func.func @no_rows(%ids: tensor<?xi64>, %all: tensor<64xi64>, %table: tensor<64x64xf32>, %o: tensor<?x64xf32>)
    -> (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>) {
  %0 = linalg.generic {indexing_maps = [#j, #ij], iterator_types = ["parallel", "parallel"]} ins(%all : tensor<64xi64>) outs(%o : tensor<?x64xf32>) {
    ^bb0(%id: i64, %out: f32):
      %row = arith.index_cast %id : i64 to index
      %column = linalg.index 1 : index
      %element = tensor.extract %table[%row, %column] : tensor<64x64xf32>
      linalg.yield %element : f32
  } -> tensor<?x64xf32>
  %1 = linalg.generic {indexing_maps = [#i, #ij], iterator_types = ["parallel", "parallel"]} ins(%ids : tensor<?xi64>) outs(%o : tensor<?x64xf32>) {
    ^bb0(%id: i64, %out: f32):
      %column = arith.index_cast %id : i64 to index
      %row = linalg.index 1 : index
      %element = tensor.extract %table[%row, %column] : tensor<64x64xf32>
      linalg.yield %element : f32
  } -> tensor<?x64xf32>
  %2 = linalg.generic {indexing_maps = [#i, #ij], iterator_types = ["parallel", "parallel"]} ins(%ids : tensor<?xi64>) outs(%o : tensor<?x64xf32>) {
    ^bb0(%id: i64, %out: f32):
      %row = arith.index_cast %id : i64 to index
      %column = linalg.index 1 : index
      %element = tensor.extract %table[%row, %column] : tensor<64x64xf32>
      %negative = arith.negf %element : f32
      linalg.yield %negative : f32
  } -> tensor<?x64xf32>
  return %0, %1, %2 : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>
}
