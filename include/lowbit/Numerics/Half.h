//===- Half.h - f16 and bf16 bit patterns ---------------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Conversions between f32 and the bit patterns of IEEE binary16 (f16) and bfloat16 (bf16).
// Narrowing rounds to nearest, ties to even, overflows to infinity and produces denormals; widening
// is exact. A NaN stays a NaN (quiet, sign and upper payload bits kept).
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_HALF_H
#define LOWBIT_NUMERICS_HALF_H

#include <cstdint>
#include <cstring>

namespace lowbit::numerics {

inline uint32_t bitsOfFloat(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float floatOfBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

uint16_t halfOfFloat(float value);
float floatOfHalf(uint16_t half);

uint16_t bfloatOfFloat(float value);
float floatOfBFloat(uint16_t bfloat);

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_HALF_H
