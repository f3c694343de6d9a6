//===- VectorizeContractions.cpp - Register tiles for f32 contractions ----===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Why 4 x 4 by default. A step of the dot form loads rows + columns vectors for rows * columns
// multiply-adds. Cores with two load ports and two fused multiply-add units are balanced from 4 x 4
// on (8 loads, 16 multiply-adds); 16 accumulators hide the latency of 4 cycles on two units (8
// needed), and leave half of the 32 registers of AVX-512 for operands. 16 sums of 16 lanes are also
// what one reduction tree turns into a single vector. 6 x 4 has the better ratio but needs 29
// registers and gained nothing where it was measured. A single row has one load for each
// multiply-add at best: there the tile is 1 x (2 * columns), just wide enough for the latency. With
// 16 registers (AVX2) choose 2 x 4.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Transforms/Lower/VectorizeContractions.h"
#include "Reports.h"
#include "VectorStrips.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"
#include "llvm/Support/MathExtras.h"

namespace lowbit {
#define GEN_PASS_DECL_VECTORIZECONTRACTIONS
#define GEN_PASS_DEF_VECTORIZECONTRACTIONS
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;

namespace lowbit {
namespace {

/// Emits the loops and register tiles of one f32 contraction.
class RegisterTileEmitter {
public:
  RegisterTileEmitter(OpBuilder &b, linalg::LinalgOp op, const ContractionPlan &plan,
                      const RegisterTile &tile)
      : loc(op.getLoc()), op(op), plan(plan), tile(tile), maps(op.getIndexingMapsArray()) {
    ranges = op.createLoopRanges(b, loc);
    ivs.resize(op.getNumLoops());
    for (unsigned dim = 0; dim < ranges.size(); ++dim)
      if (std::optional<int64_t> known = findStaticExtent(dim))
        ranges[dim].size = b.getIndexAttr(*known);
    length = tile.vectorLength;
    if (std::optional<int64_t> known = getConstantIntValue(ranges[plan.vectorDim].size))
      length = std::min<int64_t>(length, llvm::bit_floor<uint64_t>(std::max<int64_t>(*known, 1)));
    vectorType = VectorType::get({length}, b.getF32Type());
    // The reduction tree can only separate as many sums as a vector has lanes.
    columns = std::min(tile.columns, length);
  }

  void emit(OpBuilder &b) { emitOuterLoops(b, plan.outerDims); }

private:
  //===--- loops ------------------------------------------------------------===//

  /// Operands may agree on a size of which only one of them knows the value.
  std::optional<int64_t> findStaticExtent(unsigned dim) {
    for (auto [map, type] : llvm::zip_equal(maps, op->getOperandTypes()))
      for (auto [result, size] :
           llvm::zip_equal(map.getResults(), cast<MemRefType>(type).getShape()))
        if (auto expr = dyn_cast<AffineDimExpr>(result))
          if (expr.getPosition() == dim && !ShapedType::isDynamic(size))
            return size;
    return std::nullopt;
  }

  void emitOuterLoops(OpBuilder &b, ArrayRef<unsigned> dims) {
    if (dims.empty())
      return emitRows(b);
    emitStrips(b, loc, ranges[dims.front()].size, {1}, {},
               [&](OpBuilder &b, Value start, int64_t, ValueRange) -> SmallVector<Value> {
                 ivs[dims.front()] = start;
                 emitOuterLoops(b, dims.drop_front());
                 return {};
               });
  }

  /// Rows are the outer loop of the two: a tile's rows then stay in L1 while the columns, which the
  /// caller has cut to a size that fits, pass by.
  void emitRows(OpBuilder &b) {
    if (!plan.rowDim)
      return emitColumns(b, 1);
    OpFoldResult size = ranges[*plan.rowDim].size;
    SmallVector<int64_t> widths = {tile.rows};
    if (std::optional<int64_t> known = getConstantIntValue(size); known && *known % tile.rows)
      widths.push_back(*known % tile.rows);
    else if (tile.rows > 1)
      widths.push_back(1);
    emitStrips(b, loc, size, widths, {},
               [&](OpBuilder &b, Value start, int64_t width, ValueRange) -> SmallVector<Value> {
                 ivs[*plan.rowDim] = start;
                 emitColumns(b, width);
                 return {};
               });
  }

