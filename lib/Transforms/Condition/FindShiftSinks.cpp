//===- FindShiftSinks.cpp - Where channels can be shifted for nothing -----===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ChannelPlaces.h"
#include "SumsToOne.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Condition/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

namespace lowbit {
#define GEN_PASS_DEF_FINDSHIFTSINKS
#include "lowbit/Transforms/Condition/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {
/// A parameter to which a shift is added, or `weight` times it; or from which it is subtracted.
struct ShiftSink {
  ParameterOp parameter;
  ChannelPlaces places;
  bool isSubtracted;
  ParameterOp weight; // or null
};

/// A shift on its way: of a value by z, or by W z.
struct Shift {
  bool isSubtracted;
  ParameterOp weight;
  Shift inverse() const { return {!isSubtracted, weight}; }
};

class ShiftFinder {
public:
  /// Whether a tapped value can be shifted so that nothing else changes.
  bool find(Value tapped);

  SmallVector<ShiftSink> sinks;
  std::string reason; ///< of the last failure

private:
  /// A parameter before `value` takes the shift; nothing but `user` sees the value.
  bool take(Value value, const ChannelPlaces &places, const Shift &shift, Operation *user);
  /// The same in the op that computes it.
  bool takeInOp(Operation *op, Value value, const ChannelPlaces &places, const Shift &shift);
  bool takeInPayload(linalg::LinalgOp op, Value scalar, const ChannelPlaces &places,
                     const Shift &shift);
  /// All users of a shifted value compute what they did, since something takes the inverse.
  bool restore(Value value, const ChannelPlaces &places, const Shift &shift);
  bool restoreUse(OpOperand &use, const ChannelPlaces &places, const Shift &shift);
  bool restoreProduct(linalg::LinalgOp product, OpOperand &use, const ChannelPlaces &places);

  bool refuse(const Twine &why) {
    reason = why.str();
    return false;
  }
};
} // namespace

static bool isBystander(Operation *op) { return isa<tensor::DimOp, ObserveOp>(op); }

static std::string quote(Operation *op) { return ("'" + op->getName().getStringRef() + "'").str(); }

/// Whether a function gives back what was written into a cache, to be given it the next time.
static bool isState(OpOperand &use) {
  auto terminator = dyn_cast<func::ReturnOp>(use.getOwner());
  auto insert = use.get().getDefiningOp<tensor::InsertSliceOp>();
  auto cache = insert ? dyn_cast<BlockArgument>(insert.getDest()) : BlockArgument();
  if (!terminator || !cache)
    return false;
  auto updates =
      terminator->getParentOp()->getAttrOfType<DenseI64ArrayAttr>(LowbitDialect::kUpdatesAttrName);
  return updates && use.getOperandNumber() < updates.size() &&
         updates[use.getOperandNumber()] == int64_t(cache.getArgNumber());
}

bool ShiftFinder::find(Value tapped) {
  if (!tapped.getDefiningOp())
    return refuse("it is what is given to the function");
  ChannelPlaces places = ChannelPlaces::onLastAxis(cast<RankedTensorType>(tapped.getType()));
  Shift shift{/*isSubtracted=*/true, {}};
  return takeInOp(tapped.getDefiningOp(), tapped, places, shift) && restore(tapped, places, shift);
}

//===----------------------------------------------------------------------===//
// Before a value
//===----------------------------------------------------------------------===//

