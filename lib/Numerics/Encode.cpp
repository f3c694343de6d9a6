//===- Encode.cpp - Choosing scales, zero points and codes --------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ChosenScales.h"
#include "IdealScales.h"
#include "LearnedLevels.h"
#include "Rank1.h"
#include "ScaleField.h"
#include "lowbit/Numerics/EncodeRules.h"
#include "lowbit/Numerics/Half.h"
#include "lowbit/Numerics/Philox.h"
#include "lowbit/Numerics/Reference.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace lowbit::numerics {

//===----------------------------------------------------------------------===//
// Scales and zero points
//===----------------------------------------------------------------------===//

static ChosenScales chooseRank1(const Quantized &term, const EncodeRule &rule, const Shape &shape,
                                const float *x) {
  const Rank1 &rank1 = *term.scale->rank1;
  Rank1Ideals ideals = rank1Ideals(rank1, term.format.largest(), shape, x, rule.overflow);
  EncodedScale encoded = encodeRank1(rank1, ideals, rule.overflow);
  ChosenScales chosen;
  chosen.storedScale = std::move(encoded.stored);
  chosen.scale =
      rule.divisor == EncodeRule::Divisor::Stored
          ? chosen.storedScale
          : ScaleField::rank1(rank1.combiner, std::move(ideals.rows), std::move(ideals.columns));
  chosen.arrays = std::move(encoded.arrays);
  return chosen;
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

ChosenScales chooseScales(const Quantized &term, const EncodeRule &rule, const Shape &shape,
                          const float *x, bool isTransposed) {
  if (term.scale->rank1)
    return chooseRank1(term, rule, shape, x);

  Tiling tiling(shape, term.scale->levels.back().granularity.blockOf(shape));
  int64_t columns = shape.back();
  int64_t rows = columns ? *elementCount(shape) / columns : 0;
  IdealScales ideals = chooseIdeals(term, rule, tiling, rows, columns, x, isTransposed);

  bool isStored = rule.divisor == EncodeRule::Divisor::Stored;
  ChosenScales chosen;
  EncodedScale scale = encodeLevels(*term.scale, shape, ideals.scale, rule.overflow);
  chosen.arrays = std::move(scale.arrays);
  chosen.storedScale = std::move(scale.stored);
  chosen.scale = isStored ? chosen.storedScale : ScaleField::perBlock(tiling, ideals.scale);

  if (term.zero) {
    std::vector<float> zeros = idealZeros(term, ideals.low, chosen.scale.blockValues());
    EncodedScale zero = encodeLevels(*term.zero, shape, zeros, rule.overflow);
    for (Codes &codes : zero.arrays)
      chosen.arrays.push_back(std::move(codes));
    // An integer zero point is part of the code, so it is always the stored one.
    chosen.storedZero = std::move(zero.stored);
    chosen.zero = isStored || term.zeroKind == ZeroKind::Integer
                      ? chosen.storedZero
                      : ScaleField::perBlock(tiling, std::move(zeros));
  }
  return chosen;
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

/// The random number of an element: from its place and its bits, so that a tensor encoded again and
/// again as it changes, like the state of an optimizer, is not rounded to the same side each time.
static float drawUniform(uint64_t seed, const Shape &shape, int64_t row, int64_t column, float x) {
  int64_t height = shape.size() > 1 ? shape[shape.size() - 2] : 1;
  PhiloxCounter counter = {static_cast<uint32_t>(column), static_cast<uint32_t>(row % height),
                           static_cast<uint32_t>(row / height), bitsOfFloat(x)};
  return uniformOf(philox4x32(counter, philoxKey(seed))[0]);
}

/// Each line is at most one f32 operation that rounds.
static float divideByScale(const EncodeRule &rule, float value, float scale) {
  if (rule.inverse == EncodeRule::Inverse::Divide)
    return scale == 0.0f ? 0.0f : value / scale;
  float inverse = scale == 0.0f ? 0.0f : 1.0f / scale;
  return value * inverse;
}

/// The arithmetic of every code. `draw` gives the random number of an element.
template <typename Draw>
static uint32_t encodeElement(const Quantized &term, const EncodeRule &rule, float x, float scale,
                              float zero, Draw draw) {
  const Format &format = term.format;
  float value = format.hasNaN() ? x : withoutNaN(x);
  float u = rule.seed ? draw(value) : 0.0f;
  if (term.zeroKind == ZeroKind::Additive)
    value = value - zero;
  if (term.scale)
    value = divideByScale(rule, value, scale);
  if (term.zeroKind != ZeroKind::Integer)
    return rule.seed ? encodeStochastically(format, value, u)
                     : format.encode(value, *rule.rounding);
  float low = format.lowest();
  value = withoutNaN(value);
  float integer =
      rule.seed ? roundStochastically(value, u) : roundToInteger(value, *rule.rounding, low);
  integer = std::clamp(integer + zero, low, format.highest());
  return format.codeOfInteger(static_cast<int32_t>(integer));
}

/// Levels are learned from the elements over their scale; then each takes the nearest one.
/// weights: of errors, one for each element, or null.
static std::vector<Codes> encodeLearned(const Quantized &term, const EncodeRule &rule,
                                        const Shape &shape, const float *x, const float *weights,
                                        ChosenScales chosen) {
  int64_t columns = shape.back();
  int64_t rows = columns ? *elementCount(shape) / columns : 0;
  std::vector<float> t(static_cast<size_t>(rows * columns)), scales(static_cast<size_t>(columns));
  std::vector<float> squares; // what an error of t counts
  for (int64_t row = 0; row < rows; ++row) {
    if (term.scale)
      chosen.scale.fillRow(row, scales.data());
    for (size_t j = 0; j < scales.size(); ++j) {
      size_t index = static_cast<size_t>(row * columns) + j;
      float value = withoutNaN(x[index]);
      t[index] = term.scale ? divideByScale(rule, value, scales[j]) : value;
      if (weights)
        squares.push_back(term.scale ? weights[index] * scales[j] * scales[j] : weights[index]);
    }
  }
  std::vector<Codes> arrays = std::move(chosen.arrays);
  Codes levels, codes(t.size());
  LevelTables tables = LevelTables::learn(term, shape, t, squares, levels);
  for (int64_t row = 0; row < rows; ++row)
    tables.encodeRow(row, t.data() + row * columns, codes.data() + row * columns);
  arrays.insert(arrays.begin(), std::move(codes));
  arrays.push_back(std::move(levels));
  return arrays;
}

std::vector<Bytes> encodeWeighted(const Quantized &term, const Shape &shape, const float *x,
                                  const float *weights) {
  assert(term.levels && !checkEncode(term, shape) && "the term cannot encode this shape");
  EncodeRule rule = resolveRule(term);
  ChosenScales chosen;
  if (term.scale)
    chosen = chooseScales(term, rule, shape, x);
  return layoutOf(term).pack(term, shape,
                             encodeLearned(term, rule, shape, x, weights, std::move(chosen)));
}

/// The codes of x, with scales that are known.
static std::vector<Bytes> encodeWith(ChosenScales chosen, const Quantized &term,
                                     const EncodeRule &rule, const Shape &shape, const float *x) {
  if (term.levels)
    return layoutOf(term).pack(term, shape,
                               encodeLearned(term, rule, shape, x, nullptr, std::move(chosen)));
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
      arrays[0][index] = encodeElement(term, rule, x[index], scales[j], zeros[j], [&](float value) {
        return drawUniform(*rule.seed, shape, row, static_cast<int64_t>(j), value);
      });
    }
  }
  for (Codes &codes : chosen.arrays)
    arrays.push_back(std::move(codes));
  return layoutOf(term).pack(term, shape, arrays);
}

