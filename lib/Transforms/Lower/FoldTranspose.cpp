//===- FoldTranspose.cpp - Contractions read what was transposed ----------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Transforms/Lower/Patterns.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
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
    if (!linalg::isaContractionOpInterface(op))
      return failure();
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    SmallVector<std::pair<unsigned, Value>> sources;
    for (OpOperand *input : op.getDpsInputOperands())
      if (auto transpose = input->get().getDefiningOp<linalg::TransposeOp>()) {
        AffineMap &map = maps[input->getOperandNumber()];
        map = mapThrough(map, transpose.getPermutation());
        sources.emplace_back(input->getOperandNumber(), transpose.getInput());
      }
    if (sources.empty())
      return failure();
    // Other named ops have fixed maps, or, as batches, a fixed place of some dimensions.
    if (!isa<linalg::GenericOp, linalg::MatmulOp>(op.getOperation())) {
      FailureOr<linalg::GenericOp> generic = linalg::generalizeNamedOp(rw, op);
      if (failed(generic))
        return failure();
      op = *generic;
    }
    rw.modifyOpInPlace(op, [&] {
      op->setAttr("indexing_maps", rw.getAffineMapArrayAttr(maps));
      for (auto [operand, source] : sources)
        op->setOperand(operand, source);
    });
    return success();
  }
};
} // namespace

void lowbit::populateFoldTransposePatterns(RewritePatternSet &patterns) {
  patterns.add<FoldTranspose>(patterns.getContext());
}
