// Every form of an encoding is read, and printed in one form.
// RUN: lowbit-opt %s | lowbit-opt | FileCheck %s
// RUN: lowbit-opt %s --emit-bytecode | lowbit-opt | FileCheck %s

// Formats alone, outside of an encoding.
func.func private @formats() attributes {
  // CHECK-DAG: int = [#lowbit.int<1>, #lowbit.int<8>]
  int = [#lowbit.int<1>, #lowbit.int<8>],
  // CHECK-DAG: uint = [#lowbit.uint<1>, #lowbit.uint<8>]
  uint = [#lowbit.uint<1>, #lowbit.uint<8>],
  // CHECK-DAG: float = [#lowbit.float<f16>, #lowbit.float<bf16>, #lowbit.float<f32>]
  float = [#lowbit.float<f16>, #lowbit.float<bf16>, #lowbit.float<f32>],
  // CHECK-DAG: codebook = [#lowbit.codebook<nf4>, #lowbit.codebook<[-1.0, 0.0, 1.0]>]
  codebook = [#lowbit.codebook<nf4>, #lowbit.codebook<[-1.0, 0.0, 1.0]>]
}

// Scales and layouts alone.
func.func private @scales() attributes {
  // CHECK-DAG: levels = [#lowbit.scale_level<f16 per [1, 32]>, #lowbit.scale_level<bf16 per tensor>, #lowbit.scale_level<uint<6> per axis 1>]
  levels = [#lowbit.scale_level<f16 per [1, 32]>, #lowbit.scale_level<bf16 per tensor>, #lowbit.scale_level<uint<6> per axis 1>],
  // CHECK-DAG: blocks = [#lowbit.block_scale<f32 per tensor>, #lowbit.block_scale<f16 per [1, 256] * uint<6> per [1, 32]>]
  blocks = [#lowbit.block_scale<f32 per tensor>, #lowbit.block_scale<f16 per [1, 256] * uint<6> per [1, 32]>],
  // CHECK-DAG: offset = #lowbit.block_scale<f32 per [1, 256] * int<8> per [1, 64] + f32 per tensor>
  offset = #lowbit.block_scale<f32 per [1, 256] * int<8> per [1, 64] + f32 per tensor>,
  // CHECK-DAG: rank1 = [#lowbit.rank1_scale<f32 rank1<min>>, #lowbit.rank1_scale<f32 rank1<product>>, #lowbit.rank1_scale<f16 rank1<geo<0.15>>>]
  rank1 = [#lowbit.rank1_scale<f32 rank1<min>>, #lowbit.rank1_scale<f32 rank1<product>>, #lowbit.rank1_scale<f16 rank1<geo<0.15>>>],
  // CHECK-DAG: rules = [#lowbit.encode_rule<rule = mse>, #lowbit.encode_rule<rounding = half_up>, #lowbit.encode_rule<rule = percentile<99.5>, rounding = stochastic<7>>]
  rules = [#lowbit.encode_rule<rule = mse<steps = 16>>, #lowbit.encode_rule<rounding = half_up>, #lowbit.encode_rule<rule = percentile<99.5>, rounding = stochastic<7>>],
  // CHECK-DAG: layouts = [#lowbit.planes, #lowbit.tiled, #lowbit.records, #lowbit.ggml<q4_0>, #lowbit.ggml<q4_1>, #lowbit.ggml<q8_0>]
  layouts = [#lowbit.planes, #lowbit.tiled, #lowbit.records, #lowbit.ggml<q4_0>, #lowbit.ggml<q4_1>, #lowbit.ggml<q8_0>]
}

// One attribute for each line: what was written is what is printed.
// CHECK-DAG: = #lowbit.quantized<int<1>, scale = f32 per tensor>
func.func private @int1(tensor<?x?xf32, #lowbit.quantized<int<1>, scale = f32 per tensor>>)
// CHECK-DAG: = #lowbit.quantized<int<2>, scale = f32 per tensor>
func.func private @int2(tensor<?x?xf32, #lowbit.quantized<int<2>, scale = f32 per tensor>>)
// CHECK-DAG: = #lowbit.quantized<int<3>, scale = f32 per tensor>
func.func private @int3(tensor<?x?xf32, #lowbit.quantized<int<3>, scale = f32 per tensor>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f32 per tensor>
func.func private @int4(tensor<?x?xf32, #lowbit.quantized<int<4>, scale = f32 per tensor>>)
// CHECK-DAG: = #lowbit.quantized<int<5>, scale = bf16 per tensor>
func.func private @int5(tensor<?x?xf32, #lowbit.quantized<int<5>, scale = bf16 per tensor>>)
// CHECK-DAG: = #lowbit.quantized<int<6>, scale = f32 per tensor>
func.func private @int6(tensor<?x?xf32, #lowbit.quantized<int<6>, scale = f32 per tensor>>)
// CHECK-DAG: = #lowbit.quantized<int<7>, scale = f32 per tensor>
func.func private @int7(tensor<?x?xf32, #lowbit.quantized<int<7>, scale = f32 per tensor>>)
// CHECK-DAG: = #lowbit.quantized<int<8>, scale = f32 per axis 0>
func.func private @int8(tensor<?x?xf32, #lowbit.quantized<int<8>, scale = f32 per axis 0>>)
// CHECK-DAG: = #lowbit.quantized<uint<1>>
func.func private @uint1(tensor<?xf32, #lowbit.quantized<uint<1>>>)
// CHECK-DAG: = #lowbit.quantized<uint<2>>
func.func private @uint2(tensor<?xf32, #lowbit.quantized<uint<2>>>)
// CHECK-DAG: = #lowbit.quantized<uint<3>>
func.func private @uint3(tensor<?xf32, #lowbit.quantized<uint<3>>>)
// CHECK-DAG: = #lowbit.quantized<uint<5>>
func.func private @uint5(tensor<?xf32, #lowbit.quantized<uint<5>>>)
// CHECK-DAG: = #lowbit.quantized<uint<6>>
func.func private @uint6(tensor<?xf32, #lowbit.quantized<uint<6>>>)
// CHECK-DAG: = #lowbit.quantized<uint<7>>
func.func private @uint7(tensor<?xf32, #lowbit.quantized<uint<7>>>)
// CHECK-DAG: = #lowbit.quantized<uint<8>>
func.func private @uint8(tensor<?xf32, #lowbit.quantized<uint<8>>>)
// CHECK-DAG: = #lowbit.quantized<f16>
func.func private @f16(tensor<4xf32, #lowbit.quantized<f16>>)
// CHECK-DAG: = #lowbit.quantized<bf16>
func.func private @bf16(tensor<4xf32, #lowbit.quantized<#lowbit.float<bf16>>>)
// CHECK-DAG: = #lowbit.quantized<f32>
func.func private @f32(tensor<0x4xf32, #lowbit.quantized<float<f32>>>)
// CHECK-DAG: = #lowbit.quantized<f16, scale = f32 per tensor>
func.func private @scaled_float(tensor<4xf32, #lowbit.quantized<f16, scale = f32 per tensor>>)

// Codebooks: by name and by levels, every f32 exactly.
// CHECK-DAG: #nf4_codes = #lowbit.quantized<codebook<nf4>, scale = f32 per [1, 64]>
func.func private @nf4(tensor<4x65xf32, #lowbit.quantized<codebook<nf4>, scale = f32 per [1, 64]>>)
// CHECK-DAG: = #lowbit.quantized<codebook<[-1.0, 0.0, 1.0]>, scale = f32 per tensor>
func.func private @ternary(tensor<4x65xf32, #lowbit.quantized<codebook<[-1.0, 0.0, 1.0e0]>, scale = f32 per tensor>>)
// CHECK-DAG: = #lowbit.quantized<codebook<[-3.4028235E+38, -1234567.0, -0.1, 1.0E-45, 0.33333334, 16777216.0, 1.0E+30]>>
func.func private @exact(tensor<4xf32, #lowbit.quantized<codebook<[-3.40282347e+38, -1234567.0, -0.1, 1.4e-45, 0.3333333433, 16777216.0, 1.0e+30]>>>)

// Scales of each granularity, nested, in each spelling.
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
func.func private @block(tensor<8x49xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f16 per [1, 33]>
func.func private @in_full(tensor<8x49xf32, #lowbit.quantized<#lowbit.int<4>, scale = #lowbit.block_scale<f16 per [1, 33]>, rule = default, layout = planes>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f16 per [16, 16]>
func.func private @square(tensor<?x?xf32, #lowbit.quantized<int<4>, scale = f16 per [16, 16]>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f16 per [2, 3, 5]>
func.func private @cube(tensor<3x?x7xf32, #lowbit.quantized<int<4>, scale = f16 per [2, 3, 5]>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = codebook<nf4> per [7]>
func.func private @coded_scale(tensor<16xf32, #lowbit.quantized<int<4>, scale = codebook<nf4> per [7]>>)
// CHECK-DAG: = #lowbit.quantized<uint<4>, scale = f16 per [1, 256] * uint<6> per [1, 32], min = f16 per [1, 256] * uint<6> per [1, 32]>
func.func private @nested(tensor<8x512xf32, #lowbit.quantized<uint<4>, scale = f16 per [1, 256] * uint<6> per [1, 32], min = f16 per [1, 256] * uint<6> per [1, 32]>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f32 per tensor * f16 per axis 0 * uint<4> per [1, 16]>
func.func private @three_levels(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f32 per tensor * f16 per axis 0 * uint<4> per [1, 16]>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f32 rank1<min>>
func.func private @rank1(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f32 rank1<min>>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = bf16 rank1<min>>
func.func private @rank1_in_full(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = #lowbit.rank1_scale<bf16 rank1<min>>>>)
// A block may be far larger than the tensor.
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f16 per [1, 9223372036854775807]>
func.func private @huge_block(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 9223372036854775807]>>)

// Zero points and rules.
// CHECK-DAG: = #lowbit.quantized<uint<4>, scale = f16 per [1, 32], zero = uint<4> per [1, 32]>
func.func private @zero(tensor<8x64xf32, #lowbit.quantized<uint<4>, scale = f16 per [1, 32], zero = uint<4> per [1, 32]>>)
// CHECK-DAG: = #lowbit.quantized<int<8>, scale = f32 per axis 1, zero = int<8> per tensor>
func.func private @zero_elsewhere(tensor<8x64xf32, #lowbit.quantized<int<8>, zero = int<8> per tensor, scale = f32 per axis 1>>)
// CHECK-DAG: = #lowbit.quantized<uint<4>, scale = f16 per [1, 32], min = bf16 per [1, 64]>
func.func private @min(tensor<8x64xf32, #lowbit.quantized<uint<4>, scale = f16 per [1, 32], min = bf16 per [1, 64]>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f16 per [1, 16], rule = mx_floor>
func.func private @mx_floor(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 16], rule = mx_floor>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f16 per [1, 16], rule = mx_ceil>
func.func private @mx_ceil(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 16], rule = mx_ceil>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f16 per [1, 16], rule = percentile<99.5>>
func.func private @percentile(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 16], rule = percentile<99.5>>>)
// CHECK-DAG: = #lowbit.quantized<int<8>, scale = f32 per tensor, rule = given>
func.func private @given(tensor<8x64xf32, #lowbit.quantized<int<8>, scale = f32 per tensor, rule = given>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f16 per [1, 16], rule = mse>
func.func private @mse(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 16], rule = mse>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f16 per [1, 16], rule = mse<steps = 40, least = 0.2>>
func.func private @mse_fields(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 16], rule = mse<steps = 40, least = 0.2>>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f16 per [1, 16], rounding = half_away>
func.func private @half_away(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 16], rounding = half_away>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f16 per [1, 32], rounding = nearest_even, layout = ggml<q4_0>>
func.func private @nearest_even(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], rounding = nearest_even, layout = ggml<q4_0>>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f16 per [1, 16], rule = absmax, rounding = stochastic<18446744073709551615>>
func.func private @stochastic(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 16], rule = absmax, rounding = stochastic<18446744073709551615>>>)
// CHECK-DAG: = #lowbit.quantized<codebook<nf4>, scale = f32 per [1, 64] * int<8> per [1, 16] + f32 per tensor>
func.func private @offset(tensor<8x64xf32, #lowbit.quantized<codebook<nf4>, scale = f32 per [1, 64] * int<8> per [1, 16] + f32 per tensor>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f32 per tensor * f16 per [1, 64] * uint<6> per [1, 16]>
func.func private @three_block_levels(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f32 per tensor * f16 per [1, 64] * uint<6> per [1, 16]>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f32 rank1<product>>
func.func private @product(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f32 rank1<product>>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f32 rank1<geo<0.15>>>
func.func private @geo(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f32 rank1<geo<0.15>>>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f16 per [1, 16], rule = absmax>
func.func private @absmax(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 16], rule = absmax>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f16 per [1, 16], rule = signed_max>
func.func private @signed_max(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 16], rule = signed_max>>)
// CHECK-DAG: = #lowbit.quantized<uint<4>, scale = f16 per [1, 16], min = f16 per [1, 16], rule = min_max>
func.func private @min_max(tensor<8x64xf32, #lowbit.quantized<uint<4>, scale = f16 per [1, 16], min = f16 per [1, 16], rule = min_max>>)

// Layouts.
// CHECK-DAG: = #lowbit.quantized<uint<3>, scale = f16 per [16, 1], zero = uint<3> per [16, 1], layout = checkpoint<gptq>>
func.func private @gptq(tensor<64x32xf32, #lowbit.quantized<uint<3>, scale = f16 per [16, 1], zero = uint<3> per [16, 1], layout = checkpoint<gptq>>>)
// CHECK-DAG: = #lowbit.quantized<uint<4>, scale = bf16 per [16, 1], zero = uint<4> per [16, 1], layout = checkpoint<gptq_v2>>
func.func private @gptq_v2(tensor<64x32xf32, #lowbit.quantized<uint<4>, scale = bf16 per [16, 1], zero = uint<4> per [16, 1], layout = checkpoint<gptq_v2>>>)
// CHECK-DAG: = #lowbit.quantized<uint<4>, scale = f16 per [5, 1], zero = uint<4> per [5, 1], layout = checkpoint<awq>>
func.func private @awq(tensor<5x64xf32, #lowbit.quantized<uint<4>, scale = f16 per [5, 1], zero = uint<4> per [5, 1], layout = checkpoint<awq>>>)
// CHECK-DAG: = #lowbit.quantized<codebook<fp4>, scale = f32 per [1, 64], layout = checkpoint<bnb>>
func.func private @bnb(tensor<8x64xf32, #lowbit.quantized<codebook<fp4>, scale = f32 per [1, 64], layout = checkpoint<bnb>>>)
// CHECK-DAG: = #lowbit.quantized<codebook<nf4>, scale = f32 per [16384] * codebook<dynamic, 8> per [64] + f32 per tensor, layout = checkpoint<bnb>>
func.func private @bnb_ragged(tensor<99xf32, #lowbit.quantized<codebook<nf4>, scale = f32 per [16384] * codebook<dynamic, 8> per [64] + f32 per tensor, layout = checkpoint<bnb>>>)
// CHECK-DAG: = #lowbit.quantized<uint<3>, scale = f16 per [1, 64] * uint<6> per [1, 32], min = f16 per axis 0, layout = tiled>
func.func private @tiled(tensor<5x33xf32, #lowbit.quantized<uint<3>, scale = f16 per [1, 64] * uint<6> per [1, 32], min = f16 per axis 0, layout = tiled>>)
// CHECK-DAG: = #lowbit.quantized<uint<3>, scale = f16 per [1, 64] * uint<6> per [1, 32], min = f16 per axis 0, layout = records>
func.func private @records(tensor<5x33xf32, #lowbit.quantized<uint<3>, scale = f16 per [1, 64] * uint<6> per [1, 32], min = f16 per axis 0, layout = records>>)
// CHECK-DAG: = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>
func.func private @q4_0(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>>)
// CHECK-DAG: = #lowbit.quantized<uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32], layout = ggml<q4_1>>
func.func private @q4_1(tensor<?x?xf32, #lowbit.quantized<uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32], layout = ggml<q4_1>>>)
// CHECK-DAG: = #lowbit.quantized<int<8>, scale = f16 per [32], layout = ggml<q8_0>>
func.func private @q8_0(tensor<64xf32, #lowbit.quantized<int<8>, scale = f16 per [32], layout = #lowbit.ggml<q8_0>>>)

// Combinators, nested in each other.
// CHECK-DAG: #sparse{{.*}} = #lowbit.sparse<f16, density = 0.01>
// CHECK-DAG: #sum{{.*}} = #lowbit.sum<#int3_codes{{[0-9]*}}, #sparse{{[0-9]*}}>
// CHECK-DAG: #int3_codes{{[0-9]*}} = #lowbit.quantized<int<3>, scale = f16 per [1, 32]>
func.func private @sum(tensor<8x64xf32, #lowbit.sum<#lowbit.quantized<int<3>, scale = f16 per [1, 32]>, #lowbit.sparse<f16, density = 0.01>>>)
// CHECK-DAG: #lowbit.sparse<f32, density = 1.0>
// CHECK-DAG: #lowbit.sparse<bf16, density = 1.0E-7>
// CHECK-DAG: #lowbit.sparse<bf16, density = 0.3333333333333333>
// CHECK-DAG: #sum{{.*}} = #lowbit.sum<#f16_codes{{[0-9]*}}, #sparse{{[0-9]*}}, #sparse{{[0-9]*}}, #sparse{{[0-9]*}}>
func.func private @sum4(tensor<?x?xf32, #lowbit.sum<#lowbit.quantized<f16>, #lowbit.sparse<f32, density = 1.0>, #lowbit.sparse<bf16, density = 1.0e-7>, #lowbit.sparse<bf16, density = 0.3333333333333333>>>)
// CHECK-DAG: #part{{.*}} = #lowbit.part<axis = 0, at = [64], #{{.*}}, #{{.*}}>
func.func private @part(tensor<128x64xf32, #lowbit.part<axis = 0, at = [64], #lowbit.quantized<int<8>, scale = f32 per axis 0>, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>>)
// CHECK-DAG: #part{{.*}} = #lowbit.part<axis = 1, at = [0, ?, 64], #f16_codes{{[0-9]*}}, #f32_codes, #f16_codes{{[0-9]*}}, #sum{{[0-9]*}}>
func.func private @cuts(tensor<128x64xf32, #lowbit.part<axis = 1, at = [0, ?, 64], #lowbit.quantized<f16>, #lowbit.quantized<f32>, #lowbit.quantized<f16>, #lowbit.sum<#lowbit.quantized<f16>, #lowbit.quantized<f32>>>>)
// CHECK-DAG: #sum{{.*}} = #lowbit.sum<#f16_codes{{[0-9]*}}, #part{{[0-9]*}}>
func.func private @sum_of_part(tensor<8x?xf32, #lowbit.sum<#lowbit.quantized<f16>, #lowbit.part<axis = 1, at = [?], #lowbit.quantized<f32>, #lowbit.quantized<f16>>>>)