  void emitColumns(OpBuilder &b, int64_t rows) {
    if (plan.form == ContractionPlan::Form::Outer)
      return emitVectorColumns(b, rows);
    if (!plan.columnDim)
      return emitDotTile(b, rows, 1);
    OpFoldResult size = ranges[*plan.columnDim].size;
    SmallVector<int64_t> widths = {rows == 1 ? std::min(2 * columns, length) : columns};
    // Halving widths cover a known rest in few tiles; for an unknown one they would multiply the
    // code.
    if (getConstantIntValue(size))
      while (widths.back() > 1)
        widths.push_back(widths.back() / 2);
    else if (widths.back() > 1)
      widths.push_back(1);
    emitStrips(b, loc, size, widths, {},
               [&](OpBuilder &b, Value start, int64_t width, ValueRange) -> SmallVector<Value> {
                 ivs[*plan.columnDim] = start;
                 emitDotTile(b, rows, width);
                 return {};
               });
  }

  void emitVectorColumns(OpBuilder &b, int64_t rows) {
    OpFoldResult size = ranges[plan.vectorDim].size;
    int64_t count = rows == 1 ? 2 * tile.columns : tile.columns;
    SmallVector<int64_t> widths;
    for (; count > 1; count = rows == 1 || getConstantIntValue(size) ? count / 2 : 1)
      widths.push_back(count * length);
    widths.push_back(length);
    auto [none, covered] =
        emitStrips(b, loc, size, widths, {},
                   [&](OpBuilder &b, Value start, int64_t width, ValueRange) -> SmallVector<Value> {
                     emitOuterTile(b, start, rows, width / length, /*mask=*/nullptr);
                     return {};
                   });
    emitRest(b, loc, covered, size, length, {},
             [&](OpBuilder &b, Value start, OpFoldResult left, ValueRange) -> SmallVector<Value> {
               emitOuterTile(b, start, rows, 1, createMask(b, left));
               return {};
             });
  }

  //===--- dot form ---------------------------------------------------------===//

  void emitDotTile(OpBuilder &b, int64_t rows, int64_t columns) {
    Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(vectorType));
    SmallVector<Value> sums(rows * columns, zero);
    auto step = [&](OpBuilder &b, Value start, Value mask, ValueRange sums) {
      ivs[plan.vectorDim] = start;
      SmallVector<Value> lefts = loadEach(b, plan.left, plan.rowDim, rows, mask);
      SmallVector<Value> rights = loadEach(b, plan.right, plan.columnDim, columns, mask);
      SmallVector<Value> next;
      for (int64_t i = 0; i < rows * columns; ++i)
        next.push_back(
            vector::FMAOp::create(b, loc, lefts[i / columns], rights[i % columns], sums[i]));
      return next;
    };
    OpFoldResult size = ranges[plan.vectorDim].size;
    OpFoldResult covered;
    std::tie(sums, covered) = emitStrips(b, loc, size, {length}, sums,
                                         [&](OpBuilder &b, Value start, int64_t, ValueRange sums) {
                                           return step(b, start, nullptr, sums);
                                         });
    sums = emitRest(b, loc, covered, size, length, sums,
                    [&](OpBuilder &b, Value start, OpFoldResult left, ValueRange sums) {
                      return step(b, start, createMask(b, left), sums);
                    });
    storeSums(b, sums, rows, columns);
  }

  /// One vector for each of `count` neighbours along `dim`, at the current indices.
  SmallVector<Value> loadEach(OpBuilder &b, unsigned operand, std::optional<unsigned> dim,
                              int64_t count, Value mask) {
    SmallVector<Value> vectors;
    for (int64_t i = 0; i < count; ++i)
      vectors.push_back(load(b, operand, indicesAt(b, operand, dim, i), mask));
    return vectors;
  }

  /// Reduces as many whole rows at once as give one sum to each lane, adds them to the output.
  void storeSums(OpBuilder &b, ArrayRef<Value> sums, int64_t rows, int64_t columns) {
    for (int64_t row = 0; row < rows;) {
      int64_t count = llvm::bit_floor<uint64_t>(std::min(rows - row, length / columns));
      Value reduced = reduceLanes(b, sums.slice(row * columns, count * columns));
      for (int64_t i = 0; i < count; ++i)
        addToOutput(b, row + i, columns, reduced, i * columns);
      row += count;
    }
  }

