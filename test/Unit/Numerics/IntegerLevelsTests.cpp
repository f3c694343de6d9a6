//===- IntegerLevelsTests.cpp - Formats whose levels are small integers -===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/IntegerLevels.h"

#include "lowbit/Numerics/Codebooks.h"
#include "lowbit/Numerics/Minifloat.h"
#include "gtest/gtest.h"

using namespace lowbit::numerics;

namespace {

/// The unsigned byte that a contraction sees for a stored code.
uint32_t byteOf(const Format &format, const IntegerLevels &levels, uint32_t code) {
  if (!levels.table.empty())
    return levels.table[code];
  return format.kind() == FormatKind::Int ? code ^ 1u << (format.bits() - 1) : code;
}

void expectEveryLevel(const Format &format, float factor, int32_t offset, bool hasTable) {
  std::optional<IntegerLevels> levels = integerLevelsOf(format);
  ASSERT_NE(levels, std::nullopt) << format.str();
  EXPECT_EQ(levels->factor, factor) << format.str();
  EXPECT_EQ(levels->offset, offset) << format.str();
  EXPECT_EQ(!levels->table.empty(), hasTable) << format.str();
  for (uint32_t code = 0; code < 1u << format.bits(); ++code) {
    int32_t integer = static_cast<int32_t>(byteOf(format, *levels, code)) - levels->offset;
    EXPECT_EQ(levels->factor * static_cast<float>(integer), format.decode(code))
        << format.str() << " " << code;
  }
}

TEST(IntegerLevels, OfIntegersAreTheirCodes) {
  for (unsigned bits = 1; bits <= 8; ++bits) {
    expectEveryLevel(Format::integer(bits), 1.0f, 1 << (bits - 1), false);
    expectEveryLevel(Format::unsignedInteger(bits), 1.0f, 0, false);
  }
}

TEST(IntegerLevels, OfTablesHaveAFactorAndAnOffset) {
  expectEveryLevel(Format::minifloat(*Minifloat::named("e2m1")), 0.5f, 12, true);
  expectEveryLevel(*namedCodebook("iq4_nl"), 1.0f, 127, true);
  expectEveryLevel(*namedCodebook("ternary"), 1.0f, 1, true); // the code past the last level
  expectEveryLevel(Format::codebook({2.0f, -0.5f, 1.0f}), 0.5f, 1, true);
  expectEveryLevel(Format::codebook({64.0f, 192.0f}), 64.0f, -1, true);
  expectEveryLevel(Format::codebook({0.0f, 1.0f, 2.0f, 3.0f}), 1.0f, 0, false);
  expectEveryLevel(Format::codebook({-4.0f, -2.0f, 0.0f, 2.0f}), 2.0f, 2, false);
}

TEST(IntegerLevels, AreNotOfOtherFormats) {
  for (const Format &format :
       {*namedCodebook("nf4"), Format::minifloat(*Minifloat::named("e4m3")),
        Format::minifloat(*Minifloat::named("e8m0")), *namedCodebook("linear", {5}),
        Format::integer(9), Format::float16(), Format::codebook({-200.0f, 201.0f}),
        Format::codebook({1.0f, 1.001f})})
    EXPECT_EQ(integerLevelsOf(format), std::nullopt) << format.str();
}

} // namespace
