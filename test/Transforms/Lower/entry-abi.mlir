// RUN: lowbit-opt %s --lowbit-entry-abi | FileCheck %s

// The wrapper has the entry's name and a buffer for each tensor: an updated argument is written in place, a fresh result
// is a buffer at the end, scalars stay scalars.

// CHECK: module attributes {lowbit.entries = [
// CHECK-SAME: {arguments = [memref<4xf32>, memref<8x32xi8>, index, memref<4xf32>], name = "step", outputs = 1 : i64}
// CHECK-SAME: {arguments = [memref<2xf32>], name = "other", outputs = 0 : i64}
// CHECK-SAME: {arguments = [memref<?x?xi8>, index], name = "extent", outputs = 0 : i64}

// CHECK: func.func private @helper(
func.func @helper(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// CHECK: func.func @step(%[[X:.*]]: memref<4xf32>, %[[C:.*]]: memref<8x32xi8>, %[[N:.*]]: index, %[[Y:.*]]: memref<4xf32>) attributes {llvm.emit_c_interface} {
// CHECK-DAG: %[[XT:.*]] = bufferization.to_tensor %[[X]] restrict : memref<4xf32>
// CHECK-DAG: %[[CT:.*]] = bufferization.to_tensor %[[C]] restrict writable : memref<8x32xi8>
// CHECK: %[[R:.*]]:2 = call @step.body(%[[XT]], %[[CT]], %[[N]])
// CHECK: bufferization.materialize_in_destination %[[R]]#0 in restrict writable %[[C]]
// CHECK: bufferization.materialize_in_destination %[[R]]#1 in restrict writable %[[Y]]
// CHECK-NEXT: return
// CHECK: func.func private @step.body(
// CHECK-NOT: lowbit.entry
func.func @step(%x: tensor<4xf32>, %c: tensor<8x32xi8>, %n: index) -> (tensor<8x32xi8>, tensor<4xf32>)
    attributes {lowbit.entry, lowbit.updates = array<i64: 1, -1>} {
  %0 = call @helper(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %c, %0 : tensor<8x32xi8>, tensor<4xf32>
}

// CHECK: func.func @other(%{{.*}}: memref<2xf32>)
func.func @other(%x: tensor<2xf32>) -> tensor<2xf32> attributes {lowbit.entry, lowbit.updates = array<i64: 0>} {
  return %x : tensor<2xf32>
}

// An extent is passed by value, and an update keeps it.

// CHECK: func.func @extent(%[[C:.*]]: memref<?x?xi8>, %{{.*}}: index) attributes
// CHECK: bufferization.materialize_in_destination %{{.*}} in restrict writable %[[C]]
// CHECK-NEXT: return
func.func @extent(%c: tensor<?x?xi8>, %n: index) -> (tensor<?x?xi8>, index) attributes {lowbit.entry, lowbit.updates = array<i64: 0, 1>} {
  return %c, %n : tensor<?x?xi8>, index
}

// -----

// A result that is another argument's old value is saved before that argument is updated; one that stays in its own
// storage is not.

// CHECK-LABEL: func.func @previous(
// CHECK: %[[R:.*]]:2 = call @previous.body
// CHECK-NOT: bufferization.alloc_tensor() copy(%[[R]]#0)
// CHECK: %[[OLD:.*]] = bufferization.alloc_tensor() copy(%[[R]]#1)
// CHECK: bufferization.materialize_in_destination %[[R]]#0 in
// CHECK: bufferization.materialize_in_destination %[[OLD]] in
func.func @previous(%a: tensor<4xf32>, %b: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>)
    attributes {lowbit.entry, lowbit.updates = array<i64: 0, 1>} {
  %s = linalg.add ins(%a, %b : tensor<4xf32>, tensor<4xf32>) outs(%a : tensor<4xf32>) -> tensor<4xf32>
  return %s, %a : tensor<4xf32>, tensor<4xf32>
}
