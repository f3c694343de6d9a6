// RUN: not lowbit-opt %s --pass-pipeline='builtin.module(lowbit-lower-ranks{kind=mmx})' 2>&1 | FileCheck %s --check-prefix=KIND
// RUN: lowbit-opt %s --pass-pipeline='builtin.module(lowbit-lower-ranks)' | FileCheck %s
// RUN: lowbit-opt %s --pass-pipeline='builtin.module(lowbit-lower-ranks{kind=avx512})' | FileCheck %s --check-prefix=TABLES

// KIND: error: unknown kind of instructions 'mmx'; known: vnni512, 

// Levels at even distances: 16 buckets by steps, one register. Only the nearest numbers are divided.

// CHECK-LABEL: func @even(
// CHECK: %{{.*}} = lowbit.quotient
// CHECK-NOT: arith.cmpf oge
// CHECK: math.roundeven
// CHECK: arith.fptosi
// TABLES-LABEL: func @even(
// TABLES: arith.divf %{{.*}}, %{{.*}} : f32
// TABLES: vector.fma
// TABLES-NOT: arith.cmpf olt
// TABLES: permvar
// TABLES: arith.addi
// TABLES: vector.reduction <or>
// TABLES: scf.if
// TABLES: arith.divf %{{.*}}, %{{.*}} : vector<16xf32>
// TABLES: math.roundeven
// TABLES: else
// TABLES-NEXT: arith.shrui
func.func @even(%x: vector<16xf32>, %scale: f32) -> vector<16xi32> {
  %scales = vector.broadcast %scale : f32 to vector<16xf32>
  %rank = lowbit.rank %x by %scales in [0.1875000149011612, 0.3125, 0.4375000298023224, 0.5625] bounded : vector<16xf32>
  return %rank : vector<16xi32>
}

// Levels of many magnitudes: 32 buckets by binades; numbers that may be larger than the scale are brought nearer.

// CHECK-LABEL: func @wide(
// CHECK: lowbit.quotient
// CHECK-COUNT-15: arith.cmpf oge
// TABLES-LABEL: func @wide(
// TABLES: fixupimm
// TABLES: vector.fma
// TABLES: arith.cmpf olt
// TABLES: vpermi2var
// TABLES: scf.if
// TABLES: arith.divf
// TABLES-COUNT-15: arith.cmpf oge
func.func @wide(%x: vector<16xf32>, %scale: f32) -> vector<16xi32> {
  %scales = vector.broadcast %scale : f32 to vector<16xf32>
  %rank = lowbit.rank %x by %scales in [-0.775, -0.55, -0.325, -0.145, -0.055, -0.019, -0.00275, 0.00275, 0.019, 0.055, 0.145, 0.325, 0.55, 0.775, 0.94375] : vector<16xf32>
  return %rank : vector<16xi32>
}

// More thresholds than are compared one by one: a table in memory by the bits of the quotient, for lanes of any number. Their own are
// searched where the number is near one of them; so are those of numbers without a block.

// CHECK-LABEL: func @many(
// CHECK: arith.mulf %{{.*}}, %{{.*}} : vector<8xf32>
// CHECK: memref.get_global @lowbit_table : memref<4096xi32>
// CHECK: vector.gather {{.*}} memref<4096xi32>
// CHECK: scf.if
// CHECK: arith.divf
// CHECK: memref.get_global @lowbit_table_0 : memref<31xf32>
// CHECK-COUNT-5: vector.gather {{.*}} memref<31xf32>
// CHECK: else
// CHECK-NEXT: arith.shrui
// CHECK: lowbit.quotient
// CHECK-COUNT-5: memref.load {{.*}} memref<31xf32>
func.func @many(%x: vector<8xf32>, %scale: f32, %y: f32) -> (vector<8xi32>, i32) {
  %scales = vector.broadcast %scale : f32 to vector<8xf32>
  %rank = lowbit.rank %x by %scales in [-0.9, -0.8, -0.7, -0.6, -0.5, -0.4, -0.3, -0.2, -0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8] : vector<8xf32>
  %one = lowbit.rank %y by %scale in [-0.9, -0.8, -0.7, -0.6, -0.5, -0.4, -0.3, -0.2, -0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8] : f32
  return %rank, %one : vector<8xi32>, i32
}

// Thresholds too near to each other, lanes with scales of their own, eight lanes, a number.

// TABLES-LABEL: func @others(
// TABLES-COUNT-3: lowbit.quotient
// TABLES-NOT: lowbit.quotient
// TABLES-NOT: permvar
func.func @others(%x: vector<16xf32>, %scale: f32, %scales: vector<16xf32>, %y: vector<8xf32>)
    -> (vector<16xi32>, vector<16xi32>, vector<8xi32>, i32) {
  %all = vector.broadcast %scale : f32 to vector<16xf32>
  %eight = vector.broadcast %scale : f32 to vector<8xf32>
  %one = arith.constant 1.0 : f32
  %b = lowbit.rank %x by %all in [0.5, 0.50001] : vector<16xf32>
  %c = lowbit.rank %x by %scales in [0.5] : vector<16xf32>
  %d = lowbit.rank %y by %eight in [0.5] : vector<8xf32>
  %e = lowbit.rank %scale by %one in [0.5] : f32
  return %b, %c, %d, %e : vector<16xi32>, vector<16xi32>, vector<8xi32>, i32
}
