//===- Half.cpp - f16 and bf16 bit patterns -----------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Half.h"

namespace lowbit::numerics {

/// `value >> shift`, rounded to nearest, ties to even. 1 <= shift <= 31.
static uint32_t shiftRightNearestEven(uint32_t value, unsigned shift) {
  uint32_t quotient = value >> shift;
  uint32_t remainder = value & ((1u << shift) - 1);
  uint32_t half = 1u << (shift - 1);
  bool up = remainder > half || (remainder == half && (quotient & 1));
  return quotient + up;
}

uint16_t halfOfFloat(float value) {
  uint32_t bits = bitsOfFloat(value);
  uint32_t sign = (bits >> 16) & 0x8000;
  uint32_t exponent = (bits >> 23) & 0xff;
  uint32_t mantissa = bits & 0x7fffff;

  if (exponent == 0xff) {
    uint32_t payload = mantissa ? 0x200 | (mantissa >> 13) : 0;
    return static_cast<uint16_t>(sign | 0x7c00 | payload);
  }
  // f16 has bias 15 and f32 has 127: exponent 113 is the smallest that is normal in f16, and below
  // 102 the value is under half of the smallest denormal, 2^-24.
  if (exponent < 102)
    return static_cast<uint16_t>(sign);
  if (exponent < 113) {
    uint32_t denormal = shiftRightNearestEven(mantissa | 0x800000, 126 - exponent);
    return static_cast<uint16_t>(sign | denormal);
  }
  // Exponent and mantissa rounded as one number: a carry moves into the exponent.
  uint32_t magnitude = shiftRightNearestEven(((exponent - 112) << 23) | mantissa, 13);
  if (exponent > 142 || magnitude > 0x7c00)
    magnitude = 0x7c00;
  return static_cast<uint16_t>(sign | magnitude);
}

float floatOfHalf(uint16_t half) {
  uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  uint32_t exponent = (half >> 10) & 0x1f;
  uint32_t mantissa = half & 0x3ff;

  if (exponent == 0x1f) {
    uint32_t payload = mantissa ? 0x400000 | (mantissa << 13) : 0;
    return floatOfBits(sign | 0x7f800000 | payload);
  }
  if (exponent != 0)
    return floatOfBits(sign | ((exponent + 112) << 23) | (mantissa << 13));
  float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
  return floatOfBits(sign | bitsOfFloat(magnitude));
}

uint16_t bfloatOfFloat(float value) {
  uint32_t bits = bitsOfFloat(value);
  bool isNaN = (bits & 0x7fffffff) > 0x7f800000;
  if (isNaN)
    return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>(shiftRightNearestEven(bits, 16));
}

float floatOfBFloat(uint16_t bfloat) {
  uint32_t bits = static_cast<uint32_t>(bfloat) << 16;
  bool isNaN = (bits & 0x7fffffff) > 0x7f800000;
  return floatOfBits(isNaN ? bits | 0x400000 : bits);
}

} // namespace lowbit::numerics
