// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --lowbit-entry-abi

// expected-error @+1 {{result 'tensor<?xf32>' of entry @grow has no storage: give it a static shape, or an argument to update in 'lowbit.updates'}}
func.func @grow(%x: tensor<?xf32>) -> tensor<?xf32> attributes {lowbit.entry} {
  return %x : tensor<?xf32>
}

// -----

// expected-error @+1 {{result 'f32' of entry @scalar has no storage}}
func.func @scalar(%x: f32) -> f32 attributes {lowbit.entry} {
  return %x : f32
}

// -----

// expected-error @+1 {{result 'f32' of entry @scalar_update has no storage}}
func.func @scalar_update(%x: f32) -> f32 attributes {lowbit.entry, lowbit.updates = array<i64: 0>} {
  return %x : f32
}

// -----

// expected-error @+1 {{no function of the module is an entry: mark one with 'lowbit.entry'}}
module {
  func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    return %x : tensor<4xf32>
  }
}