  /// Turns vectors of partial sums (their number a power of two, at most the number of lanes) into
  /// one vector of sums, in order. Each step adds the halves of every sum's lanes to each other, so
  /// the order of additions does not depend on how many sums are reduced together.
  Value reduceLanes(OpBuilder &b, ArrayRef<Value> vectors) {
    SmallVector<Value> level(vectors);
    int64_t lanesPerSum = length;
    for (; level.size() > 1; lanesPerSum /= 2) {
      // Lower halves of the first vector's sums next to upper halves of the second's: lanes keep
      // their places, which is a blend, not a shuffle. The rest is swapped. Pairing vectors that
      // are half the list apart leaves the sums in order.
      int64_t half = lanesPerSum / 2;
      SmallVector<int64_t> kept, swapped;
      for (int64_t lane = 0; lane < length; ++lane) {
        bool upper = lane % lanesPerSum >= half;
        kept.push_back(lane + (upper ? length : 0));
        swapped.push_back(upper ? lane - half + length : lane + half);
      }
      size_t pairs = level.size() / 2;
      for (size_t i = 0; i < pairs; ++i)
        level[i] = addShuffled(b, level[i], level[i + pairs], kept, swapped);
      level.truncate(pairs);
    }
    Value sums = level.front();
    for (; lanesPerSum > 1; lanesPerSum /= 2) {
      int64_t lanes = cast<VectorType>(sums.getType()).getDimSize(0), half = lanesPerSum / 2;
      SmallVector<int64_t> lower, upper;
      for (int64_t lane = 0; lane < lanes; ++lane)
        (lane % lanesPerSum < half ? lower : upper).push_back(lane);
      sums = addShuffled(b, sums, sums, lower, upper);
    }
    return sums;
  }

  Value addShuffled(OpBuilder &b, Value first, Value second, ArrayRef<int64_t> lanes,
                    ArrayRef<int64_t> otherLanes) {
    Value x = vector::ShuffleOp::create(b, loc, first, second, lanes);
    Value y = vector::ShuffleOp::create(b, loc, first, second, otherLanes);
    return arith::AddFOp::create(b, loc, x, y);
  }

  /// Adds `columns` lanes of `sums`, from lane `first`, to row `row` of the tile's output.
  void addToOutput(OpBuilder &b, int64_t row, int64_t columns, Value sums, int64_t first) {
    auto outType = cast<MemRefType>(op->getOperand(out).getType());
    bool contiguous = plan.columnDim && outType.isLastDimUnitStride() &&
                      maps[out].getResults().back() == b.getAffineDimExpr(*plan.columnDim);
    if (contiguous && columns > 1) {
      auto type = VectorType::get({columns}, b.getF32Type());
      SmallVector<Value> indices = indicesAt(b, out, plan.rowDim, row);
      Value slice = sums;
      if (sums.getType() != type)
        slice =
            vector::ExtractStridedSliceOp::create(b, loc, sums, ArrayRef<int64_t>(first),
                                                  ArrayRef<int64_t>(columns), ArrayRef<int64_t>(1));
      Value old = vector::LoadOp::create(b, loc, type, memref(out), indices);
      Value sum = arith::AddFOp::create(b, loc, old, slice);
      vector::StoreOp::create(b, loc, sum, memref(out), indices);
      return;
    }
    for (int64_t column = 0; column < columns; ++column) {
      SmallVector<Value> indices = indicesAt(b, out, plan.rowDim, row, plan.columnDim, column);
      Value value = vector::ExtractOp::create(b, loc, sums, first + column);
      Value old = memref::LoadOp::create(b, loc, memref(out), indices);
      Value sum = arith::AddFOp::create(b, loc, old, value);
      memref::StoreOp::create(b, loc, sum, memref(out), indices);
    }
  }

  //===--- outer form -------------------------------------------------------===//

  void emitOuterTile(OpBuilder &b, Value start, int64_t rows, int64_t count, Value mask) {
    // The tile's columns: `count` vectors side by side, or one masked.
    SmallVector<Value> starts;
    for (int64_t i = 0; i < count; ++i)
      starts.push_back(emitOffset(b, loc, start, i * length));
    auto outIndices = [&](int64_t i) {
      ivs[plan.vectorDim] = starts[i % count];
      return indicesAt(b, out, plan.rowDim, i / count);
    };
    SmallVector<Value> sums;
    for (int64_t i = 0; i < rows * count; ++i)
      sums.push_back(load(b, out, outIndices(i), mask));
    auto step = [&](OpBuilder &b, Value index, int64_t, ValueRange sums) {
      ivs[plan.reductionDim] = index;
      SmallVector<Value> rights, next;
      for (Value column : starts) {
        ivs[plan.vectorDim] = column;
        rights.push_back(load(b, plan.right, indicesAt(b, plan.right, {}, 0), mask));
      }
      for (int64_t row = 0; row < rows; ++row) {
        Value scalar = memref::LoadOp::create(b, loc, memref(plan.left),
                                              indicesAt(b, plan.left, plan.rowDim, row));
        Value left = vector::BroadcastOp::create(b, loc, vectorType, scalar);
        for (int64_t i = 0; i < count; ++i)
          next.push_back(vector::FMAOp::create(b, loc, left, rights[i], sums[row * count + i]));
      }
      return next;
    };
    sums = emitStrips(b, loc, ranges[plan.reductionDim].size, {1}, sums, step).first;
    for (int64_t i = 0; i < rows * count; ++i)
      store(b, sums[i], outIndices(i), mask);
  }

