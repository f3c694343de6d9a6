//===- EmitMatrixTiles.cpp - Products of codes by the matrix unit ---------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// AMX multiplies a tile of 16 rows by up to 64 bytes with one of up to 16 rows of 16 lanes by four
// bytes, into 16 x 16 sums of i32. The second is what an inner tile is, once its codes are bytes. A
// tile of sums goes through memory to the vectors that know the factors.
//
// What is used again stays in the first cache: the unpacked weights of a group, over some hundred
// columns, for all rows of a block of them.
//
//===----------------------------------------------------------------------===//
#include "ContractEmitter.h"

#include "VectorStrips.h"
#include "lowbit/IR/TileBuilder.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace lowbit;
using numerics::InnerTile;

/// Bytes of a row of a tile, at most.
static constexpr int64_t deepest = 64;
/// Steps of a block, at most: their code is not in a loop, in which tiles would go through memory.
static constexpr int64_t mostSteps = 16;
/// Blocks in the body of a loop, at most.
static constexpr int64_t blocksAtOnce = 4;
/// Columns of unpacked weights, at most.
static constexpr int64_t columnsAtOnce = 768;
/// Tiles of rows that share unpacked weights.
static constexpr int64_t rowTilesAtOnce = 8;

/// Columns that one instruction sums: a divisor of the block.
static int64_t depthOf(int64_t block) {
  for (int64_t depth = deepest; depth >= InnerTile::columns; depth -= InnerTile::columns)
    if (block % depth == 0)
      return depth;
  return 0;
}

bool ContractEmitter::canUseMatrixUnit() const {
  if (!target.matrixUnit || !plan.isInteger())
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

void ContractEmitter::unpackWeights(OpBuilder &b, Value group, Value first, int64_t columns,
                                    Value unpacked) {
  LayoutAttrInterface layout = plan.weights.getStorage();
  emitStrips(
      b, loc, b.getIndexAttr(columns / plan.step), {1}, {},
      [&](OpBuilder &b, Value index, int64_t, ValueRange) -> Values {
        Value step = arith::AddIOp::create(b, loc, first, index);
        for (int64_t offset = 0; offset < plan.step; offset += InnerTile::columns) {
          Value tile =
              lookUp(b, layout.buildInnerTile(b, loc, plan.weights, plan.rhsType, op.getRhs(),
                                              group, {step, plan.step, offset}));
          if (plan.hasOffset() && hasSignedLevels()) {
            auto value = DenseElementsAttr::get(cast<VectorType>(tile.getType()),
                                                b.getI8IntegerAttr(plan.levels->offset));
            tile = arith::SubIOp::create(b, loc, tile, arith::ConstantOp::create(b, loc, value));
          }
          Value quad = TileBuilder(b, loc).blockOf({index, plan.step, offset}, InnerTile::columns);
          Value zero = arith::ConstantIndexOp::create(b, loc, 0);
          vector::StoreOp::create(b, loc, tile, unpacked, ValueRange{quad, zero});
        }
        return {};
      });
}

void ContractEmitter::emitMatrixProducts(OpBuilder &b, const MatrixBlock &block, Value unpacked,
                                         ValueRange products) {
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
    StepColumn at = block.at, place = block.unpacked;
    at.offset += start;
    place.offset += start;
    Value quad = TileBuilder(b, loc).blockOf(place, InnerTile::columns);
    Value w = amx::TileLoadOp::create(b, loc, weights, unpacked, ValueRange{quad, zero});
    for (auto [plane, dot] : llvm::enumerate(dots)) {
      Value x = amx::TileLoadOp::create(b, loc, codes, op.getLhs()[plane],
                                        ValueRange{rows[0], columnOf(b, at)});
      dot = amx::TileMulIOp::create(b, loc, sums, x, w, dot, /*isZextLhs=*/false,
                                    /*isZextRhs=*/!hasSignedLevels());
    }
  }
  for (auto [dot, tile] : llvm::zip_equal(dots, products))
    amx::TileStoreOp::create(b, loc, tile, ValueRange{zero, zero}, dot);
}

