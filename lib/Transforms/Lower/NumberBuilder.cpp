//===- NumberBuilder.cpp - IR on numbers, or vectors of them --------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "NumberBuilder.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

#include <limits>

using namespace mlir;
using namespace lowbit;
using arith::CmpFPredicate;

NormalScale lowbit::normalize(NumberBuilder t, Value scale) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  // On bits: the magnitude is from 1, the least number, to below infinity.
  Value bits = t.bits(scale);
  Value sign = arith::AndIOp::create(b, loc, bits, t.integer(INT32_MIN));
  Value magnitude = arith::AndIOp::create(b, loc, bits, t.integer(0x7fffffff));
  Value isUsual = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult,
                                        arith::SubIOp::create(b, loc, magnitude, t.integer(1)),
                                        t.integer(0x7f7fffff));
  Value usual = t.choose(isUsual, magnitude, t.integer(0x3f800000));
  // 2^-e for a scale of about 2^e.
  Value exponent = arith::AndIOp::create(b, loc, usual, t.integer(0x7f800000));
  Value opposite = arith::SubIOp::create(b, loc, t.integer(254 << 23), exponent);
  Value normal = arith::MaxSIOp::create(b, loc, opposite, t.integer(1 << 23));
  Value factor = t.number(arith::OrIOp::create(b, loc, normal, sign));
  return {sign, magnitude, isUsual, factor,
          arith::MulFOp::create(b, loc, t.number(usual), t.number(normal))};
}

Value lowbit::fixUp(NumberBuilder t, Value lanes, uint32_t table, StringRef intrinsic) {
  OpBuilder &b = t.b;
  Value classes = t.integer(table, lanes.getType());
  Value none = t.integer(0);
  Value all = arith::ConstantOp::create(b, t.loc, b.getI16IntegerAttr(-1));
  Value current = t.integer(4); // exceptions and rounding as they are
  return LLVM::CallIntrinsicOp::create(b, t.loc, lanes.getType(), b.getStringAttr(intrinsic),
                                       {lanes, lanes, classes, none, all, current})
      .getResult(0);
}
