//===- SearchEncode.h - Encoders of single structs ------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_NUMERICS_SEARCHENCODE_H
#define LOWBIT_LIB_NUMERICS_SEARCHENCODE_H

#include "lowbit/Numerics/Layout.h"

namespace lowbit::numerics {

/// The codes of `term` on x[elements] of least squared error that a search finds, for each of
/// codeArrays. The scale is an f16 for each block, or one for all `elements` times an integer for
/// each block; the minima are alike, or there are none. docs/Numerics.md, "Scale search".
std::vector<Codes> searchStruct(const Quantized &term, int64_t elements, const float *x);

} // namespace lowbit::numerics

#endif // LOWBIT_LIB_NUMERICS_SEARCHENCODE_H
