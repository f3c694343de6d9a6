//===- FloatHelpers.cpp - Conversions that code generation calls ----------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FloatHelpers.h"

#include "lowbit/Numerics/Half.h"
#include "llvm/ADT/bit.h"

using namespace lowbit;

// _Float16 and __bf16 in the signatures, not their bits: they travel in other registers.

static _Float16 truncateToHalf(float value) {
  return llvm::bit_cast<_Float16>(numerics::halfOfFloat(value));
}
static float extendHalf(_Float16 value) {
  return numerics::floatOfHalf(llvm::bit_cast<uint16_t>(value));
}
static __bf16 truncateToBFloat(float value) {
  return llvm::bit_cast<__bf16>(numerics::bfloatOfFloat(value));
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
static _Float16 truncateDoubleToHalf(double value) { return truncateToHalf(truncateToOdd(value)); }
static __bf16 truncateDoubleToBFloat(double value) {
  return truncateToBFloat(truncateToOdd(value));
}

llvm::ArrayRef<std::pair<llvm::StringLiteral, void *>> lowbit::getFloatHelpers() {
  static const std::pair<llvm::StringLiteral, void *> helpers[] = {
      {"__truncsfhf2", reinterpret_cast<void *>(truncateToHalf)},
      {"__extendhfsf2", reinterpret_cast<void *>(extendHalf)},
      {"__truncdfhf2", reinterpret_cast<void *>(truncateDoubleToHalf)},
      {"__truncsfbf2", reinterpret_cast<void *>(truncateToBFloat)},
      {"__truncdfbf2", reinterpret_cast<void *>(truncateDoubleToBFloat)},
  };
  return helpers;
}
