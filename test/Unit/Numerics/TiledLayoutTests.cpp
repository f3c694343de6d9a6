//===- TiledLayoutTests.cpp - Inner tiles of 16 rows x 4 columns --------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RandomArrays.h"
#include "lowbit/Numerics/TiledLayout.h"

#include "gtest/gtest.h"

using namespace lowbit::numerics;

namespace {

Quantized tiled(Format format, std::vector<ScaleLevel> levels = {}) {
  std::optional<Scale> scale;
  if (!levels.empty())
    scale = Scale{std::move(levels), {}, {}};
  return {std::move(format), scale, ZeroKind::None, {}, {}, tiledLayout()};
}

ScaleLevel level(Format element, Shape block) {
  return {std::move(element), Granularity::perBlock(std::move(block))};
}

std::vector<const uint8_t *> pointersTo(const std::vector<Bytes> &bytes) {
  std::vector<const uint8_t *> data;
  for (const Bytes &component : bytes)
    data.push_back(component.data());
  return data;
}

TEST(TiledLayout, RoundTrips) {
  for (Shape shape : {Shape{32, 64}, Shape{13, 131}, Shape{1, 1}, Shape{0, 8}, Shape{8, 0}})
    for (unsigned bits = 1; bits <= 8; ++bits)
      for (const Quantized &term :
           {tiled(Format::integer(bits), {level(Format::float16(), {1, 32})}),
            tiled(Format::unsignedInteger(bits),
                  {level(Format::float32(), {4, 64}), level(Format::unsignedInteger(6), {1, 32}),
                   level(Format::integer(12), {1, 16})})}) {
        ASSERT_EQ(check(term, shape), std::nullopt) << term.str();
        std::vector<Codes> arrays = randomArrays(term, shape);
        std::vector<Bytes> bytes = term.layout->pack(term, shape, arrays);
        std::vector<Component> components = term.layout->components(term, shape);
        ASSERT_EQ(bytes.size(), components.size());
        for (size_t i = 0; i < bytes.size(); ++i)
          EXPECT_EQ(static_cast<int64_t>(bytes[i].size()), components[i].bytes());
        EXPECT_EQ(term.layout->unpack(term, shape, pointersTo(bytes)), arrays) << term.str();
      }
}

TEST(TiledLayout, ATileIsFourCodesOfSixteenRows) {
  // Codes 8 row + column of 2 x 8, scales 100 (row + 1) + block.
  Quantized term = tiled(Format::integer(4), {level(Format::float16(), {1, 4})});
  std::vector<Codes> arrays{Codes(16), {100, 101, 200, 201}};
  for (uint32_t i = 0; i < 16; ++i)
    arrays[0][i] = i;
  std::vector<Bytes> bytes = term.layout->pack(term, {2, 8}, arrays);
  Bytes codes(64), scales(64);
  // Of row 0, then of row 1; columns 4 to 7 in the high nibbles; the sign bits flipped.
  for (auto [i, byte] : {std::pair(0, 0xc8), {1, 0xd9}, {2, 0xea}, {3, 0xfb}})
    codes[i] = static_cast<uint8_t>(byte);
  for (auto [i, byte] : {std::pair(4, 0x40), {5, 0x51}, {6, 0x62}, {7, 0x73}})
    codes[i] = static_cast<uint8_t>(byte);
  for (auto [i, byte] : {std::pair(0, 100), {2, 200}, {32, 101}, {34, 201}})
    scales[i] = static_cast<uint8_t>(byte);
  EXPECT_EQ(bytes[0], codes);
  EXPECT_EQ(bytes[1], scales);
}

TEST(TiledLayout, PlanesHaveVectorsOfTheirOwn) {
  Quantized term = tiled(Format::unsignedInteger(3));
  Shape shape{17, 32};
  std::vector<Component> components = term.layout->components(term, shape);
  ASSERT_EQ(components.size(), 2u);
  EXPECT_EQ(components[0].name, "codes.0");
  EXPECT_EQ(components[0].shape, (Shape{2, 2, 64}));
  EXPECT_EQ(components[1].shape, (Shape{2, 1, 64}));
  std::vector<Codes> arrays{Codes(17 * 32)};
  arrays[0][16 * 32 + 21] = 5; // the first row of group 1, column 1 of its sixth quad
  std::vector<Bytes> bytes = term.layout->pack(term, shape, arrays);
  Bytes low(256), high(128);
  low[128 + 64 + 1] = 1 << 2; // in vector 1 of group 1, field 1 of width 2
  high[64 + 1] = 1 << 5;      // in vector 0 of group 1, field 5 of width 1
  EXPECT_EQ(bytes[0], low);
  EXPECT_EQ(bytes[1], high);
}

TEST(TiledLayout, BitsBeyondACodeOfALevelAreIgnored) {
  Quantized term = tiled(Format::unsignedInteger(8), {level(Format::unsignedInteger(6), {1, 4})});
  Bytes codes(64), scales(16, 0xff);
  EXPECT_EQ(term.layout->unpack(term, {1, 4}, {codes.data(), scales.data()})[1], Codes{63});
}

TEST(TiledLayout, WhatDoesNotFitIsSaid) {
  EXPECT_EQ(*check(tiled(Format::unsignedInteger(4)), {8}),
            "layout tiled holds tensors of 2 axes, not 1");
  EXPECT_EQ(*check(tiled(Format::unsignedInteger(4)), {8, 8, 8}),
            "layout tiled holds tensors of 2 axes, not 3");
  EXPECT_EQ(*check(tiled(Format::unsignedInteger(9)), {8, 8}),
            "layout tiled holds codes of up to 8 bits whose levels are not data, not uint<9>");
  EXPECT_NE(check(tiled(Format::float16()), {8, 8}), std::nullopt);
  Quantized rank1 = tiled(Format::unsignedInteger(4));
  rank1.scale = Scale{{}, Rank1{Format::float32()}, {}};
  EXPECT_EQ(*check(rank1, {8, 8}), "layout tiled holds scales by blocks, not rank1");
}

} // namespace
