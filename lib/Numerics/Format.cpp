//===- Format.cpp - What one code decodes to ----------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Format.h"

#include "lowbit/Numerics/Half.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdio>
#include <limits>

namespace lowbit::numerics {

//===----------------------------------------------------------------------===//
// Codebooks
//===----------------------------------------------------------------------===//

/// The smallest x for which the upper of two neighbouring levels is chosen. An exact midpoint goes
/// up when `tieGoesUp`.
static float thresholdBetween(float lower, float upper, bool tieGoesUp) {
  // Two-sum: sum + error is lower + upper exactly, which f64 alone cannot hold for levels that are
  // more than 29 binary orders apart.
  double a = lower, b = upper;
  double sum = a + b;
  double rounded = sum - a;
  double error = (a - (sum - rounded)) + (b - rounded);

  auto goesUp = [&](float x) {
    double twice = 2.0 * x;
    if (twice != sum)
      return twice > sum;
    return error < 0.0 || (error == 0.0 && tieGoesUp);
  };
  const float infinity = std::numeric_limits<float>::infinity();
  float threshold = static_cast<float>(0.5 * sum);
  while (goesUp(std::nextafter(threshold, -infinity)))
    threshold = std::nextafter(threshold, -infinity);
  while (!goesUp(threshold))
    threshold = std::nextafter(threshold, infinity);
  return threshold;
}

std::optional<std::string> Format::checkLevels(const std::vector<float> &levels) {
  if (levels.size() < 2 || levels.size() > 256)
    return "a codebook has 2 to 256 levels, not " + std::to_string(levels.size());
  for (size_t i = 0; i < levels.size(); ++i) {
    if (!std::isfinite(levels[i]))
      return "codebook level " + std::to_string(i) + " is not finite";
    if (i > 0 && !(levels[i - 1] < levels[i]))
      return "codebook levels must be strictly increasing: level " + std::to_string(i) +
             " is not above level " + std::to_string(i - 1);
  }
  return std::nullopt;
}

static unsigned bitsForLevels(size_t count) {
  unsigned bits = 1;
  while ((size_t(1) << bits) < count)
    ++bits;
  return bits;
}

Format Format::codebook(std::vector<float> levels) {
  assert(!checkLevels(levels) && "not a codebook");
  Format format(FormatKind::Codebook, bitsForLevels(levels.size()));
  for (size_t i = 0; i + 1 < levels.size(); ++i)
    format.thresholdTable.push_back(
        thresholdBetween(levels[i], levels[i + 1], /*tieGoesUp=*/(i + 1) % 2 == 0));
  format.levelTable = std::move(levels);
  return format;
}

std::optional<Format> namedCodebook(std::string_view name) {
  if (name != "nf4")
    return std::nullopt;
  return Format::codebook({-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
                           -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f,
                           0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f,
                           0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f,
                           0.7229568362236023f, 1.0f});
}

//===----------------------------------------------------------------------===//
// Construction and description
//===----------------------------------------------------------------------===//

Format Format::integer(unsigned bits) {
  assert(bits >= 1 && bits <= 8 && "int<k> has 1 to 8 bits");
  return Format(FormatKind::Int, bits);
}

Format Format::unsignedInteger(unsigned bits) {
  assert(bits >= 1 && bits <= 8 && "uint<k> has 1 to 8 bits");
  return Format(FormatKind::UInt, bits);
}

Format Format::float16() { return Format(FormatKind::Float16, 16); }
Format Format::bfloat16() { return Format(FormatKind::BFloat16, 16); }
Format Format::float32() { return Format(FormatKind::Float32, 32); }

std::string Format::str() const {
  switch (formatKind) {
  case FormatKind::Int:
    return "int<" + std::to_string(formatBits) + ">";
  case FormatKind::UInt:
    return "uint<" + std::to_string(formatBits) + ">";
  case FormatKind::Float16:
    return "f16";
  case FormatKind::BFloat16:
    return "bf16";
  case FormatKind::Float32:
    return "f32";
  case FormatKind::Codebook:
    break;
  }
  std::string text = "codebook<[";
  for (size_t i = 0; i < levelTable.size(); ++i) {
    char number[32];
    std::snprintf(number, sizeof number, "%.9g", levelTable[i]);
    text += (i ? ", " : "") + std::string(number);
  }
  return text + "]>";
}

float Format::lowest() const {
  switch (formatKind) {
  case FormatKind::Int:
    return -static_cast<float>(1 << (formatBits - 1));
  case FormatKind::UInt:
    return 0.0f;
  case FormatKind::Codebook:
    return levelTable.front();
  default:
    return -highest();
  }
}

float Format::highest() const {
  switch (formatKind) {
  case FormatKind::Int:
    return static_cast<float>((1 << (formatBits - 1)) - 1);
  case FormatKind::UInt:
    return static_cast<float>((1 << formatBits) - 1);
  case FormatKind::Float16:
    return floatOfHalf(0x7bff);
  case FormatKind::BFloat16:
    return floatOfBFloat(0x7f7f);
  case FormatKind::Float32:
    return std::numeric_limits<float>::max();
  case FormatKind::Codebook:
    break;
  }
  return levelTable.back();
}

float Format::largest() const {
  if (formatKind == FormatKind::Int)
    return std::max(highest(), 1.0f);
  return std::max(std::fabs(lowest()), std::fabs(highest()));
}

float Format::extreme() const {
  return std::fabs(lowest()) >= std::fabs(highest()) ? lowest() : highest();
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

float roundToInteger(float value, Rounding rounding, float low) {
  switch (rounding) {
  case Rounding::NearestEven:
    return std::nearbyint(value); // in the default rounding mode, which nothing here changes
  case Rounding::HalfAway:
    return std::round(value);
  case Rounding::HalfUp:
    break;
  }
  return std::floor(value + (0.5f - low)) + low;
}

int32_t Format::integerOf(uint32_t code) const {
  assert(isInteger() && "only integer formats have integers");
  int32_t value = static_cast<int32_t>(code);
  bool isNegative = formatKind == FormatKind::Int && (code >> (formatBits - 1)) & 1;
  return isNegative ? value - (1 << formatBits) : value;
}

uint32_t Format::codeOfInteger(int32_t value) const {
  assert(isInteger() && "only integer formats have integers");
  int32_t low = static_cast<int32_t>(lowest()), high = static_cast<int32_t>(highest());
  return static_cast<uint32_t>(std::clamp(value, low, high)) & ((1u << formatBits) - 1);
}

float Format::decode(uint32_t code) const {
  switch (formatKind) {
  case FormatKind::Int:
  case FormatKind::UInt:
    return static_cast<float>(integerOf(code));
  case FormatKind::Float16:
    return floatOfHalf(static_cast<uint16_t>(code));
  case FormatKind::BFloat16:
    return floatOfBFloat(static_cast<uint16_t>(code));
  case FormatKind::Float32:
    return floatOfBits(code);
  case FormatKind::Codebook:
    break;
  }
  return levelTable[std::min<size_t>(code, levelTable.size() - 1)];
}

uint32_t Format::encode(float x, Rounding rounding) const {
  switch (formatKind) {
  case FormatKind::Float16:
    return halfOfFloat(x);
  case FormatKind::BFloat16:
    return bfloatOfFloat(x);
  case FormatKind::Float32:
    return bitsOfFloat(x);
  default:
    break;
  }
  if (std::isnan(x))
    x = 0.0f;
  if (formatKind == FormatKind::Codebook)
    return static_cast<uint32_t>(std::upper_bound(thresholdTable.begin(), thresholdTable.end(), x) -
                                 thresholdTable.begin());
  float low = lowest();
  float integer = std::clamp(roundToInteger(x, rounding, low), low, highest());
  return static_cast<uint32_t>(static_cast<int32_t>(integer)) & ((1u << formatBits) - 1);
}

} // namespace lowbit::numerics
