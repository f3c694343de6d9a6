//===- VectorExp.cpp - e^x without library calls ---------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLVM takes `math.exp` on a vector apart into calls of expf, one for each lane. Upstream's
// polynomial (populateMathPolynomialApproximationPatterns) was measured to be up to 5.3 units in
// the last place off. This is the same reduction, x = n ln 2 + r, with the polynomial of Cephes (S.
// Moshier, expf), fused.
//
//===----------------------------------------------------------------------===//
#include "VectorExp.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace lowbit {

Value emitExp(OpBuilder &b, Location loc, Value x) {
  auto vector = dyn_cast<VectorType>(x.getType());
  Type intType = b.getI32Type();
  if (vector)
    intType = vector.cloneWith({}, intType);
  auto constant = [&](TypedAttr value) -> Value {
    if (vector)
      value = SplatElementsAttr::get(vector.cloneWith({}, value.getType()), value);
    return arith::ConstantOp::create(b, loc, value);
  };
  auto real = [&](float value) { return constant(b.getF32FloatAttr(value)); };
  auto integer = [&](int32_t value) { return constant(b.getI32IntegerAttr(value)); };
  auto multiplyAdd = [&](Value p, Value q, Value r) -> Value {
    if (vector)
      return vector::FMAOp::create(b, loc, p, q, r);
    return math::FmaOp::create(b, loc, p, q, r);
  };
  // This order of the operands keeps NaN and is one instruction on x86.
  auto clamp = [&](arith::CmpFPredicate predicate, float bound) {
    Value limit = real(bound);
    Value beyond = arith::CmpFOp::create(b, loc, predicate, limit, x);
    x = arith::SelectOp::create(b, loc, beyond, limit, x);
  };
  // Beyond these every result is infinite or zero.
  clamp(arith::CmpFPredicate::OLT, 89.0f);
  clamp(arith::CmpFPredicate::OGT, -104.0f);

  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits, without a conversion that
  // would be undefined for NaN.
  Value magic = real(12582912.0f);
  Value shifted = multiplyAdd(x, real(1.44269504f), magic);
  Value n = arith::SubFOp::create(b, loc, shifted, magic);
  // ln 2 in two parts, of which the first has few enough bits that n times it is exact.
  Value r = multiplyAdd(n, real(-0.693359375f), x);
  r = multiplyAdd(n, real(2.12194440e-4f), r);
  Value p = real(1.9875691500e-4f);
  for (float coefficient :
       {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
    p = multiplyAdd(p, r, real(coefficient));
  Value square = arith::MulFOp::create(b, loc, r, r);
  p = arith::AddFOp::create(b, loc, multiplyAdd(p, square, r), real(1.0f));

  // Times 2^n in two halves: n reaches 128 and -150, where 2^n itself is no normal number.
  Value bits = arith::BitcastOp::create(b, loc, intType, shifted);
  Value exponent = arith::SubIOp::create(b, loc, bits, integer(0x4B400000));
  Value half = arith::ShRSIOp::create(b, loc, exponent, integer(1));
  Value rest = arith::SubIOp::create(b, loc, exponent, half);
  for (Value part : {half, rest}) {
    Value biased = arith::AddIOp::create(b, loc, part, integer(127));
    Value power = arith::ShLIOp::create(b, loc, biased, integer(23));
    power = arith::BitcastOp::create(b, loc, x.getType(), power);
    p = arith::MulFOp::create(b, loc, p, power);
  }
  return p;
}

} // namespace lowbit
