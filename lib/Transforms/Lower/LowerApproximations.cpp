//===- LowerApproximations.cpp - Quotients and roots by estimates ---------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LaneKindOption.h"
#include "lowbit/IR/LowbitDialect.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace lowbit {
#define GEN_PASS_DEF_LOWERAPPROXIMATIONS
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

/// An instruction's estimate; null where it has none for this type.
static Value estimate(OpBuilder &b, Location loc, StringRef intrinsic, Value x) {
  auto lanes = dyn_cast<VectorType>(x.getType());
  if (intrinsic.empty() || !lanes || lanes.getShape() != ArrayRef<int64_t>{16} ||
      !lanes.getElementType().isF32())
    return nullptr;
  Value none = arith::ConstantOp::create(b, loc, DenseElementsAttr::get(lanes, 0.0f));
  Value all = arith::ConstantOp::create(b, loc, b.getI16IntegerAttr(-1));
  return LLVM::CallIntrinsicOp::create(b, loc, lanes, b.getStringAttr(intrinsic), {x, none, all})
      .getResult(0);
}

static bool allows(arith::FastMathFlags flags, arith::FastMathFlags which) {
  return arith::bitEnumContainsAll(flags, which);
}

static Value approximate(OpBuilder &b, arith::DivFOp op, const LaneKind &kind) {
  Value inverse = estimate(b, op.getLoc(), kind.reciprocal, op.getRhs());
  return inverse ? arith::MulFOp::create(b, op.getLoc(), op.getLhs(), inverse) : Value();
}

/// The inverse of its inverse root: right for zero and infinity, too.
static Value approximate(OpBuilder &b, math::SqrtOp op, const LaneKind &kind) {
  Value inverse = estimate(b, op.getLoc(), kind.reciprocalRoot, op.getOperand());
  return inverse ? estimate(b, op.getLoc(), kind.reciprocal, inverse) : Value();
}

template <typename Op> static void lower(Op op, arith::FastMathFlags which, const LaneKind &kind) {
  if (!allows(op.getFastmath(), which))
    return;
  OpBuilder b(op);
  // What is left is exact: LLVM would choose estimates by itself.
  op.setFastmath(op.getFastmath() & ~which);
  if (Value result = approximate(b, op, kind)) {
    op.replaceAllUsesWith(result);
    op.erase();
  }
}

namespace {
struct LowerApproximationsPass : lowbit::impl::LowerApproximationsBase<LowerApproximationsPass> {
  using LowerApproximationsBase::LowerApproximationsBase;

  void runOnOperation() override {
    const LaneKind *instructions = readLaneKind(getOperation(), kind);
    if (!instructions)
      return signalPassFailure();
    getOperation().walk([&](Operation *op) {
      if (auto quotient = dyn_cast<arith::DivFOp>(op))
        lower(quotient, arith::FastMathFlags::arcp, *instructions);
      else if (auto root = dyn_cast<math::SqrtOp>(op))
        lower(root, arith::FastMathFlags::afn, *instructions);
    });
  }
};
} // namespace
