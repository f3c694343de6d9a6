//===- LearnedLevels.h - Tables of levels that a tensor brings --*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The levels of a learned format are data: a table of 2^bits of them, in ascending order, for each
// block of elements that shares one.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_NUMERICS_LEARNEDLEVELS_H
#define LOWBIT_LIB_NUMERICS_LEARNEDLEVELS_H

#include "lowbit/Numerics/Layout.h"

namespace lowbit::numerics {

/// The `count` levels, ascending, with the least sum of squared distances from each of `values` to
/// the nearest one: optimal k-means in one dimension by dynamic programming (Wang and Song 2011,
/// "Ckmeans.1d.dp"), each row of its table by divide and conquer. Borders between two levels lie
/// between any two neighbours of up to 4096 different values; of more, at about 4096 evenly spaced
/// ranks.
/// Values that are not finite are left out; without any, all levels are 0. Levels that are not
/// needed repeat the largest one.
///
/// weights: of the squared distances, none below 0, one for each value; empty: all 1. What has
/// none, or one that is not finite, is left out too, unless nothing else is there: then all count
/// alike.
std::vector<float> learnLevels(const std::vector<float> &values, const std::vector<float> &weights,
                               size_t count);

/// The code of the level nearest to t, of `levels` in ascending order: how many steps up from the
/// lowest level bring it nearer, exactly between two levels to the even code. NaN counts as 0. Any
/// levels give a code that has one.
uint32_t nearestLevel(const float *levels, size_t count, float t);

/// The tables of a tensor, decoded to f32.
class LevelTables {
public:
  /// `codes` are those of the array "levels".
  LevelTables(const Quantized &term, const Shape &shape, const Codes &codes);
  /// Learned from t[element count] with these weights, if there are any, rounded to the element
  /// format; `codes` receives the array.
  static LevelTables learn(const Quantized &term, const Shape &shape, const std::vector<float> &t,
                           const std::vector<float> &weights, Codes &codes);

  /// out[j] = the level of codes[j], along one row of the tensor.
  void decodeRow(int64_t row, const uint32_t *codes, float *out) const;
  /// codes[j] = the code of the level nearest to t[j].
  void encodeRow(int64_t row, const float *t, uint32_t *codes) const;

private:
  LevelTables(const Quantized &term, const Shape &shape);

  Tiling tiling;
  size_t count; ///< levels in a table
  std::vector<float> levels;
};

} // namespace lowbit::numerics

#endif // LOWBIT_LIB_NUMERICS_LEARNEDLEVELS_H
