// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --lowbit-vectorize-contractions | FileCheck %s
// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --lowbit-vectorize-contractions="vector-length=8 rows=2" | FileCheck %s --check-prefix=NARROW
// RUN: not lowbit-opt %s --lowbit-vectorize-contractions=vector-length=12 2>&1 | FileCheck %s --check-prefix=OPTION

// OPTION: error: vector-length and columns must be powers of two, rows at least 1

// Both inputs are contiguous along the reduction. Dynamic rows: tiles of 4, then single rows with wider
// tiles. 16 columns and 576 = 36 * 16 elements leave nothing over, so there is no mask.

// CHECK-LABEL: func @dot(
// CHECK-SAME: %[[X:.*]]: memref<?x576xf32>, %[[W:.*]]: memref<16x576xf32>, %[[Y:.*]]: memref<?x16xf32
// CHECK: %[[M:.*]] = memref.dim %[[X]]
// CHECK: %[[REST:.*]] = arith.remui %[[M]], %{{.*}}
// CHECK: %[[END:.*]] = arith.subi %[[M]], %[[REST]]
// CHECK: scf.for %[[ROW:.*]] = %{{.*}} to %[[END]] step %c4{{[_0-9]*}} {
// CHECK: scf.for %[[COLUMN:.*]] = %c0{{[_0-9]*}} to %c16{{[_0-9]*}} step %c4{{[_0-9]*}} {
// CHECK: %[[SUMS:.*]]:16 = scf.for %[[K:.*]] = %c0{{[_0-9]*}} to %c576{{[_0-9]*}} step %c16{{[_0-9]*}} iter_args
// CHECK: vector.load %[[X]][%[[ROW]], %[[K]]] : memref<?x576xf32>, vector<16xf32>
// CHECK: vector.load %[[W]][%[[COLUMN]], %[[K]]] : memref<16x576xf32>, vector<16xf32>
// CHECK-COUNT-16: vector.fma
// CHECK: scf.yield
// The first sums meet those half the tile on: lanes stay in place in one operand of the addition.
// CHECK: %[[KEPT:.*]] = vector.shuffle %[[SUMS]]#0, %[[SUMS]]#8 [0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31]
// CHECK: %[[MOVED:.*]] = vector.shuffle %[[SUMS]]#0, %[[SUMS]]#8 [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]
// CHECK: arith.addf %[[KEPT]], %[[MOVED]] : vector<16xf32>
// CHECK: vector.extract_strided_slice {{.*}} {offsets = [0], sizes = [4], strides = [1]}
// CHECK: %[[OLD:.*]] = vector.load %[[Y]][%[[ROW]], %[[COLUMN]]]
// CHECK: %[[NEW:.*]] = arith.addf %[[OLD]], %{{.*}} : vector<4xf32>
// CHECK: vector.store %[[NEW]], %[[Y]][%[[ROW]], %[[COLUMN]]]
// CHECK: scf.for %{{.*}} = %[[END]] to %[[M]] step %c1{{[_0-9]*}} {
// CHECK: scf.for {{.*}} to %c16{{[_0-9]*}} step %c8{{[_0-9]*}} {
// CHECK: scf.for {{.*}} iter_args
// CHECK-COUNT-8: vector.fma
// CHECK-NOT: vector.create_mask
// CHECK: return

// NARROW-LABEL: func @dot(
// NARROW: %{{.*}}:8 = scf.for {{.*}} to %c576{{[_0-9]*}} step %c8{{[_0-9]*}} iter_args
// NARROW-COUNT-8: vector.fma {{.*}} : vector<8xf32>
// NARROW: scf.yield
func.func @dot(%x: memref<?x576xf32>, %w: memref<16x576xf32>,
               %y: memref<?x16xf32, strided<[576, 1], offset: ?>>) {
  linalg.generic {
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<?x576xf32>, memref<16x576xf32>)
      outs(%y : memref<?x16xf32, strided<[576, 1], offset: ?>>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %0 = arith.mulf %a, %b : f32
      %1 = arith.addf %c, %0 : f32
      linalg.yield %1 : f32
  }
  return
}

// -----

// Known sizes: 5 rows are a tile of 4 and one of 1, 3 columns tiles of 2 and 1, and 21 elements one whole
// and one masked vector. No loop is left.

