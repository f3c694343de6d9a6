//===- FuseAttention.cpp - Softmax and its products in one pass -----------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The online softmax (Milakov, Gimelshein, "Online normalizer calculation for softmax", 2018,
// Algorithm 3), with the product by the values carried along as in FlashAttention (Dao et al. 2022,
// Algorithm 1): the sums of a row are relative to the highest score so far, and are scaled when a
// higher one comes.
//
//===----------------------------------------------------------------------===//

#include "AttentionMatch.h"
#include "Reports.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include <limits>

namespace lowbit {
#define GEN_PASS_DEF_FUSEATTENTION
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {

/// Offsets and sizes of a tile, by the loops of an op or the axes of a tensor.
struct Tile {
  SmallVector<OpFoldResult> offsets, sizes;

  /// The part that `map` shows of a tile of loops.
  Tile through(AffineMap map) const {
    Tile part;
    for (AffineExpr result : map.getResults()) {
      unsigned loop = cast<AffineDimExpr>(result).getPosition();
      part.offsets.push_back(offsets[loop]);
      part.sizes.push_back(sizes[loop]);
    }
    return part;
  }
};

/// Writes the loops of one attention.
class Emitter {
public:
  Emitter(IRRewriter &b, Attention match, int64_t rows, int64_t columns)
      : b(b), loc(match.mixed.getLoc()), match(std::move(match)), rows(rows), columns(columns) {}

  void emit() {
    b.setInsertionPoint(match.result);
    Value mass = match.mass->getResult(0);
    extents = tensor::getMixedSizes(b, loc, mass);
    SmallVector<int64_t> sizes = chooseRows();
    SmallVector<OpFoldResult> lower, upper, steps;
    SmallVector<unsigned> looped;
    for (auto [dim, size] : llvm::enumerate(sizes))
      if (dim != match.time && size != 0) {
        looped.push_back(dim);
        lower.push_back(b.getIndexAttr(0));
        upper.push_back(extents[dim]);
        steps.push_back(b.getIndexAttr(size));
      }
    Value init = match.result.getDpsInits().front();
    if (looped.empty()) { // one tile: a loop of one iteration
      lower.push_back(b.getIndexAttr(0));
      upper.push_back(b.getIndexAttr(1));
      steps.push_back(b.getIndexAttr(1));
    }
    auto loop = scf::ForallOp::create(b, loc, lower, upper, steps, ValueRange{init}, std::nullopt);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Tile tile{SmallVector<OpFoldResult>(extents.size(), b.getIndexAttr(0)), extents};
    for (auto [dim, iv] : llvm::zip(looped, loop.getInductionVars())) {
      tile.offsets[dim] = iv;
      tile.sizes[dim] = tileSize(iv, extents[dim], sizes[dim]);
    }
    emitRows(tile, loop.getRegionIterArgs().front(), loop.getTerminator());
    b.setInsertionPointAfter(loop);
    b.replaceOp(match.result, loop.getResults());
  }

private:
  //===--- sizes ------------------------------------------------------------===//

  /// Tiles of the axes of the scores: single batches, some rows; 0 for all of an axis.
  SmallVector<int64_t> chooseRows() {
    SmallVector<int64_t> sizes(extents.size(), 0);
    AffineMap values = match.mixed.getMatchingIndexingMap(match.valuesOperand);
    AffineMap weights = match.mixed.getMatchingIndexingMap(match.massOperand);
    int64_t left = rows;
    for (int64_t dim = extents.size() - 1; dim >= 0; --dim) {
      if (unsigned(dim) == match.time)
        continue;
      std::optional<int64_t> extent = getConstantIntValue(extents[dim]);
      unsigned loop = cast<AffineDimExpr>(weights.getResult(dim)).getPosition();
      int64_t most = values.isFunctionOfDim(loop) ? 1 : left;
      if (extent && *extent <= most) {
        left /= std::max<int64_t>(*extent, 1);
        continue;
      }
      sizes[dim] = most;
      if (most > 1)
        left = 1;
    }
    return sizes;
  }

  /// min(size, extent - start)
  OpFoldResult tileSize(Value start, OpFoldResult extent, int64_t size) {
    std::optional<int64_t> known = getConstantIntValue(extent);
    if (size == 1 || (known && *known % size == 0))
      return b.getIndexAttr(size);
    AffineExpr at = b.getAffineDimExpr(0), end = b.getAffineSymbolExpr(0);
    AffineMap map = AffineMap::get(1, 1, {b.getAffineConstantExpr(size), end - at}, b.getContext());
    return affine::makeComposedFoldedAffineMin(b, loc, map, {OpFoldResult(start), extent});
  }

  //===--- tiles of ops -----------------------------------------------------===//

  Value slice(Value tensor, const Tile &tile) {
    SmallVector<OpFoldResult> strides(tile.offsets.size(), b.getIndexAttr(1));
    return tensor::ExtractSliceOp::create(b, loc, tensor, tile.offsets, tile.sizes, strides);
  }

  Value empty(const Tile &tile) {
    return tensor::EmptyOp::create(b, loc, tile.sizes, b.getF32Type());
  }

  Value fill(double value, Value dest) {
    Value constant = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value));
    return linalg::FillOp::create(b, loc, constant, dest).getResult(0);
  }

