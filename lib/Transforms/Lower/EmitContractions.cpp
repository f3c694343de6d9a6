//===- EmitContractions.cpp - Vector code for contractions on components ---===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ContractEmitter.h"
#include "Reports.h"
#include "VectorLanes.h"
#include "VectorStrips.h"
#include "lowbit/IR/TileBuilder.h"
#include "lowbit/Transforms/Lower/Passes.h"

#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace lowbit {
#define GEN_PASS_DEF_EMITCONTRACTIONS
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;
using numerics::InnerTile;
void ContractEmitter::emit(OpBuilder &b, const Reporter &report) {
  TileBuilder t(b, loc);
  auto type = cast<MemRefType>(init.getType());
  auto extent = [&](unsigned axis) -> OpFoldResult {
    if (!type.isDynamicDim(axis))
      return b.getIndexAttr(type.getDimSize(axis));
    return memref::DimOp::create(b, loc, init, axis).getResult();
  };
  firstGroup = t.value(t.floorDiv(op.getFirst(), InnerTile::rows));
  outputs = extent(1);
  OpFoldResult rowCount = extent(0);
  if (!canUseMatrixUnit() || getConstantIntValue(rowCount).value_or(matrixRows) < matrixRows)
    return emitVectorTiles(b, t.index(0), rowCount, target.groups, report);
  report.analysis(op, [&]() -> Facts {
    return {Fact("MatrixUnit", "amx"), Fact("TileRows", matrixRows),
            Fact("TileOutputs", InnerTile::rows), Fact("BlockColumns", plan.block)};
  });
  OpFoldResult tiles = t.floorDiv(rowCount, matrixRows);
  emitMatrixTiles(b, tiles);
  OpFoldResult first = t.apply(b.getAffineDimExpr(0) * matrixRows, {tiles});
  // The few rows that are left take one group at a time: less code, of which there is much else.
  emitVectorTiles(b, first, t.sub(rowCount, first), /*groupsAtOnce=*/1, report);
}

void ContractEmitter::emitVectorTiles(OpBuilder &b, OpFoldResult firstRow, OpFoldResult rowCount,
                                      int64_t groupsAtOnce, const Reporter &report) {
  TileBuilder t(b, loc);
  OpFoldResult groupCount = t.ceilDiv(outputs, InnerTile::rows);
  // Several rows share what is read of the weights: then fewer vectors of them do.
  if (getConstantIntValue(rowCount).value_or(INT64_MAX) > 3)
    groupsAtOnce = std::min<int64_t>(groupsAtOnce, plan.isInteger() ? 2 : 1);
  // Each sum has those of the current block beside it, one for each plane.
  int64_t sumsAtOnce = target.vectors / (plan.planeCount() + 1);
  auto rowWidths = [&](int64_t groups) { return stripWidths(rowCount, sumsAtOnce / groups); };
  SmallVector<int64_t> widths = stripWidths(groupCount, groupsAtOnce);
  // The first width that the extent has room for.
  auto largest = [](ArrayRef<int64_t> widths, OpFoldResult extent) {
    int64_t room = getConstantIntValue(extent).value_or(INT64_MAX);
    while (widths.size() > 1 && widths[0] > room)
      widths = widths.drop_front();
    return widths[0];
  };
  report.analysis(op, [&]() -> Facts {
    int64_t most = largest(widths, groupCount), rows = largest(rowWidths(most), rowCount);
    return {Fact("TileRows", rows), Fact("TileOutputs", most * InnerTile::rows),
            Fact("VectorsOfSums", (plan.planeCount() + 1) * most * rows),
            Fact("BlockColumns", plan.block)};
  });
  // The groups of a tile are far apart: each is followed, in the next tile, by the one behind it in
  // memory, so that what is read is a few streams that run through all tiles.
  int64_t tiles = getConstantIntValue(groupCount).value_or(0) / widths[0];
  emitStrips(b, loc, groupCount, widths, {},
             [&](OpBuilder &b, Value group, int64_t groups, ValueRange) -> Values {
               int64_t stride = 1;
               if (tiles > 0 && groups == widths[0]) {
                 group = TileBuilder(b, loc).value(TileBuilder(b, loc).floorDiv(group, groups));
                 stride = tiles;
               }
               emitStrips(b, loc, rowCount, rowWidths(groups), {},
                          [&](OpBuilder &b, Value row, int64_t rows, ValueRange) -> Values {
                            TileBuilder t(b, loc);
                            Value first = t.value(t.apply(
                                b.getAffineDimExpr(0) + b.getAffineDimExpr(1), {row, firstRow}));
                            emitTile(b, {group, first, groups, rows, stride});
                            return {};
                          });
               return {};
             });
}

