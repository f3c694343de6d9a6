// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --lowbit-components

#s = #lowbit.sum<#lowbit.quantized<int<3>, scale = f16 per [1, 32]>, #lowbit.sparse<f16, density = 0.01>>
#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

func.func @convert(%w: tensor<8x64xf32, #w>) -> tensor<8x64xf32, #s> {
  // expected-error @+2 {{a conversion to an encoding whose structure comes from data needs lowbit.encode into storage}}
  // expected-error @+1 {{failed to legalize operation 'lowbit.convert'}}
  %0 = lowbit.convert %w : tensor<8x64xf32, #w> to tensor<8x64xf32, #s>
  return %0 : tensor<8x64xf32, #s>
}

// -----

#s = #lowbit.sum<#lowbit.quantized<int<3>, scale = f16 per [1, 32]>, #lowbit.sparse<f16, density = 0.01>>

func.func @empty() -> tensor<8x64xf32, #s> {
  // expected-error @+2 {{storage of an encoding whose structure comes from data cannot be empty}}
  // expected-error @+1 {{failed to legalize operation 'tensor.empty'}}
  %0 = tensor.empty() : tensor<8x64xf32, #s>
  return %0 : tensor<8x64xf32, #s>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

func.func @implicit(%w: tensor<8x64xf32, #w>, %o: tensor<8x64xf32>) -> tensor<8x64xf32> {
  // expected-error @+1 {{failed to legalize operation 'linalg.exp'}}
  %0 = linalg.exp ins(%w : tensor<8x64xf32, #w>) outs(%o : tensor<8x64xf32>) -> tensor<8x64xf32>
  return %0 : tensor<8x64xf32>
}

// -----

#blocks = #lowbit.flattened<#lowbit.quantized<int<4>, scale = f16 per [32], layout = ggml<q4_0>>>
#planes = #lowbit.flattened<#lowbit.quantized<int<4>, scale = f16 per [32]>>

func.func @layouts_inside(%w: tensor<8x64xf32, #blocks>) -> tensor<8x64xf32, #planes> {
  // expected-error @below {{a conversion between layouts of terms inside of others is not implemented, and would round if it decoded and encoded}}
  // expected-error @below {{failed to legalize operation 'lowbit.convert'}}
  %p = lowbit.convert %w : tensor<8x64xf32, #blocks> to tensor<8x64xf32, #planes>
  return %p : tensor<8x64xf32, #planes>
}
