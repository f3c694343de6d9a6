//===- Encode.cpp - Choosing scales, zero points and codes --------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ScaleField.h"
#include "lowbit/Numerics/Reference.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace lowbit::numerics {

using Choice = EncodeRule::Choice;

/// Statistics take NaN as zero, so that one NaN does not spoil a block.
static float withoutNaN(float x) { return std::isnan(x) ? 0.0f : x; }

//===----------------------------------------------------------------------===//
// Statistics of blocks
//===----------------------------------------------------------------------===//

namespace {
/// What a rule must know of each block.
struct Statistics {
  std::vector<float> peak;      ///< the element of largest magnitude, the first one of equals
  std::vector<float> low, high; ///< smallest (-0 below +0) and largest element
};
} // namespace

/// The smaller of two numbers, -0 below +0: IEEE 754-2019 minimum.
static float minimumOf(float a, float b) {
  if (a == b)
    return std::signbit(a) ? a : b;
  return a < b ? a : b;
}

static Statistics gather(const Tiling &tiling, int64_t rows, int64_t columns, const float *x) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  size_t blocks = static_cast<size_t>(tiling.blockCount());
  Statistics statistics{std::vector<float>(blocks, nan), std::vector<float>(blocks, infinity),
                        std::vector<float>(blocks, -infinity)};
  for (int64_t row = 0; row < rows; ++row)
    tiling.forEachRun(row, [&](int64_t block, int64_t begin, int64_t end) {
      size_t index = static_cast<size_t>(block);
      float peak = statistics.peak[index], low = statistics.low[index],
            high = statistics.high[index];
      for (int64_t column = begin; column < end; ++column) {
        float value = withoutNaN(x[row * columns + column]);
        peak = largerMagnitude(peak, value);
        low = minimumOf(low, value);
        high = std::max(high, value);
      }
      statistics.peak[index] = peak;
      statistics.low[index] = low;
      statistics.high[index] = high;
    });
  return statistics;
}

//===----------------------------------------------------------------------===//
// Scales and zero points
//===----------------------------------------------------------------------===//

namespace {
/// Scale and zero point of every element, as codes are computed with them, and what is stored.
struct Chosen {
  ScaleField scale, zero;
  std::vector<Codes> arrays; ///< the scale's, then the zero point's
};
} // namespace

static Chosen chooseRank1(const Quantized &term, const EncodeRule &rule, const Shape &shape,
                          const float *x) {
  float largest = term.format.largest();
  auto idealsPer = [&](int64_t axis) {
    Tiling tiling(shape, Granularity::perAxis(axis).blockOf(shape));
    std::vector<float> ideals = gather(tiling, shape[0], shape[1], x).peak;
    // A row or column without elements has no peak; its scale is never read.
    ideals.resize(static_cast<size_t>(shape[static_cast<size_t>(axis)]), 0.0f);
    for (float &ideal : ideals)
      ideal = std::fabs(ideal) / largest;
    return ideals;
  };
  std::vector<float> rows = idealsPer(0), columns = idealsPer(1);
  EncodedScale encoded = encodeRank1(*term.scale->rank1, rows, columns, rule.overflow);
  Chosen chosen;
  chosen.scale =
      rule.divisor == EncodeRule::Divisor::Stored
          ? std::move(encoded.stored)
          : ScaleField::rank1(term.scale->rank1->combiner, std::move(rows), std::move(columns));
  chosen.arrays = std::move(encoded.arrays);
  return chosen;
}

/// Widens [low, high] to contain zero as far as the zero point can only express such ranges.
static void widenRanges(const Quantized &term, Statistics &statistics) {
  bool isInteger = term.zeroKind == ZeroKind::Integer;
  // A nested minimum without negative inner levels takes its sign from the outer level: all minima
  // of an outer block must agree in sign, and it is negative that they can all be.
  bool isNegative = term.zeroKind == ZeroKind::Additive && term.zero->levels.size() > 1 &&
                    !term.zero->levels.back().element.hasNegativeLevels();
  for (float &low : statistics.low)
    if (isInteger || isNegative)
      low = std::min(low, 0.0f);
  for (float &high : statistics.high)
    if (isInteger)
      high = std::max(high, 0.0f);
}

static std::vector<float> idealScales(const Quantized &term, Choice choice,
                                      const Statistics &statistics) {
  const Format &format = term.format;
  std::vector<float> ideals(statistics.peak.size());
  for (size_t block = 0; block < ideals.size(); ++block) {
    if (choice == Choice::AbsMax)
      ideals[block] = std::fabs(statistics.peak[block]) / format.largest();
    else if (choice == Choice::SignedMax)
      ideals[block] = statistics.peak[block] / format.extreme();
    else
      ideals[block] =
          (statistics.high[block] - statistics.low[block]) / (format.highest() - format.lowest());
  }
  return ideals;
}

