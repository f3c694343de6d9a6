//===- EncodeRules.cpp - What rules compute with ----------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/EncodeRules.h"

#include "lowbit/Numerics/Half.h"

#include <algorithm>
#include <cmath>

namespace lowbit::numerics {

float mxFloorFactor(const Format &format) {
  return std::ldexp(1.0f, -std::ilogb(format.largest()));
}

int64_t percentileRank(double percent, int64_t count) {
  double rank = std::ceil(percent * static_cast<double>(count) / 100.0);
  return std::max<int64_t>(1, static_cast<int64_t>(rank));
}

std::vector<float> mseFractions(const EncodeRule &rule) {
  std::vector<float> fractions;
  for (unsigned i = 0; i <= rule.steps; ++i)
    fractions.push_back(static_cast<float>(1.0 - i * (1.0 - rule.least) / rule.steps));
  return fractions;
}

uint32_t powerDigits(double alpha) { return static_cast<uint32_t>(std::lround(alpha * 65536.0)); }

float powerOf(float x, uint32_t digits) {
  float power = digits >> 16 ? x : 1.0f;
  for (int bit = 15; bit >= 0; --bit) {
    x = std::sqrt(x);
    if (digits >> bit & 1)
      power = power * x;
  }
  return power;
}

LevelTable levelTableOf(const Format &format) {
  std::vector<std::pair<float, uint32_t>> all;
  for (uint32_t code = 0; code < 1u << format.bits(); ++code)
    if (float level = format.decode(code); std::isfinite(level))
      all.push_back({level, code});
  std::stable_sort(all.begin(), all.end(), [](const auto &a, const auto &b) {
    if (a.first != b.first)
      return a.first < b.first;
    return std::signbit(a.first) < std::signbit(b.first);
  });
  LevelTable table;
  for (const auto &[level, code] : all)
    if (table.levels.empty() || table.levels.back() != level) {
      table.levels.push_back(level);
      table.codes.push_back(code);
    }
  return table;
}

float roundStochastically(float t, float u) {
  float below = std::floor(t);
  return t - below > u ? below + 1.0f : below;
}

/// f16 and bf16, on the bits of the magnitude: where those count up, so do the numbers.
static uint32_t encodeFloat(const Format &format, float t, float u) {
  float magnitude = std::fabs(t);
  if (!(magnitude < format.highest())) // to the largest number, infinity or NaN
    return format.encode(t);
  uint32_t below = format.encode(magnitude);
  if (format.decode(below) > magnitude)
    --below;
  float low = format.decode(below);
  float step = format.decode(below + 1) - low;
  uint32_t code = (magnitude - low) / step > u ? below + 1 : below;
  return std::signbit(t) ? code | 1u << (format.bits() - 1) : code;
}

uint32_t encodeStochastically(const Format &format, float t, float u) {
  if (format.isFloat())
    return encodeFloat(format, t, u);
  if (std::isnan(t)) {
    if (format.hasNaN())
      return format.encode(t);
    t = 0.0f;
  }
  if (format.isInteger())
    return format.encode(roundStochastically(t, u));
  LevelTable table = levelTableOf(format);
  size_t below = 0;
  while (below + 2 < table.levels.size() && t >= table.levels[below + 1])
    ++below;
  float low = table.levels[below];
  float step = table.levels[below + 1] - low;
  return table.codes[(t - low) / step > u ? below + 1 : below];
}

} // namespace lowbit::numerics
