//===- Tile.cpp - Parallel loops with decodes inside ----------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Reports.h"
#include "Tiling.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "lowbit/Transforms/Lower/Patterns.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace lowbit {
#define GEN_PASS_DEF_TILE
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;
using Sizes = SmallVector<int64_t>;

//===----------------------------------------------------------------------===//
// Tile sizes
//===----------------------------------------------------------------------===//

void lowbit::legalizeTileSizes(MutableArrayRef<int64_t> sizes, AffineMap map, RankedTensorType type,
                               TileUse use) {
  for (auto [axis, multiple] : llvm::enumerate(getEncoding(type).getTileMultiples(type, use)))
    if (auto loop = dyn_cast<AffineDimExpr>(map.getResult(axis))) {
      int64_t &size = sizes[loop.getPosition()];
      size = multiple == kWhole ? 0 : llvm::divideCeil(size, multiple) * multiple;
    }
}

void lowbit::legalizeTileSizes(MutableArrayRef<int64_t> sizes, TilingInterface op) {
  MLIRContext *context = op.getContext();
  AffineMap identity = AffineMap::getMultiDimIdentityMap(sizes.size(), context);
  if (auto encode = dyn_cast<EncodeRegionOp>(*op))
    legalizeTileSizes(sizes, identity, encode.getWholeType(), encodeUseOf(encode));
  if (auto decode = dyn_cast<DecodeRegionOp>(*op))
    legalizeTileSizes(sizes, identity, decode.getWholeType(), TileUse::Decode);
  auto structured = dyn_cast<linalg::LinalgOp>(*op);
  if (!structured)
    return;
  for (OpOperand &operand : structured->getOpOperands())
    if (auto decode = operand.get().getDefiningOp<DecodeRegionOp>())
      legalizeTileSizes(sizes, structured.getMatchingIndexingMap(&operand), decode.getWholeType(),
                        TileUse::Decode);
  for (OpResult result : op->getResults())
    for (Operation *user : result.getUsers())
      if (auto encode = dyn_cast<EncodeRegionOp>(user); encode && encode.getSource() == result)
        legalizeTileSizes(sizes, structured.getIndexingMapMatchingResult(result),
                          encode.getWholeType(), encodeUseOf(encode));
}

/// Static extents of the loops of an op; kDynamic where unknown.
static Sizes loopRanges(TilingInterface op) {
  if (auto structured = dyn_cast<linalg::LinalgOp>(*op))
    return structured.getStaticLoopRanges();
  if (auto decode = dyn_cast<DecodeRegionOp>(*op))
    return Sizes(decode.getStaticSizes());
  return Sizes(cast<EncodeRegionOp>(*op).getStaticSizes());
}

/// Whether tiles of `op` have buffers: of decoded operands, or of values that are encoded.
static bool hasTileBuffers(TilingInterface op) {
  auto structured = dyn_cast<linalg::LinalgOp>(*op);
  return !structured || llvm::any_of(op->getOperands(), [](Value v) {
    return v.getDefiningOp<DecodeRegionOp>() != nullptr;
  }) || llvm::any_of(op->getUsers(), llvm::IsaPred<EncodeRegionOp>);
}

Sizes lowbit::parallelTileSizes(TilingInterface op, const UpdateTiles &limits) {
  Sizes ranges = loopRanges(op), sizes(ranges.size(), 0), least(ranges.size(), 1);
  if (llvm::is_contained(ranges, 0)) // no slice lies inside of nothing
    return sizes;
  int64_t elements = 1;
  for (int64_t n : ranges)
    elements = ShapedType::isDynamic(n) || elements < 0 ? -1 : elements * n;
  if (elements >= 0 && elements < limits.parallelElements)
    return sizes;
  // Outer parallel loops until there are enough iterations for any number of threads that pays, and
  // for tiles whose buffers stay in a cache. The last loop runs along memory: pieces of it are
  // long, or all of it.
  int64_t enough = 64, iterations = 1;
  constexpr int64_t shortest = 256;
  if (elements >= 0 && hasTileBuffers(op))
    enough = std::max<int64_t>(enough, llvm::divideCeil(elements, limits.elements));
  legalizeTileSizes(least, op);
  for (auto [i, n, kind, size] : llvm::enumerate(ranges, op.getLoopIteratorTypes(), sizes)) {
    bool isLast = i > 0 && i + 1 == ranges.size(), isWhole = least[i] == 0;
    if (isLast && !isWhole && ShapedType::isDynamic(n) && hasTileBuffers(op)) {
      size = limits.elements; // buffers of the tiles need a bound
      break;
    }
    if (kind != utils::IteratorType::parallel || iterations >= enough ||
        (isLast && (ShapedType::isDynamic(n) || n <= shortest)))
      break;
    if (isWhole)
      continue;
    size = least[i];
    if (ShapedType::isDynamic(n)) {
      iterations *= enough;
      continue;
    }
    int64_t wanted = n / int64_t(llvm::divideCeil(enough, iterations));
    size = std::max<int64_t>(isLast ? llvm::alignTo(shortest, size) : size, wanted / size * size);
    // Equal tiles: a ragged last one would need buffers of a size known only at run time.
    for (int64_t step = isLast ? least[i] : -least[i]; n % least[i] == 0 && n % size != 0;)
      size += step;
    iterations *= n / std::max<int64_t>(size, 1);
  }
  legalizeTileSizes(sizes, op);
  return sizes;
}

