// RUN: lowbit-opt %s --pass-pipeline='builtin.module(func.func(lowbit-lower-observers))' -split-input-file -verify-diagnostics

func.func private @layer(%x: tensor<2x8xf32>) {
  // expected-error @below {{is in a function that nobody calls with storage for statistics: inline it into an entry with 'lowbit.updates'}}
  lowbit.observe %x for ["a"] [sums] : tensor<2x8xf32>
  return
}

// -----

func.func @loop(%x: tensor<2x8xf32>, %n: index) attributes {lowbit.entry, lowbit.updates = array<i64>} {
  scf.for %i = %n to %n step %n {
    // expected-error @below {{is in a region: only values of an entry's own block can be tapped}}
    lowbit.observe %x for ["a"] [sums] : tensor<2x8xf32>
  }
  return
}
