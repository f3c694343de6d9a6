//===- TileBuilder.h - IR on blocked iteration spaces -----------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What encodings build their tiles with. A tile whose elements share a value by blocks is computed
// in a *blocked view*: an axis of extent n cut into blocks of b becomes the two dimensions [n/b,
// b], so that every index map is a projection and upstream's vectorizer takes it. A tile whose end
// is no multiple of the block is brought into that form by repeating its last element, which
// changes no maximum or minimum, and cut back afterwards.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_IR_TILEBUILDER_H
#define LOWBIT_IR_TILEBUILDER_H

#include "lowbit/IR/Encoding.h"
#include "mlir/Dialect/Utils/StructuredOpsUtils.h"
#include "mlir/IR/Builders.h"

namespace lowbit {

/// How the dimensions of a blocked view belong to the axes of a tile.
struct BlockedView {
  mlir::Value value;
  /// Per axis of the tile: the dimension of the block number and of the position within the block;
  /// -1 where an axis has none (block extent 1: no position; whole axis: no number).
  llvm::SmallVector<int> number, position;
  unsigned rank = 0;
  /// The tile's own extents.
  llvm::SmallVector<mlir::OpFoldResult> sizes;
  llvm::SmallVector<int64_t> block;

  mlir::AffineMap identity(mlir::MLIRContext *context) const;
  /// The map of a grid tile: the block numbers, axes without one dropped.
  mlir::AffineMap grid(mlir::MLIRContext *context) const;
};

/// True if some extent is known to be 0. No slice of nothing is inside it, says the verifier of
/// slices: its offset is not below the extent.
bool isEmptyTensor(mlir::Value v);

/// An OpBuilder with a location.
class TileBuilder {
public:
  TileBuilder(mlir::OpBuilder &b, mlir::Location loc) : b(b), loc(loc) {}

  using Ofr = mlir::OpFoldResult;
  using Body = llvm::function_ref<llvm::SmallVector<mlir::Value>(TileBuilder &, mlir::ValueRange)>;

  // Index arithmetic that folds.
  Ofr index(int64_t v) { return b.getIndexAttr(v); }
  Ofr apply(mlir::AffineExpr expr, llvm::ArrayRef<Ofr> operands);
  Ofr add(Ofr x, Ofr y);
  Ofr sub(Ofr x, Ofr y);
  Ofr min(Ofr x, Ofr y);
  Ofr max(Ofr x, Ofr y);
  Ofr floorDiv(Ofr x, int64_t d);
  Ofr ceilDiv(Ofr x, int64_t d);
  mlir::Value value(Ofr v);
  /// Which block of `columns` columns `at` lies in; with 1 the column itself.
  mlir::Value blockOf(const StepColumn &at, int64_t columns);

  // Scalars.
  mlir::Value f32(float v);
  mlir::Value i8(int64_t v);
  /// The bits of v.
  mlir::Value i32(uint32_t v);
  mlir::Value constantIndex(int64_t v);
  /// The scalar x, 0 where it is NaN.
  mlir::Value withoutNaN(mlir::Value x);

  // Tensors.
  mlir::Value empty(llvm::ArrayRef<Ofr> sizes, mlir::Type elementType);
  mlir::Value filled(llvm::ArrayRef<Ofr> sizes, mlir::Value scalar);
  /// The region of v without the axes `dropped`, along which it has one element.
  mlir::Value slice(mlir::Value v, const Box &region, llvm::ArrayRef<int64_t> dropped = {});
  /// v with `part` in place of the region.
  mlir::Value insert(mlir::Value part, mlir::Value v, const Box &region);
  /// The first `sizes` of v; v itself if it has them.
  mlir::Value cut(mlir::Value v, llvm::ArrayRef<Ofr> sizes);
  /// v, extended by zeros to a multiple of `multiple` along `axis`.
  mlir::Value padded(mlir::Value v, int64_t axis, int64_t multiple);
  /// Writes v over `destination`, so that bufferization finds the destination's memory.
  mlir::Value copyInto(mlir::Value v, mlir::Value destination);
  /// Splits the last dimension n into [n / product(inner), inner...].
  mlir::Value splitLast(mlir::Value v, llvm::ArrayRef<int64_t> inner);
  /// Joins all dimensions from `from` on.
  mlir::Value joinFrom(mlir::Value v, int64_t from);
  /// Drops the dimensions whose block is the whole axis (extent 1 in a grid).
  mlir::Value dropWholeAxes(mlir::Value grid, llvm::ArrayRef<int64_t> block);
  /// The reverse: a grid of full rank.
  mlir::Value addWholeAxes(mlir::Value grid, llvm::ArrayRef<int64_t> block);

  mlir::AffineMap map(unsigned dims, llvm::ArrayRef<unsigned> results);
  llvm::SmallVector<mlir::Value> generic(mlir::ValueRange inputs, mlir::ValueRange outputs,
                                         llvm::ArrayRef<mlir::AffineMap> maps,
                                         llvm::ArrayRef<mlir::utils::IteratorType> iterators,
                                         Body body);
  /// All-parallel over the shape of inputs[0], one result of `elementType`, identity maps.
  mlir::Value elementwise(mlir::ValueRange inputs, mlir::Type elementType, Body body);

  // Blocked views.
  BlockedView blocked(mlir::Value tile, llvm::ArrayRef<int64_t> block);
  /// Back from a value in the view's dimensions to the tile's shape.
  mlir::Value unblocked(const BlockedView &view, mlir::Value value);
  /// All-parallel over the view; `gridInputs` are on its grid. Result in the view's dimensions.
  mlir::Value overBlocks(const BlockedView &view, mlir::ValueRange gridInputs,
                         mlir::Type elementType, Body body);
  /// Reduces each block to values on the grid; `initial` are scalars.
  llvm::SmallVector<mlir::Value> reduceBlocks(const BlockedView &view, mlir::ValueRange initial,
                                              Body body);
  /// On the grid: the element of largest magnitude of each block, the first one of equals; NaN
  /// counts as 0.
  mlir::Value peakOf(const BlockedView &view);
  /// Only the magnitude, by a reduction whose order does not matter.
  mlir::Value largestMagnitudeOf(const BlockedView &view);
  llvm::SmallVector<Ofr> gridSizes(llvm::ArrayRef<Ofr> sizes, llvm::ArrayRef<int64_t> block);

  mlir::OpBuilder &b;
  mlir::Location loc;
};

} // namespace lowbit

#endif // LOWBIT_IR_TILEBUILDER_H
