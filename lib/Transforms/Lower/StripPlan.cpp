//===- StripPlan.cpp - Which dimensions of an elementwise op get vectors ---===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lowbit/Transforms/Lower/VectorizeContractions.h"
#include "lowbit/Transforms/Lower/VectorizeElementwise.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace lowbit {

int64_t StripPlan::getInnerLanes() const {
  int64_t lanes = 1;
  for (int64_t extent : innerExtents)
    lanes *= extent;
  return lanes;
}

SmallVector<int64_t> StripPlan::getLaneIndices(unsigned which, int64_t width) const {
  int64_t inner = getInnerLanes();
  SmallVector<int64_t> indices;
  for (int64_t lane = 0; lane < width * inner; ++lane) {
    int64_t index = which == dim ? lane / inner : 0;
    int64_t rest = inner;
    for (auto [innerDim, extent] : llvm::zip_equal(innerDims, innerExtents)) {
      rest /= extent;
      if (innerDim == which)
        index = lane / rest % extent;
    }
    indices.push_back(index);
  }
  return indices;
}

bool isTableLookup(Operation &op) {
  auto load = dyn_cast<memref::LoadOp>(op);
  if (!load || !load.getMemRef().getDefiningOp<memref::GetGlobalOp>())
    return false;
  MemRefType type = load.getMemRefType();
  return type.getRank() == 1 && type.hasStaticShape() && type.getElementType().isIntOrFloat();
}

/// The result of `map` that is `dim` by itself; nothing if there is none. Fails if `dim` occurs
/// otherwise.
static FailureOr<std::optional<unsigned>> findResult(AffineMap map, unsigned dim) {
  std::optional<unsigned> found;
  for (auto [position, expr] : llvm::enumerate(map.getResults())) {
    if (!expr.isFunctionOfDim(dim))
      continue;
    if (!isa<AffineDimExpr>(expr) || found)
      return failure();
    found = position;
  }
  return found;
}

bool isCombined(linalg::LinalgOp op, const StripPlan &plan, OpOperand &output) {
  return plan.isReduction && !op.getMatchingIndexingMap(&output).isFunctionOfDim(plan.dim);
}

bool isFoldedOperand(linalg::LinalgOp op, const StripPlan &plan, unsigned operand) {
  AffineMap map = op.getIndexingMapsArray()[operand];
  if (!plan.foldedDim || map.getNumResults() == 0)
    return false;
  auto last = dyn_cast<AffineDimExpr>(map.getResults().back());
  return last && last.getPosition() == *plan.foldedDim;
}

std::optional<SmallVector<int64_t>> getLaneOffsets(linalg::LinalgOp op, const StripPlan &plan,
                                                   unsigned operand, int64_t width) {
  SmallVector<int64_t> offsets(width * plan.getInnerLanes(), 0);
  auto type = dyn_cast<MemRefType>(op->getOperand(operand).getType());
  if (!type)
    return offsets;
  SmallVector<int64_t> strides;
  int64_t start;
  if (failed(type.getStridesAndOffset(strides, start)))
    return std::nullopt;
  SmallVector<unsigned> dims = {plan.dim};
  llvm::append_range(dims, plan.innerDims);
  for (unsigned dim : dims) {
    auto position = findResult(op.getIndexingMapsArray()[operand], dim);
    if (failed(position))
      return std::nullopt;
    if (!*position)
      continue;
    int64_t stride = strides[**position];
    if (ShapedType::isDynamic(stride) || stride < 0)
      return std::nullopt;
    for (auto [offset, index] : llvm::zip_equal(offsets, plan.getLaneIndices(dim, width)))
      offset += index * stride;
  }
  // Lanes load the whole stretch and pick from it, which pays while most of it is used.
  int64_t last = *llvm::max_element(offsets);
  int64_t used = offsets.size() * (isFoldedOperand(op, plan, operand) ? plan.foldedSteps : 1);
  if (last >= 2 * used || (last > 0 && strides.back() != 1))
    return std::nullopt;
  return offsets;
}

