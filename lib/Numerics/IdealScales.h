//===- IdealScales.h - From the elements of a block to its scale ----===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_NUMERICS_IDEALSCALES_H
#define LOWBIT_LIB_NUMERICS_IDEALSCALES_H

#include "lowbit/Numerics/Term.h"

#include <cmath>
#include <vector>

namespace lowbit::numerics {

/// Statistics take NaN as zero, so that one NaN does not spoil a block.
inline float withoutNaN(float x) { return std::isnan(x) ? 0.0f : x; }

/// For each block of a tiling, before anything is rounded.
struct IdealScales {
  std::vector<float> scale;
  std::vector<float> low; ///< MinMax only: the smallest element, widened as the zero point needs
};

/// What a resolved rule chooses on blocks of `rows` x `columns` elements of x, which lie row by row
/// or, if it is transposed, column by column.
IdealScales chooseIdeals(const Quantized &term, const EncodeRule &rule, const Tiling &tiling,
                         int64_t rows, int64_t columns, const float *x, bool isTransposed);

} // namespace lowbit::numerics

#endif // LOWBIT_LIB_NUMERICS_IDEALSCALES_H