  /// `op` on a tile of its loops; an operand is taken from `given`, or is a slice.
  Value tileOf(linalg::LinalgOp op, const Tile &loops,
               llvm::SmallDenseMap<OpOperand *, Value> given) {
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

  /// A tile of the scores: what computes them is computed for the tile alone.
  Value scoresOf(Value scores, const Tile &tile) {
    auto op = scores.getDefiningOp<linalg::LinalgOp>();
    if (!op || !match.fused.contains(op))
      return slice(scores, tile);
    Tile loops{SmallVector<OpFoldResult>(op.getNumLoops()),
               SmallVector<OpFoldResult>(op.getNumLoops())};
    AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
    SmallVector<Range> ranges = cast<TilingInterface>(*op).getIterationDomain(b);
    for (auto [loop, range] : llvm::enumerate(ranges)) {
      loops.offsets[loop] = range.offset;
      loops.sizes[loop] = range.size;
    }
    for (auto [axis, result] : llvm::enumerate(out.getResults())) {
      unsigned loop = cast<AffineDimExpr>(result).getPosition();
      loops.offsets[loop] = tile.offsets[axis];
      loops.sizes[loop] = tile.sizes[axis];
    }
    llvm::SmallDenseMap<OpOperand *, Value> given;
    if (op.getNumParallelLoops() == op.getNumLoops()) {
      for (OpOperand *input : op.getDpsInputOperands())
        given[input] = scoresOf(input->get(), loops.through(op.getMatchingIndexingMap(input)));
      given[op.getDpsInitOperand(0)] = empty(tile);
    } else {
      given[op.getDpsInitOperand(0)] = fill(0, empty(tile));
    }
    return tileOf(op, loops, given);
  }

  //===--- the loop over time -----------------------------------------------===//

  /// An elementwise op on `outs`, all of one shape, in place.
  SmallVector<Value> update(ValueRange ins, ArrayRef<AffineMap> maps, ValueRange outs,
                            function_ref<void(OpBuilder &, Location, ValueRange)> body) {
    SmallVector<utils::IteratorType> kinds(maps.front().getNumDims(),
                                           utils::IteratorType::parallel);
    return llvm::to_vector_of<Value>(
        linalg::GenericOp::create(b, loc, outs.getTypes(), ins, outs, maps, kinds, body)
            .getResults());
  }

  void emitRows(const Tile &tile, Value result, scf::InParallelOp yield) {
    b.setInsertionPoint(yield);
    linalg::LinalgOp mixed = match.mixed;
    // Loops of the product: those of the scores, and the columns of the values.
    AffineMap ofMass = mixed.getMatchingIndexingMap(match.massOperand),
              ofMixed = mixed.getMatchingIndexingMap(mixed.getDpsInitOperand(0));
    Tile product;
    for (Range range : cast<TilingInterface>(*mixed).getIterationDomain(b)) {
      product.offsets.push_back(range.offset);
      product.sizes.push_back(range.size);
    }
    auto setProduct = [&](const Tile &scores) {
      for (auto [axis, expr] : llvm::enumerate(ofMass.getResults())) {
        unsigned loop = cast<AffineDimExpr>(expr).getPosition();
        product.offsets[loop] = scores.offsets[axis];
        product.sizes[loop] = scores.sizes[axis];
      }
    };
    setProduct(tile);
    Tile row =
        tile.through(match.highest.getMatchingIndexingMap(match.highest.getDpsInitOperand(0)));

    // The result's tile holds the sums meanwhile where it has their shape.
    Tile out = resultTile(product.through(ofMixed));
    Value sums = fill(0, empty(product.through(ofMixed)));
    Value highest = fill(-std::numeric_limits<float>::max(), empty(row));
    Value total = fill(0, empty(row));

    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    Value step = arith::ConstantIndexOp::create(b, loc, columns);
    OpFoldResult end = visibleEnd(tile);
    auto loop = scf::ForOp::create(b, loc, zero, getValueOrCreateConstantIndexOp(b, loc, end), step,
                                   ValueRange{sums, highest, total});
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      Tile now = tile;
      now.offsets[match.time] = loop.getInductionVar();
      now.sizes[match.time] = tileSize(loop.getInductionVar(), end, columns);
      setProduct(now);
      SmallVector<Value> next = emitBlock(now, row, product, loop.getRegionIterArgs());
      scf::YieldOp::create(b, loc, next);
    }
    // The op that divides, on this tile.
    llvm::SmallDenseMap<OpOperand *, Value> given;
    Tile loops = resultLoops(product.through(ofMixed));
    for (OpOperand &operand : match.result->getOpOperands()) {
      if (operand.get() == mixed->getResult(0))
        given[&operand] = loop.getResult(0);
      if (operand.get() == match.total->getResult(0))
        given[&operand] = loop.getResult(2);
    }
    given[match.result.getDpsInitOperand(0)] = slice(result, out);
    Value done = tileOf(match.result, loops, given);
    b.setInsertionPointToEnd(yield.getBody());
    tensor::ParallelInsertSliceOp::create(
        b, loc, done, result, out.offsets, out.sizes,
        SmallVector<OpFoldResult>(out.sizes.size(), b.getIndexAttr(1)));
  }

