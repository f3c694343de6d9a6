//===- SparseTests.cpp - What sparse and narrow terms keep ------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Naive.h"

#include "lowbit/Numerics/Half.h"

#include "gtest/gtest.h"

#include <algorithm>
#include <cstring>
#include <limits>

using namespace lowbit::numerics;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();
using Floats = std::vector<float>;
using Indices = std::vector<int64_t>;

Indices chosen(const Floats &x, int64_t count) {
  return chooseOutliers(x.data(), static_cast<int64_t>(x.size()), count);
}

std::vector<int32_t> integers(const Bytes &bytes) {
  std::vector<int32_t> values(bytes.size() / 4);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::vector<const uint8_t *> pointersTo(const std::vector<Bytes> &data, size_t first = 0) {
  std::vector<const uint8_t *> pointers;
  for (size_t i = first; i < data.size(); ++i)
    pointers.push_back(data[i].data());
  return pointers;
}

TEST(Outliers, LargestMagnitudesInIndexOrder) {
  EXPECT_EQ(chosen({1, -5, 2, 4, -3}, 2), (Indices{1, 3}));
  EXPECT_EQ(chosen({1, -5, 2, 4, -3}, 0), Indices{});
  EXPECT_EQ(chosen({1, -5, 2, 4, -3}, 5), (Indices{0, 1, 2, 3, 4}));
  EXPECT_EQ(chosen({2, 2, -2, 2, 3}, 3), (Indices{0, 1, 4})) << "ties by lower index";
  EXPECT_EQ(chosen({infinity, nan, -infinity, nan}, 2), (Indices{1, 3})) << "NaN first";
  EXPECT_EQ(chosen({infinity, 1, -infinity, nan}, 2), (Indices{0, 3}));
  EXPECT_EQ(chosen({1, floatOfBits(0x7fc00000), floatOfBits(0x7fffffff)}, 1), (Indices{1}))
      << "every NaN is as large as every other";
  EXPECT_EQ(outlierCount(0.01, 199), 1);
  EXPECT_EQ(outlierCount(1.0, 7), 7);
}

TEST(Outliers, EqualAFullSort) {
  Floats x = naive::randomTensor({2000}, 1);
  for (float &value : x)
    value = std::round(value * 8); // many ties
  Indices sorted(x.size());
  for (size_t i = 0; i < x.size(); ++i)
    sorted[i] = static_cast<int64_t>(i);
  std::sort(sorted.begin(), sorted.end(), [&](int64_t a, int64_t b) {
    float left = std::fabs(x[static_cast<size_t>(a)]), right = std::fabs(x[static_cast<size_t>(b)]);
    return left > right || (left == right && a < b);
  });
  sorted.resize(137);
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(chosen(x, 137), sorted);
}

TEST(Sparse, CsrOfTheOutliers) {
  Sparse term{Format::float32(), 0.25};
  Shape shape{3, 4};
  Floats x{0, 9, 0, -8, 1, 1, 1, 1, 7, 0, 0, 1};
  std::vector<Bytes> data = encodeSparse(term, shape, x.data());
  EXPECT_EQ(integers(data[0]), (std::vector<int32_t>{0, 2, 2, 3}));
  EXPECT_EQ(integers(data[1]), (std::vector<int32_t>{1, 3, 0}));
  std::vector<Component> list = components(term, shape, 3);
  for (size_t i = 0; i < list.size(); ++i)
    EXPECT_EQ(static_cast<int64_t>(data[i].size()), list[i].bytes());

  Floats dense(12, nan);
  decodeSparse(term, shape, pointersTo(data), dense.data());
  EXPECT_EQ(dense, (Floats{0, 9, 0, -8, 0, 0, 0, 0, 7, 0, 0, 0}));
  Floats sum(12, -0.0f);
  addSparse(term, shape, pointersTo(data), sum.data());
  EXPECT_EQ(sum, dense);
  EXPECT_FALSE(std::signbit(sum[0])) << "positions without an entry add +0";
}

TEST(Sparse, ChecksEntriesFromOutside) {
  Shape shape{2, 4};
  auto accepted = [&](std::vector<int32_t> positions, std::vector<int32_t> columns) {
    return !checkEntries(shape, positions.data(), columns.data(),
                         static_cast<int64_t>(columns.size()));
  };
  EXPECT_TRUE(accepted({0, 1, 3}, {3, 0, 2}));
  EXPECT_FALSE(accepted({1, 1, 3}, {3, 0, 2}));
  EXPECT_FALSE(accepted({0, 1, 2}, {3, 0, 2}));
  EXPECT_FALSE(accepted({0, 4, 3}, {3, 0, 2}));
  EXPECT_FALSE(accepted({0, 1, 3}, {4, 0, 2}));
  EXPECT_FALSE(accepted({0, 1, 3}, {-1, 0, 2}));
  EXPECT_FALSE(accepted({0, 1, 3}, {3, 2, 2}));
}

TEST(Sparse, RefusesWhatIsNotATerm) {
  EXPECT_FALSE(check(Sparse{Format::float16(), 0.5}, {2, 3}));
  EXPECT_TRUE(check(Sparse{Format::float16(), 1.5}, {2, 3}));
  EXPECT_TRUE(check(Sparse{Format::float16(), nan}, {2, 3}));
  EXPECT_TRUE(check(Sparse{Format::integer(4), 0.5}, {2, 3}));
  EXPECT_TRUE(check(Sparse{Format::float16(), 0.5}, {6}));
}

TEST(NOfM, LargestOfTheGroupInOrder) {
  Floats x{1, -3, 3, 2};
  EXPECT_EQ(chooseOfGroup(x.data(), 4, 2), (Indices{1, 2}));
  EXPECT_EQ(chooseOfGroup(x.data(), 4, 1), (Indices{1})) << "the lower of equals";
  Floats special{infinity, nan, 4, -infinity};
  EXPECT_EQ(chooseOfGroup(special.data(), 4, 2), (Indices{0, 1}));
}

TEST(BlockSparse, BlocksOfLargestEnergy) {
  // Blocks of 1 x 2: 0 and 3 have energy 25, 1 has 26, 2 has nothing but a NaN.
  Floats x{3, 4, 5, 1, nan, 0, 0, 5};
  EXPECT_EQ(chooseBlocks(x.data(), {2, 4}, {1, 2}, 1), (Indices{1}));
  EXPECT_EQ(chooseBlocks(x.data(), {2, 4}, {1, 2}, 2), (Indices{0, 1}));
  EXPECT_EQ(chooseBlocks(x.data(), {2, 4}, {1, 2}, 3), (Indices{0, 1, 3}));
  // Blocks of 2 x 2.
  EXPECT_EQ(chooseBlocks(x.data(), {2, 4}, {2, 2}, 1), (Indices{1}));
}

TEST(Permuted, FallingMagnitude) {
  Floats x{1, -5, 2, 5, 0, 0, -7, 0};
  using Order = std::vector<int32_t>;
  EXPECT_EQ(orderByMagnitude(x.data(), {2, 4}, 1, 1), (Order{3, 1, 0, 2}));
  EXPECT_EQ(orderByMagnitude(x.data(), {2, 4}, 0, 1), (Order{1, 0}));
  EXPECT_EQ(orderByMagnitude(x.data(), {2, 4}, 1, 2), (Order{1, 0}));
  EXPECT_EQ(orderByMagnitude(x.data(), {8}, 0, 4), (Order{1, 0}));
}

TEST(LowRank, FactorsOfAKnownDecomposition) {
  // 2 * u1 v1' + 0.5 * u2 v2' with orthonormal u and v.
  float h = std::sqrt(0.5f);
  Floats x{2 * h * 0.6f, 2 * h * 0.8f, 0, -2 * h * 0.6f, -2 * h * 0.8f, 0, 0, 0, 0.5f};
  Floats left(6), right(6), product(9);
  factorize(x.data(), 3, 3, 2, left.data(), right.data());
  float outer = std::sqrt(2.0f), inner = std::sqrt(0.5f);
  Floats wantedLeft{outer * h, 0, -outer * h, 0, 0, inner};
  Floats wantedRight{outer * 0.6f, outer * 0.8f, 0, 0, 0, inner};
  // Of two components as large as each other either may be the positive one.
  float sign = left[0] < 0 ? -1.0f : 1.0f;
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(left[i] * (i % 2 == 0 ? sign : 1), wantedLeft[i], 1e-6f) << i;
    EXPECT_NEAR(right[i] * (i < 3 ? sign : 1), wantedRight[i], 1e-6f) << i;
  }
  multiplyFactors(left.data(), right.data(), 3, 3, 2, product.data());
  for (size_t i = 0; i < 9; ++i)
    EXPECT_NEAR(product[i], x[i], 1e-6f);

  // One factor fewer leaves the smaller singular value; more than there are stay zero.
  Floats narrowLeft(3), narrowRight(3), wideLeft(15, nan), wideRight(15, nan);
  factorize(x.data(), 3, 3, 1, narrowLeft.data(), narrowRight.data());
  multiplyFactors(narrowLeft.data(), narrowRight.data(), 3, 3, 1, product.data());
  float rest = 0;
  for (size_t i = 0; i < 9; ++i)
    rest += (product[i] - x[i]) * (product[i] - x[i]);
  EXPECT_NEAR(std::sqrt(rest), 0.5f, 1e-6f);
  factorize(x.data(), 3, 3, 5, wideLeft.data(), wideRight.data());
  EXPECT_EQ(wideLeft[4], 0.0f);
  EXPECT_EQ(wideRight[12], 0.0f);
}

TEST(LowRank, EverySumInOrder) {
  // (1e8 + 1) - 1e8 is 0 in f32, 1 in any other order.
  Floats left{1e8f, 1.0f, -1e8f}, right{1, 1, 1}, product(1);
  multiplyFactors(left.data(), right.data(), 1, 1, 3, product.data());
  EXPECT_EQ(product[0], 0.0f);
}

} // namespace
