// RUN: lowbit-opt %s --lowbit-split-stages -split-input-file -verify-diagnostics
// RUN: not lowbit-opt %s --pass-pipeline='builtin.module(lowbit-split-stages{entry=other})' -split-input-file 2>&1 | FileCheck %s

// CHECK: error: no entry is named 'other': mark a function with 'lowbit.entry'
// expected-error @below {{no entry: mark a function with 'lowbit.entry'}}
module {
  func.func private @f(%x: tensor<2x8xf32>) {
    lowbit.observe %x for ["a"] [sums] : tensor<2x8xf32>
    return
  }
}

// -----

// expected-error @below {{has no taps: lowbit-insert-observers places them at products with parameters}}
func.func @f() attributes {lowbit.entry} {
  return
}

// -----

func.func private @g()
func.func @f() attributes {lowbit.entry} {
  // expected-error @below {{is a call: inline it before stages are cut}}
  func.call @g() : () -> ()
  return
}

// -----

// expected-error @below {{has several blocks: only a straight line can be cut}}
func.func @f() attributes {lowbit.entry} {
  cf.br ^next
^next:
  return
}

// -----

func.func @f(%x: tensor<2x8xf32>, %n: index) attributes {lowbit.entry, lowbit.updates = array<i64>} {
  scf.for %i = %n to %n step %n {
    // expected-error @below {{is in a region: only values of an entry's own block can be tapped}}
    lowbit.observe %x for ["a"] [sums] : tensor<2x8xf32>
  }
  return
}