void ContractEmitter::startTile(OpBuilder &b, const RegisterTile &tile) {
  Value group = arith::AddIOp::create(b, loc, firstGroup, tile.group);
  groups.clear();
  for (int64_t g = 0; g < tile.groups; ++g)
    groups.push_back(emitOffset(b, loc, group, g * tile.groupStride));
  rows.clear();
  for (int64_t m = 0; m < tile.rows; ++m)
    rows.push_back(emitOffset(b, loc, tile.row, m));
}

void ContractEmitter::emitTile(OpBuilder &b, const RegisterTile &tile) {
  startTile(b, tile);
  int64_t columns = std::max(plan.block, plan.step);
  Values sums(tile.size(), splat(b, b.getF32FloatAttr(0)));
  sums = emitStrips(b, loc, b.getIndexAttr(plan.columns / columns), {1}, sums,
                    [&](OpBuilder &b, Value step, int64_t, ValueRange sums) {
                      Values next(sums);
                      for (int64_t start = 0; start < columns; start += plan.block)
                        next = emitBlock(b, {step, columns, start}, next);
                      return next;
                    })
             .first;
  emitFinish(b, tile, sums);
}

SmallVector<Value> ContractEmitter::emitBlock(OpBuilder &b, const StepColumn &at, ValueRange sums) {
  // For each plane of the activations, one for each sum.
  Values dots;
  for (size_t plane = 0, count = plan.planeCount(); plane < count; ++plane)
    for (size_t i = 0; i < sums.size(); ++i)
      dots.push_back(startOf(b, at, plane, i % rows.size()));
  int64_t length = std::min(plan.block, plan.step);
  // Several rows are work enough for a loop over parts of a block, and much code without one.
  while (rows.size() > 1 && length > 16 && length % (2 * plan.multiple) == 0)
    length /= 2;
  int64_t trips = plan.block / length;
  if (trips == 1) {
    dots = emitProducts(b, at, length, dots);
  } else {
    Value first = columnOf(b, {at.step, trips, 0});
    dots = emitStrips(b, loc, b.getIndexAttr(trips), {1}, dots,
                      [&](OpBuilder &b, Value trip, int64_t, ValueRange dots) {
                        Value step = arith::AddIOp::create(b, loc, first, trip);
                        return emitProducts(b, {step, length, 0}, length, dots);
                      })
               .first;
  }
  Values next;
  for (auto [g, group] : llvm::enumerate(groups)) {
    WeightFactors weights = weightFactorsOf(b, group, at);
    for (size_t m = 0; m < rows.size(); ++m) {
      size_t i = g * rows.size() + m;
      Values ofPlanes;
      for (size_t plane = 0; plane < plan.planeCount(); ++plane)
        ofPlanes.push_back(dots[plane * sums.size() + i]);
      next.push_back(emitFactors(b, at, weights, rows[m], ofPlanes, sums[i]));
    }
  }
  return next;
}

SmallVector<Value> ContractEmitter::emitProducts(OpBuilder &b, StepColumn at, int64_t length,
                                                 ValueRange dots) {
  Values next(dots);
  for (int64_t end = at.offset + length; at.offset < end; at.offset += InnerTile::columns) {
    LayoutAttrInterface layout = plan.weights.getStorage();
    Values tiles;
    for (Value group : groups) {
      if (target.prefetchDistance)
        layout.buildInnerPrefetch(b, loc, plan.weights, plan.rhsType, op.getRhs(), group, at,
                                  target.prefetchDistance, target.prefetchLocality);
      tiles.push_back(
          layout.buildInnerTile(b, loc, plan.weights, plan.rhsType, op.getRhs(), group, at));
    }
    if (plan.isInteger())
      addIntegers(b, at, tiles, next);
    else
      addFloats(b, at, tiles, next);
  }
  return next;
}

Value ContractEmitter::lookUp(OpBuilder &b, Value tile) {
  if (plan.levels->table.empty())
    return tile;
  auto type = VectorType::get({16}, b.getI8Type());
  SmallVector<int8_t> table(plan.levels->table.begin(), plan.levels->table.end());
  table.resize(16);
  Value levels =
      arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, ArrayRef<int8_t>(table)));
  return LookupOp::create(b, loc, levels, tile);
}

void ContractEmitter::addIntegers(OpBuilder &b, const StepColumn &at, MutableArrayRef<Value> tiles,
                                  Values &dots) {
  auto bytes = cast<VectorType>(tiles[0].getType());
  for (Value &tile : tiles)
    tile = lookUp(b, tile);
  Value column = columnOf(b, at);
  for (auto [m, row] : llvm::enumerate(rows))
    for (size_t plane = 0; plane < plan.planeCount(); ++plane) {
      // Four codes are one lane, the same in all of them.
      Value four = vector::LoadOp::create(b, loc, VectorType::get({4}, b.getI8Type()),
                                          op.getLhs()[plane], ValueRange{row, column});
      four = vector::BitCastOp::create(b, loc, VectorType::get({1}, b.getI32Type()), four);
      four = vector::ExtractOp::create(b, loc, four, 0);
      Value lanes = lowbit::toLanes(b, loc, four, InnerTile::rows);
      lanes = vector::BitCastOp::create(b, loc, bytes, lanes);
      for (auto [g, tile] : llvm::enumerate(tiles)) {
        Value &dot = dots[(plane * tiles.size() + g) * rows.size() + m];
        dot = Dot4Op::create(b, loc, tile, lanes, dot);
      }
    }
}

