//===- TakePrefix.cpp - Read the high bits of codes alone -----------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "lowbit/Transforms/Lower/Patterns.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

namespace lowbit {
#define GEN_PASS_DEF_TAKEPREFIX
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {
struct DecodePrefix : OpRewritePattern<DecodeOp> {
  DecodePrefix(MLIRContext *context, unsigned bits) : OpRewritePattern(context), bits(bits) {}

  LogicalResult matchAndRewrite(DecodeOp op, PatternRewriter &rw) const override {
    auto type = cast<RankedTensorType>(op.getSource().getType());
    auto term = dyn_cast<QuantizedAttr>(type.getEncoding());
    QuantizedAttr prefix = term ? getPrefix(term, bits) : QuantizedAttr();
    if (!prefix)
      return failure();
    Value high = ConvertOp::create(rw, op.getLoc(), type.cloneWithEncoding(prefix), op.getSource());
    rw.replaceOpWithNewOp<DecodeOp>(op, high);
    return success();
  }

  unsigned bits;
};

struct TakePrefixPass : lowbit::impl::TakePrefixBase<TakePrefixPass> {
  using TakePrefixBase::TakePrefixBase;
  void runOnOperation() override {
    if (bits < 1 || bits > 8) {
      getOperation().emitError() << "a prefix has 1 to 8 bits, not " << bits.getValue();
      return signalPassFailure();
    }
    WalkResult found = getOperation().walk([&](DecodeOp op) {
      auto term =
          dyn_cast<QuantizedAttr>(cast<RankedTensorType>(op.getSource().getType()).getEncoding());
      return term && getPrefix(term, bits) ? WalkResult::interrupt() : WalkResult::advance();
    });
    if (!found.wasInterrupted()) {
      getOperation().emitError() << "no tensor of one term has codes whose planes end "
                                 << bits.getValue()
                                 << " bits below their top: encode them with a layout such as "
                                    "planes<4, 4>, low bits first";
      return signalPassFailure();
    }
    RewritePatternSet patterns(&getContext());
    populateTakePrefixPatterns(patterns, bits);
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};
} // namespace

void lowbit::populateTakePrefixPatterns(RewritePatternSet &patterns, unsigned bits) {
  patterns.add<DecodePrefix>(patterns.getContext(), bits);
}
