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

/// Bytes [columns / 4, 64]: every inner tile of the current group.
void ContractEmitter::unpackWeights(OpBuilder &b, Value unpacked) {
  LayoutAttrInterface layout = plan.weights.getStorage();
  emitStrips(b, loc, b.getIndexAttr(plan.columns / plan.step), {1}, {},
             [&](OpBuilder &b, Value step, int64_t, ValueRange) -> Values {
               StepColumn at{step, plan.step, 0};
               for (; at.offset < plan.step; at.offset += InnerTile::columns) {
                 Value tile = lookUp(b, layout.buildInnerTile(b, loc, plan.weights, plan.rhsType,
                                                              op.getRhs(), groups[0], at));
                 Value quad = TileBuilder(b, loc).blockOf(at, InnerTile::columns);
                 Value zero = arith::ConstantIndexOp::create(b, loc, 0);
                 vector::StoreOp::create(b, loc, tile, unpacked, ValueRange{quad, zero});
               }
               return {};
             });
}

SmallVector<Value> ContractEmitter::emitMatrixProducts(OpBuilder &b, const StepColumn &at,
                                                       Value row, Value unpacked,
                                                       ValueRange scratch) {
  int64_t depth = depthOf(plan.block);
  Type i8 = b.getI8Type();
  auto codes = amx::TileType::get({InnerTile::rows, depth}, i8);
  auto weights = amx::TileType::get({depth / InnerTile::columns, deepest}, i8);
  auto sums = amx::TileType::get({InnerTile::rows, InnerTile::rows}, b.getI32Type());
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Values dots;
  for (size_t plane = 0; plane < plan.planeCount(); ++plane) {
    Value dot = amx::TileZeroOp::create(b, loc, sums);
    for (int64_t start = 0; start < plan.block; start += depth) {
      StepColumn part{at.step, at.extent, at.offset + start};
      Value column = columnOf(b, part);
      Value quad = TileBuilder(b, loc).blockOf(part, InnerTile::columns);
      Value x = amx::TileLoadOp::create(b, loc, codes, op.getLhs()[plane], ValueRange{row, column});
      Value w = amx::TileLoadOp::create(b, loc, weights, unpacked, ValueRange{quad, zero});
      // Activations have a sign, levels of weights have none.
      dot = amx::TileMulIOp::create(b, loc, sums, x, w, dot, /*isZextLhs=*/false,
                                    /*isZextRhs=*/true);
    }
    amx::TileStoreOp::create(b, loc, scratch[plane], ValueRange{zero, zero}, dot);
  }
  auto lanes = VectorType::get({InnerTile::rows}, b.getI32Type());
  for (size_t plane = 0; plane < plan.planeCount(); ++plane)
    for (int64_t m = 0; m < matrixRows; ++m) {
      Value index = arith::ConstantIndexOp::create(b, loc, m);
      Value dot = vector::LoadOp::create(b, loc, lanes, scratch[plane], ValueRange{index, zero});
      if (plane == 0 && plan.levels->offset != 0)
        dot = arith::AddIOp::create(b, loc, dot, startOf(b, at, plane, m));
      dots.push_back(dot);
    }
  return dots;
}

void ContractEmitter::emitMatrixTiles(OpBuilder &b, OpFoldResult tileCount) {
  TileBuilder t(b, loc);
  IntegerAttr line = b.getI64IntegerAttr(64);
  auto bytes = MemRefType::get({plan.columns / InnerTile::columns, deepest}, b.getI8Type());
  Value unpacked = memref::AllocaOp::create(b, loc, bytes, line);
  auto tile = MemRefType::get({matrixRows, InnerTile::rows}, b.getI32Type());
  Values scratch;
  for (size_t plane = 0; plane < plan.planeCount(); ++plane)
    scratch.push_back(memref::AllocaOp::create(b, loc, tile, line));
  int64_t columns = std::max(plan.block, plan.step);

  auto emitRows = [&](OpBuilder &b, Value group, Value first) {
    Value row = TileBuilder(b, loc).blockOf({first, matrixRows, 0}, 1);
    RegisterTile tile{group, row, 1, matrixRows};
    startTile(b, tile);
    Values sums(matrixRows, splat(b, b.getF32FloatAttr(0)));
    sums = emitStrips(b, loc, b.getIndexAttr(plan.columns / columns), {1}, sums,
                      [&](OpBuilder &b, Value step, int64_t, ValueRange sums) {
                        Values next(sums);
                        for (int64_t start = 0; start < columns; start += plan.block) {
                          StepColumn at{step, columns, start};
                          next = emitFactors(
                              b, at, emitMatrixProducts(b, at, row, unpacked, scratch), next);
                        }
                        return next;
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
