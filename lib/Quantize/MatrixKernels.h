//===- MatrixKernels.h - Dense f64 products and factors ---------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What error feedback computes in f64, compiled for more than one processor: the library is built
// for the oldest one of its architecture, on which these take four times as long. Matrices are
// row-major; `stride` is that of their rows.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_QUANTIZE_MATRIXKERNELS_H
#define LOWBIT_LIB_QUANTIZE_MATRIXKERNELS_H

#include <cstdint>

namespace lowbit {

/// Rows of a matrix that are computed on side by side, ...
inline constexpr int64_t kTileRows = 32;
/// ... of which this is one column.
template <typename T> struct alignas(64) TileColumnOf {
  T rows[kTileRows];
};
using TileColumn = TileColumnOf<double>;
using TileColumnF32 = TileColumnOf<float>;

struct MatrixKernels {
  /// The lower triangular l with l l^T = h, in the place of the lower triangle of h [n, n]. False
  /// if h is not positive definite.
  bool (*factor)(double *h, int64_t stride, int64_t n);
  /// x := x l^-T, with x [m, n] and l [n, n] lower triangular, of one stride.
  void (*divideByTransposed)(double *x, const double *l, int64_t stride, int64_t m, int64_t n);
  /// x := x l^-1, with x [m, n] whose rows lie one after the other.
  void (*divide)(double *x, const double *l, int64_t stride, int64_t m, int64_t n);
  /// c -= a b^T, with c [m, n], a [m, k], b [n, k], of one stride.
  void (*subtractProduct)(double *c, const double *a, const double *b, int64_t stride, int64_t m,
                          int64_t n, int64_t k);
  /// c -= a^T b, with c [m] and b [k] columns of a tile, a [k, m].
  void (*subtractFromTile)(TileColumn *c, const double *a, int64_t stride, const TileColumn *b,
                           int64_t m, int64_t k);
  /// Likewise; f32 products are summed in f32 for up to 128 of them, then in f64.
  void (*subtractF32FromTile)(TileColumn *c, const float *a, int64_t stride, const TileColumnF32 *b,
                              int64_t m, int64_t k);
};

/// The best ones that this machine runs.
const MatrixKernels &getMatrixKernels();

} // namespace lowbit

#endif // LOWBIT_LIB_QUANTIZE_MATRIXKERNELS_H
