// One case for each constraint on an operation.
// RUN: lowbit-opt %s -split-input-file -verify-diagnostics

func.func @decode_plain(%x: tensor<8x64xf32>) {
  // expected-error @below {{operand #0 must be tensor with a lowbit encoding, but got 'tensor<8x64xf32>'}}
  %v = lowbit.decode %x : tensor<8x64xf32>
  return
}

// -----

func.func @decode_type(%w: tensor<8x64xf32, #lowbit.quantized<f16>>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<8x64xf32>' are incompatible with return type(s) of operation 'tensor<8x32xf32>'}}
  %v = "lowbit.decode"(%w) : (tensor<8x64xf32, #lowbit.quantized<f16>>) -> tensor<8x32xf32>
  return
}

// -----

func.func @decode_scalar(%x: f32) {
  // expected-error @below {{operand #0 must be tensor with a lowbit encoding, but got 'f32'}}
  %v = "lowbit.decode"(%x) : (f32) -> tensor<8x64xf32>
  return
}

// -----

func.func @encode_shape(%x: tensor<8x32xf32>, %d: tensor<8x64xf32, #lowbit.quantized<f16>>) {
  // expected-error @below {{values and storage differ in shape: 'tensor<8x32xf32>' and 'tensor<8x64xf32, #lowbit.quantized<f16>>'}}
  %e = lowbit.encode %x into %d : tensor<8x32xf32> into tensor<8x64xf32, #lowbit.quantized<f16>>
  return
}

// -----

func.func @encode_plain(%x: tensor<8x64xf32>) {
  // expected-error @below {{operand #1 must be tensor with a lowbit encoding}}
  %e = lowbit.encode %x into %x : tensor<8x64xf32> into tensor<8x64xf32>
  return
}

// -----

func.func @encode_encoded(%d: tensor<8x64xf32, #lowbit.quantized<f16>>) {
  // expected-error @below {{operand #0 must be tensor without an encoding}}
  %e = lowbit.encode %d into %d : tensor<8x64xf32, #lowbit.quantized<f16>> into tensor<8x64xf32, #lowbit.quantized<f16>>
  return
}

// -----

func.func @encode_result(%x: tensor<8x64xf32>, %d: tensor<8x64xf32, #lowbit.quantized<f16>>) {
  // expected-error @below {{failed to verify that all of {dest, result} have same type}}
  %e = "lowbit.encode"(%x, %d) : (tensor<8x64xf32>, tensor<8x64xf32, #lowbit.quantized<f16>>)
    -> tensor<8x64xf32, #lowbit.quantized<bf16>>
  return
}

// -----

func.func @convert_shape(%w: tensor<8x64xf32, #lowbit.quantized<f16>>) {
  // expected-error @below {{a conversion keeps the shape}}
  %p = lowbit.convert %w : tensor<8x64xf32, #lowbit.quantized<f16>> to tensor<64x8xf32, #lowbit.quantized<f16>>
  return
}

// -----

func.func @convert_plain(%w: tensor<8x64xf32, #lowbit.quantized<f16>>) {
  // expected-error @below {{result #0 must be tensor with a lowbit encoding}}
  %p = lowbit.convert %w : tensor<8x64xf32, #lowbit.quantized<f16>> to tensor<8x64xf32>
  return
}

// -----

func.func @assemble_count(%codes: tensor<8x32xi8>) {
  // expected-error @below {{the encoding has 2 components, not 1}}
  %w = lowbit.assemble %codes : tensor<8x32xi8> to tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>
  return
}

// -----

func.func @assemble_type(%codes: tensor<8x32xi8>, %scale: tensor<8x2xf32>) {
  // expected-error @below {{component 'scale' has type 'tensor<8x2xf16>', not 'tensor<8x2xf32>'}}
  %w = lowbit.assemble %codes, %scale : tensor<8x32xi8>, tensor<8x2xf32>
    to tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>
  return
}

// -----

func.func @disassemble_type(%w: tensor<8x64xf32, #lowbit.quantized<int<3>, scale = f16 per [1, 32]>>) {
  // expected-error @below {{component 'codes.1' has type 'tensor<8x8xi8>', not 'tensor<8x16xi8>'}}
  %c:3 = lowbit.disassemble %w : tensor<8x64xf32, #lowbit.quantized<int<3>, scale = f16 per [1, 32]>>
    to tensor<8x16xi8>, tensor<8x16xi8>, tensor<8x2xf16>
  return
}

// -----

func.func @parameter_key() {
  // expected-error @below {{needs a key: the name of a tensor in an archive}}
  %w = lowbit.parameter "" : tensor<8xf32>
  return
}

// -----

func.func @parameter_shape() {
  // expected-error @below {{needs a static shape, that of the archive's tensor, not 'tensor<?xf32>'}}
  %w = lowbit.parameter "w" : tensor<?xf32>
  return
}

// -----

func.func @parameter_pack() {
  // expected-error @below {{is packed by an entry from a stored type, or neither}}
  %w = "lowbit.parameter"() <{key = "w", pack = @pack}> : () -> tensor<8xf32>
  return
}

// -----

func.func @parameter_stored_shape() {
  // expected-error @below {{packing keeps the shape}}
  %w = lowbit.parameter "w" packed by @pack from tensor<8x32xf32> : tensor<8x64xf32>
  return
}

// -----

func.func @parameter_type() {
  // expected-error @below {{invalid kind of type specified: expected builtin.tensor, but found 'f32'}}
  %w = lowbit.parameter "w" : f32
  return
}

// -----

func.func @parameter_buffer_type() {
  // expected-error @below {{result #0 must be strided memref of any type values or index, but got 'tensor<8xf32>'}}
  %w = lowbit.parameter_buffer "w"["values"] : tensor<8xf32>
  return
}

// -----

func.func @region_plain(%x: tensor<8x64xf32>) {
  // expected-error @below {{the whole tensor needs a lowbit encoding: 'tensor<8x64xf32>'}}
  %t = lowbit.decode_region tensor<8x64xf32>(%x) [0, 0] [8, 64] : tensor<8x64xf32> -> tensor<8x64xf32>
  return
}

// -----

func.func @region_no_tensor(%x: tensor<8x64xf32>) {
  // expected-error @below {{the whole tensor needs a lowbit encoding: 'f32'}}
  %t = lowbit.decode_region f32(%x) [0, 0] [8, 64] : tensor<8x64xf32> -> tensor<8x64xf32>
  return
}

// -----

func.func @region_rank(%x: tensor<8x64xf16>) {
  // expected-error @below {{has 2 offsets and sizes}}
  %t = lowbit.decode_region tensor<8x64xf32, #lowbit.quantized<f16>>(%x) [0] [8] : tensor<8x64xf16> -> tensor<8xf32>
  return
}

// -----

func.func @region_operands(%x: tensor<8x64xf16>) {
  // expected-error @below {{each offset and size that is not a number has an operand}}
  %t = "lowbit.decode_region"(%x) <{whole = tensor<8x64xf32, #lowbit.quantized<f16>>,
    static_offsets = array<i64: -9223372036854775808, 0>, static_sizes = array<i64: 8, 64>,
    operandSegmentSizes = array<i32: 1, 0, 0>}> : (tensor<8x64xf16>) -> tensor<8x64xf32>
  return
}

// -----

func.func @region_outside(%x: tensor<8x64xf16>) {
  // expected-error @below {{the region lies outside of axis 1 of}}
  %t = lowbit.decode_region tensor<8x64xf32, #lowbit.quantized<f16>>(%x) [0, 32] [8, 64]
    : tensor<8x64xf16> -> tensor<8x64xf32>
  return
}

// -----

func.func @region_negative(%x: tensor<8x64xf16>) {
  // expected-error @below {{the region lies outside of axis 0 of}}
  %t = lowbit.decode_region tensor<?x64xf32, #lowbit.quantized<f16>>(%x) [-1, 0] [8, 64]
    : tensor<8x64xf16> -> tensor<8x64xf32>
  return
}

// -----

func.func @region_start(%codes: tensor<8x32xi8>, %scale: tensor<8x2xf16>) {
  // expected-error @below {{a region starts along axis 1 at a multiple of 32, not at 16: a block must not be cut}}
  %t = lowbit.decode_region tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>(%codes, %scale) [0, 16] [8, 32]
    : tensor<8x32xi8>, tensor<8x2xf16> -> tensor<8x32xf32>
  return
}

// -----

func.func @region_end(%codes: tensor<8x32xi8>, %scale: tensor<8x2xf16>) {
  // expected-error @below {{a region ends along axis 1 at the end or after a multiple of 32, not after 16: a block must not be cut}}
  %t = lowbit.decode_region tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>(%codes, %scale) [0, 32] [8, 16]
    : tensor<8x32xi8>, tensor<8x2xf16> -> tensor<8x16xf32>
  return
}

// -----

// A cut that is only known at run time may lie inside of any tile: the tile spans the axis.
func.func @region_whole_start(%cut: index, %x: tensor<?x64xf16>, %codes: tensor<?x32xi8>, %scale: tensor<?x2xf16>) {
  // expected-error @below {{a region starts along axis 0 at 0, not at 4: a block must not be cut}}
  %t = lowbit.decode_region tensor<8x64xf32, #lowbit.part<axis = 0, at = [?], #lowbit.quantized<f16>, #lowbit.quantized<int<4>, scale = f16 per [2, 32]>>>
    (%cut, %x, %codes, %scale) [4, 0] [4, 64] : index, tensor<?x64xf16>, tensor<?x32xi8>, tensor<?x2xf16> -> tensor<4x64xf32>
  return
}

// -----

func.func @region_whole_end(%cut: index, %x: tensor<?x64xf16>, %codes: tensor<?x32xi8>, %scale: tensor<?x2xf16>) {
  // expected-error @below {{a region ends along axis 0 at the end, not after 4: a block must not be cut}}
  %t = lowbit.decode_region tensor<8x64xf32, #lowbit.part<axis = 0, at = [?], #lowbit.quantized<f16>, #lowbit.quantized<int<4>, scale = f16 per [2, 32]>>>
    (%cut, %x, %codes, %scale) [0, 0] [4, 64] : index, tensor<?x64xf16>, tensor<?x32xi8>, tensor<?x2xf16> -> tensor<4x64xf32>
  return
}

// -----

func.func @region_components(%codes: tensor<8x32xi8>) {
  // expected-error @below {{the encoding has 2 components, not 1}}
  %t = lowbit.decode_region tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>(%codes) [0, 0] [8, 64]
    : tensor<8x32xi8> -> tensor<8x64xf32>
  return
}

// -----

func.func @region_component(%codes: tensor<8x32xi8>, %scale: tensor<8xf16>) {
  // expected-error @below {{component 'scale' is like 'tensor<8x2xf16>', not 'tensor<8xf16>'}}
  %t = lowbit.decode_region tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>(%codes, %scale) [0, 0] [8, 64]
    : tensor<8x32xi8>, tensor<8xf16> -> tensor<8x64xf32>
  return
}

// -----

func.func @region_result(%x: tensor<8x64xf16>) {
  // expected-error @below {{a region of these sizes decodes to 'tensor<8x32xf32>', not 'tensor<8x64xf32>'}}
  %t = lowbit.decode_region tensor<8x64xf32, #lowbit.quantized<f16>>(%x) [0, 0] [8, 32]
    : tensor<8x64xf16> -> tensor<8x64xf32>
  return
}

// -----

func.func @encode_region_payload(%x: tensor<8x64xf32>, %codes: tensor<8x32xi8>) {
  // expected-error @below {{the encoding has 2 payload components and 0 others, not 1 and 0}}
  %t = lowbit.encode_region tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>> %x into (%codes) with [] [0, 0] [8, 64]
    : (tensor<8x64xf32>, tensor<8x32xi8>) -> (tensor<8x32xi8>)
  return
}

// -----

func.func @encode_region_component(%x: tensor<8x64xf32>, %codes: tensor<8x64xf32>) {
  // expected-error @below {{component 'codes' is like 'tensor<8x64xf16>', not 'tensor<8x64xf32>'}}
  %t = lowbit.encode_region tensor<8x64xf32, #lowbit.quantized<f16>> %x into (%codes) with [] [0, 0] [8, 64]
    : (tensor<8x64xf32>, tensor<8x64xf32>) -> (tensor<8x64xf32>)
  return
}

// -----

func.func @encode_region_source(%x: tensor<8x64xf32>, %codes: tensor<8x32xf16>) {
  // expected-error @below {{a region of these sizes is encoded from 'tensor<8x32xf32>', not 'tensor<8x64xf32>'}}
  %t = lowbit.encode_region tensor<8x64xf32, #lowbit.quantized<f16>> %x into (%codes) with [] [0, 0] [8, 32]
    : (tensor<8x64xf32>, tensor<8x32xf16>) -> (tensor<8x32xf16>)
  return
}

// -----

func.func @encode_region_result(%x: tensor<8x64xf32>, %codes: tensor<8x64xf16>) {
  // expected-error @below {{the results have the types of the payload}}
  %t = lowbit.encode_region tensor<8x64xf32, #lowbit.quantized<f16>> %x into (%codes) with [] [0, 0] [8, 64]
    : (tensor<8x64xf32>, tensor<8x64xf16>) -> (tensor<?x64xf16>)
  return
}

// -----

func.func @contract_rank(%x: tensor<64xf32>, %w: tensor<2x8x64xi8>, %s: tensor<2x2x16xf16>, %n: index, %y: tensor<1x32xf32>) {
  // expected-error @below {{contracts f32 matrices, not 'tensor<64xf32>' and}}
  %r = lowbit.contract tensor<64xf32> (%x)
    by tensor<32x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>> (%w, %s) from %n into %y
    : (tensor<64xf32>, tensor<2x8x64xi8>, tensor<2x2x16xf16>, index, tensor<1x32xf32>) -> tensor<1x32xf32>
  return
}

// -----

func.func @contract_element(%x: tensor<1x64xf16>, %w: tensor<2x8x64xi8>, %s: tensor<2x2x16xf16>, %n: index, %y: tensor<1x32xf32>) {
  // expected-error @below {{contracts f32 matrices, not 'tensor<1x64xf16>' and}}
  %r = lowbit.contract tensor<1x64xf16> (%x)
    by tensor<32x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>> (%w, %s) from %n into %y
    : (tensor<1x64xf16>, tensor<2x8x64xi8>, tensor<2x2x16xf16>, index, tensor<1x32xf32>) -> tensor<1x32xf32>
  return
}

// -----

func.func @contract_columns(%x: tensor<1x32xf32>, %w: tensor<2x8x64xi8>, %s: tensor<2x2x16xf16>, %n: index, %y: tensor<1x32xf32>) {
  // expected-error @below {{contracts 32 columns with 64}}
  %r = lowbit.contract tensor<1x32xf32> (%x)
    by tensor<32x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>> (%w, %s) from %n into %y
    : (tensor<1x32xf32>, tensor<2x8x64xi8>, tensor<2x2x16xf16>, index, tensor<1x32xf32>) -> tensor<1x32xf32>
  return
}

// -----

func.func @contract_encoding(%x: tensor<1x64xf32>, %w: tensor<2x8x64xi8>, %s: tensor<2x2x16xf16>, %n: index, %y: tensor<1x32xf32>) {
  // expected-error @below {{a block of 1 axes does not tile a tensor of 2 axes}}
  %r = lowbit.contract tensor<1x64xf32, #lowbit.quantized<int<8>, scale = f32 per [32]>> (%x)
    by tensor<32x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>> (%w, %s) from %n into %y
    : (tensor<1x64xf32>, tensor<2x8x64xi8>, tensor<2x2x16xf16>, index, tensor<1x32xf32>) -> tensor<1x32xf32>
  return
}

// -----

func.func @contract_layout(%x: tensor<1x64xf32>, %w: tensor<32x32xi8>, %s: tensor<32x2xf16>, %n: index, %y: tensor<1x32xf32>) {
  // expected-error @below {{needs weights in a layout with inner tiles, not 'tensor<32x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>'}}
  %r = lowbit.contract tensor<1x64xf32> (%x)
    by tensor<32x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>> (%w, %s) from %n into %y
    : (tensor<1x64xf32>, tensor<32x32xi8>, tensor<32x2xf16>, index, tensor<1x32xf32>) -> tensor<1x32xf32>
  return
}

// -----

func.func @contract_plain_weights(%x: tensor<1x64xf32>, %w: tensor<32x64xf32>, %n: index, %y: tensor<1x32xf32>) {
  // expected-error @below {{needs weights in a layout with inner tiles, not 'tensor<32x64xf32>'}}
  %r = lowbit.contract tensor<1x64xf32> (%x)
    by tensor<32x64xf32> (%w) from %n into %y
    : (tensor<1x64xf32>, tensor<32x64xf32>, index, tensor<1x32xf32>) -> tensor<1x32xf32>
  return
}

// -----

func.func @contract_lhs_count(%x: tensor<1x64xi8>, %w: tensor<2x8x64xi8>, %s: tensor<2x2x16xf16>, %n: index, %y: tensor<1x32xf32>) {
  // expected-error @below {{lhs has 2 components, not 1}}
  %r = lowbit.contract tensor<1x64xf32, #lowbit.quantized<int<8>, scale = f32 per [1, 32]>> (%x)
    by tensor<32x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>> (%w, %s) from %n into %y
    : (tensor<1x64xi8>, tensor<2x8x64xi8>, tensor<2x2x16xf16>, index, tensor<1x32xf32>) -> tensor<1x32xf32>
  return
}

// -----

func.func @contract_rhs_count(%x: tensor<1x64xf32>, %w: tensor<2x8x64xi8>, %n: index, %y: tensor<1x32xf32>) {
  // expected-error @below {{rhs has 2 components, not 1}}
  %r = lowbit.contract tensor<1x64xf32> (%x)
    by tensor<32x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>> (%w) from %n into %y
    : (tensor<1x64xf32>, tensor<2x8x64xi8>, index, tensor<1x32xf32>) -> tensor<1x32xf32>
  return
}

// -----

func.func @contract_component(%x: tensor<1x64xf32>, %w: tensor<2x4x64xi8>, %s: tensor<2x2x16xf16>, %n: index, %y: tensor<1x32xf32>) {
  // expected-error @below {{a component of rhs has type 'tensor<2x8x64xi8>', not 'tensor<2x4x64xi8>'}}
  %r = lowbit.contract tensor<1x64xf32> (%x)
    by tensor<32x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>> (%w, %s) from %n into %y
    : (tensor<1x64xf32>, tensor<2x4x64xi8>, tensor<2x2x16xf16>, index, tensor<1x32xf32>) -> tensor<1x32xf32>
  return
}

// -----

func.func @contract_component_element(%x: tensor<1x64xf32>, %w: tensor<2x8x64xi8>, %s: tensor<2x2x16xf32>, %n: index, %y: tensor<1x32xf32>) {
  // expected-error @below {{a component of rhs has type 'tensor<2x2x16xf16>', not 'tensor<2x2x16xf32>'}}
  %r = lowbit.contract tensor<1x64xf32> (%x)
    by tensor<32x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>> (%w, %s) from %n into %y
    : (tensor<1x64xf32>, tensor<2x8x64xi8>, tensor<2x2x16xf32>, index, tensor<1x32xf32>) -> tensor<1x32xf32>
  return
}

// -----

func.func @contract_two_sums(%x: tensor<1x64xf32>, %w: tensor<2x8x64xi8>, %s: tensor<2x2x16xf16>, %n: index, %a: tensor<1x2xf32>, %b: tensor<1x2xf32>, %y: tensor<1x32xf32>) {
  // expected-error @below {{takes of its activations, by row and block, no sums, not 'tensor<1x2xf32>', 'tensor<1x2xf32>'}}
  %r = lowbit.contract tensor<1x64xf32> (%x)
    by tensor<32x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>> (%w, %s) from %n sums (%a, %b) into %y
    : (tensor<1x64xf32>, tensor<2x8x64xi8>, tensor<2x2x16xf16>, index, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x32xf32>) -> tensor<1x32xf32>
  return
}

// -----

func.func @contract_sums_of_codes(%x: tensor<1x64xi8>, %xs: tensor<1x2xf32>, %w: tensor<2x8x64xi8>, %s: tensor<2x2x16xf16>, %n: index, %a: tensor<1x2xf32>, %y: tensor<1x32xf32>) {
  // expected-error @below {{takes of its activations, by row and block, sums in i32, not 'tensor<1x2xf32>'}}
  %r = lowbit.contract tensor<1x64xf32, #lowbit.quantized<int<8>, scale = f32 per [1, 32]>> (%x, %xs)
    by tensor<32x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>> (%w, %s) from %n sums (%a) into %y
    : (tensor<1x64xi8>, tensor<1x2xf32>, tensor<2x8x64xi8>, tensor<2x2x16xf16>, index, tensor<1x2xf32>, tensor<1x32xf32>) -> tensor<1x32xf32>
  return
}

// -----

func.func @contract_sums_of_values(%x: tensor<1x64xf32>, %w: tensor<2x8x64xi8>, %s: tensor<2x2x16xf16>, %n: index, %a: tensor<2xf32>, %y: tensor<1x32xf32>) {
  // expected-error @below {{takes of its activations, by row and block, no sums, not 'tensor<2xf32>'}}
  %r = lowbit.contract tensor<1x64xf32> (%x)
    by tensor<32x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>> (%w, %s) from %n sums (%a) into %y
    : (tensor<1x64xf32>, tensor<2x8x64xi8>, tensor<2x2x16xf16>, index, tensor<2xf32>, tensor<1x32xf32>) -> tensor<1x32xf32>
  return
}

// -----

func.func @contract_init(%x: tensor<1x64xf32>, %w: tensor<2x8x64xi8>, %s: tensor<2x2x16xf16>, %n: index, %y: tensor<2x32xf32>) {
  // expected-error @below {{adds to an f32 matrix with the rows of lhs, not 'tensor<2x32xf32>'}}
  %r = lowbit.contract tensor<1x64xf32> (%x)
    by tensor<32x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>> (%w, %s) from %n into %y
    : (tensor<1x64xf32>, tensor<2x8x64xi8>, tensor<2x2x16xf16>, index, tensor<2x32xf32>) -> tensor<2x32xf32>
  return
}

// -----

func.func @contract_outputs(%x: tensor<1x64xf32>, %w: tensor<2x8x64xi8>, %s: tensor<2x2x16xf16>, %n: index, %y: tensor<1x48xf32>) {
  // expected-error @below {{adds to at most the 32 outputs of rhs, not 'tensor<1x48xf32>'}}
  %r = lowbit.contract tensor<1x64xf32> (%x)
    by tensor<32x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>> (%w, %s) from %n into %y
    : (tensor<1x64xf32>, tensor<2x8x64xi8>, tensor<2x2x16xf16>, index, tensor<1x48xf32>) -> tensor<1x48xf32>
  return
}

// -----

func.func @contract_init_index(%x: tensor<1x64xf32>, %w: tensor<2x8x64xi8>, %s: tensor<2x2x16xf16>, %n: index) {
  // expected-error @below {{adds to an f32 matrix with the rows of lhs, not 'index'}}
  lowbit.contract tensor<1x64xf32> (%x)
    by tensor<32x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>> (%w, %s) from %n into %n
    : (tensor<1x64xf32>, tensor<2x8x64xi8>, tensor<2x2x16xf16>, index, index) -> ()
  return
}

// -----

func.func @contract_no_result(%x: tensor<1x64xf32>, %w: tensor<2x8x64xi8>, %s: tensor<2x2x16xf16>, %n: index, %y: tensor<1x32xf32>) {
  // expected-error @below {{has a result where it adds to a tensor, and only there}}
  lowbit.contract tensor<1x64xf32> (%x)
    by tensor<32x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>> (%w, %s) from %n into %y
    : (tensor<1x64xf32>, tensor<2x8x64xi8>, tensor<2x2x16xf16>, index, tensor<1x32xf32>) -> ()
  return
}

// -----

func.func @contract_result(%x: tensor<1x64xf32>, %w: tensor<2x8x64xi8>, %s: tensor<2x2x16xf16>, %n: index, %y: tensor<1x32xf32>) {
  // expected-error @below {{its result has the type of what it adds to}}
  %r = lowbit.contract tensor<1x64xf32> (%x)
    by tensor<32x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>> (%w, %s) from %n into %y
    : (tensor<1x64xf32>, tensor<2x8x64xi8>, tensor<2x2x16xf16>, index, tensor<1x32xf32>) -> tensor<1x?xf32>
  return
}

// -----

func.func @dot4_lanes(%w: vector<32xi8>, %sums: vector<16xi32>) {
  // expected-error @below {{multiplies four bytes for each of 16 lanes, not 'vector<32xi8>'}}
  %r = lowbit.dot4 %w, %w into %sums : vector<32xi8>, vector<16xi32>
  return
}

// -----

func.func @dot4_bytes(%w: vector<32xi16>, %sums: vector<8xi32>) {
  // expected-error @below {{operand #0 must be vector of 8-bit signless integer values of ranks 1, but got 'vector<32xi16>'}}
  %r = lowbit.dot4 %w, %w into %sums : vector<32xi16>, vector<8xi32>
  return
}

// -----

func.func @dot4_sides(%w: vector<32xi8>, %x: vector<64xi8>, %sums: vector<8xi32>) {
  // expected-error @below {{failed to verify that all of {lhs, rhs} have same type}}
  %r = "lowbit.dot4"(%w, %x, %sums) : (vector<32xi8>, vector<64xi8>, vector<8xi32>) -> vector<8xi32>
  return
}

// -----

func.func @dot4_result(%w: vector<32xi8>, %sums: vector<8xi32>) {
  // expected-error @below {{failed to verify that all of {accumulator, result} have same type}}
  %r = "lowbit.dot4"(%w, %w, %sums) : (vector<32xi8>, vector<32xi8>, vector<8xi32>) -> vector<4xi32>
  return
}

// -----

func.func @lookup_table(%table: vector<32xi8>, %codes: vector<64xi8>) {
  // expected-error @below {{operand #0 must be vector of 8-bit signless integer or 32-bit float values of length 16, but got 'vector<32xi8>'}}
  %r = lowbit.lookup %table, %codes : vector<32xi8>, vector<64xi8> -> vector<64xi8>
  return
}

// -----

func.func @lookup_indices(%table: vector<16xi8>, %codes: vector<2x16xi8>) {
  // expected-error @below {{operand #1 must be vector of 8-bit signless integer or 32-bit signless integer values of ranks 1, but got 'vector<2x16xi8>'}}
  %r = lowbit.lookup %table, %codes : vector<16xi8>, vector<2x16xi8> -> vector<2x16xi8>
  return
}

// -----

func.func @lookup_width(%table: vector<16xf32>, %codes: vector<16xi8>) {
  // expected-error @below {{gives an element of the table for each index of its width, not 'vector<16xf32>' for 'vector<16xi8>'}}
  %r = lowbit.lookup %table, %codes : vector<16xf32>, vector<16xi8> -> vector<16xf32>
  return
}

// -----

func.func @lookup_count(%table: vector<16xi8>, %codes: vector<16xi8>) {
  // expected-error @below {{gives an element of the table for each index of its width, not 'vector<32xi8>' for 'vector<16xi8>'}}
  %r = lowbit.lookup %table, %codes : vector<16xi8>, vector<16xi8> -> vector<32xi8>
  return
}

// -----

func.func @lookup_element(%table: vector<16xi8>, %codes: vector<16xi8>) {
  // expected-error @below {{gives an element of the table for each index of its width, not 'vector<16xf32>' for 'vector<16xi8>'}}
  %r = lowbit.lookup %table, %codes : vector<16xi8>, vector<16xi8> -> vector<16xf32>
  return
}

// -----

// expected-error @below {{'lowbit.entry' is written on a function, without a value}}
module attributes {lowbit.entry} {}

// -----

// expected-error @below {{'lowbit.entry' is written on a function, without a value}}
func.func private @entry_value() attributes {lowbit.entry = 1 : i64}

// -----

// expected-error @below {{'lowbit.updates' is written on a function, as array<i64: ...>}}
module attributes {lowbit.updates = array<i64: 0>} {}

// -----

// expected-error @below {{'lowbit.updates' is written on a function, as array<i64: ...>}}
func.func private @updates_type(tensor<8xf32>) -> tensor<8xf32> attributes {lowbit.updates = [0]}

// -----

// expected-error @below {{'lowbit.updates' has 2 numbers for 1 results; a fresh result has -1}}
func.func private @updates_count(tensor<8xf32>) -> tensor<8xf32> attributes {lowbit.updates = array<i64: 0, -1>}

// -----

// expected-error @below {{result 0 updates argument 1, which does not exist; the function has 1 arguments}}
func.func private @updates_range(tensor<8xf32>) -> tensor<8xf32> attributes {lowbit.updates = array<i64: 1>}

// -----

// expected-error @below {{result 0 updates argument -2, which does not exist; the function has 1 arguments}}
func.func private @updates_negative(tensor<8xf32>) -> tensor<8xf32> attributes {lowbit.updates = array<i64: -2>}

// -----

// expected-error @below {{result 0 has another type than argument 0 that it updates}}
func.func private @updates_other_type(tensor<8xf32, #lowbit.quantized<f16>>) -> tensor<8xf32>
  attributes {lowbit.updates = array<i64: 0>}

// -----

// expected-error @below {{results 0 and 1 both update argument 0}}
func.func private @updates_twice(tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>)
  attributes {lowbit.updates = array<i64: 0, 0>}

// -----

#blocks = #lowbit.quantized<int<8>, scale = f16 per [1, 4, 32]>

func.func @insert_into_cut_blocks(%k: tensor<3x4x64xf32>, %cache: tensor<3x512x64xf32, #blocks>, %position: index) -> tensor<3x512x64xf32, #blocks> {
  // expected-error @below {{along axis 1 the encoding has blocks: offset and size must be static}}
  %new = lowbit.insert %k into %cache[0, %position, 0] : tensor<3x4x64xf32> into tensor<3x512x64xf32, #blocks>
  return %new : tensor<3x512x64xf32, #blocks>
}

// -----

#blocks = #lowbit.quantized<int<8>, scale = f16 per [1, 4, 32]>

func.func @insert_within_a_block(%k: tensor<3x4x64xf32>, %cache: tensor<3x512x64xf32, #blocks>) -> tensor<3x512x64xf32, #blocks> {
  // expected-error @below {{a region starts along axis 1 at a multiple of 4, not at 2: a block must not be cut}}
  %new = lowbit.insert %k into %cache[0, 2, 0] : tensor<3x4x64xf32> into tensor<3x512x64xf32, #blocks>
  return %new : tensor<3x512x64xf32, #blocks>
}

// -----

#rows = #lowbit.quantized<int<8>, scale = f16 per [1, 1, 64]>

func.func @insert_outside(%k: tensor<3x4x64xf32>, %cache: tensor<3x512x64xf32, #rows>) -> tensor<3x512x64xf32, #rows> {
  // expected-error @below {{the region lies outside of axis 1}}
  %new = lowbit.insert %k into %cache[0, 510, 0] : tensor<3x4x64xf32> into tensor<3x512x64xf32, #rows>
  return %new : tensor<3x512x64xf32, #rows>
}

// -----

#rows = #lowbit.quantized<int<8>, scale = f16 per [1, 1, 64]>

func.func @insert_of_another_rank(%k: tensor<4x64xf32>, %cache: tensor<3x512x64xf32, #rows>) -> tensor<3x512x64xf32, #rows> {
  // expected-error @below {{values of as many axes, one offset for each, and of the same element type go into}}
  %new = lowbit.insert %k into %cache[0, 0, 0] : tensor<4x64xf32> into tensor<3x512x64xf32, #rows>
  return %new : tensor<3x512x64xf32, #rows>
}

// -----

#rank1 = #lowbit.quantized<int<4>, scale = f32 rank1<min>>

func.func @insert_with_statistics(%k: tensor<4x64xf32>, %state: tensor<64x64xf32, #rank1>) -> tensor<64x64xf32, #rank1> {
  // expected-error @below {{comes from all values: this encoding cannot be written in part, only as a whole (lowbit.encode)}}
  %new = lowbit.insert %k into %state[0, 0] : tensor<4x64xf32> into tensor<64x64xf32, #rank1>
  return %new : tensor<64x64xf32, #rank1>
}

// -----

func.func @no_thresholds(%x: f32, %s: f32) -> i32 {
  // expected-error@+1 {{has no thresholds}}
  %r = lowbit.rank %x by %s in [] : f32
  return %r : i32
}

// -----

func.func @equal_thresholds(%x: f32, %s: f32) -> i32 {
  // expected-error@+1 {{has thresholds that do not ascend}}
  %r = lowbit.rank %x by %s in [0.5, 0.5] : f32
  return %r : i32
}

// -----

func.func @tiny_threshold(%x: f32, %s: f32) -> i32 {
  // expected-error@+1 {{has a threshold whose magnitude is not from 2^-80 to 2^60}}
  %r = lowbit.rank %x by %s in [1.0e-30, 0.5] : f32
  return %r : i32
}

// -----

func.func @observe_channels(%x: tensor<8x?xf32>) {
  // expected-error @below {{takes f32 values with a fixed number of channels, the last axis, not 'tensor<8x?xf32>'}}
  lowbit.observe %x for ["w"] [sums] : tensor<8x?xf32>
  return
}

// -----

func.func @observe_integers(%x: tensor<8xi64>) {
  // expected-error @below {{takes f32 values}}
  lowbit.observe %x for ["w"] [sums] : tensor<8xi64>
  return
}

// -----

func.func @observe_feeds(%x: tensor<8xf32>) {
  // expected-error @below {{needs the parameters that the value is multiplied with}}
  lowbit.observe %x for [] [sums] : tensor<8xf32>
  return
}

// -----

func.func @observe_nothing(%x: tensor<8xf32>) {
  // expected-error @below {{keeps no statistic}}
  lowbit.observe %x for ["w"] [] : tensor<8xf32>
  return
}

// -----

func.func @observe_twice(%x: tensor<8xf32>) {
  // expected-error @below {{keeps a statistic twice}}
  lowbit.observe %x for ["w"] [sums, sums] : tensor<8xf32>
  return
}

// -----

func.func @observe_unknown(%x: tensor<8xf32>) {
  // expected-error @below {{'median' is not a statistic}}
  lowbit.observe %x for ["w"] [median] : tensor<8xf32>
  return
}

// -----

func.func @observe_number(%x: tensor<8xf32>) {
  // expected-error @below {{knows no statistic 9}}
  "lowbit.observe"(%x) {feeds = ["w"], statistics = array<i32: 9>} : (tensor<8xf32>) -> ()
  return
}

// -----

// expected-error @below {{'lowbit.activations' is an encoding or "f32", not "int8"}}
func.func private @activations_of_argument(tensor<32x64xf32> {lowbit.activations = "int8"})

// -----

func.func @activations_of_parameter() -> tensor<32x64xf32> {
  // expected-error @below {{'lowbit.activations' is an encoding or "f32", not 8}}
  %w = lowbit.parameter "w" {lowbit.activations = 8 : i64} : tensor<32x64xf32>
  return %w : tensor<32x64xf32>
}

// -----

// expected-error @below {{'lowbit.activations' is an encoding of one term, not #lowbit.sparse<f16, density = 0.1>}}
func.func private @activations_of_terms(tensor<32x64xf32> {lowbit.activations = #lowbit.sparse<f16, density = 0.1>})

// -----

func.func @activations_of_gain() -> tensor<64xf32> {
  // expected-error @below {{'lowbit.activations' is of a weight, a tensor of 2 axes, not of 'tensor<64xf32>'}}
  %w = lowbit.parameter "w" {lowbit.activations = "f32"} : tensor<64xf32>
  return %w : tensor<64xf32>
}

// -----

// expected-error @below {{'lowbit.activations' is of arguments, not of results}}
func.func private @activations_of_result() -> (tensor<32x64xf32> {lowbit.activations = "f32"})
