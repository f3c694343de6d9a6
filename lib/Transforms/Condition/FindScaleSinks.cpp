//===- FindScaleSinks.cpp - Where channels can be scaled for nothing ------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ChannelPlaces.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Condition/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Matchers.h"

namespace lowbit {
#define GEN_PASS_DEF_FINDSCALESINKS
#include "lowbit/Transforms/Condition/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {
struct Sink {
  BlockArgument argument;
  ChannelPlaces places;
};

/// Goes back from a value to the arguments that take a factor for each of its channels.
class SinkFinder {
public:
  /// Whether all of `value`, a result of `op`, is scaled where its sinks are.
  bool findInOp(Operation *op, Value value, const ChannelPlaces &places);

  SmallVector<Sink> sinks;
  std::string reason; ///< of the last failure

private:
  /// The same of any value; `user` is what it was reached from.
  bool find(Value value, const ChannelPlaces &places, Operation *user);
  bool findInPayload(linalg::LinalgOp op, Value scalar, const ChannelPlaces &places);

  bool refuse(const Twine &why) {
    reason = why.str();
    isSameForAll = false;
    return false;
  }
  /// Of a number that is one for all channels: no news where another operand was refused, too.
  bool refuseCommon(const Twine &why) {
    refuse(why);
    isSameForAll = true;
    return false;
  }

  bool isSameForAll = false; // the last failure
};
} // namespace

/// The first op other than `user` that uses the numbers of a value.
static Operation *findOtherUser(Value value, Operation *user) {
  for (Operation *other : value.getUsers())
    if (other != user && !isa<tensor::DimOp, ObserveOp>(other))
      return other;
  return nullptr;
}

bool SinkFinder::find(Value value, const ChannelPlaces &places, Operation *user) {
  if (isZeroOrUnset(value))
    return true;
  if (Operation *other = findOtherUser(value, user))
    return refuse("a value before it also feeds '" + other->getName().getStringRef() + "'");
  if (llvm::count(user->getOperands(), value) > 1)
    return refuse("a value before it is used twice by '" + user->getName().getStringRef() + "'");
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto type = cast<RankedTensorType>(argument.getType());
    if (!type.hasStaticShape())
      return refuse("it comes from what is given to the stage");
    // A cache that is written before it is read holds scaled values, too.
    if (auto insert = dyn_cast<tensor::InsertSliceOp>(user); insert && insert.getDest() == value)
      return true;
    if (!places.getOnlyAxis())
      return refuse("its channels lie on several axes of a parameter");
    sinks.push_back({argument, places});
    return true;
  }
  return findInOp(value.getDefiningOp(), value, places);
}

bool SinkFinder::findInOp(Operation *op, Value value, const ChannelPlaces &places) {
  auto go = [&](Value source, const std::optional<ChannelPlaces> &next) {
    return next ? find(source, *next, op)
                : refuse("its channels are taken apart by '" + op->getName().getStringRef() + "'");
  };
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    return go(collapse.getSrc(), places.throughCollapse(collapse));
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return go(expand.getSrc(), places.throughExpand(expand));
  if (auto insert = dyn_cast<tensor::InsertSliceOp>(op)) {
    if (!keepsChannels(insert.getDestType(), insert.getSourceType(), places))
      return refuse("it goes through a slice of its channels");
    return find(insert.getSource(), places, op) && find(insert.getDest(), places, op);
  }
  if (auto extract = dyn_cast<tensor::ExtractSliceOp>(op)) {
    if (!keepsChannels(extract.getSourceType(), extract.getType(), places))
      return refuse("it goes through a slice of its channels");
    return find(extract.getSource(), places, op);
  }
  if (auto structured = dyn_cast<linalg::LinalgOp>(op)) {
    Block &payload = op->getRegion(0).front();
    unsigned number = cast<OpResult>(value).getResultNumber();
    return findInPayload(structured, payload.getTerminator()->getOperand(number), places);
  }
  return refuse("no factor passes through '" + op->getName().getStringRef() + "'");
}

