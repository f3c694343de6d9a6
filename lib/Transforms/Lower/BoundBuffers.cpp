//===- BoundBuffers.cpp - Buffers of tiles have their largest size ---------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/ValueBoundsOpInterface.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

namespace lowbit {
#define GEN_PASS_DEF_BOUNDBUFFERS
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;

/// The bytes of `op` at most, if its sizes have constant bounds.
static std::optional<int64_t> boundBytes(memref::AllocOp op) {
  int64_t bytes = llvm::divideCeil(op.getType().getElementTypeBitWidth(), 8);
  for (int64_t size : op.getType().getShape())
    if (!ShapedType::isDynamic(size))
      bytes *= size;
  for (Value size : op.getDynamicSizes()) {
    FailureOr<int64_t> bound = ValueBoundsConstraintSet::computeConstantBound(
        presburger::BoundType::UB, ValueBoundsConstraintSet::Variable(size),
        /*stopCondition=*/nullptr, /*closedUB=*/true);
    if (failed(bound) || *bound < 0 || llvm::MulOverflow(bytes, *bound, bytes))
      return std::nullopt;
  }
  return bytes;
}

namespace {
struct BoundBuffer : OpRewritePattern<memref::AllocOp> {
  BoundBuffer(MLIRContext *context, int64_t most) : OpRewritePattern(context), most(most) {}

  LogicalResult matchAndRewrite(memref::AllocOp op, PatternRewriter &rw) const override {
    MemRefType type = op.getType();
    if (type.hasStaticShape() || !type.getLayout().isIdentity() || type.getMemorySpace() ||
        !type.getElementType().isIntOrFloat() || !op->getParentOfType<LoopLikeOpInterface>())
      return failure();
    std::optional<int64_t> bytes = boundBytes(op);
    if (!bytes || *bytes > most)
      return failure();
    auto bufferType = MemRefType::get({*bytes}, rw.getI8Type());
    Value buffer = memref::AllocOp::create(rw, op.getLoc(), bufferType, op.getAlignmentAttr());
    Value zero = arith::ConstantIndexOp::create(rw, op.getLoc(), 0);
    rw.replaceOpWithNewOp<memref::ViewOp>(op, type, buffer, zero, op.getDynamicSizes());
    return success();
  }

  int64_t most;
};

struct BoundBuffersPass : lowbit::impl::BoundBuffersBase<BoundBuffersPass> {
  using BoundBuffersBase::BoundBuffersBase;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<BoundBuffer>(&getContext(), bytes);
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};
} // namespace
