//===- AttentionMatch.cpp - The ops of a softmax and its product ----------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttentionMatch.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace lowbit;

//===----------------------------------------------------------------------===//
// Ops one by one
//===----------------------------------------------------------------------===//

static bool isParallel(linalg::LinalgOp op) { return op.getNumParallelLoops() == op.getNumLoops(); }

/// One result, tensors only, each read or written along some of the loops.
static bool isPlain(linalg::LinalgOp op) {
  return op.hasPureTensorSemantics() && op->getNumResults() == 1 &&
         llvm::all_of(op.getIndexingMapsArray(),
                      [](AffineMap map) { return map.isProjectedPermutation(); });
}

static bool isF32(Value tensor) { return getElementTypeOrSelf(tensor.getType()).isF32(); }

/// The operand that `value`, an argument of the body of `op`, stands for.
static OpOperand *operandOf(linalg::GenericOp op, Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  return argument && argument.getOwner() == op.getBody()
             ? &op->getOpOperand(argument.getArgNumber())
             : nullptr;
}

/// The yielded value, if an op of type `Op` computes it.
template <typename Op> static Op yielded(linalg::GenericOp op) {
  return op.getBody()->getTerminator()->getOperand(0).getDefiningOp<Op>();
}

static bool isFilledWith(Value tensor, function_ref<bool(const APFloat &)> is) {
  auto fill = tensor.getDefiningOp<linalg::FillOp>();
  APFloat value(0.0f);
  return fill && matchPattern(fill.value(), m_ConstantFloat(&value)) && is(value);
}

static bool isMinusInfinity(const APFloat &value) {
  return value.isInfinity() && value.isNegative();
}

static bool isZero(const APFloat &value) { return value.isZero(); }

/// The loop that `op` reduces, if it combines the elements of one tensor along one axis by one of
/// `Combine`.
template <typename... Combine> static std::optional<unsigned> reducedAxis(linalg::GenericOp op) {
  if (!op || !isPlain(op) || op.getNumDpsInputs() != 1 || op.getNumReductionLoops() != 1 ||
      op.getBody()->getOperations().size() != 2 ||
      !op.getMatchingIndexingMap(op.getDpsInputOperand(0)).isIdentity())
    return std::nullopt;
  Operation *combine = op.getBody()->getTerminator()->getOperand(0).getDefiningOp();
  if (!isa_and_nonnull<Combine...>(combine))
    return std::nullopt;
  SmallVector<OpOperand *> read = {operandOf(op, combine->getOperand(0)),
                                   operandOf(op, combine->getOperand(1))};
  if (!llvm::is_contained(read, op.getDpsInputOperand(0)) ||
      !llvm::is_contained(read, op.getDpsInitOperand(0)))
    return std::nullopt;
  SmallVector<unsigned> dims;
  op.getReductionDims(dims);
  return dims.front();
}

/// The user of type generic that is not `other`, if there are no more than these.
static linalg::GenericOp onlyUserBut(Value value, Operation *other) {
  Operation *found = nullptr;
  for (Operation *user : value.getUsers()) {
    if (user == other || user == found)
      continue;
    if (found)
      return nullptr;
    found = user;
  }
  return dyn_cast_or_null<linalg::GenericOp>(found);
}

//===----------------------------------------------------------------------===//
// Queries
//===----------------------------------------------------------------------===//

AffineMap Attention::rowsOfMixed() const {
  linalg::LinalgOp product = mixed;
  linalg::GenericOp maximum = highest;
  AffineMap ofMass = product.getMatchingIndexingMap(massOperand),
            ofMixed = product.getMatchingIndexingMap(product.getDpsInitOperand(0)),
            ofRows = maximum.getMatchingIndexingMap(maximum.getDpsInitOperand(0));
  SmallVector<AffineExpr> axes;
  for (AffineExpr axis : ofRows.getResults()) {
    AffineExpr loop = ofMass.getResult(cast<AffineDimExpr>(axis).getPosition());
    axes.push_back(getAffineDimExpr(*ofMixed.getResultPosition(loop), ofMixed.getContext()));
  }
  return AffineMap::get(ofMixed.getNumResults(), 0, axes, ofMixed.getContext());
}

arith::CmpIOp Attention::findVisible() const {
  auto op = scores.getDefiningOp<linalg::GenericOp>();
  if (!op || !fused.contains(op) || !isParallel(op) ||
      !op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isIdentity())
    return nullptr;
  auto select = yielded<arith::SelectOp>(op);
  APFloat otherwise(0.0f);
  if (!select || !matchPattern(select.getFalseValue(), m_ConstantFloat(&otherwise)) ||
      !isMinusInfinity(otherwise))
    return nullptr;
  auto compare = select.getCondition().getDefiningOp<arith::CmpIOp>();
  if (!compare || (compare.getPredicate() != arith::CmpIPredicate::sle &&
                   compare.getPredicate() != arith::CmpIPredicate::slt))
    return nullptr;
  auto index = compare.getLhs().getDefiningOp<linalg::IndexOp>();
  return index && index.getDim() == time ? compare : nullptr;
}

