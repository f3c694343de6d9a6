//===- RuleTests.cpp - MX, percentile and mse rules; deep and rank-1 scales ===//
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

#include "gtest/gtest.h"

#include <algorithm>
#include <limits>

using namespace lowbit::numerics;

namespace {

using Floats = std::vector<float>;
using Choice = EncodeRule::Choice;

/// OCP e2m1: emax is 2.
Format e2m1() {
  return Format::codebook({-6, -4, -3, -2, -1.5f, -1, -0.5f, 0, 0.5f, 1, 1.5f, 2, 3, 4, 6});
}

Quantized termOf(Format format, std::vector<ScaleLevel> levels) {
  Quantized term{std::move(format), Scale{std::move(levels), std::nullopt},
                 ZeroKind::None,    std::nullopt,
                 EncodeRule(),      nullptr};
  return term;
}

Quantized blockTerm(Format format, Choice choice, int64_t block = 32) {
  Quantized term =
      termOf(std::move(format), {{Format::float32(), Granularity::perBlock({1, block})}});
  term.rule.choice = choice;
  return term;
}

float readF32(const Bytes &bytes, size_t index = 0) {
  const uint8_t *at = bytes.data() + 4 * index;
  return floatOfBits(static_cast<uint32_t>(at[0]) | static_cast<uint32_t>(at[1]) << 8 |
                     static_cast<uint32_t>(at[2]) << 16 | static_cast<uint32_t>(at[3]) << 24);
}

/// The f32 scales that a term of one component of codes stores.
Floats scalesOf(const Quantized &term, const Shape &shape, const Floats &x) {
  EXPECT_FALSE(checkEncode(term, shape)) << *checkEncode(term, shape);
  Bytes bytes = encode(term, shape, x.data()).back();
  Floats scales;
  for (size_t i = 0; i < bytes.size() / 4; ++i)
    scales.push_back(readF32(bytes, i));
  return scales;
}

float scaleOf(const Quantized &term, const Floats &x) {
  return scalesOf(term, {1, static_cast<int64_t>(x.size())}, x)[0];
}

//===----------------------------------------------------------------------===//
// Powers of two
//===----------------------------------------------------------------------===//

TEST(MxRules, FloorTakesTheExponentOfThePeak) {
  Quantized term = blockTerm(e2m1(), Choice::MxFloor);
  EXPECT_EQ(scaleOf(term, {1, -5, 0}), 1.0f);  // 2^(2 - 2)
  EXPECT_EQ(scaleOf(term, {7.99f}), 1.0f);     // 7.99 saturates at 6
  EXPECT_EQ(scaleOf(term, {-8}), 2.0f);        // 2^(3 - 2)
  EXPECT_EQ(scaleOf(term, {0.25f}), 0x1p-4f);  // 2^(-2 - 2)
  EXPECT_EQ(scaleOf(term, {0, 0}), 0.0f);      // no exponent
  EXPECT_EQ(scaleOf(term, {0x1p-130f}), 0.0f); // a denormal has no exponent bits
  EXPECT_EQ(scaleOf(term, {std::numeric_limits<float>::infinity()}),
            std::numeric_limits<float>::max());
  EXPECT_EQ(scaleOf(blockTerm(Format::integer(8), Choice::MxFloor), {1.0f}), 0x1p-6f);
}

TEST(MxRules, CeilNeverSaturates) {
  Quantized term = blockTerm(e2m1(), Choice::MxCeil);
  EXPECT_EQ(scaleOf(term, {6}), 1.0f);
  EXPECT_EQ(scaleOf(term, {6.0001f}), 2.0f);
  EXPECT_EQ(scaleOf(term, {-5.9f}), 1.0f);
  EXPECT_EQ(scaleOf(term, {3}), 0.5f);
  EXPECT_EQ(scaleOf(term, {0}), 0.0f);
  EXPECT_EQ(scaleOf(term, {0x1p-149f}), 0.0f); // the quotient is below every number
  EXPECT_EQ(scaleOf(term, {0x1p-140f}), 0x1p-126f);
}

TEST(MxRules, AgreeWithLogarithms) {
  Floats x = naive::randomTensor({40, 32}, 3, 100.0f);
  Floats floors = scalesOf(blockTerm(e2m1(), Choice::MxFloor), {40, 32}, x);
  Floats ceils = scalesOf(blockTerm(e2m1(), Choice::MxCeil), {40, 32}, x);
  for (size_t row = 0; row < 40; ++row) {
    double peak = 0;
    for (size_t j = 0; j < 32; ++j)
      peak = std::max<double>(peak, std::fabs(x[row * 32 + j]));
    EXPECT_EQ(floors[row], std::exp2(std::floor(std::log2(peak)) - 2));
    EXPECT_EQ(ceils[row], std::exp2(std::ceil(std::log2(peak / 6))));
  }
}

//===----------------------------------------------------------------------===//
// Searches
//===----------------------------------------------------------------------===//

TEST(PercentileRule, IsTheNearestRank) {
  EXPECT_EQ(percentileRank(100, 7), 7);
  EXPECT_EQ(percentileRank(50, 7), 4);
  EXPECT_EQ(percentileRank(50, 8), 4);
  EXPECT_EQ(percentileRank(0.001, 8), 1);
  EXPECT_EQ(percentileRank(99.5, 1000), 995);
  Quantized term = blockTerm(Format::integer(4), Choice::Percentile, 5);
  term.rule.percent = 60; // the third of five
  EXPECT_EQ(scaleOf(term, {-100, 7, 0.5f, -14, 21}), 2.0f);
  // NaN is zero, the last block is partial: the second of three.
  EXPECT_EQ(scalesOf(term, {1, 8}, {1, 1, 1, 1, 1, std::nanf(""), -7, 14})[1], 1.0f);
}

TEST(PercentileRule, HundredIsAbsMax) {
  Floats x = naive::randomTensor({5, 77}, 4);
  Quantized all = blockTerm(Format::integer(4), Choice::Percentile);
  EXPECT_EQ(scalesOf(all, {5, 77}, x),
            scalesOf(blockTerm(Format::integer(4), Choice::AbsMax), {5, 77}, x));
}

double errorOf(const Quantized &term, const Shape &shape, const Floats &x) {
  Floats back = decode(term, shape, encode(term, shape, x.data()));
  double error = 0;
  for (size_t i = 0; i < x.size(); ++i)
    error += (static_cast<double>(x[i]) - back[i]) * (static_cast<double>(x[i]) - back[i]);
  return error;
}

TEST(MseRule, FindsTheBestOfItsCandidates) {
  Shape shape{1, 48};
  for (unsigned seed = 0; seed < 20; ++seed) {
    Floats x = naive::randomTensor(shape, seed);
    Quantized term = blockTerm(Format::integer(3), Choice::Mse, 48);
    term.rule.steps = 8;
    term.rule.least = 0.4;
    float found = scaleOf(term, x);
    float peak = 0;
    for (float value : x)
      peak = std::max(peak, std::fabs(value));
    // Each candidate by hand, codes included.
    float best = 0, least = std::numeric_limits<float>::infinity();
    for (int i = 0; i <= 8; ++i) {
      float scale = peak / 3.0f * static_cast<float>(1.0 - i * (1.0 - 0.4) / 8);
      float sum = 0;
      for (float value : x) {
        uint32_t code = naive::nearestCode(term.format, value / scale);
        volatile float decoded = scale * term.format.decode(code);
        volatile float error = value - decoded;
        volatile float square = error * error;
        sum += square;
      }
      if (sum < least) {
        least = sum;
        best = scale;
      }
    }
    EXPECT_EQ(found, best) << seed;
  }
}

TEST(MseRule, NeverIsWorseThanAbsMax) {
  Shape shape{6, 64};
  Floats x = naive::randomTensor(shape, 8);
  x[5] = 9; // outliers are what the search clips
  x[100] = -12;
  for (Format format : {Format::integer(2), Format::integer(4), *namedCodebook("nf4")}) {
    double plain = errorOf(blockTerm(format, Choice::AbsMax), shape, x);
    double searched = errorOf(blockTerm(format, Choice::Mse), shape, x);
    EXPECT_LT(searched, plain) << format.str();
  }
}

TEST(MseRule, SearchesWithTheStoredScale) {
  // Scales of 1 and 4 only: 4 is the stored absmax scale, and 1 the better one.
  Quantized term =
      termOf(Format::integer(2), {{Format::codebook({1, 4}), Granularity::perTensor()}});
  term.rule.choice = Choice::Mse;
  term.rule.least = 0.1;
  Floats x{-1, 1, 1, -1, 1, 3};
  EXPECT_EQ(decode(term, {6}, encode(term, {6}, x.data())), (Floats{-1, 1, 1, -1, 1, 1}));
}

TEST(Rules, ParametersAreChecked) {
  Quantized term = blockTerm(Format::integer(4), Choice::Percentile);
  term.rule.percent = 0;
  EXPECT_EQ(*checkRule(term), "a percentile lies above 0 and is at most 100");
  term.rule.percent = std::nan("");
  EXPECT_TRUE(checkRule(term));
  term = blockTerm(Format::integer(4), Choice::Mse);
  term.rule.steps = 0;
  EXPECT_EQ(*checkRule(term), "an mse search takes 1 to 1024 steps, not 0");
  term.rule.steps = 1;
  term.rule.least = 1;
  EXPECT_TRUE(checkRule(term));
  term.scale.reset();
  term.rule = EncodeRule();
  term.rule.choice = Choice::AbsMax;
  EXPECT_EQ(*checkRule(term), "a rule chooses a scale, and this term has none");
}

//===----------------------------------------------------------------------===//
// Deep trees
//===----------------------------------------------------------------------===//

TEST(NestedScales, ThreeLevelsMultiplyFromTheOutside) {
  Shape shape{3, 70};
  Quantized term =
      termOf(Format::integer(4), {{Format::float32(), Granularity::perTensor()},
                                  {Format::float16(), Granularity::perBlock({1, 32})},
                                  {Format::unsignedInteger(6), Granularity::perBlock({1, 8})}});
  Floats x = naive::randomTensor(shape, 5);
  std::vector<Bytes> data = encode(term, shape, x.data());
  Floats back = decode(term, shape, data);
  size_t linear = 0;
  for (const naive::Index &index : naive::indicesOf(shape)) {
    EXPECT_EQ(back[linear], naive::valueAt(term, shape, data, index));
    EXPECT_NEAR(back[linear], x[linear], 0.4f);
    ++linear;
  }
  // The outermost takes the largest of what is inside to the top of each element's range.
  float peak = 0;
  for (float value : x)
    peak = std::max(peak, std::fabs(value));
  float outer = readF32(data[1]);
  EXPECT_EQ(outer, peak / 7.0f / 63.0f / 65504.0f);
}

TEST(NestedScales, AnOffsetIsTheMeanOfTheFactors) {
  Shape shape{1, 8};
  Quantized term = termOf(Format::integer(4), {{Format::float32(), Granularity::perBlock({1, 2})}});
  term.scale->offset = ScaleLevel{Format::float32(), Granularity::perTensor()};
  // Ideal scales 1, 2, 3 and 6: their mean is 3.
  Floats x{7, 0, 14, -1, 0, -21, 42, 3};
  std::vector<Bytes> data = encode(term, shape, x.data());
  EXPECT_EQ(readF32(data[2]), 3.0f);
  EXPECT_EQ(readF32(data[1], 0), -2.0f);
  EXPECT_EQ(readF32(data[1], 3), 3.0f);
  EXPECT_EQ(decode(term, shape, data), (Floats{7, 0, 14, 0, 0, -21, 42, 6 * 0.0f}));
}

TEST(NestedScales, AnIntegerOutsideMayLoseEverything) {
  // The scale of numbers below 1 rounds to zero, and the tensor with it.
  Quantized term =
      termOf(Format::integer(8), {{Format::unsignedInteger(8), Granularity::perTensor()}});
  Floats x{0.5f, -0.25f};
  EXPECT_EQ(decode(term, {2}, encode(term, {2}, x.data())), (Floats{0, 0}));
}

//===----------------------------------------------------------------------===//
// Rank 1
//===----------------------------------------------------------------------===//

Quantized rank1Term(Combiner combiner, double alpha = 0.0) {
  Quantized term = termOf(Format::integer(8), {});
  term.scale->rank1 = Rank1{Format::float32(), combiner, alpha};
  return term;
}

TEST(Rank1Scales, ProductCoversEveryElement) {
  Shape shape{9, 13};
  Floats x = naive::randomTensor(shape, 6);
  for (size_t j = 0; j < 13; ++j)
    x[4 * 13 + j] = 0; // a row of zeros
  std::vector<Bytes> data = encode(rank1Term(Combiner::Product), shape, x.data());
  for (size_t i = 0; i < 9; ++i) {
    float peak = 0;
    for (size_t j = 0; j < 13; ++j)
      peak = std::max(peak, std::fabs(x[i * 13 + j]));
    EXPECT_EQ(readF32(data[1], i), peak);
  }
  for (size_t j = 0; j < 13; ++j) {
    float peak = 0;
    for (size_t i = 0; i < 9; ++i)
      if (float row = readF32(data[1], i); row != 0)
        peak = std::max(peak, std::fabs(x[i * 13 + j]) / row);
    EXPECT_EQ(readF32(data[2], j), peak / 127.0f);
    for (size_t i = 0; i < 9; ++i)
      EXPECT_LE(std::fabs(x[i * 13 + j]),
                readF32(data[1], i) * readF32(data[2], j) * 127.0f * 1.000001f);
  }
}

TEST(Rank1Scales, PowersAreChainsOfRoots) {
  EXPECT_EQ(powerOf(3.7f, 65536), 3.7f);
  EXPECT_EQ(powerOf(3.7f, 0), 1.0f);
  EXPECT_EQ(powerOf(0.0f, 100), 0.0f);
  EXPECT_EQ(powerOf(3.7f, 32768), std::sqrt(3.7f));
  EXPECT_EQ(powerOf(3.7f, 0xc000), std::sqrt(3.7f) * std::sqrt(std::sqrt(3.7f)));
  EXPECT_EQ(powerDigits(0.5), 32768u);
  for (double alpha : {0.15, 0.3333, 0.5, 0.875})
    for (float x : {1e-20f, 0.3f, 5.0f, 1e30f}) {
      double exact = std::pow(static_cast<double>(x), powerDigits(alpha) / 65536.0);
      EXPECT_NEAR(powerOf(x, powerDigits(alpha)) / exact, 1.0, 2e-6);
    }
}

TEST(Rank1Scales, GeometricIsTheMeanInLogarithms) {
  Shape shape{7, 5};
  Floats x = naive::randomTensor(shape, 7);
  std::vector<Bytes> data = encode(rank1Term(Combiner::Geometric, 0.25), shape, x.data());
  for (size_t i = 0; i < 7; ++i)
    for (size_t j = 0; j < 5; ++j) {
      double row = 0, column = 0;
      for (size_t k = 0; k < 5; ++k)
        row = std::max<double>(row, std::fabs(x[i * 5 + k]));
      for (size_t k = 0; k < 7; ++k)
        column = std::max<double>(column, std::fabs(x[k * 5 + j]));
      double expected = std::pow(row, 0.25) * std::pow(column, 0.75) / 127;
      EXPECT_NEAR(readF32(data[1], i) * readF32(data[2], j) / expected, 1.0, 2e-6);
    }
  EXPECT_TRUE(check(rank1Term(Combiner::Geometric, -0.1), shape));
  EXPECT_TRUE(check(rank1Term(Combiner::Geometric, std::nan("")), shape));
}

} // namespace
