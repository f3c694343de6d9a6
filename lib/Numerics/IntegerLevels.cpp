//===- IntegerLevels.cpp - Formats whose levels are small integers ---===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/IntegerLevels.h"

#include <algorithm>
#include <cmath>

namespace lowbit::numerics {

/// The levels / factor, or nothing when one is no integer or they span more than a byte.
static std::optional<std::vector<int32_t>> dividedBy(float factor,
                                                     const std::vector<float> &levels) {
  std::vector<int32_t> integers;
  for (float level : levels) {
    float quotient = level / factor;
    if (!(std::fabs(quotient) <= 255.0f) || quotient != std::floor(quotient))
      return std::nullopt;
    integers.push_back(static_cast<int32_t>(quotient));
  }
  auto [low, high] = std::minmax_element(integers.begin(), integers.end());
  if (*high - *low > 255)
    return std::nullopt;
  return integers;
}

std::optional<IntegerLevels> integerLevelsOf(const Format &format) {
  if (format.isInteger()) {
    if (format.bits() > 8)
      return std::nullopt;
    IntegerLevels found;
    if (format.kind() == FormatKind::Int)
      found.offset = 1 << (format.bits() - 1);
    return found;
  }
  if (format.isFloat() || format.kind() == FormatKind::Learned || format.bits() > 4)
    return std::nullopt;
  std::vector<float> levels;
  for (uint32_t code = 0; code < (1u << format.bits()); ++code)
    levels.push_back(format.decode(code));
  // The largest factor first: it gives the smallest integers.
  for (int exponent = 8; exponent >= -8; --exponent) {
    auto integers = dividedBy(std::ldexp(1.0f, exponent), levels);
    if (!integers)
      continue;
    IntegerLevels found;
    found.factor = std::ldexp(1.0f, exponent);
    found.offset = -*std::min_element(integers->begin(), integers->end());
    bool isRun = true;
    for (size_t code = 0; code < integers->size(); ++code) {
      found.table.push_back(static_cast<uint8_t>((*integers)[code] + found.offset));
      isRun &= found.table.back() == code;
    }
    if (isRun)
      found.table.clear();
    return found;
  }
  return std::nullopt;
}

} // namespace lowbit::numerics
