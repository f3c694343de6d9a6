//===- InnerTiles.h - Vectors of codes and levels of inner tiles -*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the layouts `tiled` and `records` share: they hold the same arrays in another order.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_IR_INNERTILES_H
#define LOWBIT_LIB_IR_INNERTILES_H

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"
#include "lowbit/Numerics/TiledLayout.h"

namespace lowbit {

/// The codes of one level of a scale or zero point.
struct StoredLevel {
  std::string name;
  FormatAttrInterface format;
  llvm::SmallVector<int64_t> block, grid; ///< on the tensor
  bool isTiled;                           ///< it has a value for each row

  llvm::SmallVector<int64_t> storedShape() const;
  /// Stored elements without the bits beyond the code's own, which are whatever they are.
  mlir::Value codesOf(mlir::OpBuilder &b, mlir::Location loc, mlir::Value elements) const;
  Box gridRegion(TileBuilder &t, const Box &region) const;
  Box storedRegion(TileBuilder &t, const Box &region) const;
};

/// In the order of their components, which follow those of the planes.
llvm::SmallVector<StoredLevel> storedLevelsOf(QuantizedAttr term, llvm::ArrayRef<int64_t> shape);
std::vector<numerics::Plane> planesOf(QuantizedAttr term);
/// Columns that whole vectors of all planes hold.
int64_t innerColumnsOf(QuantizedAttr term);

/// The fields of a tile from the parts of the components of `tiled` that belong to it; they may go
/// on beyond it.
Fields unpackInnerTiles(TileBuilder &t, QuantizedAttr term, mlir::RankedTensorType type,
                        mlir::ValueRange parts, const Box &region);
/// The reverse; returns one value for each of `destinations`.
llvm::SmallVector<mlir::Value> packInnerTiles(TileBuilder &t, QuantizedAttr term,
                                              mlir::RankedTensorType type, const Fields &fields,
                                              mlir::ValueRange destinations);

/// Loads the vector of 16 rows and the unit (so many columns, or all) that `at` lies in, of a
/// component of `tiled`.
using LoadUnit =
    llvm::function_ref<mlir::Value(unsigned component, int64_t columns, mlir::VectorType type)>;

/// What LayoutAttrInterface says of buildInnerTile().
mlir::Value buildInnerCodes(TileBuilder &t, QuantizedAttr term, const StepColumn &at,
                            LoadUnit load);
/// And of buildInnerLevel(); `grid` is the component of a level that is not tiled.
mlir::Value buildInnerLevel(TileBuilder &t, const StoredLevel &level, unsigned component,
                            mlir::Value grid, mlir::Value group, const StepColumn &at,
                            LoadUnit load);

/// Of a component [groups, units, elements of a unit] by itself.
mlir::Value loadUnit(TileBuilder &t, mlir::Value component, int64_t columns, mlir::VectorType type,
                     mlir::Value group, const StepColumn &at);
/// The unit that begins at `at`, if one does, and `ahead` columns after it.
void prefetchUnit(TileBuilder &t, mlir::Value component, int64_t columns, int64_t ahead,
                  mlir::Value group, const StepColumn &at, unsigned locality);

} // namespace lowbit

#endif // LOWBIT_LIB_IR_INNERTILES_H
