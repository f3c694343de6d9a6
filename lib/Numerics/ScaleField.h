//===- ScaleField.h - The value of a scale tree at each element ---------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_NUMERICS_SCALEFIELD_H
#define LOWBIT_LIB_NUMERICS_SCALEFIELD_H

#include "lowbit/Numerics/Layout.h"
#include "lowbit/Numerics/Term.h"

#include <vector>

namespace lowbit::numerics {

/// A scale (or minimum, or integer zero point) for every element: one value for each block of a
/// tiling, or a row vector and a column vector, combined.
class ScaleField {
public:
  static ScaleField perBlock(Tiling tiling, std::vector<float> values);
  static ScaleField rank1(Combiner combiner, std::vector<float> rows, std::vector<float> columns);

  /// The values along one row: out[column], as many as the tensor has columns.
  void fillRow(int64_t row, float *out) const;
  /// perBlock only: one value for each block.
  const std::vector<float> &blockValues() const { return values; }

private:
  Tiling tiling;
  std::vector<float> values;
  std::optional<Combiner> combiner; ///< rank1 only
  std::vector<float> rows, columns;
};

/// The value of a tree from the codes of its arrays. `arrays` is advanced past them.
ScaleField decodeScale(const Scale &scale, const Shape &shape, const Codes *&arrays);

/// What an encode stores for a tree, one array after the other, and what decodes from it.
struct EncodedScale {
  std::vector<Codes> arrays;
  ScaleField stored;
};

/// Rounds one ideal value for each block of the innermost level into the tree.
EncodedScale encodeLevels(const Scale &scale, const Shape &shape, const std::vector<float> &ideal,
                          EncodeRule::Overflow overflow);
/// One ideal value as an element stores it, and what it decodes to.
uint32_t storedCode(const Format &element, float value, EncodeRule::Overflow overflow);
float storedValue(const Format &element, float value, EncodeRule::Overflow overflow);

/// The value of larger magnitude, the first argument when they are equally large. Starting from NaN
/// yields the first value. `next` is not NaN.
float largerMagnitude(float current, float next);

} // namespace lowbit::numerics

#endif // LOWBIT_LIB_NUMERICS_SCALEFIELD_H
