//===- EncodeTests.cpp - Encode rules, special values, nested and rank-1 scales ===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Naive.h"
#include "lowbit/Numerics/BlockLayout.h"

#include "lowbit/Numerics/Codebooks.h"
#include "lowbit/Numerics/Half.h"

#include "gtest/gtest.h"

#include <algorithm>
#include <limits>

using namespace lowbit::numerics;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();
using Floats = std::vector<float>;

Scale levelsOf(std::vector<ScaleLevel> levels) { return {std::move(levels), std::nullopt}; }

/// A term of one block: `element` scales per tensor.
Quantized blockTerm(Format format, Format element = Format::float32()) {
  return {std::move(format), levelsOf({{std::move(element), Granularity::perTensor()}}),
          ZeroKind::None,    std::nullopt,
          EncodeRule(),      nullptr};
}

Quantized withZero(Quantized term, ZeroKind kind, Format element) {
  term.zeroKind = kind;
  term.zero = levelsOf({{std::move(element), term.scale->levels.back().granularity}});
  return term;
}

Floats roundTrip(const Quantized &term, const Floats &x) {
  Shape shape{static_cast<int64_t>(x.size())};
  EXPECT_FALSE(checkEncode(term, shape)) << *checkEncode(term, shape);
  return decode(term, shape, encode(term, shape, x.data()));
}

float readF32(const Bytes &bytes, size_t index = 0) {
  const uint8_t *at = bytes.data() + 4 * index;
  return floatOfBits(static_cast<uint32_t>(at[0]) | static_cast<uint32_t>(at[1]) << 8 |
                     static_cast<uint32_t>(at[2]) << 16 | static_cast<uint32_t>(at[3]) << 24);
}

uint16_t readHalfBits(const Bytes &bytes, size_t index = 0) {
  return static_cast<uint16_t>(bytes[2 * index] | bytes[2 * index + 1] << 8);
}

std::vector<Bytes> encode1D(const Quantized &term, const Floats &x) {
  return encode(term, {static_cast<int64_t>(x.size())}, x.data());
}

//===----------------------------------------------------------------------===//
// Rules
//===----------------------------------------------------------------------===//

TEST(Rules, DefaultsFollowTheTerm) {
  Quantized term = blockTerm(Format::unsignedInteger(4));
  EXPECT_EQ(resolveRule(term).choice, EncodeRule::Choice::AbsMax);
  EXPECT_EQ(resolveRule(withZero(term, ZeroKind::Additive, Format::float16())).choice,
            EncodeRule::Choice::MinMax);
  EXPECT_EQ(resolveRule(ggmlTerm("q4_0", 2)), ggmlStruct("q4_0")->rule);
  EXPECT_EQ(resolveRule(ggmlTerm("q4_0", 2)).choice, EncodeRule::Choice::SignedMax);
}

TEST(Rules, AbsMaxUsesTheSymmetricRange) {
  std::vector<Bytes> data = encode1D(blockTerm(Format::integer(4)), {-14, 7, 3, -5, 0.5f});
  EXPECT_EQ(readF32(data[1]), 2.0f);
  // -14/2 = -7, 7/2 = 3.5 -> 4, 3/2 = 1.5 -> 2, -5/2 = -2.5 -> -2, 0.25 -> 0.
  EXPECT_EQ(data[0], (Bytes{0x49, 0xe2, 0x00}));
}

TEST(Rules, OneBitIntegers) {
  EXPECT_EQ(roundTrip(blockTerm(Format::integer(1)), {-3, 3, -1, -2}), (Floats{-3, 0, 0, -3}));
  EXPECT_EQ(roundTrip(blockTerm(Format::unsignedInteger(1)), {-3, 3, 1, 2}), (Floats{0, 3, 0, 3}));
}