/// The zero points that make the lowest level decode to `low`, given the scale of each block.
static std::vector<float> idealZeros(const Quantized &term, const std::vector<float> &low,
                                     const std::vector<float> &scales) {
  float lowest = term.format.lowest();
  std::vector<float> zeros(low.size());
  for (size_t block = 0; block < zeros.size(); ++block) {
    float scale = scales[block];
    if (term.zeroKind == ZeroKind::Integer)
      zeros[block] = lowest - (scale == 0.0f ? 0.0f : low[block] / scale);
    else
      zeros[block] = lowest == 0.0f ? low[block] : low[block] - scale * lowest;
  }
  return zeros;
}

static Chosen chooseScales(const Quantized &term, const EncodeRule &rule, const Shape &shape,
                           const float *x) {
  if (term.scale->rank1)
    return chooseRank1(term, rule, shape, x);

  Tiling tiling(shape, term.scale->levels.back().granularity.blockOf(shape));
  int64_t columns = shape.back();
  int64_t rows = columns ? *elementCount(shape) / columns : 0;
  Statistics statistics = gather(tiling, rows, columns, x);
  widenRanges(term, statistics);
  std::vector<float> ideal = idealScales(term, rule.choice, statistics);

  bool isStored = rule.divisor == EncodeRule::Divisor::Stored;
  Chosen chosen;
  EncodedScale scale = encodeLevels(*term.scale, shape, ideal, rule.overflow);
  chosen.arrays = std::move(scale.arrays);
  chosen.scale = isStored ? std::move(scale.stored) : ScaleField::perBlock(tiling, ideal);

  if (term.zero) {
    std::vector<float> zeros = idealZeros(term, statistics.low, chosen.scale.blockValues());
    EncodedScale zero = encodeLevels(*term.zero, shape, zeros, rule.overflow);
    for (Codes &codes : zero.arrays)
      chosen.arrays.push_back(std::move(codes));
    // An integer zero point is part of the code, so it is always the stored one.
    chosen.zero = isStored || term.zeroKind == ZeroKind::Integer
                      ? std::move(zero.stored)
                      : ScaleField::perBlock(tiling, std::move(zeros));
  }
  return chosen;
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

/// The arithmetic of every code. Each line is at most one f32 operation that rounds.
static uint32_t encodeElement(const Quantized &term, const EncodeRule &rule, float x, float scale,
                              float zero) {
  const Format &format = term.format;
  float value = format.hasNaN() ? x : withoutNaN(x);
  if (term.zeroKind == ZeroKind::Additive)
    value = value - zero;
  if (term.scale) {
    if (rule.inverse == EncodeRule::Inverse::Divide) {
      value = scale == 0.0f ? 0.0f : value / scale;
    } else {
      float inverse = scale == 0.0f ? 0.0f : 1.0f / scale;
      value = value * inverse;
    }
  }
  if (term.zeroKind != ZeroKind::Integer)
    return format.encode(value, rule.rounding);
  float low = format.lowest();
  float integer = roundToInteger(withoutNaN(value), rule.rounding, low);
  integer = std::clamp(integer + zero, low, format.highest());
  return format.codeOfInteger(static_cast<int32_t>(integer));
}

std::vector<Bytes> encode(const Quantized &term, const Shape &shape, const float *x) {
  assert(!checkEncode(term, shape) && "the term cannot encode this shape");
  if (usesOwnEncoder(term))
    return layoutOf(term).pack(term, shape, layoutOf(term).chooseCodes(term, shape, x));
  EncodeRule rule = resolveRule(term);
  Chosen chosen;
  if (term.scale)
    chosen = chooseScales(term, rule, shape, x);

  int64_t columns = shape.back();
  int64_t rows = columns ? *elementCount(shape) / columns : 0;
  std::vector<Codes> arrays{Codes(static_cast<size_t>(rows * columns))};
  std::vector<float> scales(static_cast<size_t>(columns)), zeros(scales.size());
  for (int64_t row = 0; row < rows; ++row) {
    if (term.scale)
      chosen.scale.fillRow(row, scales.data());
    if (term.zero)
      chosen.zero.fillRow(row, zeros.data());
    for (size_t j = 0; j < scales.size(); ++j) {
      size_t index = static_cast<size_t>(row * columns) + j;
      arrays[0][index] = encodeElement(term, rule, x[index], scales[j], zeros[j]);
    }
  }
  for (Codes &codes : chosen.arrays)
    arrays.push_back(std::move(codes));
  return layoutOf(term).pack(term, shape, arrays);
}

} // namespace lowbit::numerics
