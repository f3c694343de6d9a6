//===- CodebookLevels.cpp - The levels of published tables -----------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CodebookLevels.h"

#include "LloydMax.h"

#include <algorithm>
#include <cmath>

namespace lowbit::numerics::codebooks {

//===----------------------------------------------------------------------===//
// Single tables
//===----------------------------------------------------------------------===//

Levels nf4(const Arguments &) {
  return {-1.0f,
          -0.6961928009986877f,
          -0.5250730514526367f,
          -0.39491748809814453f,
          -0.28444138169288635f,
          -0.18477343022823334f,
          -0.09105003625154495f,
          0.0f,
          0.07958029955625534f,
          0.16093020141124725f,
          0.24611230194568634f,
          0.33791524171829224f,
          0.44070982933044434f,
          0.5626170039176941f,
          0.7229568362236023f,
          1.0f};
}

Levels af4(const Arguments &) {
  return {-1.0f,        -0.69441008f, -0.51243739f, -0.3736951f, -0.25607552f, -0.14982478f,
          -0.04934812f, 0.0f,         0.04273164f,  0.12934483f, 0.21961274f,  0.31675666f,
          0.42563882f,  0.55496234f,  0.72424863f,  1.0f};
}

/// The magnitudes of codes 0 to 7, then the same with a sign, zero positive.
static Levels signMagnitude(const Levels &magnitudes) {
  Levels levels = magnitudes;
  for (float level : magnitudes)
    levels.push_back(level == 0.0f ? 0.0f : -level);
  return levels;
}

Levels fp4(const Arguments &) {
  Levels magnitudes{0.0f, 0.0625f, 8.0f, 12.0f, 4.0f, 6.0f, 2.0f, 3.0f};
  for (float &level : magnitudes)
    level /= 12.0f;
  return signMagnitude(magnitudes);
}

Levels mxfp4(const Arguments &) {
  return signMagnitude({0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f});
}

Levels iq4nl(const Arguments &) {
  return {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
}

Levels binary(const Arguments &) { return {-1, 1}; }
Levels ternary(const Arguments &) { return {-1, 0, 1}; }

//===----------------------------------------------------------------------===//
// Families by number of bits
//===----------------------------------------------------------------------===//

/// Adds the negatives of `levels` and sorts.
static Levels mirrored(Levels levels, bool isSigned = true) {
  size_t count = levels.size();
  for (size_t i = 0; i < count && isSigned; ++i)
    if (levels[i] != 0.0f)
      levels.push_back(-levels[i]);
  std::sort(levels.begin(), levels.end());
  return levels;
}

static int bitsOf(const Arguments &arguments) { return static_cast<int>(arguments[0]); }

/// The dynamic exponent: bits - 1 decades, each of which has twice as many levels as the one below
/// it, the centres of equal bins of [0.1, 1]. In f32, operation by operation as bitsandbytes'
/// create_dynamic_map computes it with torch.linspace, whose vector code fuses multiply and add, so
/// that the tables have the bits of those in its checkpoints.
static Levels dynamicMap(int bits, bool isSigned) {
  static const float powersOfTen[] = {1.0f, 1e-1f, 1e-2f, 1e-3f, 1e-4f, 1e-5f, 1e-6f};
  int decades = bits - 1;
  Levels levels{0.0f, 1.0f};
  for (int decade = 0; decade < decades; ++decade) {
    int bins = 1 << (isSigned ? decade : decade + 1);
    float step = (1.0f - 0.1f) / static_cast<float>(bins);
    auto boundary = [&](int i) {
      // Both halves start from their own end; there are bins + 1 boundaries.
      return i < (bins + 1) / 2 ? std::fma(step, static_cast<float>(i), 0.1f)
                                : std::fma(-step, static_cast<float>(bins - i), 1.0f);
    };
    for (int i = 0; i < bins; ++i) {
      float centre = (boundary(i) + boundary(i + 1)) / 2.0f;
      float level = powersOfTen[decades - 1 - decade] * centre;
      levels.push_back(level);
      if (isSigned)
        levels.push_back(-level);
    }
  }
  std::sort(levels.begin(), levels.end());
  return levels;
}

Levels dynamicSigned(const Arguments &a) { return dynamicMap(bitsOf(a), true); }
Levels dynamicUnsigned(const Arguments &a) { return dynamicMap(bitsOf(a), false); }
Levels dynamicNonzero(const Arguments &a) {
  Levels levels = dynamicMap(bitsOf(a), false);
  levels[0] = levels[1];
  return levels;
}

Levels linearSigned(const Arguments &a) {
  int most = (1 << (bitsOf(a) - 1)) - 1;
  Levels levels;
  for (int i = 0; i <= most; ++i)
    levels.push_back(static_cast<float>(i) / static_cast<float>(most));
  return mirrored(levels);
}

Levels linearUnsigned(const Arguments &a) {
  int most = (1 << bitsOf(a)) - 1;
  Levels levels;
  for (int i = 0; i <= most; ++i)
    levels.push_back(static_cast<float>(i) / static_cast<float>(most));
  return levels;
}

Levels linearNonzero(const Arguments &a) {
  int count = 1 << bitsOf(a);
  Levels levels;
  for (int i = 1; i <= count; ++i)
    levels.push_back(static_cast<float>(i) / static_cast<float>(count));
  return levels;
}

Levels linearSquare(const Arguments &a) {
  int count = 1 << bitsOf(a);
  Levels levels;
  for (int i = 0; i < count; ++i) {
    double x = -1.0 + 2.0 * i / (count - 1);
    int zero = count / 2 - 1;
    levels.push_back(i == zero ? 0.0f : static_cast<float>(i < zero ? -x * x : x * x));
  }
  return levels;
}

/// `count` levels from 2^-octaves to 1 whose logarithms are equally far apart.
static Levels geometric(int count, double octaves) {
  Levels levels;
  for (int i = 0; i < count; ++i)
    levels.push_back(static_cast<float>(std::exp2(-octaves * (count - 1 - i) / (count - 1))));
  return levels;
}

Levels log2Unsigned(const Arguments &a) { return geometric(1 << bitsOf(a), a[1]); }
Levels log2Signed(const Arguments &a) {
  Levels levels = geometric((1 << (bitsOf(a) - 1)) - 1, a[1]);
  levels.push_back(0.0f);
  return mirrored(levels);
}

Levels power(const Arguments &a) {
  int most = (1 << (bitsOf(a) - 1)) - 1;
  Levels levels;
  for (int i = 0; i <= most; ++i)
    levels.push_back(static_cast<float>(std::pow(static_cast<double>(i) / most, a[1])));
  return mirrored(levels);
}

/// Sums of one power of two, or 0, from each of `terms` sets that interleave; 2^bits sums. Two bits
/// choose from a set, one bit from the last set of an odd number: as the authors' code has it.
static Levels additivePowers(int bits, bool isSigned) {
  int magnitudeBits = isSigned ? bits - 1 : bits;
  int terms = (magnitudeBits + 1) / 2;
  std::vector<Levels> sets(static_cast<size_t>(terms), Levels{0.0f});
  bool isOdd = magnitudeBits % 2 == 1;
  // Powers 2^-1, 2^-2, ... are dealt to the sets in turn; the set of one bit comes after the others
  // in rank and takes its only power where its third turn would be: before the others'.
  int wide = isOdd ? terms - 1 : terms, exponent = 0;
  for (int turn = 0; turn < 3; ++turn) {
    if (isOdd && turn == 2)
      sets.back().push_back(std::ldexp(1.0f, --exponent));
    for (int set = 0; set < wide; ++set)
      sets[static_cast<size_t>(set)].push_back(std::ldexp(1.0f, --exponent));
  }
  Levels sums{0.0f};
  for (const Levels &set : sets) {
    Levels more;
    for (float sum : sums)
      for (float term : set)
        more.push_back(sum + term);
    sums = std::move(more);
  }
  float largest = *std::max_element(sums.begin(), sums.end());
  for (float &sum : sums)
    sum /= largest;
  return mirrored(sums, isSigned);
}

Levels apotSigned(const Arguments &a) { return additivePowers(bitsOf(a), true); }
Levels apotUnsigned(const Arguments &a) { return additivePowers(bitsOf(a), false); }

Levels gaussian(const Arguments &a) {
  Levels levels;
  for (double level : lloydMaxOfGaussian(1 << bitsOf(a)))
    levels.push_back(static_cast<float>(level));
  return levels;
}

//===----------------------------------------------------------------------===//
// Companded families: equal steps of a function of the number
//===----------------------------------------------------------------------===//
//
// Levels are where the function is a whole number of steps; a number has the level whose step its
// function rounds to, so that borders are at half steps.

/// At `first`, `first` + 1, ... up to `steps`, in steps of 1 / `steps`.
template <typename Number>
static std::vector<Number> expanded(double (*inverse)(double), double first, int steps) {
  std::vector<Number> numbers;
  for (double step = first; step <= steps; ++step)
    numbers.push_back(static_cast<Number>(inverse(step / steps)));
  return numbers;
}

static double ofSoftsign(double y) { return y / (2.0 - std::abs(y)); }
static int softsignSteps(const Arguments &a) { return (1 << (bitsOf(a) - 1)) - 1; }
Levels softsign(const Arguments &a) {
  return expanded<float>(ofSoftsign, -softsignSteps(a), softsignSteps(a));
}
Borders softsignBorders(const Arguments &a) {
  return expanded<double>(ofSoftsign, 0.5 - softsignSteps(a), softsignSteps(a));
}

static double ofRoot(double y) { return y * y; }
Levels root(const Arguments &a) { return expanded<float>(ofRoot, 0, (1 << bitsOf(a)) - 1); }
/// Code 0 is in the middle of the roots that it stands for, from 0 to half a step.
Levels rootNonzero(const Arguments &a) {
  Levels levels = root(a);
  levels[0] = static_cast<float>(ofRoot(0.25 / ((1 << bitsOf(a)) - 1)));
  return levels;
}
Borders rootBorders(const Arguments &a) {
  return expanded<double>(ofRoot, 0.5, (1 << bitsOf(a)) - 1);
}

} // namespace lowbit::numerics::codebooks
