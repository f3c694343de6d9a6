// What a processor has decides instructions, registers and the size of tiles.
// RUN: lowbit-opt %s --lowbit-cpu-pipeline="target-cpu=sapphirerapids activations='int<8>, scale = f32 per [1, 32]'" | FileCheck %s --check-prefixes=CHECK,AMX
// RUN: lowbit-opt %s --lowbit-cpu-pipeline="target-cpu=sapphirerapids matrix-unit=none activations='int<8>, scale = f32 per [1, 32]'" | FileCheck %s --check-prefixes=CHECK,VNNI512 --implicit-check-not=llvm.x86.t
// RUN: lowbit-opt %s --lowbit-cpu-pipeline="target-cpu=skylake-avx512 activations='int<8>, scale = f32 per [1, 32]'" | FileCheck %s --check-prefixes=CHECK,AVX512
// RUN: lowbit-opt %s --lowbit-cpu-pipeline="target-cpu=x86-64-v3+avxvnni activations='int<8>, scale = f32 per [1, 32]'" | FileCheck %s --check-prefixes=CHECK,VNNI256
// RUN: lowbit-opt %s --lowbit-cpu-pipeline="target-cpu=haswell activations='int<8>, scale = f32 per [1, 32]'" | FileCheck %s --check-prefixes=CHECK,AVX2
// RUN: lowbit-opt %s --lowbit-cpu-pipeline="target-cpu=x86-64-v2 activations='int<8>, scale = f32 per [1, 32]'" | FileCheck %s --check-prefixes=CHECK,SSSE3
// RUN: lowbit-opt %s --lowbit-cpu-pipeline="target-cpu=x86-64 activations='int<8>, scale = f32 per [1, 32]'" | FileCheck %s --check-prefixes=CHECK,GENERIC --implicit-check-not=llvm.x86
// RUN: lowbit-opt %s --lowbit-cpu-pipeline="target-cpu=neoverse-v2 activations='int<8>, scale = f32 per [1, 32]'" | FileCheck %s --check-prefixes=CHECK,USDOT
// RUN: lowbit-opt %s --lowbit-cpu-pipeline="target-cpu=apple-m1 activations='int<8>, scale = f32 per [1, 32]'" | FileCheck %s --check-prefixes=CHECK,SDOT
// RUN: lowbit-opt %s --lowbit-cpu-pipeline="target-cpu=aarch64 activations='int<8>, scale = f32 per [1, 32]'" | FileCheck %s --check-prefixes=CHECK,NEON --implicit-check-not=neon.sdot
// An option that is given is not the processor's to decide.
// RUN: lowbit-opt %s --lowbit-cpu-pipeline="target-cpu=sapphirerapids lanes=avx2 matrix-unit=none activations='int<8>, scale = f32 per [1, 32]'" | FileCheck %s --check-prefixes=CHECK,AVX2
// Without OpenMP.
// RUN: lowbit-opt %s --lowbit-cpu-pipeline="target-cpu=aarch64 parallel=false" | FileCheck %s --implicit-check-not=omp.

// RUN: not lowbit-opt %s --lowbit-cpu-pipeline="target-cpu=x86-64-v9" 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not lowbit-opt %s --lowbit-cpu-pipeline="target-cpu=x86-64-v3+avxvni" 2>&1 | FileCheck %s --check-prefix=FEATURE
// RUN: not lowbit-opt %s --lowbit-cpu-pipeline="target-cpu=i686" 2>&1 | FileCheck %s --check-prefix=BITS
// RUN: not lowbit-opt %s --lowbit-cpu-pipeline="target-cpu=haswell lanes=vnni512" 2>&1 | FileCheck %s --check-prefix=LANES
// RUN: not lowbit-opt %s --lowbit-cpu-pipeline="target-cpu=haswell matrix-unit=amx" 2>&1 | FileCheck %s --check-prefix=UNIT
// UNKNOWN: error: LLVM knows no processor 'x86-64-v9' of x86-64 or arm64; near it are 'x86-64-v2', 'x86-64-v3', 'x86-64-v4'.
// FEATURE: error: LLVM knows no feature 'avxvni' of x86_64; near it are 'avxvnni'.
// BITS: error: 'i686' is a processor of 32 bits
// LANES: error: lanes=vnni512 needs the features avx512vnni avx512bw, which 'haswell' (x86_64) lacks
// UNIT: error: matrix-unit=amx needs the feature amx-int8, which 'haswell' (x86_64) lacks

// CHECK: llvm.func @linear
// AMX: llvm.x86.tdpb{{[su]}}sd
// VNNI512: llvm.x86.avx512.vpdpbusd.512
// AVX512: llvm.x86.avx512.pmaddw.d.512
// VNNI256: llvm.x86.avx512.vpdpbusd.256
// AVX2: llvm.x86.avx2.pmadd.wd
// SSSE3: llvm.x86.sse2.pmadd.wd
// GENERIC: llvm.mul
// USDOT: llvm.aarch64.neon.usdot.v4i32.v16i8
// SDOT: llvm.aarch64.neon.sdot.v4i32.v16i8
// NEON: llvm.mul
#w4 = #lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = tiled>
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
func.func @linear(%x: tensor<16x64xf32>, %w: tensor<256x64xf32, #w4>, %y: tensor<16x256xf32>) -> tensor<16x256xf32>
    attributes {lowbit.entry, lowbit.updates = array<i64: 2>} {
  %r = linalg.matmul indexing_maps = [#mk, #nk, #mn] ins(%x, %w : tensor<16x64xf32>, tensor<256x64xf32, #w4>)
                     outs(%y : tensor<16x256xf32>) -> tensor<16x256xf32>
  return %r : tensor<16x256xf32>
}
