// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --lowbit-vectorize-elementwise -canonicalize | FileCheck %s
// RUN: lowbit-opt %s -split-input-file --lowbit-vectorize-elementwise=vector-length=4 -canonicalize | FileCheck %s --check-prefix=NARROW
// RUN: not lowbit-opt %s --lowbit-vectorize-elementwise=vector-length=12 2>&1 | FileCheck %s --check-prefix=OPTION

// OPTION: error: vector-length must be a power of two

// Two codes in a byte, then the block's scale: 8 bytes are spread over 16 lanes, the shifts become constants,
// and the scale is loaded and extended once for each block.

// CHECK-LABEL: func @decode(
// CHECK-SAME: %[[BYTES:.*]]: memref<16x18x16xi8>, %[[SCALES:.*]]: memref<16x18xf16>, %[[OUT:.*]]: memref<16x18x16x2xf32>
// CHECK-DAG: %[[SHIFTS:.*]] = arith.constant dense<[0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4]> : vector<16xi8>
// CHECK: scf.for %[[ROW:.*]] = %c0 to %c16 step %c1 {
// CHECK: scf.for %[[BLOCK:.*]] = %c0 to %c18 step %c1 {
// CHECK: %[[SCALE:.*]] = memref.load %[[SCALES]][%[[ROW]], %[[BLOCK]]]
// CHECK: %[[WIDE:.*]] = arith.extf %[[SCALE]] : f16 to f32
// CHECK: scf.for %[[BYTE:.*]] = %c0 to %c16 step %c8 {
// CHECK: %[[STRETCH:.*]] = vector.load %[[BYTES]][%[[ROW]], %[[BLOCK]], %[[BYTE]]] : memref<16x18x16xi8>, vector<8xi8>
// CHECK: %[[TWICE:.*]] = vector.shuffle %[[STRETCH]], %[[STRETCH]] [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]
// CHECK: %[[SHIFTED:.*]] = arith.shrui %[[TWICE]], %[[SHIFTS]]
// CHECK: arith.andi %[[SHIFTED]]
// CHECK: arith.uitofp {{.*}} : vector<16xi8> to vector<16xf32>
// CHECK: vector.broadcast %[[WIDE]] : f32 to vector<16xf32>
// CHECK: vector.store %{{.*}}, %[[OUT]][%[[ROW]], %[[BLOCK]], %[[BYTE]], %c0]
func.func @decode(%bytes: memref<16x18x16xi8>, %scales: memref<16x18xf16>, %out: memref<16x18x16x2xf32>) {
  linalg.generic {
      indexing_maps = [affine_map<(i, b, y, h) -> (i, b, y)>, affine_map<(i, b, y, h) -> (i, b)>, affine_map<(i, b, y, h) -> (i, b, y, h)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%bytes, %scales : memref<16x18x16xi8>, memref<16x18xf16>) outs(%out : memref<16x18x16x2xf32>) {
    ^bb0(%byte: i8, %scale: f16, %old: f32):
      %half = linalg.index 3 : index
      %h = arith.index_cast %half : index to i8
      %c4 = arith.constant 4 : i8
      %shift = arith.muli %h, %c4 : i8
      %low = arith.shrui %byte, %shift : i8
      %c15 = arith.constant 15 : i8
      %code = arith.andi %low, %c15 : i8
      %q = arith.uitofp %code : i8 to f32
      %s = arith.extf %scale : f16 to f32
      %x = arith.mulf %s, %q : f32
      linalg.yield %x : f32
  }
  return
}

// -----

// 64 lanes of bytes; half an axis apart, both codes of a byte have the same shift in all lanes.

// CHECK-LABEL: func @bytes_only(
// CHECK: scf.for %[[HALF:.*]] = %c0 to %c2 step %c1 {
// CHECK: %[[H:.*]] = arith.index_cast %[[HALF]] : index to i8
// CHECK: %[[SHIFT:.*]] = arith.muli %[[H]], %{{.*}} : i8
// CHECK: scf.for {{.*}} step %c64 {
// CHECK: vector.load {{.*}} vector<64xi8>
// CHECK: vector.broadcast %[[SHIFT]] : i8 to vector<64xi8>
func.func @bytes_only(%bytes: memref<128xi8>, %out: memref<2x128xi8>) {
  linalg.generic {
      indexing_maps = [affine_map<(h, y) -> (y)>, affine_map<(h, y) -> (h, y)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%bytes : memref<128xi8>) outs(%out : memref<2x128xi8>) {
    ^bb0(%byte: i8, %old: i8):
      %half = linalg.index 0 : index
      %h = arith.index_cast %half : index to i8
      %c4 = arith.constant 4 : i8
      %shift = arith.muli %h, %c4 : i8
      %low = arith.shrui %byte, %shift : i8
      linalg.yield %low : i8
  }
  return
}

// -----

// What a dynamic size leaves over is done by single elements, here of the strip's dimension. The index of
// that dimension is a vector, and stays a scalar there.

// CHECK-LABEL: func @rest(
// CHECK-SAME: %[[X:.*]]: memref<?xf32>
// CHECK-DAG: %[[LANES:.*]] = arith.constant dense<[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]> : vector<16xindex>
// CHECK: %[[SIZE:.*]] = memref.dim %[[X]]
// CHECK: %[[OVER:.*]] = arith.remui %[[SIZE]], %c16
// CHECK: %[[END:.*]] = arith.subi %[[SIZE]], %[[OVER]]
// CHECK: scf.for %[[I:.*]] = %c0 to %[[END]] step %c16 {
// CHECK: vector.load %[[X]][%[[I]]]
// CHECK: %[[START:.*]] = vector.broadcast %[[I]] : index to vector<16xindex>
// CHECK: arith.addi %[[START]], %[[LANES]]
// CHECK: vector.store
// CHECK: scf.for %[[I:.*]] = %[[END]] to %[[SIZE]] step %c1 {
// CHECK: memref.load %[[X]][%[[I]]]
// CHECK: arith.index_cast %[[I]] : index to i32
// CHECK: memref.store
func.func @rest(%x: memref<?xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      outs(%x : memref<?xf32>) {
    ^bb0(%old: f32):
      %i = linalg.index 0 : index
      %j = arith.index_cast %i : index to i32
      %f = arith.sitofp %j : i32 to f32
      %new = arith.addf %old, %f : f32
      linalg.yield %new : f32
  }
  return
}

// -----

// A sum over rows: four chains of vectors, then one by one what is left, then the output.

// CHECK-LABEL: func @sum_of_squares(
// CHECK-SAME: %[[X:.*]]: memref<4x?xf32>, %[[Y:.*]]: memref<4xf32>
// CHECK: %[[FOUR:.*]]:4 = scf.for {{.*}} step %c64 iter_args
// CHECK-COUNT-4: vector.load %[[X]]
// CHECK: %[[ONE:.*]] = scf.for {{.*}} step %c16 iter_args(%{{.*}} = %[[FOUR]]#0)
// CHECK: vector.load %[[X]]
// CHECK: %[[REST:.*]] = scf.for {{.*}} step %c1 iter_args(%{{.*}} = %{{.*}}) -> (f32)
// CHECK: memref.load %[[X]]
// CHECK: arith.addf %[[ONE]], %[[FOUR]]#1
// CHECK: arith.addf %[[FOUR]]#2, %[[FOUR]]#3
// CHECK: vector.shuffle
// CHECK: arith.addf %{{.*}}, %[[REST]]
// CHECK: %[[OLD:.*]] = memref.load %[[Y]]
// CHECK: %[[NEW:.*]] = arith.addf %[[OLD]], %{{.*}} : f32
// CHECK: memref.store %[[NEW]], %[[Y]]
func.func @sum_of_squares(%x: memref<4x?xf32>, %y: memref<4xf32>) {
  linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<4x?xf32>) outs(%y : memref<4xf32>) {
    ^bb0(%a: f32, %sum: f32):
      %square = arith.mulf %a, %a : f32
      %new = arith.addf %square, %sum : f32
      linalg.yield %new : f32
  }
  return
}

// -----

// The order of a sum does not depend on vector-length: 4 times 8 sums in f64. That of a maximum may.

// NARROW-LABEL: func @sum_in_f64(
// NARROW: scf.for {{.*}} step %c32 iter_args({{.*}}) -> (vector<8xf64>, vector<8xf64>, vector<8xf64>, vector<8xf64>)
// NARROW-COUNT-4: vector.load {{.*}}, vector<8xf32>
// NARROW: scf.for {{.*}} step %c8 iter_args
// NARROW: scf.for {{.*}} step %c1 iter_args
func.func @sum_in_f64(%x: memref<?xf32>, %y: memref<f64>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]}
      ins(%x : memref<?xf32>) outs(%y : memref<f64>) {
    ^bb0(%a: f32, %sum: f64):
      %wide = arith.extf %a : f32 to f64
      %new = arith.addf %wide, %sum : f64
      linalg.yield %new : f64
  }
  return
}

