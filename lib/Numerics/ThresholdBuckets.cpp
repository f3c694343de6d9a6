//===- ThresholdBuckets.cpp - Ranks among thresholds by one look-up -------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/ThresholdBuckets.h"
#include "lowbit/Numerics/Half.h"

#include <algorithm>
#include <cmath>

namespace lowbit::numerics {

static constexpr uint32_t magnitudeMask = 0x7fffffff;

/// The place of a number in the order of all: below zero for negative ones, -1 for -0.
static int32_t orderOf(float x) {
  uint32_t bits = bitsOfFloat(x), sign = -(bits >> 31);
  return static_cast<int32_t>((bits & magnitudeMask) ^ sign);
}

/// The buckets of magnitudes, or nothing if one of them would have two thresholds or there are too
/// many.
static std::optional<ThresholdBuckets> create(const std::vector<int32_t> &places, unsigned shift,
                                              size_t most) {
  bool isSigned = places.front() <= 0;
  // Magnitudes of what lies on either side of the thresholds next to zero and furthest from it; a
  // threshold at zero lies between the buckets of either sign.
  uint32_t nearest = magnitudeMask, furthest = 0;
  for (int32_t place : places)
    if (place != 0)
      for (int32_t side : {place - 1, place}) {
        uint32_t magnitude = side < 0 ? ~side : side;
        nearest = std::min(nearest, magnitude);
        furthest = std::max(furthest, magnitude);
      }
  ThresholdBuckets buckets;
  buckets.splitsAtZero = std::binary_search(places.begin(), places.end(), 0);
  buckets.shift = shift;
  buckets.least = nearest >> shift << shift;
  buckets.span = std::max(furthest, buckets.least) - buckets.least;
  buckets.count = (buckets.span >> shift) + 1;
  if (size_t(buckets.count) * (isSigned ? 2 : 1) > most)
    return std::nullopt;
  // A bucket of a negative number is the same one of ~place, from its end.
  auto wordOf = [&](int32_t start) -> std::optional<uint32_t> {
    auto first = std::upper_bound(places.begin(), places.end(), start);
    auto last = std::upper_bound(places.begin(), places.end(), start + ((1 << shift) - 1));
    if (last - first > 1)
      return std::nullopt;
    uint32_t inside = first == last ? 1u << shift : static_cast<uint32_t>(*first - start);
    // What is missing to the next rank at the bucket's start, whose place is `start` less the
    // least.
    uint32_t rank = static_cast<uint32_t>(first - places.begin());
    uint32_t least = start < 0 ? -buckets.least : buckets.least;
    return ((rank + 1) << shift) - inside - (static_cast<uint32_t>(start) - least);
  };
  auto add = [&](int32_t start) {
    auto word = wordOf(start);
    if (word)
      buckets.words.push_back(*word);
    return word.has_value();
  };
  int32_t step = 1 << shift, least = static_cast<int32_t>(buckets.least);
  for (int64_t i = buckets.count; isSigned && i > 0; --i)
    if (!add(static_cast<int32_t>(-least - i * step)))
      return std::nullopt;
  for (int64_t i = 0; i < buckets.count; ++i)
    if (!add(static_cast<int32_t>(least + i * step)))
      return std::nullopt;
  return buckets;
}

std::optional<ThresholdBuckets> ThresholdBuckets::create(const std::vector<float> &thresholds,
                                                         size_t most) {
  std::vector<int32_t> places;
  for (float threshold : thresholds)
    places.push_back(orderOf(threshold + 0.0f)); // +0 for -0
  if (places.empty() || !std::is_sorted(places.begin(), places.end()))
    return std::nullopt;
  // A bucket is at most a binade; ranks are above `shift` bits.
  for (unsigned shift = 23; shift > 8; --shift)
    if (auto buckets = numerics::create(places, shift, most))
      return buckets;
  return std::nullopt;
}

uint32_t ThresholdBuckets::rank(float x) const {
  if (splitsAtZero)
    x = std::isnan(x) ? 0.0f : x + 0.0f;
  uint32_t bits = bitsOfFloat(x), from = least + beyondInfinity, sign = 0;
  if (isSigned()) {
    sign = -(bits >> 31);
    bits &= magnitudeMask;
  }
  // As signed integers: without buckets of their own, negative numbers are below the least, too.
  int32_t magnitude = static_cast<int32_t>(bits + beyondInfinity);
  uint32_t distance = std::max(magnitude, static_cast<int32_t>(from)) - from;
  uint32_t place = std::min(distance, span) ^ sign;
  int32_t bucket = static_cast<int32_t>(place) >> shift;
  return (words[isSigned() ? bucket + static_cast<int32_t>(count) : bucket] + place) >> shift;
}

} // namespace lowbit::numerics
