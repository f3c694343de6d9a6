//===- Tiling.h - Legal tile sizes, and tiling with them --------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_TILING_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_TILING_H

#include "lowbit/IR/LowbitOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/Transforms/TileUsingInterface.h"

namespace lowbit {

/// Rounds `sizes` of the loops that `map` shows up to what `type` allows; 0 is the whole loop.
void legalizeTileSizes(llvm::MutableArrayRef<int64_t> sizes, mlir::AffineMap map,
                       mlir::RankedTensorType type, TileUse use);

/// The use of an encode: after its statistics if its encoding has some.
TileUse encodeUseOf(EncodeRegionOp op);

/// Makes tile sizes of `op` legal for the decodes that it reads, the encodes that read it, and for
/// itself.
void legalizeTileSizes(llvm::MutableArrayRef<int64_t> sizes, mlir::TilingInterface op);

/// Tiles `op`, with the decodes of its operands fused, to an `scf.forall` or (not parallel) to
/// `scf.for` loops, and replaces it.
llvm::FailureOr<mlir::scf::SCFTileAndFuseResult> tileAndFuse(mlir::RewriterBase &rewriter,
                                                             mlir::TilingInterface op,
                                                             llvm::ArrayRef<int64_t> sizes,
                                                             bool isParallel);

/// How ops that are no contractions are tiled.
struct UpdateTiles {
  /// They run in parallel from this many elements on.
  int64_t parallelElements;
  /// Elements in a tile of one that decodes or encodes, as far as its blocks allow.
  int64_t elements;
};

/// Tile sizes of a parallel loop over the outer parallel dimensions of `op`; all 0 where it does
/// not pay.
llvm::SmallVector<int64_t> parallelTileSizes(mlir::TilingInterface op, const UpdateTiles &limits);

/// Statistics phases and encodes of a function, each encode with the op that produces its values.
llvm::LogicalResult tileEncodes(mlir::RewriterBase &rewriter, mlir::func::FuncOp function,
                                const UpdateTiles &limits);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_TILING_H
