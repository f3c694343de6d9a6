//===- IdealScales.cpp - From the elements of a block to its scale --===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "IdealScales.h"

#include "Lanes.h"
#include "ScaleField.h"
#include "lowbit/Numerics/EncodeRules.h"
#include "lowbit/Numerics/Half.h"

#include <algorithm>
#include <limits>

namespace lowbit::numerics {

using Choice = EncodeRule::Choice;

//===----------------------------------------------------------------------===//
// The elements of blocks
//===----------------------------------------------------------------------===//

namespace {
/// Up to kLanes blocks side by side: one element of each, in order of their linear index, then the
/// next one of each; NaN, which no element is, where a block has ended.
struct BlockLanes {
  explicit BlockLanes(int64_t lanes) : lanes(lanes), sizes(static_cast<size_t>(lanes)) {}

  void append(int64_t lane, float element) {
    int64_t &size = sizes[static_cast<size_t>(lane)];
    auto index = static_cast<size_t>(size++ * lanes + lane);
    if (index >= elements.size())
      elements.resize(static_cast<size_t>(size * lanes), kNone);
    elements[index] = withoutNaN(element);
  }

  /// Calls visit(kLanes numbers) for each element; beyond `lanes` they are anything.
  template <typename Visitor> void forEachElement(Visitor visit) const {
    for (size_t first = 0; first < elements.size(); first += static_cast<size_t>(lanes)) {
      if (lanes == kLanes) {
        visit(&elements[first]);
        continue;
      }
      Lanes padded{};
      std::copy_n(&elements[first], lanes, padded.begin());
      visit(padded.data());
    }
  }

  static constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
  int64_t lanes;
  std::vector<int64_t> sizes;
  std::vector<float> elements;
};

/// What the simple rules must know of each block.
struct Statistics {
  std::vector<float> peak;      ///< the element of largest magnitude, the first one of equals
  std::vector<float> low, high; ///< smallest (-0 below +0) and largest element
};
} // namespace

static std::vector<BlockLanes> blockLanesOf(const Tiling &tiling, int64_t rows, int64_t columns,
                                            const float *x, bool isTransposed) {
  std::vector<BlockLanes> all;
  for (int64_t first = 0; first < tiling.blockCount(); first += kLanes)
    all.emplace_back(std::min(kLanes, tiling.blockCount() - first));
  if (isTransposed && tiling.blockCount() == rows && rows <= kLanes) { // each row is one
    all[0].sizes.assign(static_cast<size_t>(rows), columns);
    all[0].elements.resize(static_cast<size_t>(rows * columns));
    std::transform(x, x + rows * columns, all[0].elements.begin(), withoutNaN);
    return all;
  }
  for (int64_t row = 0; row < rows; ++row)
    tiling.forEachRun(row, [&](int64_t block, int64_t begin, int64_t end) {
      BlockLanes &blocks = all[static_cast<size_t>(block / kLanes)];
      for (int64_t column = begin; column < end; ++column)
        blocks.append(block % kLanes,
                      x[isTransposed ? column * rows + row : row * columns + column]);
    });
  return all;
}

LOWBIT_EACH_PROCESSOR
static void gatherElement(const float *x, float *peak, float *low, float *high) {
  for (int64_t i = 0; i < kLanes; ++i) {
    bool isNone = std::isnan(x[i]);
    peak[i] = isNone || std::fabs(x[i]) <= std::fabs(peak[i]) ? peak[i] : x[i];
    bool isLower = x[i] < low[i] || (x[i] == low[i] && std::signbit(x[i]));
    low[i] = isLower ? x[i] : low[i];
    high[i] = x[i] > high[i] ? x[i] : high[i];
  }
}

static Statistics gather(const std::vector<BlockLanes> &all) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  Statistics statistics;
  for (const BlockLanes &blocks : all) {
    Lanes peak, low, high;
    peak.fill(BlockLanes::kNone);
    low.fill(infinity);
    high.fill(-infinity);
    blocks.forEachElement(
        [&](const float *x) { gatherElement(x, peak.data(), low.data(), high.data()); });
    auto append = [&](const Lanes &lanes, std::vector<float> &list) {
      list.insert(list.end(), lanes.begin(), lanes.begin() + blocks.lanes);
    };
    append(peak, statistics.peak);
    append(low, statistics.low);
    append(high, statistics.high);
  }
  return statistics;
}

//===----------------------------------------------------------------------===//
// Rules that search
//===----------------------------------------------------------------------===//

static float percentileOf(const BlockLanes &blocks, int64_t lane, double percent) {
  std::vector<float> block;
  for (int64_t i = 0; i < blocks.sizes[static_cast<size_t>(lane)]; ++i)
    block.push_back(std::fabs(blocks.elements[static_cast<size_t>(i * blocks.lanes + lane)]));
  if (block.empty())
    return 0.0f;
  auto at = block.begin() + percentileRank(percent, static_cast<int64_t>(block.size())) - 1;
  std::nth_element(block.begin(), at, block.end());
  return *at;
}

/// Squared errors of blocks under a scale each, summed in order.
static Lanes errorsOf(const NearestLevels &nearest, const BlockLanes &blocks, const Lanes &scales) {
  Lanes sums{};
  blocks.forEachElement([&](const float *x) { nearest.addSquaredErrors(x, scales, sums); });
  return sums;
}

/// The candidates of least error, the first of equals. A candidate is tried as decode will read
/// it where it is known alone what is stored of it: in a tree of one level.
static Lanes searchScales(const Quantized &term, const EncodeRule &rule, const BlockLanes &blocks,
                          const Lanes &ideals) {
  NearestLevels nearest(term.format, Rounding::NearestEven);
  bool isStored = term.scale->levels.size() == 1 && !term.scale->offset;
  Lanes best = ideals, least, candidates;
  least.fill(std::numeric_limits<float>::infinity());
  for (float fraction : mseFractions(rule)) {
    for (int64_t i = 0; i < kLanes; ++i)
      candidates[i] = ideals[i] * fraction;
    if (isStored)
      storeLanes(term.scale->levels[0].element, rule.overflow, candidates);
    Lanes errors = errorsOf(nearest, blocks, candidates);
    for (int64_t i = 0; i < kLanes; ++i) {
      best[i] = errors[i] < least[i] ? candidates[i] : best[i];
      least[i] = errors[i] < least[i] ? errors[i] : least[i];
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
                         int64_t rows, int64_t columns, const float *x, bool isTransposed) {
  const Format &format = term.format;
  std::vector<BlockLanes> all = blockLanesOf(tiling, rows, columns, x, isTransposed);
  Statistics statistics = gather(all);
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
  float *next = ideals.scale.data();
  for (const BlockLanes &blocks : all) {
    Lanes scales{};
    std::copy_n(next, blocks.lanes, scales.begin());
    if (rule.choice == Choice::Mse)
      scales = searchScales(term, rule, blocks, scales);
    else
      for (int64_t lane = 0; lane < blocks.lanes; ++lane)
        scales[lane] = percentileOf(blocks, lane, rule.percent) / format.largest();
    next = std::copy_n(scales.begin(), blocks.lanes, next);
  }
  return ideals;
}

} // namespace lowbit::numerics
