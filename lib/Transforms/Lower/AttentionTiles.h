//===- AttentionTiles.h - The ops of attention on tiles ----------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_ATTENTIONTILES_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_ATTENTIONTILES_H

#include "AttentionMatch.h"
#include "lowbit/IR/TileBuilder.h"
#include "llvm/ADT/DenseMap.h"

namespace lowbit {

/// Offsets and sizes of a tile, by the loops of an op or the axes of a tensor.
struct Tile : Box {
  /// The part that `map` shows of a tile of loops.
  Tile through(mlir::AffineMap map) const;
  /// Takes the place of the loops that `map` shows from a tile of its results.
  void set(mlir::AffineMap map, const Tile &results);
};

/// Writes ops of a matched attention on tiles of it.
class AttentionTiles {
public:
  AttentionTiles(mlir::RewriterBase &b, Attention match);

  /// All of an op's loops.
  Tile wholeOf(mlir::linalg::LinalgOp op);
  /// min(size, extent - start)
  mlir::OpFoldResult tileSize(mlir::Value start, mlir::OpFoldResult extent, int64_t size);
  /// The tile without the axes `dropped`, along which it has one element; a scalar is the same for
  /// all.
  mlir::Value slice(mlir::Value value, const Tile &tile, llvm::ArrayRef<int64_t> dropped = {});
  mlir::Value empty(const Tile &tile);
  mlir::Value fill(double value, mlir::Value dest);

  using Given = llvm::SmallDenseMap<mlir::OpOperand *, mlir::Value>;
  /// `op` on a tile of its loops; an operand is taken from `given`, or is a slice.
  mlir::Value tileOf(mlir::linalg::LinalgOp op, const Tile &loops, const Given &given);
  /// A tile of the scores: what computes them is computed for the tile alone.
  mlir::Value scoresOf(mlir::Value scores, const Tile &tile);
  /// Where the positions end that a tile of rows sees, of `all` there are: later ones have no mass.
  mlir::OpFoldResult visibleEnd(const Tile &tile, mlir::OpFoldResult all);

private:
  std::optional<mlir::OpFoldResult> largest(mlir::Value index, const Tile &tile);

  mlir::RewriterBase &b;
  mlir::Location loc;
  Attention match;
};

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_ATTENTIONTILES_H
