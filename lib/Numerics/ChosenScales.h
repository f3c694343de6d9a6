//===- ChosenScales.h - Scales of a tensor, and codes by them ---*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_NUMERICS_CHOSENSCALES_H
#define LOWBIT_LIB_NUMERICS_CHOSENSCALES_H

#include "ScaleField.h"
#include "lowbit/Numerics/Term.h"

#include <vector>

namespace lowbit::numerics {

/// Scale and zero point of every element, and what is stored of them.
struct ChosenScales {
  ScaleField scale, zero;             ///< as codes are computed with them
  ScaleField storedScale, storedZero; ///< as they decode
  std::vector<Codes> arrays;          ///< the scale's, then the zero point's
};

/// By the resolved rule, from x. Precondition: the term has a scale, no rank-1 one if x is a matrix
/// that lies column by column.
ChosenScales chooseScales(const Quantized &term, const EncodeRule &rule, const Shape &shape,
                          const float *x, bool isTransposed = false);

/// What a level decodes to, with the stored scale and zero point. Each line is one f32 operation,
/// rounded by itself.
inline float applyScale(const Quantized &term, float level, float scale, float zero) {
  float value = level;
  if (term.zeroKind == ZeroKind::Integer)
    value = value - zero; // exact: small integers
  if (term.scale)
    value = scale * value;
  if (term.zeroKind == ZeroKind::Additive)
    value = value + zero;
  return value;
}

} // namespace lowbit::numerics

#endif // LOWBIT_LIB_NUMERICS_CHOSENSCALES_H
