//===- RankPlaces.cpp - Ranks by one look-up, nearly always ---------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How near is near: the inverse and the product (or sum) are rounded once each, by 2^-24 of y, so
// that y is at most two steps of its bits away from factor * x / s + start, of Even one. Where a
// threshold lies between two numbers is known to half a step, and for Binary rounded to one. So
// ranks are certain from two steps beside the threshold's place on, of Binary from four.
//
//===----------------------------------------------------------------------===//

#include "RankPlaces.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"

#include <cmath>

using namespace llvm;
using namespace lowbit;

static constexpr uint32_t magnitudeMask = 0x7fffffff;
/// From here to its double the bits of numbers count ones.
static constexpr float binade = 0x1p23f;

int32_t RankPlaces::orderOf(float y) {
  auto bits = bit_cast<uint32_t>(y);
  return static_cast<int32_t>(bits & 0x80000000 ? bits ^ magnitudeMask : bits);
}

namespace {
struct Places : RankPlaces {
  /// Of a quotient q that may lie between two numbers.
  int64_t placeOf(double q) const {
    return orderOf(factor * q + (kind == Binary ? std::copysign(start, q) : start));
  }

  /// For the bucket from `first` on; false if more than one threshold is in it or near its ends.
  bool add(int64_t first, ArrayRef<int64_t> thresholds) {
    int64_t nearby = near / 2; // on either side
    auto low = llvm::upper_bound(thresholds, first - nearby);
    auto high = llvm::lower_bound(thresholds, first + (int64_t(1) << shift) + nearby);
    if (high - low > 1)
      return false;
    auto rank = static_cast<uint64_t>(low - thresholds.begin());
    // Without a threshold some places are called near for nothing: those furthest from the powers
    // of two, which are common.
    uint64_t unused = first < 0 ? 0 : near;
    uint64_t word =
        low != high ? ((rank + 1) << shift) + nearby - *low : (rank << shift) + unused - first;
    words.push_back(static_cast<uint32_t>(word));
    return true;
  }

  /// Up to 32 buckets.
  bool fill(ArrayRef<float> thresholds, unsigned size, float limit) {
    words.clear();
    SmallVector<int64_t> places;
    for (float threshold : thresholds) {
      // Halfway to the number before; which one a tie goes to does not matter here.
      float before = std::nextafter(threshold, -INFINITY);
      places.push_back(placeOf((double(threshold) + before) / 2));
    }
    float end = kind == Even ? 2 * binade : 2;
    most = std::nextafter(end, 0.0f);
    least = !isSigned ? start : kind == Even ? binade : -most;
    auto isInside = [&](double q) {
      int64_t place = placeOf(q);
      return place - near >= orderOf(least) && place + near <= orderOf(most);
    };
    if (!isInside(limit) || (isSigned && !isInside(-limit)))
      return false;
    // Buckets lie one after the other, those of the lowest numbers first; of Binary either sign's.
    SmallVector<uint32_t> table(size);
    auto addAll = [&](float from, unsigned count) {
      int64_t first = orderOf(from);
      for (unsigned i = 0; i < count; ++i, first += int64_t(1) << shift) {
        if (!add(first, places))
          return false;
        table[(first >> shift) & (size - 1)] = words.pop_back_val();
      }
      return true;
    };
    bool isFilled = kind == Even ? addAll(binade, size)
                    : isSigned   ? addAll(-most, size / 2) && addAll(start, size / 2)
                                 : addAll(start, size);
    words = table;
    return isFilled;
  }
};
} // namespace

std::optional<RankPlaces> RankPlaces::createSmall(ArrayRef<float> thresholds, float limit) {
  Places places;
  places.isSigned = thresholds.front() < 0;
  if (limit == 0)
    limit = 1.0625f * std::max(std::abs(thresholds.front()), std::abs(thresholds.back()));
  for (unsigned size : {16, 32}) {
    places.kind = Even;
    places.near = 4;
    places.shift = 23 - Log2_32(size);
    for (float zero :
         {places.isSigned ? size / 2.0f : 0.5f, places.isSigned ? (size - 1) / 2.0f : 1.0f / 16})
      for (int step = 0; step < 64; ++step) {
        float room = places.isSigned ? std::min(zero, size - zero) : size - zero;
        places.start = binade + std::ldexp(zero, places.shift);
        places.factor = std::ldexp(room / limit * (1 - 0x1p-10f - step / 128.0f), places.shift);
        if (places.fill(thresholds, size, limit))
          return places;
      }
    // One sign has half of the buckets, which end below 2.
    unsigned count = places.isSigned ? size / 2 : size;
    places.kind = Binary;
    places.near = 8;
    for (unsigned mantissaBits = 0; (count >> mantissaBits) >= 2; ++mantissaBits)
      for (int step = 0; step < 64; ++step) {
        places.shift = 23 - mantissaBits;
        places.start = std::ldexp(1.0f, 1 - int(count >> mantissaBits));
        places.factor = (2 - places.start) / limit * (1 - 0x1p-10f - step / 128.0f);
        if (places.fill(thresholds, size, limit))
          return places;
      }
  }
  return std::nullopt;
}

std::optional<RankPlaces> RankPlaces::createLarge(ArrayRef<float> thresholds) {
  Places places;
  places.kind = Numbers;
  places.near = 4;
  places.isSigned = thresholds.front() < 0;
  SmallVector<int64_t> all =
      map_to_vector(thresholds, [](float t) -> int64_t { return orderOf(t); });
  SmallVector<int64_t> none(llvm::count_if(thresholds, [](float t) { return t < 0; }), INT64_MIN);
  // Infinities have buckets of their own, which NaN does not share; 2^16 words are enough.
  for (unsigned shift = 22; shift >= 16; --shift) {
    places.shift = shift;
    places.words.clear();
    int64_t step = int64_t(1) << shift, end = places.isSigned ? int64_t(1) << 31 : greatestBits + 1;
    bool isGood = true;
    for (int64_t first = places.isSigned ? -(int64_t(1) << 31) : 0; first < end && isGood;
         first += step) {
      bool isNaN = first >= greatestBits || first + step <= -int64_t(greatestBits);
      isGood = places.add(first, isNaN ? none : all);
    }
    if (isGood)
      return places;
  }
  return std::nullopt;
}