bool ShiftFinder::take(Value value, const ChannelPlaces &places, const Shift &shift,
                       Operation *user) {
  if (isZeroOrUnset(value))
    return refuse("there is no bias before it");
  for (OpOperand &use : value.getUses())
    if (use.getOwner() != user && !isBystander(use.getOwner()) && !isState(use))
      return refuse("a value before it also feeds " + quote(use.getOwner()));
  if (llvm::count(user->getOperands(), value) > 1)
    return refuse("a value before it is used twice by " + quote(user));
  if (auto parameter = value.getDefiningOp<ParameterOp>()) {
    bool isTied = llvm::any_of(places.getDigits(), [](auto &digit) { return !digit.axis; });
    if (!places.getOnlyAxis() || (shift.weight && isTied))
      return refuse("its channels lie on several axes of a parameter");
    sinks.push_back({parameter, places, shift.isSubtracted, shift.weight});
    return true;
  }
  if (!value.getDefiningOp())
    return refuse("it comes from what is given to the function");
  return takeInOp(value.getDefiningOp(), value, places, shift);
}

/// An argument that the function gives back changed.
static bool isUpdated(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  auto function =
      argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : func::FuncOp();
  auto updates = function
                     ? function->getAttrOfType<DenseI64ArrayAttr>(LowbitDialect::kUpdatesAttrName)
                     : DenseI64ArrayAttr();
  return updates && llvm::is_contained(updates.asArrayRef(), argument.getArgNumber());
}

bool ShiftFinder::takeInOp(Operation *op, Value value, const ChannelPlaces &places,
                           const Shift &shift) {
  auto go = [&](Value source, const std::optional<ChannelPlaces> &next) {
    return next ? take(source, *next, shift, op)
                : refuse("its channels are taken apart by " + quote(op));
  };
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    return go(collapse.getSrc(), places.throughCollapse(collapse));
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return go(expand.getSrc(), places.throughExpand(expand));
  if (auto insert = dyn_cast<tensor::InsertSliceOp>(op)) {
    // What else is in there was written before, shifted, too: a cache; or is not written at all.
    if (!isUpdated(insert.getDest()) && !insert.getDest().getDefiningOp<tensor::EmptyOp>())
      return refuse("it is a part of a value that is not shifted");
    if (!keepsChannels(insert.getDestType(), insert.getSourceType(), places))
      return refuse("it goes through a slice of its channels");
    return take(insert.getSource(), places, shift, op);
  }
  if (auto extract = dyn_cast<tensor::ExtractSliceOp>(op)) {
    if (!keepsChannels(extract.getSourceType(), extract.getType(), places))
      return refuse("it goes through a slice of its channels");
    return take(extract.getSource(), places, shift, op);
  }
  auto structured = dyn_cast<linalg::LinalgOp>(op);
  if (!structured || structured.getNumDpsInits() != 1)
    return refuse("no shift passes through " + quote(op));
  // The mean of shifted values is shifted.
  if (OpOperand *averaged = findAveraged(structured)) {
    auto mean = cast<linalg::LinalgOp>(averaged->getOwner());
    std::optional<ChannelPlaces> inMean = places;
    if (mean != structured) // divided afterwards
      inMean =
          places.throughMaps(structured.getMatchingIndexingMap(structured.getDpsInitOperand(0)),
                             structured.getMatchingIndexingMap(structured.getDpsInputOperand(0)));
    std::optional<ChannelPlaces> next =
        inMean ? inMean->throughMaps(mean.getMatchingIndexingMap(mean.getDpsInitOperand(0)),
                                     mean.getMatchingIndexingMap(averaged))
               : std::nullopt;
    return next ? take(averaged->get(), *next, shift, mean)
                : refuse("its channels are taken apart by " + quote(op));
  }
  return takeInPayload(structured, structured.getBlock()->getTerminator()->getOperand(0), places,
                       shift);
}

