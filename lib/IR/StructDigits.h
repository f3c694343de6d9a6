//===- StructDigits.h - Bytes of a struct as digits --------------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What unpacking and packing of block structs share: see GgmlLayout.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_IR_STRUCTDIGITS_H
#define LOWBIT_LIB_IR_STRUCTDIGITS_H

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"

#include <optional>

namespace lowbit {

/// A code format, and the integer type that its bits are computed in.
struct StructCodes {
  const numerics::StructMember *places;
  numerics::Format format;
  mlir::Type codeType;
  mlir::IntegerType bitsType;

  StructCodes(const numerics::StructMember &places, FormatAttrInterface attribute)
      : places(&places), format(attribute.getReference()), codeType(attribute.getCodeType()),
        bitsType(mlir::IntegerType::get(attribute.getContext(), format.bits() <= 8 ? 8 : 16)) {}

  int64_t codes() const {
    int64_t count = 0;
    for (const numerics::Segment &segment : places->segments)
      count += segment.elements();
    return count;
  }
};

/// The digits that a field's byte number depends on, the one of the largest stride first; none if
/// the bytes that they number have gaps.
std::optional<llvm::SmallVector<unsigned>> byteDigitsOf(const numerics::BitField &field,
                                                        llvm::ArrayRef<int64_t> digits);

/// All of a member, without gaps and without digits of radix 1, in order.
llvm::SmallVector<numerics::Segment> denseSegments(const numerics::StructMember &member);

/// Bytes that are the codes, in order.
bool isPlainBytes(const numerics::Segment &segment, uint32_t bias);

/// Codes first, then the levels: as numerics::codeArrays.
llvm::SmallVector<StructCodes> membersOf(const numerics::BlockStruct &block, QuantizedAttr term,
                                         llvm::ArrayRef<int64_t> shape);

/// Splits the last dimension into exactly these.
mlir::Value splitInto(TileBuilder &t, mlir::Value v, llvm::ArrayRef<int64_t> radices);

/// Elements [at, at + count) of the last dimension, which goes if count is 1.
mlir::Value field(TileBuilder &t, mlir::Value v, int64_t at, int64_t count);

mlir::Value insertField(TileBuilder &t, mlir::Value part, mlir::Value whole, int64_t at,
                        int64_t count);

llvm::SmallVector<int64_t> radicesOf(const numerics::Segment &segment,
                                     llvm::ArrayRef<unsigned> digits);

int64_t productOf(llvm::ArrayRef<int64_t> values);

/// The map from the space of `outer` dimensions and all digits to the outer ones and these digits.
mlir::AffineMap digitMap(TileBuilder &t, unsigned outer, size_t digits,
                         llvm::ArrayRef<unsigned> own);

mlir::Value integerConstant(TileBuilder &t, mlir::Type type, uint64_t value);

/// The shift of a field within the body of a generic, i8; null if it is zero.
mlir::Value shiftOf(TileBuilder &t, const numerics::BitField &field, unsigned outer);

/// 3^exponent for an i8 of 0 to 4, as an i16.
mlir::Value powerOfThree(TileBuilder &t, mlir::Value exponent);

/// `stored` plus the bias, or a code minus it, modulo 2^bits.
mlir::Value addBias(TileBuilder &t, mlir::Value code, const StructCodes &member, bool isSubtracted);

} // namespace lowbit

#endif // LOWBIT_LIB_IR_STRUCTDIGITS_H
