//===- Formats.cpp - Number formats as IR ---------------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"
#include "lowbit/Numerics/Codebooks.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace lowbit;

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

static LogicalResult verifyBits(function_ref<InFlightDiagnostic()> emitError, unsigned bits) {
  if (bits >= 1 && bits <= 16)
    return success();
  return emitError() << "an integer format has 1 to 16 bits, not " << bits;
}

/// i8, or i16 for codes of 9 to 16 bits.
static IntegerType codeTypeOf(MLIRContext *context, unsigned bits) {
  return IntegerType::get(context, bits <= 8 ? 8 : 16);
}

/// Nearest even, saturated to the format's range, NaN as 0; the low bits of the integer.
static Value buildIntegerEncode(OpBuilder &b, Location loc, Value x,
                                const numerics::Format &format) {
  float low = format.lowest(), high = format.highest();
  IntegerType type = codeTypeOf(b.getContext(), format.bits());
  TileBuilder t(b, loc);
  Value q = math::RoundEvenOp::create(b, loc, x);
  Value isNaN = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, x, x);
  q = arith::SelectOp::create(b, loc, isNaN, t.f32(0), q);
  Value below = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, q, t.f32(low));
  q = arith::SelectOp::create(b, loc, below, t.f32(low), q);
  Value above = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, q, t.f32(high));
  q = arith::SelectOp::create(b, loc, above, t.f32(high), q);
  Value code = arith::FPToSIOp::create(b, loc, b.getI32Type(), q);
  code = arith::TruncIOp::create(b, loc, type, code);
  if (format.bits() == type.getWidth())
    return code;
  Value mask = arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, (1 << format.bits()) - 1));
  return arith::AndIOp::create(b, loc, code, mask);
}

LogicalResult IntFormatAttr::verify(function_ref<InFlightDiagnostic()> emitError, unsigned bits,
                                    bool narrow) {
  if (narrow && bits == 1)
    return emitError() << "a narrow integer format has at least 2 bits: with 1 only zero is left";
  return verifyBits(emitError, bits);
}
numerics::Format IntFormatAttr::getReference() const {
  return numerics::Format::integer(getBits(), getNarrow());
}
Type IntFormatAttr::getCodeType() const { return codeTypeOf(getContext(), getBits()); }
Value IntFormatAttr::buildDecode(OpBuilder &b, Location loc, Value code) const {
  // Sign extension: shift the code to the top of its type and back.
  IntegerType type = codeTypeOf(getContext(), getBits());
  if (getBits() < type.getWidth()) {
    Value shift =
        arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, type.getWidth() - getBits()));
    code = arith::ShLIOp::create(b, loc, code, shift);
    code = arith::ShRSIOp::create(b, loc, code, shift);
  }
  return arith::SIToFPOp::create(b, loc, b.getF32Type(), code);
}
Value IntFormatAttr::buildEncode(OpBuilder &b, Location loc, Value x) const {
  return buildIntegerEncode(b, loc, x, getReference());
}

LogicalResult UIntFormatAttr::verify(function_ref<InFlightDiagnostic()> emitError, unsigned bits) {
  return verifyBits(emitError, bits);
}
numerics::Format UIntFormatAttr::getReference() const {
  return numerics::Format::unsignedInteger(getBits());
}
Type UIntFormatAttr::getCodeType() const { return codeTypeOf(getContext(), getBits()); }
Value UIntFormatAttr::buildDecode(OpBuilder &b, Location loc, Value code) const {
  return arith::UIToFPOp::create(b, loc, b.getF32Type(), code);
}
Value UIntFormatAttr::buildEncode(OpBuilder &b, Location loc, Value x) const {
  return buildIntegerEncode(b, loc, x, getReference());
}

//===----------------------------------------------------------------------===//
// Stored floats
//===----------------------------------------------------------------------===//

LogicalResult FloatFormatAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                      FloatType type) {
  if (type && (type.isF16() || type.isBF16() || type.isF32()))
    return success();
  return emitError() << "a stored float is f16, bf16 or f32, not " << type;
}
numerics::Format FloatFormatAttr::getReference() const {
  return getType().isF16()    ? numerics::Format::float16()
         : getType().isBF16() ? numerics::Format::bfloat16()
                              : numerics::Format::float32();
}
Type FloatFormatAttr::getCodeType() const { return getType(); }
Value FloatFormatAttr::buildDecode(OpBuilder &b, Location loc, Value code) const {
  if (getType().isF32())
    return code;
  if (getType().isF16())
    return arith::ExtFOp::create(b, loc, b.getF32Type(), code);
  // On the bits: LLVM's code generator aborts on conversions of short bf16 vectors.
  Value bits = arith::BitcastOp::create(b, loc, b.getI16Type(), code);
  bits = arith::ExtUIOp::create(b, loc, b.getI32Type(), bits);
  Value sixteen = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(16));
  return arith::BitcastOp::create(b, loc, b.getF32Type(),
                                  arith::ShLIOp::create(b, loc, bits, sixteen));
}
Value FloatFormatAttr::buildEncode(OpBuilder &b, Location loc, Value x) const {
  if (getType().isF32())
    return x;
  if (getType().isF16())
    return arith::TruncFOp::create(b, loc, getType(), x);
  // Nearest even on the bits: LLVM would call a library function for each element.
  TileBuilder t(b, loc);
  auto i32 = [&](int64_t v) -> Value {
    return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(v));
  };
  Value bits = arith::BitcastOp::create(b, loc, b.getI32Type(), x);
  Value odd = arith::AndIOp::create(b, loc, arith::ShRUIOp::create(b, loc, bits, i32(16)), i32(1));
  Value rounded =
      arith::AddIOp::create(b, loc, bits, arith::AddIOp::create(b, loc, odd, i32(0x7fff)));
  Value isNaN = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, x, x);
  Value quiet = arith::OrIOp::create(b, loc, bits, i32(0x00400000));
  Value chosen = arith::SelectOp::create(b, loc, isNaN, quiet, rounded);
  Value high = arith::TruncIOp::create(b, loc, b.getI16Type(),
                                       arith::ShRUIOp::create(b, loc, chosen, i32(16)));
  return arith::BitcastOp::create(b, loc, getType(), high);
}

//===----------------------------------------------------------------------===//
// Codebooks
//===----------------------------------------------------------------------===//

LogicalResult CodebookFormatAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                         StringRef name, DenseF64ArrayAttr arguments,
                                         DenseF32ArrayAttr levels) {
  if (!name.empty()) {
    std::string message;
    if (numerics::namedCodebook(std::string_view(name), arguments.asArrayRef().vec(), &message))
      return success();
    return emitError() << message << "; or give the levels: codebook<[-1.0, 0.0, 1.0]>";
  }
  if (auto message = numerics::Format::checkLevels(levels.asArrayRef().vec()))
    return emitError() << *message;
  return success();
}
numerics::Format CodebookFormatAttr::getReference() const {
  if (!getName().empty())
    return *numerics::namedCodebook(std::string_view(getName()), getArguments().asArrayRef().vec());
  return numerics::Format::codebook(getLevels().asArrayRef().vec());
}
