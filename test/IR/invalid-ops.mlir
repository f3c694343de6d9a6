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
