//===- SparseTests.cpp - Outliers, CSR and sums -------------------------===//
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

TEST(Sum, BaseSeesZerosAndSparseStoresTheRest) {
  Quantized base{
      Format::integer(3),
      Scale{{{Format::float16(), Granularity::perBlock({1, 8})}}, std::nullopt, std::nullopt},
      ZeroKind::None,
      std::nullopt,
      {},
      nullptr};
  Sparse sparse{Format::float16(), 0.05};
  Shape shape{6, 20};
  Floats x = naive::randomTensor(shape, 3);
  x[17] = 50.0f;
  std::vector<Bytes> data = encodeSum(base, sparse, shape, x.data());

  Indices outliers = chosen(x, 6);
  Floats inliers = x;
  for (int64_t index : outliers)
    inliers[static_cast<size_t>(index)] = 0.0f;
  std::vector<Bytes> baseData = encode(base, shape, inliers.data());
  ASSERT_EQ(data.size(), baseData.size() + 3);
  EXPECT_TRUE(std::equal(baseData.begin(), baseData.end(), data.begin()));

  Floats decoded = decode(base, shape, baseData), expected = decoded;
  Format half = Format::float16();
  for (int64_t index : outliers) {
    size_t i = static_cast<size_t>(index);
    expected[i] = decoded[i] + half.decode(half.encode(x[i] - decoded[i]));
  }
  addSparse(sparse, shape, pointersTo(data, baseData.size()), decoded.data());
  EXPECT_EQ(decoded, expected);
  EXPECT_NEAR(decoded[17], 50.0f, 0.02f);
}

TEST(Sum, RemainderIsNotZeroWithoutAZeroLevel) {
  // The base cannot say zero, so the sparse term corrects what it says instead.
  Quantized base{Format::codebook({-1.0f, 1.0f}),
                 Scale{{{Format::float32(), Granularity::perTensor()}}, std::nullopt, std::nullopt},
                 ZeroKind::None,
                 std::nullopt,
                 {},
                 nullptr};
  Floats x{0.5f, -0.5f, 8.0f, 0.5f};
  std::vector<Bytes> data = encodeSum(base, Sparse{Format::float32(), 0.25}, {2, 2}, x.data());
  Floats decoded = decode(base, {2, 2}, {data[0], data[1]});
  addSparse(Sparse{Format::float32(), 0.25}, {2, 2}, pointersTo(data, 2), decoded.data());
  EXPECT_EQ(decoded, x);
}

} // namespace
