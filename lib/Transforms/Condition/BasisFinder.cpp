//===- BasisFinder.cpp - Parameters that share a basis --------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BasisFinder.h"

#include "lowbit/IR/LowbitOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace lowbit;

std::string lowbit::quote(Operation *op) {
  return ("'" + op->getName().getStringRef() + "'").str();
}

std::string lowbit::quoteParameter(Attribute parameter) {
  if (auto key = dyn_cast<StringAttr>(parameter))
    return "'" + key.str() + "'";
  return "argument " + llvm::itostr(cast<IntegerAttr>(parameter).getInt());
}

/// Parameters by key, arguments by number.
static bool comesBefore(Attribute a, Attribute b) {
  if (auto key = dyn_cast<StringAttr>(a))
    return key.getValue() < cast<StringAttr>(b).getValue();
  return cast<IntegerAttr>(a).getInt() < cast<IntegerAttr>(b).getInt();
}

/// Whether a user of a value has nothing to do with its numbers.
static bool isBystander(Operation *user) { return isa<tensor::DimOp, ObserveOp>(user); }

BasisFinder::BasisFinder(func::FuncOp function, BasisChange change)
    : function(function), change(change),
      isStage(
          !function.walk([](ParameterOp) { return WalkResult::interrupt(); }).wasInterrupted()) {}

Refusal BasisFinder::refuse(const Twine &why) {
  reason = why.str();
  narrower = 0;
  return {};
}

Attribute BasisFinder::getParameter(Value value) {
  if (auto parameter = value.getDefiningOp<ParameterOp>())
    return parameter.getKeyAttr();
  auto argument = dyn_cast<BlockArgument>(value);
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (isStage && argument && argument.getOwner() == &function.front() && type &&
      type.hasStaticShape())
    return IntegerAttr::get(IntegerType::get(function.getContext(), 64), argument.getArgNumber());
  return {};
}

std::optional<Basis> BasisFinder::find(Value tapped) {
  int64_t extent = cast<RankedTensorType>(tapped.getType()).getShape().back();
  while (!flood(tapped, extent)) {
    if (!narrower)
      return std::nullopt;
    extent = narrower;
  }
  Basis basis{extent, keepsOnes, {}, {}};
  for (const Use &use : uses)
    if (llvm::none_of(basis.members, [&](const BasisMember &member) {
          return member.parameter == use.member.parameter && member.axis == use.member.axis;
        }))
      basis.members.push_back(use.member);
  for (auto [operand, gain] : gains)
    if (!llvm::is_contained(basis.gains, gain))
      basis.gains.push_back(gain);
  llvm::sort(basis.members, [](const BasisMember &a, const BasisMember &b) {
    return a.parameter == b.parameter ? a.axis < b.axis : comesBefore(a.parameter, b.parameter);
  });
  llvm::sort(basis.gains, comesBefore);
  return basis;
}

bool BasisFinder::flood(Value tapped, int64_t extent) {
  keepsOnes = followsGains = false;
  narrower = 0;
  values.clear();
  worklist.clear();
  visited.clear();
  uses.clear();
  gains.clear();
  gainOf.clear();
  returns.clear();
  if (!tapped.getDefiningOp())
    return refuse("it is what is given to the " + Twine(isStage ? "stage" : "function"));
  if (!join(nullptr, tapped,
            ChannelPlaces::inBlocks(cast<RankedTensorType>(tapped.getType()), extent)))
    return false;
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    ChannelPlaces places = values.at(value);
    Operation *definition = value.getDefiningOp();
    if (definition ? !visit(definition, nullptr, value, places)
                   : !visitArgument(cast<BlockArgument>(value), places))
      return false;
    for (OpOperand &use : value.getUses())
      if (!isBystander(use.getOwner()) && !visit(use.getOwner(), &use, value, places))
        return false;
  }
  return (change == BasisChange::Permutation || findGains()) && checkParameters() && checkStates();
}

bool BasisFinder::join(OpOperand *use, Value value, const std::optional<ChannelPlaces> &places) {
  if (!places)
    return refuse("its channels are taken apart by " +
                  (use ? quote(use->getOwner()) : quote(value.getDefiningOp())));
  if (isZeroOrUnset(value))
    return true;
  if (Attribute parameter = getParameter(value)) {
    ChannelPlaces simple = places->simplified();
    if (simple.getDigits().size() != 1)
      return refuse("its channels lie on several axes of " + quoteParameter(parameter));
    const ChannelDigit &digit = simple.getDigits().front();
    BasisMember member{parameter, int64_t(*digit.axis), digit.stride, {}, false};
    if (llvm::none_of(uses, [&](const Use &known) {
          return known.operand == use && known.member.axis == member.axis;
        }))
      uses.push_back({use, member});
    return true;
  }
  auto [known, isNew] = values.try_emplace(value, places->simplified());
  if (isNew)
    worklist.push_back(value);
  return known->second == places->simplified() ||
         refuse("its channels are used in two orders" +
                (use ? " by " + quote(use->getOwner()) : std::string()));
}