namespace {

/// f32 elements in a vector of partial sums.
constexpr int64_t kOrderedVectorLength = 16;

class StripPlanner {
public:
  StripPlanner(linalg::LinalgOp op, int64_t vectorLength)
      : op(op), extents(op.getStaticLoopRanges()), vectorLength(vectorLength) {}

  FailureOr<StripPlan> run(std::string &reason) {
    if (!isVectorizable(reason))
      return failure();
    std::optional<StripPlan> plan = planParallel();
    if (!plan)
      plan = planReduction();
    if (plan)
      return *plan;
    reason = "the operands are not contiguous along a common dimension or a reduction has no known "
             "combining op";
    return failure();
  }

private:
  bool isVectorizable(std::string &reason) {
    if (!op.hasPureBufferSemantics()) {
      reason = "it is not bufferized";
      return false;
    }
    for (Type type : op->getOperandTypes()) {
      Type element = getElementTypeOrSelf(type);
      // Vectors of other widths are not laid out in memory like their elements.
      if (!element.isIntOrFloat() || element.getIntOrFloatBitWidth() % 8 != 0 ||
          !llvm::isPowerOf2_32(element.getIntOrFloatBitWidth())) {
        reason = "an operand's elements are not whole bytes";
        return false;
      }
      widest = std::max<int64_t>(widest, element.getIntOrFloatBitWidth());
      hasBF16 |= element.isBF16();
    }
    for (Operation &inner : op.getBlock()->without_terminator()) {
      bool known = isa<linalg::IndexOp, arith::ConstantOp>(inner) || isTableLookup(inner) ||
                   (OpTrait::hasElementwiseMappableTraits(&inner) && isMemoryEffectFree(&inner));
      if (!known) {
        reason = ("its body has '" + inner.getName().getStringRef() + "'").str();
        return false;
      }
      for (Type type : inner.getResultTypes())
        if (type.isIntOrFloat())
          widest = std::max<int64_t>(widest, type.getIntOrFloatBitWidth());
    }
    return true;
  }

  int64_t getMaxLanes() const { return std::max<int64_t>(vectorLength * 32 / widest, 1); }

  /// Takes the first output's last dimensions until they fill a vector.
  std::optional<StripPlan> planParallel() {
    AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
    auto iterators = op.getIteratorTypesArray();
    StripPlan plan;
    int64_t lanes = 1;
    for (unsigned i = map.getNumResults(); i-- > 0;) {
      auto expr = dyn_cast<AffineDimExpr>(map.getResult(i));
      if (!expr || iterators[expr.getPosition()] != utils::IteratorType::parallel)
        return std::nullopt;
      unsigned dim = expr.getPosition();
      int64_t extent = extents[dim];
      bool fits = !ShapedType::isDynamic(extent) && i > 0 &&
                  lanes * extent < std::min(getMaxLanes(), vectorLength);
      if (fits) {
        plan.innerDims.insert(plan.innerDims.begin(), dim);
        plan.innerExtents.insert(plan.innerExtents.begin(), extent);
        lanes *= extent;
        continue;
      }
      plan.dim = dim;
      plan.step = getStep(extent, lanes);
      fold(plan);
      if (hasBF16 && !llvm::isPowerOf2_64(lanes)) // LLVM 22 aborts on a load of, say, 18 bf16
        return std::nullopt;
      return check(plan);
    }
    return std::nullopt;
  }

  /// Takes the last loop, if it is a reduction over no more neighbours than a byte has bits.
  void fold(StripPlan &plan) {
    unsigned last = op.getNumLoops() - 1;
    if (op.getIteratorTypesArray()[last] != utils::IteratorType::reduction ||
        ShapedType::isDynamic(extents[last]) || extents[last] > 8)
      return;
    plan.foldedDim = last;
    plan.foldedSteps = extents[last];
  }

