//===- MatrixKernelsAVX2.cpp - Those of x86-64 with AVX2 and FMA ----------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#define LOWBIT_KERNELS avx2Kernels
#include "MatrixKernels.inc"
