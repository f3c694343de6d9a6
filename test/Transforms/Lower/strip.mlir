// RUN: lowbit-opt %s -split-input-file --lowbit-strip | FileCheck %s --implicit-check-not=lowbit.quantized

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#p = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>

// The explicit program.

// CHECK-LABEL: func @explicit(
// CHECK-SAME: %[[W:.*]]: tensor<4x64xf32>, %[[D:.*]]: tensor<4x64xf32>) -> tensor<4x64xf32>
// CHECK-NEXT: %[[E:.*]] = math.exp %[[W]] : tensor<4x64xf32>
// CHECK-NEXT: return %[[E]] : tensor<4x64xf32>
func.func @explicit(%w: tensor<4x64xf32, #p>, %d: tensor<4x64xf32, #w>) -> tensor<4x64xf32, #w> {
  %0 = lowbit.convert %w : tensor<4x64xf32, #p> to tensor<4x64xf32, #w>
  %1 = lowbit.decode %0 : tensor<4x64xf32, #w>
  %2 = math.exp %1 : tensor<4x64xf32>
  %3 = lowbit.encode %2 into %d : tensor<4x64xf32> into tensor<4x64xf32, #w>
  return %3 : tensor<4x64xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// The implicit notation, with what else has a type: constants, parameters, declarations, control flow, attributes.

// CHECK-LABEL: func private @callee(tensor<4x64xf32>)
// CHECK-LABEL: func @implicit(
// CHECK-NOT: lowbit.quantized
// CHECK: arith.constant dense<2.000000e+00> : tensor<4x64xf32>
// CHECK: lowbit.parameter "weight" : tensor<64x64xf32>
// CHECK: linalg.matmul {{.*}}tensor<4x64xf32>, tensor<64x64xf32>) outs(%{{.*}} : tensor<4x64xf32>) -> tensor<4x64xf32>
// CHECK: ^bb1(%{{.*}}: tensor<4x64xf32>)
// CHECK: call @callee(%{{.*}}) {kind = tensor<4x64xf32>} : (tensor<4x64xf32>) -> ()
func.func private @callee(tensor<4x64xf32, #w>)
func.func @implicit(%o: tensor<4x64xf32, #w>) {
  %0 = arith.constant dense<2.0> : tensor<4x64xf32, #w>
  %1 = lowbit.parameter "weight" : tensor<64x64xf32, #w>
  %2 = linalg.matmul ins(%0, %1 : tensor<4x64xf32, #w>, tensor<64x64xf32, #w>) outs(%o : tensor<4x64xf32, #w>) -> tensor<4x64xf32, #w>
  cf.br ^next(%2 : tensor<4x64xf32, #w>)
^next(%3: tensor<4x64xf32, #w>):
  call @callee(%3) {kind = tensor<4x64xf32, #w>} : (tensor<4x64xf32, #w>) -> ()
  return
}

// -----

// Encodings that are not ours stay.

// CHECK-LABEL: func @foreign(
// CHECK-SAME: tensor<4xf32, "q4">
func.func @foreign(%x: tensor<4xf32, "q4">) {
  return
}

// -----

#rows = #lowbit.quantized<int<8>, scale = f16 per [1, 1, 64]>

// CHECK-LABEL: func @append(
// CHECK-SAME: %[[X:.*]]: tensor<3x?x64xf32>, %[[C:.*]]: tensor<3x512x64xf32>, %[[P:.*]]: index
// CHECK: %[[N:.*]] = tensor.dim %[[X]]
// CHECK: tensor.insert_slice %[[X]] into %[[C]][0, %[[P]], 0] [3, %[[N]], 64]
func.func @append(%x: tensor<3x?x64xf32>, %cache: tensor<3x512x64xf32, #rows>, %p: index) -> tensor<3x512x64xf32, #rows> {
  %new = lowbit.insert %x into %cache[0, %p, 0] : tensor<3x?x64xf32> into tensor<3x512x64xf32, #rows>
  return %new : tensor<3x512x64xf32, #rows>
}
