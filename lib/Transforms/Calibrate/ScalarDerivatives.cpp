//===- ScalarDerivatives.cpp - The chain rule over scalar ops -------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ScalarDerivatives.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace lowbit;

namespace {
/// Writes formulas: values of one type, at one place.
struct Formula {
  OpBuilder &b;
  Location loc;

  Value constant(Type type, double value) {
    return arith::ConstantOp::create(b, loc, type, b.getFloatAttr(type, value));
  }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, loc, x, y); }
  Value mul(Value x, double y) { return mul(x, constant(x.getType(), y)); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, loc, x, y); }
  /// a * r, but 0 where `a` is: an exponential may be infinite where nothing depends on it, as in
  /// x / (1 + exp(-x)).
  Value mulUnlessZero(Value a, Value r) {
    Value zero = constant(a.getType(), 0);
    Value none = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, a, zero);
    return arith::SelectOp::create(b, loc, none, zero, mul(a, r));
  }
  Value neg(Value x) { return arith::NegFOp::create(b, loc, x); }
  /// `value` where the condition holds, else 0.
  Value where(Value condition, Value value) {
    return arith::SelectOp::create(b, loc, condition, value, constant(value.getType(), 0));
  }
  Value unless(Value condition, Value value) {
    return arith::SelectOp::create(b, loc, condition, constant(value.getType(), 0), value);
  }
};
} // namespace

/// The derivative of a function of one number, times `a`. x: its argument; r: its value.
static Value differentiateUnary(Formula f, Operation *op, Value x, Value r, Value a) {
  Type type = a.getType();
  return TypeSwitch<Operation *, Value>(op)
      .Case([&](arith::NegFOp) { return f.neg(a); })
      .Case([&](math::ExpOp) { return f.mulUnlessZero(a, r); })
      .Case([&](math::Exp2Op) { return f.mul(f.mulUnlessZero(a, r), llvm::numbers::ln2); })
      .Case([&](math::ExpM1Op) { return f.mulUnlessZero(a, f.add(r, f.constant(type, 1))); })
      .Case([&](math::LogOp) { return f.div(a, x); })
      .Case([&](math::Log2Op) { return f.div(f.mul(a, 1 / llvm::numbers::ln2), x); })
      .Case([&](math::Log1pOp) { return f.div(a, f.add(x, f.constant(type, 1))); })
      .Case([&](math::SqrtOp) { return f.div(f.mul(a, 0.5), r); })
      .Case([&](math::RsqrtOp) { return f.mul(f.mul(a, f.mul(r, f.mul(r, r))), -0.5); })
      .Case([&](math::TanhOp) {
        return f.mul(a, arith::SubFOp::create(f.b, f.loc, f.constant(type, 1), f.mul(r, r)));
      })
      .Case([&](math::ErfOp) {
        Value bell = math::ExpOp::create(f.b, f.loc, f.neg(f.mul(x, x)));
        return f.mul(a, f.mul(bell, 2 * llvm::numbers::inv_sqrtpi));
      })
      .Case([&](math::SinOp) { return f.mul(a, math::CosOp::create(f.b, f.loc, x)); })
      .Case([&](math::CosOp) { return f.neg(f.mul(a, math::SinOp::create(f.b, f.loc, x))); })
      .Case([&](math::AbsFOp) {
        Value sign = math::CopySignOp::create(f.b, f.loc, f.constant(type, 1), x);
        return f.mul(a, sign);
      })
      .Default(Value());
}

/// Of the larger or the smaller of two: all to the one that it is, to the first of two that are
/// equal.
static SmallVector<Value> differentiateExtremum(Formula f, arith::CmpFPredicate isFirst, Value x,
                                                Value y, Value a) {
  Value first = arith::CmpFOp::create(f.b, f.loc, isFirst, x, y);
  return {f.where(first, a), f.unless(first, a)};
}