  /// One block of positions: the carried sums, highest scores and totals after it.
  SmallVector<Value> emitBlock(const Tile &now, const Tile &row, const Tile &product,
                               ValueRange carried) {
    Value scores = scoresOf(match.scores, now);
    Value lowest = fill(-std::numeric_limits<float>::max(), empty(row));
    Value highest = tileOf(match.highest, now,
                           {{match.highest.getDpsInputOperand(0), scores},
                            {match.highest.getDpsInitOperand(0), lowest}});
    AffineMap id = b.getMultiDimIdentityMap(row.sizes.size());
    // The new highest scores, the totals relative to them, and the factors of both.
    SmallVector<Value> scaled =
        update(highest, {id, id, id, id}, {carried[1], carried[2], empty(row)},
               [](OpBuilder &b, Location loc, ValueRange e) {
                 Value now = arith::MaximumFOp::create(b, loc, e[1], e[0]);
                 Value below = arith::SubFOp::create(b, loc, e[1], now);
                 Value factor = math::ExpOp::create(b, loc, below);
                 Value total = arith::MulFOp::create(b, loc, e[2], factor);
                 linalg::YieldOp::create(b, loc, ValueRange{now, total, factor});
               });
    Value mass =
        tileOf(match.mass, now,
               {{match.massScores, scores},
                {match.massHighest, scaled[0]},
                {match.mass.getDpsInitOperand(0), match.fused.empty() ? empty(now) : scores}});
    Value total = tileOf(
        match.total, now,
        {{match.total.getDpsInputOperand(0), mass}, {match.total.getDpsInitOperand(0), scaled[1]}});
    Value sums =
        update(scaled[2],
               {match.rowsOfMixed(), b.getMultiDimIdentityMap(match.rowsOfMixed().getNumDims())},
               carried[0], [](OpBuilder &b, Location loc, ValueRange e) {
                 Value scaled = arith::MulFOp::create(b, loc, e[1], e[0]);
                 linalg::YieldOp::create(b, loc, scaled);
               })[0];
    sums = tileOf(match.mixed, product,
                  {{match.massOperand, mass}, {match.mixed.getDpsInitOperand(0), sums}});
    return {sums, scaled[0], total};
  }

