//===- LloydMax.cpp - Levels of least mean square error -----------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LloydMax.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lowbit::numerics {

static double density(double x) {
  constexpr double inverseRoot = 0.39894228040143267794; // 1 / sqrt(2 pi)
  return std::isinf(x) ? 0.0 : inverseRoot * std::exp(-0.5 * x * x);
}

/// The probability of being above x.
static double tail(double x) {
  constexpr double root = 0.70710678118654752440; // sqrt(1 / 2)
  return 0.5 * std::erfc(root * x);
}

/// The x > 0 above which the probability is p < 0.5.
static double quantile(double p) {
  double low = 0.0, high = 40.0;
  for (int step = 0; step < 100; ++step) {
    double middle = 0.5 * (low + high);
    (tail(middle) > p ? low : high) = middle;
  }
  return low;
}

std::vector<double> lloydMaxOfGaussian(int count) {
  // The levels above zero; their mirror images are the others. They solve level = mean of its cell,
  // by Newton's method: the plain fixed-point iteration takes time quadratic in the count. The
  // start is the companding approximation (Panter, Dite 1951): quantiles of the density's cube
  // root, which is a normal one of variance 3.
  size_t half = static_cast<size_t>(count / 2);
  std::vector<double> levels(half);
  for (size_t i = 0; i < half; ++i)
    levels[i] = std::sqrt(3.0) *
                quantile(0.5 - (static_cast<double>(i) + 0.5) / static_cast<double>(count));

  std::vector<double> residual(half), above(half);
  for (int step = 0; step < 50; ++step) {
    // The Jacobian is tridiagonal: one sweep down that eliminates, one up that substitutes.
    for (size_t i = 0; i < half; ++i) {
      double lower = i == 0 ? 0.0 : 0.5 * (levels[i - 1] + levels[i]);
      double upper = i + 1 == half ? std::numeric_limits<double>::infinity()
                                   : 0.5 * (levels[i] + levels[i + 1]);
      double mass = tail(lower) - tail(upper);
      double mean = (density(lower) - density(upper)) / mass;
      // Half of how the mean moves with either end of the cell.
      double byLower = i == 0 ? 0.0 : 0.5 * density(lower) * (mean - lower) / mass;
      double byUpper = i + 1 == half ? 0.0 : 0.5 * density(upper) * (upper - mean) / mass;
      double diagonal = 1.0 - byLower - byUpper;
      residual[i] = levels[i] - mean;
      if (i > 0) {
        diagonal -= byLower * above[i - 1];
        residual[i] += byLower * residual[i - 1];
      }
      above[i] = byUpper / diagonal;
      residual[i] /= diagonal;
    }
    double most = 0.0;
    for (size_t i = half; i-- > 0;) {
      if (i + 1 < half)
        residual[i] += above[i] * residual[i + 1];
      levels[i] -= residual[i];
      most = std::max(most, std::fabs(residual[i]));
    }
    if (most < 1e-14)
      break;
  }
  std::vector<double> all;
  for (size_t i = half; i-- > 0;)
    all.push_back(-levels[i]);
  all.insert(all.end(), levels.begin(), levels.end());
  return all;
}

} // namespace lowbit::numerics
