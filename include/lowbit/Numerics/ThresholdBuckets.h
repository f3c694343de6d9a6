//===- ThresholdBuckets.h - Ranks among thresholds by one look-up -*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The rank of a number among thresholds, without a search. Numbers that agree in sign, exponent and
// the first mantissa bits are a bucket. Where no bucket has more than one threshold, the rank is
// that of the bucket's start, plus one if the bits that are left reach the threshold's: one
// look-up and one sum of integers, which carries there.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_THRESHOLDBUCKETS_H
#define LOWBIT_NUMERICS_THRESHOLDBUCKETS_H

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace lowbit::numerics {

struct ThresholdBuckets {
  /// Of ascending thresholds, none of them NaN or infinite. Nothing if that takes more than `most`
  /// words.
  static std::optional<ThresholdBuckets> create(const std::vector<float> &thresholds, size_t most);

  /// The number of thresholds that are not above `x`; NaN is taken as zero.
  uint32_t rank(float x) const;

  /// True if there are thresholds below zero or at zero. Otherwise all are positive, and so are the
  /// buckets.
  bool isSigned() const { return words.size() > size_t(count); }
  /// What is added to the bits of a magnitude so that those of NaN leave the positive integers, and
  /// are the least.
  static constexpr uint32_t beyondInfinity = 0x007fffff;

  /// True if zero is a threshold, which -0 reaches, too.
  bool splitsAtZero;
  /// Bits of a number below those that name its bucket.
  unsigned shift;
  /// Magnitudes, as bits of an f32, are brought to [least, least + span]; `least` begins a bucket
  /// and nothing nearer to zero matters.
  uint32_t least, span;
  /// Buckets of one sign. Those of negative numbers come first, the lowest number's before all.
  uint32_t count;
  /// For each bucket what, added to a number's place (its magnitude less `least`, of a negative
  /// number the complement of that), has the rank above `shift` bits: a threshold inside is where
  /// the sum carries.
  std::vector<uint32_t> words;
};

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_THRESHOLDBUCKETS_H
