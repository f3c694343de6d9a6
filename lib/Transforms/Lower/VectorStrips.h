//===- VectorStrips.h - Loops that end in narrower steps ---------*- C++ -*-===//
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

/// The same for whatever is left of [start, extent): at most one step, shorter than `width`. The
/// body gets the number of elements that are left.
llvm::SmallVector<mlir::Value> emitRest(
    mlir::OpBuilder &b, mlir::Location loc, mlir::OpFoldResult start, mlir::OpFoldResult extent,
    int64_t width, mlir::ValueRange init,
    llvm::function_ref<llvm::SmallVector<mlir::Value>(
        mlir::OpBuilder &, mlir::Value start, mlir::OpFoldResult left, mlir::ValueRange values)>
        body);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_VECTORSTRIPS_H
