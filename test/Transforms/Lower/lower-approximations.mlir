// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-lower-approximations{kind=avx512}))' | FileCheck %s
// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-lower-approximations))' | FileCheck %s --check-prefix=EXACT
// RUN: not lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-lower-approximations{kind=mmx}))' 2>&1 | FileCheck %s --check-prefix=KIND

// KIND: error: unknown kind of instructions 'mmx'; known: vnni512, 

// CHECK-LABEL: func @allowed(
// CHECK: %[[INVERSE:.*]] = llvm.call_intrinsic "llvm.x86.avx512.rsqrt14.ps.512"
// CHECK: %[[ROOT:.*]] = llvm.call_intrinsic "llvm.x86.avx512.rcp14.ps.512"(%[[INVERSE]]
// CHECK: llvm.call_intrinsic "llvm.x86.avx512.rcp14.ps.512"(%[[ROOT]]
// CHECK: arith.mulf
// EXACT-LABEL: func @allowed(
// EXACT: math.sqrt %{{[a-z0-9]+}} : vector<16xf32>
// EXACT: arith.divf %{{[a-z0-9]+}}, %{{[a-z0-9]+}} : vector<16xf32>
func.func @allowed(%x: vector<16xf32>, %y: vector<16xf32>) -> vector<16xf32> {
  %r = math.sqrt %y fastmath<afn> : vector<16xf32>
  %q = arith.divf %x, %r fastmath<arcp> : vector<16xf32>
  return %q : vector<16xf32>
}

// Not asked for; numbers, and vectors of another length, have no such instruction.

// CHECK-LABEL: func @others(
// CHECK-NOT: llvm.call_intrinsic
// CHECK-NOT: fastmath
func.func @others(%x: vector<16xf32>, %y: f32, %z: vector<8xf32>) -> (vector<16xf32>, f32, vector<8xf32>) {
  %a = arith.divf %x, %x : vector<16xf32>
  %b = arith.divf %y, %y fastmath<arcp> : f32
  %c = math.sqrt %z fastmath<afn> : vector<8xf32>
  return %a, %b, %c : vector<16xf32>, f32, vector<8xf32>
}
