//===- AttentionTiles.cpp - The ops of attention on tiles ------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttentionTiles.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/TilingInterface.h"

using namespace mlir;
using namespace lowbit;

Tile Tile::through(AffineMap map) const {
  Tile part;
  for (AffineExpr result : map.getResults()) {
    unsigned loop = cast<AffineDimExpr>(result).getPosition();
    part.offsets.push_back(offsets[loop]);
    part.sizes.push_back(sizes[loop]);
  }
  return part;
}

void Tile::set(AffineMap map, const Tile &results) {
  for (auto [axis, expr] : llvm::enumerate(map.getResults())) {
    unsigned loop = cast<AffineDimExpr>(expr).getPosition();
    offsets[loop] = results.offsets[axis];
    sizes[loop] = results.sizes[axis];
  }
}

AttentionTiles::AttentionTiles(RewriterBase &b, Attention match)
    : b(b), loc(match.mixed.getLoc()), match(std::move(match)) {}

Tile AttentionTiles::wholeOf(linalg::LinalgOp op) {
  Tile whole;
  for (Range range : cast<TilingInterface>(*op).getIterationDomain(b)) {
    whole.offsets.push_back(range.offset);
    whole.sizes.push_back(range.size);
  }
  return whole;
}

OpFoldResult AttentionTiles::tileSize(Value start, OpFoldResult extent, int64_t size) {
  std::optional<int64_t> known = getConstantIntValue(extent);
  if (size == 1 || (known && *known % size == 0))
    return b.getIndexAttr(size);
  AffineExpr at = b.getAffineDimExpr(0), end = b.getAffineSymbolExpr(0);
  AffineMap map = AffineMap::get(1, 1, {b.getAffineConstantExpr(size), end - at}, b.getContext());
  return affine::makeComposedFoldedAffineMin(b, loc, map, {OpFoldResult(start), extent});
}

Value AttentionTiles::slice(Value value, const Tile &tile, ArrayRef<int64_t> dropped) {
  return isa<RankedTensorType>(value.getType()) ? TileBuilder(b, loc).slice(value, tile, dropped)
                                                : value;
}

Value AttentionTiles::empty(const Tile &tile) {
  return TileBuilder(b, loc).empty(tile.sizes, b.getF32Type());
}

Value AttentionTiles::fill(double value, Value dest) {
  Value constant = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value));
  return linalg::FillOp::create(b, loc, constant, dest).getResult(0);
}

Value AttentionTiles::tileOf(linalg::LinalgOp op, const Tile &loops, const Given &given) {
  SmallVector<Value> operands;
  for (OpOperand &operand : op->getOpOperands()) {
    Value value = given.lookup(&operand);
    operands.push_back(
        value ? value : slice(operand.get(), loops.through(op.getMatchingIndexingMap(&operand))));
  }
  auto tiled = cast<linalg::LinalgOp>(mlir::clone(b, op, operands.back().getType(), operands));
  // As plain sums, which become vectors (linalg::offsetIndices would write affine.apply).
  for (auto index : llvm::to_vector(tiled.getBlock()->getOps<linalg::IndexOp>())) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointAfter(index);
    Value offset = getValueOrCreateConstantIndexOp(b, loc, loops.offsets[index.getDim()]);
    auto moved = arith::AddIOp::create(b, loc, index, offset);
    b.replaceAllUsesExcept(index, moved, moved);
  }
  return tiled->getResult(0);
}

Value AttentionTiles::scoresOf(Value scores, const Tile &tile) {
  auto op = scores.getDefiningOp<linalg::LinalgOp>();
  if (!op || !match.fused.contains(op))
    return slice(scores, tile);
  Tile loops = wholeOf(op);
  loops.set(op.getMatchingIndexingMap(op.getDpsInitOperand(0)), tile);
  Given given;
  if (op.getNumParallelLoops() == op.getNumLoops()) {
    for (OpOperand *input : op.getDpsInputOperands())
      given[input] = scoresOf(input->get(), loops.through(op.getMatchingIndexingMap(input)));
    given[op.getDpsInitOperand(0)] = empty(tile);
  } else {
    given[op.getDpsInitOperand(0)] = fill(0, empty(tile));
  }
  return tileOf(op, loops, given);
}

/// The largest value of an index in the tile; none where it is not known to grow with the
/// indices.
std::optional<OpFoldResult> AttentionTiles::largest(Value value, const Tile &tile) {
  if (auto index = value.getDefiningOp<linalg::IndexOp>()) {
    AffineExpr at = b.getAffineSymbolExpr(0), size = b.getAffineSymbolExpr(1);
    return affine::makeComposedFoldedAffineApply(
        b, loc, at + size - 1, {tile.offsets[index.getDim()], tile.sizes[index.getDim()]});
  }
  if (auto add = value.getDefiningOp<arith::AddIOp>()) {
    std::optional<OpFoldResult> x = largest(add.getLhs(), tile), y = largest(add.getRhs(), tile);
    if (!x || !y)
      return std::nullopt;
    return affine::makeComposedFoldedAffineApply(
        b, loc, b.getAffineSymbolExpr(0) + b.getAffineSymbolExpr(1), {*x, *y});
  }
  if (match.scores.getDefiningOp()->isAncestor(value.getParentRegion()->getParentOp()))
    return std::nullopt;
  return OpFoldResult(value);
}

OpFoldResult AttentionTiles::visibleEnd(const Tile &tile, OpFoldResult all) {
  arith::CmpIOp visible = match.findVisible();
  if (!visible)
    return all;
  std::optional<OpFoldResult> last = largest(visible.getRhs(), tile);
  if (!last)
    return all;
  bool isInclusive = visible.getPredicate() == arith::CmpIPredicate::sle;
  AffineExpr end = b.getAffineSymbolExpr(0) + (isInclusive ? 1 : 0);
  AffineMap map = AffineMap::get(0, 2, {end, b.getAffineSymbolExpr(1)}, b.getContext());
  return affine::makeComposedFoldedAffineMin(b, loc, map, {*last, all});
}
