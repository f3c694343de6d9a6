//===- IdealScales.cpp - From the elements of a block to its scale --===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "IdealScales.h"

#include "ScaleField.h"
#include "lowbit/Numerics/EncodeRules.h"
#include "lowbit/Numerics/Half.h"

#include <algorithm>
#include <limits>

namespace lowbit::numerics {

using Choice = EncodeRule::Choice;

namespace {
/// What the simple rules must know of each block.
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

/// The elements of each block, in order of their linear index.
static std::vector<std::vector<float>> elementsOf(const Tiling &tiling, int64_t rows,
                                                  int64_t columns, const float *x) {
  std::vector<std::vector<float>> blocks(static_cast<size_t>(tiling.blockCount()));
  for (int64_t row = 0; row < rows; ++row)
    tiling.forEachRun(row, [&](int64_t block, int64_t begin, int64_t end) {
      for (int64_t column = begin; column < end; ++column)
        blocks[static_cast<size_t>(block)].push_back(withoutNaN(x[row * columns + column]));
    });
  return blocks;
}

//===----------------------------------------------------------------------===//
// Rules that search
//===----------------------------------------------------------------------===//

static float percentileOf(std::vector<float> block, double percent) {
  if (block.empty())
    return 0.0f;
  for (float &x : block)
    x = std::fabs(x);
  auto at = block.begin() + percentileRank(percent, static_cast<int64_t>(block.size())) - 1;
  std::nth_element(block.begin(), at, block.end());
  return *at;
}

/// Squared errors of a block under a scale, summed in order.
static float errorOf(const Format &format, const std::vector<float> &block, float scale) {
  float sum = 0.0f;
  for (float x : block) {
    float t = scale == 0.0f ? 0.0f : x / scale;
    float decoded = scale * format.decode(format.encode(t));
    float error = x - decoded;
    float square = error * error;
    sum = sum + square;
  }
  return sum;
}

/// The candidate of least error, the first one of equals. A candidate is tried as decode will read
/// it where it is known alone what is stored of it: in a tree of one level.
static float searchScale(const Quantized &term, const EncodeRule &rule,
                         const std::vector<float> &block, float ideal) {
  bool isStored = term.scale->levels.size() == 1 && !term.scale->offset;
  float best = ideal, least = std::numeric_limits<float>::infinity();
  for (float fraction : mseFractions(rule)) {
    float candidate = ideal * fraction;
    if (isStored)
      candidate = storedValue(term.scale->levels[0].element, candidate, rule.overflow);
    float error = errorOf(term.format, block, candidate);
    if (error < least) {
      best = candidate;
      least = error;
    }
  }
  return best;
}

//===----------------------------------------------------------------------===//
// All rules
//===----------------------------------------------------------------------===//

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

/// The scale of one block from its element of largest magnitude.
static float scaleOfPeak(const Format &format, Choice choice, float peak) {
  float magnitude = std::fabs(withoutNaN(peak)); // a block without elements has no peak
  switch (choice) {
  case Choice::SignedMax:
    return peak / format.extreme();
  case Choice::MxFloor: // a denormal has no exponent bits, and gives zero
    return floatOfBits(bitsOfFloat(magnitude) & 0x7f800000) * mxFloorFactor(format);
  case Choice::MxCeil: // a denormal becomes the smallest normal number
    return floatOfBits((bitsOfFloat(magnitude / format.largest()) + 0x007fffff) & 0x7f800000);
  default:
    return magnitude / format.largest();
  }
}

IdealScales chooseIdeals(const Quantized &term, const EncodeRule &rule, const Tiling &tiling,
                         int64_t rows, int64_t columns, const float *x) {
  const Format &format = term.format;
  Statistics statistics = gather(tiling, rows, columns, x);
  IdealScales ideals;
  ideals.scale.resize(statistics.peak.size());
  if (rule.choice == Choice::MinMax) {
    widenRanges(term, statistics);
    for (size_t block = 0; block < ideals.scale.size(); ++block)
      ideals.scale[block] =
          (statistics.high[block] - statistics.low[block]) / (format.highest() - format.lowest());
    ideals.low = std::move(statistics.low);
    return ideals;
  }
  for (size_t block = 0; block < ideals.scale.size(); ++block)
    ideals.scale[block] = scaleOfPeak(format, rule.choice, statistics.peak[block]);
  if (rule.choice != Choice::Percentile && rule.choice != Choice::Mse)
    return ideals;
  std::vector<std::vector<float>> blocks = elementsOf(tiling, rows, columns, x);
  for (size_t block = 0; block < blocks.size(); ++block)
    ideals.scale[block] = rule.choice == Choice::Percentile
                              ? percentileOf(blocks[block], rule.percent) / format.largest()
                              : searchScale(term, rule, blocks[block], ideals.scale[block]);
  return ideals;
}

} // namespace lowbit::numerics
