//===- EmitMatrixTiles.cpp - Products of codes by the matrix unit ---------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// AMX multiplies a tile of 16 rows by up to 64 bytes with one of up to 16 rows of 16 lanes by four
// bytes, into 16 x 16 sums of i32. The second is what an inner tile is, once its codes are bytes: a
// group's weights are unpacked once for all rows of activations. A tile of sums goes through memory
// to the vectors that know the factors.
//
//===----------------------------------------------------------------------===//
#include "ContractEmitter.h"

#include "VectorStrips.h"
#include "lowbit/IR/TileBuilder.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace lowbit;
using numerics::InnerTile;

/// Bytes of a row of a tile, at most.
static constexpr int64_t deepest = 64;
/// Steps of a block, at most: their code is not in a loop, in which tiles would go through memory.
static constexpr int64_t mostSteps = 16;
/// Blocks whose sums are in memory at the same time, at most.
static constexpr int64_t blocksAtOnce = 4;
/// Columns of unpacked weights that a stack holds.
static constexpr int64_t mostColumns = 1 << 16;

/// Columns that one instruction sums: a divisor of the block.
static int64_t depthOf(int64_t block) {
  for (int64_t depth = deepest; depth >= InnerTile::columns; depth -= InnerTile::columns)
    if (block % depth == 0)
      return depth;
  return 0;
}

bool ContractEmitter::canUseMatrixUnit() const {
  if (!target.matrixUnit || !plan.isInteger() || plan.columns > mostColumns)
    return false;
  int64_t depth = depthOf(plan.block);
  return depth != 0 && plan.block / depth <= mostSteps;
}

bool ContractEmitter::hasSignedLevels() const {
  const numerics::IntegerLevels &levels = *plan.levels;
  int64_t most = (1 << plan.weights.getCodeFormat().getReference().bits()) - 1;
  if (!levels.table.empty())
    most = *llvm::max_element(levels.table);
  return most - levels.offset <= INT8_MAX && -levels.offset >= INT8_MIN;
}

/// Bytes [columns / 4, 64]: every inner tile of the current group.
void ContractEmitter::unpackWeights(OpBuilder &b, Value unpacked) {
  LayoutAttrInterface layout = plan.weights.getStorage();
  emitStrips(b, loc, b.getIndexAttr(plan.columns / plan.step), {1}, {},
             [&](OpBuilder &b, Value step, int64_t, ValueRange) -> Values {
               StepColumn at{step, plan.step, 0};
               for (; at.offset < plan.step; at.offset += InnerTile::columns) {
                 Value tile = lookUp(b, layout.buildInnerTile(b, loc, plan.weights, plan.rhsType,
                                                              op.getRhs(), groups[0], at));
                 if (plan.hasOffset() && hasSignedLevels()) {
                   auto offset = DenseElementsAttr::get(cast<VectorType>(tile.getType()),
                                                        b.getI8IntegerAttr(plan.levels->offset));
                   tile = arith::SubIOp::create(b, loc, tile,
                                                arith::ConstantOp::create(b, loc, offset));
                 }
                 Value quad = TileBuilder(b, loc).blockOf(at, InnerTile::columns);
                 Value zero = arith::ConstantIndexOp::create(b, loc, 0);
                 vector::StoreOp::create(b, loc, tile, unpacked, ValueRange{quad, zero});
               }
               return {};
             });
}

void ContractEmitter::emitMatrixProducts(OpBuilder &b, const StepColumn &at, Value row,
                                         Value unpacked, ValueRange scratch) {
  int64_t depth = depthOf(plan.block);
  Type i8 = b.getI8Type();
  auto codes = amx::TileType::get({InnerTile::rows, depth}, i8);
  auto weights = amx::TileType::get({depth / InnerTile::columns, deepest}, i8);
  auto sums = amx::TileType::get({InnerTile::rows, InnerTile::rows}, b.getI32Type());
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Values dots;
  for (size_t plane = 0; plane < plan.planeCount(); ++plane)
    dots.push_back(amx::TileZeroOp::create(b, loc, sums));
  for (int64_t start = 0; start < plan.block; start += depth) {
    StepColumn part{at.step, at.extent, at.offset + start};
    Value column = columnOf(b, part);
    Value quad = TileBuilder(b, loc).blockOf(part, InnerTile::columns);
    Value w = amx::TileLoadOp::create(b, loc, weights, unpacked, ValueRange{quad, zero});
    for (auto [plane, dot] : llvm::enumerate(dots)) {
      Value x = amx::TileLoadOp::create(b, loc, codes, op.getLhs()[plane], ValueRange{row, column});
      dot = amx::TileMulIOp::create(b, loc, sums, x, w, dot, /*isZextLhs=*/false,
                                    /*isZextRhs=*/!hasSignedLevels());
    }
  }
  for (auto [dot, tile] : llvm::zip_equal(dots, scratch))
    amx::TileStoreOp::create(b, loc, tile, ValueRange{zero, zero}, dot);
}

