//===- RoundCodes.h - IR that rounds codes --------------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_IR_ROUNDCODES_H
#define LOWBIT_LIB_IR_ROUNDCODES_H

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"

namespace lowbit {

/// Where the elements of a tile lie in the whole tensor.
struct ElementPlace {
  const BlockedView *view;
  llvm::ArrayRef<mlir::OpFoldResult> offsets; ///< of the tile
  llvm::ArrayRef<int64_t> shape;              ///< of the tensor
};

/// All of these build scalar IR; x and t are f32. numerics::roundToInteger:
mlir::Value buildRound(TileBuilder &t, mlir::Value x, numerics::Rounding rounding, float low);

/// Within a body over `place.view`: the random number of the element whose value is x, in [0, 1).
mlir::Value buildUniform(TileBuilder &t, uint64_t seed, const ElementPlace &place, mlir::Value x);

/// numerics::roundStochastically
mlir::Value buildRoundStochastically(TileBuilder &t, mlir::Value x, mlir::Value random);
/// numerics::encodeStochastically
mlir::Value buildEncodeStochastically(TileBuilder &t, FormatAttrInterface format, mlir::Value x,
                                      mlir::Value random);

} // namespace lowbit

#endif // LOWBIT_LIB_IR_ROUNDCODES_H
