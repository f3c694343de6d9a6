//===- GenericDerivatives.cpp - The chain rule over linalg.generic --------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ScalarDerivatives.h"
#include "TensorDerivatives.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace lowbit;

namespace {
/// How a result comes about from what its elements were before.
enum class Kind {
  Map,     // each is computed once
  Sum,     // what is computed is added
  Extremum // the largest or the smallest stays
};

/// A result that has a cotangent.
struct Part {
  unsigned number;
  Kind kind;
  Value cotangent;
  Value compared; // of an extremum: what its payload computes, ...
  Value counts;   // ... and how often each element of the result was that
};

class GenericDerivative {
public:
  GenericDerivative(OpBuilder &b, linalg::GenericOp op, ValueRange results,
                    TensorCotangents &cotangents)
      : b(b), op(op), results(results), cotangents(cotangents) {}

  LogicalResult run();

private:
  FailureOr<Part> classify(unsigned number);
  Value countExtrema(const Part &part);
  LogicalResult differentiate(OpOperand &operand);
  /// A copy of the payload's ops where `at` stands, with these operands' elements.
  IRMapping copyPayload(OpBuilder &at, ValueRange elements);
  bool reduces() { return op.getNumReductionLoops() > 0; }
  /// What the payload reads: where sums are made, what they were before is not.
  SmallVector<OpOperand *> readOperands();

  OpBuilder &b;
  linalg::GenericOp op;
  ValueRange results;
  TensorCotangents &cotangents;
  SmallVector<Part> parts;
};
} // namespace

SmallVector<OpOperand *> GenericDerivative::readOperands() {
  SmallVector<OpOperand *> operands = op.getDpsInputOperands();
  if (!reduces())
    for (OpOperand &init : op.getDpsInitsMutable())
      operands.push_back(&init);
  return operands;
}

IRMapping GenericDerivative::copyPayload(OpBuilder &at, ValueRange elements) {
  IRMapping map;
  Block *block = op.getBlock();
  for (auto [argument, element] : llvm::zip(block->getArguments(), elements))
    map.map(argument, element);
  for (BlockArgument argument : block->getArguments().drop_front(elements.size()))
    map.map(argument,
            arith::ConstantOp::create(at, op.getLoc(), argument.getType(),
                                      cast<TypedAttr>(at.getZeroAttr(argument.getType()))));
  for (Operation &inner : block->without_terminator())
    at.clone(inner, map);
  return map;
}

/// Whether what an element of result `number` was before is added to what the payload computes, and
/// nothing else is done with it or with the sum.
static bool isSum(Value before, Operation *yield, unsigned number) {
  while (before.hasOneUse()) {
    OpOperand &use = *before.use_begin();
    if (use.getOwner() == yield)
      return use.getOperandNumber() == number;
    unsigned place = use.getOperandNumber();
    if (!isa<arith::AddFOp>(use.getOwner()) &&
        !(isa<arith::SubFOp>(use.getOwner()) && place == 0) &&
        !(isa<math::FmaOp>(use.getOwner()) && place == 2))
      return false;
    before = use.getOwner()->getResult(0);
  }
  return false;
}

FailureOr<Part> GenericDerivative::classify(unsigned number) {
  Part part{number, Kind::Map, cotangents.lookup(results[number]), {}, {}};
  if (!reduces())
    return part;
  BlockArgument before = op.getRegionOutputArgs()[number];
  Operation *yield = op.getBlock()->getTerminator();
  part.kind = Kind::Sum;
  if (isSum(before, yield, number))
    return part;
  Operation *last = yield->getOperand(number).getDefiningOp();
  if (isa_and_nonnull<arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp, arith::MinNumFOp>(
          last) &&
      last->hasOneUse() && before.hasOneUse() && *before.user_begin() == last) {
    if (cotangents.isActive(op.getDpsInits()[number])) {
      op.emitOpError("cannot be differentiated: the extremum begins with a value that itself needs "
                     "a cotangent");
      return failure();
    }
    part.kind = Kind::Extremum;
    part.compared = last->getOperand(last->getOperand(0) == before ? 1 : 0);
    part.counts = countExtrema(part);
    return part;
  }
  op.emitOpError("cannot be differentiated: result ")
      << number << " reduces by what is neither a sum nor an extremum";
  return failure();
}

Value GenericDerivative::countExtrema(const Part &part) {
  Value result = results[part.number];
  SmallVector<Value> inputs(op.getDpsInputs());
  SmallVector<AffineMap> maps;
  for (OpOperand *input : op.getDpsInputOperands())
    maps.push_back(op.getMatchingIndexingMap(input));
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(part.number));
  inputs.push_back(result);
  maps.append({map, map});
  auto count = [&](OpBuilder &b, Location loc, ValueRange e) {
    IRMapping copied = copyPayload(b, e.take_front(op.getNumDpsInputs()));
    Value here = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ,
                                       copied.lookupOrDefault(part.compared), e.drop_back().back());
    auto number = [&](double x) {
      return arith::ConstantOp::create(b, loc, e.back().getType(),
                                       b.getFloatAttr(e.back().getType(), x));
    };
    Value one = arith::SelectOp::create(b, loc, here, number(1), number(0));
    linalg::YieldOp::create(b, loc, arith::AddFOp::create(b, loc, e.back(), one).getResult());
  };
  return linalg::GenericOp::create(b, op.getLoc(), result.getType(), inputs,
                                   buildZeros(b, op.getLoc(), result), maps,
                                   op.getIteratorTypesArray(), count)
      .getResult(0);
}

