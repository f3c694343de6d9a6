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
#include <numeric>

namespace lowbit::numerics {

//===----------------------------------------------------------------------===//
// Codebooks
//===----------------------------------------------------------------------===//

/// The smallest x that `goesUp` is true of, near `guess`.
template <typename Predicate> static float smallestThat(Predicate goesUp, double guess) {
  const float infinity = std::numeric_limits<float>::infinity();
  float threshold = static_cast<float>(guess);
  while (goesUp(std::nextafter(threshold, -infinity)))
    threshold = std::nextafter(threshold, -infinity);
  while (!goesUp(threshold))
    threshold = std::nextafter(threshold, infinity);
  return threshold;
}

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
  return smallestThat(goesUp, 0.5 * sum);
}

/// Likewise, where the border of the two levels is given.
static float thresholdAt(double border, bool tieGoesUp) {
  return smallestThat([&](float x) { return x > border || (x == border && tieGoesUp); }, border);
}

std::optional<std::string> Format::checkLevels(const std::vector<float> &levels) {
  if (levels.size() < 2 || levels.size() > 256)
    return "a codebook has 2 to 256 levels, not " + std::to_string(levels.size());
  for (size_t i = 0; i < levels.size(); ++i)
    if (!std::isfinite(levels[i]))
      return "codebook level " + std::to_string(i) + " is not finite";
  if (std::equal(levels.begin() + 1, levels.end(), levels.begin()))
    return "the levels of a codebook are all the same; it has at least two";
  return std::nullopt;
}

static unsigned bitsForLevels(size_t count) {
  unsigned bits = 1;
  while ((size_t(1) << bits) < count)
    ++bits;
  return bits;
}

/// Of two codes, the one that a tie goes to: the even one; the lower one if both or neither are.
static bool upperWinsTie(uint32_t lower, uint32_t upper) {
  return lower % 2 == upper % 2 ? upper < lower : upper % 2 == 0;
}

Format Format::codebook(std::vector<float> levels, std::string text,
                        const std::vector<double> &borders) {
  assert(!checkLevels(levels) && "not a codebook");
  Format format(FormatKind::Codebook, bitsForLevels(levels.size()));
  std::vector<uint32_t> codes(levels.size());
  std::iota(codes.begin(), codes.end(), 0);
  std::stable_sort(codes.begin(), codes.end(),
                   [&](uint32_t a, uint32_t b) { return levels[a] < levels[b]; });
  // Of equal levels the first is that of the lowest code: the sort is stable.
  codes.erase(std::unique(codes.begin(), codes.end(),
                          [&](uint32_t a, uint32_t b) { return levels[a] == levels[b]; }),
              codes.end());
  assert((borders.empty() || borders.size() + 1 == codes.size()) && "a border for two neighbours");
  for (size_t i = 0; i + 1 < codes.size(); ++i) {
    bool tieGoesUp = upperWinsTie(codes[i], codes[i + 1]);
    format.thresholdTable.push_back(
        borders.empty() ? thresholdBetween(levels[codes[i]], levels[codes[i + 1]], tieGoesUp)
                        : thresholdAt(borders[i], tieGoesUp));
  }
  format.rankCodes = std::move(codes);
  format.levelTable = std::move(levels);
  format.codebookText = std::move(text);
  return format;
}

Format Format::minifloat(const Minifloat &parameters) {
  assert(!parameters.check() && "not a minifloat");
  Format format(FormatKind::Minifloat, parameters.bits());
  format.parameters = parameters;
  for (uint32_t code = 0; code < parameters.largestCode(); ++code)
    format.thresholdTable.push_back(thresholdBetween(
        parameters.decode(code), parameters.decode(code + 1), upperWinsTie(code, code + 1)));
  return format;
}

//===----------------------------------------------------------------------===//
// Construction and description
//===----------------------------------------------------------------------===//

Format Format::integer(unsigned bits, bool narrow) {
  assert(bits >= (narrow ? 2 : 1) && bits <= 16 && "int<k> has 1 to 16 bits");
  Format format(FormatKind::Int, bits);
  format.isNarrow = narrow;
  return format;
}

Format Format::unsignedInteger(unsigned bits) {
  assert(bits >= 1 && bits <= 16 && "uint<k> has 1 to 16 bits");
  return Format(FormatKind::UInt, bits);
}

static std::vector<float> prefixLevels(unsigned bits, const Format &parent) {
  uint32_t members = 1u << (parent.bits() - bits);
  std::vector<float> levels;
  for (uint32_t code = 0; code < 1u << bits; ++code) {
    double sum = 0.0;
    for (uint32_t member = 0; member < members; ++member)
      sum += parent.decode(code * members + member);
    levels.push_back(static_cast<float>(sum / members));
  }
  return levels;
}

