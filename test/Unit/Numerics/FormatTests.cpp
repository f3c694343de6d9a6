//===- FormatTests.cpp - f16, bf16, levels and rounding -----------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Codebooks.h"
#include "lowbit/Numerics/Format.h"
#include "lowbit/Numerics/Half.h"

#include "gtest/gtest.h"

#include <cmath>
#include <limits>
#include <random>

using namespace lowbit::numerics;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// What IEEE binary16 says a finite pattern is worth.
double halfValue(uint16_t half) {
  int exponent = (half >> 10) & 31, mantissa = half & 1023;
  double magnitude =
      exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24);
  return half & 0x8000 ? -magnitude : magnitude;
}

TEST(Half, WidensEveryPattern) {
  for (uint32_t pattern = 0; pattern < 65536; ++pattern) {
    uint16_t half = static_cast<uint16_t>(pattern);
    float value = floatOfHalf(half);
    if ((half & 0x7c00) != 0x7c00) {
      EXPECT_EQ(value, halfValue(half)) << pattern;
      EXPECT_EQ(std::signbit(value), half >= 0x8000) << pattern;
    } else if (half & 0x3ff) {
      EXPECT_TRUE(std::isnan(value)) << pattern;
    } else {
      EXPECT_EQ(value, half & 0x8000 ? -infinity : infinity);
    }
    uint16_t quiet = std::isnan(value) ? half | 0x200 : half;
    EXPECT_EQ(halfOfFloat(value), quiet) << pattern;
  }
}

TEST(Half, NarrowsToNearestEven) {
  for (uint32_t pattern = 0; pattern < 0x7bff; ++pattern) {
    uint16_t lower = static_cast<uint16_t>(pattern), upper = static_cast<uint16_t>(pattern + 1);
    float middle = static_cast<float>((halfValue(lower) + halfValue(upper)) / 2);
    uint16_t even = pattern % 2 ? upper : lower;
    EXPECT_EQ(halfOfFloat(middle), even) << pattern;
    EXPECT_EQ(halfOfFloat(-middle), even | 0x8000) << pattern;
    EXPECT_EQ(halfOfFloat(std::nextafter(middle, 0.0f)), lower) << pattern;
    EXPECT_EQ(halfOfFloat(std::nextafter(middle, infinity)), upper) << pattern;
  }
  EXPECT_EQ(halfOfFloat(std::nextafter(65520.0f, 0.0f)), 0x7bff);
  EXPECT_EQ(halfOfFloat(65520.0f), 0x7c00);
  EXPECT_EQ(halfOfFloat(1e30f), 0x7c00);
  EXPECT_EQ(halfOfFloat(-infinity), 0xfc00);
  EXPECT_EQ(halfOfFloat(-0.0f), 0x8000);
  EXPECT_EQ(halfOfFloat(std::numeric_limits<float>::denorm_min()), 0);
  EXPECT_TRUE(std::isnan(floatOfHalf(halfOfFloat(nan))));
  // A NaN whose payload lies in the bits that are cut off must not become an infinity.
  EXPECT_TRUE(std::isnan(floatOfHalf(halfOfFloat(floatOfBits(0x7f800001)))));
}

