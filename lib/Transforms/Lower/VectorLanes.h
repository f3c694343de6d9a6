//===- VectorLanes.h - Scalar code, once for each lane -----------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_VECTORLANES_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_VECTORLANES_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

namespace lowbit {

/// `value` in each of `lanes` lanes; itself if it is a vector already, or if there is one lane.
mlir::Value toLanes(mlir::OpBuilder &b, mlir::Location loc, mlir::Value value, int64_t lanes);

/// Computes `inner`, an op on scalars, for all lanes, and maps its results. What `values` maps its
/// operands to are vectors of `lanes` lanes or scalars; from scalars alone, it stays scalar.
void emitOnLanes(mlir::OpBuilder &b, mlir::Location loc, mlir::Operation &inner, int64_t lanes,
                 mlir::IRMapping &values);

/// The same for what `body` builds from scalars; `inputs` are vectors of equal length.
mlir::Value emitOnLanes(
    mlir::OpBuilder &b, mlir::Location loc, mlir::ValueRange inputs,
    llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Location, mlir::ValueRange)> body);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_VECTORLANES_H