TEST(Rules, SignedMaxReachesTheLowestCode) {
  Quantized term = blockTerm(Format::integer(4));
  term.rule.choice = EncodeRule::Choice::SignedMax;
  // The peak is 8: the scale is -1 and 8 is code -8; -8 would be code 8 and saturates.
  EXPECT_EQ(readF32(encode1D(term, {8, -8, 1, -7})[1]), -1.0f);
  EXPECT_EQ(roundTrip(term, {8, -8, 1, -7}), (Floats{8, -7, 1, -7}));
  // Of equal magnitudes the first decides the sign.
  EXPECT_EQ(readF32(encode1D(term, {-8, 8, 1, -7})[1]), 1.0f);
  Quantized codebook = blockTerm(*namedCodebook("nf4"));
  codebook.rule.choice = EncodeRule::Choice::SignedMax;
  EXPECT_EQ(readF32(encode1D(codebook, {1, 4, -3})[1]), -4.0f);
}

TEST(Rules, MinMaxWithAnAdditiveMinimum) {
  Quantized term =
      withZero(blockTerm(Format::unsignedInteger(4)), ZeroKind::Additive, Format::float32());
  std::vector<Bytes> data = encode1D(term, {-3, 27, 0, 1});
  EXPECT_EQ(readF32(data[1]), 2.0f);
  EXPECT_EQ(readF32(data[2]), -3.0f);
  // (0+3)/2 = 1.5 -> 2 and (1+3)/2 = 2.
  EXPECT_EQ(data[0], (Bytes{0xf0, 0x22}));
  // With a signed format the minimum still is the lowest code.
  Quantized isSigned =
      withZero(blockTerm(Format::integer(4)), ZeroKind::Additive, Format::float32());
  EXPECT_EQ(readF32(encode1D(isSigned, {-3, 27, 0, 1})[2]), 13.0f);
  EXPECT_EQ(roundTrip(isSigned, {-3, 27, 0, 1}), (Floats{-3, 27, 1, 1}));
}

TEST(Rules, CodesUseTheStoredMinimum) {
  Quantized term =
      withZero(blockTerm(Format::unsignedInteger(8)), ZeroKind::Additive, Format::float16());
  Floats x = naive::randomTensor({64}, 1, 100.0f);
  std::vector<Bytes> data = encode1D(term, x);
  float scale = readF32(data[1]), minimum = floatOfHalf(readHalfBits(data[2]));
  for (size_t i = 0; i < x.size(); ++i)
    EXPECT_EQ(data[0][i], naive::nearestCode(term.format, (x[i] - minimum) / scale));
}

TEST(Rules, MinMaxWithAnIntegerZeroPoint) {
  Quantized term = withZero(blockTerm(Format::unsignedInteger(4)), ZeroKind::Integer,
                            Format::unsignedInteger(4));
  std::vector<Bytes> data = encode1D(term, {-4, 11, 0, 2});
  EXPECT_EQ(readF32(data[1]), 1.0f);
  EXPECT_EQ(data[2], (Bytes{4}));
  EXPECT_EQ(data[0], (Bytes{0xf0, 0x64}));
  EXPECT_EQ(roundTrip(term, {-4, 11, 0, 2}), (Floats{-4, 11, 0, 2}));
  // The range always contains zero, so that zero is exact and z fits the codes.
  EXPECT_EQ(roundTrip(term, {15, 30, 0, 4}), (Floats{16, 30, 0, 4}));
  EXPECT_EQ(encode1D(term, {15, 30, 4})[2], (Bytes{0}));
  EXPECT_EQ(encode1D(term, {15, 30, 4})[1], encode1D(term, {0, 15, 30, 4})[1]);
  EXPECT_EQ(encode1D(term, {-15, -30, -4})[2], (Bytes{15}));
  EXPECT_EQ(readF32(encode1D(term, {-15, -30, -4})[1]), 2.0f);
  Quantized isSigned =
      withZero(blockTerm(Format::integer(4)), ZeroKind::Integer, Format::integer(4));
  EXPECT_EQ(encode1D(isSigned, {-4, 11, 0, 2})[2], (Bytes{0x0c})); // -8 + 4
  EXPECT_EQ(roundTrip(isSigned, {-4, 11, 0, 2}), (Floats{-4, 11, 0, 2}));
}

TEST(Rules, RoundingIsAppliedBeforeTheIntegerZeroPoint) {
  // 2.5 -> 2, then + 3 = 5; rounding 5.5 instead would give 6.
  Quantized term = withZero(blockTerm(Format::unsignedInteger(4)), ZeroKind::Integer,
                            Format::unsignedInteger(4));
  EXPECT_EQ(encode1D(term, {-3, 12, 2.5f, 0})[0][1] & 15, 5);
}

