//===- RowLookups.cpp - Look-ups in a table read rows ---------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

namespace lowbit {
#define GEN_PASS_DEF_ROWLOOKUPS
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;

/// The element that `op` yields, if it is one of a row that the last loops go along: its first
/// index is the same for the whole row, the others are those loops. `outer` is the number of loops
/// before them.
static tensor::ExtractOp findRowElement(linalg::GenericOp op, unsigned &outer) {
  Block *body = op.getBody();
  if (!op.hasPureTensorSemantics() || op.getNumDpsInits() != 1 ||
      op.getNumParallelLoops() != op.getNumLoops() ||
      !op.getIndexingMapsArray().back().isIdentity())
    return nullptr;
  auto element = body->getTerminator()->getOperand(0).getDefiningOp<tensor::ExtractOp>();
  if (!element || element->getBlock() != body || element.getIndices().size() < 2 ||
      element.getIndices().size() > op.getNumLoops() ||
      op.getRegion().isAncestor(element.getTensor().getParentRegion()))
    return nullptr;
  outer = op.getNumLoops() - (element.getIndices().size() - 1);
  for (auto [place, index] : llvm::enumerate(element.getIndices().drop_front())) {
    auto loop = index.getDefiningOp<linalg::IndexOp>();
    if (!loop || loop.getDim() != outer + place)
      return nullptr;
  }
  // Whatever else the body does, it does once for each row.
  for (Operation &inner : *body) {
    auto loop = dyn_cast<linalg::IndexOp>(inner);
    if (loop && loop.getDim() >= outer && llvm::any_of(loop->getUses(), [&](OpOperand &use) {
          return use.getOwner() != element || use.get() == element.getIndices().front();
        }))
      return nullptr;
    if (inner.getNumRegions() != 0)
      return nullptr;
  }
  if (!body->getArguments().back().use_empty())
    return nullptr;
  for (OpOperand *input : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(input);
    if (!map.isProjectedPermutation() || map.getNumResults() == 0)
      return nullptr;
    for (unsigned dim = outer; dim < op.getNumLoops(); ++dim)
      if (map.isFunctionOfDim(dim))
        return nullptr;
  }
  return element;
}

namespace {
struct LowerRowLookup : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(linalg::GenericOp op, PatternRewriter &rw) const override {
    unsigned outer = 0;
    tensor::ExtractOp element = findRowElement(op, outer);
    if (!element)
      return failure();
    Location loc = op.getLoc();
    Value zero = arith::ConstantIndexOp::create(rw, loc, 0);
    Value one = arith::ConstantIndexOp::create(rw, loc, 1);
    Value init = op.getDpsInits().front();
    SmallVector<OpFoldResult> extents = tensor::getMixedSizes(rw, loc, init);
    SmallVector<Value> upper;
    for (OpFoldResult extent : ArrayRef(extents).take_front(outer))
      upper.push_back(getValueOrCreateConstantIndexOp(rw, loc, extent));
    ArrayRef<OpFoldResult> row = ArrayRef(extents).drop_front(outer);
    auto rowType = RankedTensorType::get(
        cast<RankedTensorType>(init.getType()).getShape().drop_front(outer), element.getType());

    auto emitRow = [&](OpBuilder &b, Location loc, ValueRange ivs, ValueRange filled) {
      IRMapping values;
      for (OpOperand *input : op.getDpsInputOperands()) {
        SmallVector<Value> at;
        for (AffineExpr expr : op.getMatchingIndexingMap(input).getResults())
          at.push_back(ivs[cast<AffineDimExpr>(expr).getPosition()]);
        values.map(op.getMatchingBlockArgument(input),
                   tensor::ExtractOp::create(b, loc, input->get(), at));
      }
      for (Operation &inner : op.getBody()->without_terminator()) {
        auto loop = dyn_cast<linalg::IndexOp>(inner);
        if (loop && loop.getDim() < outer)
          values.map(loop.getResult(), ivs[loop.getDim()]);
        else if (!loop && &inner != element)
          b.clone(inner, values);
      }
      OpFoldResult unit = b.getIndexAttr(1), start = b.getIndexAttr(0);
      auto coordinates = [&](ArrayRef<Value> first) {
        auto all = llvm::to_vector_of<OpFoldResult>(first);
        all.append(row.size(), start);
        return all;
      };
      auto sizes = [&](unsigned count) {
        SmallVector<OpFoldResult> all(count, unit);
        llvm::append_range(all, row);
        return all;
      };
      Value index = values.lookupOrDefault(element.getIndices().front());
      Value slice =
          tensor::ExtractSliceOp::create(b, loc, rowType, element.getTensor(), coordinates(index),
                                         sizes(1), SmallVector<OpFoldResult>(row.size() + 1, unit));
      Value next = tensor::InsertSliceOp::create(b, loc, slice, filled.front(),
                                                 coordinates(llvm::to_vector(ivs)), sizes(outer),
                                                 SmallVector<OpFoldResult>(extents.size(), unit));
      return scf::ValueVector{next};
    };
    scf::LoopNest loops =
        scf::buildLoopNest(rw, loc, SmallVector<Value>(outer, zero), upper,
                           SmallVector<Value>(outer, one), ValueRange{init}, emitRow);
    rw.replaceOp(op, loops.results);
    return success();
  }
};

struct RowLookupsPass : lowbit::impl::RowLookupsBase<RowLookupsPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<LowerRowLookup>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};
} // namespace
