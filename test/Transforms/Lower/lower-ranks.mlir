// RUN: not lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-lower-ranks{kind=mmx}))' 2>&1 | FileCheck %s --check-prefix=KIND
// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-lower-ranks))' | FileCheck %s
// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-lower-ranks{kind=avx512}))' | FileCheck %s --check-prefix=TABLES

// KIND: error: unknown kind of instructions 'mmx'; known: vnni512, 

// Levels at even distances: 16 buckets by the integral part, one register each.

// CHECK-LABEL: func @even(
// CHECK: %{{.*}} = lowbit.quotient
// CHECK-NOT: arith.cmpf oge
// CHECK: math.roundeven
// CHECK: arith.fptosi
// TABLES-LABEL: func @even(
// TABLES-NOT: lowbit.quotient
// TABLES: fixupimm
// TABLES-NOT: arith.cmpf olt
// TABLES: arith.fptosi
// TABLES-COUNT-3: permvar
func.func @even(%x: vector<16xf32>, %scale: f32) -> vector<16xi32> {
  %scales = vector.broadcast %scale : f32 to vector<16xf32>
  %rank = lowbit.rank %x by %scales in [0.1875000149011612, 0.3125, 0.4375000298023224, 0.5625] bounded : vector<16xf32>
  return %rank : vector<16xi32>
}

// Levels of many magnitudes: 32 buckets by the leading bits; numbers that may be larger than the scale are brought nearer.

// CHECK-LABEL: func @wide(
// CHECK: lowbit.quotient
// CHECK-COUNT-15: arith.cmpf oge
// TABLES-LABEL: func @wide(
// TABLES: arith.cmpf olt
// TABLES: math.copysign
// TABLES: arith.shrui
// TABLES: arith.xori
// TABLES-COUNT-3: vpermi2var
func.func @wide(%x: vector<16xf32>, %scale: f32) -> vector<16xi32> {
  %scales = vector.broadcast %scale : f32 to vector<16xf32>
  %rank = lowbit.rank %x by %scales in [-0.775, -0.55, -0.325, -0.145, -0.055, -0.019, -0.00275, 0.00275, 0.019, 0.055, 0.145, 0.325, 0.55, 0.775, 0.94375] : vector<16xf32>
  return %rank : vector<16xi32>
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