//===----------------------------------------------------------------------===//
// Matching
//===----------------------------------------------------------------------===//

/// Collects what computes `scores` and is read by nothing else than `readers`.
static void collectScores(Value scores, ArrayRef<Operation *> readers, Attention &match) {
  auto op = scores.getDefiningOp<linalg::LinalgOp>();
  if (!op || !isPlain(op) || !isF32(scores) || isa<linalg::FillOp>(*op) ||
      !llvm::all_of(scores.getUsers(),
                    [&](Operation *user) { return llvm::is_contained(readers, user); }))
    return;
  if (linalg::isaContractionOpInterface(op)) {
    if (isFilledWith(op.getDpsInitOperand(0)->get(), isZero))
      match.fused.insert(op);
    return;
  }
  if (!isParallel(op) || op.payloadUsesValueFromOperand(op.getDpsInitOperand(0)) ||
      !op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isPermutation())
    return;
  match.fused.insert(op);
  for (OpOperand *input : op.getDpsInputOperands())
    collectScores(input->get(), op.getOperation(), match);
}

/// The softmax that `mass` is the masses of, up to their total.
static LogicalResult matchSoftmax(linalg::GenericOp mass, Attention &match) {
  if (!mass || !isPlain(mass) || !isParallel(mass) || mass.getNumDpsInputs() != 2 ||
      !mass.getMatchingIndexingMap(mass.getDpsInitOperand(0)).isIdentity() ||
      mass.getBody()->getOperations().size() != 3)
    return failure();
  auto exp = yielded<math::ExpOp>(mass);
  auto below = exp ? exp.getOperand().getDefiningOp<arith::SubFOp>() : nullptr;
  if (!below)
    return failure();
  match.mass = mass;
  match.massScores = operandOf(mass, below.getLhs());
  match.massHighest = operandOf(mass, below.getRhs());
  if (!match.massScores || !match.massHighest ||
      !mass.getMatchingIndexingMap(match.massScores).isIdentity())
    return failure();
  match.scores = match.massScores->get();
  match.highest = match.massHighest->get().getDefiningOp<linalg::GenericOp>();
  std::optional<unsigned> time = reducedAxis<arith::MaximumFOp, arith::MaxNumFOp>(match.highest);
  if (!time || match.highest.getDpsInputOperand(0)->get() != match.scores ||
      match.highest.getMatchingIndexingMap(match.highest.getDpsInitOperand(0)) !=
          mass.getMatchingIndexingMap(match.massHighest))
    return failure();
  match.time = *time;
  return success();
}

/// mixed(mass / total) becomes mixed(mass) / total.
static void divideAfterProduct(RewriterBase &rewriter, linalg::GenericOp division,
                               Attention &match) {
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(match.mixed);
  Location loc = match.mixed.getLoc();
  SmallVector<Value> operands(match.mixed->getOperands());
  operands[match.massOperand->getOperandNumber()] = match.mass->getResult(0);
  auto product = cast<linalg::LinalgOp>(
      mlir::clone(rewriter, match.mixed, match.mixed->getResultTypes(), operands));
  Value mixed = product->getResult(0);
  int64_t rank = cast<RankedTensorType>(mixed.getType()).getRank();
  AffineMap id = rewriter.getMultiDimIdentityMap(rank);
  Value dest = tensor::EmptyOp::create(rewriter, loc, tensor::getMixedSizes(rewriter, loc, mixed),
                                       rewriter.getF32Type());
  SmallVector<utils::IteratorType> kinds(rank, utils::IteratorType::parallel);
  match.result = linalg::GenericOp::create(
      rewriter, loc, mixed.getType(), ValueRange{mixed, match.total->getResult(0)}, dest,
      {id, match.rowsOfMixed(), id}, kinds, [](OpBuilder &b, Location loc, ValueRange e) {
        Value quotient = arith::DivFOp::create(b, loc, e[0], e[1]);
        linalg::YieldOp::create(b, loc, quotient);
      });
  rewriter.replaceOp(match.mixed, match.result->getResults());
  rewriter.eraseOp(division);
  match.massOperand = &product->getOpOperand(match.massOperand->getOperandNumber());
  match.valuesOperand = &product->getOpOperand(match.valuesOperand->getOperandNumber());
  match.mixed = product;
}

/// `mass / total` with nothing else, by axes in order.
static bool isDivision(linalg::GenericOp op, const Attention &match) {
  linalg::GenericOp total = match.total;
  if (!op || !isPlain(op) || !isParallel(op) || op.getBody()->getOperations().size() != 2 ||
      !op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isIdentity())
    return false;
  auto quotient = yielded<arith::DivFOp>(op);
  OpOperand *above = quotient ? operandOf(op, quotient.getLhs()) : nullptr,
            *under = quotient ? operandOf(op, quotient.getRhs()) : nullptr;
  return above && under && above->get().getDefiningOp() == match.mass &&
         op.getMatchingIndexingMap(above).isIdentity() && under->get().getDefiningOp() == total &&
         op.getMatchingIndexingMap(under) ==
             total.getMatchingIndexingMap(total.getDpsInitOperand(0));
}