//===----------------------------------------------------------------------===//
// Tiling
//===----------------------------------------------------------------------===//

FailureOr<scf::SCFTileAndFuseResult> lowbit::tileAndFuse(RewriterBase &rewriter, TilingInterface op,
                                                         ArrayRef<int64_t> sizes, bool isParallel) {
  rewriter.setInsertionPoint(op);
  scf::SCFTileAndFuseOptions options;
  options.tilingOptions.setTileSizes(getAsIndexOpFoldResult(rewriter.getContext(), sizes));
  if (isParallel)
    options.tilingOptions.setLoopType(scf::SCFTilingOptions::LoopType::ForallOp);
  options.setFusionControlFn(
      [isParallel](tensor::ExtractSliceOp, OpResult producer, bool isDestination)
          -> std::optional<scf::SCFTileAndFuseOptions::ControlFnResult> {
        // A fill fused into a reduction loop would restart the accumulator at each tile; any other
        // producer would be computed again for each tile.
        bool isFill = isa<linalg::FillOp>(producer.getOwner()) && isParallel && isDestination;
        if (!isFill && !isa<DecodeRegionOp>(producer.getOwner()))
          return std::nullopt;
        return scf::SCFTileAndFuseOptions::ControlFnResult{};
      });
  auto result = scf::tileConsumerAndFuseProducersUsingSCF(rewriter, op, options);
  if (failed(result)) {
    op->emitError("could not be tiled");
    return failure();
  }
  for (auto [from, to] : result->replacements)
    rewriter.replaceAllUsesWith(from, to);
  return result;
}

/// A tile of about `rows` along a loop; equal ones where the extent allows.
static int64_t rowTileSize(int64_t extent, int64_t rows) {
  if (ShapedType::isDynamic(extent))
    return rows;
  for (int64_t size = rows; size > rows / 2; --size)
    if (extent % size == 0)
      return size;
  return rows;
}

/// The parallel loops of a contraction: rows of weights, or batches and heads.
static Sizes contractionTileSizes(linalg::LinalgOp op, int64_t rows, const UpdateTiles &limits) {
  auto dims = linalg::inferContractionDims(op);
  Sizes sizes(op.getNumLoops(), 0), ranges = op.getStaticLoopRanges();
  if (llvm::is_contained(ranges, 0))
    return sizes;
  bool hasDecode = false;
  for (OpOperand *input : op.getDpsInputOperands()) {
    auto decode = input->get().getDefiningOp<DecodeRegionOp>();
    if (!decode)
      continue;
    hasDecode = true;
    AffineMap map = op.getMatchingIndexingMap(input);
    for (auto *kinds : {&dims->m, &dims->n})
      for (unsigned dim : *kinds)
        if (map.isFunctionOfDim(dim)) {
          sizes[dim] = rowTileSize(ranges[dim], rows);
          break;
        }
  }
  if (hasDecode || failed(dims)) {
    legalizeTileSizes(sizes, cast<TilingInterface>(op.getOperation()));
    return sizes;
  }
  // A few products are done before other threads have begun.
  int64_t products = 1;
  for (int64_t n : ranges)
    products = ShapedType::isDynamic(n) || products >= limits.parallelElements
                   ? limits.parallelElements
                   : products * n;
  if (products < limits.parallelElements)
    return sizes;
  for (unsigned dim : dims->batch)
    sizes[dim] = 1;
  if (dims->m.size() > 1)
    sizes[dims->m.front()] = 1;
  if (!dims->batch.empty() || dims->m.size() > 1)
    return sizes;
  // Plain weights have a known extent and activations have not: all rows of these pass by while a
  // tile of the weights is in a cache. The other way around, each row would read all weights.
  if (dims->m.size() == 1 && dims->n.size() == 1 &&
      ShapedType::isDynamic(ranges[dims->m[0]]) != ShapedType::isDynamic(ranges[dims->n[0]])) {
    unsigned dim = ShapedType::isDynamic(ranges[dims->m[0]]) ? dims->n[0] : dims->m[0];
    sizes[dim] = rowTileSize(ranges[dim], rows);
    return sizes;
  }
  return parallelTileSizes(cast<TilingInterface>(op.getOperation()), limits);
}