TEST(Rules, ExactDividesByTheScaleBeforeRounding) {
  Quantized stored = blockTerm(Format::integer(8), Format::float16());
  stored.rule.choice = EncodeRule::Choice::AbsMax;
  Quantized exact = stored;
  exact.rule.divisor = EncodeRule::Divisor::Exact;
  Floats x = naive::randomTensor({4096}, 2);
  std::vector<Bytes> byStored = encode1D(stored, x), byExact = encode1D(exact, x);
  EXPECT_EQ(byStored[1], byExact[1]);
  EXPECT_NE(byStored[0], byExact[0]);
  float scale = 0;
  for (float value : x)
    scale = std::fmax(scale, std::fabs(value));
  scale /= 127.0f;
  for (size_t i = 0; i < x.size(); ++i)
    EXPECT_EQ(byExact[0][i], naive::nearestCode(exact.format, x[i] / scale));
}

TEST(Rules, ReciprocalMultiplies) {
  Quantized divide = blockTerm(Format::integer(8));
  divide.rule.choice = EncodeRule::Choice::AbsMax;
  Quantized multiply = divide;
  multiply.rule.inverse = EncodeRule::Inverse::Reciprocal;
  // The scale is 41; its multiples of one half are ties that the rounded 1/41 moves off the half.
  Floats x{41.0f * 127.0f};
  for (int i = 0; i < 127; ++i)
    x.push_back(41.0f * (static_cast<float>(i) + 0.5f));
  float inverse = 1.0f / 41.0f;
  std::vector<Bytes> byDivision = encode1D(divide, x), byProduct = encode1D(multiply, x);
  EXPECT_EQ(readF32(byProduct[1]), 41.0f);
  EXPECT_NE(byProduct[0], byDivision[0]);
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(byDivision[0][i], naive::nearestCode(divide.format, x[i] / 41.0f));
    EXPECT_EQ(byProduct[0][i], naive::nearestCode(multiply.format, x[i] * inverse));
  }
}

TEST(Rules, GgmlRulesAreTheirFormulas) {
  for (int repeat = 0; repeat < 50; ++repeat) {
    Floats x = naive::randomTensor({32}, 100 + static_cast<unsigned>(repeat));
    float peak = x[0], low = x[0], high = x[0];
    for (float value : x) {
      peak = std::fabs(value) > std::fabs(peak) ? value : peak;
      low = std::fmin(low, value);
      high = std::fmax(high, value);
    }
    float d40 = peak / -8.0f, d41 = (high - low) / 15.0f, d80 = std::fabs(peak) / 127.0f;
    Bytes q40 = encode1D(ggmlTerm("q4_0", 1), x)[0];
    Bytes q41 = encode1D(ggmlTerm("q4_1", 1), x)[0];
    Bytes q80 = encode1D(ggmlTerm("q8_0", 1), x)[0];
    EXPECT_EQ(readHalfBits(q40), halfOfFloat(d40));
    EXPECT_EQ(readHalfBits(q41), halfOfFloat(d41));
    EXPECT_EQ(readHalfBits(q41, 1), halfOfFloat(low));
    EXPECT_EQ(readHalfBits(q80), halfOfFloat(d80));
    float id40 = 1.0f / d40, id41 = 1.0f / d41, id80 = 1.0f / d80;
    for (size_t j = 0; j < 32; ++j) {
      volatile float t40 = x[j] * id40, t41 = (x[j] - low) * id41, t80 = x[j] * id80;
      int nibble40 = q40[2 + j % 16] >> (j / 16 * 4) & 15;
      int nibble41 = q41[4 + j % 16] >> (j / 16 * 4) & 15;
      EXPECT_EQ(nibble40, std::min(15, static_cast<int>(t40 + 8.5f)));
      EXPECT_EQ(nibble41, std::min(15, static_cast<int>(t41 + 0.5f)));
      EXPECT_EQ(static_cast<int8_t>(q80[2 + j]), static_cast<int>(std::round(t80)));
    }
  }
}

//===----------------------------------------------------------------------===//
// Special values
//===----------------------------------------------------------------------===//

