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

#include "AttentionTiles.h"
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

/// Writes the loops of one attention.
class Emitter {
public:
  Emitter(IRRewriter &b, const Attention &match, int64_t rows, int64_t columns, int64_t parts)
      : b(b), tiles(b, match), match(match), loc(this->match.mixed.getLoc()), rows(rows),
        columns(columns), parts(parts) {}

  void emit() {
    b.setInsertionPoint(match.result);
    extents = tensor::getMixedSizes(b, loc, match.mass->getResult(0));
    ofMass = match.mixed.getMatchingIndexingMap(match.massOperand);
    ofMixed = match.mixed.getMatchingIndexingMap(match.mixed.getDpsInitOperand(0));
    ofRow = match.highest.getMatchingIndexingMap(match.highest.getDpsInitOperand(0));
    chooseTiles();
    if (hasFewTiles())
      emitInParts();
    else
      emitTiles();
  }

private:
  /// What is carried over positions: sums of values, highest scores, totals of masses.
  using Carried = SmallVector<Value>;

  //===--- tiles ------------------------------------------------------------===//

  /// Tiles of the axes of the scores: single batches, some rows; 0 for all of an axis.
  void chooseTiles() {
    sizes.assign(extents.size(), 0);
    AffineMap values = match.mixed.getMatchingIndexingMap(match.valuesOperand);
    int64_t left = rows;
    for (int64_t dim = extents.size() - 1; dim >= 0; --dim) {
      if (unsigned(dim) == match.time)
        continue;
      std::optional<int64_t> extent = getConstantIntValue(extents[dim]);
      unsigned loop = cast<AffineDimExpr>(ofMass.getResult(dim)).getPosition();
      int64_t most = values.isFunctionOfDim(loop) ? 1 : left;
      if (extent && *extent <= most) {
        left /= std::max<int64_t>(*extent, 1);
        continue;
      }
      sizes[dim] = most;
      if (most > 1)
        left = 1;
    }
  }

  /// Whether there are too few tiles to keep the threads busy: those of a single token.
  bool hasFewTiles() {
    constexpr int64_t enough = 64;
    int64_t count = 1;
    for (auto [dim, size] : llvm::enumerate(sizes)) {
      std::optional<int64_t> extent = getConstantIntValue(extents[dim]);
      if (dim != match.time && size != 0)
        count = extent && count < enough ? count * llvm::divideCeil(*extent, size) : enough;
    }
    return parts > 1 && count < enough;
  }

  /// A parallel loop over tiles, and over `first` before them if that is not 0. `body` writes an
  /// iteration and what it yields.
  scf::ForallOp emitLoop(int64_t first, ValueRange outs,
                         function_ref<void(const Tile &, scf::ForallOp)> body) {
    SmallVector<OpFoldResult> lower, upper, steps;
    auto addLoop = [&](OpFoldResult end, int64_t step) {
      lower.push_back(b.getIndexAttr(0));
      upper.push_back(end);
      steps.push_back(b.getIndexAttr(step));
    };
    if (first)
      addLoop(b.getIndexAttr(first), 1);
    SmallVector<unsigned> looped;
    for (auto [dim, size] : llvm::enumerate(sizes))
      if (dim != match.time && size != 0) {
        looped.push_back(dim);
        addLoop(extents[dim], size);
      }
    if (lower.empty())
      addLoop(b.getIndexAttr(1), 1);
    auto loop = scf::ForallOp::create(b, loc, lower, upper, steps, outs, std::nullopt);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Tile tile{SmallVector<OpFoldResult>(extents.size(), b.getIndexAttr(0)), extents};
    SmallVector<Value> ivs(loop.getInductionVars());
    for (auto [dim, iv] : llvm::zip(looped, ArrayRef(ivs).drop_front(first ? 1 : 0))) {
      tile.offsets[dim] = iv;
      tile.sizes[dim] = tiles.tileSize(iv, extents[dim], sizes[dim]);
    }
    body(tile, loop);
    return loop;
  }

