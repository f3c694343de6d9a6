//===- Rank1.cpp - Row and column scales of a matrix -------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Rank1.h"

#include "IdealScales.h"
#include "lowbit/Numerics/EncodeRules.h"

#include <algorithm>

namespace lowbit::numerics {

/// The largest |x| / divisor of each row and of each column; divisors of zero give zero.
static Rank1Ideals largestOf(const Shape &shape, const float *x,
                             const std::vector<float> *divisors) {
  Rank1Ideals most{std::vector<float>(static_cast<size_t>(shape[0])),
                   std::vector<float>(static_cast<size_t>(shape[1]))};
  for (size_t i = 0; i < most.rows.size(); ++i)
    for (size_t j = 0; j < most.columns.size(); ++j) {
      float magnitude = std::fabs(withoutNaN(x[i * most.columns.size() + j]));
      if (divisors)
        magnitude = (*divisors)[i] == 0.0f ? 0.0f : magnitude / (*divisors)[i];
      most.rows[i] = std::max(most.rows[i], magnitude);
      most.columns[j] = std::max(most.columns[j], magnitude);
    }
  return most;
}

Rank1Ideals rank1Ideals(const Rank1 &scale, float largest, const Shape &shape, const float *x,
                        EncodeRule::Overflow overflow) {
  Rank1Ideals ideals = largestOf(shape, x, nullptr);
  switch (scale.combiner) {
  case Combiner::Min:
    for (float &row : ideals.rows)
      row = row / largest;
    break;
  case Combiner::Product: {
    std::vector<float> stored;
    for (float row : ideals.rows)
      stored.push_back(storedValue(scale.element, row, overflow));
    ideals.columns = largestOf(shape, x, &stored).columns;
    break;
  }
  case Combiner::Geometric: {
    uint32_t digits = powerDigits(scale.alpha);
    for (float &row : ideals.rows)
      row = powerOf(row, digits);
    for (float &column : ideals.columns)
      column = powerOf(column, 65536 - digits);
    break;
  }
  }
  for (float &column : ideals.columns)
    column = column / largest;
  return ideals;
}

EncodedScale encodeRank1(const Rank1 &scale, const Rank1Ideals &ideals,
                         EncodeRule::Overflow overflow) {
  EncodedScale encoded;
  auto store = [&](const std::vector<float> &ideal) {
    Codes &codes = encoded.arrays.emplace_back();
    std::vector<float> values;
    for (float value : ideal) {
      codes.push_back(storedCode(scale.element, value, overflow));
      values.push_back(scale.element.decode(codes.back()));
    }
    return values;
  };
  std::vector<float> rows = store(ideals.rows), columns = store(ideals.columns);
  encoded.stored = ScaleField::rank1(scale.combiner, std::move(rows), std::move(columns));
  return encoded;
}

} // namespace lowbit::numerics
