//===- StochasticTests.cpp - Random numbers and rounding by them ----------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Naive.h"
#include "lowbit/Numerics/Codebooks.h"
#include "lowbit/Numerics/EncodeRules.h"
#include "lowbit/Numerics/Half.h"
#include "lowbit/Numerics/Philox.h"

#include "gtest/gtest.h"

#include <limits>
#include <set>

using namespace lowbit::numerics;

namespace {

using Floats = std::vector<float>;
constexpr float infinity = std::numeric_limits<float>::infinity();

// The vectors of Random123's kat_vectors, philox 4x32 10.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox4x32({ones, ones, ones, ones}, {ones, ones}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, UniformNumbersLieBelowOne) {
  EXPECT_EQ(uniformOf(0), 0.0f);
  EXPECT_EQ(uniformOf(0xff), 0.0f);
  EXPECT_EQ(uniformOf(0x80000000), 0.5f);
  EXPECT_EQ(uniformOf(0xffffffff), 1.0f - 0x1p-24f);
}

TEST(StochasticRounding, LeavesLevelsAlone) {
  const float most = uniformOf(0xffffffff);
  for (float u : {0.0f, 0.5f, most}) {
    for (float t : {-3.0f, -0.0f, 0.0f, 7.0f, 32767.0f})
      EXPECT_EQ(roundStochastically(t, u), t);
    for (const Format &format : {Format::integer(4), *namedCodebook("nf4"),
                                 Format::codebook({-1, 0.5f, 3}), Format::unsignedInteger(8)})
      for (uint32_t code = 0; code < 1u << format.bits(); ++code)
        EXPECT_EQ(format.decode(encodeStochastically(format, format.decode(code), u)),
                  format.decode(code));
    for (const Format &format : {Format::float16(), Format::bfloat16()})
      for (uint32_t code = 0; code < 0x10000; ++code)
        if (float value = format.decode(code); !std::isnan(value)) {
          EXPECT_EQ(encodeStochastically(format, value, u), code);
        }
  }
}

TEST(StochasticRounding, ChoosesByTheDistance) {
  Format format = Format::codebook({-1, 0.5f, 3});
  // 1 is a fifth of the way from 0.5 to 3.
  EXPECT_EQ(encodeStochastically(format, 1.0f, 0.19f), 2u);
  EXPECT_EQ(encodeStochastically(format, 1.0f, 0.21f), 1u);
  EXPECT_EQ(encodeStochastically(format, -9.0f, 0.0f), 0u);
  EXPECT_EQ(encodeStochastically(format, infinity, 0.99f), 2u);
  EXPECT_EQ(encodeStochastically(format, -infinity, 0.0f), 0u);
  EXPECT_EQ(encodeStochastically(format, std::nanf(""), 0.5f),
            encodeStochastically(format, 0, 0.5f));
  EXPECT_EQ(roundStochastically(-2.25f, 0.74f), -2.0f);
  EXPECT_EQ(roundStochastically(-2.25f, 0.76f), -3.0f);
  EXPECT_EQ(encodeStochastically(Format::integer(4), 100.5f, 0.9f), 7u);
  Format half = Format::float16();
  EXPECT_EQ(half.decode(encodeStochastically(half, 1.0f + 0x1p-12f, 0.24f)), 1.0f + 0x1p-10f);
  EXPECT_EQ(half.decode(encodeStochastically(half, -1.0f - 0x1p-12f, 0.26f)), -1.0f);
  EXPECT_EQ(half.decode(encodeStochastically(half, 0x1p-26f, 0.2f)), 0x1p-24f); // denormal
  EXPECT_EQ(encodeStochastically(half, 1e30f, 0.5f), half.encode(1e30f));
  EXPECT_EQ(encodeStochastically(half, infinity, 0.5f), half.encode(infinity));
  EXPECT_TRUE(std::isnan(half.decode(encodeStochastically(half, std::nanf(""), 0.5f))));
}

Quantized unscaled(Format format, uint64_t seed) {
  Quantized term{std::move(format), std::nullopt, ZeroKind::None,
                 std::nullopt,      EncodeRule(), nullptr};
  term.rule.seed = seed;
  return term;
}

double meanOf(const Quantized &term, float value, int64_t count) {
  Floats x(static_cast<size_t>(count), value);
  Shape shape{count / 64, 64};
  EXPECT_FALSE(checkEncode(term, shape));
  double sum = 0;
  for (float back : decode(term, shape, encode(term, shape, x.data())))
    sum += back;
  return sum / static_cast<double>(count);
}

// A mean of n draws between neighbours a step apart is off by more than 5 * step / (2 sqrt(n)),
// five standard deviations or more, about once in two million; seeds are fixed.
TEST(StochasticRounding, IsUnbiased) {
  constexpr int64_t count = 1 << 16;
  constexpr double bound = 5.0 / (2 * 256);
  for (float value : {0.1f, 0.5f, -0.3f, 5.99f, -6.5f})
    EXPECT_NEAR(meanOf(unscaled(Format::integer(4), 11), value, count), value, bound);
  Format uneven = Format::codebook({-1, 0.5f, 3});
  for (float value : {-0.9f, 0.4f, 0.6f, 2.0f})
    EXPECT_NEAR(meanOf(unscaled(uneven, 12), value, count), value, 2.5 * bound);
  EXPECT_NEAR(meanOf(unscaled(Format::bfloat16(), 13), 1.003f, count), 1.003, bound / 128);
  EXPECT_NEAR(meanOf(unscaled(Format::float16(), 14), -0.70003f, count), -0.70003f, bound / 2048);
}

TEST(StochasticRounding, DrawsFromPlaceValueAndSeed) {
  Shape shape{2, 3, 4, 16};
  Floats x(static_cast<size_t>(*elementCount(shape)), 0.5f);
  Quantized term = unscaled(Format::integer(2), 1);
  Floats back = decode(term, shape, encode(term, shape, x.data()));
  // Rows differ from each other, whichever axis separates them.
  std::set<Floats> rows;
  for (size_t row = 0; row < 24; ++row)
    rows.insert(Floats(back.begin() + 16 * row, back.begin() + 16 * (row + 1)));
  EXPECT_GE(rows.size(), 23u);
  EXPECT_EQ(back, decode(term, shape, encode(term, shape, x.data())));
  EXPECT_NE(back, decode(term, shape, encode(unscaled(Format::integer(2), 2), shape, x.data())));
  EXPECT_NE(back,
            decode(term, shape,
                   encode(unscaled(Format::integer(2), uint64_t(1) << 32 | 1), shape, x.data())));
  Floats other(x.size(), 0.50001f);
  EXPECT_NE(back, decode(term, shape, encode(term, shape, other.data())));
  // The element at [1, 2, 3, 4], by the definition.
  uint32_t word = philox4x32({4, 3, 1 * 3 + 2, bitsOfFloat(0.5f)}, {1, 0})[0];
  EXPECT_EQ(back[((1 * 3 + 2) * 4 + 3) * 16 + 4], 0.5f > uniformOf(word) ? 1.0f : 0.0f);
}

TEST(StochasticRounding, SuitsFormatsThatRound) {
  EXPECT_TRUE(checkRule(unscaled(Format::float32(), 1)));
  EXPECT_FALSE(checkRule(unscaled(Format::bfloat16(), 1)));
}

} // namespace
