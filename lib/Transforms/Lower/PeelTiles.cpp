//===- PeelTiles.cpp - Whole tiles in a loop of their own -----------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitDialect.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Utils/AffineCanonicalizationUtils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

namespace lowbit {
#define GEN_PASS_DEF_PEELTILES
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;

/// The last loop with tiles of several iterations of a range that is not known.
static std::optional<unsigned> findRagged(scf::ForallOp loop) {
  std::optional<unsigned> ragged;
  for (auto [i, end, step] : llvm::enumerate(loop.getStaticUpperBound(), loop.getStaticStep()))
    if (ShapedType::isDynamic(end) && !ShapedType::isDynamic(step) && step > 1)
      ragged = i;
  return ragged;
}

static unsigned countDynamic(ArrayRef<int64_t> values) {
  return llvm::count_if(values, ShapedType::isDynamic);
}

/// Where tiles that are whole end.
static Value wholeTilesEnd(RewriterBase &rw, scf::ForallOp loop, unsigned axis) {
  AffineExpr begin, end;
  bindSymbols(rw.getContext(), begin, end);
  int64_t step = loop.getStaticStep()[axis];
  return getValueOrCreateConstantIndexOp(
      rw, loop.getLoc(),
      affine::makeComposedFoldedAffineApply(
          rw, loop.getLoc(), begin + (end - begin).floorDiv(step) * step,
          {loop.getMixedLowerBound()[axis], loop.getMixedUpperBound()[axis]}));
}

static void beginAt(RewriterBase &rw, scf::ForallOp loop, unsigned axis, Value begin) {
  SmallVector<OpFoldResult> bounds = loop.getMixedLowerBound();
  bounds[axis] = begin;
  SmallVector<Value> dynamic;
  SmallVector<int64_t> fixed;
  dispatchIndexOpFoldResults(bounds, dynamic, fixed);
  rw.modifyOpInPlace(loop, [&] {
    loop.setStaticLowerBound(fixed);
    loop.getDynamicLowerBoundMutable().assign(dynamic);
  });
}

static void peel(RewriterBase &rw, scf::ForallOp loop, unsigned axis) {
  rw.setInsertionPoint(loop);
  Value end = loop.getUpperBound(rw)[axis], step = loop.getStep(rw)[axis];
  Value whole = wholeTilesEnd(rw, loop, axis);
  rw.setInsertionPointAfter(loop);
  auto rest = cast<scf::ForallOp>(rw.clone(*loop));
  rw.replaceAllUsesWith(loop.getResults(), rest.getResults());
  rw.modifyOpInPlace(rest, [&] { rest.getOutputsMutable().assign(loop.getResults()); });
  beginAt(rw, rest, axis, whole);
  unsigned position = countDynamic(loop.getStaticUpperBound().take_front(axis));
  rw.modifyOpInPlace(loop, [&] { loop.getDynamicUpperBoundMutable()[position].assign(whole); });
  // Those of the last tile bound its buffers.
  SmallVector<affine::AffineMinOp> minima;
  loop.walk([&](affine::AffineMinOp op) { minima.push_back(op); });
  for (affine::AffineMinOp op : minima) {
    rw.setInsertionPoint(op);
    (void)scf::rewritePeeledMinMaxOp(rw, op, loop.getInductionVar(axis), end, step,
                                     /*insideLoop=*/true);
  }
}

namespace {
struct PeelTilesPass : lowbit::impl::PeelTilesBase<PeelTilesPass> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<scf::ForallOp> loops;
    getOperation().walk([&](scf::ForallOp loop) { loops.push_back(loop); });
    for (scf::ForallOp loop : loops)
      if (std::optional<unsigned> axis = findRagged(loop))
        peel(rewriter, loop, *axis);
  }
};
} // namespace
