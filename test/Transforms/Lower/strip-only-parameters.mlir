// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --lowbit-strip=only-parameters | FileCheck %s

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#rows = #lowbit.quantized<int<8>, scale = f16 per [1, 1, 64]>

// Parameters become plain, decoded or in a product; a cache stays encoded.

// CHECK: #[[$ROWS:.*]] = #lowbit.quantized<int<8>, scale = f16 per [1, 1, 64]>
// CHECK-LABEL: func @mixed(
// CHECK-DAG: %[[T:.*]] = lowbit.parameter "table" : tensor<64x64xf32>
// CHECK-DAG: %[[W:.*]] = lowbit.parameter "weight" : tensor<64x64xf32>
// CHECK-NOT: lowbit.decode %[[T]]
// CHECK: linalg.matmul ins(%[[T]], %[[W]] : tensor<64x64xf32>, tensor<64x64xf32>)
// CHECK: lowbit.insert %{{.*}} into %{{.*}} tensor<3x512x64xf32, #[[$ROWS]]>
// CHECK: lowbit.decode %{{.*}} : tensor<3x512x64xf32, #[[$ROWS]]>
func.func @mixed(%o: tensor<64x64xf32>, %x: tensor<3x?x64xf32>, %c: tensor<3x512x64xf32, #rows>, %p: index) -> (tensor<64x64xf32>, tensor<3x512x64xf32>) {
  %0 = lowbit.parameter "table" : tensor<64x64xf32, #w>
  %1 = lowbit.decode %0 : tensor<64x64xf32, #w>
  %2 = lowbit.parameter "weight" : tensor<64x64xf32, #w>
  %3 = linalg.matmul ins(%1, %2 : tensor<64x64xf32>, tensor<64x64xf32, #w>) outs(%o : tensor<64x64xf32>) -> tensor<64x64xf32>
  %4 = lowbit.insert %x into %c[0, %p, 0] : tensor<3x?x64xf32> into tensor<3x512x64xf32, #rows>
  %5 = lowbit.decode %4 : tensor<3x512x64xf32, #rows>
  return %3, %5 : tensor<64x64xf32>, tensor<3x512x64xf32>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

func.func private @callee(tensor<4x64xf32, #w>)
func.func @calls() {
  %0 = lowbit.parameter "weight" : tensor<4x64xf32, #w>
  // expected-error @+1 {{takes the encoded parameter "weight": only products and decodes of parameters can be stripped; inline calls before}}
  call @callee(%0) : (tensor<4x64xf32, #w>) -> ()
  return
}
