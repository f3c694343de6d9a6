//===- Minifloats.cpp - Floating-point codes of 3 to 8 bits as IR ---------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A minifloat's exponent and mantissa lie in an f32 as they lie in the code, only higher and with
// another bias: numbers that are normal in both convert by a shift and an addition of integers.
// Subnormal numbers are integers times a power of two. The few formats whose normal numbers are
// subnormal in f32, or whose subnormal ones overflow the constants, use tables.
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"
#include "lowbit/Numerics/Half.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

#include <cmath>

using namespace mlir;
using namespace lowbit;
using numerics::Minifloat;
using numerics::SpecialCodes;

LogicalResult MinifloatFormatAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                          unsigned exponentBits, unsigned mantissaBits, int bias,
                                          bool isSigned, SpecialCodes special) {
  if (auto message = Minifloat{exponentBits, mantissaBits, bias, isSigned, special}.check())
    return emitError() << *message;
  return success();
}

Minifloat MinifloatFormatAttr::getParameters() const {
  return {getExponentBits(), getMantissaBits(), getBias(), getIsSigned(), getSpecial()};
}
numerics::Format MinifloatFormatAttr::getReference() const {
  return numerics::Format::minifloat(getParameters());
}

namespace {
/// Scalar integer IR on i32, and the numbers that conversions of one format need.
struct Converter {
  Converter(OpBuilder &b, Location loc, const Minifloat &format)
      : b(b), loc(loc), format(format), shift(23 - format.mantissaBits),
        magnitudeBits(format.exponentBits + format.mantissaBits) {}

  Value i32(uint32_t v) {
    return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(static_cast<int32_t>(v)));
  }
  Value f32(float v) { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(v)); }
  Value bitsOf(Value x) { return arith::BitcastOp::create(b, loc, b.getI32Type(), x); }
  Value floatOf(Value bits) { return arith::BitcastOp::create(b, loc, b.getF32Type(), bits); }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubIOp::create(b, loc, x, y); }
  Value bitAnd(Value x, uint32_t mask) { return arith::AndIOp::create(b, loc, x, i32(mask)); }
  Value shl(Value x, unsigned by) { return by ? arith::ShLIOp::create(b, loc, x, i32(by)) : x; }
  Value shr(Value x, unsigned by) { return by ? arith::ShRUIOp::create(b, loc, x, i32(by)) : x; }
  Value compare(arith::CmpIPredicate predicate, Value x, uint32_t v) {
    return arith::CmpIOp::create(b, loc, predicate, x, i32(v));
  }
  Value select(Value condition, Value x, Value y) {
    return arith::SelectOp::create(b, loc, condition, x, y);
  }

  /// What is added to an exponent field to make it that of an f32, at its place there.
  uint32_t rebias() const { return static_cast<uint32_t>(127 - format.bias) << 23; }
  /// The exponent of the smallest normal number, 2^n.
  int normalExponent() const { return 1 - format.bias; }
  /// The distance of subnormal numbers is 2^n.
  int subnormalExponent() const { return normalExponent() - static_cast<int>(format.mantissaBits); }
  /// True if conversions by shifts are exact.
  bool isShifted() const {
    if (format.special == SpecialCodes::FNU)
      return format.bias <= 127;
    return normalExponent() >= -126 && subnormalExponent() + 23 <= 127;
  }

  Value decode(Value code);
  Value decodeMagnitude(Value magnitude);
  Value encode(Value x);
  Value encodeMagnitude(Value magnitude);
  /// Rounded to nearest even at the last mantissa bit; the codes of numbers that are normal.
  Value roundedNormal(Value magnitude);

  OpBuilder &b;
  Location loc;
  const Minifloat &format;
  unsigned shift;
  unsigned magnitudeBits;
};
} // namespace

//===----------------------------------------------------------------------===//
// Decode
//===----------------------------------------------------------------------===//

/// The bits of the f32, without the sign.
Value Converter::decodeMagnitude(Value magnitude) {
  Value bits = add(shl(magnitude, shift), i32(rebias()));
  if (format.special == SpecialCodes::FNU) {
    if (format.bias == 127) // 2^-127 is subnormal in f32
      bits = select(compare(arith::CmpIPredicate::eq, magnitude, 0), i32(0x00400000), bits);
  } else {
    Value integer = arith::UIToFPOp::create(b, loc, b.getF32Type(), magnitude);
    Value subnormal =
        arith::MulFOp::create(b, loc, integer, f32(std::ldexp(1.0f, subnormalExponent())));
    Value isSubnormal = compare(arith::CmpIPredicate::ult, magnitude, 1u << format.mantissaBits);
    bits = select(isSubnormal, bitsOf(subnormal), bits);
  }
  constexpr uint32_t nan = 0x7fc00000, infinity = 0x7f800000;
  uint32_t largest = format.largestCode();
  if (format.special == SpecialCodes::IEEE) {
    bits = select(compare(arith::CmpIPredicate::ugt, magnitude, largest), i32(nan), bits);
    bits = select(compare(arith::CmpIPredicate::eq, magnitude, largest + 1), i32(infinity), bits);
  } else if (format.special == SpecialCodes::FN || format.special == SpecialCodes::FNU) {
    bits = select(compare(arith::CmpIPredicate::ugt, magnitude, largest), i32(nan), bits);
  }
  return bits;
}

