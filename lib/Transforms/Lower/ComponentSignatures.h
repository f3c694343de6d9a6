//===- ComponentSignatures.h - Arguments become several ----------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What functions say of arguments and results by their numbers, when each encoded one becomes its
// components.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_COMPONENTSIGNATURES_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_COMPONENTSIGNATURES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace lowbit {

/// `lowbit.updates` counts results and arguments one by one; afterwards there are several for an
/// encoded one.
llvm::LogicalResult expandUpdates(mlir::func::FuncOp function);

/// What is said of arguments stays theirs, though they get other numbers; of an encoded one it is
/// said of its first component.
llvm::SmallVector<mlir::DictionaryAttr> expandArgumentAttributes(mlir::func::FuncOp function);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_COMPONENTSIGNATURES_H
