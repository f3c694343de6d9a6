//===- FoldTranspose.cpp - Contractions read what was transposed ----------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Transforms/Lower/Patterns.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;

/// The map of the transpose's input, where `map` is that of its result.
static AffineMap mapThrough(AffineMap map, ArrayRef<int64_t> permutation) {
  SmallVector<AffineExpr> results(map.getNumResults());
  for (auto [from, expr] : llvm::zip_equal(permutation, map.getResults()))
    results[from] = expr;
  return AffineMap::get(map.getNumDims(), 0, results, map.getContext());
}

namespace {
struct FoldTranspose : OpInterfaceRewritePattern<linalg::LinalgOp> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;
  LogicalResult matchAndRewrite(linalg::LinalgOp op, PatternRewriter &rw) const override {
    // Of the others the maps are fixed.
    if (!isa<linalg::GenericOp, linalg::MatmulOp, linalg::BatchMatmulOp>(op.getOperation()) ||
        !linalg::isaContractionOpInterface(op))
      return failure();
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    SmallVector<std::pair<OpOperand *, Value>> sources;
    for (OpOperand *input : op.getDpsInputOperands())
      if (auto transpose = input->get().getDefiningOp<linalg::TransposeOp>()) {
        AffineMap &map = maps[input->getOperandNumber()];
        map = mapThrough(map, transpose.getPermutation());
        sources.emplace_back(input, transpose.getInput());
      }
    if (sources.empty())
      return failure();
    rw.modifyOpInPlace(op, [&] {
      op->setAttr("indexing_maps", rw.getAffineMapArrayAttr(maps));
      for (auto [operand, source] : sources)
        operand->set(source);
    });
    return success();
  }
};
} // namespace

void lowbit::populateFoldTransposePatterns(RewritePatternSet &patterns) {
  patterns.add<FoldTranspose>(patterns.getContext());
}
