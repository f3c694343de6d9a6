//===- Split.h - A number as a bfloat16 and what it leaves ------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `#lowbit.split<bf16, k>`: the high 16 + k bits of an f32 as the nearest bfloat16, which others
// compute with, and a signed integer of k bits, in units of the lowest one. docs/Numerics.md.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_SPLIT_H
#define LOWBIT_NUMERICS_SPLIT_H

#include <cstdint>

namespace lowbit::numerics {

struct SplitNumber {
  uint16_t high; ///< the bits of a bfloat16
  uint16_t low;  ///< two's complement in the low k bits, the others zero

  bool operator==(const SplitNumber &other) const { return high == other.high && low == other.low; }
};

/// `bits`: of the low part, 1 to 16.
SplitNumber splitFloat(float value, unsigned bits);
float floatOfSplit(SplitNumber number, unsigned bits);

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_SPLIT_H