std::vector<Quantized> termsOfAllKinds() {
  Quantized natural = blockTerm(Format::unsignedInteger(4), Format::float16());
  Quantized codebook = blockTerm(*namedCodebook("nf4"), Format::float16());
  Quantized isSigned = blockTerm(Format::integer(4), Format::float16());
  isSigned.rule.choice = EncodeRule::Choice::SignedMax;
  return {blockTerm(Format::integer(4), Format::float16()),
          blockTerm(Format::integer(8)),
          isSigned,
          codebook,
          natural,
          withZero(natural, ZeroKind::Additive, Format::float16()),
          withZero(natural, ZeroKind::Integer, Format::unsignedInteger(4))};
}

TEST(Special, ZeroBlocksDecodeToZero) {
  for (const Quantized &term : termsOfAllKinds())
    for (float zero : {0.0f, -0.0f}) {
      EXPECT_EQ(roundTrip(term, Floats(5, zero)), Floats(5, 0.0f));
      std::vector<Bytes> data = encode1D(term, Floats(5, zero));
      EXPECT_EQ(data[1].back() & 0x7f, 0) << "the stored scale is a zero";
    }
  for (const char *layout : {"q4_0", "q4_1", "q8_0"})
    EXPECT_EQ(roundTrip(ggmlTerm(layout, 1), Floats(32, 0.0f)), Floats(32, 0.0f));
  // ggml stores -0 for a q4_0 block of zeros: 0 / -8.
  EXPECT_EQ(readHalfBits(encode1D(ggmlTerm("q4_0", 1), Floats(32, 0.0f))[0]), 0x8000);
}

TEST(Special, MinimumTakesTheNegativeZero) {
  Quantized term =
      withZero(blockTerm(Format::unsignedInteger(4)), ZeroKind::Additive, Format::float16());
  EXPECT_EQ(readHalfBits(encode1D(term, {0.0f, -0.0f, 3.0f})[2]), 0x8000);
  EXPECT_EQ(readHalfBits(encode1D(term, {-0.0f, 0.0f, 3.0f})[2]), 0x8000);
  EXPECT_EQ(readHalfBits(encode1D(term, {0.0f, 0.0f, 3.0f})[2]), 0x0000);
}

TEST(Special, ScaleThatRoundsToZero) {
  // 2^-30 / 7 is below half of the smallest f16: the block becomes zero, codes and all.
  std::vector<Bytes> data =
      encode1D(blockTerm(Format::integer(4), Format::float16()), {0x1p-30f, -0x1p-31f});
  EXPECT_EQ(data, (std::vector<Bytes>{{0}, {0, 0}}));
}

TEST(Special, NaNCountsAsZero) {
  for (const Quantized &term : termsOfAllKinds()) {
    Floats with{1.0f, nan, -0.5f, 0.25f}, without{1.0f, 0.0f, -0.5f, 0.25f};
    EXPECT_EQ(encode1D(term, with), encode1D(term, without));
    EXPECT_EQ(encode1D(term, Floats(4, nan)), encode1D(term, Floats(4, 0.0f)));
  }
  // Float codes keep it, and their scale ignores it.
  Floats decoded = roundTrip(blockTerm(Format::float16()), {1.0f, nan, -0.5f});
  EXPECT_EQ(decoded[0], 1.0f);
  EXPECT_TRUE(std::isnan(decoded[1]));
  EXPECT_EQ(decoded[2], -0.5f);
}

TEST(Special, InfinitySaturatesScaleAndCode) {
  std::vector<Bytes> data =
      encode1D(blockTerm(Format::integer(4), Format::float16()), {infinity, -infinity, 1.0f});
  EXPECT_EQ(readHalfBits(data[1]), 0x7bff);
  EXPECT_EQ(data[0], (Bytes{0x87, 0x00}));
  Quantized ranged = withZero(blockTerm(Format::unsignedInteger(4), Format::float16()),
                              ZeroKind::Additive, Format::float16());
  for (float value : roundTrip(ranged, {-infinity, infinity, 0.0f}))
    EXPECT_TRUE(std::isfinite(value));
  // The range inf - inf of this block is NaN, its scale zero.
  EXPECT_EQ(roundTrip(ranged, {infinity, infinity}), (Floats{65504, 65504}));
}

