//===- EncodeRules.h - What rules compute with ----------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The constants of encode rules, which the scalar reference and generated code share, and the
// rounding of codes by chance. docs/Numerics.md has the rules.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_ENCODERULES_H
#define LOWBIT_NUMERICS_ENCODERULES_H

#include "lowbit/Numerics/Term.h"

#include <cstdint>
#include <vector>

namespace lowbit::numerics {

/// MxFloor: what the power of two in a block's largest magnitude is multiplied by, 2^-emax.
float mxFloorFactor(const Format &format);

/// Percentile: the rank (from 1) of `percent` among `count` magnitudes: max(1, ceil(percent * count
/// / 100)), each operation in f64.
int64_t percentileRank(double percent, int64_t count);

/// Mse: the fractions of the absmax scale, f32(1 - i * (1 - least) / steps) for i = 0 ... steps.
std::vector<float> mseFractions(const EncodeRule &rule);

/// x^alpha for x >= 0, alpha a multiple of 2^-16 in [0, 1]: the product, from the highest binary
/// digit of alpha down, of repeated square roots of x.
float powerOf(float x, uint32_t digits);
/// alpha * 2^16, to the nearest integer: what powerOf takes.
uint32_t powerDigits(double alpha);

/// The distinct finite levels of a format of up to 8 bits, ascending, and a code of each (the
/// lowest; that of +0 rather than of -0).
struct LevelTable {
  std::vector<float> levels;
  std::vector<uint32_t> codes;
};
LevelTable levelTableOf(const Format &format);

/// t, not NaN, to one of the two neighbouring integers, u in [0, 1): up where t - floor(t) > u.
float roundStochastically(float t, float u);
/// The code of one of the two neighbouring levels of t, as docs/Numerics.md says.
uint32_t encodeStochastically(const Format &format, float t, float u);

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_ENCODERULES_H