/// A sequential loop over the reduction where a tile of decoded weights would leave the cache; all
/// 0 where not.
static Sizes reductionTileSizes(linalg::LinalgOp op, int64_t tileElements) {
  Sizes sizes(op.getNumLoops(), 0), ranges = op.getStaticLoopRanges();
  for (OpOperand *input : op.getDpsInputOperands()) {
    auto decode = input->get().getDefiningOp<DecodeRegionOp>();
    if (!decode || !decode.getType().hasStaticShape())
      continue;
    int64_t elements = decode.getType().getNumElements();
    AffineMap map = op.getMatchingIndexingMap(input);
    for (auto [dim, kind] : llvm::enumerate(op.getIteratorTypesArray())) {
      if (kind != utils::IteratorType::reduction || !map.isFunctionOfDim(dim) ||
          elements <= tileElements || ShapedType::isDynamic(ranges[dim]))
        continue;
      int64_t tiles = llvm::divideCeil(elements, tileElements);
      Sizes legal(sizes);
      legal[dim] = llvm::divideCeil(ranges[dim], tiles);
      legalizeTileSizes(legal, map, decode.getWholeType(), TileUse::Decode);
      // Equal tiles: the next larger legal size that divides.
      int64_t step = std::max<int64_t>(legal[dim], 1);
      Sizes one(sizes.size(), 1);
      legalizeTileSizes(one, map, decode.getWholeType(), TileUse::Decode);
      for (int64_t size = step; one[dim] > 0 && size < ranges[dim]; size += one[dim])
        if (ranges[dim] % size == 0) {
          sizes[dim] = size;
          break;
        }
      break;
    }
  }
  return sizes;
}

/// A state's old value gave a loop an output that every tile writes and, once its encode is in the
/// loop too, no one reads: another tensor of that shape does.
static void dropUnreadDecodes(RewriterBase &rewriter, scf::ForallOp loop) {
  for (OpOperand &initial : loop.getOutputsMutable()) {
    auto decode = initial.get().getDefiningOp<DecodeRegionOp>();
    auto isWritten = [](Operation *user) { return isa<tensor::ParallelInsertSliceOp>(user); };
    if (!decode || !loop.getTiedOpResult(&initial).use_empty() ||
        !llvm::all_of(loop.getTiedBlockArgument(&initial).getUsers(), isWritten))
      continue;
    rewriter.setInsertionPoint(loop);
    Value empty = tensor::EmptyOp::create(rewriter, loop.getLoc(), decode.getTensorRegion().sizes,
                                          decode.getType().getElementType());
    if (empty.getType() == decode.getType())
      rewriter.modifyOpInPlace(loop, [&] { initial.set(empty); });
  }
}

static bool isTiled(ArrayRef<int64_t> sizes) {
  return llvm::any_of(sizes, [](int64_t size) { return size != 0; });
}

namespace {
struct TilePass : lowbit::impl::TileBase<TilePass> {
  using TileBase::TileBase;

  Reporter report{getArgumentName(), "decode"};

  UpdateTiles limits() const { return {parallelElements, updateElements}; }

  /// Cuts what is left over at the end of a loop off into an op of its own, so that all tiles have
  /// one size.
  SmallVector<linalg::LinalgOp> peel(IRRewriter &rewriter, linalg::LinalgOp op) {
    Sizes sizes = contractionTileSizes(op, rows, limits()), ranges = op.getStaticLoopRanges();
    for (auto [dim, n] : llvm::enumerate(ranges)) {
      if (sizes[dim] == 0 || ShapedType::isDynamic(n) || n % sizes[dim] == 0 || n < sizes[dim])
        continue;
      rewriter.setInsertionPoint(op);
      auto [main, rest] = linalg::splitOp(rewriter, cast<TilingInterface>(op.getOperation()), dim,
                                          rewriter.getIndexAttr(n / sizes[dim] * sizes[dim]));
      if (!rest)
        continue;
      return {cast<linalg::LinalgOp>(*main), cast<linalg::LinalgOp>(*rest)};
    }
    return {op};
  }

