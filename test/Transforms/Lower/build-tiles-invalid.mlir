// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --pass-pipeline='builtin.module(func.func(lowbit-build-tiles))'

#w = #lowbit.sum<#lowbit.quantized<int<8>, scale = f32 per axis 0>, #lowbit.sparse<f16, density = 0.1>>

// What an encode of a sum stores in one term depends on the others: there are no tiles of it.
func.func @sum(%x: tensor<8x64xf32>, %c: tensor<8x64xi8>, %s: tensor<8x1xf32>, %p: tensor<9xi32>, %j: tensor<?xi32>, %v: tensor<?xf16>)
    -> (tensor<8x64xi8>, tensor<8x1xf32>, tensor<?xf16>) {
  // expected-error @+1 {{this encoding can only be read: #lowbit.sum<}}
  %0:3 = lowbit.encode_region tensor<8x64xf32, #w> %x into (%c, %s, %v) with [%p, %j] [0, 0] [8, 64]
    : (tensor<8x64xf32>, tensor<8x64xi8>, tensor<8x1xf32>, tensor<?xf16>, tensor<9xi32>, tensor<?xi32>) -> (tensor<8x64xi8>, tensor<8x1xf32>, tensor<?xf16>)
  return %0#0, %0#1, %0#2 : tensor<8x64xi8>, tensor<8x1xf32>, tensor<?xf16>
}
