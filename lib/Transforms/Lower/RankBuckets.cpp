//===- RankBuckets.cpp - Ranks among few thresholds by one look-up --------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RankBuckets.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"

#include <cmath>
#include <limits>

using namespace llvm;
using namespace lowbit;

/// Relative errors of a place are some 2^-22; a threshold keeps a larger distance from the ends of
/// its bucket.
static constexpr double margin = 0x1p-16;
/// Of thresholds: products with scales are normal numbers, and so are their remainders.
static constexpr float least = 0x1p-20f, most = 0x1p20f;

namespace {
struct Buckets : RankBuckets {
  /// Of the quotient q; nothing if it is beyond all.
  std::optional<unsigned> bucketOf(double q, double error = 0) const {
    double y = factor * q + std::copysign(start, kind == Binary ? q : 1.0);
    y *= 1 + error;
    if (kind == Even)
      return y >= 0 && y < size ? std::optional<unsigned>(y) : std::nullopt;
    if (std::abs(y) < start || std::abs(y) >= 2)
      return std::nullopt;
    unsigned bits = bit_cast<uint32_t>(static_cast<float>(std::abs(y))) >> shift;
    return (y < 0 ? ~bits : bits) % size;
  }

  /// False if a bucket would have two thresholds, or one lies too near to its ends.
  bool fill(ArrayRef<float> thresholds) {
    ranks.assign(size, 0);
    high.assign(size, std::numeric_limits<float>::quiet_NaN());
    low.assign(size, 0);
    isBeyond.assign(size, false);
    if (!bucketOf(limit, margin) || (isSigned && !bucketOf(-limit, margin)))
      return false;
    for (float threshold : thresholds) {
      float before = std::nextafter(threshold, -INFINITY);
      double boundary = (double(threshold) + before) / 2;
      std::optional<unsigned> first = bucketOf(boundary, -margin),
                              last = bucketOf(boundary, margin);
      if (!first || first != last || !std::isnan(high[*first]))
        return false;
      high[*first] = boundary;
      low[*first] = boundary - high[*first];
      // Ties go to the even one of two neighbours.
      isBeyond[*first] = bit_cast<uint32_t>(threshold) & 1;
    }
    int32_t rank = 0;
    for (auto [bucketRank, threshold] : zip_equal(ranks, high)) {
      bucketRank = rank;
      rank += !std::isnan(threshold);
    }
    // A block without a scale compares with nothing: its bucket says it all.
    return ranks[*bucketOf(0)] == count_if(thresholds, [](float t) { return t <= 0; });
  }
};
} // namespace

std::optional<RankBuckets> RankBuckets::create(ArrayRef<float> thresholds, float limit) {
  if (thresholds.empty() ||
      any_of(thresholds, [](float t) { return !(std::abs(t) >= least && std::abs(t) <= most); }))
    return std::nullopt;
  Buckets buckets;
  buckets.isSigned = thresholds.front() < 0;
  buckets.limit = limit;
  if (limit == 0)
    buckets.limit = 1.0625f * std::max(std::abs(thresholds.front()), std::abs(thresholds.back()));
  for (unsigned size : {16, 32}) {
    buckets.size = size;
    buckets.kind = Even;
    buckets.shift = 0;
    for (float start :
         {buckets.isSigned ? size / 2.0f : 0.0f, buckets.isSigned ? (size - 1) / 2.0f : 0.0f})
      for (int step = 0; step < 64; ++step) {
        buckets.start = start;
        float room = buckets.isSigned ? std::min(start, size - start) : size;
        buckets.factor = room / buckets.limit * (1 - 0x1p-10f - step / 128.0f);
        if (buckets.fill(thresholds))
          return buckets;
      }
    // One sign has half of the buckets.
    unsigned count = buckets.isSigned ? size / 2 : size;
    buckets.kind = Binary;
    for (unsigned mantissaBits = 0; (count >> mantissaBits) >= 2; ++mantissaBits)
      for (int step = 0; step < 64; ++step) {
        buckets.shift = 23 - mantissaBits;
        // The buckets end below 2.
        buckets.start = std::ldexp(1.0f, 1 - int(count >> mantissaBits));
        buckets.factor = (2 - buckets.start) / buckets.limit * (1 - 0x1p-10f - step / 128.0f);
        if (buckets.fill(thresholds))
          return buckets;
      }
  }
  return std::nullopt;
}
