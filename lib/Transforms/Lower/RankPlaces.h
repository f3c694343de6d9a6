//===- RankPlaces.h - Ranks by one look-up, nearly always --------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The rank of x / s among thresholds without the quotient. A product with an inverse of s, rounded,
// is nearly the quotient. What it becomes as an integer, in the order of numbers, is its place, and
// the place's leading bits are a bucket. Where no bucket has more than one threshold, one word for
// each bucket is added to the place: the sum has the rank above `shift` bits, since it carries at
// the threshold, and below them a small number where the place is so near to a threshold that only
// the quotient can tell.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_RANKPLACES_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_RANKPLACES_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

#include <cstdint>
#include <optional>

namespace lowbit {

struct RankPlaces {
  /// Places by steps of one size, or by binades, in up to 32 buckets, for a table in registers. Of
  /// quotients up to `limit`; 0 if there is none, and quotients are brought to one of ours.
  static std::optional<RankPlaces> createSmall(llvm::ArrayRef<float> thresholds, float limit);
  /// By the bits of all numbers.
  static std::optional<RankPlaces> createLarge(llvm::ArrayRef<float> thresholds);

  /// What the bits of y = factor * x / s + start become:
  /// Even: `start` is so large that bits are steps of one size.
  /// Binary: `start`, with the sign of x / s, keeps |y| from `start` to below 2.
  /// Numbers: y is the quotient. Without a sign bits are brought to `greatestBits`.
  enum Kind { Even, Binary, Numbers } kind;
  /// True if there are negative thresholds. If there are none, numbers below zero are as zero.
  bool isSigned;
  float factor = 1, start = 0;
  /// Bounds of y in buckets of up to 32.
  float least = 0, most = 0;

  /// The bits of y, with those of a negative number's magnitude complemented (not of Even, where y
  /// is positive), are its place as an i32. The bucket is the place without `shift` bits, of
  /// registers' tables its last bits; of Numbers with a sign plus half of the words.
  unsigned shift;
  llvm::SmallVector<uint32_t> words;
  /// Fewer than this in the low bits of a sum is too near; a power of two.
  unsigned near;
  /// What all NaN and negative numbers become, if they are no buckets of their own.
  static constexpr uint32_t greatestBits = 0x7fc00000;

  /// The place of a number's bits.
  static int32_t orderOf(float y);
};

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_RANKPLACES_H
