//===- Lanes.cpp - Numbers that are computed on side by side --------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lanes.h"
#include "ChosenScales.h"
#include "IdealScales.h"
#include "ScaleField.h"
#include "lowbit/Numerics/Half.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace lowbit::numerics {

/// Beyond as many, a binary search for each number is as fast.
static constexpr size_t kMostThresholds = 16;

NearestLevels::NearestLevels(const Format &format, Rounding rounding)
    : format(format), rounding(rounding), low(format.lowest()), high(format.highest()) {
  bool isMinifloat = format.kind() == FormatKind::Minifloat;
  if (format.hasNaN() || format.thresholds().size() > kMostThresholds ||
      (isMinifloat && !format.minifloat().isSigned))
    return;
  thresholds = format.thresholds();
  for (uint32_t rank = 0; rank <= thresholds.size(); ++rank)
    sorted.push_back(
        format.decode(format.kind() == FormatKind::Codebook ? format.codesByRank()[rank] : rank));
}

LOWBIT_EACH_PROCESSOR
static void divide(const float *x, const float *s, float *t) {
  for (int64_t i = 0; i < kLanes; ++i)
    t[i] = s[i] == 0.0f ? 0.0f : x[i] / s[i];
}

void divideLanes(const float *x, const Lanes &s, Lanes &t) { divide(x, s.data(), t.data()); }

//===----------------------------------------------------------------------===//
// Levels
//===----------------------------------------------------------------------===//

LOWBIT_EACH_PROCESSOR
static void roundToEven(const float *t, float *result) {
  for (int64_t i = 0; i < kLanes; ++i)
    result[i] = std::nearbyint(withoutNaN(t[i]));
}

static void roundLanes(const Lanes &t, Rounding rounding, float low, Lanes &result) {
  if (rounding == Rounding::NearestEven)
    return roundToEven(t.data(), result.data());
  for (int64_t i = 0; i < kLanes; ++i)
    result[i] = roundToInteger(withoutNaN(t[i]), rounding, low);
}

/// Integers after a zero point, maybe +0, is added to them: -0 becomes the +0 that its code decodes
/// to.
LOWBIT_EACH_PROCESSOR
static void clampSums(float *integers, const float *zeros, float low, float high) {
  for (int64_t i = 0; i < kLanes; ++i)
    integers[i] = std::clamp(integers[i] + zeros[i], low, high);
}

/// The level between whose threshold and the next one each number is.
LOWBIT_EACH_PROCESSOR
static void selectLevels(const float *t, const float *thresholds, const float *levels, size_t count,
                         float *result) {
  std::fill_n(result, kLanes, levels[0]);
  for (size_t rank = 0; rank < count; ++rank)
    for (int64_t i = 0; i < kLanes; ++i)
      result[i] = t[i] >= thresholds[rank] ? levels[rank + 1] : result[i];
}

void NearestLevels::chooseByThresholds(const Lanes &t, Lanes &levels) const {
  bool byMagnitude = format.kind() == FormatKind::Minifloat;
  Lanes given;
  for (int64_t i = 0; i < kLanes; ++i)
    given[i] = byMagnitude ? std::fabs(withoutNaN(t[i])) : withoutNaN(t[i]);
  selectLevels(given.data(), thresholds.data(), sorted.data(), thresholds.size(), levels.data());
  for (int64_t i = 0; i < kLanes && byMagnitude; ++i)
    levels[i] = std::copysign(levels[i], withoutNaN(t[i])); // where there is no NaN there is -0
}

void NearestLevels::round(const Lanes &t, Lanes &levels) const {
  if (format.isInteger()) {
    roundLanes(t, rounding, low, levels);
    clampSums(levels.data(), Lanes{}.data(), low, high);
  } else if (!sorted.empty()) {
    chooseByThresholds(t, levels);
  } else {
    for (int64_t i = 0; i < kLanes; ++i)
      levels[i] = format.decode(format.encode(t[i], rounding));
  }
}

static inline void addSquare(float x, float s, float level, float &sum) {
  float decoded = s * level;
  float error = x - decoded;
  float square = error * error;
  sum = std::isnan(x) ? sum : sum + square;
}

LOWBIT_EACH_PROCESSOR
static void addSquares(const float *x, const float *s, const float *levels, float *sums) {
  for (int64_t i = 0; i < kLanes; ++i)
    addSquare(x[i], s[i], levels[i], sums[i]);
}

