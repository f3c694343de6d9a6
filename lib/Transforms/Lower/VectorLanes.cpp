//===- VectorLanes.cpp - Scalar code, once for each lane -------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "VectorLanes.h"
#include "VectorExp.h"
#include "VectorLookup.h"
#include "lowbit/Transforms/Lower/VectorizeElementwise.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace lowbit {

Value toLanes(OpBuilder &b, Location loc, Value value, int64_t lanes) {
  if (lanes == 1 || isa<VectorType>(value.getType()))
    return value;
  return vector::BroadcastOp::create(b, loc, VectorType::get({lanes}, value.getType()), value);
}

static bool isExp(Operation &inner) {
  return isa<math::ExpOp>(inner) && inner.getResult(0).getType().isF32();
}

/// The table of a look-up in a constant.
static DenseElementsAttr getConstantTable(Operation &inner) {
  DenseElementsAttr table;
  if (auto extract = dyn_cast<tensor::ExtractOp>(inner);
      extract && extract.getIndices().size() == 1)
    matchPattern(extract.getTensor(), m_Constant(&table));
  return table;
}

void emitOnLanes(OpBuilder &b, Location loc, Operation &inner, int64_t lanes, IRMapping &values) {
  auto mapped = [&](Value operand) { return values.lookupOrDefault(operand); };
  if (isExp(inner)) {
    values.map(inner.getResult(0), emitExp(b, loc, mapped(inner.getOperand(0))));
    return;
  }
  bool isScalar = llvm::none_of(inner.getOperands(), [&](Value operand) {
    return isa<VectorType>(mapped(operand).getType());
  });
  if (isScalar) {
    b.clone(inner, values);
    return;
  }
  if (isTableLookup(inner)) {
    auto read = cast<memref::LoadOp>(inner);
    values.map(read.getResult(),
               emitLookup(b, loc, read.getMemRef(), mapped(read.getIndices().front())));
    return;
  }
  if (DenseElementsAttr table = getConstantTable(inner)) {
    auto type = VectorType::get(table.getType().getShape(), table.getElementType());
    Value levels = arith::ConstantOp::create(b, loc, table.reshape(type));
    values.map(inner.getResult(0), emitLookup(b, loc, levels, mapped(inner.getOperand(1))));
    return;
  }
  SmallVector<Value> operands;
  SmallVector<Type> types;
  for (Value operand : inner.getOperands())
    operands.push_back(toLanes(b, loc, mapped(operand), lanes));
  for (Type type : inner.getResultTypes())
    types.push_back(VectorType::get({lanes}, type));
  Operation *wide =
      b.create(loc, inner.getName().getIdentifier(), operands, types, inner.getAttrs());
  values.map(inner.getResults(), wide->getResults());
}

Value emitOnLanes(OpBuilder &b, Location loc, ValueRange inputs,
                  llvm::function_ref<Value(OpBuilder &, Location, ValueRange)> body) {
  Block scalar;
  IRMapping values;
  for (Value input : inputs)
    values.map(scalar.addArgument(cast<VectorType>(input.getType()).getElementType(), loc), input);
  OpBuilder nested(b.getContext());
  nested.setInsertionPointToEnd(&scalar);
  Value result = body(nested, loc, scalar.getArguments());
  int64_t lanes = cast<VectorType>(inputs[0].getType()).getDimSize(0);
  for (Operation &inner : scalar)
    emitOnLanes(b, loc, inner, lanes, values);
  Value wide = toLanes(b, loc, values.lookupOrDefault(result), lanes);
  scalar.dropAllReferences();
  return wide;
}

} // namespace lowbit
