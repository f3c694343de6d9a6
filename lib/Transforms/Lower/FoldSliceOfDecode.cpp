//===- FoldSliceOfDecode.cpp - Decode only what is read -------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitOps.h"
#include "lowbit/IR/TileBuilder.h"
#include "lowbit/Transforms/Lower/Patterns.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace lowbit;

/// True if [offset, offset + size) of an axis with `extent` starts and ends where the encoding
/// allows.
static bool isLegal(OpFoldResult offset, OpFoldResult size, OpFoldResult extent, int64_t multiple) {
  if (multiple == 1)
    return true;
  auto o = getConstantIntValue(offset), s = getConstantIntValue(size),
       e = getConstantIntValue(extent);
  if (o && *o == 0 && isEqualConstantIntOrValue(size, extent))
    return true;
  if (multiple == kWhole || !o || !s || *o % multiple != 0)
    return false;
  return *s % multiple == 0 || (e && *o + *s == *e);
}

namespace {
struct FoldSliceOfDecode : OpRewritePattern<tensor::ExtractSliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tensor::ExtractSliceOp op, PatternRewriter &rw) const override {
    auto decode = op.getSource().getDefiningOp<DecodeRegionOp>();
    if (!decode || !op.hasUnitStride())
      return failure();
    RankedTensorType whole = decode.getWholeType();
    Box base = decode.getTensorRegion(), box{{}, op.getMixedSizes()};
    TileBuilder t(rw, op.getLoc());
    SmallVector<int64_t> multiples = getEncoding(whole).getTileMultiples(whole, TileUse::Decode);
    SmallVector<OpFoldResult> offsets = op.getMixedOffsets();
    // A slice of everything only drops unit dimensions; it is also what this pattern leaves behind.
    if (llvm::all_of(offsets, isZeroInteger) &&
        llvm::equal(box.sizes, base.sizes,
                    [](OpFoldResult a, OpFoldResult b) { return isEqualConstantIntOrValue(a, b); }))
      return failure();
    for (auto [offset, size, extent, multiple] :
         llvm::zip(offsets, box.sizes, base.sizes, multiples))
      if (!isLegal(offset, size, extent, multiple))
        return rw.notifyMatchFailure(op, "the encoding does not allow this tile");
    for (auto [start, offset] : llvm::zip(base.offsets, offsets))
      box.offsets.push_back(t.add(start, offset));
    Value tile = DecodeRegionOp::create(rw, op.getLoc(), whole, decode.getComponents(), box);
    if (op.getType().getRank() != whole.getRank()) { // a rank-reducing slice
      SmallVector<int64_t> dropped(op.getDroppedDims().set_bits());
      SmallVector<OpFoldResult> start(box.sizes.size(), rw.getIndexAttr(0));
      tile = t.slice(tile, {start, box.sizes}, dropped);
    }
    rw.replaceOp(op, tile);
    return success();
  }
};
} // namespace

void lowbit::populateFoldSliceOfDecodePatterns(RewritePatternSet &patterns) {
  patterns.add<FoldSliceOfDecode>(patterns.getContext());
}