SmallVector<Value> ContractEmitter::addMatrixProducts(OpBuilder &b, const StepColumn &at,
                                                      ValueRange products, ValueRange sums) {
  auto lanes = VectorType::get({InnerTile::rows}, b.getI32Type());
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  WeightFactors weights = weightFactorsOf(b, groups[0], at);
  Values next;
  for (auto [m, row] : llvm::enumerate(rows)) {
    Value index = arith::ConstantIndexOp::create(b, loc, m);
    Values dots;
    for (Value tile : products)
      dots.push_back(vector::LoadOp::create(b, loc, lanes, tile, ValueRange{index, zero}));
    if (plan.hasOffset() && !hasSignedLevels())
      dots[0] = arith::AddIOp::create(b, loc, dots[0], startOf(b, at, 0, m));
    next.push_back(emitFactors(b, at, weights, row, dots, sums[m]));
  }
  return next;
}

SmallVector<Value> ContractEmitter::emitMatrixChunk(OpBuilder &b, Value first, int64_t count,
                                                    Value unpacked, ValueRange products,
                                                    ValueRange sums) {
  int64_t columns = std::max(plan.block, plan.step), blocks = columns / plan.block;
  // Of the loop's body: an even number, as blocks use two buffers in turn.
  int64_t width = std::max<int64_t>(blocksAtOnce / blocks, 1);
  while (width > 1 && (count % width != 0 || width * blocks % 2 != 0))
    --width;
  int64_t inBody = width * blocks;
  auto blockAt = [&](OpBuilder &b, Value unit, int64_t i) -> MatrixBlock {
    Value place = emitOffset(b, loc, unit, i / blocks);
    Value step = arith::AddIOp::create(b, loc, first, place);
    int64_t start = i % blocks * plan.block;
    return {{step, columns, start}, {place, columns, start}};
  };
  auto productsOf = [&](int64_t i) {
    return products.slice(i % 2 * plan.planeCount(), plan.planeCount());
  };
  // Products of the next block are on their way through memory while those of this one are scaled.
  // With an odd number of blocks the loop's last one has to be scaled first.
  auto emitBody = [&](OpBuilder &b, Value unit, ValueRange sums, bool isLast) {
    Values next(sums);
    for (int64_t i = 0; i < inBody; ++i) {
      bool wraps = i + 1 == inBody;
      auto emitNext = [&] {
        emitMatrixProducts(b, blockAt(b, unit, i + 1), unpacked, productsOf(wraps ? 0 : i + 1));
      };
      bool hasNext = !wraps || !isLast, isFree = !wraps || inBody % 2 == 0;
      if (hasNext && isFree)
        emitNext();
      next = addMatrixProducts(b, blockAt(b, unit, i).at, productsOf(i), next);
      if (hasNext && !isFree)
        emitNext();
    }
    return next;
  };
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  emitMatrixProducts(b, blockAt(b, zero, 0), unpacked, productsOf(0));
  Values next = emitStrips(b, loc, b.getIndexAttr(count - width), {width}, sums,
                           [&](OpBuilder &b, Value unit, int64_t, ValueRange sums) {
                             return emitBody(b, unit, sums, /*isLast=*/false);
                           })
                    .first;
  Value last = arith::ConstantIndexOp::create(b, loc, count - width);
  return emitBody(b, last, next, /*isLast=*/true);
}

