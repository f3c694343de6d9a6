// RUN: not lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-lower-quotients{kind=mmx}))' 2>&1 | FileCheck %s --check-prefix=KIND
// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-lower-quotients))' | FileCheck %s
// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-lower-quotients{kind=avx512}))' | FileCheck %s --check-prefix=FIXUP
// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-lower-quotients{multiply-add=false}))' | FileCheck %s --check-prefix=DIVIDE

// KIND: error: unknown kind of instructions 'mmx'; known: vnni512, 

// One scale for all lanes: its inverse is found by the only division, of numbers.

// CHECK-LABEL: func @block(
// CHECK-COUNT-1: arith.divf %{{.*}}, %{{.*}} : f32
// CHECK-NOT: arith.divf
// CHECK-COUNT-3: vector.fma
// CHECK-NOT: vector.fma
// FIXUP-LABEL: func @block(
// FIXUP: llvm.call_intrinsic "llvm.x86.avx512.mask.fixupimm.ps.512"
// FIXUP-COUNT-3: vector.fma
// DIVIDE-LABEL: func @block(
// DIVIDE: %[[NONE:.*]] = arith.cmpf oeq
// DIVIDE: %[[DIVISOR:.*]] = arith.select %[[NONE]]
// DIVIDE: arith.divf %{{.*}}, %[[DIVISOR]] : vector<16xf32>
func.func @block(%x: vector<16xf32>, %scale: f32) -> vector<16xf32> {
  %scales = vector.broadcast %scale : f32 to vector<16xf32>
  %q = lowbit.quotient %x, %scales : vector<16xf32>
  return %q : vector<16xf32>
}

// Each lane has a scale of its own; a number alone.

// CHECK-LABEL: func @others(
// CHECK: arith.divf %{{.*}} : vector<16xf32>
// CHECK: arith.divf %{{.*}} : f32
// CHECK-NOT: vector.fma
func.func @others(%x: vector<16xf32>, %scales: vector<16xf32>, %y: f32, %scale: f32) -> (vector<16xf32>, f32) {
  %q = lowbit.quotient %x, %scales : vector<16xf32>
  %r = lowbit.quotient %y, %scale : f32
  return %q, %r : vector<16xf32>, f32
}