bool BasisFinder::joinLoop(Operation *op, unsigned number, const ChannelPlaces &places) {
  auto loop = cast<scf::ForOp>(op);
  OpOperand &init = loop.getInitArgsMutable()[number];
  return join(&init, init.get(), places) && join(nullptr, loop.getResult(number), places) &&
         join(nullptr, loop.getRegionIterArg(number), places) &&
         join(&loop.getBody()->getTerminator()->getOpOperand(number),
              loop.getYieldedValues()[number], places);
}

bool BasisFinder::visitArgument(BlockArgument argument, const ChannelPlaces &places) {
  if (auto loop = dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp()))
    if (argument.getArgNumber() > 0)
      return joinLoop(loop, argument.getArgNumber() - 1, places);
  auto updates = function->getAttrOfType<DenseI64ArrayAttr>(LowbitDialect::kUpdatesAttrName);
  if (argument.getOwner() == &function.front() && updates &&
      llvm::is_contained(updates.asArrayRef(), int64_t(argument.getArgNumber())))
    return true; // a state, as a cache: see checkStates
  return refuse("it comes from what is given to the " + Twine(isStage ? "stage" : "function"));
}

/// The axes of the whole tensor that a slice has.
template <typename SliceOp> static SmallVector<unsigned> getKeptAxes(SliceOp op, int64_t rank) {
  llvm::SmallBitVector dropped = op.getDroppedDims();
  SmallVector<unsigned> kept;
  for (unsigned axis = 0; axis < rank; ++axis)
    if (!dropped.test(axis))
      kept.push_back(axis);
  return kept;
}

bool BasisFinder::visitSlice(Operation *op, bool isWhole, const ChannelPlaces &places) {
  auto insert = dyn_cast<tensor::InsertSliceOp>(op);
  auto extract = dyn_cast<tensor::ExtractSliceOp>(op);
  RankedTensorType whole = insert ? insert.getDestType() : extract.getSourceType();
  RankedTensorType slice = insert ? insert.getSourceType() : extract.getType();
  SmallVector<unsigned> kept =
      insert ? getKeptAxes(insert, whole.getRank()) : getKeptAxes(extract, whole.getRank());
  std::optional<ChannelPlaces> other =
      places.renumbered([&](unsigned axis) -> std::optional<unsigned> {
        if (!isWhole)
          return kept[axis];
        auto found = llvm::find(kept, axis);
        return found == kept.end() ? std::nullopt : std::optional(unsigned(found - kept.begin()));
      });
  if (!other)
    return refuse("it goes through a slice of its channels");
  const ChannelPlaces &inWhole = isWhole ? places : *other, &inSlice = isWhole ? *other : places;
  for (unsigned axis = 0; axis < kept.size(); ++axis)
    if (inSlice.isOnAxis(axis) && slice.getDimSize(axis) != whole.getDimSize(kept[axis]))
      return refuse("it goes through a slice of its channels");
  if (extract)
    return join(&extract.getSourceMutable(), extract.getSource(), inWhole) &&
           join(nullptr, extract.getResult(), inSlice);
  // A stage's cache that is written before it is read holds changed values, too.
  bool isCache = isStage && isa<BlockArgument>(insert.getDest());
  return join(&insert.getSourceMutable(), insert.getSource(), inSlice) &&
         join(nullptr, insert.getResult(), inWhole) &&
         (isCache || join(&insert.getDestMutable(), insert.getDest(), inWhole));
}