TEST(Special, ScaleOverflow) {
  Floats x{1e6f, -5e5f, 0.0f};
  Quantized term = blockTerm(Format::integer(4), Format::float16());
  EXPECT_EQ(readHalfBits(encode1D(term, x)[1]), 0x7bff);
  EXPECT_EQ(roundTrip(term, x), (Floats{7 * 65504.0f, -8 * 65504.0f, 0.0f}));
  term.rule.choice = EncodeRule::Choice::AbsMax;
  term.rule.overflow = EncodeRule::Overflow::Infinity;
  EXPECT_EQ(readHalfBits(encode1D(term, x)[1]), 0x7c00);
}

TEST(Special, DenormalsAreNotFlushed) {
  float tiny = std::numeric_limits<float>::denorm_min();
  Floats x{7 * tiny, -3 * tiny, tiny, 0.0f};
  EXPECT_EQ(roundTrip(blockTerm(Format::integer(4)), x), x);
  // The scale is the smallest f16 denormal.
  Floats half{7 * 0x1p-24f, -0x1p-24f, 0.0f};
  EXPECT_EQ(roundTrip(blockTerm(Format::integer(4), Format::float16()), half), half);
}

TEST(Special, RoundedScaleSaturatesCodes) {
  // 10.4 / 7 denormal steps round to one: the quotient 10.4 is beyond the codes.
  Quantized term = blockTerm(Format::integer(4), Format::float16());
  EXPECT_EQ(roundTrip(term, {10.4f * 0x1p-24f}), (Floats{7 * 0x1p-24f}));
  EXPECT_EQ(roundTrip(term, {-10.4f * 0x1p-24f}), (Floats{-8 * 0x1p-24f}));
}

TEST(Special, PartialBlocksUseTheElementsTheyHave) {
  Quantized term = blockTerm(Format::integer(8));
  term.scale->levels[0].granularity = Granularity::perBlock({2, 4});
  Shape shape{3, 5};
  Floats x = naive::randomTensor(shape, 3);
  x[14] = 127.0f; // the corner block [2:3, 4:5] holds this element only
  std::vector<Bytes> data = encode(term, shape, x.data());
  EXPECT_EQ(readF32(data[1], 3), 1.0f);
  EXPECT_EQ(readF32(data[1], 1), std::fmax(std::fabs(x[4]), std::fabs(x[9])) / 127.0f);
}

//===----------------------------------------------------------------------===//
// Nested and rank-1 scales
//===----------------------------------------------------------------------===//

TEST(Nested, InnerCodesDivideByTheStoredOuterScale) {
  Quantized term = blockTerm(Format::integer(4));
  term.scale = levelsOf({{Format::float16(), Granularity::perBlock({1, 16})},
                         {Format::unsignedInteger(6), Granularity::perBlock({1, 4})}});
  Shape shape{2, 27};
  Floats x = naive::randomTensor(shape, 4);
  std::vector<Bytes> data = encode(term, shape, x.data());

  for (int64_t row = 0; row < 2; ++row)
    for (int64_t outer = 0; outer < 2; ++outer) {
      Floats ideals;
      for (int64_t inner = outer * 4; inner < std::min<int64_t>(outer * 4 + 4, 7); ++inner) {
        float peak = 0;
        for (int64_t j = inner * 4; j < std::min<int64_t>(inner * 4 + 4, 27); ++j)
          peak = std::fmax(peak, std::fabs(x[static_cast<size_t>(row * 27 + j)]));
        ideals.push_back(peak / 7.0f);
      }
      float largest = *std::max_element(ideals.begin(), ideals.end());
      float stored = floatOfHalf(halfOfFloat(largest / 63.0f));
      for (size_t i = 0; i < ideals.size(); ++i) {
        naive::Index inner{row, outer * 4 + static_cast<int64_t>(i)};
        uint32_t code = naive::readCode(data, 2, Format::unsignedInteger(6), {2, 7}, inner);
        EXPECT_EQ(code, naive::nearestCode(Format::unsignedInteger(6), ideals[i] / stored));
        float scale = stored * static_cast<float>(code);
        for (int64_t j = inner[1] * 4; j < std::min<int64_t>(inner[1] * 4 + 4, 27); ++j)
          EXPECT_EQ(naive::readCode(data, 0, term.format, shape, {row, j}),
                    naive::nearestCode(term.format, x[static_cast<size_t>(row * 27 + j)] / scale));
      }
    }
}

