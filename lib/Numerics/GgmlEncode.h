//===- GgmlEncode.h - Structs that ggml quantizes by rules of their own -===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_NUMERICS_GGMLENCODE_H
#define LOWBIT_LIB_NUMERICS_GGMLENCODE_H

#include "lowbit/Numerics/Layout.h"

namespace lowbit::numerics {

/// Levels -1, 0 and 1 of the largest magnitude: gguf.quants.TQ2_0.quantize.
std::vector<Codes> encodeTernary(const Quantized &term, int64_t elements, const float *x);

/// A power of two and the nearest levels, the first code of equals: gguf.quants.MXFP4.quantize.
std::vector<Codes> encodeMicroscaled(const Quantized &term, int64_t elements, const float *x);

} // namespace lowbit::numerics

#endif // LOWBIT_LIB_NUMERICS_GGMLENCODE_H
