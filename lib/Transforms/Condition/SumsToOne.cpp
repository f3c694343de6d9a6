//===- SumsToOne.cpp - Weighted means in a program ------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SumsToOne.h"

#include "ChannelPlaces.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace lowbit;

/// The operands a and b of an op that computes a / b elementwise.
static std::optional<std::pair<OpOperand *, OpOperand *>> matchQuotient(linalg::LinalgOp op) {
  if (!op || op.getNumDpsInits() != 1 || op.getNumReductionLoops())
    return std::nullopt;
  auto quotient = op.getBlock()->getTerminator()->getOperand(0).getDefiningOp<arith::DivFOp>();
  if (!quotient)
    return std::nullopt;
  auto a = dyn_cast<BlockArgument>(quotient.getLhs()),
       b = dyn_cast<BlockArgument>(quotient.getRhs());
  if (!a || !b || a.getOwner() != op.getBlock() || b.getOwner() != op.getBlock())
    return std::nullopt;
  return std::pair(&op->getOpOperand(a.getArgNumber()), &op->getOpOperand(b.getArgNumber()));
}

/// For each axis of `sums` the axis of `value` that it is; nothing where it is not the sum of the
/// value over exactly the axis `summed`.
static std::optional<SmallVector<unsigned>> matchSum(Value sums, Value value, unsigned summed) {
  auto op = sums.getDefiningOp<linalg::LinalgOp>();
  if (!op || op.getNumDpsInits() != 1 || op.getNumDpsInputs() != 1 ||
      op.getDpsInputs().front() != value || !isZeroOrUnset(op.getDpsInits()[0]))
    return std::nullopt;
  auto add = op.getBlock()->getTerminator()->getOperand(0).getDefiningOp<arith::AddFOp>();
  if (!add || !llvm::is_contained(add.getOperands(), op.getBlock()->getArgument(0)) ||
      !llvm::is_contained(add.getOperands(), op.getBlock()->getArgument(1)))
    return std::nullopt;
  AffineMap in = op.getMatchingIndexingMap(op.getDpsInputOperand(0));
  AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  if (!in.isPermutation() || out.getNumResults() + 1 != in.getNumResults() ||
      out.getResultPosition(in.getResult(summed)))
    return std::nullopt;
  SmallVector<unsigned> axes;
  for (AffineExpr loop : out.getResults()) {
    std::optional<unsigned> axis = in.getResultPosition(loop);
    if (!axis)
      return std::nullopt;
    axes.push_back(*axis);
  }
  return axes;
}

/// A contraction as a sum over one loop of products of two operands.
static std::optional<unsigned> matchContraction(linalg::LinalgOp op) {
  SmallVector<unsigned> reductions;
  if (!op || !linalg::isaContractionOpInterface(op))
    return std::nullopt;
  op.getReductionDims(reductions);
  if (reductions.size() != 1 || !isZeroOrUnset(op.getDpsInits()[0]))
    return std::nullopt;
  return reductions.front();
}

/// Where sums lie in a structured op, by loops, as the value that they are sums of lies there.
static bool agree(linalg::LinalgOp op, AffineMap value, AffineMap sums, ArrayRef<unsigned> axes) {
  return sums.getNumResults() == axes.size() && llvm::all_of(llvm::enumerate(axes), [&](auto pair) {
           return sums.getResult(pair.index()) == value.getResult(pair.value());
         });
}

OpOperand *lowbit::findAveraged(linalg::LinalgOp op) {
  // A contraction with weights that were divided by their sum.
  if (std::optional<unsigned> loop = matchContraction(op)) {
    AffineExpr summed = getAffineDimExpr(*loop, op.getContext());
    for (unsigned side : {0, 1}) {
      OpOperand *weights = op.getDpsInputOperand(side);
      std::optional<unsigned> axis = op.getMatchingIndexingMap(weights).getResultPosition(summed);
      auto division = weights->get().getDefiningOp<linalg::LinalgOp>();
      auto quotient = matchQuotient(division);
      if (!axis || !quotient)
        continue;
      AffineMap result = division.getMatchingIndexingMap(division.getDpsInitOperand(0));
      AffineMap value = division.getMatchingIndexingMap(quotient->first);
      AffineMap sums = division.getMatchingIndexingMap(quotient->second);
      std::optional<unsigned> inValue = value.getResultPosition(result.getResult(*axis));
      if (!inValue)
        continue;
      auto axes = matchSum(quotient->second->get(), quotient->first->get(), *inValue);
      if (axes && agree(division, value, sums, *axes))
        return op.getDpsInputOperand(1 - side);
    }
    return nullptr;
  }
  // A contraction with weights that is divided by their sum.
  auto quotient = matchQuotient(op);
  if (!quotient || quotient->first->getOperandNumber() != 0)
    return nullptr;
  auto product = quotient->first->get().getDefiningOp<linalg::LinalgOp>();
  std::optional<unsigned> loop = matchContraction(product);
  if (!loop || !llvm::hasSingleElement(product->getResult(0).getUses()))
    return nullptr;
  AffineExpr summed = getAffineDimExpr(*loop, op.getContext());
  AffineMap mixed = product.getMatchingIndexingMap(product.getDpsInitOperand(0));
  AffineMap divided = op.getMatchingIndexingMap(quotient->first);
  AffineMap sums = op.getMatchingIndexingMap(quotient->second);
  for (unsigned side : {0, 1}) {
    AffineMap map = product.getMatchingIndexingMap(product.getDpsInputOperand(side));
    std::optional<unsigned> axis = map.getResultPosition(summed);
    Value weights = product.getDpsInputs()[side];
    auto axes = axis ? matchSum(quotient->second->get(), weights, *axis) : std::nullopt;
    if (!axes)
      continue;
    // Axis by axis: of the sums, of the weights, loops of the product, axes of what is divided.
    bool isSame = sums.getNumResults() == axes->size() &&
                  llvm::all_of(llvm::enumerate(*axes), [&](auto pair) {
                    std::optional<unsigned> place =
                        mixed.getResultPosition(map.getResult(pair.value()));
                    return place && divided.getResult(*place) == sums.getResult(pair.index());
                  });
    if (isSame)
      return product.getDpsInputOperand(1 - side);
  }
  return nullptr;
}
