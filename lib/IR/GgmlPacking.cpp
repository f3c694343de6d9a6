//===- GgmlPacking.cpp - Codes to interleaved block structs ----------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StructDigits.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace lowbit;
using numerics::BitField;
using numerics::Segment;
using Ofrs = SmallVector<OpFoldResult>;

/// Codes of a segment, [..., digits], to the bytes of one of its fields, [..., bytes]; added to
/// what is in `initial`, if there is something.
static Value packField(TileBuilder &t, Value codes, const Segment &segment, const BitField &field,
                       const StructCodes &member, Value initial) {
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, codes);
  unsigned rank = sizes.size(), outer = rank - segment.digits.size();
  SmallVector<unsigned> own = *byteDigitsOf(field, segment.digits);
  SmallVector<int64_t> radices = radicesOf(segment, own);
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  Ofrs byteSizes(sizes.begin(), sizes.begin() + outer);
  for (int64_t radix : radices)
    byteSizes.push_back(t.index(radix));
  for (unsigned i = 0; i < segment.digits.size(); ++i)
    if (!llvm::is_contained(own, i))
      iterators[outer + i] = utils::IteratorType::reduction;
  bool isAlone = own.size() == segment.digits.size() && !initial;
  Type sumType = segment.isTernary ? Type(t.b.getI16Type()) : Type(t.b.getI8Type());
  if (initial && !own.empty())
    initial = splitInto(t, initial, radices);
  if (!initial)
    initial =
        isAlone ? t.empty(byteSizes, sumType) : t.filled(byteSizes, integerConstant(t, sumType, 0));
  Value bytes = t.generic(
      codes, initial,
      {t.b.getMultiDimIdentityMap(rank), digitMap(t, outer, segment.digits.size(), own)}, iterators,
      [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        Value code = a[0];
        if (isa<FloatType>(member.codeType))
          code = arith::BitcastOp::create(t.b, t.loc, member.bitsType, code);
        code = addBias(t, code, member, /*isSubtracted=*/true);
        if (segment.isTernary) {
          // The first digit weighs most.
          Value exponent = arith::SubIOp::create(t.b, t.loc, t.i8(4), shiftOf(t, field, outer));
          Value wide = arith::ExtUIOp::create(t.b, t.loc, sumType, code);
          wide = arith::MulIOp::create(t.b, t.loc, wide, powerOfThree(t, exponent));
          return {arith::AddIOp::create(t.b, t.loc, a[1], wide)};
        }
        if (field.target)
          code = arith::ShRUIOp::create(t.b, t.loc, code,
                                        integerConstant(t, member.bitsType, field.target));
        if (member.bitsType.getWidth() > 8)
          code = arith::TruncIOp::create(t.b, t.loc, t.b.getI8Type(), code);
        if (field.target + field.width < member.format.bits() && field.width < 8)
          code = arith::AndIOp::create(t.b, t.loc, code, t.i8((1 << field.width) - 1));
        if (Value shift = shiftOf(t, field, outer))
          code = arith::ShLIOp::create(t.b, t.loc, code, shift);
        return {isAlone ? code : arith::OrIOp::create(t.b, t.loc, a[1], code)};
      })[0];
  if (segment.isTernary)
    bytes = t.elementwise(
        bytes, t.b.getI8Type(), [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
          // A fraction of 243 as one of 256, rounded up.
          Value wide = arith::MulIOp::create(t.b, t.loc, a[0], integerConstant(t, sumType, 256));
          wide = arith::AddIOp::create(t.b, t.loc, wide, integerConstant(t, sumType, 242));
          wide = arith::DivUIOp::create(t.b, t.loc, wide, integerConstant(t, sumType, 243));
          return {arith::TruncIOp::create(t.b, t.loc, t.b.getI8Type(), wide)};
        });
  return own.empty() ? t.splitLast(bytes, {1}) : t.joinFrom(bytes, outer);
}

/// Makes the bytes [at, at + count) zero where none of their bits are written yet.
static Value clearRest(TileBuilder &t, Value blocks, int64_t at, int64_t count,
                       ArrayRef<bool> written) {
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, blocks);
  for (int64_t begin = at, end; begin < at + count; begin = end) {
    for (end = begin + 1; end < at + count && written[end] == written[begin];)
      ++end;
    if (written[begin])
      continue;
    sizes.back() = t.index(end - begin);
    blocks = insertField(t, t.filled(sizes, t.i8(0)), blocks, begin, end - begin);
  }
  return blocks;
}

/// Writes the codes of a member over its bytes of `blocks`; `written` says which bytes hold bits of
/// other codes.
static Value packMember(TileBuilder &t, Value codes, const StructCodes &member, Value blocks,
                        SmallVectorImpl<bool> &written) {
  SmallVector<Segment> segments = denseSegments(*member.places);
  if (member.codes() > 1)
    codes = t.splitLast(codes, {member.codes()});
  int64_t start = 0;
  for (const Segment &segment : segments) {
    Value own = codes;
    if (segments.size() > 1)
      own = field(t, codes, start, segment.elements());
    start += segment.elements();
    if (isPlainBytes(segment, member.places->bias)) {
      int64_t at = segment.fields[0].byte;
      blocks = insertField(t, own, blocks, at, segment.digits[0]);
      std::fill_n(written.begin() + at, segment.digits[0], true);
      continue;
    }
    if (!segment.digits.empty())
      own = splitInto(t, own, segment.digits);
    for (const BitField &bits : segment.fields) {
      int64_t count = productOf(radicesOf(segment, *byteDigitsOf(bits, segment.digits)));
      auto range = MutableArrayRef<bool>(written).slice(bits.byte, count);
      bool isShared = llvm::is_contained(range, true);
      if (isShared)
        blocks = clearRest(t, blocks, bits.byte, count, written);
      Value bytes = packField(t, own, segment, bits, member,
                              isShared ? field(t, blocks, bits.byte, count) : Value());
      blocks = insertField(t, bytes, blocks, bits.byte, count);
      llvm::fill(range, true);
    }
  }
  return blocks;
}

FailureOr<SmallVector<Value>> GgmlLayoutAttr::buildPack(OpBuilder &b, Location loc,
                                                        const QuantizedAttr &term,
                                                        RankedTensorType type, const Fields &fields,
                                                        ValueRange destinations) const {
  TileBuilder t(b, loc);
  Value blocks = destinations[0];
  if (isEmptyTensor(blocks))
    return SmallVector<Value>{blocks};
  SmallVector<bool> written(getStruct().bytes, false);
  SmallVector<StructCodes> members = membersOf(getStruct(), term, type.getShape());
  for (auto [i, level] : llvm::enumerate(fields.levels))
    blocks = packMember(t, level, members[i + 1], blocks, written);
  blocks = packMember(t, fields.codes, members[0], blocks, written);
  return SmallVector<Value>{blocks};
}
