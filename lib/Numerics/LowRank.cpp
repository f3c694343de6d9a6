//===- LowRank.cpp - The best approximation by narrow factors ------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Reference.h"

#include <Eigen/SVD>

#include <algorithm>
#include <cmath>

namespace lowbit::numerics {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void factorize(const float *x, int64_t rows, int64_t columns, int64_t rank, float *left,
               float *right) {
  std::fill_n(left, rows * rank, 0.0f);
  std::fill_n(right, rank * columns, 0.0f);
  if (rows == 0 || columns == 0)
    return;
  Matrix finite(rows, columns);
  for (int64_t i = 0; i < rows * columns; ++i)
    finite.data()[i] = std::isfinite(x[i]) ? x[i] : 0.0;
  Eigen::BDCSVD<Matrix> svd(finite, Eigen::ComputeThinU | Eigen::ComputeThinV);
  for (int64_t r = 0, count = std::min({rank, rows, columns}); r < count; ++r) {
    auto u = svd.matrixU().col(r);
    auto v = svd.matrixV().col(r);
    // A pair of vectors may change sign together: the same factors must come out everywhere.
    Eigen::Index largest = 0;
    for (Eigen::Index i = 1; i < u.size(); ++i)
      if (std::abs(u[i]) > std::abs(u[largest]))
        largest = i;
    double root = std::sqrt(svd.singularValues()[r]), sign = u[largest] < 0 ? -1.0 : 1.0;
    for (int64_t i = 0; i < rows; ++i)
      left[i * rank + r] = static_cast<float>(sign * root * u[i]);
    for (int64_t j = 0; j < columns; ++j)
      right[r * columns + j] = static_cast<float>(sign * root * v[j]);
  }
}

void multiplyFactors(const float *left, const float *right, int64_t rows, int64_t columns,
                     int64_t rank, float *out) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      float sum = 0.0f;
      for (int64_t r = 0; r < rank; ++r) {
        float product = left[i * rank + r] * right[r * columns + j];
        sum += product;
      }
      out[i * columns + j] = sum;
    }
}

} // namespace lowbit::numerics
