//===- BlockLoops.h - Searches over the elements of a block ---------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_IR_BLOCKLOOPS_H
#define LOWBIT_LIB_IR_BLOCKLOOPS_H

#include "lowbit/IR/TileBuilder.h"

namespace lowbit {

/// The elements of one block, in loops that run in order of the linear index.
class BlockElements {
public:
  BlockElements(mlir::Value tile, llvm::SmallVector<mlir::Value> begin,
                llvm::SmallVector<mlir::Value> end)
      : tile(tile), begin(std::move(begin)), end(std::move(end)) {}

  /// Folds over the elements: body(t, [element, values so far...]) gives the next values.
  llvm::SmallVector<mlir::Value> fold(TileBuilder &t, mlir::ValueRange initial,
                                      TileBuilder::Body body) const;
  /// How many there are, an index.
  mlir::Value count(TileBuilder &t) const;

private:
  mlir::Value tile;
  llvm::SmallVector<mlir::Value> begin, end;
};

/// One value of `elementType` for each block of `tile`, computed by itself: body(t, elements,
/// [values of gridInputs at the block]). Slow: plain loops, in whose order sums may be relied on.
/// `view` is that of the tile; the result is on its grid.
mlir::Value overGrid(
    TileBuilder &t, const BlockedView &view, mlir::Value tile, mlir::ValueRange gridInputs,
    mlir::Type elementType,
    llvm::function_ref<mlir::Value(TileBuilder &, const BlockElements &, mlir::ValueRange)> body);

} // namespace lowbit

#endif // LOWBIT_LIB_IR_BLOCKLOOPS_H