TEST(Nested, MinimaWithoutASignTakeItFromTheOuterLevel) {
  Quantized term = blockTerm(Format::unsignedInteger(4));
  Scale tree = levelsOf({{Format::float32(), Granularity::perTensor()},
                         {Format::unsignedInteger(6), Granularity::perBlock({4})}});
  term.scale = term.zero = tree;
  term.zeroKind = ZeroKind::Additive;
  Floats x{-63, -63, -48, -50, 5, 20, 10, 8, -31.5f, 0, 1, 2};
  std::vector<Bytes> data = encode1D(term, x);
  // Components: codes, scale.0, scale.1.0, scale.1.1, min.0, min.1.0, min.1.1.
  ASSERT_EQ(data.size(), 7u);
  EXPECT_EQ(readF32(data[4]), -1.0f);
  Format inner = Format::unsignedInteger(6);
  EXPECT_EQ(naive::readCode(data, 5, inner, {3}, {0}), 63u);
  EXPECT_EQ(naive::readCode(data, 5, inner, {3}, {1}), 0u); // widened: min(5, 0)
  EXPECT_EQ(naive::readCode(data, 5, inner, {3}, {2}), 32u);
  Floats decoded = roundTrip(term, x);
  for (size_t i = 0; i < x.size(); ++i)
    EXPECT_NEAR(decoded[i], x[i], 2.2f) << i;
}

TEST(Nested, ZeroOuterBlock) {
  Quantized term = blockTerm(Format::integer(4));
  term.scale = levelsOf({{Format::float16(), Granularity::perTensor()},
                         {Format::float16(), Granularity::perBlock({2})}});
  EXPECT_EQ(roundTrip(term, Floats(4, 0.0f)), Floats(4, 0.0f));
  EXPECT_EQ(encode1D(term, Floats(4, 0.0f))[2], (Bytes{0, 0, 0, 0}));
}

TEST(Rank1, ScaleIsTheSmallerOfRowAndColumn) {
  Quantized term = blockTerm(Format::integer(4));
  term.scale = Scale{{}, Rank1{Format::float16(), Combiner::Min}};
  Shape shape{5, 9};
  Floats x = naive::randomTensor(shape, 5);
  x[12] = nan;
  std::vector<Bytes> data = encode(term, shape, x.data());
  x[12] = 0.0f;
  for (int64_t i = 0; i < 5; ++i)
    for (int64_t j = 0; j < 9; ++j) {
      float row = 0, column = 0;
      for (int64_t k = 0; k < 9; ++k)
        row = std::fmax(row, std::fabs(x[static_cast<size_t>(i * 9 + k)]));
      for (int64_t k = 0; k < 5; ++k)
        column = std::fmax(column, std::fabs(x[static_cast<size_t>(k * 9 + j)]));
      float scale =
          std::fmin(floatOfHalf(halfOfFloat(row / 7.0f)), floatOfHalf(halfOfFloat(column / 7.0f)));
      EXPECT_EQ(naive::scaleAt(*term.scale, shape, data, 1, {i, j}), scale);
      EXPECT_EQ(naive::readCode(data, 0, term.format, shape, {i, j}),
                naive::nearestCode(term.format, x[static_cast<size_t>(i * 9 + j)] / scale));
    }
}

TEST(Encode, IsIdempotentOnGgmlGrids) {
  // What q8_0 decodes to encodes to the same bytes again when its scale is exact in f16.
  Floats x;
  for (int i = 0; i < 32; ++i)
    x.push_back(static_cast<float>(i == 7 ? 127 : i * 3 - 40) * 0.125f);
  Quantized term = ggmlTerm("q8_0", 1);
  std::vector<Bytes> data = encode1D(term, x);
  EXPECT_EQ(decode(term, {32}, data), x);
  EXPECT_EQ(encode1D(term, decode(term, {32}, data)), data);
}

} // namespace
