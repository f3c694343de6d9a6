//===- IntegerLevels.h - Formats whose levels are small integers ----------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A contraction runs in integers if every level of a format is factor * (u - offset) for an
// unsigned byte u: the multiply-adds see u, the factor and the offset come in once for each block.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_INTEGERLEVELS_H
#define LOWBIT_NUMERICS_INTEGERLEVELS_H

#include "lowbit/Numerics/Format.h"

namespace lowbit::numerics {

struct IntegerLevels {
  float factor = 1.0f; ///< a power of two
  int32_t offset = 0;
  /// u by code, of up to 16; empty: u is the code, with its highest bit flipped for int<k>.
  std::vector<uint8_t> table;
};

/// The levels of `format` as integers, or nothing where they are none, where a byte does not hold
/// them, or where they are more than 16 and not a run of integers.
std::optional<IntegerLevels> integerLevelsOf(const Format &format);

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_INTEGERLEVELS_H
