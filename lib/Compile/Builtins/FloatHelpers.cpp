//===- FloatHelpers.cpp - Conversions that code generation calls ----------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Half.h"

// The conversions between f32, f64, f16 and bf16 that the code generator calls on processors
// without an instruction for them. Their home is compiler-rt; compiled code brings its own, with
// the rounding of the reference.

using namespace lowbit;

template <typename To, typename From> static To bitCast(From value) {
  To result;
  static_assert(sizeof(To) == sizeof(From));
  std::memcpy(&result, &value, sizeof result);
  return result;
}

// _Float16 and __bf16 in the signatures, not their bits: they travel in other registers.

static _Float16 truncateToHalf(float value) {
  return bitCast<_Float16>(numerics::halfOfFloat(value));
}
static float extendHalf(_Float16 value) { return numerics::floatOfHalf(bitCast<uint16_t>(value)); }
static __bf16 truncateToBFloat(float value) {
  return bitCast<__bf16>(numerics::bfloatOfFloat(value));
}

/// To f32 with the last bit set where anything is lost ("round to odd"): rounding that again to 11
/// or fewer bits gives what rounding once would have given.
static float truncateToOdd(double value) {
  float nearest = static_cast<float>(value);
  if (static_cast<double>(nearest) == value || value != value)
    return nearest;
  uint32_t bits = numerics::bitsOfFloat(nearest);
  if (bits & 1)
    return nearest;
  // The neighbour on the other side of `value` has the odd last bit.
  bool away = (nearest < 0 ? -static_cast<double>(nearest) : static_cast<double>(nearest)) <
              (value < 0 ? -value : value);
  return numerics::floatOfBits(away ? bits + 1 : bits - 1);
}
extern "C" {
_Float16 __truncsfhf2(float value) { return truncateToHalf(value); }
float __extendhfsf2(_Float16 value) { return extendHalf(value); }
_Float16 __truncdfhf2(double value) { return truncateToHalf(truncateToOdd(value)); }
__bf16 __truncsfbf2(float value) { return truncateToBFloat(value); }
__bf16 __truncdfbf2(double value) { return truncateToBFloat(truncateToOdd(value)); }
}
