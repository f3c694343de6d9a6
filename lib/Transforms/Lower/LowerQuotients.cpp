//===- LowerQuotients.cpp - One division for a block ----------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LaneKindOption.h"
#include "NumberBuilder.h"
#include "lowbit/IR/LowbitOps.h"
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
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace lowbit {
#define GEN_PASS_DEF_LOWERQUOTIENTS
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;
using arith::CmpFPredicate;

/// NaN becomes zero, an infinity, which would have no remainder, a large number.
static Value finite(NumberBuilder t, Value x, StringRef intrinsic) {
  auto lanes = cast<VectorType>(x.getType());
  if (!intrinsic.empty() && lanes.getShape() == ArrayRef<int64_t>{16})
    return fixUp(t, x, 0x11ef1188, intrinsic);
  Value most = t.real(0x1p100f, lanes), least = t.real(-0x1p100f, lanes);
  x = t.withoutNaN(x);
  x = t.select(CmpFPredicate::OLT, most, x, most, x);
  return t.select(CmpFPredicate::OGT, least, x, least, x);
}

static Value multiplyByInverse(NumberBuilder t, Value number, Value scale, StringRef intrinsic) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  auto lanes = cast<VectorType>(number.getType());
  Type f32 = b.getF32Type();
  // Once for a block.
  Value zero = t.real(0, f32), one = t.real(1, f32);
  NormalScale normal = normalize(t, scale);
  Value divisor = normal.scale;
  Value opposite = arith::NegFOp::create(b, loc, divisor);
  Value inverse = arith::DivFOp::create(b, loc, one, divisor);
  Value rest = math::FmaOp::create(b, loc, opposite, inverse, one);
  Value correction = arith::MulFOp::create(b, loc, rest, inverse);
  auto spreadUsual = [&](Value value) {
    return t.spread(lanes, t.choose(normal.isUsual, value, zero));
  };
  inverse = spreadUsual(inverse);
  correction = spreadUsual(correction);
  opposite = t.spread(lanes, opposite);
  // For each element.
  Value x = arith::MulFOp::create(b, loc, number, t.spread(lanes, normal.factor));
  x = finite(t, x, intrinsic);
  Value low = arith::MulFOp::create(b, loc, x, correction);
  Value quotient = vector::FMAOp::create(b, loc, x, inverse, low);
  Value remainder = vector::FMAOp::create(b, loc, quotient, opposite, x);
  return vector::FMAOp::create(b, loc, remainder, inverse, quotient);
}

namespace {
struct LowerQuotientsPass : lowbit::impl::LowerQuotientsBase<LowerQuotientsPass> {
  using LowerQuotientsBase::LowerQuotientsBase;

  void runOnOperation() override {
    const LaneKind *instructions = readLaneKind(getOperation(), kind);
    if (!instructions)
      return signalPassFailure();
    getOperation().walk([&](QuotientOp op) {
      OpBuilder b(op);
      NumberBuilder t{b, op.getLoc()};
      auto spread = op.getScale().getDefiningOp<vector::BroadcastOp>();
      bool isOne = spread && spread.getSource().getType().isF32();
      op.replaceAllUsesWith(
          multiplyAdd && isOne
              ? multiplyByInverse(t, op.getNumber(), spread.getSource(), instructions->fixUp)
              : t.divide(op.getNumber(), op.getScale()));
      op.erase();
    });
  }
};
} // namespace
