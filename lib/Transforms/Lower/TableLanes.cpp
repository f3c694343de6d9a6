//===- TableLanes.cpp - Ops on tables instead of looked-up values ---------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "TableLanes.h"
#include "VectorLanes.h"
#include "VectorLookup.h"
#include "lowbit/Transforms/Lower/VectorizeElementwise.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace lowbit;

TableLanes::TableLanes(OpBuilder &b, Location loc, Block &body, const IRMapping &uniform) {
  for (Operation &inner : body.without_terminator()) {
    if (isTableLookup(inner)) {
      auto read = cast<memref::LoadOp>(inner);
      MemRefType type = read.getMemRefType();
      if (type.getDimSize(0) > maxRegisterTable || uniform.contains(read.getResult()))
        continue;
      Value zero = arith::ConstantIndexOp::create(b, loc, 0);
      Value lanes = vector::LoadOp::create(
          b, loc, VectorType::get(type.getShape(), type.getElementType()), read.getMemRef(), zero);
      tables.insert({read.getResult(), {lanes, read.getIndices().front()}});
      continue;
    }
    if (inner.getNumResults() != 1 || !OpTrait::hasElementwiseMappableTraits(&inner) ||
        !isPure(&inner))
      continue;
    IRMapping values = uniform;
    std::optional<Table> table;
    bool isDerived = llvm::all_of(inner.getOperands(), [&](Value operand) {
      auto found = tables.find(operand);
      if (found == tables.end())
        return uniform.contains(operand) || operand.getParentBlock() != &body;
      if (table && table->index != found->second.index)
        return false;
      table = found->second;
      values.map(operand, table->lanes);
      return true;
    });
    if (!table || !isDerived)
      continue;
    int64_t size = cast<VectorType>(table->lanes.getType()).getDimSize(0);
    emitOnLanes(b, loc, inner, size, values);
    tables.insert({inner.getResult(0), {values.lookup(inner.getResult(0)), table->index}});
  }
}

bool TableLanes::emit(OpBuilder &b, Location loc, Operation &inner, IRMapping &values) const {
  auto found = inner.getNumResults() == 1 ? tables.find(inner.getResult(0)) : tables.end();
  if (found == tables.end())
    return false;
  bool isNeeded = llvm::any_of(inner.getUsers(), [&](Operation *user) {
    return user->getNumResults() != 1 || !tables.contains(user->getResult(0));
  });
  if (isNeeded)
    values.map(inner.getResult(0),
               emitLookup(b, loc, found->second.lanes, values.lookup(found->second.index)));
  return true;
}
