//===- FuseDecodes.cpp - Decodes become part of what reads them -----------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace lowbit {
#define GEN_PASS_DEF_FUSEDECODES
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;

static bool isElementwise(linalg::GenericOp op) {
  return op.getNumLoops() == op.getNumParallelLoops();
}

/// The elementwise op that computes `value` for one reader, which sees it in another shape,
/// perhaps.
static linalg::GenericOp findProducer(Value value) {
  if (!value.hasOneUse())
    return nullptr;
  if (auto reshape = value.getDefiningOp<tensor::CollapseShapeOp>())
    return findProducer(reshape.getSrc());
  auto op = value.getDefiningOp<linalg::GenericOp>();
  return op && isElementwise(op) && op.getNumResults() == 1 ? op : nullptr;
}

/// Not what is broadcast, which the reader would compute many times.
static bool shouldFuse(OpOperand *fused) {
  auto reader = dyn_cast<linalg::GenericOp>(fused->getOwner());
  return reader && isElementwise(reader) && reader.getMatchingIndexingMap(fused).isPermutation() &&
         findProducer(fused->get());
}

/// The reader's loops get the shape of the decode's blocks, unless it asks for their indices.
static bool shouldExpand(OpOperand *fused) {
  return fused->get().getDefiningOp<tensor::CollapseShapeOp>() && shouldFuse(fused) &&
         !cast<linalg::GenericOp>(fused->getOwner()).hasIndexSemantics();
}

namespace {
/// An old value that is read where the new one is written would be a buffer; an input can be fused.
struct ReadInitAsInput : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::GenericOp op, PatternRewriter &rw) const override {
    if (!isElementwise(op))
      return failure();
    for (OpOperand &init : op.getDpsInitsMutable()) {
      BlockArgument old = op.getMatchingBlockArgument(&init);
      if (old.use_empty() || !shouldFuse(&init))
        continue;
      unsigned position = op.getNumDpsInputs();
      SmallVector<AffineMap> maps = op.getIndexingMapsArray();
      maps.insert(maps.begin() + position, op.getMatchingIndexingMap(&init));
      Value value = init.get();
      rw.setInsertionPoint(op);
      Value empty =
          tensor::EmptyOp::create(rw, op.getLoc(), tensor::getMixedSizes(rw, op.getLoc(), value),
                                  cast<RankedTensorType>(value.getType()).getElementType());
      rw.modifyOpInPlace(op, [&] {
        BlockArgument input = op.getBody()->insertArgument(position, old.getType(), op.getLoc());
        rw.replaceAllUsesWith(old, input);
        init.set(empty);
        op.getInputsMutable().append(value);
        op.setIndexingMapsAttr(rw.getAffineMapArrayAttr(maps));
      });
      return success();
    }
    return failure();
  }
};

struct FuseDecodesPass : lowbit::impl::FuseDecodesBase<FuseDecodesPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ReadInitAsInput>(&getContext());
    linalg::populateElementwiseOpsFusionPatterns(patterns, shouldFuse);
    linalg::populateFoldReshapeOpsByExpansionPatterns(patterns, shouldExpand);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
