//===- VectorStrips.h - Loops that end in narrower steps ---------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_VECTORSTRIPS_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_VECTORSTRIPS_H

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace lowbit {

/// A loop body: gets the first index of its step and the width of the step, carries `values`.
using StripBody = llvm::function_ref<llvm::SmallVector<mlir::Value>(
    mlir::OpBuilder &, mlir::Value start, int64_t width, mlir::ValueRange values)>;

/// Covers [0, extent) with steps of the first width, what remains with the second, and so on;
/// whatever the last width leaves over is not covered. Emits no loop that is known to be empty and
/// none around a single known step. If `extent` is dynamic, each width must divide the one before
/// it. Returns the carried values and the first index that is not covered.
std::pair<llvm::SmallVector<mlir::Value>, mlir::OpFoldResult>
emitStrips(mlir::OpBuilder &b, mlir::Location loc, mlir::OpFoldResult extent,
           llvm::ArrayRef<int64_t> widths, mlir::ValueRange init, StripBody body);

/// Widths, of `most` at most, to cover `extent` with: the largest one that divides a known extent;
/// otherwise what is left over goes one by one.
llvm::SmallVector<int64_t> stripWidths(mlir::OpFoldResult extent, int64_t most);

/// The same for whatever is left of [start, extent): at most one step, shorter than `width`. The
/// body gets the number of elements that are left.
llvm::SmallVector<mlir::Value> emitRest(
    mlir::OpBuilder &b, mlir::Location loc, mlir::OpFoldResult start, mlir::OpFoldResult extent,
    int64_t width, mlir::ValueRange init,
    llvm::function_ref<llvm::SmallVector<mlir::Value>(
        mlir::OpBuilder &, mlir::Value start, mlir::OpFoldResult left, mlir::ValueRange values)>
        body);

/// The operands of an access through `map` at the indices `ivs`; null ones do not occur in the map.
llvm::SmallVector<mlir::Value> emitIndices(mlir::OpBuilder &b, mlir::Location loc,
                                           mlir::AffineMap map, llvm::ArrayRef<mlir::Value> ivs);

/// `index + delta`.
mlir::Value emitOffset(mlir::OpBuilder &b, mlir::Location loc, mlir::Value index, int64_t delta);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_VECTORSTRIPS_H
