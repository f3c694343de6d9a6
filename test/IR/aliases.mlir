// A module says each encoding once, named by what its codes are.
// RUN: lowbit-opt %s | FileCheck %s

// CHECK-DAG: #int4_codes = #lowbit.quantized<int<4>, scale = f16 per [1, 32]>
// CHECK-DAG: #int4_codes1 = #lowbit.quantized<int<4>, scale = f16 per [1, 64]>
// CHECK-DAG: #uint4_codes = #lowbit.quantized<uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32]>
// CHECK-DAG: #nf4_codes = #lowbit.quantized<codebook<nf4>, scale = f32 per [1, 64]>
// CHECK-DAG: #codebook_codes = #lowbit.quantized<codebook<[-1.0, 1.0]>, scale = f32 per tensor>
// CHECK-DAG: #bf16_codes = #lowbit.quantized<bf16>
// CHECK-DAG: #sparse = #lowbit.sparse<f16, density = 0.01>
// CHECK-DAG: #sum = #lowbit.sum<#nf4_codes, #sparse>
// CHECK-DAG: #part = #lowbit.part<axis = 0, at = [4], #sum, #bf16_codes>
// CHECK-NOT: lowbit.quantized
// CHECK: func private @once(tensor<8x64xf32, #int4_codes>, tensor<8x64xf32, #int4_codes1>) -> tensor<8x64xf32, #int4_codes>
func.func private @once(tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>,
                        tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 64]>>)
  -> tensor<8x64xf32, #lowbit.quantized<int<4>, scale = f16 per [1, 32]>>
// CHECK: func private @others(tensor<8x64xf32, #uint4_codes>, tensor<8x64xf32, #codebook_codes>, tensor<8x64xf32, #part>)
func.func private @others(
  tensor<8x64xf32, #lowbit.quantized<uint<4>, scale = f16 per [1, 32], min = f16 per [1, 32]>>,
  tensor<8x64xf32, #lowbit.quantized<codebook<[-1.0, 1.0]>, scale = f32 per tensor>>,
  tensor<8x64xf32, #lowbit.part<axis = 0, at = [4],
    #lowbit.sum<#lowbit.quantized<codebook<nf4>, scale = f32 per [1, 64]>, #lowbit.sparse<f16, density = 0.01>>,
    #lowbit.quantized<bf16>>>)
