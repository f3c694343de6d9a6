// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-prefetch-loads))' | FileCheck %s

// Large, and of a size that is not known: 2048 bytes ahead.

// CHECK-LABEL: func @large(
// CHECK: scf.for
// CHECK: memref.prefetch %{{.*}}, read, locality<3>, data : memref<4x1048576xf32>
// CHECK: memref.prefetch %{{.*}}, read, locality<3>, data : memref<?xf32>
func.func @large(%x: memref<4x1048576xf32>, %y: memref<?xf32>, %n: index) -> vector<16xf32> {
  %zero = arith.constant dense<0.0> : vector<16xf32>
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %r = scf.for %i = %c0 to %n step %c16 iter_args(%sum = %zero) -> (vector<16xf32>) {
    %a = vector.load %x[%c0, %i] : memref<4x1048576xf32>, vector<16xf32>
    %b = vector.load %y[%i] : memref<?xf32>, vector<16xf32>
    %p = arith.addf %a, %b : vector<16xf32>
    %q = arith.addf %p, %sum : vector<16xf32>
    scf.yield %q : vector<16xf32>
  }
  return %r : vector<16xf32>
}

// What stays in a cache, and what is no argument.

// CHECK-LABEL: func @small(
// CHECK-NOT: memref.prefetch
func.func @small(%x: memref<64xf32>, %n: index) -> vector<16xf32> {
  %zero = arith.constant dense<0.0> : vector<16xf32>
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %own = memref.alloc(%n) : memref<?xf32>
  %r = scf.for %i = %c0 to %n step %c16 iter_args(%sum = %zero) -> (vector<16xf32>) {
    %a = vector.load %x[%i] : memref<64xf32>, vector<16xf32>
    %b = vector.load %own[%i] : memref<?xf32>, vector<16xf32>
    %p = arith.addf %a, %b : vector<16xf32>
    %q = arith.addf %p, %sum : vector<16xf32>
    scf.yield %q : vector<16xf32>
  }
  memref.dealloc %own : memref<?xf32>
  return %r : vector<16xf32>
}
