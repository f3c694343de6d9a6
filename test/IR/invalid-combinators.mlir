// One diagnostic for each thing that a combinator cannot be.
// RUN: lowbit-opt %s -split-input-file -verify-diagnostics

// expected-error @below {{a group has 2, 4, 8, ... or 256 elements, not 6}}
func.func private @f(tensor<8x64xf32, #lowbit.n_m<2, 6, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{a group has 2, 4, 8, ... or 256 elements, not 512}}
func.func private @f(tensor<8x64xf32, #lowbit.n_m<2, 512, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{of a group of 4, 1 to 3 elements are kept, not 4}}
func.func private @f(tensor<8x64xf32, #lowbit.n_m<4, 4, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{of a group of 4, 1 to 3 elements are kept, not 0}}
func.func private @f(tensor<8x64xf32, #lowbit.n_m<0, 4, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{a number of elements is kept, not -1}}
func.func private @f(tensor<8x64xf32, #lowbit.n_m<-1, 4, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{kept elements are in an encoding, not in #lowbit.int<4>}}
func.func private @f(tensor<8x64xf32, #lowbit.n_m<2, 4, #lowbit.int<4>>>)

// -----

// expected-error @below {{groups of 4 need a last axis of a known multiple of that many elements}}
func.func private @f(tensor<8x6xf32, #lowbit.n_m<2, 4, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{groups of 4 need a last axis of a known multiple of that many elements}}
func.func private @f(tensor<8x?xf32, #lowbit.n_m<2, 4, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{a sparse block has two extents of at least 1, as in [16, 32]}}
func.func private @f(tensor<8x64xf32, #lowbit.block_sparse<[4], density = 0.5, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{a sparse block has two extents of at least 1, as in [16, 32]}}
func.func private @f(tensor<8x64xf32, #lowbit.block_sparse<[4, 0], density = 0.5, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{a density is between 0 and 1, as in density = 0.5}}
func.func private @f(tensor<8x64xf32, #lowbit.block_sparse<[4, 4], density = 1.5, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{stored blocks are in an encoding, not in #lowbit.planes}}
func.func private @f(tensor<8x64xf32, #lowbit.block_sparse<[4, 4], density = 0.5, #lowbit.planes>>)

// -----

// expected-error @below {{sparse blocks need a tensor of 2 axes, this one has 1}}
func.func private @f(tensor<64xf32, #lowbit.block_sparse<[4, 4], density = 0.5, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{sparse blocks of 4 x 4 need axes of known multiples of that many elements}}
func.func private @f(tensor<8x6xf32, #lowbit.block_sparse<[4, 4], density = 0.5, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{sparse blocks of 4 x 4 need axes of known multiples of that many elements}}
func.func private @f(tensor<?x8xf32, #lowbit.block_sparse<[4, 4], density = 0.5, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{a density is between 0 and 1, as in density = 0.01}}
func.func private @f(tensor<8x64xf32, #lowbit.outlier_columns<density = -0.5, #lowbit.quantized<f16>, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{columns are in an encoding, not in #lowbit.planes}}
func.func private @f(tensor<8x64xf32, #lowbit.outlier_columns<density = 0.1, #lowbit.quantized<f16>, #lowbit.planes>>)

// -----

// expected-error @below {{columns are of a tensor of 2 axes, this one has 1}}
func.func private @f(tensor<64xf32, #lowbit.outlier_columns<density = 0.1, #lowbit.quantized<f16>, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{a rank is at least 1, as in rank = 16}}
func.func private @f(tensor<8x64xf32, #lowbit.low_rank<rank = 0, #lowbit.quantized<f16>, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{a factor is in an encoding, not in #lowbit.planes}}
func.func private @f(tensor<8x64xf32, #lowbit.low_rank<rank = 1, #lowbit.quantized<f16>, #lowbit.planes>>)

// -----

// expected-error @below {{a product of factors is a tensor of 2 axes, this one has 3}}
func.func private @f(tensor<8x8x8xf32, #lowbit.low_rank<rank = 1, #lowbit.quantized<f16>, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{groups of at least 1 element move, not of 0}}
func.func private @f(tensor<8x64xf32, #lowbit.permuted<axis = 1, block = 0, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{what is stored in another order is in an encoding, not in #lowbit.planes}}
func.func private @f(tensor<8x64xf32, #lowbit.permuted<axis = 1, #lowbit.planes>>)

// -----

// expected-error @below {{a permuted axis 2 needs a tensor with more axes than 2}}
func.func private @f(tensor<8x64xf32, #lowbit.permuted<axis = 2, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{groups of 32 move along an axis of a known multiple of that many elements}}
func.func private @f(tensor<8x60xf32, #lowbit.permuted<axis = 1, block = 32, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{groups of 32 move along an axis of a known multiple of that many elements}}
func.func private @f(tensor<8x?xf32, #lowbit.permuted<axis = 1, block = 32, #lowbit.quantized<f16>>>)

// -----

// expected-error @below {{a flattened tensor is in an encoding, not in #lowbit.planes}}
func.func private @f(tensor<8x64xf32, #lowbit.flattened<#lowbit.planes>>)

// -----

// expected-error @below {{a flattened tensor has a shape that is known, since its elements lie in one row}}
func.func private @f(tensor<?x64xf32, #lowbit.flattened<#lowbit.quantized<f16>>>)

// -----

// expected-error @below {{what a bf16 leaves has 8 or 16 bits, not 4}}
func.func private @f(tensor<8x64xf32, #lowbit.split<bf16, 4>>)

// -----

// expected-error @below {{a split tensor denotes f32 values; its element type is 'f16'}}
func.func private @f(tensor<8x64xf16, #lowbit.split<bf16, 8>>)

// -----

// expected-error @below {{a split tensor has at least one axis}}
func.func private @f(tensor<f32, #lowbit.split<bf16, 8>>)