Value Converter::decode(Value code) {
  Value wide = arith::ExtUIOp::create(b, loc, b.getI32Type(), code);
  if (!format.isSigned)
    return floatOf(decodeMagnitude(wide));
  Value bits = decodeMagnitude(bitAnd(wide, (1u << magnitudeBits) - 1));
  Value sign = shl(shr(wide, magnitudeBits), 31);
  bits = arith::OrIOp::create(b, loc, bits, sign);
  if (format.special == SpecialCodes::FNUZ)
    bits =
        select(compare(arith::CmpIPredicate::eq, wide, format.codeOfNaN()), i32(0x7fc00000), bits);
  return floatOf(bits);
}

Value MinifloatFormatAttr::buildDecode(OpBuilder &b, Location loc, Value code) const {
  Minifloat parameters = getParameters();
  Converter converter(b, loc, parameters);
  return converter.isShifted() ? converter.decode(code)
                               : buildTableDecode(b, loc, getReference(), code);
}

//===----------------------------------------------------------------------===//
// Encode
//===----------------------------------------------------------------------===//

Value Converter::roundedNormal(Value magnitude) {
  Value rebased = sub(magnitude, i32(rebias()));
  Value isOdd = bitAnd(shr(rebased, shift), 1);
  Value justBelowHalf = i32((1u << (shift - 1)) - 1);
  return shr(add(rebased, add(isOdd, justBelowHalf)), shift);
}

/// `magnitude`: the bits of the f32, without the sign.
Value Converter::encodeMagnitude(Value magnitude) {
  Value code = roundedNormal(magnitude);
  if (format.special == SpecialCodes::FNU) {
    // Code 0 is a number, so that up to the middle between it and the next there is nothing to
    // round; that may lie among the subnormal numbers of f32.
    uint32_t middle = numerics::bitsOfFloat(std::ldexp(1.5f, -format.bias));
    code = select(compare(arith::CmpIPredicate::ugt, magnitude, middle), code, i32(0));
  } else {
    // Adding 2^n whose last mantissa bit is worth the smallest subnormal number rounds to its
    // multiples; those that follow the bits of 2^n count them.
    float counter = std::ldexp(1.0f, subnormalExponent() + 23);
    Value sum = arith::AddFOp::create(b, loc, floatOf(magnitude), f32(counter));
    Value subnormal = sub(bitsOf(sum), i32(numerics::bitsOfFloat(counter)));
    uint32_t normal = numerics::bitsOfFloat(std::ldexp(1.0f, normalExponent()));
    code = select(compare(arith::CmpIPredicate::ult, magnitude, normal), subnormal, code);
  }
  return arith::MinUIOp::create(b, loc, code, i32(format.largestCode()));
}

Value Converter::encode(Value x) {
  Value bits = bitsOf(x), magnitude = bitAnd(bits, 0x7fffffff), code;
  if (isShifted()) {
    code = encodeMagnitude(magnitude);
  } else {
    Value rank = buildTableRank(b, loc, numerics::Format::minifloat(format), floatOf(magnitude));
    code = arith::IndexCastUIOp::create(b, loc, b.getI32Type(), rank);
  }
  if (format.isSigned) {
    Value sign = shl(shr(bits, 31), magnitudeBits);
    Value negative = arith::OrIOp::create(b, loc, code, sign);
    code = format.hasNegativeZero()
               ? negative
               : select(compare(arith::CmpIPredicate::eq, code, 0), code, negative);
  } else {
    code = select(compare(arith::CmpIPredicate::slt, bits, 0), i32(0), code);
  }
  Value isNaN = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, x, x);
  code = select(isNaN, i32(format.hasNaN() ? format.codeOfNaN() : 0), code);
  return arith::TruncIOp::create(b, loc, b.getI8Type(), code);
}

Value MinifloatFormatAttr::buildEncode(OpBuilder &b, Location loc, Value x) const {
  Minifloat parameters = getParameters();
  return Converter(b, loc, parameters).encode(x);
}