std::vector<Bytes> encode(const Quantized &term, const Shape &shape, const float *x) {
  assert(!checkEncode(term, shape) && "the term cannot encode this shape");
  assert(term.rule.choice != EncodeRule::Choice::Given && "the scales are those of a destination");
  if (usesOwnEncoder(term))
    return layoutOf(term).pack(term, shape, layoutOf(term).chooseCodes(term, shape, x));
  EncodeRule rule = resolveRule(term);
  ChosenScales chosen;
  if (term.scale)
    chosen = chooseScales(term, rule, shape, x);
  return encodeWith(std::move(chosen), term, rule, shape, x);
}

/// Those of a destination. A scale that is denormal counts as zero: a quotient by it need not be
/// computed exactly.
static ChosenScales givenScales(const Quantized &term, const Shape &shape,
                                const std::vector<const uint8_t *> &data) {
  ChosenScales given;
  given.arrays = layoutOf(term).unpack(term, shape, data);
  given.arrays.erase(given.arrays.begin()); // the codes
  if (term.levels)
    given.arrays.pop_back();
  const Codes *trees = given.arrays.data();
  given.storedScale = decodeScale(*term.scale, shape, trees);
  std::vector<float> scales = given.storedScale.blockValues();
  for (float &scale : scales)
    if (std::fabs(scale) < std::numeric_limits<float>::min())
      scale = 0.0f;
  Tiling tiling(shape, term.scale->levels.back().granularity.blockOf(shape));
  given.scale = ScaleField::perBlock(tiling, std::move(scales));
  if (term.zero)
    given.zero = given.storedZero = decodeScale(*term.zero, shape, trees);
  return given;
}

std::vector<Bytes> encodeInto(const Quantized &term, const Shape &shape,
                              const std::vector<const uint8_t *> &data, const float *x) {
  if (term.rule.choice != EncodeRule::Choice::Given)
    return encode(term, shape, x);
  assert(!checkEncode(term, shape) && "the term cannot encode this shape");
  return encodeWith(givenScales(term, shape, data), term, resolveRule(term), shape, x);
}

} // namespace lowbit::numerics
