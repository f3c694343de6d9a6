//===- ArgumentOrigins.h - Whose storage a value may take -------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_ARGUMENTORIGINS_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_ARGUMENTORIGINS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"

namespace lowbit {

/// The arguments of `function` in whose storage its `result`-th result may lie once tensors are
/// buffers: too many rather than too few.
llvm::SmallDenseSet<unsigned> argumentOriginsOf(mlir::func::FuncOp function, unsigned result,
                                                mlir::SymbolTable &symbols);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_ARGUMENTORIGINS_H