void ContractEmitter::emitMatrixTiles(OpBuilder &b, OpFoldResult tileCount) {
  TileBuilder t(b, loc);
  // Units of whole blocks and steps.
  int64_t columns = std::max(plan.block, plan.step);
  int64_t units = plan.columns / columns;
  SmallVector<int64_t> chunks =
      stripWidths(b.getIndexAttr(units), std::min(units, columnsAtOnce / columns));
  bool isOne = chunks[0] == units;
  auto allocate = [&](ArrayRef<int64_t> shape, Type element) -> Value {
    return memref::AllocaOp::create(b, loc, MemRefType::get(shape, element),
                                    b.getI64IntegerAttr(64));
  };
  Value unpacked = allocate({chunks[0] * columns / InnerTile::columns, deepest}, b.getI8Type());
  Values products;
  for (size_t i = 0; i < 2 * plan.planeCount(); ++i)
    products.push_back(allocate({matrixRows, InnerTile::rows}, b.getI32Type()));
  Value partial =
      isOne ? Value() : allocate({rowTilesAtOnce * matrixRows, InnerTile::rows}, b.getF32Type());

  using TileBody = llvm::function_ref<void(OpBuilder &, const RegisterTile &, Value)>;
  auto emitRows = [&](OpBuilder &b, Value group, Value firstTile, OpFoldResult count) {
    // With the place of the first row's partial sum.
    auto forTiles = [&](OpBuilder &b, TileBody body) {
      emitStrips(
          b, loc, count, {1}, {}, [&](OpBuilder &b, Value tile, int64_t, ValueRange) -> Values {
            TileBuilder t(b, loc);
            Value row =
                t.blockOf({arith::AddIOp::create(b, loc, firstTile, tile), matrixRows, 0}, 1);
            RegisterTile all{group, row, 1, matrixRows};
            startTile(b, all);
            body(b, all, t.blockOf({tile, matrixRows, 0}, 1));
            return {};
          });
    };
    auto placeOf = [&](OpBuilder &b, Value first, int64_t m) -> Values {
      return {emitOffset(b, loc, first, m), arith::ConstantIndexOp::create(b, loc, 0)};
    };
    auto load = [&](OpBuilder &b, Value first) {
      Values sums;
      for (int64_t m = 0; m < matrixRows; ++m)
        sums.push_back(vector::LoadOp::create(b, loc, floats(b), partial, placeOf(b, first, m)));
      return sums;
    };
    auto store = [&](OpBuilder &b, Value first, ValueRange sums) {
      for (auto [m, sum] : llvm::enumerate(sums))
        vector::StoreOp::create(b, loc, sum, partial, placeOf(b, first, m));
    };
    Values zeros(matrixRows, splat(b, b.getF32FloatAttr(0)));
    if (!isOne)
      forTiles(b, [&](OpBuilder &b, const RegisterTile &, Value first) { store(b, first, zeros); });
    emitStrips(b, loc, b.getIndexAttr(units), chunks, {},
               [&](OpBuilder &b, Value chunk, int64_t units, ValueRange) -> Values {
                 Value step = TileBuilder(b, loc).blockOf({chunk, columns, 0}, plan.step);
                 unpackWeights(b, arith::AddIOp::create(b, loc, firstGroup, group), step,
                               units * columns, unpacked);
                 forTiles(b, [&](OpBuilder &b, const RegisterTile &tile, Value first) {
                   Values sums = emitMatrixChunk(b, chunk, units, unpacked, products,
                                                 isOne ? zeros : load(b, first));
                   if (isOne)
                     emitFinish(b, tile, sums);
                   else
                     store(b, first, sums);
                 });
                 return {};
               });
    if (!isOne)
      forTiles(b, [&](OpBuilder &b, const RegisterTile &tile, Value first) {
        emitFinish(b, tile, load(b, first));
      });
  };
  emitStrips(b, loc, t.ceilDiv(tileCount, rowTilesAtOnce), {1}, {},
             [&](OpBuilder &b, Value part, int64_t, ValueRange) -> Values {
               TileBuilder t(b, loc);
               Value first = t.blockOf({part, rowTilesAtOnce, 0}, 1);
               OpFoldResult count = t.min(t.index(rowTilesAtOnce), t.sub(tileCount, first));
               emitStrips(b, loc, t.ceilDiv(outputs, InnerTile::rows), {1}, {},
                          [&](OpBuilder &b, Value group, int64_t, ValueRange) -> Values {
                            emitRows(b, group, first, count);
                            return {};
                          });
               return {};
             });
}
