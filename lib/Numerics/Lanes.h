//===- Lanes.h - Numbers that are computed on side by side ------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where the reference does the same to many numbers, it does so in loops over `kLanes` of them,
// which a compiler makes vector code of. Every operation rounds as it does on one number.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_NUMERICS_LANES_H
#define LOWBIT_LIB_NUMERICS_LANES_H

#include "lowbit/Numerics/Term.h"

#include <array>

/// A function that is compiled for several levels of x86-64; the processor's is called.
#if defined(__x86_64__) && defined(__ELF__)
#define LOWBIT_EACH_PROCESSOR                                                                      \
  __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define LOWBIT_EACH_PROCESSOR
#endif

namespace lowbit::numerics {

/// Two registers of the widest processors.
inline constexpr int64_t kLanes = 32;

template <typename T> struct alignas(64) LanesOf : std::array<T, kLanes> {};
using Lanes = LanesOf<float>;
using CodeLanes = LanesOf<uint32_t>;

/// Codes and levels of a format: those of Format::encode and decode, bit for bit.
class NearestLevels {
public:
  /// The format must outlive this.
  NearestLevels(const Format &format, Rounding rounding);

  /// What the codes of numbers decode to.
  void round(const Lanes &t, Lanes &levels) const;
  /// Likewise, and the codes.
  void encode(const Lanes &t, Lanes &levels, CodeLanes &codes) const;
  /// Adds to each sum the squared error of s level(x / s), if x, kLanes numbers, is no NaN.
  void addSquaredErrors(const float *x, const Lanes &s, Lanes &sums) const;

private:
  void chooseByThresholds(const Lanes &t, Lanes &levels) const;

  const Format &format;
  Rounding rounding;
  float low, high;
  /// Of few levels: which belongs to a number, or to its magnitude, by as many comparisons as there
  /// are thresholds. Otherwise empty, and numbers are taken one by one.
  std::vector<float> thresholds, sorted;
};

/// The arithmetic of codes that are rounded to nearest.
class LaneEncoder {
public:
  /// Precondition: the rule, a resolved one, has no seed. The term must outlive this.
  LaneEncoder(const Quantized &term, const EncodeRule &rule);

  /// Codes of x, and their levels. Scales and zero points count where the term has them.
  void encode(const Lanes &x, const Lanes &scales, const Lanes &zeros, Lanes &levels,
              CodeLanes &codes) const;
  /// Levels to the values that they decode to, with scales and zero points as stored.
  void decode(Lanes &levels, const Lanes &scales, const Lanes &zeros) const;

private:
  const Quantized &term;
  EncodeRule rule;
  NearestLevels nearest;
};

/// t = x / s, or zero where s is; x are kLanes numbers.
void divideLanes(const float *x, const Lanes &s, Lanes &t);
/// What numbers become when an element of a scale stores them: storedValue().
void storeLanes(const Format &element, EncodeRule::Overflow overflow, Lanes &values);

} // namespace lowbit::numerics

#endif // LOWBIT_LIB_NUMERICS_LANES_H
