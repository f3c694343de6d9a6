// RUN: lowbit-opt %s --load-dialect-plugin=%plugins/palette-encoding.so --load-dialect-plugin=%plugins/toy-format.so -split-input-file -verify-diagnostics

// expected-error @below {{a palette has f32 colours, not 'f16'}}
func.func private @element_type(tensor<8x64xf16, #palette.colors16>)

// -----

// An encoding asks the one that it is built on.
// expected-error @below {{a quantized tensor has at least one axis}}
func.func private @rank(tensor<f32, #palette.colors16>)

// -----

// Combinators ask their terms.
// expected-error @below {{a palette has f32 colours, not 'bf16'}}
func.func private @term(tensor<8x64xbf16, #lowbit.sum<#palette.colors16, #lowbit.quantized<f16>>>)

// -----

func.func @components(%codes: tensor<8x32xi8>, %palette: tensor<8xf32>) {
  // expected-error @below {{component 'palette' has type 'tensor<16xf32>', not 'tensor<8xf32>'}}
  %w = lowbit.assemble %codes, %palette : tensor<8x32xi8>, tensor<8xf32> to tensor<8x64xf32, #palette.colors16>
  return
}

// -----

// expected-error @below {{the elements of a scale need a number format, not #palette.colors16}}
func.func private @no_format(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = #palette.colors16 per tensor>>)

// -----

// expected-error @below {{expected a number format such as int<4>, f16 or codebook<nf4>}}
func.func private @no_codes(tensor<8x64xf32, #lowbit.quantized<#palette.colors16>>)

// -----

// expected-error @below {{the vectors of a rank-1 scale are f16, bf16 or f32}}
func.func private @rank1(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = #toy.fp4e2m1 rank1<min>>>)

// -----

// expected-error @below {{an integer zero point is one level of an integer format, on integer codes}}
func.func private @zero(tensor<8x64xf32, #lowbit.quantized<#toy.fp4e2m1, scale = f16 per tensor, zero = uint<4> per tensor>>)

// -----

// expected-error @below {{layout ggml<q4_0> stores int<4>, scale}}
func.func private @layout(tensor<8x64xf32, #lowbit.quantized<#toy.fp4e2m1, scale = f16 per [1, 32], layout = ggml<q4_0>>>)
