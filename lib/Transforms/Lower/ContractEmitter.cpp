//===- ContractEmitter.cpp - What comes around products of codes ----------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ContractEmitter.h"

#include "VectorLanes.h"
#include "VectorStrips.h"
#include "lowbit/IR/TileBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace lowbit;
using numerics::InnerTile;

Value ContractEmitter::startOf(OpBuilder &b, const StepColumn &at, size_t plane, size_t m) {
  if (!plan.isInteger())
    return splat(b, b.getF32FloatAttr(0));
  if (!plan.hasOffset() || plane != 0)
    return splat(b, b.getI32IntegerAttr(0));
  return lanes(b, factors.buildOffset(b, rows[m], at));
}

ContractEmitter::WeightFactors ContractEmitter::weightFactorsOf(OpBuilder &b, Value group,
                                                                const StepColumn &at) {
  return {plan.weightsVary ? factors.buildWeights(b, group, at) : Value(),
          plan.weights.getZeroTree() ? factors.buildZeros(b, group, at) : Value()};
}

Value ContractEmitter::emitFactors(OpBuilder &b, const StepColumn &at, const WeightFactors &weights,
                                   Value row, ValueRange dots, Value sum) {
  Value dot = dots[0];
  for (size_t plane = 1; plane < plan.planeCount(); ++plane) {
    Value shift = splat(b, b.getI32IntegerAttr(plan.activationPlanes[plane].shift));
    dot = arith::AddIOp::create(b, loc, dot, arith::ShLIOp::create(b, loc, dots[plane], shift));
  }
  if (plan.isInteger())
    dot = arith::SIToFPOp::create(b, loc, floats(b), dot);
  Value xFactor = plan.activationsVary ? factors.buildActivations(b, row, at) : Value();
  if (!weights.zero)
    return multiplyAdd(b, dot, buildProduct(b, loc, weights.factor, xFactor), sum);
  Value zero = lanes(b, weights.zero), xSum = factors.buildBlockSum(b, row, at);
  if (plan.weights.getAdditive()) {
    sum = multiplyAdd(b, dot, buildProduct(b, loc, weights.factor, xFactor), sum);
    return vector::FMAOp::create(b, loc, zero, lanes(b, xSum), sum);
  }
  Value less = arith::NegFOp::create(b, loc, xSum);
  dot = vector::FMAOp::create(b, loc, zero, lanes(b, less), dot);
  return multiplyAdd(b, dot, buildProduct(b, loc, weights.factor, xFactor), sum);
}

void ContractEmitter::emitFinish(OpBuilder &b, const RegisterTile &tile, ValueRange sums) {
  StepColumn start{arith::ConstantIndexOp::create(b, loc, 0), plan.columns, 0};
  Values xFactors;
  for (Value row : rows)
    xFactors.push_back(plan.isInteger() && !plan.activationsVary
                           ? factors.buildActivations(b, row, start)
                           : Value());
  for (auto [g, group] : llvm::enumerate(groups)) {
    Value factor = plan.weightsVary ? Value() : factors.buildWeights(b, group, start);
    for (size_t m = 0; m < rows.size(); ++m) {
      Value sum = sums[g * rows.size() + m];
      if (Value all = buildProduct(b, loc, factor, xFactors[m]))
        sum = arith::MulFOp::create(b, loc, sum, lanes(b, all));
      addToOutput(b, rows[m], emitOffset(b, loc, tile.group, g * tile.groupStride), sum);
    }
  }
}

void ContractEmitter::addToOutput(OpBuilder &b, Value row, Value group, Value sum) {
  Value column = columnOf(b, {group, InnerTile::rows, 0});
  Values indices{row, column};
  // A part of unknown size ends with a group, or at the last output.
  int64_t extent = cast<MemRefType>(init.getType()).getDimSize(1);
  if (ShapedType::isDynamic(extent))
    extent = plan.rhsType.getDimSize(0);
  if (extent % InnerTile::rows == 0) {
    Value old = vector::LoadOp::create(b, loc, floats(b), init, indices);
    vector::StoreOp::create(b, loc, arith::AddFOp::create(b, loc, old, sum), init, indices);
    return;
  }
  TileBuilder t(b, loc);
  Value left = t.value(t.sub(outputs, column));
  Value mask =
      vector::CreateMaskOp::create(b, loc, VectorType::get({InnerTile::rows}, b.getI1Type()), left);
  Value zero = splat(b, b.getF32FloatAttr(0));
  Value old = vector::MaskedLoadOp::create(b, loc, floats(b), init, indices, mask, zero);
  vector::MaskedStoreOp::create(b, loc, init, indices, mask,
                                arith::AddFOp::create(b, loc, old, sum));
}

Value ContractEmitter::splat(OpBuilder &b, TypedAttr element) {
  auto type = VectorType::get({InnerTile::rows}, element.getType());
  return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, Attribute(element)));
}

Value ContractEmitter::multiplyAdd(OpBuilder &b, Value x, Value factor, Value sum) {
  if (!factor)
    return arith::AddFOp::create(b, loc, sum, x);
  return vector::FMAOp::create(b, loc, x, lanes(b, factor), sum);
}

Value ContractEmitter::lanes(OpBuilder &b, Value value) {
  return lowbit::toLanes(b, loc, value, InnerTile::rows);
}

Value ContractEmitter::columnOf(OpBuilder &b, const StepColumn &at) {
  return TileBuilder(b, loc).blockOf(at, 1);
}
