//===- LearnedTests.cpp - Levels that are stored with the tensor --------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Half.h"
#include "lowbit/Numerics/Reference.h"

#include "gtest/gtest.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

using namespace lowbit::numerics;

namespace {

Quantized learned(unsigned bits, Granularity granularity) {
  Quantized term{Format::learned(bits), std::nullopt, ZeroKind::None, std::nullopt, {}, {}};
  term.levels = ScaleLevel{Format::float32(), std::move(granularity)};
  return term;
}

double squaredError(const std::vector<float> &x, const std::vector<float> &y) {
  double sum = 0.0;
  for (size_t i = 0; i < x.size(); ++i)
    sum += (double(x[i]) - y[i]) * (double(x[i]) - y[i]);
  return sum;
}

std::vector<float> roundTrip(const Quantized &term, const Shape &shape,
                             const std::vector<float> &x) {
  return decode(term, shape, encode(term, shape, x.data()));
}

/// The bytes of f32 levels.
Bytes bytesOfLevels(const std::vector<float> &levels) {
  Bytes bytes;
  for (float level : levels)
    for (unsigned shift = 0; shift < 32; shift += 8)
      bytes.push_back(static_cast<uint8_t>(bitsOfFloat(level) >> shift));
  return bytes;
}

/// The least sum of squared errors of `x`, sorted, from [begin, end) on in `count` clusters.
double bruteForce(const std::vector<float> &x, size_t begin, unsigned count) {
  if (begin == x.size())
    return 0.0;
  if (count == 0)
    return std::numeric_limits<double>::infinity();
  double best = std::numeric_limits<double>::infinity();
  for (size_t end = begin + 1; end <= x.size(); ++end) {
    double mean = 0.0, cost = 0.0;
    for (size_t i = begin; i < end; ++i)
      mean += x[i] / double(end - begin);
    for (size_t i = begin; i < end; ++i)
      cost += (x[i] - mean) * (x[i] - mean);
    best = std::min(best, cost + bruteForce(x, end, count - 1));
  }
  return best;
}

TEST(LearnedLevels, AreOptimal) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (int64_t n : {1, 2, 3, 5, 9, 13})
    for (unsigned bits : {1u, 2u})
      for (int trial = 0; trial < 10; ++trial) {
        std::vector<float> x(static_cast<size_t>(n));
        for (float &value : x)
          value = trial % 2 ? normal(random) : std::round(2 * normal(random));
        double error = squaredError(x, roundTrip(learned(bits, Granularity::perTensor()), {n}, x));
        std::sort(x.begin(), x.end());
        EXPECT_NEAR(error, bruteForce(x, 0, 1u << bits), 1e-6) << n << " values, " << bits;
      }
}

TEST(LearnedLevels, OfManyValuesComeCloseToLloydMax) {
  // A standard Gaussian in 4 bits: distortion 0.009497 (Max 1960, table I).
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::vector<float> x(200000);
  for (float &value : x)
    value = normal(random);
  Shape shape{static_cast<int64_t>(x.size())};
  double error = squaredError(x, roundTrip(learned(4, Granularity::perTensor()), shape, x));
  EXPECT_NEAR(error / static_cast<double>(x.size()), 0.009497, 1e-4);
}

TEST(LearnedLevels, KeepAsManyValuesAsThereAreLevels) {
  std::vector<float> x{3, -1, 0.5f, 3, 7, -1, 0.5f, 0.5f};
  EXPECT_EQ(roundTrip(learned(2, Granularity::perTensor()), {2, 4}, x), x);
  EXPECT_EQ(roundTrip(learned(3, Granularity::perTensor()), {2, 4}, x), x);
}

TEST(LearnedLevels, AreFoundBesideAValueOfAnotherScale) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> inliers(13);
  for (float &value : inliers)
    value = normal(random);
  std::vector<float> sorted = inliers;
  std::sort(sorted.begin(), sorted.end());
  for (float outlier : {1e9f, -1e9f, 3e38f, -3e38f}) {
    std::vector<float> x = inliers;
    x.push_back(outlier);
    double error = squaredError(x, roundTrip(learned(2, Granularity::perTensor()), {14}, x));
    EXPECT_NEAR(error, bruteForce(sorted, 0, 3), 1e-6) << outlier;
  }
}

TEST(LearnedLevels, OfAGridAreTheGrid) {
  // More values than there are places for borders, few of them different.
  std::vector<float> x(20000);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(i % 7 == 0 ? i % 16 : 0) - 3.0f;
  EXPECT_EQ(roundTrip(learned(4, Granularity::perTensor()), {20000}, x), x);
}

TEST(LearnedLevels, AreEachBlocksOwn) {
  std::vector<float> x{1, 2, 10, 20, 5, 6, -1, -2, 0, 0};
  EXPECT_EQ(roundTrip(learned(1, Granularity::perBlock({1, 2})), {2, 5}, x), x);
}

TEST(LearnedLevels, LeaveOutInfinitiesAndTakeNaNAsZero) {
  float infinity = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  std::vector<float> x{1, infinity, nan, 4, -infinity};
  std::vector<float> expected{0.5f, 4, 0.5f, 4, 0.5f};
  EXPECT_EQ(roundTrip(learned(1, Granularity::perTensor()), {5}, x), expected);
  EXPECT_EQ(roundTrip(learned(1, Granularity::perTensor()), {2}, {nan, infinity}),
            (std::vector<float>{0, 0}));
}

TEST(LearnedLevels, TiesGoToTheEvenCode) {
  // Four levels that learning keeps, and the points between them.
  Quantized term = learned(2, Granularity::perTensor());
  std::vector<float> levels{0, 2, 4, 6};
  std::vector<float> x{0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6};
  EXPECT_EQ(encode(term, {16}, x.data())[1], bytesOfLevels(levels));
  // Levels 0, 1, 2, 3 are those of four clusters each of one point, whose mean is the level.
  std::vector<float> pairs{-1, 1, 9, 11, 19, 21, 29, 31};
  std::vector<Bytes> encoded = encode(term, {8}, pairs.data());
  EXPECT_EQ(encoded[1], bytesOfLevels({0, 10, 20, 30}));
  EXPECT_EQ(encoded[0], (Bytes{0b01010000, 0b11111010}));
}

TEST(LearnedLevels, DecodeInAnyOrder) {
  Quantized term = learned(2, Granularity::perTensor());
  std::vector<Bytes> data{{0b00011011}, bytesOfLevels({5, -1, 5, 8})};
  EXPECT_EQ(decode(term, {4}, data), (std::vector<float>{8, 5, -1, 5}));
}

TEST(LearnedLevels, AreChecked) {
  Quantized term = learned(4, Granularity::perAxis(2));
  EXPECT_EQ(*check(term, {8, 8}), "a table of levels is per axis 2, but the tensor has rank 2");
  term.levels->granularity = Granularity::perTensor();
  EXPECT_FALSE(check(term, {8, 8}));
  EXPECT_EQ(term.str(), "learned<4, f32 per tensor>");
  term.levels->element = Format::integer(8);
  EXPECT_EQ(*check(term, {8, 8}), "learned levels are f16, bf16 or f32, not int<8>");
  term.levels.reset();
  EXPECT_EQ(*check(term, {8, 8}),
            "a learned format, and no other, has levels that are stored with the tensor");
}

} // namespace
