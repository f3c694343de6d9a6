// RUN: lowbit-opt %s -split-input-file -verify-diagnostics --lowbit-materialize

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
#v = #lowbit.quantized<int<8>, scale = f16 per [1, 32]>

func.func @cast_between(%w: tensor<4x64xf32, #w>) -> tensor<?x?xf32, #v> {
  // expected-error @+1 {{tensor.cast to an encoded type would fold away; use lowbit.convert, or lowbit.encode to round}}
  %0 = tensor.cast %w : tensor<4x64xf32, #w> to tensor<?x?xf32, #v>
  return %0 : tensor<?x?xf32, #v>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

func.func @cast_to(%x: tensor<4x64xf32>) -> tensor<4x64xf32, #w> {
  // expected-error @+1 {{tensor.cast to an encoded type would fold away}}
  %0 = tensor.cast %x : tensor<4x64xf32> to tensor<4x64xf32, #w>
  return %0 : tensor<4x64xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

func.func @cast_from(%w: tensor<4x64xf32, #w>) -> tensor<4x64xf32> {
  // expected-error @+1 {{tensor.cast from an encoded type would fold away; use lowbit.decode}}
  %0 = tensor.cast %w : tensor<4x64xf32, #w> to tensor<4x64xf32>
  return %0 : tensor<4x64xf32>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

func.func @slice(%w: tensor<8x64xf32, #w>) -> tensor<8x16xf32, #w> {
  // expected-error @+1 {{'tensor.extract_slice' cannot yield an encoded tensor: there are no encoded slices or reshapes; decode its operand, and encode its plain result with lowbit.encode}}
  %0 = tensor.extract_slice %w[0, 16] [8, 16] [1, 1] : tensor<8x64xf32, #w> to tensor<8x16xf32, #w>
  return %0 : tensor<8x16xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>

func.func @insert(%w: tensor<8x64xf32, #w>, %x: tensor<1x64xf32>) -> tensor<8x64xf32, #w> {
  // expected-error @+1 {{'tensor.insert_slice' cannot yield an encoded tensor}}
  %0 = tensor.insert_slice %x into %w[0, 0] [1, 64] [1, 1] : tensor<1x64xf32> into tensor<8x64xf32, #w>
  return %0 : tensor<8x64xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per tensor>

func.func @reshape(%w: tensor<4x8xf32, #w>) -> tensor<32xf32, #w> {
  // expected-error @+1 {{'tensor.collapse_shape' cannot yield an encoded tensor}}
  %0 = tensor.collapse_shape %w [[0, 1]] : tensor<4x8xf32, #w> into tensor<32xf32, #w>
  return %0 : tensor<32xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per tensor>

func.func @pad(%w: tensor<4x8xf32, #w>, %f: f32) -> tensor<4x10xf32, #w> {
  // expected-error @+1 {{'tensor.pad' cannot yield an encoded tensor}}
  %0 = tensor.pad %w low[0, 0] high[0, 2] {
    ^bb0(%i: index, %j: index):
      tensor.yield %f : f32
  } : tensor<4x8xf32, #w> to tensor<4x10xf32, #w>
  return %0 : tensor<4x10xf32, #w>
}

// -----

#w = #lowbit.quantized<int<4>, scale = f16 per tensor>

func.func @forall(%w: tensor<4x8xf32, #w>) -> tensor<4x8xf32, #w> {
  // expected-error @+1 {{'scf.forall' cannot yield an encoded tensor}}
  %0 = scf.forall (%i) in (4) shared_outs(%o = %w) -> tensor<4x8xf32, #w> {
  }
  return %0 : tensor<4x8xf32, #w>
}