// CHECK-LABEL: func @dot_known_ends(
// CHECK-NOT: scf.for
// CHECK-COUNT-8: vector.fma
// CHECK: %[[MASK:.*]] = vector.create_mask %c5{{[_0-9]*}} : vector<16xi1>
// CHECK: vector.maskedload %{{.*}}[%{{.*}}, %c16{{[_0-9]*}}], %[[MASK]]
// CHECK-COUNT-8: vector.fma
// CHECK: vector.shuffle
// CHECK-COUNT-8: vector.fma
// CHECK: vector.shuffle
// CHECK-COUNT-4: vector.fma
// CHECK: vector.shuffle
// CHECK-COUNT-2: vector.fma
// CHECK: vector.shuffle
// CHECK-NOT: vector.fma
// CHECK: return
func.func @dot_known_ends(%x: memref<5x21xf32>, %w: memref<3x21xf32>, %y: memref<5x3xf32>) {
  linalg.generic {
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<5x21xf32>, memref<3x21xf32>) outs(%y : memref<5x3xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %0 = arith.mulf %b, %a : f32
      %1 = arith.addf %0, %c : f32
      linalg.yield %1 : f32
  }
  return
}

// -----

// Attention scores: heads share keys, so `h` occurs in a nested expression and is a loop around the tile.
// The cached length is dynamic: whole tiles of 4 columns, then single ones. 64 elements are 4 vectors.

// CHECK-LABEL: func @scores(
// CHECK-SAME: %[[Q:.*]]: memref<9x?x64xf32>, %[[KEYS:.*]]: memref<?x3x64xf32>
// CHECK: scf.for %[[H:.*]] = %c0{{[_0-9]*}} to %c9{{[_0-9]*}} step %c1{{[_0-9]*}} {
// CHECK: scf.for %[[ROW:.*]] = {{.*}} step %c4{{[_0-9]*}} {
// CHECK: scf.for %[[T:.*]] = {{.*}} step %c4{{[_0-9]*}} {
// CHECK: scf.for %[[D:.*]] = %c0{{[_0-9]*}} to %c64{{[_0-9]*}} step %c16{{[_0-9]*}} iter_args
// CHECK: %[[SHARED:.*]] = affine.apply #{{.*}}(%[[H]])
// CHECK: vector.load %[[KEYS]][%[[T]], %[[SHARED]], %[[D]]]
// CHECK-COUNT-16: vector.fma
// CHECK-NOT: vector.create_mask
// CHECK: return
func.func @scores(%q: memref<9x?x64xf32>, %k: memref<?x3x64xf32>, %s: memref<9x?x?xf32>) {
  linalg.generic {
      indexing_maps = [affine_map<(h, m, t, d) -> (h, m, d)>, affine_map<(h, m, t, d) -> (t, h floordiv 3, d)>,
                       affine_map<(h, m, t, d) -> (h, m, t)>],
      iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%q, %k : memref<9x?x64xf32>, memref<?x3x64xf32>) outs(%s : memref<9x?x?xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %0 = arith.mulf %a, %b : f32
      %1 = arith.addf %c, %0 : f32
      linalg.yield %1 : f32
  }
  return
}

// -----

// Attention values: the reduction over `t` is contiguous in the probabilities only, but `d` is in the
// values and the output. The output's vectors are the accumulators.

// CHECK-LABEL: func @values(
// CHECK-SAME: %[[P:.*]]: memref<3x?x?xf32>, %[[V:.*]]: memref<?x3x32xf32>, %[[O:.*]]: memref<3x?x32xf32>
// CHECK: scf.for %[[H:.*]] = %c0{{[_0-9]*}} to %c3
// CHECK: scf.for %[[ROW:.*]] = {{.*}} step %c4{{[_0-9]*}} {
// CHECK-COUNT-8: vector.load %[[O]]
// CHECK: scf.for %[[T:.*]] = %c0{{[_0-9]*}} to %{{.*}} step %c1{{[_0-9]*}} iter_args
// CHECK-COUNT-2: vector.load %[[V]][%[[T]], %[[H]], %{{.*}}]
// CHECK: %[[SCALAR:.*]] = memref.load %[[P]][%[[H]], %[[ROW]], %[[T]]]
// CHECK: vector.broadcast %[[SCALAR]] : f32 to vector<16xf32>
// CHECK-COUNT-8: vector.fma
// CHECK: scf.yield
// CHECK-COUNT-8: vector.store %{{.*}}, %[[O]]
func.func @values(%p: memref<3x?x?xf32>, %v: memref<?x3x32xf32>, %o: memref<3x?x32xf32>) {
  linalg.generic {
      indexing_maps = [affine_map<(h, m, d, t) -> (h, m, t)>, affine_map<(h, m, d, t) -> (t, h, d)>,
                       affine_map<(h, m, d, t) -> (h, m, d)>],
      iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%p, %v : memref<3x?x?xf32>, memref<?x3x32xf32>) outs(%o : memref<3x?x32xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %0 = arith.mulf %a, %b : f32
      %1 = arith.addf %c, %0 : f32
      linalg.yield %1 : f32
  }
  return
}