std::optional<std::string> Format::checkPrefix(unsigned bits, const Format &parent) {
  if (parent.isFloat() || parent.kind() == FormatKind::Learned)
    return parent.str() + " has no prefix: it is no table of levels";
  if (parent.bits() < 2)
    return parent.str() + " has no prefix: its codes have 1 bit";
  if (bits < 1 || bits > 8 || bits >= parent.bits())
    return "a prefix of " + parent.str() + " has 1 to " +
           std::to_string(std::min(parent.bits() - 1, 8u)) + " bits, not " + std::to_string(bits);
  for (uint32_t code = 0; code < 1u << parent.bits(); ++code)
    if (!std::isfinite(parent.decode(code)))
      return parent.str() + " has no prefix: not all of its codes are finite numbers";
  if (checkLevels(prefixLevels(bits, parent)))
    return "all prefixes of " + parent.str() + " have the same mean";
  return std::nullopt;
}

Format Format::prefix(unsigned bits, const Format &parent) {
  assert(!checkPrefix(bits, parent) && "not a prefix");
  return codebook(prefixLevels(bits, parent),
                  "prefix<" + std::to_string(bits) + ", " + parent.str() + ">");
}

Format Format::learned(unsigned bits) {
  assert(bits >= 1 && bits <= 8 && "learned<k> has 1 to 8 bits");
  return Format(FormatKind::Learned, bits);
}

Format Format::float16() { return Format(FormatKind::Float16, 16); }
Format Format::bfloat16() { return Format(FormatKind::BFloat16, 16); }
Format Format::float32() { return Format(FormatKind::Float32, 32); }

std::string Format::str() const {
  switch (formatKind) {
  case FormatKind::Int:
    return "int<" + std::to_string(formatBits) + (isNarrow ? ", narrow>" : ">");
  case FormatKind::UInt:
    return "uint<" + std::to_string(formatBits) + ">";
  case FormatKind::Float16:
    return "f16";
  case FormatKind::BFloat16:
    return "bf16";
  case FormatKind::Float32:
    return "f32";
  case FormatKind::Minifloat:
    return parameters->str();
  case FormatKind::Learned:
    return "learned<" + std::to_string(formatBits) + ">";
  case FormatKind::Codebook:
    break;
  }
  if (!codebookText.empty())
    return codebookText;
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
    return static_cast<float>((isNarrow ? 1 : 0) - (1 << (formatBits - 1)));
  case FormatKind::UInt:
    return 0.0f;
  case FormatKind::Minifloat:
    return parameters->isSigned ? -highest() : parameters->decode(0);
  case FormatKind::Learned:
    return -1.0f;
  case FormatKind::Codebook:
    return levelTable[rankCodes.front()];
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
  case FormatKind::Minifloat:
    return parameters->decode(parameters->largestCode());
  case FormatKind::Learned:
    return 1.0f;
  case FormatKind::Codebook:
    break;
  }
  return levelTable[rankCodes.back()];
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
  assert(formatKind != FormatKind::Learned && "the levels are stored with the tensor");
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
  case FormatKind::Minifloat:
    return parameters->decode(code);
  case FormatKind::Codebook:
    break;
  }
  return levelTable[std::min<size_t>(code, levelTable.size() - 1)];
}

/// The number of thresholds that are not above x.
static uint32_t rankOf(const std::vector<float> &thresholds, float x) {
  return static_cast<uint32_t>(std::upper_bound(thresholds.begin(), thresholds.end(), x) -
                               thresholds.begin());
}

/// `thresholds` are those of the magnitudes.
static uint32_t encodeMinifloat(const Minifloat &format, const std::vector<float> &thresholds,
                                float x) {
  if (std::isnan(x))
    return format.hasNaN() ? format.codeOfNaN() : 0;
  if (std::signbit(x) && !format.isSigned)
    return 0;
  uint32_t magnitude = rankOf(thresholds, std::fabs(x));
  bool isNegative = std::signbit(x) && (magnitude != 0 || format.hasNegativeZero());
  return isNegative ? magnitude | 1u << (format.bits() - 1) : magnitude;
}

uint32_t Format::encode(float x, Rounding rounding) const {
  assert(formatKind != FormatKind::Learned && "the levels are stored with the tensor");
  switch (formatKind) {
  case FormatKind::Float16:
    return halfOfFloat(x);
  case FormatKind::BFloat16:
    return bfloatOfFloat(x);
  case FormatKind::Float32:
    return bitsOfFloat(x);
  case FormatKind::Minifloat:
    return encodeMinifloat(*parameters, thresholdTable, x);
  default:
    break;
  }
  if (std::isnan(x))
    x = 0.0f;
  if (formatKind == FormatKind::Codebook)
    return rankCodes[rankOf(thresholdTable, x)];
  float low = lowest();
  float integer = std::clamp(roundToInteger(x, rounding, low), low, highest());
  return static_cast<uint32_t>(static_cast<int32_t>(integer)) & ((1u << formatBits) - 1);
}

} // namespace lowbit::numerics
