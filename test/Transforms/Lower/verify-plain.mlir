// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --lowbit-verify-plain | FileCheck %s

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// Region ops name the type of the whole, which no value has.

// CHECK-LABEL: func @components(
func.func @components(%codes: tensor<8x32xi8>, %scale: tensor<8x2xf16>) -> tensor<8x32xf32> {
  %0 = lowbit.decode_region tensor<8x64xf32, #w> (%codes, %scale) [0, 32] [8, 32]
    : tensor<8x32xi8>, tensor<8x2xf16> -> tensor<8x32xf32>
  return %0 : tensor<8x32xf32>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

func.func @operand(%x: tensor<8x64xf32>) -> tensor<8x64xf32> {
  // expected-error @+1 {{an encoding is left that bufferization would drop: 'tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>'}}
  %0 = tensor.empty() : tensor<8x64xf32, #w>
  // expected-error @+1 {{an encoding is left that bufferization would drop}}
  %1 = linalg.exp ins(%0 : tensor<8x64xf32, #w>) outs(%x : tensor<8x64xf32>) -> tensor<8x64xf32>
  return %1 : tensor<8x64xf32>
}

// -----

// expected-error @+1 {{an encoding is left that bufferization would drop}}
func.func private @declared(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>)

// -----

// An encoding of another dialect would be dropped as well.
func.func @foreign() {
  // expected-error @+1 {{an encoding is left that bufferization would drop: 'tensor<4xf32, "q4">'}}
  %0 = tensor.empty() : tensor<4xf32, "q4">
  return
}
