//===- RandomArrays.h - Codes for the tests of layouts ----------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_TEST_UNIT_NUMERICS_RANDOMARRAYS_H
#define LOWBIT_TEST_UNIT_NUMERICS_RANDOMARRAYS_H

#include "lowbit/Numerics/Layout.h"

#include <random>

namespace lowbit::numerics {

/// Any codes for each of the term's arrays; always the same ones.
inline std::vector<Codes> randomArrays(const Quantized &term, const Shape &shape) {
  std::mt19937 random(3);
  std::vector<Codes> arrays;
  for (const CodeArray &array : codeArrays(term, shape)) {
    Codes &codes = arrays.emplace_back(static_cast<size_t>(*elementCount(array.shape)));
    for (uint32_t &code : codes)
      code = static_cast<uint32_t>(random() % (uint64_t(1) << array.format.bits()));
  }
  return arrays;
}

} // namespace lowbit::numerics

#endif // LOWBIT_TEST_UNIT_NUMERICS_RANDOMARRAYS_H