void ContractEmitter::addFloats(OpBuilder &b, const StepColumn &at, ArrayRef<Value> tiles,
                                Values &dots) {
  auto words = VectorType::get({InnerTile::rows}, b.getI32Type());
  for (int64_t i = 0; i < InnerTile::columns; ++i) {
    Values levels;
    for (Value tile : tiles)
      levels.push_back(levelsOf(b, vector::BitCastOp::create(b, loc, words, tile), 8 * i));
    Value column = columnOf(b, {at.step, at.extent, at.offset + i});
    for (auto [m, row] : llvm::enumerate(rows)) {
      Value x = memref::LoadOp::create(b, loc, op.getLhs()[0], ValueRange{row, column});
      x = lowbit::toLanes(b, loc, x, InnerTile::rows);
      for (auto [g, level] : llvm::enumerate(levels)) {
        Value &dot = dots[g * rows.size() + m];
        dot = vector::FMAOp::create(b, loc, level, x, dot);
      }
    }
  }
}

Value ContractEmitter::levelsOf(OpBuilder &b, Value words, int64_t shift) {
  numerics::Format format = plan.weights.getCodeFormat().getReference();
  if (shift)
    words = arith::ShRUIOp::create(b, loc, words, splat(b, b.getI32IntegerAttr(shift)));
  int64_t mask = (1 << format.bits()) - 1;
  if (shift != 24 || format.bits() < 8)
    words = arith::AndIOp::create(b, loc, words, splat(b, b.getI32IntegerAttr(mask)));
  uint32_t flipped = format.kind() == numerics::FormatKind::Int ? 1u << (format.bits() - 1) : 0;
  if (format.bits() <= 4) {
    SmallVector<float> table;
    for (uint32_t code = 0; code <= mask; ++code)
      table.push_back(format.decode(code ^ flipped));
    table.resize(InnerTile::rows);
    Value levels = arith::ConstantOp::create(
        b, loc, DenseElementsAttr::get(floats(b), ArrayRef<float>(table)));
    return LookupOp::create(b, loc, levels, words);
  }
  if (format.isInteger()) {
    Value level = arith::SIToFPOp::create(b, loc, floats(b), words);
    return flipped ? arith::SubFOp::create(b, loc, level, splat(b, b.getF32FloatAttr(flipped)))
                   : level;
  }
  Value codes =
      arith::TruncIOp::create(b, loc, VectorType::get({InnerTile::rows}, b.getI8Type()), words);
  return buildLevels(b, loc, plan.weights.getCodeFormat(), codes);
}

namespace {
struct EmitContractionsPass : lowbit::impl::EmitContractionsBase<EmitContractionsPass> {
  using EmitContractionsBase::EmitContractionsBase;

  LogicalResult checkOptions() {
    auto refuse = [&](StringRef option, int64_t least, int64_t most,
                      int64_t value) -> LogicalResult {
      return getOperation().emitError() << getArgumentName() << ": " << option << " is " << least
                                        << " to " << most << ", not " << value;
    };
    if (groupsAtOnce < 1 || groupsAtOnce > 64)
      return refuse("groups", 1, 64, groupsAtOnce);
    if (vectorsAtOnce < 1 || vectorsAtOnce > 1024)
      return refuse("vectors", 1, 1024, vectorsAtOnce);
    if (prefetchDistance < 0 || prefetchDistance > 1 << 20)
      return refuse("prefetch", 0, 1 << 20, prefetchDistance);
    if (prefetchLocality > 3)
      return refuse("prefetch-locality", 0, 3, prefetchLocality);
    return success();
  }

  void runOnOperation() override {
    if (failed(checkOptions()))
      return signalPassFailure();
    SmallVector<ContractOp> found;
    getOperation().walk([&](ContractOp op) { found.push_back(op); });
    Reporter report{getArgumentName(), "register-tile"};
    ContractionTarget target{groupsAtOnce, vectorsAtOnce, prefetchDistance, prefetchLocality,
                             matrixUnit == "amx"};
    for (ContractOp op : found) {
      std::string reason;
      FailureOr<InnerTilePlan> plan =
          planInnerTiles(op.getLhsTensorType(), op.getRhsTensorType(), reason);
      if (failed(plan) || op.getResult()) {
        op.emitError() << "cannot become vector code: it "
                       << (failed(plan) ? reason : "is not on buffers");
        return signalPassFailure();
      }
      OpBuilder b(op);
      ContractEmitter(op, *plan, target).emit(b, report);
      op.erase();
    }
  }
};
} // namespace