LogicalResult GenericDerivative::differentiate(OpOperand &operand) {
  Location loc = op.getLoc();
  AffineMap to = op.getMatchingIndexingMap(&operand);
  if (!isa<RankedTensorType>(operand.get().getType()) || !to.isProjectedPermutation())
    return op.emitOpError("cannot be differentiated: operand ")
           << operand.getOperandNumber() << " is read by " << AffineMapAttr::get(to)
           << ", not once for each of its own indices";

  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  auto read = [&](Value value, AffineMap map) {
    inputs.push_back(value);
    maps.push_back(map);
  };
  SmallVector<OpOperand *> operands = readOperands();
  for (OpOperand *other : operands)
    read(other->get(), op.getMatchingIndexingMap(other));
  for (const Part &part : parts) {
    AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(part.number));
    read(part.cotangent, map);
    if (part.kind == Kind::Extremum) {
      read(results[part.number], map);
      read(part.counts, map);
    }
  }
  // Along the loops that the operand does not know, its cotangent is a sum.
  SmallVector<utils::IteratorType> iterators(op.getNumLoops(), utils::IteratorType::reduction);
  for (AffineExpr index : to.getResults())
    iterators[cast<AffineDimExpr>(index).getPosition()] = utils::IteratorType::parallel;
  maps.push_back(to);

  Value before = cotangents.lookup(operand.get());
  bool adds = before || to.getNumResults() < op.getNumLoops();
  if (!before)
    before = adds ? buildZeros(b, loc, operand.get())
                  : tensor::EmptyOp::create(b, loc, tensor::getMixedSizes(b, loc, operand.get()),
                                            getElementTypeOrSelf(operand.get()));
  LogicalResult status = success();
  auto payload = [&](OpBuilder &b, Location loc, ValueRange e) {
    IRMapping copied = copyPayload(b, e.take_front(operands.size()));
    ValueRange given = e.drop_front(operands.size());
    ScalarCotangents scalars(b, copied);
    for (const Part &part : parts) {
      if (part.kind != Kind::Extremum) {
        scalars.add(op.getBlock()->getTerminator()->getOperand(part.number), given[0]);
        given = given.drop_front();
        continue;
      }
      // It goes to where the extremum is, in equal parts.
      Value here = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ,
                                         copied.lookupOrDefault(part.compared), given[1]);
      Value share = arith::DivFOp::create(b, loc, given[0], given[2]);
      Value zero = arith::ConstantOp::create(b, loc, share.getType(),
                                             cast<TypedAttr>(b.getZeroAttr(share.getType())));
      scalars.add(part.compared, arith::SelectOp::create(b, loc, here, share, zero));
      given = given.drop_front(3);
    }
    BlockArgument target = op.getMatchingBlockArgument(&operand);
    status = scalars.propagate(*op.getBlock(), target);
    Value found = scalars.lookup(target);
    if (!found)
      found = arith::ConstantOp::create(b, loc, target.getType(),
                                        cast<TypedAttr>(b.getZeroAttr(target.getType())));
    if (adds)
      found = arith::AddFOp::create(b, loc, e.back(), found);
    linalg::YieldOp::create(b, loc, found);
  };
  auto derivative =
      linalg::GenericOp::create(b, loc, before.getType(), inputs, before, maps, iterators, payload);
  cotangents.replace(operand.get(), derivative.getResult(0));
  return status;
}

LogicalResult GenericDerivative::run() {
  SetVector<Value> captured;
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  if (llvm::any_of(captured, [&](Value value) { return cotangents.isActive(value); }))
    return op.emitOpError("cannot be differentiated: its payload reads elements of a tensor that "
                          "needs a cotangent");
  for (auto [number, result] : llvm::enumerate(results)) {
    if (!cotangents.lookup(result))
      continue;
    FailureOr<Part> part = classify(number);
    if (failed(part))
      return failure();
    parts.push_back(*part);
  }
  for (const Part &part : parts)
    if (part.kind == Kind::Sum)
      cotangents.add(op.getLoc(), op.getDpsInits()[part.number], part.cotangent);
  for (OpOperand *operand : readOperands())
    if (cotangents.isActive(operand->get()) && !op.getMatchingBlockArgument(operand).use_empty() &&
        failed(differentiate(*operand)))
      return failure();
  return success();
}

LogicalResult lowbit::differentiateGeneric(OpBuilder &b, linalg::GenericOp op, ValueRange results,
                                           TensorCotangents &cotangents) {
  return GenericDerivative(b, op, results, cotangents).run();
}
