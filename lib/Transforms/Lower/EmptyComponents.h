//===- EmptyComponents.h - Storage that is to be encoded into ---*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_EMPTYCOMPONENTS_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_EMPTYCOMPONENTS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace lowbit {

/// Storage for a tensor of `type`. Failure: structure that only data can give has no empty form.
llvm::FailureOr<llvm::SmallVector<mlir::Value>>
emptyComponents(mlir::OpBuilder &b, mlir::Location loc, mlir::RankedTensorType type,
                llvm::ArrayRef<mlir::OpFoldResult> sizes);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_EMPTYCOMPONENTS_H
