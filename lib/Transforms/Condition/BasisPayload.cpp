//===- BasisPayload.cpp - What structured ops do to a change of basis -----===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BasisFinder.h"

#include "lowbit/IR/LowbitOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace lowbit;

Refusal BasisFinder::narrow(Payload &payload, Digits keep, const Twine &why) {
  refuse(why);
  // Neighbours: the last digits, and no others.
  ArrayRef<ChannelDigit> digits = payload.loops.getDigits();
  size_t first = digits.size();
  int64_t extent = 1;
  while (first > 0 && keep >> (first - 1) & 1)
    extent *= digits[--first].extent;
  if (keep & ((Digits(1) << first) - 1))
    return {};
  if (extent > 1 && keep != payload.all)
    narrower = extent;
  return {};
}

Refusal BasisFinder::narrowTo(Payload &payload, Digits a, Digits b, const Twine &why) {
  Digits last = Digits(1) << (payload.loops.getDigits().size() - 1);
  Digits keep = a & last && b & last ? a & b : a & last ? a & ~b : b & last ? b & ~a : ~(a | b);
  return narrow(payload, keep & payload.all, why);
}

BasisFinder::Digits BasisFinder::digitsOn(Payload &payload, AffineMap map) {
  Digits digits = 0;
  for (auto [number, digit] : llvm::enumerate(payload.loops.getDigits()))
    if (map.isFunctionOfDim(*digit.axis))
      digits |= Digits(1) << number;
  return digits;
}

Refusal BasisFinder::refuseGain(Attribute gain, Operation *op) {
  return refuse("the gain " + quoteParameter(gain) +
                " cannot go into the weights that read it: what it scales also feeds " + quote(op));
}

bool BasisFinder::isParameter(const Term &term) {
  return term.leaves.size() == 1 && getParameter(term.leaves.front()->get()) && !term.isProduct;
}

Value BasisFinder::getValue(const Term &term) {
  return term.leaves.size() == 1 && !term.isProduct ? term.leaves.front()->get() : Value();
}

std::optional<ChannelPlaces> BasisFinder::placesOf(Payload &payload, OpOperand &leaf) {
  if (leaf.getOwner() == payload.op)
    return payload.loops.onAxes(payload.op.getMatchingIndexingMap(&leaf));
  return payload.loops.renumbered([&](unsigned loop) -> std::optional<unsigned> {
    std::optional<unsigned> only;
    for (auto [axis, index] :
         llvm::enumerate(cast<tensor::ExtractOp>(leaf.getOwner()).getIndices()))
      if (auto number = index.getDefiningOp<linalg::IndexOp>())
        if (number->getBlock() == payload.op.getBlock() && number.getDim() == loop) {
          if (only) // a diagonal
            return std::nullopt;
          only = axis;
        }
    return only;
  });
}

std::optional<BasisFinder::Term> BasisFinder::evaluateLeaf(Payload &payload, OpOperand &leaf,
                                                           Digits varies) {
  Term term{varies, {}, false, {}};
  if (varies)
    term.leaves.push_back(&leaf);
  if (varies && followsGains)
    term.gain = gainOf.lookup(leaf.get());
  return term;
}

std::optional<BasisFinder::Term> BasisFinder::extract(Payload &payload, Operation *op) {
  Digits varies = 0;
  for (Value index : cast<tensor::ExtractOp>(op).getIndices()) {
    std::optional<Term> term = evaluate(payload, index);
    if (!term)
      return std::nullopt;
    varies |= term->varies;
  }
  return evaluateLeaf(payload, cast<tensor::ExtractOp>(op).getTensorMutable(), varies);
}