// -----

// The end of a dynamic vector dimension is at most one masked vector.

// CHECK-LABEL: func @matmul(
// CHECK: %[[LEFT:.*]] = arith.subi
// CHECK: %[[MASK:.*]] = vector.create_mask %{{.*}} : vector<16xi1>
// CHECK: vector.maskedload {{.*}}, %[[MASK]]
// CHECK: vector.maskedstore {{.*}}, %[[MASK]]
func.func @matmul(%x: memref<4x?xf32>, %w: memref<?x?xf32>, %y: memref<4x?xf32>) {
  linalg.matmul ins(%x, %w : memref<4x?xf32>, memref<?x?xf32>) outs(%y : memref<4x?xf32>)
  return
}

// -----

// A matrix times a vector: the matrix has the columns of the tile, whichever operand it is.

// CHECK-LABEL: func @matvec(
// CHECK-SAME: %[[W:.*]]: memref<8x32xf32>, %[[X:.*]]: memref<32xf32>
// CHECK: scf.for %{{.*}} = %c0{{[_0-9]*}} to %c32
// CHECK-COUNT-1: vector.load %[[X]]
// CHECK-COUNT-8: vector.load %[[W]]
// CHECK-COUNT-8: vector.fma
func.func @matvec(%w: memref<8x32xf32>, %x: memref<32xf32>, %y: memref<8xf32>) {
  linalg.matvec ins(%w, %x : memref<8x32xf32>, memref<32xf32>) outs(%y : memref<8xf32>)
  return
}

// -----

// CHECK-LABEL: func @no_contiguous_dimension(
// CHECK: linalg.matmul
func.func @no_contiguous_dimension(%x: memref<8x8xf32>, %w: memref<8x8xf32, strided<[1, 8]>>,
                                   %y: memref<8x8xf32, strided<[16, 2]>>) {
  // The weights' own layout hides that they are contiguous along the reduction: only the last dimension of a
  // memref counts.
  // expected-remark @+1 {{contraction left for scalar loops: no reduction dimension is contiguous in both inputs and no parallel dimension is contiguous in one input and the output only}}
  linalg.matmul ins(%x, %w : memref<8x8xf32>, memref<8x8xf32, strided<[1, 8]>>) outs(%y : memref<8x8xf32, strided<[16, 2]>>)
  return
}

// -----

// CHECK-LABEL: func @other_types(
// CHECK: linalg.matmul
// CHECK: linalg.matmul
func.func @other_types(%a: memref<8x8xi8>, %b: memref<8x8xi8>, %c: memref<8x8xi32>,
                       %x: memref<8x8xf16>, %y: memref<8x8xf32>) {
  // expected-remark @+1 {{only plain products and sums of f32 are handled}}
  linalg.matmul ins(%a, %b : memref<8x8xi8>, memref<8x8xi8>) outs(%c : memref<8x8xi32>)
  // expected-remark @+1 {{only plain products and sums of f32 are handled}}
  linalg.matmul ins(%x, %x : memref<8x8xf16>, memref<8x8xf16>) outs(%y : memref<8x8xf32>)
  return
}

// -----

// CHECK-LABEL: func @not_bufferized(
// CHECK: linalg.matmul
func.func @not_bufferized(%x: tensor<8x8xf32>, %y: tensor<8x8xf32>) -> tensor<8x8xf32> {
  // expected-remark @+1 {{it is not bufferized}}
  %0 = linalg.matmul ins(%x, %x : tensor<8x8xf32>, tensor<8x8xf32>) outs(%y : tensor<8x8xf32>) -> tensor<8x8xf32>
  return %0 : tensor<8x8xf32>
}

// -----

// No contraction, no remark.

// CHECK-LABEL: func @elementwise(
// CHECK: linalg.add
func.func @elementwise(%x: memref<8xf32>, %y: memref<8xf32>) {
  linalg.add ins(%x, %x : memref<8xf32>, memref<8xf32>) outs(%y : memref<8xf32>)
  return
}
