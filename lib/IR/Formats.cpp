//===- Formats.cpp - Number formats as IR ---------------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <limits>

using namespace mlir;
using namespace lowbit;

//===----------------------------------------------------------------------===//
// Tables of levels: what a format of up to 8 bits gets without saying more
//===----------------------------------------------------------------------===//

/// A constant table of 2^bits entries, so that no code can read past it.
static Value tableOf(OpBuilder &b, Location loc, ArrayRef<float> values) {
  auto type = RankedTensorType::get({(int64_t)values.size()}, b.getF32Type());
  return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, values));
}

Value lowbit::buildTableDecode(OpBuilder &b, Location loc, const numerics::Format &format,
                               Value code) {
  SmallVector<float> levels;
  for (uint32_t c = 0; c < (1u << format.bits()); ++c)
    levels.push_back(format.decode(c));
  Value i = arith::IndexCastUIOp::create(b, loc, b.getIndexType(), code);
  return tensor::ExtractOp::create(b, loc, tableOf(b, loc, levels), i);
}

/// Binary search for the number of thresholds t with x >= t; NaN encodes as zero does.
Value lowbit::buildTableEncode(OpBuilder &b, Location loc, const numerics::Format &format,
                               Value value) {
  std::vector<float> thresholds = format.thresholds();
  thresholds.resize((1u << format.bits()) - 1, std::numeric_limits<float>::quiet_NaN());
  Value table = tableOf(b, loc, thresholds);
  TileBuilder t(b, loc);
  Value isNaN = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, value, value);
  value = arith::SelectOp::create(b, loc, isNaN, t.f32(0), value);
  Value code = t.constantIndex(0);
  for (unsigned step = 1u << (format.bits() - 1); step; step /= 2) {
    Value at = arith::AddIOp::create(b, loc, code, t.constantIndex(step - 1));
    Value threshold = tensor::ExtractOp::create(b, loc, table, at);
    Value above = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGE, value, threshold);
    Value next = arith::AddIOp::create(b, loc, code, t.constantIndex(step));
    code = arith::SelectOp::create(b, loc, above, next, code);
  }
  return arith::IndexCastUIOp::create(b, loc, b.getI8Type(), code);
}

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

static LogicalResult verifyBits(function_ref<InFlightDiagnostic()> emitError, unsigned bits) {
  if (bits >= 1 && bits <= 8)
    return success();
  return emitError() << "an integer format has 1 to 8 bits, not " << bits;
}

/// Nearest even, saturated to [low, high], NaN as 0; the low bits of the integer.
static Value buildIntegerEncode(OpBuilder &b, Location loc, Value x, float low, float high,
                                unsigned bits) {
  TileBuilder t(b, loc);
  Value q = math::RoundEvenOp::create(b, loc, x);
  Value isNaN = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, x, x);
  q = arith::SelectOp::create(b, loc, isNaN, t.f32(0), q);
  Value below = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, q, t.f32(low));
  q = arith::SelectOp::create(b, loc, below, t.f32(low), q);
  Value above = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, q, t.f32(high));
  q = arith::SelectOp::create(b, loc, above, t.f32(high), q);
  Value code = arith::FPToSIOp::create(b, loc, b.getI32Type(), q);
  code = arith::TruncIOp::create(b, loc, b.getI8Type(), code);
  if (bits == 8)
    return code;
  return arith::AndIOp::create(b, loc, code, t.i8((1 << bits) - 1));
}

LogicalResult IntFormatAttr::verify(function_ref<InFlightDiagnostic()> emitError, unsigned bits) {
  return verifyBits(emitError, bits);
}
numerics::Format IntFormatAttr::getReference() const {
  return numerics::Format::integer(getBits());
}
Value IntFormatAttr::buildDecode(OpBuilder &b, Location loc, Value code) const {
  // Sign extension: shift the code to the top of its byte and back.
  if (getBits() < 8) {
    Value shift = TileBuilder(b, loc).i8(8 - getBits());
    code = arith::ShLIOp::create(b, loc, code, shift);
    code = arith::ShRSIOp::create(b, loc, code, shift);
  }
  return arith::SIToFPOp::create(b, loc, b.getF32Type(), code);
}
Value IntFormatAttr::buildEncode(OpBuilder &b, Location loc, Value x) const {
  numerics::Format f = getReference();
  return buildIntegerEncode(b, loc, x, f.lowest(), f.highest(), getBits());
}

LogicalResult UIntFormatAttr::verify(function_ref<InFlightDiagnostic()> emitError, unsigned bits) {
  return verifyBits(emitError, bits);
}
numerics::Format UIntFormatAttr::getReference() const {
  return numerics::Format::unsignedInteger(getBits());
}
Value UIntFormatAttr::buildDecode(OpBuilder &b, Location loc, Value code) const {
  return arith::UIToFPOp::create(b, loc, b.getF32Type(), code);
}
Value UIntFormatAttr::buildEncode(OpBuilder &b, Location loc, Value x) const {
  numerics::Format f = getReference();
  return buildIntegerEncode(b, loc, x, f.lowest(), f.highest(), getBits());
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
                                         StringRef name, DenseF32ArrayAttr levels) {
  if (!name.empty()) {
    if (numerics::namedCodebook(std::string_view(name)))
      return success();
    return emitError() << "no codebook is named '" << name
                       << "'; known: nf4, or give the levels: codebook<[-1.0, 0.0, 1.0]>";
  }
  if (auto message = numerics::Format::checkLevels(levels.asArrayRef().vec()))
    return emitError() << *message;
  return success();
}
numerics::Format CodebookFormatAttr::getReference() const {
  if (!getName().empty())
    return *numerics::namedCodebook(std::string_view(getName()));
  return numerics::Format::codebook(getLevels().asArrayRef().vec());
}
