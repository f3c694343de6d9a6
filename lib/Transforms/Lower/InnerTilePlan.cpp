//===- InnerTilePlan.cpp - How a contraction reads inner tiles -------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "InnerTilePlan.h"
#include "Reports.h"
#include "lowbit/IR/LowbitOps.h"

#include "lowbit/Numerics/TiledLayout.h"

#include <numeric>

using namespace mlir;

namespace lowbit {
bool isIntegerActivation(QuantizedAttr term) {
  auto scale = dyn_cast_or_null<BlockScaleAttr>(term.getScale());
  auto layout = dyn_cast<PlanesLayoutAttr>(term.getLayout());
  numerics::Format format = term.getCodeFormat().getReference();
  if (!scale || scale.getLevels().size() != 1 || scale.getOffset() || term.getZero() || !layout ||
      format.kind() != numerics::FormatKind::Int)
    return false;
  ScaleLevelAttr level = scale.getLevels()[0];
  std::vector<numerics::Plane> planes = layout.getPlanes(format);
  bool fits = planes.back().width == 8;
  for (numerics::Plane plane : ArrayRef(planes).drop_back())
    fits &= plane.width == 7;
  return fits && level.getFormat().getReference().isFloat() &&
         (level.getKind() != GranularityKind::Block || level.getValues()[0] == 1);
}

namespace {

/// A loop body grows with its step: beyond this, codes of a long block are summed by a loop.
constexpr int64_t longestStep = 64;

/// Columns over which a tree's factors are constant.
int64_t lastBlockOf(ScaleAttrInterface tree, ArrayRef<int64_t> shape) {
  int64_t least = shape[1];
  for (ScaleLevel &level : tree.getLevels(shape))
    if (level.block[1] != kWhole)
      least = std::gcd(least, level.block[1]);
  return least;
}

/// Levels are looked up in registers, so that their elements have few levels or are computed.
bool hasRegisterLevels(ScaleAttrInterface tree, ArrayRef<int64_t> shape) {
  return llvm::all_of(tree.getLevels(shape), [](ScaleLevel &level) {
    numerics::Format format = cast<FormatAttrInterface>(level.format).getReference();
    return format.kind() != numerics::FormatKind::Codebook || format.bits() <= 4;
  });
}

bool isFactorable(ScaleAttrInterface tree, RankedTensorType type) {
  if (!tree)
    return true;
  // Only what every block scale is: a product, with or without an offset.
  return isa<BlockScaleAttr>(tree) && hasRegisterLevels(tree, type.getShape());
}

/// A group of rows that is read at once has a value for each of them, or one for all.
bool fitsGroups(ScaleAttrInterface tree, ArrayRef<int64_t> shape) {
  return llvm::all_of(tree.getLevels(shape), [](ScaleLevel &level) {
    int64_t rows = level.block[0];
    return rows == kWhole || rows == 1 || rows % numerics::InnerTile::rows == 0;
  });
}

/// Levels are multiplied and added before they are scaled: that must not overflow or vanish for
/// values that the scaled ones suit.
bool sumsWithoutScale(const numerics::Format &format) {
  return format.largest() <= 0x1p32f && format.largest() >= 0x1p-32f;
}

} // namespace

bool isWeightOfProduct(OpOperand &operand) {
  auto op = dyn_cast<linalg::LinalgOp>(operand.getOwner());
  if (!op || !linalg::isaContractionOpInterface(op) || op.getNumLoops() != 3 ||
      op.getNumParallelLoops() != 2 || !op.isDpsInput(&operand))
    return false;
  OpOperand *x = op.getDpsInputOperand(1 - operand.getOperandNumber());
  AffineMap nk = op.getMatchingIndexingMap(&operand), mk = op.getMatchingIndexingMap(x),
            mn = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  return nk.getNumResults() == 2 && mk.getNumResults() == 2 && mn.getNumResults() == 2 &&
         mn.getResult(0) == mk.getResult(0) && mn.getResult(1) == nk.getResult(0) &&
         mk.getResult(1) == nk.getResult(1);
}

RankedTensorType getDecodedType(Value value) {
  if (auto decode = value.getDefiningOp<DecodeOp>())
    return cast<RankedTensorType>(decode.getSource().getType());
  auto decode = value.getDefiningOp<DecodeRegionOp>();
  bool isWhole = decode &&
                 llvm::all_of(decode.getStaticOffsets(), [](int64_t n) { return n == 0; }) &&
                 decode.getStaticSizes() == decode.getWholeType().getShape();
  return isWhole ? decode.getWholeType() : RankedTensorType();
}

FailureOr<InnerTilePlan> planInnerTiles(RankedTensorType lhs, RankedTensorType rhs,
                                        std::string &reason) {
  auto refuse = [&](const Twine &text) -> FailureOr<InnerTilePlan> {
    reason = text.str();
    return failure();
  };
  InnerTilePlan plan;
  plan.lhsType = lhs;
  plan.rhsType = rhs;
  plan.weights = dyn_cast_or_null<QuantizedAttr>(rhs.getEncoding());
  plan.activations = dyn_cast_or_null<QuantizedAttr>(lhs.getEncoding());
  if (!plan.weights)
    return refuse("has weights of no single term with inner tiles: " + textOf(rhs.getEncoding()));
  if (!plan.weights.getStorage().hasInnerTiles())
    return refuse("has weights in a layout without inner tiles: " +
                  textOf(plan.weights.getStorage()));
  if (lhs.getEncoding() && (!plan.activations || !isIntegerActivation(plan.activations)))
    return refuse("has activations that are neither f32 nor int<8>, or int<15> in planes<7, 8>, "
                  "with one scale of floats by blocks of the last axis");
  plan.columns = rhs.getDimSize(1);
  if (plan.columns <= 0 || rhs.getDimSize(0) <= 0 || lhs.getDimSize(0) == 0)
    return refuse("is empty");
  for (ScaleAttrInterface tree : {plan.weights.getScaleTree(), plan.weights.getZeroTree()}) {
    if (!isFactorable(tree, rhs))
      return refuse("has weights whose scale is no product of levels that fit registers: " +
                    textOf(tree));
    if (tree && !fitsGroups(tree, rhs.getShape()))
      return refuse("has weights whose scale cuts groups of " + Twine(numerics::InnerTile::rows) +
                    " rows: " + textOf(tree));
  }
  numerics::Format format = plan.weights.getCodeFormat().getReference();
  plan.levels = numerics::integerLevelsOf(format);
  if (plan.isInteger() && !plan.levels)
    return refuse("has integer activations and weights whose levels are no small integers: " +
                  format.str());
  if (!plan.isInteger() && !sumsWithoutScale(format))
    return refuse("has weights whose levels without their scale are no numbers to add in f32: " +
                  format.str());
  if (!plan.isInteger() && format.kind() == numerics::FormatKind::Codebook && format.bits() > 4)
    return refuse("has weights with more levels than fit registers: " + format.str());

  plan.block = plan.columns;
  int64_t ownBlock = plan.columns;
  if (ScaleAttrInterface tree = plan.weights.getScaleTree())
    ownBlock = lastBlockOf(tree, rhs.getShape());
  // Minima are added to what is scaled already.
  plan.weightsVary = ownBlock != plan.columns || plan.weights.getAdditive();
  if (ScaleAttrInterface tree = plan.weights.getZeroTree())
    ownBlock = std::gcd(ownBlock, lastBlockOf(tree, rhs.getShape()));
  plan.block = ownBlock;
  plan.activationsVary = false;
  if (plan.isInteger()) {
    int64_t block = lastBlockOf(plan.activations.getScaleTree(), rhs.getShape());
    plan.activationsVary = block != plan.columns;
    // The sums of whole blocks are scaled.
    int64_t stored = *plan.activations.getScaleTree().getLevels(rhs.getShape())[0].block.rbegin();
    if (stored != kWhole && plan.columns % stored != 0 && plan.hasSums())
      return refuse("has zero points or minima, and activations in blocks of " + Twine(stored) +
                    " that do not fill " + Twine(plan.columns) + " columns");
    plan.block = std::gcd(plan.block, block);
    numerics::Format codes = plan.activations.getCodeFormat().getReference();
    plan.activationPlanes = cast<PlanesLayoutAttr>(plan.activations.getLayout()).getPlanes(codes);
    if (plan.block > (int64_t(1) << 31) / (int64_t(255) << (codes.bits() - 1)))
      return refuse("has blocks whose sums do not fit 32 bits");
  }
  int64_t multiple = plan.multiple = plan.weights.getStorage().getInnerColumns(plan.weights);
  if (plan.block % 4 != 0)
    return refuse("has blocks of " + Twine(plan.block) +
                  " columns over which all scales are constant: a multiple of 4 is needed");
  if (plan.columns % multiple != 0)
    return refuse("has " + Twine(plan.columns) + " columns, no multiple of " + Twine(multiple));
  plan.step = std::lcm(plan.block, multiple);
  if (plan.step > longestStep && plan.block % multiple == 0) {
    // The largest part of a block of whole vectors.
    plan.step = multiple;
    for (int64_t size = multiple; size <= longestStep; size += multiple)
      if (plan.block % size == 0)
        plan.step = size;
  }
  if (plan.columns % plan.step != 0 || plan.step > 4 * longestStep)
    return refuse("has blocks that do not fill vectors");
  return plan;
}

} // namespace lowbit