bool ShiftFinder::takeInPayload(linalg::LinalgOp op, Value scalar, const ChannelPlaces &places,
                                const Shift &shift) {
  if (auto argument = dyn_cast<BlockArgument>(scalar)) {
    if (argument.getOwner() != op.getBlock() || !argument.hasOneUse())
      return refuse("a number is used twice in " + quote(op));
    OpOperand &operand = op->getOpOperand(argument.getArgNumber());
    if (op.getNumReductionLoops() && op.isDpsInput(&operand))
      return refuse("it is a sum of what is before it, in " + quote(op));
    std::optional<ChannelPlaces> next = places.throughMaps(
        op.getMatchingIndexingMap(op.getDpsInitOperand(0)), op.getMatchingIndexingMap(&operand));
    if (!next)
      return refuse("its channels are taken apart by " + quote(op));
    return take(operand.get(), *next, shift, op);
  }
  Operation *definition = scalar.getDefiningOp();
  if (definition->getBlock() == op.getBlock() && !scalar.hasOneUse())
    return refuse("a number is used twice in " + quote(op));
  if (isa<arith::AddFOp, arith::SubFOp>(definition)) {
    // Of two addends one takes it: what is added last is a bias most often.
    size_t before = sinks.size();
    Shift second = isa<arith::SubFOp>(definition) ? shift.inverse() : shift;
    if (takeInPayload(op, definition->getOperand(1), places, second))
      return true;
    sinks.truncate(before);
    return takeInPayload(op, definition->getOperand(0), places, shift);
  }
  return refuse("there is no bias before it: no shift passes through " + quote(definition));
}

//===----------------------------------------------------------------------===//
// Behind a value
//===----------------------------------------------------------------------===//

bool ShiftFinder::restore(Value value, const ChannelPlaces &places, const Shift &shift) {
  return llvm::all_of(value.getUses(), [&](OpOperand &use) {
    return isBystander(use.getOwner()) || restoreUse(use, places, shift);
  });
}

bool ShiftFinder::restoreUse(OpOperand &use, const ChannelPlaces &places, const Shift &shift) {
  Operation *op = use.getOwner();
  std::string why = shift.weight ? "a product that it feeds has no bias behind it"
                                 : "it also feeds " + quote(op) + ", with no bias";
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    if (std::optional<ChannelPlaces> next = places.throughExpandDown(expand))
      return restore(expand.getResult(), *next, shift);
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    if (std::optional<ChannelPlaces> next = places.throughCollapseDown(collapse))
      return restore(collapse.getResult(), *next, shift);
  auto structured = dyn_cast<linalg::LinalgOp>(op);
  if (!structured || structured.getNumDpsInits() != 1)
    return refuse(why);
  if (!shift.weight && linalg::isaContractionOpInterface(structured) && structured.isDpsInput(&use))
    return restoreProduct(structured, use, places);
  if (structured.getNumReductionLoops() && structured.isDpsInput(&use))
    return refuse(why);
  // From the number on to the sum that has an addend which takes the inverse.
  Value scalar = structured.getMatchingBlockArgument(&use);
  std::optional<ChannelPlaces> loops = places.onLoops(structured.getMatchingIndexingMap(&use));
  std::optional<ChannelPlaces> result =
      loops ? loops->onAxes(structured.getMatchingIndexingMap(structured.getDpsInitOperand(0)))
            : std::nullopt;
  if (!result)
    return refuse(why);
  while (scalar.hasOneUse()) {
    OpOperand &next = *scalar.use_begin();
    Operation *sum = next.getOwner();
    if (sum == structured.getBlock()->getTerminator())
      return restore(op->getResult(0), *result, shift);
    bool isFirst = next.getOperandNumber() == 0;
    if (!isa<arith::AddFOp>(sum) && !(isa<arith::SubFOp>(sum) && isFirst))
      break;
    size_t before = sinks.size();
    Shift other = isa<arith::SubFOp>(sum) ? shift : shift.inverse();
    if (takeInPayload(structured, sum->getOperand(isFirst ? 1 : 0), *result, other))
      return true;
    sinks.truncate(before);
    scalar = sum->getResult(0);
  }
  return refuse(why);
}

