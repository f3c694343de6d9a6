//===- TableLanes.h - Ops on tables instead of looked-up values -*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_TABLELANES_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_TABLELANES_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"

namespace lowbit {

/// What a body computes from elements of one table that a register holds, and from nothing else but
/// what is the same for all strips, is looked up in a table as well: one that is computed once,
/// such as the levels of a format times the scale of a block.
class TableLanes {
public:
  TableLanes() = default;
  /// `uniform` maps what is the same for all strips; what is emitted is, too.
  TableLanes(mlir::OpBuilder &b, mlir::Location loc, mlir::Block &body,
             const mlir::IRMapping &uniform);

  /// Whether the result of `inner` is looked up. If so, `values` maps it where something needs it.
  bool emit(mlir::OpBuilder &b, mlir::Location loc, mlir::Operation &inner,
            mlir::IRMapping &values) const;

private:
  struct Table {
    mlir::Value lanes;
    mlir::Value index;
  };
  llvm::MapVector<mlir::Value, Table> tables;
};

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_TABLELANES_H
