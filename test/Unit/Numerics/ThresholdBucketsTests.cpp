//===- ThresholdBucketsTests.cpp ------------------------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Codebooks.h"
#include "lowbit/Numerics/Half.h"
#include "lowbit/Numerics/ThresholdBuckets.h"

#include "gtest/gtest.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace lowbit::numerics;

namespace {

uint32_t searchRank(const std::vector<float> &thresholds, float x) {
  return std::upper_bound(thresholds.begin(), thresholds.end(), x) - thresholds.begin();
}

/// Both are constant between thresholds, borders of buckets and the limits that magnitudes are
/// brought to, so that equal ranks there and next to it are equal ranks everywhere.
void expectRanks(const std::vector<float> &thresholds, const ThresholdBuckets &buckets) {
  std::vector<uint32_t> magnitudes = {0, 0x7f800000, buckets.least, buckets.least + buckets.span};
  for (uint64_t bits = 0; bits < 0x7f800000; bits += uint64_t(1) << buckets.shift)
    magnitudes.push_back(static_cast<uint32_t>(bits));
  for (float threshold : thresholds)
    magnitudes.push_back(bitsOfFloat(std::fabs(threshold)));
  for (uint32_t magnitude : magnitudes)
    for (int64_t bits = int64_t(magnitude) - 2; bits <= int64_t(magnitude) + 2; ++bits) {
      if (bits < 0 || bits > 0x7f800000)
        continue;
      float x = floatOfBits(static_cast<uint32_t>(bits));
      ASSERT_EQ(buckets.rank(x), searchRank(thresholds, x)) << x;
      ASSERT_EQ(buckets.rank(-x), searchRank(thresholds, -x)) << -x;
    }
}

struct Table {
  const char *name;
  std::vector<double> arguments;
  bool isSigned;
};

TEST(ThresholdBuckets, RanksOfCodebooks) {
  const Table tables[] = {{"dynamic", {8}, true},         {"dynamic_unsigned", {8}, false},
                          {"dynamic", {4}, true},         {"dynamic_nonzero", {8}, false},
                          {"linear_nonzero", {8}, false}, {"linear_unsigned", {8}, false},
                          {"linear", {8}, true},          {"nf4", {}, true},
                          {"log2", {8, 16}, false},       {"log2_signed", {8, 16}, true},
                          {"gaussian", {6}, true},        {"apot", {6}, true},
                          {"softsign", {8}, true},        {"sqrt", {8}, false},
                          {"sqrt_nonzero", {8}, false}};
  for (const Table &table : tables) {
    SCOPED_TRACE(table.name);
    auto format = namedCodebook(table.name, table.arguments);
    ASSERT_TRUE(format);
    auto buckets = ThresholdBuckets::create(format->thresholds(), 4096);
    ASSERT_TRUE(buckets);
    EXPECT_EQ(buckets->isSigned(), table.isSigned);
    EXPECT_LE(buckets->words.size(), 4096u);
    expectRanks(format->thresholds(), *buckets);
  }
}

TEST(ThresholdBuckets, RanksOfMinifloats) {
  for (Minifloat parameters : {Minifloat{4, 3, 7, true, SpecialCodes::FN},
                               Minifloat{5, 2, 15, true, SpecialCodes::IEEE}}) {
    std::vector<float> thresholds = Format::minifloat(parameters).thresholds();
    auto buckets = ThresholdBuckets::create(thresholds, 4096);
    ASSERT_TRUE(buckets);
    expectRanks(thresholds, *buckets);
  }
}

TEST(ThresholdBuckets, ThresholdsOnBordersOfBuckets) {
  for (std::vector<float> thresholds : {std::vector<float>{0.5f, 1.0f, 2.0f},
                                        {-2.0f, -1.0f, -0.5f},
                                        {-1.0f, 1.0f},
                                        {1.0f},
                                        {-4.0f, std::nextafter(-4.0f, 0.0f), 0.25f}}) {
    auto buckets = ThresholdBuckets::create(thresholds, 4096);
    ASSERT_TRUE(buckets);
    expectRanks(thresholds, *buckets);
  }
}

TEST(ThresholdBuckets, NaNIsZero) {
  for (std::vector<float> thresholds : {std::vector<float>{0.5f, 1.0f},
                                        {-0.5f, 0.5f},
                                        {-1.0f, 0.0f, 1.0f},
                                        {0.0f},
                                        {-0.0f, 3.0f}}) {
    auto buckets = ThresholdBuckets::create(thresholds, 4096);
    ASSERT_TRUE(buckets);
    expectRanks(thresholds, *buckets);
    for (uint32_t bits : {0x7f800001u, 0x7fc00000u, 0x7fffffffu, 0xff800001u, 0xffffffffu})
      EXPECT_EQ(buckets->rank(floatOfBits(bits)), searchRank(thresholds, 0.0f)) << bits;
  }
}

TEST(ThresholdBuckets, NothingWhereThereAreTooMany) {
  EXPECT_FALSE(ThresholdBuckets::create({}, 4096));
  float one = 1.0f, next = std::nextafter(one, 2.0f);
  EXPECT_FALSE(ThresholdBuckets::create({next, std::nextafter(next, 2.0f)}, 4096));
}

} // namespace
