//===- Philox.h - Random numbers from a counter ---------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3",
// SC 2011): a bijection of 128-bit counters under a 64-bit key. Every element of a tensor draws
// from a counter of its own, so that what it gets does not depend on tiles, threads or vectors.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_PHILOX_H
#define LOWBIT_NUMERICS_PHILOX_H

#include <array>
#include <cstdint>

namespace lowbit::numerics {

/// The constants of the paper; generated code has the same.
struct Philox {
  static constexpr unsigned rounds = 10;
  static constexpr uint32_t multipliers[2] = {0xD2511F53, 0xCD9E8D57};
  static constexpr uint32_t weyl[2] = {0x9E3779B9, 0xBB67AE85};
};

using PhiloxCounter = std::array<uint32_t, 4>;

/// The key of a seed: its low and its high word.
std::array<uint32_t, 2> philoxKey(uint64_t seed);

PhiloxCounter philox4x32(PhiloxCounter counter, std::array<uint32_t, 2> key);

/// A multiple of 2^-24 in [0, 1): the high 24 bits of a word.
float uniformOf(uint32_t word);

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_PHILOX_H
