//===- Split.cpp - A number as a bfloat16 and what it leaves ------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Split.h"

#include "lowbit/Numerics/Half.h"

#include <cmath>

namespace lowbit::numerics {

SplitNumber splitFloat(float value, unsigned bits) {
  uint32_t all = bitsOfFloat(value);
  unsigned dropped = 16 - bits;
  if (std::isnan(value)) {
    all = (all & 0xffff0000) | 0x400000;
  } else if (dropped) {
    uint32_t odd = (all >> dropped) & 1;
    all = (all + ((1u << (dropped - 1)) - 1) + odd) >> dropped << dropped;
  }
  // A tie goes up: below the bfloat16 the integer reaches one further than above it.
  return {static_cast<uint16_t>((all + 0x8000) >> 16),
          static_cast<uint16_t>((all & 0xffff) >> dropped)};
}

float floatOfSplit(SplitNumber number, unsigned bits) {
  uint32_t high = static_cast<uint32_t>(number.high) << 16;
  auto low = static_cast<int16_t>(number.low << (16 - bits));
  uint32_t all = high + static_cast<uint32_t>(static_cast<int32_t>(low));
  // Beyond zero lies the other sign's NaN: only where someone else wrote `high`.
  return floatOfBits((all ^ high) >> 31 ? high : all);
}

} // namespace lowbit::numerics
