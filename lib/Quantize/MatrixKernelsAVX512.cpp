//===- MatrixKernelsAVX512.cpp - Those of x86-64 with AVX-512 -------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#define LOWBIT_KERNELS avx512Kernels
#include "MatrixKernels.inc"