  //===--- memory -----------------------------------------------------------===//

  Value memref(unsigned operand) { return op->getOperand(operand); }

  /// Where `operand` is accessed at the current indices, with `dim` moved on by `delta` (and `dim2`
  /// by `delta2`).
  SmallVector<Value> indicesAt(OpBuilder &b, unsigned operand, std::optional<unsigned> dim,
                               int64_t delta, std::optional<unsigned> dim2 = {},
                               int64_t delta2 = 0) {
    SmallVector<Value> at = ivs;
    if (dim)
      at[*dim] = emitOffset(b, loc, at[*dim], delta);
    if (dim2)
      at[*dim2] = emitOffset(b, loc, at[*dim2], delta2);
    return emitIndices(b, loc, maps[operand], at);
  }

  Value createMask(OpBuilder &b, OpFoldResult left) {
    return vector::CreateMaskOp::create(b, loc, vectorType.cloneWith({}, b.getI1Type()), left);
  }

  Value load(OpBuilder &b, unsigned operand, ValueRange indices, Value mask) {
    if (!mask)
      return vector::LoadOp::create(b, loc, vectorType, memref(operand), indices);
    Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(vectorType));
    return vector::MaskedLoadOp::create(b, loc, vectorType, memref(operand), indices, mask, zero);
  }

  void store(OpBuilder &b, Value value, ValueRange indices, Value mask) {
    if (mask)
      vector::MaskedStoreOp::create(b, loc, memref(out), indices, mask, value);
    else
      vector::StoreOp::create(b, loc, value, memref(out), indices);
  }

  static constexpr unsigned out = 2;
  Location loc;
  linalg::LinalgOp op;
  const ContractionPlan &plan;
  const RegisterTile &tile;
  SmallVector<AffineMap> maps;
  SmallVector<Range> ranges;
  /// The current index of each dimension of the op; null outside of its loop.
  SmallVector<Value> ivs;
  int64_t length, columns;
  VectorType vectorType;
};

struct VectorizeContraction : OpInterfaceRewritePattern<linalg::LinalgOp> {
  VectorizeContraction(MLIRContext *context, const RegisterTile &tile)
      : OpInterfaceRewritePattern(context), tile(tile) {}

  LogicalResult matchAndRewrite(linalg::LinalgOp op, PatternRewriter &rewriter) const override {
    std::string reason;
    FailureOr<ContractionPlan> plan = planContraction(op, reason);
    if (failed(plan))
      return rewriter.notifyMatchFailure(op, reason);
    RegisterTileEmitter(rewriter, op, *plan, tile).emit(rewriter);
    rewriter.eraseOp(op);
    return success();
  }

  RegisterTile tile;
};

struct VectorizeContractionsPass : impl::VectorizeContractionsBase<VectorizeContractionsPass> {
  using VectorizeContractionsBase::VectorizeContractionsBase;

  void runOnOperation() override {
    auto isPowerOfTwo = [](int64_t value) { return value > 0 && llvm::isPowerOf2_64(value); };
    if (!isPowerOfTwo(vectorLength) || !isPowerOfTwo(columns) || rows < 1) {
      getOperation().emitError("vector-length and columns must be powers of two, rows at least 1");
      return signalPassFailure();
    }
    RewritePatternSet patterns(&getContext());
    populateVectorizeContractionsPatterns(patterns, {vectorLength, rows, columns});
    walkAndApplyPatterns(getOperation(), std::move(patterns));
    getOperation().walk([&](linalg::LinalgOp op) {
      std::string reason;
      if (failed(planContraction(op, reason)) && !reason.empty())
        Reporter{getArgumentName(), "contraction"}.missed(op, "contraction left for scalar loops",
                                                          reason);
    });
  }
};

} // namespace

void populateVectorizeContractionsPatterns(RewritePatternSet &patterns, const RegisterTile &tile) {
  patterns.add<VectorizeContraction>(patterns.getContext(), tile);
}

} // namespace lowbit