// NARROW-LABEL: func @largest(
// NARROW-COUNT-4: vector.load {{.*}}, vector<4xf32>
func.func @largest(%x: memref<?xf32>, %y: memref<f32>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>], iterator_types = ["reduction"]}
      ins(%x : memref<?xf32>) outs(%y : memref<f32>) {
    ^bb0(%a: f32, %before: f32):
      %new = arith.maximumf %a, %before : f32
      linalg.yield %new : f32
  }
  return
}

// -----

// An exponential is computed inline, for vectors and for the rest.

// CHECK-LABEL: func @exponential(
// CHECK-NOT: math.exp
// CHECK: vector.fma
// CHECK-NOT: math.exp
// CHECK: math.fma
// CHECK-NOT: math.exp
// CHECK: return
func.func @exponential(%x: memref<?xf32>, %y: memref<?xf32>) {
  linalg.exp ins(%x : memref<?xf32>) outs(%y : memref<?xf32>)
  return
}

// -----

// CHECK-LABEL: func @transposed(
// CHECK: linalg.transpose
func.func @transposed(%x: memref<32x64xf32>, %y: memref<64x32xf32>) {
  // expected-remark @+1 {{op left for scalar loops: the operands are not contiguous along a common dimension or a reduction has no known combining op}}
  linalg.transpose ins(%x : memref<32x64xf32>) outs(%y : memref<64x32xf32>) permutation = [1, 0]
  return
}

