//===- InnerFactors.cpp - What comes into sums at the end of a block ------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "InnerFactors.h"
#include "VectorLanes.h"
#include "lowbit/IR/TileBuilder.h"
#include "lowbit/Numerics/TiledLayout.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace lowbit {

Value buildLevels(OpBuilder &b, Location loc, FormatAttrInterface format, Value codes) {
  if (codes.getType().isF32())
    return codes;
  if (!isa<VectorType>(codes.getType()))
    return format.buildDecode(b, loc, codes);
  return emitOnLanes(b, loc, codes, [&](OpBuilder &b, Location loc, ValueRange code) {
    return format.buildDecode(b, loc, code[0]);
  });
}

static Value lanes(OpBuilder &b, Location loc, Value value) {
  return toLanes(b, loc, value, numerics::InnerTile::rows);
}

Value buildProduct(OpBuilder &b, Location loc, Value x, Value y) {
  if (!x || !y)
    return x ? x : y;
  bool isWide = isa<VectorType>(x.getType()) || isa<VectorType>(y.getType());
  return arith::MulFOp::create(b, loc, isWide ? lanes(b, loc, x) : x,
                               isWide ? lanes(b, loc, y) : y);
}

Value InnerFactors::buildWeights(OpBuilder &b, Value group, const StepColumn &at) {
  Value factor;
  if (ScaleAttrInterface tree = plan.weights.getScaleTree())
    factor = buildTree(b, tree, 0, group, at);
  float unit = plan.isInteger() ? plan.levels->factor : 1.0f;
  if (unit == 1.0f)
    return factor;
  return buildProduct(b, loc, factor, arith::ConstantOp::create(b, loc, b.getF32FloatAttr(unit)));
}

Value InnerFactors::buildZeros(OpBuilder &b, Value group, const StepColumn &at) {
  ScaleAttrInterface scale = plan.weights.getScaleTree();
  unsigned first = scale ? scale.getLevels(plan.rhsType.getShape()).size() : 0;
  return buildTree(b, plan.weights.getZeroTree(), first, group, at);
}

Value InnerFactors::buildTree(OpBuilder &b, ScaleAttrInterface tree, unsigned first, Value group,
                              const StepColumn &at) {
  SmallVector<Value> levels;
  bool hasLanes = false;
  for (auto [i, level] : llvm::enumerate(tree.getLevels(plan.rhsType.getShape()))) {
    Value codes = plan.weights.getStorage().buildInnerLevel(b, loc, plan.weights, plan.rhsType,
                                                            op.getRhs(), first + i, group, at);
    levels.push_back(buildLevels(b, loc, cast<FormatAttrInterface>(level.format), codes));
    hasLanes |= isa<VectorType>(levels.back().getType());
  }
  if (hasLanes)
    for (Value &level : levels)
      level = lanes(b, loc, level);
  return *tree.buildFactor(b, loc, levels);
}

Value InnerFactors::buildActivations(OpBuilder &b, Value row, const StepColumn &at) {
  auto scale = cast<BlockScaleAttr>(plan.activations.getScale());
  ScaleLevelAttr level = scale.getLevels()[0];
  SmallVector<int64_t> block = level.getBlock(2);
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value place = block[1] == kWhole ? zero : TileBuilder(b, loc).blockOf(at, block[1]);
  Value code = memref::LoadOp::create(b, loc, op.getLhs()[plan.planeCount()],
                                      ValueRange{block[0] == kWhole ? zero : row, place});
  return level.getFormat().buildDecode(b, loc, code);
}

Value InnerFactors::buildOffset(OpBuilder &b, Value row, const StepColumn &at) {
  return ofBlock(b, op.getSums().front(), row, at);
}

Value InnerFactors::buildBlockSum(OpBuilder &b, Value row, const StepColumn &at) {
  return ofBlock(b, op.getSums().back(), row, at);
}

Value InnerFactors::ofBlock(OpBuilder &b, Value values, Value row, const StepColumn &at) {
  Value block = TileBuilder(b, loc).blockOf(at, plan.block);
  return memref::LoadOp::create(b, loc, values, ValueRange{row, block});
}

} // namespace lowbit
