//===- RankBuckets.h - Ranks among few thresholds by one look-up -*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The rank of x / s among thresholds without the quotient. An inverse of s that is only nearly
// right puts x into a bucket; no bucket has more than one threshold, and x is compared with the
// least number whose quotient reaches it. That number is the threshold's boundary times s: the
// boundary lies between two f32 and has 25 bits, so its product with s is found exactly, in two
// parts, once for a block.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_RANKBUCKETS_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_RANKBUCKETS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

#include <optional>

namespace lowbit {

struct RankBuckets {
  /// Nothing if the thresholds do not suit up to 32 buckets of any kind. `limit`: the greatest
  /// magnitude of a quotient; 0 if there is none, and quotients are brought to one of ours.
  static std::optional<RankBuckets> create(llvm::ArrayRef<float> thresholds, float limit);

  /// Of a place y = factor * x / s + start: its integral part, or its leading bits without the
  /// sign, with `shift` bits left out. Their last bits, as many as `size` needs, are the bucket.
  enum Kind { Even, Binary } kind;
  /// 16 or 32.
  unsigned size;
  unsigned shift;
  /// True if there are thresholds that are not positive. Without, numbers below zero are zero. In
  /// buckets of the kind Binary `start` has the sign of x, and negative numbers the complement of
  /// their bits.
  bool isSigned;
  float factor, start;
  /// Quotients of greater magnitude are beyond all thresholds.
  float limit;

  /// For each bucket, how many thresholds are below it; the boundary of the threshold inside, in
  /// two parts, or NaN; and whether the boundary itself does not reach the threshold.
  llvm::SmallVector<int32_t> ranks;
  llvm::SmallVector<float> high, low;
  llvm::SmallVector<bool> isBeyond;
};

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_RANKBUCKETS_H