  //===--- the op that divides ----------------------------------------------===//

  /// Loops of the result's op for a tile of the product.
  Tile resultLoops(const Tile &mixed) {
    AffineMap map = match.result.getMatchingIndexingMap(match.resultOperand);
    Tile loops = mixed;
    for (auto [axis, expr] : llvm::enumerate(map.getResults())) {
      unsigned loop = cast<AffineDimExpr>(expr).getPosition();
      loops.offsets[loop] = mixed.offsets[axis];
      loops.sizes[loop] = mixed.sizes[axis];
    }
    return loops;
  }

  Tile resultTile(const Tile &mixed) {
    return resultLoops(mixed).through(
        match.result.getMatchingIndexingMap(match.result.getDpsInitOperand(0)));
  }

  //===--- what is visible --------------------------------------------------===//

  /// The largest value of an index in the tile; none where it is not known to grow with the
  /// indices.
  std::optional<OpFoldResult> largest(Value value, const Tile &tile) {
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

  /// Where the positions end that a tile of rows sees: later ones have no mass.
  OpFoldResult visibleEnd(const Tile &tile) {
    OpFoldResult all = extents[match.time];
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

  IRRewriter &b;
  Location loc;
  Attention match;
  int64_t rows, columns;
  SmallVector<OpFoldResult> extents; // of the scores
};

struct FuseAttentionPass : lowbit::impl::FuseAttentionBase<FuseAttentionPass> {
  using FuseAttentionBase::FuseAttentionBase;

  Reporter report{getArgumentName(), "attention"};

  void runOnOperation() override {
    if (rows < 1 || columns < 1) {
      getOperation().emitError("rows and columns are at least 1");
      return signalPassFailure();
    }
    IRRewriter rewriter(&getContext());
    SmallVector<linalg::LinalgOp> products;
    getOperation().walk([&](linalg::LinalgOp op) {
      if (linalg::isaContractionOpInterface(op))
        products.push_back(op);
    });
    bool isFused = false;
    for (linalg::LinalgOp op : products) {
      std::string reason;
      FailureOr<Attention> match = matchAttention(rewriter, op, reason);
      if (succeeded(match)) {
        report.passed(op, [&] {
          return Facts{Fact("Rows", rows), Fact("Positions", columns),
                       Fact("Mask", match->findVisible() ? "later positions are left out" : "none")};
        });
        Emitter(rewriter, *match, rows, columns).emit();
        isFused = true;
      } else if (!reason.empty()) {
        report.missed(op, "a softmax whose scores are in memory as a whole", reason);
      }
    }
    if (!isFused)
      return;
    // What the loops replace is dead once nothing asks it for a shape.
    RewritePatternSet shapes(&getContext());
    memref::populateResolveRankedShapedTypeResultDimsPatterns(shapes);
    if (failed(applyPatternsGreedily(getOperation(), std::move(shapes))))
      signalPassFailure();
  }
};
} // namespace