std::optional<BasisFinder::Term> BasisFinder::add(Payload &payload, Term a, Term b) {
  std::string name = quote(payload.op);
  if (!a.varies || !b.varies) {
    Term &sum = a.varies ? a : b;
    // One number is added to all channels. What a sum goes on from is no channel.
    if (sum.varies && payload.inResult) {
      if (sum.gain)
        return refuseGain(sum.gain, payload.op);
      keepsOnes = true;
    }
    return sum;
  }
  if (a.varies != payload.all || b.varies != payload.all)
    return narrowTo(payload, a.varies, b.varies,
                    "only some of the channels are added to each other by " + name);
  if (a.isProduct != b.isProduct)
    return refuse("values and products of values are added by " + name);
  if (followsGains && a.gain != b.gain) {
    Term &bias = a.gain ? b : a, &scaled = a.gain ? a : b;
    if (!isParameter(bias))
      return refuseGain(scaled.gain, payload.op);
    if (!setGain(payload, *bias.leaves.front(), scaled.gain, /*isDivided=*/true))
      return std::nullopt;
    a.gain = scaled.gain;
  }
  a.leaves.append(b.leaves);
  return a;
}

std::optional<BasisFinder::Term> BasisFinder::multiply(Payload &payload, Term a, Term b) {
  std::string name = quote(payload.op);
  if (!a.varies || !b.varies)
    return a.varies ? a : b;
  std::string why = "it is multiplied with what differs by channel, in " + name;
  if (a.varies != payload.all || b.varies != payload.all)
    return narrowTo(payload, a.varies, b.varies, why);
  if (a.isProduct || b.isProduct)
    return refuse(why);
  bool isSquare = getValue(a) && getValue(a) == getValue(b);
  if (payload.inResult && !isSquare) {
    Term &gain = isParameter(b) ? b : a, &scaled = isParameter(b) ? a : b;
    if (!isParameter(gain) || isParameter(scaled) || payload.op.getNumReductionLoops())
      return narrow(payload, 0, why);
    std::optional<ChannelPlaces> places = placesOf(payload, *gain.leaves.front());
    auto type = cast<RankedTensorType>(gain.leaves.front()->get().getType());
    if (!places || !(places->simplified() == ChannelPlaces::onLastAxis(type)) ||
        type.getRank() != 1)
      return refuse("it is multiplied with a parameter that is no gain of its channels, in " +
                    name);
    Attribute parameter = getParameter(gain.leaves.front()->get());
    if (llvm::none_of(gains, [&](auto &known) { return known.first == gain.leaves.front(); }))
      gains.push_back({gain.leaves.front(), parameter});
    if (scaled.gain)
      return refuse("it is multiplied with two gains");
    scaled.gain = followsGains ? parameter : Attribute();
    return scaled;
  }
  if (followsGains && (a.gain || b.gain)) {
    Term &reader = isParameter(a) ? a : b;
    Attribute gain = a.gain ? a.gain : b.gain;
    if (!isParameter(reader))
      return refuseGain(gain, payload.op);
    if (!setGain(payload, *reader.leaves.front(), gain, /*isDivided=*/false))
      return std::nullopt;
  }
  Term product{payload.all, std::move(a.leaves), true, {}};
  product.leaves.append(b.leaves);
  return product;
}

