//===- MatrixKernels.h - Dense f64 products and factors ---------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What error feedback asks of Eigen, compiled for more than one processor: the library is built for
// the oldest one of its architecture, on which these take four times as long. Matrices are
// row-major; `stride` is that of their rows.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_QUANTIZE_MATRIXKERNELS_H
#define LOWBIT_LIB_QUANTIZE_MATRIXKERNELS_H

#include <cstdint>

namespace lowbit {

struct MatrixKernels {
  /// The lower triangular l with l l^T = h, in the place of the lower triangle of h [n, n]. False
  /// if h is not positive definite.
  bool (*factor)(double *h, int64_t n);
  /// Columns [begin, end) of the inverse of the lower triangular l [n, n] into `inverse` [n, n].
  void (*invertColumns)(const double *l, double *inverse, int64_t n, int64_t begin, int64_t end);
  /// c -= a b, with c [m, n], a [m, k], b [k, n].
  void (*subtractProduct)(double *c, int64_t strideC, const double *a, int64_t strideA,
                          const double *b, int64_t strideB, int64_t m, int64_t n, int64_t k);
};

/// The best ones that this machine runs.
const MatrixKernels &getMatrixKernels();

} // namespace lowbit

#endif // LOWBIT_LIB_QUANTIZE_MATRIXKERNELS_H