// -----

// A table of 16 levels is one permutation, written lane by lane.

// CHECK-LABEL: func @codebook(
// CHECK: %[[TABLE:.*]] = memref.get_global @levels
// CHECK: %[[LEVELS:.*]] = vector.load %[[TABLE]][%c0] : memref<16xf32>, vector<16xf32>
// CHECK: %[[INDICES:.*]] = arith.extui %{{.*}} : vector<16xi8> to vector<16xi32>
// CHECK: %[[LAST:.*]] = vector.extract %[[INDICES]][15] : i32 from vector<16xi32>
// CHECK: %[[AT:.*]] = arith.index_castui %[[LAST]] : i32 to index
// CHECK: vector.extract %[[LEVELS]][%[[AT]]] : f32 from vector<16xf32>
// CHECK: vector.from_elements {{.*}} : vector<16xf32>
memref.global "private" constant @levels : memref<16xf32> = dense<1.0>
func.func @codebook(%codes: memref<64xi8>, %y: memref<64xf32>) {
  %table = memref.get_global @levels : memref<16xf32>
  linalg.generic {
      indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%codes : memref<64xi8>) outs(%y : memref<64xf32>) {
    ^bb0(%code: i8, %old: f32):
      %i = arith.index_castui %code : i8 to index
      %level = memref.load %table[%i] : memref<16xf32>
      linalg.yield %level : f32
  }
  return
}

// -----

// Indices of 32 bits fill one register.

// CHECK-LABEL: func @large_codebook(
// CHECK: %[[INDICES:.*]] = arith.extui %{{.*}} : vector<16xi8> to vector<16xi32>
// CHECK: vector.gather %{{.*}}[%c0] [%[[INDICES]]]
memref.global "private" constant @many_levels : memref<256xf32> = dense<1.0>
func.func @large_codebook(%codes: memref<64xi8>, %y: memref<64xf32>) {
  %table = memref.get_global @many_levels : memref<256xf32>
  linalg.generic {
      indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%codes : memref<64xi8>) outs(%y : memref<64xf32>) {
    ^bb0(%code: i8, %old: f32):
      %i = arith.index_castui %code : i8 to index
      %level = memref.load %table[%i] : memref<256xf32>
      linalg.yield %level : f32
  }
  return
}