  void yieldTile(scf::ForallOp loop, Value tile, Value whole, const Tile &place) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(loop.getTerminator().getBody());
    tensor::ParallelInsertSliceOp::create(
        b, loc, tile, whole, place.offsets, place.sizes,
        SmallVector<OpFoldResult>(place.sizes.size(), b.getIndexAttr(1)));
  }

  /// The loops of the product for a tile of the scores.
  Tile productOf(const Tile &scores) {
    Tile product = tiles.wholeOf(match.mixed);
    product.set(ofMass, scores);
    return product;
  }

  //===--- each tile sees all positions -------------------------------------===//

  void emitTiles() {
    Value init = match.result.getDpsInits().front();
    auto loop = emitLoop(0, init, [&](const Tile &tile, scf::ForallOp loop) {
      Tile sums = productOf(tile).through(ofMixed), row = tile.through(ofRow);
      Value zero = arith::ConstantIndexOp::create(b, loc, 0);
      Value end = value(tiles.visibleEnd(tile, extents[match.time]));
      Value ofSums = tiles.empty(sums), ofHighest = tiles.empty(row), ofTotal = tiles.empty(row);
      Carried carried = emitPositions(tile, zero, end, ofSums, ofHighest, ofTotal);
      // The op that divides, on this tile.
      Tile loops = tiles.wholeOf(match.result);
      loops.set(match.result.getMatchingIndexingMap(match.resultOperand), sums);
      OpOperand *dest = match.result.getDpsInitOperand(0);
      Tile place = loops.through(match.result.getMatchingIndexingMap(dest));
      Value whole = loop.getRegionIterArgs().front();
      AttentionTiles::Given given{{dest, tiles.slice(whole, place)}};
      for (OpOperand *input : match.result.getDpsInputOperands()) {
        if (input->get() == match.mixed->getResult(0))
          given[input] = carried[0];
        if (input->get() == match.total->getResult(0))
          given[input] = carried[2];
      }
      yieldTile(loop, tiles.tileOf(match.result, loops, given), whole, place);
    });
    b.replaceOp(match.result, loop.getResults());
  }

  //===--- each tile sees a part of the positions ---------------------------===//

  /// Positions are shared out in `parts` parts of whole blocks, which are joined afterwards as
  /// blocks are.
  void emitInParts() {
    Tile product = tiles.wholeOf(match.mixed).through(ofMixed);
    Tile row =
        Tile{SmallVector<OpFoldResult>(extents.size(), b.getIndexAttr(0)), extents}.through(ofRow);
    auto ofParts = [&](const Tile &tile, OpFoldResult part, OpFoldResult size) {
      Tile whole = tile;
      whole.offsets.insert(whole.offsets.begin(), part);
      whole.sizes.insert(whole.sizes.begin(), size);
      return whole;
    };
    OpFoldResult none = b.getIndexAttr(0), one = b.getIndexAttr(1), all = b.getIndexAttr(parts);
    Value outs[] = {tiles.empty(ofParts(product, none, all)), tiles.empty(ofParts(row, none, all)),
                    tiles.empty(ofParts(row, none, all))};
    auto loop = emitLoop(parts, outs, [&](const Tile &tile, scf::ForallOp loop) {
      Value part = loop.getInductionVars().front();
      OpFoldResult end = tiles.visibleEnd(tile, extents[match.time]);
      AffineExpr e = b.getAffineSymbolExpr(0), p = b.getAffineSymbolExpr(1);
      AffineExpr length = e.ceilDiv(columns * parts) * columns;
      AffineMap limits = AffineMap::get(0, 2, {length * (p + 1), e}, b.getContext());
      Value start = value(affine::makeComposedFoldedAffineApply(b, loc, length * p, {end, part}));
      Value stop =
          value(affine::makeComposedFoldedAffineMin(b, loc, limits, {end, OpFoldResult(part)}));
      Tile sums = ofParts(productOf(tile).through(ofMixed), part, one),
           rows = ofParts(tile.through(ofRow), part, one);
      const Tile places[] = {sums, rows, rows};
      Carried dests;
      for (auto [whole, place] : llvm::zip(loop.getRegionIterArgs(), places))
        dests.push_back(tiles.slice(whole, place, /*dropped=*/ArrayRef<int64_t>{0}));
      Carried carried = emitPositions(tile, start, stop, dests[0], dests[1], dests[2]);
      for (auto [tile, whole, place] : llvm::zip(carried, loop.getRegionIterArgs(), places))
        yieldTile(loop, tile, whole, place);
    });
    joinParts(loop.getResults(), product, row);
  }

  void joinParts(ValueRange ofParts, const Tile &product, const Tile &row) {
    unsigned rank = row.sizes.size() + 1;
    AffineMap all = b.getMultiDimIdentityMap(rank), rowOnly = all.dropResult(0);
    Value lowest = tiles.fill(-std::numeric_limits<float>::max(), tiles.empty(row));
    Value highest =
        reduce(ofParts[1], {all, rowOnly}, lowest, [](OpBuilder &b, Location loc, ValueRange e) {
          linalg::YieldOp::create(b, loc,
                                  arith::MaximumFOp::create(b, loc, e[1], e[0]).getResult());
        });
    Value factors =
        update(highest, {rowOnly, all}, ofParts[1], [](OpBuilder &b, Location loc, ValueRange e) {
          Value below = arith::SubFOp::create(b, loc, e[1], e[0]);
          linalg::YieldOp::create(b, loc, math::ExpOp::create(b, loc, below).getResult());
        })[0];
    auto addScaled = [](OpBuilder &b, Location loc, ValueRange e) {
      Value scaled = arith::MulFOp::create(b, loc, e[0], e[1]);
      linalg::YieldOp::create(b, loc, arith::AddFOp::create(b, loc, e[2], scaled).getResult());
    };
    Value total = reduce({ofParts[2], factors}, {all, all, rowOnly},
                         tiles.fill(0, tiles.empty(row)), addScaled);
    // The rows of the product, behind the axis of the parts.
    unsigned axes = product.sizes.size() + 1;
    AffineMap rowsOfParts = match.rowsOfMixed().shiftDims(1).insertResult(b.getAffineDimExpr(0), 0);
    AffineMap id = b.getMultiDimIdentityMap(axes);
    Value sums = reduce({ofParts[0], factors}, {id, rowsOfParts, id.dropResult(0)},
                        tiles.fill(0, tiles.empty(product)), addScaled);
    match.result->replaceUsesOfWith(match.mixed->getResult(0), sums);
    match.result->replaceUsesOfWith(match.total->getResult(0), total);
  }

  //===--- the loop over positions ------------------------------------------===//

  Value value(OpFoldResult index) { return getValueOrCreateConstantIndexOp(b, loc, index); }

  using Body = function_ref<void(OpBuilder &, Location, ValueRange)>;

  /// An elementwise op on `outs`, all of one shape, in place.
  SmallVector<Value> update(ValueRange ins, ArrayRef<AffineMap> maps, ValueRange outs, Body body,
                            utils::IteratorType first = utils::IteratorType::parallel) {
    SmallVector<utils::IteratorType> kinds(maps.front().getNumDims(),
                                           utils::IteratorType::parallel);
    kinds[0] = first;
    return llvm::to_vector_of<Value>(
        linalg::GenericOp::create(b, loc, outs.getTypes(), ins, outs, maps, kinds, body)
            .getResults());
  }

  /// The same, where the first loop is a reduction.
  Value reduce(ValueRange ins, ArrayRef<AffineMap> maps, Value out, Body body) {
    return update(ins, maps, out, body, utils::IteratorType::reduction)[0];
  }

  /// What a tile has seen at the positions from `start` to `end`, in the storage that is given.
  Carried emitPositions(const Tile &tile, Value start, Value end, Value sums, Value highest,
                        Value total) {
    Value inits[] = {tiles.fill(0, sums), tiles.fill(-std::numeric_limits<float>::max(), highest),
                     tiles.fill(0, total)};
    Value step = arith::ConstantIndexOp::create(b, loc, columns);
    auto loop = scf::ForOp::create(b, loc, start, end, step, inits);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Tile now = tile;
    now.offsets[match.time] = loop.getInductionVar();
    now.sizes[match.time] = tiles.tileSize(loop.getInductionVar(), end, columns);
    scf::YieldOp::create(b, loc, emitBlock(now, loop.getRegionIterArgs()));
    return llvm::to_vector_of<Value>(loop.getResults());
  }

  /// One block of positions: the carried sums, highest scores and totals after it.
  Carried emitBlock(const Tile &now, ValueRange carried) {
    Tile row = now.through(ofRow);
    Value scores = tiles.scoresOf(match.scores, now);
    Value lowest = tiles.fill(-std::numeric_limits<float>::max(), tiles.empty(row));
    Value highest = tiles.tileOf(match.highest, now,
                                 {{match.highest.getDpsInputOperand(0), scores},
                                  {match.highest.getDpsInitOperand(0), lowest}});
    AffineMap id = b.getMultiDimIdentityMap(row.sizes.size());
    // The new highest scores, the totals relative to them, and the factors of both.
    SmallVector<Value> scaled =
        update(highest, {id, id, id, id}, {carried[1], carried[2], tiles.empty(row)},
               [](OpBuilder &b, Location loc, ValueRange e) {
                 Value now = arith::MaximumFOp::create(b, loc, e[1], e[0]);
                 Value below = arith::SubFOp::create(b, loc, e[1], now);
                 Value factor = math::ExpOp::create(b, loc, below);
                 Value total = arith::MulFOp::create(b, loc, e[2], factor);
                 linalg::YieldOp::create(b, loc, ValueRange{now, total, factor});
               });
    Value mass = tiles.tileOf(
        match.mass, now,
        {{match.massScores, scores},
         {match.massHighest, scaled[0]},
         {match.mass.getDpsInitOperand(0), match.fused.empty() ? tiles.empty(now) : scores}});
    Value total = tiles.tileOf(
        match.total, now,
        {{match.total.getDpsInputOperand(0), mass}, {match.total.getDpsInitOperand(0), scaled[1]}});
    Value sums =
        update(scaled[2],
               {match.rowsOfMixed(), b.getMultiDimIdentityMap(match.rowsOfMixed().getNumDims())},
               carried[0], [](OpBuilder &b, Location loc, ValueRange e) {
                 Value scaled = arith::MulFOp::create(b, loc, e[1], e[0]);
                 linalg::YieldOp::create(b, loc, scaled);
               })[0];
    sums = tiles.tileOf(match.mixed, productOf(now),
                        {{match.massOperand, mass}, {match.mixed.getDpsInitOperand(0), sums}});
    return {sums, scaled[0], total};
  }

  IRRewriter &b;
  AttentionTiles tiles;
  Attention match;
  Location loc;
  int64_t rows, columns, parts;
  SmallVector<OpFoldResult> extents; // of the scores
  SmallVector<int64_t> sizes;        // of tiles of these
  AffineMap ofMass, ofMixed;         // of the product
  AffineMap ofRow;                   // of the maximum
};

struct FuseAttentionPass : lowbit::impl::FuseAttentionBase<FuseAttentionPass> {
  using FuseAttentionBase::FuseAttentionBase;

  Reporter report{getArgumentName(), "attention"};

  void runOnOperation() override {
    if (rows < 1 || columns < 1 || parts < 1) {
      getOperation().emitError("rows, columns and parts are at least 1");
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
        // The match may have put another product into the place of `op`.
        report.passed(match->mixed, [&] {
          return Facts{
              Fact("Rows", rows), Fact("Positions", columns),
              Fact("Mask", match->findVisible() ? "later positions are left out" : "none")};
        });
        Emitter(rewriter, *match, rows, columns, parts).emit();
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