FailureOr<Attention> lowbit::matchAttention(RewriterBase &rewriter, linalg::LinalgOp mixed,
                                            std::string &reason) {
  Attention match;
  match.mixed = mixed;
  linalg::GenericOp division;
  for (OpOperand *input : mixed.getDpsInputOperands()) {
    auto producer = input->get().getDefiningOp<linalg::GenericOp>();
    if (!producer || match.massOperand)
      continue;
    if (succeeded(matchSoftmax(producer, match))) {
      match.massOperand = input;
      continue;
    }
    for (Value value : producer.getDpsInputs())
      if (succeeded(matchSoftmax(value.getDefiningOp<linalg::GenericOp>(), match))) {
        match.massOperand = input;
        division = producer;
        break;
      }
  }
  if (!match.massOperand || mixed.getNumDpsInputs() != 2)
    return failure();
  match.valuesOperand =
      mixed.getDpsInputOperand(match.massOperand == mixed.getDpsInputOperand(0) ? 1 : 0);
  auto refuse = [&](const Twine &why) {
    reason = why.str();
    return failure();
  };

  // From here on there is a softmax.
  if (!isF32(match.scores) || !isF32(match.highest->getResult(0)) ||
      !isF32(match.mass->getResult(0)) || !isF32(mixed->getResult(0)))
    return refuse("the scores, the masses or the product are not f32");
  match.total = onlyUserBut(match.mass->getResult(0),
                            division ? division.getOperation() : mixed.getOperation());
  std::optional<unsigned> axis = reducedAxis<arith::AddFOp>(match.total);
  if (!axis || *axis != match.time || !isF32(match.total->getResult(0)))
    return refuse("the masses are read by more than the product and their sum");
  if (match.total.getIndexingMapsArray() != match.highest.getIndexingMapsArray() ||
      !isFilledWith(match.total.getDpsInitOperand(0)->get(), isZero) ||
      !isFilledWith(match.highest.getDpsInitOperand(0)->get(), isMinusInfinity))
    return refuse(
        "the sum does not start at zero, or the maximum at minus infinity, by the same rows");
  for (Operation *user : match.highest->getUsers())
    if (user != match.mass)
      return refuse("the maximum of the scores is read elsewhere");
  // The product: all of the masses, summed over t alone, from zero.
  SmallVector<unsigned> reductions;
  mixed.getReductionDims(reductions);
  AffineMap ofMass = mixed.getMatchingIndexingMap(match.massOperand);
  if (!isPlain(mixed) || reductions.size() != 1 ||
      ofMass.getResult(match.time) != rewriter.getAffineDimExpr(reductions.front()) ||
      !isFilledWith(mixed.getDpsInitOperand(0)->get(), isZero))
    return refuse(
        "the product with the masses sums more than their axis, or does not start at zero");
  AffineMap ofMixed = mixed.getMatchingIndexingMap(mixed.getDpsInitOperand(0));
  for (auto [i, loop] : llvm::enumerate(ofMass.getResults()))
    if (i != match.time && !ofMixed.getResultPosition(loop))
      return refuse("the product lacks rows of the masses");

  if (division) {
    if (!isDivision(division, match) || !division->hasOneUse() ||
        onlyUserBut(match.total->getResult(0), nullptr) != division)
      return refuse("the masses are not just divided by their sum before the product");
    divideAfterProduct(rewriter, division, match);
  } else {
    match.result = onlyUserBut(match.total->getResult(0), nullptr);
    if (!match.result || onlyUserBut(mixed->getResult(0), nullptr) != match.result ||
        !isPlain(match.result) || !isParallel(match.result) ||
        match.result.payloadUsesValueFromOperand(match.result.getDpsInitOperand(0)))
      return refuse(
          "the product and the sum of the masses are read by more than one elementwise op");
  }
  for (OpOperand *input : match.result.getDpsInputOperands())
    if (input->get() == match.mixed->getResult(0))
      match.resultOperand = input;
  // Each tile of the result needs the same tile of the product, and its rows of the sum.
  AffineMap ofProduct = match.result.getMatchingIndexingMap(match.resultOperand),
            ofTotal = match.rowsOfMixed().compose(ofProduct);
  for (OpOperand *input : match.result.getDpsInputOperands()) {
    AffineMap map = match.result.getMatchingIndexingMap(input);
    if ((input->get() == match.mixed->getResult(0) && map != ofProduct) ||
        (input->get() == match.total->getResult(0) && map != ofTotal))
      return refuse("what divides the product by the sum of the masses reads other places of them");
  }
  if (!match.result.getMatchingIndexingMap(match.resultOperand).isPermutation() ||
      !match.result.getMatchingIndexingMap(match.result.getDpsInitOperand(0)).isPermutation())
    return refuse("what divides the product by the sum of the masses changes its shape");
  collectScores(match.scores, {match.highest, match.mass}, match);
  return match;
}
