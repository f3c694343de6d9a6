//===- StructDigits.cpp - Bytes of a struct as digits ----------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StructDigits.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <numeric>

using namespace mlir;
using lowbit::numerics::BitField;
using lowbit::numerics::Segment;
using lowbit::numerics::StructMember;
using Ofrs = SmallVector<OpFoldResult>;

namespace lowbit {

//===----------------------------------------------------------------------===//
// Segments
//===----------------------------------------------------------------------===//

std::optional<SmallVector<unsigned>> byteDigitsOf(const BitField &field, ArrayRef<int64_t> digits) {
  SmallVector<unsigned> own;
  for (auto [i, stride] : llvm::enumerate(field.byteStrides))
    if (stride != 0)
      own.push_back(i);
  llvm::sort(own,
             [&](unsigned a, unsigned b) { return field.byteStrides[a] > field.byteStrides[b]; });
  int64_t expected = 1;
  for (unsigned i : llvm::reverse(own)) {
    if (field.byteStrides[i] != expected)
      return std::nullopt;
    expected *= digits[i];
  }
  return own;
}

/// The segment with its digit `number` held at `value`.
static Segment withDigit(Segment segment, size_t number, int64_t value) {
  segment.digits.erase(segment.digits.begin() + number);
  for (BitField &field : segment.fields) {
    field.byte += value * field.byteStrides[number];
    field.shift += value * field.shiftStrides[number];
    field.byteStrides.erase(field.byteStrides.begin() + number);
    field.shiftStrides.erase(field.shiftStrides.begin() + number);
  }
  return segment;
}

/// Appends the segment as segments without gaps and without digits of radix 1.
static void appendDense(Segment segment, SmallVectorImpl<Segment> &all) {
  for (size_t i = segment.digits.size(); i-- > 0;)
    if (segment.digits[i] == 1)
      segment = withDigit(std::move(segment), i, 0);
  bool isDense = llvm::all_of(segment.fields, [&](const BitField &field) {
    return byteDigitsOf(field, segment.digits).has_value();
  });
  if (isDense)
    return all.push_back(std::move(segment));
  for (int64_t value = 0; value < segment.digits[0]; ++value)
    appendDense(withDigit(segment, 0, value), all);
}

SmallVector<Segment> denseSegments(const StructMember &member) {
  SmallVector<Segment> all;
  for (const Segment &segment : member.segments)
    appendDense(segment, all);
  return all;
}

bool isPlainBytes(const Segment &segment, uint32_t bias) {
  const BitField &field = segment.fields[0];
  return !bias && !segment.isTernary && segment.fields.size() == 1 && field.width == 8 &&
         segment.digits.size() == 1 && field.byteStrides[0] == 1 && field.shiftStrides[0] == 0;
}

SmallVector<StructCodes> membersOf(const numerics::BlockStruct &block, QuantizedAttr term,
                                   ArrayRef<int64_t> shape) {
  SmallVector<StructCodes> members{{block.members[0], term.getCodeFormat()}};
  for (ScaleLevel &level : term.getAllLevels(shape))
    members.push_back({block.members[members.size()], cast<FormatAttrInterface>(level.format)});
  return members;
}

//===----------------------------------------------------------------------===//
// Tensors of bytes and digits
//===----------------------------------------------------------------------===//

Value splitInto(TileBuilder &t, Value v, ArrayRef<int64_t> radices) {
  if (radices.size() == 1)
    return v;
  auto type = cast<RankedTensorType>(v.getType());
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, v);
  SmallVector<int64_t> shape(type.getShape().drop_back());
  SmallVector<ReassociationIndices> groups(type.getRank());
  sizes.pop_back();
  for (int64_t i = 0; i + 1 < type.getRank(); ++i)
    groups[i] = {i};
  for (int64_t radix : radices) {
    groups.back().push_back(shape.size());
    shape.push_back(radix);
    sizes.push_back(t.index(radix));
  }
  return tensor::ExpandShapeOp::create(
      t.b, t.loc, RankedTensorType::get(shape, type.getElementType()), v, groups, sizes);
}

Value field(TileBuilder &t, Value v, int64_t at, int64_t count) {
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, v), offsets(sizes.size(), t.index(0));
  offsets.back() = t.index(at);
  sizes.back() = t.index(count);
  int64_t last = sizes.size() - 1;
  return t.slice(v, {offsets, sizes}, count == 1 ? ArrayRef(last) : ArrayRef<int64_t>());
}

Value insertField(TileBuilder &t, Value part, Value whole, int64_t at, int64_t count) {
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, whole), offsets(sizes.size(), t.index(0));
  offsets.back() = t.index(at);
  sizes.back() = t.index(count);
  return t.insert(part, whole, {offsets, sizes});
}

SmallVector<int64_t> radicesOf(const Segment &segment, ArrayRef<unsigned> digits) {
  return llvm::map_to_vector(digits, [&](unsigned digit) { return segment.digits[digit]; });
}

int64_t productOf(ArrayRef<int64_t> values) {
  return std::accumulate(values.begin(), values.end(), int64_t(1), std::multiplies<>());
}

AffineMap digitMap(TileBuilder &t, unsigned outer, size_t digits, ArrayRef<unsigned> own) {
  SmallVector<unsigned> results(outer);
  std::iota(results.begin(), results.end(), 0);
  for (unsigned digit : own)
    results.push_back(outer + digit);
  return t.map(outer + digits, results);
}

Value integerConstant(TileBuilder &t, Type type, uint64_t value) {
  unsigned width = type.getIntOrFloatBitWidth();
  return arith::ConstantOp::create(t.b, t.loc,
                                   IntegerAttr::get(type, APInt(64, value).trunc(width)));
}

Value shiftOf(TileBuilder &t, const BitField &field, unsigned outer) {
  Value shift;
  for (auto [i, stride] : llvm::enumerate(field.shiftStrides)) {
    if (stride == 0)
      continue;
    Value at = linalg::IndexOp::create(t.b, t.loc, outer + i);
    Value part = arith::IndexCastOp::create(t.b, t.loc, t.b.getI8Type(), at);
    if (stride != 1)
      part = arith::MulIOp::create(t.b, t.loc, part, t.i8(stride));
    shift = shift ? arith::AddIOp::create(t.b, t.loc, shift, part) : part;
  }
  if (field.shift != 0)
    shift = shift ? arith::AddIOp::create(t.b, t.loc, shift, t.i8(field.shift)) : t.i8(field.shift);
  return shift;
}

Value powerOfThree(TileBuilder &t, Value exponent) {
  Type i16 = t.b.getI16Type();
  Value power = integerConstant(t, i16, 1);
  for (auto [i, value] : llvm::enumerate(ArrayRef<int64_t>{3, 9, 27, 81})) {
    Value is = arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::eq, exponent, t.i8(i + 1));
    power = arith::SelectOp::create(t.b, t.loc, is, integerConstant(t, i16, value), power);
  }
  return power;
}

Value addBias(TileBuilder &t, Value code, const StructCodes &member, bool isSubtracted) {
  uint32_t bias = member.places->bias, modulus = 1u << member.format.bits();
  if (!bias)
    return code;
  // Half the modulus turns the top bit over.
  if (2 * bias == modulus)
    return arith::XOrIOp::create(t.b, t.loc, code, integerConstant(t, member.bitsType, bias));
  uint32_t added = isSubtracted ? modulus - bias : bias;
  code = arith::AddIOp::create(t.b, t.loc, code, integerConstant(t, member.bitsType, added));
  return arith::AndIOp::create(t.b, t.loc, code, integerConstant(t, member.bitsType, modulus - 1));
}

} // namespace lowbit