bool SinkFinder::findInPayload(linalg::LinalgOp op, Value scalar, const ChannelPlaces &places) {
  if (matchPattern(scalar, m_AnyZeroFloat()))
    return true;
  if (auto argument = dyn_cast<BlockArgument>(scalar)) {
    if (argument.getOwner() != op.getBlock() || !argument.hasOneUse())
      return refuse("a number is used twice in '" + op->getName().getStringRef() + "'");
    OpOperand &operand = op->getOpOperand(argument.getArgNumber());
    if (op.getNumDpsInits() != 1)
      return refuse("it comes from an op with several results");
    std::optional<ChannelPlaces> next = places.throughMaps(
        op.getMatchingIndexingMap(op.getDpsInitOperand(0)), op.getMatchingIndexingMap(&operand));
    if (!next || llvm::none_of(next->getDigits(),
                               [](const ChannelDigit &digit) { return digit.axis.has_value(); }))
      return refuseCommon("an operand of '" + op->getName().getStringRef() + "' has no channels");
    return find(operand.get(), *next, op);
  }
  Operation *definition = scalar.getDefiningOp();
  if (definition->getBlock() != op.getBlock())
    return refuseCommon("a factor does not pass through a constant");
  if (!scalar.hasOneUse())
    return refuse("a number is used twice in '" + op->getName().getStringRef() + "'");
  auto go = [&](unsigned operand) {
    return findInPayload(op, definition->getOperand(operand), places);
  };
  if (isa<arith::MulFOp>(definition)) {
    size_t before = sinks.size();
    if (go(0))
      return true;
    sinks.truncate(before);
    std::pair first(reason, isSameForAll);
    if (go(1))
      return true;
    if (isSameForAll)
      std::tie(reason, isSameForAll) = first;
    return false;
  }
  if (isa<arith::AddFOp, arith::SubFOp>(definition))
    return go(0) && go(1);
  if (isa<arith::DivFOp, arith::NegFOp>(definition))
    return go(0);
  return refuse("no factor passes through '" + definition->getName().getStringRef() + "'");
}

/// Why the tapped value feeds something besides the products that the tap is for, or the weights of
/// these do; empty if neither does.
static std::string checkUsers(ObserveOp tap) {
  Value value = tap.getValue();
  for (Operation *user : value.getUsers()) {
    if (isa<ObserveOp, tensor::DimOp>(user))
      continue;
    auto product = dyn_cast<linalg::LinalgOp>(user);
    BlockArgument weight;
    if (product && linalg::isaContractionOpInterface(product))
      for (Value operand : product.getDpsInputs())
        if (auto argument = dyn_cast<BlockArgument>(operand);
            argument && operand != value &&
            cast<RankedTensorType>(argument.getType()).hasStaticShape())
          weight = argument;
    if (!weight)
      return ("it also feeds '" + user->getName().getStringRef() + "'").str();
    if (Operation *other = findOtherUser(weight, user))
      return ("a weight that it meets also feeds '" + other->getName().getStringRef() + "'").str();
  }
  return "";
}

static Attribute describe(Builder &b, const Sink &sink) {
  SmallVector<int64_t> digits, strides;
  for (const ChannelDigit &digit : sink.places.getDigits()) {
    digits.push_back(digit.extent);
    strides.push_back(digit.axis ? digit.stride : 0);
  }
  return b.getDictionaryAttr(
      {b.getNamedAttr("argument", b.getI64IntegerAttr(sink.argument.getArgNumber())),
       b.getNamedAttr("axis", b.getI64IntegerAttr(*sink.places.getOnlyAxis())),
       b.getNamedAttr("digits", b.getDenseI64ArrayAttr(digits)),
       b.getNamedAttr("strides", b.getDenseI64ArrayAttr(strides))});
}

/// The sinks of a tap as a list, or the reason why there are none.
static Attribute findSinks(Builder &b, ObserveOp tap) {
  std::string reason = checkUsers(tap);
  if (!reason.empty())
    return b.getStringAttr(reason);
  SinkFinder finder;
  Value value = tap.getValue();
  ChannelPlaces places = ChannelPlaces::onLastAxis(tap.getValue().getType());
  Operation *definition = value.getDefiningOp();
  if (!definition)
    return b.getStringAttr("it is what is given to the stage");
  if (!finder.findInOp(definition, value, places))
    return b.getStringAttr(finder.reason);
  return b.getArrayAttr(
      llvm::map_to_vector(finder.sinks, [&](const Sink &sink) { return describe(b, sink); }));
}

namespace {
struct FindScaleSinksPass : lowbit::impl::FindScaleSinksBase<FindScaleSinksPass> {
  void runOnOperation() override {
    Builder b(&getContext());
    SmallVector<Attribute> found;
    getOperation().walk([&](ObserveOp tap) { found.push_back(findSinks(b, tap)); });
    if (!found.empty())
      getOperation()->setAttr("lowbit.scale_sinks", b.getArrayAttr(found));
  }
};
} // namespace
