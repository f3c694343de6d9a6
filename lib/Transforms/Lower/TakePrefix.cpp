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

/// What the decode would read; null if no planes end there.
static QuantizedAttr prefixOf(DecodeOp op, unsigned bits) {
  auto type = cast<RankedTensorType>(op.getSource().getType());
  auto term = dyn_cast<QuantizedAttr>(type.getEncoding());
  return term ? getPrefix(term, bits) : QuantizedAttr();
}

namespace {
struct DecodePrefix : OpRewritePattern<DecodeOp> {
  DecodePrefix(MLIRContext *context, unsigned bits) : OpRewritePattern(context), bits(bits) {}

  LogicalResult matchAndRewrite(DecodeOp op, PatternRewriter &rw) const override {
    QuantizedAttr prefix = prefixOf(op, bits);
    if (!prefix)
      return failure();
    auto type = cast<RankedTensorType>(op.getSource().getType());
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
      return prefixOf(op, bits) ? WalkResult::interrupt() : WalkResult::advance();
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
