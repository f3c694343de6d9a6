// One diagnostic for each thing that a number format can get wrong.
// RUN: lowbit-opt %s -verify-diagnostics -split-input-file

// expected-error @below {{a narrow integer format has at least 2 bits: with 1 only zero is left}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<1, narrow>>>)

// -----

// expected-error @below {{expected 'narrow'}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<8, wide>>>)

// -----

// expected-error @below {{a minifloat has 1 to 8 exponent bits and 3 to 8 bits in all, not 5 exponent and 3 mantissa bits and a sign}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<fp<5, 3>>>)

// -----

// expected-error @below {{a minifloat has 1 to 8 exponent bits and 3 to 8 bits in all, not 0 exponent and 4 mantissa bits and a sign}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<fp<0, 4>>>)

// -----

// expected-error @below {{not 1 exponent and 1 mantissa bits}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<fp<1, 1, unsigned>>>)

// -----

// expected-error @below {{a minifloat has 3 to 8 bits, not -2}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<fp<2, -2>>>)

// -----

// expected-error @below {{not 4000000 exponent and 3 mantissa bits}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<fp<4000000, 3>>>)

// -----

// expected-error @below {{'ieee' tells infinity from NaN by the mantissa, which this minifloat does not have}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<fp<4, 0, ieee>>>)

// -----

// expected-error @below {{'fnuz' has its NaN in place of -0, which an unsigned minifloat does not have}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<fp<4, 3, unsigned, fnuz>>>)

// -----

// expected-error @below {{'fnu' is for powers of two: unsigned and without a mantissa}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<fp<4, 3, unsigned, fnu>>>)

// -----

// expected-error @below {{a minifloat of this bias has numbers of 2^129, beyond f32; the bias is at least -124}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<fp<2, 2, bias = -126>>>)

// -----

// expected-error @below {{a minifloat of this bias has numbers of 2^-150, below what f32 can hold; the bias is at most 148}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<fp<2, 2, bias = 149>>>)

// -----

// expected-error @below {{integer value too large}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<fp<2, 2, bias = 4294967296>>>)

// -----

// expected-error @below {{unexpected 'unsigned' in a minifloat, which is written fp<E, M> with at most one each of: bias = N; unsigned; fn, ieee, fnuz or fnu}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<fp<2, 2, unsigned, unsigned>>>)

// -----

// expected-error @below {{unexpected 'ieee' in a minifloat}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<fp<2, 2, fn, ieee>>>)

// -----

// expected-error @below {{unexpected 'b11' in a minifloat}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<fp<2, 2, b11>>>)

// -----

// expected-error @below {{unknown lowbit attribute 'e4m4'}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<e4m4>>)

// -----

// expected-error @below {{codebook 'dynamic' is written codebook<dynamic, bits>, with 1 argument, not 0; or give the levels}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<codebook<dynamic>>>)

// -----

// expected-error @below {{argument 1 of codebook<dynamic, bits> is an integer from 2 to 8, not 9}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<codebook<dynamic, 9>>>)

// -----

// expected-error @below {{argument 2 of codebook<power, bits, exponent> is a number from 0.0625 to 16, not -1}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<codebook<power, 4, -1>>>)

// -----

// expected-error @below {{codebook 'nf4' is written codebook<nf4>, with 0 arguments, not 1}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<codebook<nf4, 64>>>)

// -----

// expected-error @below {{expected floating point literal}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<codebook<dynamic, eight>>>)

// -----

// expected-error @below {{a learned format has 1 to 8 bits, not 9}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<learned<9, f16 per tensor>>>)

// -----

// expected-error @below {{learned levels are f16, bf16 or f32, not #lowbit.int<8>}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<learned<4, int<8> per tensor>>>)

// -----

// expected-error @below {{'per axis 2' needs a tensor with more than 2 axes, this one has 2}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<learned<4, f16 per axis 2>>>)

// -----

// expected-error @below {{a zero point needs an integer or codebook format, not learned<4>}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<learned<4, f16 per tensor>, scale = f32 per tensor, min = f32 per tensor>>)

// -----

// expected-error @below {{an element stands for itself; #lowbit.learned<4, f16 per tensor> has levels of its own}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = learned<4, f16 per tensor> per tensor>>)

// -----

// expected-error @below {{the mse rule needs levels that are known before the scale, not learned ones}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<learned<4, f16 per tensor>, scale = f32 per tensor, rule = mse>>)

// -----

// expected-error @below {{stochastic rounding to learned levels is not defined}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<learned<4, f16 per tensor>, rounding = stochastic<1>>>)

// -----

// expected-error @below {{a prefix of int<8> has 1 to 7 bits, not 8}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<prefix<8, int<8>>>>)

// -----

// expected-error @below {{f16 has no prefix: it is no table of levels}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<prefix<4, f16>>>)

// -----

// expected-error @below {{e4m3 has no prefix: not all of its codes are finite numbers}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<prefix<4, e4m3>>>)

// -----

// expected-error @below {{all prefixes of codebook<[-1, 1, 1, -1]> have the same mean}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<prefix<1, codebook<[-1.0, 1.0, 1.0, -1.0]>>>>)

// -----

// expected-error @below {{an integer zero point is one level of an integer format, on integer codes}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<prefix<4, uint<8>>, scale = f32 per tensor, zero = uint<8> per tensor>>)

// -----

// expected-error @below {{planes of 6 bits do not hold codes of int<8>, which have 8}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<8>, layout = planes<4, 2>>>)

// -----

// expected-error @below {{a plane has 1, 2, 4, 7 or 8 bits, not 3}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<int<8>, layout = planes<3, 1, 4>>>)

// -----

// expected-error @below {{planes of 16 bits do not hold codes of f16, which have 16 and are not split}}
func.func private @f(tensor<8x64xf32, #lowbit.quantized<f16, layout = planes<8, 8>>>)

// -----

// expected-error @below {{the tables of levels have more elements than can be stored}}
func.func private @f(tensor<1152921504606846975x1xf32, #lowbit.quantized<learned<8, f16 per axis 0>>>)
