// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --lowbit-strip

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

func.func @assemble(%codes: tensor<8x32xi8>, %scale: tensor<8x2xf16>) -> tensor<8x64xf32, #w> {
  // expected-error @+1 {{a program that takes components apart has no full-precision form; strip it before}}
  %0 = lowbit.assemble %codes, %scale : tensor<8x32xi8>, tensor<8x2xf16> to tensor<8x64xf32, #w>
  return %0 : tensor<8x64xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

func.func @disassemble(%w: tensor<8x64xf32, #w>) -> tensor<8x32xi8> {
  // expected-error @+1 {{a program that takes components apart has no full-precision form; strip it before}}
  %0:2 = lowbit.disassemble %w : tensor<8x64xf32, #w> to tensor<8x32xi8>, tensor<8x2xf16>
  return %0#0 : tensor<8x32xi8>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

func.func @components(%codes: tensor<8x32xi8>, %scale: tensor<8x2xf16>) -> tensor<8x64xf32> {
  // expected-error @+1 {{a program that takes components apart has no full-precision form; strip it before}}
  %0 = lowbit.decode_region tensor<8x64xf32, #w> (%codes, %scale) [0, 0] [8, 64]
    : tensor<8x32xi8>, tensor<8x2xf16> -> tensor<8x64xf32>
  return %0 : tensor<8x64xf32>
}
