//===- LowerQuotients.cpp - One division for a block ----------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LaneKindOption.h"
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

namespace {
/// Numbers, or vectors of them.
struct NumberBuilder {
  OpBuilder &b;
  Location loc;

  Value constant(Type like, TypedAttr value) {
    if (auto vector = dyn_cast<VectorType>(like))
      value = SplatElementsAttr::get(vector.clone(value.getType()), value);
    return arith::ConstantOp::create(b, loc, value);
  }
  Value real(float value, Type like) { return constant(like, b.getF32FloatAttr(value)); }
  Value integer(int32_t value) { return constant(b.getI32Type(), b.getI32IntegerAttr(value)); }
  Value select(CmpFPredicate predicate, Value x, Value y, Value ifTrue, Value otherwise) {
    Value condition = arith::CmpFOp::create(b, loc, predicate, x, y);
    return arith::SelectOp::create(b, loc, condition, ifTrue, otherwise);
  }
  Value spread(VectorType type, Value value) {
    return vector::BroadcastOp::create(b, loc, type, value);
  }
};
} // namespace

/// NaN becomes zero.
static Value withoutNaN(NumberBuilder t, Value x) {
  return t.select(CmpFPredicate::ORD, x, x, x, t.real(0, x.getType()));
}

static Value divide(NumberBuilder t, Value number, Value scale) {
  Type type = scale.getType();
  Value infinity = t.real(std::numeric_limits<float>::infinity(), type);
  Value divisor = t.select(CmpFPredicate::OEQ, scale, t.real(0, type), infinity, scale);
  return withoutNaN(t, arith::DivFOp::create(t.b, t.loc, number, divisor));
}

/// 2^-e for a scale of about 2^e.
static Value normalizingFactor(NumberBuilder t, Value scale) {
  OpBuilder &b = t.b;
  Value bits = arith::BitcastOp::create(b, t.loc, b.getI32Type(), scale);
  Value exponent = arith::AndIOp::create(b, t.loc, bits, t.integer(0x7f800000));
  Value opposite = arith::SubIOp::create(b, t.loc, t.integer(254 << 23), exponent);
  Value normal = arith::MaxSIOp::create(b, t.loc, opposite, t.integer(1 << 23));
  return arith::BitcastOp::create(b, t.loc, b.getF32Type(), normal);
}

/// NaN becomes zero, an infinity, which would have no remainder, a large number.
static Value finite(NumberBuilder t, Value x, StringRef fixUp) {
  OpBuilder &b = t.b;
  auto lanes = cast<VectorType>(x.getType());
  if (!fixUp.empty() && lanes.getShape() == ArrayRef<int64_t>{16}) {
    // What becomes of classes of numbers, by four bits each: NaN, signalling too, is +0 (8); zero
    // and one stay (1); -inf and +inf are the largest numbers (F, E); all others stay.
    Value table = t.constant(lanes, b.getI32IntegerAttr(0x11ef1188));
    Value none = t.integer(0), all = arith::ConstantOp::create(b, t.loc, b.getI16IntegerAttr(-1));
    Value current = t.integer(4); // exceptions and rounding as they are
    return LLVM::CallIntrinsicOp::create(b, t.loc, lanes, b.getStringAttr(fixUp),
                                         {x, x, table, none, all, current})
        .getResult(0);
  }
  Value most = t.real(0x1p100f, lanes), least = t.real(-0x1p100f, lanes);
  x = withoutNaN(t, x);
  x = t.select(CmpFPredicate::OLT, most, x, most, x);
  return t.select(CmpFPredicate::OGT, least, x, least, x);
}

static Value multiplyByInverse(NumberBuilder t, Value number, Value scale, StringRef fixUp) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  auto lanes = cast<VectorType>(number.getType());
  Type f32 = b.getF32Type();
  // Once for a block.
  Value zero = t.real(0, f32), one = t.real(1, f32);
  Value magnitude = math::AbsFOp::create(b, loc, scale);
  Value isUsual = arith::AndIOp::create(
      b, loc, arith::CmpFOp::create(b, loc, CmpFPredicate::OGT, magnitude, zero),
      arith::CmpFOp::create(b, loc, CmpFPredicate::OLT, magnitude,
                            t.real(std::numeric_limits<float>::infinity(), f32)));
  Value usual = arith::SelectOp::create(b, loc, isUsual, scale, one);
  Value factor = normalizingFactor(t, usual);
  Value divisor = arith::MulFOp::create(b, loc, usual, factor);
  Value opposite = arith::NegFOp::create(b, loc, divisor);
  Value inverse = arith::DivFOp::create(b, loc, one, divisor);
  Value rest = math::FmaOp::create(b, loc, opposite, inverse, one);
  Value correction = arith::MulFOp::create(b, loc, rest, inverse);
  auto spreadUsual = [&](Value value) {
    return t.spread(lanes, arith::SelectOp::create(b, loc, isUsual, value, zero));
  };
  inverse = spreadUsual(inverse);
  correction = spreadUsual(correction);
  opposite = t.spread(lanes, opposite);
  // For each element.
  Value x = arith::MulFOp::create(b, loc, number, t.spread(lanes, factor));
  x = finite(t, x, fixUp);
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
              : divide(t, op.getNumber(), op.getScale()));
      op.erase();
    });
  }
};
} // namespace
