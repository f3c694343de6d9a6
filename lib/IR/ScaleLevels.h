//===- ScaleLevels.h - IR of one level of a scale -------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_IR_SCALELEVELS_H
#define LOWBIT_LIB_IR_SCALELEVELS_H

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"

namespace lowbit {

/// The f32 values of a tensor of codes.
mlir::Value decodeLevel(TileBuilder &t, FormatAttrInterface format, mlir::Value codes);

/// The code of one wanted factor, a scalar. `saturate`: a float element takes what is beyond its
/// range as its largest finite value and NaN as zero.
mlir::Value storedCode(TileBuilder &t, FormatAttrInterface format, mlir::Value factor,
                       bool saturate);
/// Of each in a tensor.
mlir::Value encodeLevel(TileBuilder &t, FormatAttrInterface format, mlir::Value factors,
                        bool saturate);

} // namespace lowbit

#endif // LOWBIT_LIB_IR_SCALELEVELS_H