bool ShiftFinder::restoreProduct(linalg::LinalgOp product, OpOperand &use,
                                 const ChannelPlaces &places) {
  OpOperand *weight = product.getDpsInputOperand(use.getOperandNumber() == 0 ? 1 : 0);
  auto parameter = weight->get().getDefiningOp<ParameterOp>();
  AffineMap map = product.getMatchingIndexingMap(weight);
  std::optional<ChannelPlaces> loops = places.onLoops(product.getMatchingIndexingMap(&use));
  std::optional<ChannelPlaces> summed = loops ? loops->onAxes(map) : std::nullopt;
  // The weight as [outputs, channels].
  if (!parameter || map.getNumResults() != 2 || !summed ||
      !(summed->simplified() ==
        ChannelPlaces::onLastAxis(cast<RankedTensorType>(weight->get().getType()))))
    return refuse("it also feeds " + quote(product));
  auto outputs = dyn_cast<AffineDimExpr>(map.getResult(0));
  AffineMap result = product.getMatchingIndexingMap(product.getDpsInitOperand(0));
  std::optional<unsigned> axis = outputs ? result.getResultPosition(outputs) : std::nullopt;
  auto type = dyn_cast<RankedTensorType>(product->getResult(0).getType());
  if (!axis || *axis + 1 != type.getRank())
    return refuse("it also feeds " + quote(product));
  ChannelPlaces channels = ChannelPlaces::onLastAxis(type);
  Shift shift{/*isSubtracted=*/true, parameter};
  // What the product is added to may be a bias already.
  OpOperand *init = product.getDpsInitOperand(0);
  size_t before = sinks.size();
  if (init->get().getDefiningOp() && !isZeroOrUnset(init->get()) &&
      take(init->get(), channels, shift.inverse(), product))
    return true;
  sinks.truncate(before);
  return restore(product->getResult(0), channels, shift);
}

static Attribute describe(Builder &b, ShiftSink sink) {
  SmallVector<int64_t> digits, strides;
  for (const ChannelDigit &digit : sink.places.getDigits()) {
    digits.push_back(digit.extent);
    strides.push_back(digit.axis ? digit.stride : 0);
  }
  SmallVector<NamedAttribute> fields = {
      b.getNamedAttr("parameter", sink.parameter.getKeyAttr()),
      b.getNamedAttr("axis", b.getI64IntegerAttr(*sink.places.getOnlyAxis())),
      b.getNamedAttr("digits", b.getDenseI64ArrayAttr(digits)),
      b.getNamedAttr("strides", b.getDenseI64ArrayAttr(strides)),
      b.getNamedAttr("sign", b.getI64IntegerAttr(sink.isSubtracted ? -1 : 1))};
  if (sink.weight)
    fields.push_back(b.getNamedAttr("weight", sink.weight.getKeyAttr()));
  return b.getDictionaryAttr(fields);
}

namespace {
struct FindShiftSinksPass : lowbit::impl::FindShiftSinksBase<FindShiftSinksPass> {
  /// The sinks of a tap as a list, or the reason why there are none.
  Attribute findSinks(ObserveOp tap) {
    Builder b(&getContext());
    ShiftFinder finder;
    if (!finder.find(tap.getValue()))
      return b.getStringAttr(finder.reason);
    for (ShiftSink sink : finder.sinks)
      if (uses.lookup(sink.parameter.getKeyAttr()) > 1)
        return b.getStringAttr("'" + sink.parameter.getKey() + "' has other uses");
    return b.getArrayAttr(
        llvm::map_to_vector(finder.sinks, [&](ShiftSink sink) { return describe(b, sink); }));
  }

  void runOnOperation() override {
    uses.clear();
    getOperation().walk([&](ParameterOp op) { ++uses[op.getKeyAttr()]; });
    SmallVector<Attribute> found;
    getOperation().walk([&](ObserveOp tap) { found.push_back(findSinks(tap)); });
    if (!found.empty())
      getOperation()->setAttr("lowbit.shift_sinks", Builder(&getContext()).getArrayAttr(found));
  }

  llvm::DenseMap<Attribute, unsigned> uses; // of parameters, by key
};
} // namespace
