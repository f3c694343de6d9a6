//===- TileEncodes.cpp - One loop for an update and its encodes -----------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Tiling.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace lowbit;

TileUse lowbit::encodeUseOf(EncodeRegionOp op) {
  for (EncodingComponent &component :
       getEncoding(op.getWholeType()).getComponents(op.getWholeType()))
    if (component.role == ComponentRole::Statistic)
      return TileUse::EncodeAfterStatistics;
  return TileUse::Encode;
}

/// A state is read where it is written: reads of a loop's initial value, of the region that the
/// iteration writes, become reads of the shared output; otherwise bufferization copies the state.
static void readSharedOutputs(scf::ForallOp loop) {
  auto isSameRegion = [](EncodeRegionOp encode, DecodeRegionOp decode) {
    Box x = encode.getTensorRegion(), y = decode.getTensorRegion();
    auto equal = [](ArrayRef<OpFoldResult> a, ArrayRef<OpFoldResult> b) {
      return llvm::equal(
          a, b, [](OpFoldResult p, OpFoldResult q) { return isEqualConstantIntOrValue(p, q); });
    };
    return decode.getWhole() == encode.getWhole() && equal(x.offsets, y.offsets) &&
           equal(x.sizes, y.sizes);
  };
  loop.walk([&](EncodeRegionOp encode) {
    loop.walk([&](DecodeRegionOp decode) {
      if (!isSameRegion(encode, decode))
        return;
      for (Value payload : encode.getPayload()) {
        auto slice = payload.getDefiningOp<tensor::ExtractSliceOp>();
        auto argument = dyn_cast<BlockArgument>(slice ? slice.getSource() : payload);
        if (!argument || argument.getOwner()->getParentOp() != loop)
          continue;
        Value initial = loop.getTiedOpOperand(argument)->get();
        for (OpOperand &component : decode->getOpOperands())
          if (component.get() == initial)
            component.set(argument);
      }
    });
  });
}

/// The statistics of the whole tensor: a sequential loop in which the producer is computed a first
/// time.
static LogicalResult tileStatistics(RewriterBase &rewriter, func::FuncOp function) {
  SmallVector<linalg::LinalgOp> statistics;
  function.walk([&](linalg::LinalgOp op) {
    if (op->hasAttr(LowbitDialect::kStatisticsAttrName))
      statistics.push_back(op);
  });
  for (linalg::LinalgOp op : statistics) {
    SmallVector<int64_t> sizes(op.getNumLoops(), 0);
    sizes[0] = 1;
    auto producer = op.getDpsInputs()[0].getDefiningOp<linalg::LinalgOp>();
    // One pass over a value that is there anyway, or over none: no row is a tile of no rows.
    if (!producer || llvm::is_contained(op.getStaticLoopRanges(), 0))
      continue;
    legalizeTileSizes(sizes, cast<TilingInterface>(*producer));
    rewriter.setInsertionPoint(op);
    scf::SCFTileAndFuseOptions options;
    options.tilingOptions.setTileSizes(getAsIndexOpFoldResult(rewriter.getContext(), sizes));
    options.setFusionControlFn(
        [](tensor::ExtractSliceOp, OpResult,
           bool isDestination) -> std::optional<scf::SCFTileAndFuseOptions::ControlFnResult> {
          // A fill fused into the loop would restart the maxima at each tile.
          if (isDestination)
            return std::nullopt;
          return scf::SCFTileAndFuseOptions::ControlFnResult{};
        });
    auto result =
        scf::tileConsumerAndFuseProducersUsingSCF(rewriter, cast<TilingInterface>(*op), options);
    if (failed(result))
      return op->emitError("the statistics of an encode could not be tiled");
    for (auto [from, to] : result->replacements)
      rewriter.replaceAllUsesWith(from, to);
  }
  RewritePatternSet dead(function.getContext());
  linalg::populateEraseUnusedOperandsAndResultsPatterns(dead);
  return applyPatternsGreedily(function, std::move(dead));
}

