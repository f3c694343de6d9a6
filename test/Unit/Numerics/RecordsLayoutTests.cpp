//===- RecordsLayoutTests.cpp - Inner tiles with their scales -----------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RandomArrays.h"
#include "lowbit/Numerics/RecordsLayout.h"

#include "gtest/gtest.h"

using namespace lowbit::numerics;

namespace {

Quantized records(Format format, std::vector<ScaleLevel> levels = {}) {
  std::optional<Scale> scale;
  if (!levels.empty())
    scale = Scale{std::move(levels), {}, {}};
  return {std::move(format), scale, ZeroKind::None, {}, {}, recordsLayout()};
}

ScaleLevel level(Format element, Shape block) {
  return {std::move(element), Granularity::perBlock(std::move(block))};
}

TEST(RecordsLayout, RoundTrips) {
  for (Shape shape : {Shape{32, 64}, Shape{13, 131}, Shape{1, 1}, Shape{0, 8}, Shape{8, 0}})
    for (unsigned bits = 1; bits <= 8; ++bits)
      for (const Quantized &term :
           {records(Format::integer(bits), {level(Format::float16(), {1, 32})}),
            records(Format::unsignedInteger(bits),
                    {level(Format::float32(), {4, 96}), level(Format::unsignedInteger(6), {1, 48}),
                     level(Format::integer(12), {1, 16})})}) {
        ASSERT_EQ(check(term, shape), std::nullopt) << term.str();
        std::vector<Codes> arrays = randomArrays(term, shape);
        std::vector<Bytes> bytes = term.layout->pack(term, shape, arrays);
        std::vector<Component> components = term.layout->components(term, shape);
        ASSERT_EQ(bytes.size(), components.size());
        std::vector<const uint8_t *> data;
        for (size_t i = 0; i < bytes.size(); ++i) {
          EXPECT_EQ(static_cast<int64_t>(bytes[i].size()), components[i].bytes());
          data.push_back(bytes[i].data());
        }
        EXPECT_EQ(term.layout->unpack(term, shape, data), arrays) << term.str();
      }
}

TEST(RecordsLayout, ARecordHoldsCodesThenScales) {
  // 17 x 128, so that there are two groups of rows with two records each.
  Quantized term = records(Format::unsignedInteger(4), {level(Format::float16(), {1, 32})});
  Shape shape{17, 128};
  std::vector<Component> components = term.layout->components(term, shape);
  ASSERT_EQ(components.size(), 1u);
  EXPECT_EQ(components[0].name, "records");
  EXPECT_EQ(components[0].shape, (Shape{2, 2, 8 * 64 + 2 * 32}));
  std::vector<Codes> arrays{Codes(17 * 128), Codes(17 * 4)};
  arrays[0][16 * 128 + 64 + 13] = 5; // group 1, record 1: the second vector, field 1, column 1
  arrays[1][16 * 4 + 3] = 0x1234;    // the second block of that record
  Bytes expected(4 * 576);
  expected[3 * 576 + 64 + 1] = 5 << 4;
  expected[3 * 576 + 512 + 32] = 0x34;
  expected[3 * 576 + 512 + 33] = 0x12;
  EXPECT_EQ(term.layout->pack(term, shape, arrays)[0], expected);
}

TEST(RecordsLayout, LevelsOfMoreThanARecordStayApart) {
  Quantized term = records(
      Format::integer(2), {level(Format::float16(), {1, 256}), level(Format::integer(8), {1, 16})});
  std::vector<Component> components = term.layout->components(term, {32, 512});
  ASSERT_EQ(components.size(), 2u);
  EXPECT_EQ(components[0].shape, (Shape{2, 8, 4 * 64 + 4 * 16}));
  EXPECT_EQ(components[1].name, "scale.0");
  EXPECT_EQ(components[1].shape, (Shape{2, 2, 16}));
}

TEST(RecordsLayout, ARecordFillsCacheLines) {
  for (unsigned bits = 1; bits <= 8; ++bits)
    for (int64_t block : {8, 12, 16, 32, 48, 64}) {
      Quantized term =
          records(Format::integer(bits), {level(Format::unsignedInteger(8), {1, block})});
      Record record = recordOf(term, {16, 4096});
      EXPECT_EQ(record.bytes % 64, 0);
      EXPECT_GE(record.columns, 64);
      EXPECT_LE(record.columns, 256);
    }
}

TEST(RecordsLayout, WhatDoesNotFitIsSaid) {
  EXPECT_EQ(*check(records(Format::unsignedInteger(4)), {8}),
            "layout records holds tensors of 2 axes, not 1");
}

} // namespace
