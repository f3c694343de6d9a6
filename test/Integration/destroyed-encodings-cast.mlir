// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --pass-pipeline='builtin.module(lowbit-explicit-pipeline,canonicalize)'

// Upstream folds a cast to another encoding and back, a cast into the op that reads it, and slices of slices: each of
// these programs would come out with other values or other bytes. None has a meaning, so none gets past the first pass.

#w = #lowbit.quantized<int<8>, scale = f16 per tensor>
#v = #lowbit.quantized<int<2>, scale = f16 per tensor>

func.func @there_and_back(%w: tensor<4x8xf32, #w>) -> tensor<4x8xf32> {
  // expected-error @+1 {{tensor.cast to an encoded type would fold away; use lowbit.convert, or lowbit.encode to round}}
  %0 = tensor.cast %w : tensor<4x8xf32, #w> to tensor<?x?xf32, #v>
  // expected-error @+1 {{tensor.cast from an encoded type would fold away; use lowbit.decode}}
  %1 = tensor.cast %0 : tensor<?x?xf32, #v> to tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// -----

#w = #lowbit.quantized<int<8>, scale = f16 per tensor>

func.func @into_reader(%w: tensor<4x8xf32, #w>) -> tensor<2x8xf32> {
  // expected-error @+1 {{tensor.cast from an encoded type would fold away; use lowbit.decode}}
  %0 = tensor.cast %w : tensor<4x8xf32, #w> to tensor<?x?xf32>
  %1 = tensor.extract_slice %0[0, 0] [2, 8] [1, 1] : tensor<?x?xf32> to tensor<2x8xf32>
  return %1 : tensor<2x8xf32>
}

// -----

#w = #lowbit.quantized<int<8>, scale = f16 per tensor>

func.func @into_contraction(%w: tensor<4x4xf32, #w>, %x: tensor<4x4xf32>, %o: tensor<4x4xf32>) -> tensor<4x4xf32> {
  // expected-error @+1 {{tensor.cast from an encoded type would fold away; use lowbit.decode}}
  %0 = tensor.cast %w : tensor<4x4xf32, #w> to tensor<4x4xf32>
  %1 = linalg.matmul ins(%x, %0 : tensor<4x4xf32>, tensor<4x4xf32>) outs(%o : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %1 : tensor<4x4xf32>
}

// -----

#w = #lowbit.quantized<int<8>, scale = f16 per tensor>

func.func @slice_of_inserted(%w: tensor<4x8xf32, #w>, %s: tensor<2x8xf32, #w>) -> tensor<2x8xf32, #w> {
  // expected-error @+1 {{'tensor.insert_slice' cannot yield an encoded tensor}}
  %0 = tensor.insert_slice %s into %w[0, 0] [2, 8] [1, 1] : tensor<2x8xf32, #w> into tensor<4x8xf32, #w>
  // expected-error @+1 {{'tensor.extract_slice' cannot yield an encoded tensor}}
  %1 = tensor.extract_slice %0[0, 0] [2, 8] [1, 1] : tensor<4x8xf32, #w> to tensor<2x8xf32, #w>
  return %1 : tensor<2x8xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

// Tiles of an encoded tensor would get blocks, and scales, of their own.
func.func @slices(%w: tensor<128x128xf32, #w>, %i: index) -> (tensor<64x48xf32, #w>, tensor<1x48xf32, #w>) {
  // expected-error @+1 {{'tensor.extract_slice' cannot yield an encoded tensor}}
  %0 = tensor.extract_slice %w[%i, 16] [64, 48] [1, 1] : tensor<128x128xf32, #w> to tensor<64x48xf32, #w>
  // expected-error @+1 {{'tensor.extract_slice' cannot yield an encoded tensor}}
  %1 = tensor.extract_slice %w[%i, 0] [1, 48] [1, 1] : tensor<128x128xf32, #w> to tensor<1x48xf32, #w>
  return %0, %1 : tensor<64x48xf32, #w>, tensor<1x48xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per tensor>

func.func @reshapes(%w: tensor<4x8xf32, #w>) -> tensor<32xf32, #w> {
  // expected-error @+1 {{'tensor.collapse_shape' cannot yield an encoded tensor}}
  %0 = tensor.collapse_shape %w [[0, 1]] : tensor<4x8xf32, #w> into tensor<32xf32, #w>
  // expected-error @+1 {{'tensor.expand_shape' cannot yield an encoded tensor}}
  %1 = tensor.expand_shape %0 [[0, 1]] output_shape [4, 8] : tensor<32xf32, #w> into tensor<4x8xf32, #w>
  // expected-error @+1 {{'tensor.collapse_shape' cannot yield an encoded tensor}}
  %2 = tensor.collapse_shape %1 [[0, 1]] : tensor<4x8xf32, #w> into tensor<32xf32, #w>
  return %2 : tensor<32xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per tensor>

func.func @empty() -> tensor<2x4xf32, #w> {
  %0 = tensor.empty() : tensor<4x8xf32, #w>
  // expected-error @+1 {{'tensor.extract_slice' cannot yield an encoded tensor}}
  %1 = tensor.extract_slice %0[0, 0] [2, 4] [1, 1] : tensor<4x8xf32, #w> to tensor<2x4xf32, #w>
  return %1 : tensor<2x4xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per tensor>

// A pass that brings an implicit use back is caught by the check, wherever it runs.
func.func @bufferized(%w: memref<4x8xf32>) -> tensor<4x8xf32, #w> {
  // expected-error @+1 {{cannot yield an encoded tensor}}
  %0 = bufferization.to_tensor %w restrict : memref<4x8xf32> to tensor<4x8xf32, #w>
  return %0 : tensor<4x8xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per tensor>

func.func @gather(%ids: tensor<5x1xindex>, %t: tensor<16x8xf32, #w>) -> tensor<5x1x8xf32, #w> {
  // expected-error @+1 {{'tensor.gather' cannot yield an encoded tensor}}
  %0 = tensor.gather %t[%ids] gather_dims([0]) : (tensor<16x8xf32, #w>, tensor<5x1xindex>) -> tensor<5x1x8xf32, #w>
  return %0 : tensor<5x1x8xf32, #w>
}