std::optional<BasisFinder::Term> BasisFinder::evaluate(Payload &payload, Value scalar) {
  if (auto argument = dyn_cast<BlockArgument>(scalar)) {
    if (argument.getOwner() != payload.op.getBlock())
      return Term();
    OpOperand &operand = payload.op->getOpOperand(argument.getArgNumber());
    return evaluateLeaf(payload, operand,
                        digitsOn(payload, payload.op.getMatchingIndexingMap(&operand)));
  }
  Operation *definition = scalar.getDefiningOp();
  if (definition->getBlock() != payload.op.getBlock())
    return Term();
  if (auto index = dyn_cast<linalg::IndexOp>(definition))
    return Term{
        digitsOn(payload, AffineMap::get(payload.op.getNumLoops(), 0,
                                         getAffineDimExpr(index.getDim(), index.getContext()))),
        {},
        false,
        {}};
  if (isa<tensor::ExtractOp>(definition))
    return extract(payload, definition);
  if (definition->getNumRegions())
    return refuse("it is computed by " + quote(definition));
  SmallVector<Term> operands;
  Digits varies = 0;
  for (Value operand : definition->getOperands()) {
    std::optional<Term> term = evaluate(payload, operand);
    if (!term)
      return std::nullopt;
    varies |= term->varies;
    operands.push_back(std::move(*term));
  }
  if (!varies)
    return Term();
  if (change == BasisChange::Permutation) {
    // Elementwise ops do not care about the order; all of them have to have the same.
    Term result{payload.all, {}, false, {}};
    for (const Term &term : operands) {
      if (term.varies && term.varies != payload.all)
        return narrowTo(payload, term.varies, payload.all,
                        "what is not all of its channels meets them in " + quote(payload.op));
      if (term.varies && term.leaves.empty())
        return refuse("the numbers of its channels are used in " + quote(payload.op));
      result.leaves.append(term.leaves);
    }
    return result;
  }
  bool isLinear =
      llvm::all_of(operands, [](const Term &term) { return !term.varies || !term.leaves.empty(); });
  if (isLinear && isa<arith::AddFOp, arith::SubFOp>(definition)) {
    for (unsigned side : {0, 1})
      if (matchPattern(definition->getOperand(side), m_AnyZeroFloat()))
        return operands[1 - side];
    return add(payload, std::move(operands[0]), std::move(operands[1]));
  }
  if (isLinear && isa<arith::MulFOp>(definition))
    return multiply(payload, std::move(operands[0]), std::move(operands[1]));
  if (isLinear && isa<arith::DivFOp>(definition) && operands[1].varies)
    return narrow(payload, payload.all & ~operands[1].varies,
                  "it is divided by what differs by channel, in " + quote(payload.op));
  if (isLinear && isa<arith::DivFOp, arith::NegFOp>(definition))
    return operands[0];
  return narrow(payload, payload.all & ~varies, "no rotation passes through " + quote(definition));
}

bool BasisFinder::visitStructured(linalg::LinalgOp op, const ChannelPlaces &loops) {
  if (loops.getDigits().empty() || loops.getDigits().size() > 32)
    return refuse("its channels are taken apart by " + quote(op));
  Payload payload{op, loops, (Digits(1) << loops.getDigits().size()) - 1, 0};
  for (unsigned number = 0; number < op.getNumDpsInits(); ++number) {
    payload.inResult = digitsOn(payload, op.getMatchingIndexingMap(op.getDpsInitOperand(number)));
    if (!visitResult(payload, number))
      return false;
  }
  return true;
}

/// Whether a number is a sum, or for a permutation anything that does not depend on an order, that
/// goes on from what the payload is given for its result.
static bool isReduction(linalg::LinalgOp op, Value scalar, unsigned number, BasisChange change) {
  Operation *definition = scalar.getDefiningOp();
  BlockArgument before = op.getRegionOutputArgs()[number];
  if (!definition || !before.hasOneUse() || !llvm::is_contained(definition->getOperands(), before))
    return false;
  return isa<arith::AddFOp>(definition) || (change == BasisChange::Permutation &&
                                            isa<arith::MulFOp, arith::MaximumFOp, arith::MinimumFOp,
                                                arith::MaxNumFOp, arith::MinNumFOp>(definition));
}

/// Whether a value is only summed over its channels.
static bool isSummed(Value value, const ChannelPlaces &places) {
  return llvm::all_of(value.getUses(), [&](OpOperand &use) {
    auto op = dyn_cast<linalg::LinalgOp>(use.getOwner());
    if (isa<tensor::DimOp, ObserveOp>(use.getOwner()))
      return true;
    if (!op || op.getNumDpsInits() != 1 || !op.isDpsInput(&use))
      return false;
    std::optional<ChannelPlaces> loops = places.onLoops(op.getMatchingIndexingMap(&use));
    AffineMap result = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
    Value scalar = op.getBlock()->getTerminator()->getOperand(0);
    return loops &&
           llvm::none_of(loops->getDigits(),
                         [&](const ChannelDigit &d) { return result.isFunctionOfDim(*d.axis); }) &&
           isReduction(op, scalar, 0, BasisChange::Rotation) &&
           llvm::is_contained(scalar.getDefiningOp()->getOperands(),
                              op.getMatchingBlockArgument(&use));
  });
}