FailureOr<SmallVector<Value>> lowbit::differentiateScalar(OpBuilder &b, Operation *op,
                                                          const IRMapping &map, Value a) {
  using Results = FailureOr<SmallVector<Value>>;
  Formula f{b, op->getLoc()};
  auto operand = [&](unsigned i) { return map.lookupOrDefault(op->getOperand(i)); };
  Value r = map.lookupOrDefault(op->getResult(0));
  auto list = [](std::initializer_list<Value> values) {
    return Results(SmallVector<Value>(values));
  };
  return TypeSwitch<Operation *, Results>(op)
      .Case([&](arith::AddFOp) { return list({a, a}); })
      .Case([&](arith::SubFOp) { return list({a, f.neg(a)}); })
      .Case([&](arith::MulFOp) { return list({f.mul(a, operand(1)), f.mul(a, operand(0))}); })
      .Case([&](arith::DivFOp) {
        Value part = f.div(a, operand(1));
        return list({part, f.neg(f.mul(part, r))});
      })
      .Case([&](math::FmaOp) { return list({f.mul(a, operand(1)), f.mul(a, operand(0)), a}); })
      .Case([&](math::PowFOp) {
        Value x = operand(0), y = operand(1);
        Value less = f.add(y, f.constant(y.getType(), -1));
        Value slope = f.mul(y, math::PowFOp::create(b, f.loc, x, less));
        return list({f.mul(a, slope), f.mul(a, f.mul(r, math::LogOp::create(b, f.loc, x)))});
      })
      .Case<arith::MaximumFOp, arith::MaxNumFOp>([&](auto) {
        return Results(
            differentiateExtremum(f, arith::CmpFPredicate::OGE, operand(0), operand(1), a));
      })
      .Case<arith::MinimumFOp, arith::MinNumFOp>([&](auto) {
        return Results(
            differentiateExtremum(f, arith::CmpFPredicate::OLE, operand(0), operand(1), a));
      })
      .Case([&](arith::SelectOp) {
        return list({Value(), f.where(operand(0), a), f.unless(operand(0), a)});
      })
      .Case<arith::ExtFOp, arith::TruncFOp>([&](auto) {
        Type type = op->getOperand(0).getType();
        bool widen = type.getIntOrFloatBitWidth() > a.getType().getIntOrFloatBitWidth();
        return list({widen ? Value(arith::ExtFOp::create(b, f.loc, type, a))
                           : Value(arith::TruncFOp::create(b, f.loc, type, a))});
      })
      .Default([&](Operation *) -> Results {
        Value only =
            op->getNumOperands() == 1 ? differentiateUnary(f, op, operand(0), r, a) : Value();
        return only ? list({only}) : Results(failure());
      });
}

void ScalarCotangents::add(Value value, Value cotangent) {
  Value &sum = cotangents[value];
  sum = sum ? arith::AddFOp::create(b, cotangent.getLoc(), sum, cotangent).getResult() : cotangent;
}

LogicalResult ScalarCotangents::propagate(Block &block, Value target) {
  SetVector<Value> dependent;
  dependent.insert(target);
  for (Operation &op : block) {
    SetVector<Value> captured;
    getUsedValuesDefinedAbove(op.getRegions(), captured);
    if (llvm::any_of(captured, [&](Value v) { return dependent.contains(v); }))
      return op.emitOpError("has no derivative that is known");
    // What is a step function of its operands has no part in what depends on them.
    if (!isa<arith::CmpFOp, arith::FPToSIOp, arith::FPToUIOp>(op) &&
        llvm::any_of(op.getOperands(), [&](Value v) { return dependent.contains(v); }))
      dependent.insert(op.result_begin(), op.result_end());
  }
  for (Operation &op : llvm::reverse(block.without_terminator())) {
    if (op.getNumResults() != 1 || !dependent.contains(op.getResult(0)))
      continue;
    Value cotangent = lookup(op.getResult(0));
    if (!cotangent)
      continue;
    FailureOr<SmallVector<Value>> parts = differentiateScalar(b, &op, map, cotangent);
    if (failed(parts))
      return op.emitOpError("has no derivative that is known");
    for (auto [operand, part] : llvm::zip_equal(op.getOperands(), *parts))
      if (part && dependent.contains(operand))
        add(operand, part);
  }
  return success();
}