  std::optional<StripPlan> planReduction() {
    for (OpOperand *input : op.getDpsInputOperands()) {
      AffineMap map = op.getMatchingIndexingMap(input);
      if (map.getNumResults() == 0)
        continue;
      auto expr = dyn_cast<AffineDimExpr>(map.getResults().back());
      if (!expr || op.getIteratorTypesArray()[expr.getPosition()] != utils::IteratorType::reduction)
        continue;
      StripPlan plan;
      plan.dim = expr.getPosition();
      plan.isReduction = true;
      if (!hasCombiners(plan))
        return std::nullopt;
      // Which numbers are added to which is not to depend on the processor: strips are as wide as
      // they are with its widest registers, and others take several for them.
      if (hasOrderedCombiners(plan))
        vectorLength = kOrderedVectorLength;
      plan.step = getStep(extents[plan.dim], 1);
      return check(plan);
    }
    return std::nullopt;
  }

  /// Whether a combiner rounds, so that another order is another result.
  bool hasOrderedCombiners(const StripPlan &plan) {
    return llvm::any_of(op.getDpsInitsMutable(), [&](OpOperand &output) {
      Operation *combiner = op.getMatchingYieldValue(&output)->get().getDefiningOp();
      return isCombined(op, plan, output) && isa<arith::AddFOp, arith::MulFOp>(combiner);
    });
  }

  /// Whether outputs that lack the reduction are only combined, by an op of which the neutral
  /// element is known.
  bool hasCombiners(const StripPlan &plan) {
    for (OpOperand &output : op.getDpsInitsMutable()) {
      if (!isCombined(op, plan, output))
        continue;
      BlockArgument argument = op.getMatchingBlockArgument(&output);
      Value yielded = op.getMatchingYieldValue(&output)->get();
      Operation *combiner = yielded.getDefiningOp();
      if (!combiner || combiner->getNumOperands() != 2 || !argument.hasOneUse() ||
          !llvm::is_contained(combiner->getOperands(), argument) || !yielded.hasOneUse() ||
          !arith::getNeutralElement(combiner))
        return false;
    }
    return true;
  }

  int64_t getStep(int64_t extent, int64_t innerLanes) const {
    int64_t step = llvm::bit_floor<uint64_t>(std::max<int64_t>(getMaxLanes() / innerLanes, 1));
    if (!ShapedType::isDynamic(extent))
      step = std::min<int64_t>(step, llvm::bit_floor<uint64_t>(std::max<int64_t>(extent, 1)));
    return step;
  }

  /// Outputs need one element for each lane in order, or one for all that are combined.
  std::optional<StripPlan> check(const StripPlan &plan) {
    if (plan.step * plan.getInnerLanes() < 4)
      return std::nullopt;
    for (OpOperand &operand : op->getOpOperands()) {
      auto offsets = getLaneOffsets(op, plan, operand.getOperandNumber(), plan.step);
      // The last steps are taken one by one.
      if (!offsets || !getLaneOffsets(op, plan, operand.getOperandNumber(), 1))
        return std::nullopt;
      if (op.isDpsInput(&operand))
        continue;
      for (auto [lane, offset] : llvm::enumerate(*offsets))
        if (offset != (isCombined(op, plan, operand) ? 0 : (int64_t)lane))
          return std::nullopt;
    }
    return plan;
  }

  bool hasBF16 = false;
  linalg::LinalgOp op;
  SmallVector<int64_t> extents;
  int64_t vectorLength;
  int64_t widest = 8;
};

} // namespace

FailureOr<StripPlan> planStrips(linalg::LinalgOp op, int64_t vectorLength, std::string &reason) {
  if (succeeded(planContraction(op, reason)) || !reason.empty()) {
    reason.clear();
    return failure();
  }
  if (op.getNumLoops() == 0)
    return failure();
  FailureOr<StripPlan> plan = StripPlanner(op, vectorLength).run(reason);
  int64_t elements = 1;
  for (int64_t extent : op.getStaticLoopRanges())
    elements = ShapedType::isDynamic(extent) ? vectorLength : elements * extent;
  if (failed(plan) && elements < vectorLength)
    reason.clear();
  return plan;
}

} // namespace lowbit