bool BasisFinder::visitResult(Payload &payload, unsigned number) {
  linalg::LinalgOp op = payload.op;
  Value scalar = op.getBlock()->getTerminator()->getOperand(number);
  OpResult result = op->getResult(number);
  std::optional<Term> term = evaluate(payload, scalar);
  if (!term)
    return false;
  if (!term->varies) {
    if (payload.inResult && values.contains(result))
      keepsOnes = true;
    return true;
  }
  if (term->leaves.empty())
    return narrow(payload, payload.all & ~term->varies,
                  "the numbers of its channels are used in " + quote(op));
  bool isReduced = payload.inResult != payload.all;
  if (isReduced && !isReduction(op, scalar, number, change))
    return refuse("its channels are reduced otherwise than by a sum, in " + quote(op));
  if (term->varies != payload.all || (isReduced && payload.inResult))
    return narrowTo(payload, term->varies == payload.all ? payload.inResult : term->varies,
                    payload.all, "only some of the channels are summed by " + quote(op));
  if (isReduced && !term->isProduct && change == BasisChange::Rotation) {
    if (term->gain)
      return refuseGain(term->gain, op);
    keepsOnes = true;
  }
  for (OpOperand *leaf : term->leaves)
    if (!join(leaf, leaf->get(), placesOf(payload, *leaf)))
      return false;
  if (isReduced)
    return true;
  std::optional<ChannelPlaces> places =
      payload.loops.onAxes(op.getMatchingIndexingMap(op.getDpsInitOperand(number)));
  if (term->isProduct)
    return (places && isSummed(result, *places)) ||
           refuse("it is multiplied with itself in " + quote(op));
  if (followsGains && term->gain)
    gainOf[result] = term->gain;
  return join(nullptr, result, places);
}

//===----------------------------------------------------------------------===//
// Gains
//===----------------------------------------------------------------------===//

bool BasisFinder::setGain(Payload &payload, OpOperand &leaf, Attribute gain, bool isDivided) {
  std::optional<ChannelPlaces> places = placesOf(payload, leaf);
  std::optional<unsigned> axis = places ? places->getOnlyAxis() : std::nullopt;
  for (Use &use : uses)
    if (use.operand == &leaf && axis && use.member.axis == int64_t(*axis)) {
      use.member.gain = gain;
      use.member.isDivided = isDivided;
      return true;
    }
  return refuse("the gain " + quoteParameter(gain) + " meets a parameter in an unknown order");
}

bool BasisFinder::findGains() {
  if (gains.empty())
    return true;
  followsGains = true;
  WalkResult walk = function.walk<WalkOrder::PreOrder>([&](Operation *op) {
    auto found = visited.find(op);
    if (found == visited.end())
      return WalkResult::advance();
    if (auto structured = dyn_cast<linalg::LinalgOp>(op)) {
      SmallVector<ChannelPlaces, 1> known = found->second;
      for (const ChannelPlaces &loops : known)
        if (!visitStructured(structured, loops))
          return WalkResult::interrupt();
      return WalkResult::advance();
    }
    for (Value operand : op->getOperands())
      if (Attribute gain = gainOf.lookup(operand)) {
        if (!isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp, tensor::ExtractSliceOp,
                 tensor::CastOp>(op)) {
          refuseGain(gain, op);
          return WalkResult::interrupt();
        }
        gainOf[op->getResult(0)] = gain;
      }
    return WalkResult::advance();
  });
  return !walk.wasInterrupted();
}