/// Whether an op may move down to the last of a group of encodes in its block: nothing uses it
/// before that but the group, which moves along.
static bool canMoveTo(Operation *op, ArrayRef<EncodeRegionOp> group) {
  EncodeRegionOp last = group.back();
  return op->getBlock() == last->getBlock() && llvm::none_of(op->getUsers(), [&](Operation *user) {
           Operation *own = last->getBlock()->findAncestorOpInBlock(*user);
           return !llvm::is_contained(group, user) && own && own->isBeforeInBlock(last);
         });
}

/// Whether each axis that a tile must span has a known length. The length that the components give
/// and that of the value to encode are not known to be one.
static bool hasKnownSpans(EncodeRegionOp op) {
  RankedTensorType whole = op.getWholeType();
  SmallVector<int64_t> multiples = getEncoding(whole).getTileMultiples(whole, encodeUseOf(op));
  return llvm::none_of(llvm::zip(multiples, op.getStaticSizes()), [](auto axis) {
    return std::get<0>(axis) == kWhole && ShapedType::isDynamic(std::get<1>(axis));
  });
}

/// Whether what is encoded is read by nothing else: a loop that computes it takes one reader along.
static bool isOnlyReader(EncodeRegionOp op) {
  return llvm::all_of(op.getSource().getUsers(),
                      [&](Operation *user) { return user == op || isa<tensor::DimOp>(user); });
}

LogicalResult lowbit::tileEncodes(RewriterBase &rewriter, func::FuncOp function,
                                  const UpdateTiles &limits) {
  if (failed(tileStatistics(rewriter, function)))
    return failure();
  SmallVector<EncodeRegionOp> encodes;
  function.walk([&](EncodeRegionOp op) { encodes.push_back(op); });
  llvm::SmallPtrSet<Operation *, 4> done;
  for (EncodeRegionOp encode : encodes) {
    if (!done.insert(encode).second)
      continue;
    auto producer = encode.getSource().getDefiningOp<linalg::LinalgOp>();
    SmallVector<EncodeRegionOp> group{encode};
    for (EncodeRegionOp other : encodes)
      if (producer && !done.contains(other) && other.getSource().getDefiningOp() == producer)
        group.push_back(other);
    bool isFused =
        producer && canMoveTo(producer, group) && llvm::all_of(group, [&](EncodeRegionOp other) {
          return canMoveTo(other, group) && hasKnownSpans(other) && isOnlyReader(other);
        });
    if (!isFused) {
      auto op = cast<TilingInterface>(*encode);
      auto loops = tileAndFuse(rewriter, op, parallelTileSizes(op, limits), /*isParallel=*/true);
      if (failed(loops))
        return failure();
      if (!loops->loops.empty())
        readSharedOutputs(cast<scf::ForallOp>(loops->loops[0].getOperation()));
      continue;
    }
    done.insert(group.begin(), group.end());
    rewriter.moveOpBefore(producer, group.back()); // after all statistics
    for (EncodeRegionOp other : group)
      if (other != group.back())
        rewriter.moveOpAfter(other, producer);
    auto op = cast<TilingInterface>(*producer);
    SmallVector<int64_t> sizes = parallelTileSizes(op, limits);
    if (llvm::all_of(sizes, [](int64_t size) { return size == 0; }))
      continue; // small enough to be one tile
    auto loops = tileAndFuse(rewriter, op, sizes, /*isParallel=*/true);
    if (failed(loops))
      return failure();
    for (EncodeRegionOp other : group)
      if (failed(scf::tileAndFuseConsumer(rewriter, other, loops->loops)))
        return other.emitError(
            "the encode could not be fused with the op that produces its values");
    readSharedOutputs(cast<scf::ForallOp>(loops->loops[0].getOperation()));
  }
  // Old statistics may be overwritten after the last tile was encoded, not before.
  SmallVector<bufferization::MaterializeInDestinationOp> commits;
  function.walk([&](bufferization::MaterializeInDestinationOp op) { commits.push_back(op); });
  for (auto commit : commits) {
    Operation *first = commit->getBlock()->getTerminator();
    for (Operation *user : commit->getUsers())
      if (user->getBlock() == commit->getBlock() && user->isBeforeInBlock(first))
        first = user;
    rewriter.moveOpBefore(commit, first);
  }
  return success();
}
