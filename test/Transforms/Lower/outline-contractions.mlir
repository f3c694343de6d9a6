// RUN: lowbit-opt %s --lowbit-outline-contractions | FileCheck %s

// What has equal types and an unknown number of rows is one function, across functions; a single one, and a single token's, stay.

#a8 = #lowbit.quantized<int<8>, scale = f32 per axis 0>
#w8 = #lowbit.quantized<uint<8>, scale = f32 per axis 0, layout = tiled>
!xs = memref<?x1xf32>
!w = memref<1x1x64xi8>
!ws = memref<1x1x16xf32>

// CHECK-LABEL: func.func @first
// CHECK:         call @[[$F:lowbit.contract.*]](%{{.*}}) : (memref<?x4xi8>
// CHECK-NOT:     call
func.func @first(%x: memref<?x4xi8>, %s: !xs, %w: !w, %ws: !ws, %y: memref<?x16xf32>, %i: index) {
  lowbit.contract tensor<?x4xf32, #a8> (%x, %s) by tensor<16x4xf32, #w8> (%w, %ws) from %i into %y : (memref<?x4xi8>, !xs, !w, !ws, index, memref<?x16xf32>) -> ()
  return
}

// CHECK-LABEL: func.func @second
// CHECK:         call @[[$F]](
// Other strides of the result are another form.
// CHECK:         lowbit.contract {{.*}} strided<[32, 1]>
// CHECK:         return
func.func @second(%x: memref<?x4xi8>, %s: !xs, %w: !w, %ws: !ws, %y: memref<?x16xf32>, %z: memref<?x16xf32, strided<[32, 1]>>, %i: index) {
  lowbit.contract tensor<?x4xf32, #a8> (%x, %s) by tensor<16x4xf32, #w8> (%w, %ws) from %i into %y : (memref<?x4xi8>, !xs, !w, !ws, index, memref<?x16xf32>) -> ()
  lowbit.contract tensor<?x4xf32, #a8> (%x, %s) by tensor<16x4xf32, #w8> (%w, %ws) from %i into %z : (memref<?x4xi8>, !xs, !w, !ws, index, memref<?x16xf32, strided<[32, 1]>>) -> ()
  return
}

// CHECK-LABEL: func.func @token
// CHECK-COUNT-2: lowbit.contract
// CHECK:         return
func.func @token(%x: memref<1x4xi8>, %s: memref<1x1xf32>, %w: !w, %ws: !ws, %y: memref<1x16xf32>, %i: index) {
  lowbit.contract tensor<1x4xf32, #a8> (%x, %s) by tensor<16x4xf32, #w8> (%w, %ws) from %i into %y : (memref<1x4xi8>, memref<1x1xf32>, !w, !ws, index, memref<1x16xf32>) -> ()
  lowbit.contract tensor<1x4xf32, #a8> (%x, %s) by tensor<16x4xf32, #w8> (%w, %ws) from %i into %y : (memref<1x4xi8>, memref<1x1xf32>, !w, !ws, index, memref<1x16xf32>) -> ()
  return
}

// CHECK:       func.func private @[[$F]]({{.*}}) attributes {passthrough = ["noinline"]} {
// CHECK-NEXT:    lowbit.contract
// CHECK-NEXT:    return
