//===- PackingTests.cpp - Codes to bytes and back -----------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Packing.h"

#include "gtest/gtest.h"

#include <algorithm>
#include <numeric>
#include <random>

using namespace lowbit::numerics;

namespace {

std::vector<unsigned> widths(unsigned bits) {
  std::vector<unsigned> list;
  for (Plane plane : planesOf(bits))
    list.push_back(plane.width);
  return list;
}

TEST(Planes, SplitLowBitsFirst) {
  using List = std::vector<unsigned>;
  EXPECT_EQ(widths(1), (List{1}));
  EXPECT_EQ(widths(2), (List{2}));
  EXPECT_EQ(widths(3), (List{2, 1}));
  EXPECT_EQ(widths(4), (List{4}));
  EXPECT_EQ(widths(5), (List{4, 1}));
  EXPECT_EQ(widths(6), (List{4, 2}));
  EXPECT_EQ(widths(7), (List{4, 2, 1}));
  EXPECT_EQ(widths(8), (List{8}));
  EXPECT_EQ(widths(16), (List{16}));
  EXPECT_EQ(planesOf(7)[2].shift, 6u);
}

/// Bit `bit` of code `j` of a row, read straight from the definition of a plane.
unsigned storedBit(const std::vector<Bytes> &planes, unsigned bits, int64_t row, int64_t columns,
                   int64_t j, unsigned bit) {
  std::vector<Plane> list = planesOf(bits);
  for (size_t i = 0; i < list.size(); ++i) {
    if (bit >= list[i].shift + list[i].width)
      continue;
    int64_t pitch = (columns * list[i].width + 7) / 8;
    int64_t position = j * list[i].width + (bit - list[i].shift);
    return planes[i][static_cast<size_t>(row * pitch + position / 8)] >> (position % 8) & 1;
  }
  return 2;
}

class PackedBits : public testing::TestWithParam<unsigned> {};

TEST_P(PackedBits, RoundTripAtEveryLength) {
  unsigned bits = GetParam();
  std::mt19937 random(bits);
  for (int64_t columns : {1, 2, 3, 5, 7, 8, 9, 31, 32, 33}) {
    Shape shape{2, 3, columns};
    std::vector<uint8_t> codes(static_cast<size_t>(6 * columns));
    for (uint8_t &code : codes)
      code = static_cast<uint8_t>(random() & ((1u << bits) - 1));
    std::vector<Bytes> planes = packTensor(codes.data(), shape, bits);

    int64_t usedBits = 0, setBits = 0, storedOnes = 0;
    for (int64_t row = 0; row < 6; ++row)
      for (int64_t j = 0; j < columns; ++j)
        for (unsigned bit = 0; bit < bits; ++bit, ++usedBits) {
          unsigned expected = codes[static_cast<size_t>(row * columns + j)] >> bit & 1;
          setBits += expected;
          ASSERT_EQ(storedBit(planes, bits, row, columns, j, bit), expected);
        }
    for (const Bytes &plane : planes)
      for (uint8_t byte : plane)
        storedOnes += __builtin_popcount(byte);
    EXPECT_EQ(storedOnes, setBits) << "unused bits are zero";

    std::vector<const uint8_t *> pointers;
    for (const Bytes &plane : planes)
      pointers.push_back(plane.data());
    std::vector<uint8_t> narrow(codes.size(), 0xff);
    unpackTensor(pointers.data(), shape, bits, narrow.data());
    EXPECT_EQ(narrow, codes);
    std::vector<uint32_t> wide(codes.size(), ~0u), wideCodes(codes.begin(), codes.end());
    unpackTensor(pointers.data(), shape, bits, wide.data());
    EXPECT_EQ(wide, wideCodes);
    EXPECT_EQ(packTensor(wideCodes.data(), shape, bits), planes);
  }
}

INSTANTIATE_TEST_SUITE_P(Numerics, PackedBits, testing::Range(1u, 9u));

TEST(Planes, WideElementsAreLittleEndian) {
  std::vector<uint32_t> codes{0x01020304, 0xa0b0c0d0};
  EXPECT_EQ(packTensor(codes.data(), {2}, 32)[0],
            (Bytes{0x04, 0x03, 0x02, 0x01, 0xd0, 0xc0, 0xb0, 0xa0}));
  std::vector<uint32_t> halves{0x3c00, 0x8001};
  EXPECT_EQ(packTensor(halves.data(), {2}, 16)[0], (Bytes{0x00, 0x3c, 0x01, 0x80}));
}

TEST(Planes, EmptyTensor) {
  std::vector<uint8_t> none;
  EXPECT_EQ(packTensor(none.data(), {0, 5}, 3), (std::vector<Bytes>{{}, {}}));
  EXPECT_EQ(packTensor(none.data(), {5, 0}, 4), (std::vector<Bytes>{{}}));
}

} // namespace