SmallVector<Value> ContractEmitter::emitMatrixBlocks(OpBuilder &b, ArrayRef<StepColumn> blocks,
                                                     Value row, Value unpacked, ValueRange scratch,
                                                     ValueRange sums) {
  size_t planes = plan.planeCount();
  auto tilesOf = [&](size_t i) { return scratch.slice(i * planes, planes); };
  SmallVector<WeightFactors> weights;
  for (auto [i, at] : llvm::enumerate(blocks)) {
    emitMatrixProducts(b, at, row, unpacked, tilesOf(i));
    weights.push_back(weightFactorsOf(b, groups[0], at));
  }
  // Row by row, so that no more than the sums and the weights' factors are in registers.
  auto lanes = VectorType::get({InnerTile::rows}, b.getI32Type());
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Values next(sums);
  for (auto [m, sum] : llvm::enumerate(next))
    for (auto [i, at] : llvm::enumerate(blocks)) {
      Value index = arith::ConstantIndexOp::create(b, loc, m);
      Values dots;
      for (Value tile : tilesOf(i))
        dots.push_back(vector::LoadOp::create(b, loc, lanes, tile, ValueRange{index, zero}));
      if (plan.hasOffset() && !hasSignedLevels())
        dots[0] = arith::AddIOp::create(b, loc, dots[0], startOf(b, at, 0, m));
      sum = emitFactors(b, at, weights[i], rows[m], dots, sum);
    }
  return next;
}

void ContractEmitter::emitMatrixTiles(OpBuilder &b, OpFoldResult tileCount) {
  TileBuilder t(b, loc);
  IntegerAttr line = b.getI64IntegerAttr(64);
  auto bytes = MemRefType::get({plan.columns / InnerTile::columns, deepest}, b.getI8Type());
  Value unpacked = memref::AllocaOp::create(b, loc, bytes, line);
  // Several blocks at a time: while the sums of one are on their way through memory, those of the
  // others are computed.
  int64_t columns = std::max(plan.block, plan.step), blocks = columns / plan.block;
  SmallVector<int64_t> widths =
      stripWidths(b.getIndexAttr(plan.columns / columns), blocksAtOnce / blocks);
  auto tile = MemRefType::get({matrixRows, InnerTile::rows}, b.getI32Type());
  Values scratch;
  for (size_t i = 0; i < widths[0] * blocks * plan.planeCount(); ++i)
    scratch.push_back(memref::AllocaOp::create(b, loc, tile, line));

  auto emitRows = [&](OpBuilder &b, Value group, Value first) {
    Value row = TileBuilder(b, loc).blockOf({first, matrixRows, 0}, 1);
    RegisterTile tile{group, row, 1, matrixRows};
    startTile(b, tile);
    Values sums(matrixRows, splat(b, b.getF32FloatAttr(0)));
    sums = emitStrips(b, loc, b.getIndexAttr(plan.columns / columns), widths, sums,
                      [&](OpBuilder &b, Value step, int64_t width, ValueRange sums) {
                        SmallVector<StepColumn> places;
                        for (int64_t i = 0; i < width; ++i)
                          for (int64_t start = 0; start < columns; start += plan.block)
                            places.push_back({emitOffset(b, loc, step, i), columns, start});
                        size_t tiles = places.size() * plan.planeCount();
                        return emitMatrixBlocks(b, places, row, unpacked,
                                                ValueRange(scratch).take_front(tiles), sums);
                      })
               .first;
    emitFinish(b, tile, sums);
  };
  auto emitGroups = [&](OpBuilder &b) {
    emitStrips(b, loc, TileBuilder(b, loc).ceilDiv(outputs, InnerTile::rows), {1}, {},
               [&](OpBuilder &b, Value group, int64_t, ValueRange) -> Values {
                 groups = {arith::AddIOp::create(b, loc, firstGroup, group)};
                 unpackWeights(b, unpacked);
                 emitStrips(b, loc, tileCount, {1}, {},
                            [&](OpBuilder &b, Value first, int64_t, ValueRange) -> Values {
                              emitRows(b, group, first);
                              return {};
                            });
                 return {};
               });
  };
  if (getConstantIntValue(tileCount))
    return emitGroups(b);
  Value some = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sgt, t.value(tileCount),
                                     arith::ConstantIndexOp::create(b, loc, 0));
  scf::IfOp::create(b, loc, some, [&](OpBuilder &b, Location) {
    emitGroups(b);
    scf::YieldOp::create(b, loc);
  });
}