  LogicalResult tileContractions(IRRewriter &rewriter) {
    SmallVector<linalg::LinalgOp> contractions;
    auto collect = [&] {
      contractions.clear();
      getOperation().walk([&](linalg::LinalgOp op) {
        if (linalg::isaContractionOpInterface(op) && !op->getParentOfType<scf::ForallOp>())
          contractions.push_back(op);
      });
    };
    collect();
    for (linalg::LinalgOp op : contractions)
      peel(rewriter, op);
    RewritePatternSet slices(&getContext());
    populateFoldSliceOfDecodePatterns(slices);
    if (failed(applyPatternsGreedily(getOperation(), std::move(slices))))
      return failure();
    collect();
    for (linalg::LinalgOp op : contractions) {
      auto tilable = cast<TilingInterface>(op.getOperation());
      Sizes sizes = contractionTileSizes(op, rows, limits());
      TilingInterface inner = tilable;
      if (isTiled(sizes)) {
        auto loops = tileAndFuse(rewriter, tilable, sizes, /*isParallel=*/true);
        if (failed(loops))
          return failure();
        inner = cast<TilingInterface>(loops->tiledAndFusedOps[0]);
      }
      Sizes reduction =
          reductionTileSizes(cast<linalg::LinalgOp>(inner.getOperation()), tileElements);
      if (isTiled(reduction) &&
          failed(tileAndFuse(rewriter, inner, reduction, /*isParallel=*/false)))
        return failure();
    }
    return success();
  }

  LogicalResult tileOthers(IRRewriter &rewriter) {
    SmallVector<TilingInterface> others;
    getOperation().walk([&](Operation *op) {
      if (op->getParentOfType<LoopLikeOpInterface>() ||
          op->hasAttr(LowbitDialect::kStatisticsAttrName))
        return;
      bool isStructured = isa<linalg::LinalgOp>(op) && !isa<linalg::FillOp>(op);
      if (isStructured && !op->getResults().empty())
        others.push_back(cast<TilingInterface>(op));
    });
    for (TilingInterface op : others) {
      Sizes sizes = parallelTileSizes(op, limits());
      if (isTiled(sizes) && failed(tileAndFuse(rewriter, op, sizes, /*isParallel=*/true)))
        return failure();
    }
    // What fusion left of the decodes is dead once nothing asks them for a shape.
    RewritePatternSet shapes(&getContext());
    memref::populateResolveRankedShapedTypeResultDimsPatterns(shapes);
    if (failed(applyPatternsGreedily(getOperation(), std::move(shapes))))
      return failure();
    getOperation().walk([&](scf::ForallOp loop) { dropUnreadDecodes(rewriter, loop); });
    // A decode that something else needs as a whole.
    SmallVector<DecodeRegionOp> decodes;
    getOperation().walk([&](DecodeRegionOp op) {
      if (!op->use_empty() && !op->getParentOfType<LoopLikeOpInterface>())
        decodes.push_back(op);
    });
    bool isError = false;
    for (DecodeRegionOp op : decodes) {
      int64_t elements = op.getType().hasStaticShape() ? op.getType().getNumElements() : INT64_MAX;
      if (elements > tileElements) {
        std::string type;
        llvm::raw_string_ostream(type) << op.getType();
        isError |=
            failed(report.fallback(op, "decoded as a whole, " + type + " in memory",
                                   "what reads it could not be tiled with it: '" +
                                       op->getUsers().begin()->getName().getStringRef() + "'",
                                   failOnFallback));
      }
      auto tilable = cast<TilingInterface>(op.getOperation());
      Sizes sizes = parallelTileSizes(tilable, limits());
      if (isTiled(sizes) && failed(tileAndFuse(rewriter, tilable, sizes, /*isParallel=*/true)))
        return failure();
    }
    return failure(isError);
  }

  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    RewritePatternSet slices(&getContext());
    populateFoldSliceOfDecodePatterns(slices);
    if (failed(applyPatternsGreedily(getOperation(), std::move(slices))) ||
        failed(tileEncodes(rewriter, getOperation(), limits())) ||
        failed(tileContractions(rewriter)) || failed(tileOthers(rewriter)))
      return signalPassFailure();
    // A slice of a whole empty tensor would become a buffer of the whole.
    RewritePatternSet empties(&getContext());
    tensor::populateFoldTensorEmptyPatterns(empties);
    if (failed(applyPatternsGreedily(getOperation(), std::move(empties))))
      signalPassFailure();
  }
};
} // namespace
