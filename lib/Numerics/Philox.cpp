//===- Philox.cpp - Random numbers from a counter -----------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Philox.h"

namespace lowbit::numerics {

std::array<uint32_t, 2> philoxKey(uint64_t seed) {
  return {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
}

PhiloxCounter philox4x32(PhiloxCounter counter, std::array<uint32_t, 2> key) {
  for (unsigned round = 0; round < Philox::rounds; ++round) {
    uint64_t a = static_cast<uint64_t>(Philox::multipliers[0]) * counter[0];
    uint64_t b = static_cast<uint64_t>(Philox::multipliers[1]) * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += Philox::weyl[0];
    key[1] += Philox::weyl[1];
  }
  return counter;
}

float uniformOf(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }

} // namespace lowbit::numerics
