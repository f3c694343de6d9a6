//===- MatrixKernels.cpp - Those that every processor runs ----------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#define LOWBIT_KERNELS baselineKernels
#include "MatrixKernels.inc"

#ifdef LOWBIT_HAS_X86_KERNELS
namespace lowbit {
extern const MatrixKernels avx2Kernels, avx512Kernels;
} // namespace lowbit
#endif

const lowbit::MatrixKernels &lowbit::getMatrixKernels() {
#ifdef LOWBIT_HAS_X86_KERNELS
  if (__builtin_cpu_supports("x86-64-v4"))
    return avx512Kernels;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return avx2Kernels;
#endif
  return baselineKernels;
}
