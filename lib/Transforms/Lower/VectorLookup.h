//===- VectorLookup.h - Constant tables, one lookup for each lane -*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_VECTORLOOKUP_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_VECTORLOOKUP_H

#include "mlir/IR/Builders.h"

namespace lowbit {

/// The largest table that is held in registers; larger ones are gathered from memory.
constexpr int64_t maxRegisterTable = 16;

/// The elements of `table`, a memref of rank 1 and known size or a vector of up to 16 elements, at
/// each of `indices`, a vector of index.
mlir::Value emitLookup(mlir::OpBuilder &b, mlir::Location loc, mlir::Value table,
                       mlir::Value indices);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_VECTORLOOKUP_H
