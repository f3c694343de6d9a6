//===- Rank1.h - Row and column scales of a matrix ---------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_NUMERICS_RANK1_H
#define LOWBIT_LIB_NUMERICS_RANK1_H

#include "ScaleField.h"

namespace lowbit::numerics {

/// What a rank-1 scale would store if nothing were rounded.
struct Rank1Ideals {
  std::vector<float> rows, columns;
};

/// `largest` is that of the codes' format. The columns of a product follow from the rows as stored.
Rank1Ideals rank1Ideals(const Rank1 &scale, float largest, const Shape &shape, const float *x,
                        EncodeRule::Overflow overflow);

EncodedScale encodeRank1(const Rank1 &scale, const Rank1Ideals &ideals,
                         EncodeRule::Overflow overflow);

} // namespace lowbit::numerics

#endif // LOWBIT_LIB_NUMERICS_RANK1_H