// -----

// CHECK-LABEL: func @unknown_body(
// CHECK: linalg.generic
func.func @unknown_body(%table: memref<16xf32>, %codes: memref<64xindex>, %bytes: memref<64xi8>, %y: memref<64xf32>) {
  // expected-remark @+1 {{op left for scalar loops: its body has 'memref.load'}}
  linalg.generic {
      indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%bytes : memref<64xi8>) outs(%y : memref<64xf32>) {
    ^bb0(%byte: i8, %old: f32):
      %i = arith.index_castui %byte : i8 to index
      %level = memref.load %table[%i] : memref<16xf32>
      linalg.yield %level : f32
  }
  return
}

// -----

// CHECK-LABEL: func @bits(
// CHECK: linalg.generic
func.func @bits(%x: memref<64xf32>, %y: memref<64xi1>) {
  // expected-remark @+1 {{op left for scalar loops: an operand's elements are not whole bytes}}
  linalg.generic {
      indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%x : memref<64xf32>) outs(%y : memref<64xi1>) {
    ^bb0(%a: f32, %old: i1):
      %b = arith.cmpf ogt, %a, %a : f32
      linalg.yield %b : i1
  }
  return
}

// -----

// A reduction that is no single associative op.

// CHECK-LABEL: func @unknown_combiner(
// CHECK: linalg.generic
func.func @unknown_combiner(%x: memref<4x64xf32>, %y: memref<4xf32>) {
  // expected-remark @+1 {{op left for scalar loops: the operands are not contiguous along a common dimension or a reduction has no known combining op}}
  linalg.generic {
      indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<4x64xf32>) outs(%y : memref<4xf32>) {
    ^bb0(%a: f32, %old: f32):
      %new = arith.subf %a, %old : f32
      linalg.yield %new : f32
  }
  return
}

// -----

// Contractions belong to lowbit-vectorize-contractions; no remark here.

// CHECK-LABEL: func @contraction(
// CHECK: linalg.matmul
func.func @contraction(%x: memref<8x8xf16>, %y: memref<8x8xf16>) {
  linalg.matmul ins(%x, %x : memref<8x8xf16>, memref<8x8xf16>) outs(%y : memref<8x8xf16>)
  return
}

// -----

// Two codes become one byte: the strip loads both for 64 bytes, keeps what it has of them in a register, and stores once.

// CHECK-LABEL: func @pack(
// CHECK-SAME: %[[CODES:.*]]: memref<128x2xi8>, %[[BYTES:.*]]: memref<128xi8>
// CHECK: scf.for %[[I:.*]] = %c0 to %c128 step %c64 {
// CHECK-NOT: scf.for
// CHECK: %[[FIRST:.*]] = vector.load %[[CODES]][%[[I]], %c0] : memref<128x2xi8>, vector<128xi8>
// CHECK: %[[LOW:.*]] = vector.shuffle %[[FIRST]], %[[FIRST]] [0, 2, 4, {{.*}}, 126]
// CHECK: %[[OLD:.*]] = vector.load %[[BYTES]][%[[I]]] : memref<128xi8>, vector<64xi8>
// CHECK: %[[HALF:.*]] = arith.ori %[[OLD]]
// CHECK: vector.shuffle {{.*}} [1, 3, 5, {{.*}}, 127]
// CHECK: %[[BOTH:.*]] = arith.ori %[[HALF]]
// CHECK-NEXT: vector.store %[[BOTH]], %[[BYTES]][%[[I]]]
func.func @pack(%codes: memref<128x2xi8>, %bytes: memref<128xi8>) {
  %c4 = arith.constant 4 : i8
  linalg.generic {
      indexing_maps = [affine_map<(i, h) -> (i, h)>, affine_map<(i, h) -> (i)>], iterator_types = ["parallel", "reduction"]}
      ins(%codes : memref<128x2xi8>) outs(%bytes : memref<128xi8>) {
    ^bb0(%code: i8, %old: i8):
      %half = linalg.index 1 : index
      %h = arith.index_cast %half : index to i8
      %shift = arith.muli %h, %c4 : i8
      %field = arith.shli %code, %shift : i8
      %new = arith.ori %old, %field : i8
      linalg.yield %new : i8
  }
  return
}
