//===- LloydMax.h - Levels of least mean square error ---------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_NUMERICS_LLOYDMAX_H
#define LOWBIT_LIB_NUMERICS_LLOYDMAX_H

#include <vector>

namespace lowbit::numerics {

/// The `count` levels, ascending, to which a standard normal variable is rounded with the least
/// mean square error: each is the mean of what is nearest to it (Lloyd 1957, Max 1960). `count` is
/// even, 2 to 256.
std::vector<double> lloydMaxOfGaussian(int count);

} // namespace lowbit::numerics

#endif // LOWBIT_LIB_NUMERICS_LLOYDMAX_H