TEST(BFloat, RoundsToNearestEven) {
  for (uint32_t upper = 0; upper < 0x7f80; upper += 7) {
    uint32_t even = upper % 2 ? upper + 1 : upper;
    EXPECT_EQ(bfloatOfFloat(floatOfBits(upper << 16 | 0x8000)), even);
    EXPECT_EQ(bfloatOfFloat(floatOfBits(upper << 16 | 0x7fff)), upper);
    EXPECT_EQ(bfloatOfFloat(floatOfBits(upper << 16 | 0x8001)), upper + 1);
    EXPECT_EQ(bfloatOfFloat(floatOfBFloat(static_cast<uint16_t>(upper))), upper);
  }
  EXPECT_EQ(bfloatOfFloat(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_TRUE(std::isnan(floatOfBFloat(bfloatOfFloat(floatOfBits(0x7f800001)))));
}

TEST(Format, IntegerRanges) {
  for (unsigned bits = 1; bits <= 16; ++bits) {
    Format format = Format::integer(bits);
    int32_t low = -(1 << (bits - 1)), high = (1 << (bits - 1)) - 1;
    EXPECT_EQ(format.lowest(), low);
    EXPECT_EQ(format.highest(), high);
    EXPECT_EQ(format.extreme(), low);
    EXPECT_EQ(format.largest(), bits == 1 ? 1 : high);
    for (int32_t value = low; value <= high; ++value) {
      uint32_t code = format.encode(static_cast<float>(value));
      EXPECT_LT(code, 1u << bits);
      EXPECT_EQ(code, static_cast<uint32_t>(value) & ((1u << bits) - 1));
      EXPECT_EQ(format.decode(code), value);
      EXPECT_EQ(format.codeOfInteger(value), code);
    }
    for (float beyond : {1e5f, 1e30f, infinity}) {
      EXPECT_EQ(format.decode(format.encode(beyond)), high);
      EXPECT_EQ(format.decode(format.encode(-beyond)), low);
    }
    EXPECT_EQ(format.decode(format.encode(nan)), 0.0f);
    Format natural = Format::unsignedInteger(bits);
    EXPECT_EQ(natural.lowest(), 0);
    EXPECT_EQ(natural.largest(), (1 << bits) - 1);
    EXPECT_EQ(natural.decode(natural.encode(infinity)), (1 << bits) - 1);
    EXPECT_EQ(natural.encode(-3.0f), 0u);
    EXPECT_EQ(natural.encode(nan), 0u);
  }
}

TEST(Format, NarrowIntegers) {
  for (unsigned bits = 2; bits <= 16; ++bits) {
    Format format = Format::integer(bits, /*narrow=*/true);
    int32_t high = (1 << (bits - 1)) - 1;
    EXPECT_EQ(format.lowest(), -high);
    EXPECT_EQ(format.highest(), high);
    EXPECT_EQ(format.largest(), high);
    EXPECT_EQ(format.extreme(), -high);
    EXPECT_EQ(format.decode(format.encode(-infinity)), -high);
    EXPECT_EQ(format.decode(format.codeOfInteger(-high - 1)), -high);
    // The code that an encode never writes is still two's complement.
    EXPECT_EQ(format.decode(1u << (bits - 1)), -high - 1);
    EXPECT_NE(format, Format::integer(bits));
  }
  EXPECT_EQ(Format::integer(8, true).str(), "int<8, narrow>");
}

TEST(Format, IntegerTies) {
  Format format = Format::integer(4);
  auto rounded = [&](float x, Rounding rounding) {
    return format.decode(format.encode(x, rounding));
  };
  EXPECT_EQ(rounded(2.5f, Rounding::NearestEven), 2);
  EXPECT_EQ(rounded(3.5f, Rounding::NearestEven), 4);
  EXPECT_EQ(rounded(-2.5f, Rounding::NearestEven), -2);
  EXPECT_EQ(rounded(7.5f, Rounding::NearestEven), 7);
  EXPECT_EQ(rounded(-8.5f, Rounding::NearestEven), -8);
  EXPECT_EQ(rounded(2.5f, Rounding::HalfAway), 3);
  EXPECT_EQ(rounded(-2.5f, Rounding::HalfAway), -3);
  EXPECT_EQ(rounded(2.5f, Rounding::HalfUp), 3);
  EXPECT_EQ(rounded(-2.5f, Rounding::HalfUp), -2);
  // Adding 8.5 rounds this one up to 9: the rule is the f32 computation, as in ggml.
  EXPECT_EQ(rounded(std::nextafter(0.5f, 0.0f), Rounding::HalfUp), 1);
  EXPECT_EQ(rounded(std::nextafter(0.5f, 0.0f), Rounding::HalfAway), 0);
}

/// The nearest level in exact arithmetic; ties to the even index.
uint32_t nearestLevel(const std::vector<float> &levels, float x) {
  size_t best = 0;
  for (size_t i = 1; i < levels.size(); ++i) {
    long double distance = std::fabs(static_cast<long double>(levels[i]) - x);
    long double bestDistance = std::fabs(static_cast<long double>(levels[best]) - x);
    if (distance < bestDistance || (distance == bestDistance && i % 2 == 0))
      best = i;
  }
  return static_cast<uint32_t>(best);
}

TEST(Format, CodebookTakesTheNearestLevel) {
  std::vector<float> everyOther;
  for (int i = 0; i < 256; ++i)
    everyOther.push_back(static_cast<float>(i * i) * 0.01f - 100.0f);
  std::vector<std::vector<float>> tables = {
      namedCodebook("nf4")->levels(),           {-1.0f, 0.0f, 1.0f},
      {0.0f, 1.0f, 3.0f, 7.0f, 15.0f},          {-3.0f, 3.0f},
      {1.0f, std::nextafter(1.0f, 2.0f), 2.0f}, everyOther,
  };
  std::mt19937 random(7);
  for (const std::vector<float> &levels : tables) {
    Format format = Format::codebook(levels);
    ASSERT_EQ(format.thresholds().size(), levels.size() - 1);
    std::uniform_real_distribution<float> inside(levels.front() - 1, levels.back() + 1);
    std::vector<float> points;
    for (int i = 0; i < 2000; ++i)
      points.push_back(inside(random));
    for (size_t i = 0; i + 1 < levels.size(); ++i)
      for (float x : {levels[i], (levels[i] + levels[i + 1]) / 2, format.thresholds()[i]}) {
        points.push_back(x);
        points.push_back(std::nextafter(x, -infinity));
        points.push_back(std::nextafter(x, infinity));
      }
    for (float x : points) {
      // Nearer to zero the oracle's distances would round; CodebookThresholdsAreExact looks there.
      if (x != 0.0f && std::fabs(x) < 1e-6f)
        continue;
      EXPECT_EQ(format.encode(x), nearestLevel(levels, x)) << x;
    }
    for (uint32_t code = 0; code < levels.size(); ++code)
      EXPECT_EQ(format.decode(code), levels[code]);
    EXPECT_EQ(format.encode(-infinity), 0u);
    EXPECT_EQ(format.encode(infinity), levels.size() - 1);
    EXPECT_EQ(format.encode(nan), nearestLevel(levels, 0.0f));
  }
}

TEST(Format, CodebookThresholdsAreExact) {
  // The midpoint 0.5 + 2^-101 is no f32, not even an f64: 0.5 is below it, the next f32 above.
  Format wide = Format::codebook({0x1p-100f, 1.0f, 2.0f});
  EXPECT_EQ(wide.encode(0.5f), 0u);
  EXPECT_EQ(wide.encode(std::nextafter(0.5f, 1.0f)), 1u);
  Format below = Format::codebook({-0x1p-100f, 1.0f, 2.0f});
  EXPECT_EQ(below.encode(0.5f), 1u);
  EXPECT_EQ(below.encode(std::nextafter(0.5f, 0.0f)), 0u);
  // Exact ties: between 0 and 1 the even index is the lower, between 1 and 2 the upper.
  Format ties = Format::codebook({0.0f, 1.0f, 2.0f});
  EXPECT_EQ(ties.encode(0.5f), 0u);
  EXPECT_EQ(ties.encode(1.5f), 2u);
  Format huge = Format::codebook({-3e38f, 3e38f});
  EXPECT_EQ(huge.encode(0.0f), 0u);
  EXPECT_EQ(huge.encode(std::numeric_limits<float>::denorm_min()), 1u);
}

TEST(Format, CodebookStorage) {
  EXPECT_EQ(Format::codebook({-1.0f, 1.0f}).bits(), 1u);
  EXPECT_EQ(Format::codebook({-1.0f, 0.0f, 1.0f}).bits(), 2u);
  EXPECT_EQ(Format::codebook({-1.0f, 0.0f, 1.0f}).decode(3), 1.0f);
  EXPECT_EQ(namedCodebook("nf4")->bits(), 4u);
  EXPECT_EQ(namedCodebook("nf4")->decode(7), 0.0f);
  EXPECT_EQ(namedCodebook("nf4")->extreme(), -1.0f);
  EXPECT_TRUE(Format::checkLevels({1.0f}));
  EXPECT_TRUE(Format::checkLevels({1.0f, 1.0f}));
  EXPECT_TRUE(Format::checkLevels({0.0f, -0.0f}));
  EXPECT_TRUE(Format::checkLevels({1.0f, nan}));
  EXPECT_TRUE(Format::checkLevels(std::vector<float>(257, 0.0f)));
  EXPECT_FALSE(Format::checkLevels({1.0f, 2.0f}));
  EXPECT_FALSE(Format::checkLevels({2.0f, 1.0f, 2.0f}));
}

TEST(Format, CodebookInAnyOrder) {
  // Sign and magnitude, with a second code of zero.
  std::vector<float> levels{0.0f, 1.0f, 2.0f, 4.0f, 0.0f, -1.0f, -2.0f, -4.0f};
  Format format = Format::codebook(levels);
  EXPECT_EQ(format.codesByRank(), (std::vector<uint32_t>{7, 6, 5, 0, 1, 2, 3}));
  EXPECT_EQ(format.lowest(), -4.0f);
  EXPECT_EQ(format.highest(), 4.0f);
  EXPECT_EQ(format.extreme(), -4.0f);
  for (uint32_t code = 0; code < levels.size(); ++code) {
    EXPECT_EQ(format.decode(code), levels[code]);
    EXPECT_EQ(format.encode(levels[code]), code == 4 ? 0 : code);
  }
  EXPECT_EQ(format.encode(-0.0f), 0u);
  EXPECT_EQ(format.encode(nan), 0u);
  EXPECT_EQ(format.encode(-infinity), 7u);
  EXPECT_EQ(format.encode(infinity), 3u);
  // Ties: to the even code of the two.
  EXPECT_EQ(format.encode(0.5f), 0u);
  EXPECT_EQ(format.encode(1.5f), 2u);
  EXPECT_EQ(format.encode(3.0f), 2u);
  EXPECT_EQ(format.encode(-0.5f), 0u);
  EXPECT_EQ(format.encode(-1.5f), 6u);
  EXPECT_EQ(format.encode(-3.0f), 6u);
  // Both even, both odd: to the lower code.
  Format permuted = Format::codebook({3.0f, 2.0f, 0.0f, 1.0f});
  EXPECT_EQ(permuted.encode(1.5f), 1u);
  EXPECT_EQ(Format::codebook({4.0f, 9.0f, 0.0f}).encode(2.0f), 0u);
  EXPECT_EQ(Format::codebook({0.0f, 9.0f, 4.0f}).encode(2.0f), 0u);
}

TEST(Format, FloatsConvert) {
  EXPECT_EQ(Format::float16().encode(1e9f), 0x7c00u);
  EXPECT_EQ(Format::float16().decode(0x3c00), 1.0f);
  EXPECT_EQ(Format::float32().encode(-0.0f), 0x80000000u);
  EXPECT_EQ(Format::bfloat16().decode(0x3f80), 1.0f);
  EXPECT_EQ(Format::float16().highest(), 65504.0f);
}

TEST(Format, Equality) {
  EXPECT_EQ(Format::integer(4), Format::integer(4));
  EXPECT_NE(Format::integer(4), Format::unsignedInteger(4));
  EXPECT_NE(Format::float16(), Format::bfloat16());
  EXPECT_NE(Format::codebook({0.0f, 1.0f}), Format::codebook({0.0f, 2.0f}));
  EXPECT_EQ(Format::codebook({-1.0f, 0.5f}).str(), "codebook<[-1, 0.5]>");
}

} // namespace