/// Integers, which are searched most, in one pass.
LOWBIT_EACH_PROCESSOR
static void addSquaresOfIntegers(const float *x, const float *s, float low, float high,
                                 float *sums) {
  for (int64_t i = 0; i < kLanes; ++i) {
    float t = s[i] == 0.0f ? 0.0f : x[i] / s[i];
    addSquare(x[i], s[i], std::clamp(std::nearbyint(withoutNaN(t)), low, high), sums[i]);
  }
}

void NearestLevels::addSquaredErrors(const float *x, const Lanes &s, Lanes &sums) const {
  if (format.isInteger() && rounding == Rounding::NearestEven)
    return addSquaresOfIntegers(x, s.data(), low, high, sums.data());
  Lanes t, levels;
  divideLanes(x, s, t);
  round(t, levels);
  addSquares(x, s.data(), levels.data(), sums.data());
}

/// Of integer levels.
static void codesOf(const Format &format, const Lanes &levels, CodeLanes &codes) {
  uint32_t mask = (1u << format.bits()) - 1;
  for (int64_t i = 0; i < kLanes; ++i)
    codes[i] = static_cast<uint32_t>(static_cast<int32_t>(levels[i])) & mask;
}

void NearestLevels::encode(const Lanes &t, Lanes &levels, CodeLanes &codes) const {
  if (format.isInteger()) {
    round(t, levels);
    return codesOf(format, levels, codes);
  }
  for (int64_t i = 0; i < kLanes; ++i) {
    codes[i] = format.encode(t[i], rounding);
    levels[i] = format.decode(codes[i]);
  }
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

/// To the nearest f16, saturating; NaN to zero.
LOWBIT_EACH_PROCESSOR
static void roundToHalf(float *values) {
  for (int64_t i = 0; i < kLanes; ++i) {
    float magnitude = std::min(std::fabs(withoutNaN(values[i])), 65504.0f);
    // Multiples of 2^-24 below the normal numbers; ten bits of the mantissa from there on.
    float denormal = (magnitude + 0.5f) - 0.5f;
    uint32_t bits = bitsOfFloat(magnitude);
    float normal = floatOfBits((bits + 0xfff + (bits >> 13 & 1)) & ~0x1fffu);
    values[i] = std::copysign(magnitude < 0x1p-14f ? denormal : normal, withoutNaN(values[i]));
  }
}

void storeLanes(const Format &element, EncodeRule::Overflow overflow, Lanes &values) {
  if (element.kind() == FormatKind::Float16 && overflow == EncodeRule::Overflow::Saturate)
    return roundToHalf(values.data());
  for (float &value : values)
    value = storedValue(element, value, overflow);
}

LaneEncoder::LaneEncoder(const Quantized &term, const EncodeRule &rule)
    : term(term), rule(rule), nearest(term.format, rule.rounding.value_or(Rounding::NearestEven)) {
  assert(!rule.seed && "codes by chance are of single elements");
}

void LaneEncoder::encode(const Lanes &x, const Lanes &scales, const Lanes &zeros, Lanes &levels,
                         CodeLanes &codes) const {
  Lanes t = x;
  if (!term.format.hasNaN())
    for (float &value : t)
      value = withoutNaN(value);
  if (term.zeroKind == ZeroKind::Additive)
    for (int64_t i = 0; i < kLanes; ++i)
      t[i] = t[i] - zeros[i];
  if (term.scale && rule.inverse == EncodeRule::Inverse::Reciprocal) {
    Lanes ones, inverses;
    ones.fill(1.0f);
    divideLanes(ones.data(), scales, inverses);
    for (int64_t i = 0; i < kLanes; ++i)
      t[i] = t[i] * inverses[i];
  } else if (term.scale) {
    divideLanes(t.data(), scales, t);
  }
  if (term.zeroKind != ZeroKind::Integer)
    return nearest.encode(t, levels, codes);
  float low = term.format.lowest();
  roundLanes(t, *rule.rounding, low, levels);
  clampSums(levels.data(), zeros.data(), low, term.format.highest());
  codesOf(term.format, levels, codes);
}

void LaneEncoder::decode(Lanes &levels, const Lanes &scales, const Lanes &zeros) const {
  for (int64_t i = 0; i < kLanes; ++i)
    levels[i] = applyScale(term, levels[i], scales[i], zeros[i]);
}

} // namespace lowbit::numerics
