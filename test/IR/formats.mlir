// Every number format is read in each of its spellings, and printed in one.
// RUN: lowbit-opt %s | lowbit-opt | FileCheck %s
// RUN: lowbit-opt %s --emit-bytecode | lowbit-opt | FileCheck %s

// Alone, in full.
func.func private @alone() attributes {
  // CHECK-DAG: int = [#lowbit.int<16>, #lowbit.int<8, narrow>, #lowbit.uint<16>]
  int = [#lowbit.int<16>, #lowbit.int<8, narrow>, #lowbit.uint<16>],
  // CHECK-DAG: fp = [#lowbit.fp<2, 2>, #lowbit.fp<4, 3, fn>, #lowbit.fp<8, 0, unsigned, fnu>, #lowbit.fp<3, 2, bias = -5, unsigned>]
  fp = [#lowbit.fp<2, 2>, #lowbit.fp<4, 3, fn>, #lowbit.fp<8, 0, fnu, unsigned>, #lowbit.fp<3, 2, unsigned, bias = -5>],
  // The default bias is not printed; it is one higher for fnuz.
  // CHECK-DAG: bias = [#lowbit.fp<4, 3>, #lowbit.fp<4, 3, bias = 7, fnuz>, #lowbit.fp<4, 3, fnuz>]
  bias = [#lowbit.fp<4, 3, bias = 7, none>, #lowbit.fp<4, 3, fnuz, bias = 7>, #lowbit.fp<4, 3, bias = 8, fnuz>],
  // CHECK-DAG: codebook = [#lowbit.codebook<dynamic, 8>, #lowbit.codebook<power, 4, 1.5>, #lowbit.codebook<[1.0, -1.0, 1.0]>]
  codebook = [#lowbit.codebook<dynamic, 8>, #lowbit.codebook<power, 4.0, 1.50>, #lowbit.codebook<[1.0, -1.0, 1.0]>]
}

// Minifloats with a short name go by it, however they were written.
// CHECK-DAG: #e4m3_codes = #lowbit.quantized<e4m3, scale = f32 per tensor>
func.func private @e4m3(tensor<4x8xf32, #lowbit.quantized<fp<4, 3, fn>, scale = f32 per tensor>>)
// CHECK-DAG: #e5m2_codes = #lowbit.quantized<e5m2>
func.func private @e5m2(tensor<4x8xf32, #lowbit.quantized<fp<5, 2, ieee>>>)
// CHECK-DAG: #e4m3fnuz_codes = #lowbit.quantized<e4m3fnuz>
func.func private @e4m3fnuz(tensor<4x8xf32, #lowbit.quantized<e4m3fnuz>>)
// CHECK-DAG: #e5m2fnuz_codes = #lowbit.quantized<e5m2fnuz>
func.func private @e5m2fnuz(tensor<4x8xf32, #lowbit.quantized<e5m2fnuz>>)
// CHECK-DAG: #e3m2_codes = #lowbit.quantized<e3m2>
func.func private @e3m2(tensor<4x8xf32, #lowbit.quantized<e3m2>>)
// CHECK-DAG: #e2m3_codes = #lowbit.quantized<e2m3>
func.func private @e2m3(tensor<4x8xf32, #lowbit.quantized<#lowbit.fp<2, 3>>>)
// CHECK-DAG: #e2m1_codes = #lowbit.quantized<e2m1, scale = e8m0 per [1, 32]>
func.func private @e2m1(tensor<4x8xf32, #lowbit.quantized<e2m1, scale = e8m0 per [1, 32]>>)
// CHECK-DAG: #e2m1_codes1 = #lowbit.quantized<e2m1, scale = f32 per tensor * e4m3 per [1, 16]>
func.func private @nvfp4(tensor<4x8xf32, #lowbit.quantized<e2m1, scale = f32 per tensor * e4m3 per [1, 16]>>)
// CHECK-DAG: #ue4m3_codes = #lowbit.quantized<ue4m3, scale = ue5m3 per tensor>
func.func private @ue4m3(tensor<4x8xf32, #lowbit.quantized<ue4m3, scale = fp<5, 3, unsigned, fn> per tensor>>)
// CHECK-DAG: #fp2_2_codes = #lowbit.quantized<fp<2, 2>, scale = f16 per [1, 32]>
func.func private @fp(tensor<4x8xf32, #lowbit.quantized<fp<2, 2>, scale = f16 per [1, 32]>>)

// CHECK-DAG: #int8_narrow_codes = #lowbit.quantized<int<8, narrow>, scale = f32 per axis 0>
func.func private @narrow(tensor<4x8xf32, #lowbit.quantized<int<8, narrow>, scale = f32 per axis 0>>)
// CHECK-DAG: #int12_codes = #lowbit.quantized<int<12>, scale = f32 per axis 0>
func.func private @int12(tensor<4x8xf32, #lowbit.quantized<int<12>, scale = f32 per axis 0>>)
// CHECK-DAG: #uint16_codes = #lowbit.quantized<uint<16>, scale = f32 per axis 0, zero = uint<16> per axis 0>
func.func private @uint16(tensor<4x8xf32, #lowbit.quantized<uint<16>, scale = f32 per axis 0, zero = uint<16> per axis 0>>)

// A table of six levels, no power of two.
// CHECK-DAG: #codebook_codes = #lowbit.quantized<codebook<[-1.0, -0.3, -0.1, 0.1, 0.3, 1.0]>, scale = f16 per [1, 32]>
func.func private @six(tensor<4x8xf32, #lowbit.quantized<codebook<[-1.0, -0.3, -0.1, 0.1, 0.3, 1.0]>, scale = f16 per [1, 32]>>)
// CHECK-DAG: #dynamic_unsigned_8_codes = #lowbit.quantized<codebook<dynamic_unsigned, 8>, scale = f32 per [1, 256]>
func.func private @dynamic(tensor<4x8xf32, #lowbit.quantized<codebook<dynamic_unsigned, 8>, scale = f32 per [1, 256]>>)
// CHECK-DAG: #log2_4_codes = #lowbit.quantized<codebook<log2, 4, 7.5>, scale = f32 per tensor>
func.func private @log2(tensor<4x8xf32, #lowbit.quantized<codebook<"log2", 4, 7.5>, scale = f32 per tensor>>)

// CHECK-DAG: #learned4_codes = #lowbit.quantized<learned<4, f16 per axis 0>>
func.func private @learned(tensor<4x8xf32, #lowbit.quantized<learned<4, f16 per axis 0>>>)
// CHECK-DAG: #learned3_codes = #lowbit.quantized<learned<3, bf16 per [1, 256]>, scale = f32 per tensor>
func.func private @learned_scaled(tensor<4x8xf32, #lowbit.quantized<#lowbit.learned<3, bf16 per [1, 256]>, scale = f32 per tensor>>)

// CHECK-DAG: #prefix4_codes = #lowbit.quantized<prefix<4, int<8>>, scale = f32 per axis 0>
func.func private @prefix(tensor<4x8xf32, #lowbit.quantized<prefix<4, int<8>>, scale = f32 per axis 0>>)
// CHECK-DAG: #prefix5_codes = #lowbit.quantized<prefix<5, prefix<6, codebook<dynamic, 8>>>, scale = f16 per [1, 32], layout = planes<1, 4>>
func.func private @prefix_of_prefix(tensor<4x8xf32, #lowbit.quantized<prefix<5, #lowbit.prefix<6, codebook<dynamic, 8>>>, scale = f16 per [1, 32], layout = planes<1, 4>>>)

// Components of the given widths, low bits first.
// CHECK-LABEL: @planes
func.func @planes(%w: tensor<4x64xf32, #lowbit.quantized<int<7>, layout = planes<1, 2, 4>>>) -> tensor<4x32xi8> {
  // CHECK: lowbit.disassemble %{{.*}} to tensor<4x8xi8>, tensor<4x16xi8>, tensor<4x32xi8>
  %a, %b, %c = lowbit.disassemble %w : tensor<4x64xf32, #lowbit.quantized<int<7>, layout = planes<1, 2, 4>>>
    to tensor<4x8xi8>, tensor<4x16xi8>, tensor<4x32xi8>
  return %c : tensor<4x32xi8>
}

// The tables are a component.
// CHECK-LABEL: @learned_components
func.func @learned_components(%w: tensor<4x64xf32, #lowbit.quantized<learned<2, f32 per [2, 32]>>>) -> tensor<2x2x4xf32> {
  // CHECK: lowbit.disassemble %{{.*}} to tensor<4x16xi8>, tensor<2x2x4xf32>
  %codes, %levels = lowbit.disassemble %w : tensor<4x64xf32, #lowbit.quantized<learned<2, f32 per [2, 32]>>>
    to tensor<4x16xi8>, tensor<2x2x4xf32>
  return %levels : tensor<2x2x4xf32>
}
