//===- CodebookLevels.h - The levels of published tables --------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The arguments are those of a family (Codebooks.cpp), checked; the number of
// bits, where they have one, comes first. Levels are by code.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_NUMERICS_CODEBOOKLEVELS_H
#define LOWBIT_LIB_NUMERICS_CODEBOOKLEVELS_H

#include <vector>

namespace lowbit::numerics::codebooks {

using Levels = std::vector<float>;
/// Between neighbours, where they are not midpoints.
using Borders = std::vector<double>;
using Arguments = std::vector<double>;

Levels nf4(const Arguments &);
Levels af4(const Arguments &);
Levels fp4(const Arguments &);
Levels mxfp4(const Arguments &);
Levels iq4nl(const Arguments &);
Levels binary(const Arguments &);
Levels ternary(const Arguments &);
Levels dynamicSigned(const Arguments &);
Levels dynamicUnsigned(const Arguments &);
Levels dynamicNonzero(const Arguments &);
Levels linearSigned(const Arguments &);
Levels linearUnsigned(const Arguments &);
Levels linearNonzero(const Arguments &);
Levels linearSquare(const Arguments &);
Levels log2Unsigned(const Arguments &);
Levels log2Signed(const Arguments &);
Levels power(const Arguments &);
Levels apotSigned(const Arguments &);
Levels apotUnsigned(const Arguments &);
Levels gaussian(const Arguments &);
Levels softsign(const Arguments &);
Borders softsignBorders(const Arguments &);
Levels root(const Arguments &);
Levels rootNonzero(const Arguments &);
Borders rootBorders(const Arguments &);

} // namespace lowbit::numerics::codebooks

#endif // LOWBIT_LIB_NUMERICS_CODEBOOKLEVELS_H