bool BasisFinder::visit(Operation *op, OpOperand *operand, Value value,
                        const ChannelPlaces &places) {
  if (auto structured = dyn_cast<linalg::LinalgOp>(op)) {
    OpOperand *accessed =
        operand ? operand : structured.getDpsInitOperand(cast<OpResult>(value).getResultNumber());
    std::optional<ChannelPlaces> loops =
        places.onLoops(structured.getMatchingIndexingMap(accessed));
    if (!loops)
      return refuse("its channels are taken apart by " + quote(op));
    auto &known = visited[op];
    if (llvm::is_contained(known, *loops))
      return true;
    known.push_back(*loops);
    return visitStructured(structured, *loops);
  }
  visited.try_emplace(op);
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    return operand ? join(nullptr, collapse.getResult(), places.throughCollapseDown(collapse))
                   : join(&collapse.getSrcMutable(), collapse.getSrc(),
                          places.throughCollapse(collapse));
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return operand ? join(nullptr, expand.getResult(), places.throughExpandDown(expand))
                   : join(&expand.getSrcMutable(), expand.getSrc(), places.throughExpand(expand));
  if (auto cast = dyn_cast<tensor::CastOp>(op))
    return join(&cast.getSourceMutable(), cast.getSource(), places) &&
           join(nullptr, cast.getResult(), places);
  if (isa<tensor::ExtractSliceOp>(op))
    return visitSlice(op, /*isWhole=*/operand != nullptr, places);
  if (auto insert = dyn_cast<tensor::InsertSliceOp>(op))
    return visitSlice(op, !operand || operand == &insert.getDestMutable(), places);
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return joinLoop(op,
                    operand ? operand->getOperandNumber() - loop.getNumControlOperands()
                            : cast<OpResult>(value).getResultNumber(),
                    places);
  if (isa<scf::YieldOp>(op) && isa<scf::ForOp>(op->getParentOp()))
    return joinLoop(op->getParentOp(), operand->getOperandNumber(), places);
  if (isa<func::ReturnOp>(op)) {
    returns.push_back(operand);
    return true;
  }
  return refuse("its channels are followed no further than " + quote(op));
}

bool BasisFinder::checkParameters() {
  for (const Use &use : uses) {
    const BasisMember &member = use.member;
    for (const Use &other : uses)
      if (other.member.parameter == member.parameter && other.member.axis == member.axis &&
          (other.member.stride != member.stride || other.member.gain != member.gain ||
           other.member.isDivided != member.isDivided))
        return refuse(
            quoteParameter(member.parameter) +
            " would have to be two tensors: it has several uses, not all behind " +
            (member.gain || other.member.gain
                 ? "the gain " + quoteParameter(member.gain ? member.gain : other.member.gain)
                 : "channels in the same order"));
  }
  SmallVector<std::pair<Attribute, Value>> parameters;
  function.walk([&](ParameterOp op) { parameters.push_back({op.getKeyAttr(), op.getResult()}); });
  for (BlockArgument argument : function.getArguments())
    if (Attribute number = getParameter(argument))
      parameters.push_back({number, argument});
  for (auto [parameter, value] : parameters) {
    bool isMember = llvm::any_of(
        uses, [&, p = parameter](const Use &use) { return use.member.parameter == p; });
    bool isGain =
        llvm::any_of(gains, [&, p = parameter](const auto &gain) { return gain.second == p; });
    if (!isMember && !isGain)
      continue;
    if (isMember && isGain)
      return refuse(quoteParameter(parameter) + " is a gain, and something else, too");
    for (OpOperand &operand : value.getUses()) {
      bool isKnown = llvm::any_of(uses, [&](const Use &use) { return use.operand == &operand; }) ||
                     llvm::any_of(gains, [&](const auto &gain) { return gain.first == &operand; });
      if (!isKnown && !isBystander(operand.getOwner()))
        return refuse(quoteParameter(parameter) + " is also used by " + quote(operand.getOwner()));
    }
  }
  return true;
}

bool BasisFinder::checkStates() {
  auto updates = function->getAttrOfType<DenseI64ArrayAttr>(LowbitDialect::kUpdatesAttrName);
  Operation *terminator = function.front().getTerminator();
  // What is given back is what is given the next time: states change on both sides.
  auto isChanged = [&](Value value, const ChannelPlaces &places) {
    auto found = values.find(value);
    return found != values.end() && found->second == places;
  };
  for (OpOperand *operand : returns) {
    unsigned number = operand->getOperandNumber();
    bool isState = updates && number < updates.size() &&
                   isChanged(function.getArgument(updates[number]), values.at(operand->get()));
    if (!isState)
      return refuse(isStage ? "it goes to the next stage" : "it is what the function gives");
  }
  for (auto &[value, places] : values) {
    auto argument = dyn_cast<BlockArgument>(value);
    if (!argument || argument.getOwner() != &function.front())
      continue;
    auto place = llvm::find(updates.asArrayRef(), int64_t(argument.getArgNumber()));
    if (!isChanged(terminator->getOperand(place - updates.asArrayRef().begin()), places))
      return refuse("it comes from what is given to the function");
  }
  return true;
}
