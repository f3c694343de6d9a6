//===- NumberBuilder.h - IR on numbers, or vectors of them -------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_NUMBERBUILDER_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_NUMBERBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <limits>

namespace lowbit {

/// Numbers, or vectors of them.
struct NumberBuilder {
  mlir::OpBuilder &b;
  mlir::Location loc;

  mlir::Value constant(mlir::Type like, mlir::TypedAttr value) {
    if (auto vector = mlir::dyn_cast<mlir::VectorType>(like))
      value = mlir::SplatElementsAttr::get(vector.clone(value.getType()), value);
    return mlir::arith::ConstantOp::create(b, loc, value);
  }
  mlir::Value real(float value, mlir::Type like) {
    return constant(like, b.getF32FloatAttr(value));
  }
  mlir::Value integer(int32_t value) { return integer(value, b.getI32Type()); }
  mlir::Value integer(int32_t value, mlir::Type like) {
    return constant(like, b.getI32IntegerAttr(value));
  }
  mlir::Value compare(mlir::arith::CmpFPredicate predicate, mlir::Value x, mlir::Value y) {
    return mlir::arith::CmpFOp::create(b, loc, predicate, x, y);
  }
  mlir::Value choose(mlir::Value condition, mlir::Value ifTrue, mlir::Value otherwise) {
    return mlir::arith::SelectOp::create(b, loc, condition, ifTrue, otherwise);
  }
  mlir::Value select(mlir::arith::CmpFPredicate predicate, mlir::Value x, mlir::Value y,
                     mlir::Value ifTrue, mlir::Value otherwise) {
    return choose(compare(predicate, x, y), ifTrue, otherwise);
  }
  mlir::Value spread(mlir::VectorType type, mlir::Value value) {
    return mlir::vector::BroadcastOp::create(b, loc, type, value);
  }
  /// The same bits as i32, or as f32.
  mlir::Value bits(mlir::Value x) { return reinterpret(x, b.getI32Type()); }
  mlir::Value number(mlir::Value x) { return reinterpret(x, b.getF32Type()); }
  /// NaN becomes zero.
  mlir::Value withoutNaN(mlir::Value x) {
    return select(mlir::arith::CmpFPredicate::ORD, x, x, x, real(0, x.getType()));
  }
  /// The quotient by a division; zero by a scale of zero, and where there is none.
  mlir::Value divide(mlir::Value number, mlir::Value scale) {
    mlir::Type type = scale.getType();
    mlir::Value infinity = real(std::numeric_limits<float>::infinity(), type);
    mlir::Value divisor =
        select(mlir::arith::CmpFPredicate::OEQ, scale, real(0, type), infinity, scale);
    return withoutNaN(mlir::arith::DivFOp::create(b, loc, number, divisor));
  }

private:
  mlir::Value reinterpret(mlir::Value x, mlir::Type element) {
    auto vector = mlir::dyn_cast<mlir::VectorType>(x.getType());
    mlir::Type type = vector ? mlir::Type(vector.clone(element)) : element;
    return mlir::arith::BitcastOp::create(b, loc, type, x);
  }
};

/// A block's scale, as far as one factor, a power of two with the scale's sign, makes it easy to
/// compute with: what is multiplied by it does not overflow, and nothing that tells is denormal.
struct NormalScale {
  /// Of the scale, as bits.
  mlir::Value sign, magnitude;
  /// Whether the scale is a finite number other than zero.
  mlir::Value isUsual;
  mlir::Value factor;
  /// The scale times the factor, from 2^-22 to below 4; 1 where the scale is not usual.
  mlir::Value scale;
};
NormalScale normalize(NumberBuilder t, mlir::Value scale);

/// What an instruction makes of numbers by their class: `table` has four bits for each of NaN,
/// signalling NaN, zero, one, -infinity, +infinity, negative and positive numbers, from the lowest:
/// 1 leaves a number as it is, 8 is +0, E and F are the lowest and the highest number.
mlir::Value fixUp(NumberBuilder t, mlir::Value lanes, uint32_t table, llvm::StringRef intrinsic);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_NUMBERBUILDER_H
