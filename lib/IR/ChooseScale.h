//===- ChooseScale.h - IR that finds the scale of each block --------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_IR_CHOOSESCALE_H
#define LOWBIT_LIB_IR_CHOOSESCALE_H

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"

namespace lowbit {

/// Factors on a grid, and the block of elements that share one.
struct GridValues {
  mlir::Value value;
  llvm::SmallVector<int64_t> block;
};

/// What the level tiles of a tree decode to.
GridValues factorsOf(TileBuilder &t, ScaleAttrInterface tree, llvm::ArrayRef<int64_t> shape,
                     mlir::ValueRange levels, const Box &region);

struct ChosenScale {
  llvm::SmallVector<mlir::Value> levels; ///< the scale's, then the zero point's
  GridValues scale, zero;                ///< what codes are computed with
};

/// What codes are computed with where scales and zero points are given: unpacked `levels` of the
/// tile, the scale's, then the zero point's. Failure: they are not on the same blocks.
llvm::FailureOr<ChosenScale> givenScale(TileBuilder &t, QuantizedAttr term,
                                        llvm::ArrayRef<int64_t> shape,
                                        llvm::SmallVector<mlir::Value> levels, const Box &region);

/// The scale and the zero point of each block of a tile, as numerics::chooseScales. The term has a
/// scale whose levels are payload. Failure: the tree cannot be written.
llvm::FailureOr<ChosenScale> chooseScale(TileBuilder &t, QuantizedAttr term,
                                         const numerics::EncodeRule &rule,
                                         llvm::ArrayRef<int64_t> shape, mlir::Value tile,
                                         const Box &region);

} // namespace lowbit

#endif // LOWBIT_LIB_IR_CHOOSESCALE_H
