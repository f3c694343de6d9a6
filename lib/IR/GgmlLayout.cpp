//===- GgmlLayout.cpp - Interleaved block structs of GGUF files -----------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// IR for any struct that is described as a numerics::BlockStruct. Bytes become a tensor of the
// digits that a byte number is made of, so that every index map is a projection; which bits of a
// byte belong to an element follows from its index. Where byte numbers have gaps between digits, a
// segment is taken apart by its outermost digit.
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

#include <numeric>

using namespace mlir;
using namespace lowbit;
using numerics::BitField;
using numerics::Segment;
using numerics::StructMember;
using Ofrs = SmallVector<OpFoldResult>;

LogicalResult GgmlLayoutAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                     StringRef block) {
  if (numerics::ggmlStruct(std::string_view(block)))
    return success();
  InFlightDiagnostic error = emitError();
  error << "unknown ggml block '" << block << "'; known: ";
  llvm::interleaveComma(numerics::ggmlStructs(), error,
                        [&](const numerics::BlockStruct *known) { error << known->name; });
  return error;
}

const numerics::BlockStruct &GgmlLayoutAttr::getStruct() const {
  return *numerics::ggmlStruct(std::string_view(getBlock()));
}

std::shared_ptr<const numerics::Layout> GgmlLayoutAttr::getReference() const {
  return numerics::ggmlLayout(std::string_view(getBlock()));
}

LogicalResult GgmlLayoutAttr::verifyTerm(const QuantizedAttr &term, ArrayRef<int64_t> shape,
                                         function_ref<InFlightDiagnostic()> emitError) const {
  // A dynamic last axis is checked where its extent is known.
  numerics::Shape extents(shape.begin(), shape.end());
  for (int64_t &extent : extents)
    extent = ShapedType::isDynamic(extent) ? 0 : extent;
  if (auto message = getReference()->check(term.getReferenceTerm(), extents))
    return emitError() << *message;
  return success();
}

SmallVector<EncodingComponent> GgmlLayoutAttr::getComponents(const QuantizedAttr &,
                                                             RankedTensorType type) const {
  SmallVector<int64_t> shape(type.getShape());
  if (!ShapedType::isDynamic(shape.back()))
    shape.back() /= getStruct().elements;
  shape.push_back(getStruct().bytes);
  return {{"blocks", RankedTensorType::get(shape, IntegerType::get(getContext(), 8)),
           ComponentRole::Payload}};
}

SmallVector<int64_t> GgmlLayoutAttr::getTileMultiples(const QuantizedAttr &,
                                                      RankedTensorType type) const {
  SmallVector<int64_t> multiples(type.getRank(), 1);
  multiples.back() = getStruct().elements;
  return multiples;
}

Box GgmlLayoutAttr::getComponentRegion(OpBuilder &b, Location loc, const QuantizedAttr &,
                                       RankedTensorType, unsigned, const Box &region) const {
  TileBuilder t(b, loc);
  Box blocks = region;
  blocks.offsets.back() = t.floorDiv(region.offsets.back(), getStruct().elements);
  blocks.sizes.back() = t.floorDiv(region.sizes.back(), getStruct().elements);
  blocks.offsets.push_back(t.index(0));
  blocks.sizes.push_back(t.index(getStruct().bytes));
  return blocks;
}

//===----------------------------------------------------------------------===//
// Segments
//===----------------------------------------------------------------------===//

/// The digits that a field's byte number depends on, the one of the largest stride first; none if
/// the bytes that they number have gaps.
static std::optional<SmallVector<unsigned>> byteDigitsOf(const BitField &field,
                                                         ArrayRef<int64_t> digits) {
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

static SmallVector<Segment> denseSegments(const StructMember &member) {
  SmallVector<Segment> all;
  for (const Segment &segment : member.segments)
    appendDense(segment, all);
  return all;
}

/// Bytes that are the codes, in order.
static bool isPlainBytes(const Segment &segment, uint32_t bias) {
  const BitField &field = segment.fields[0];
  return !bias && !segment.isTernary && segment.fields.size() == 1 && field.width == 8 &&
         segment.digits.size() == 1 && field.byteStrides[0] == 1 && field.shiftStrides[0] == 0;
}

namespace {
/// A code format, and the integer type that its bits are computed in.
struct Member {
  const StructMember *places;
  numerics::Format format;
  Type codeType;
  IntegerType bitsType;

  Member(const StructMember &places, FormatAttrInterface attribute)
      : places(&places), format(attribute.getReference()), codeType(attribute.getCodeType()),
        bitsType(IntegerType::get(attribute.getContext(), format.bits() <= 8 ? 8 : 16)) {}

  int64_t codes() const {
    int64_t count = 0;
    for (const Segment &segment : places->segments)
      count += segment.elements();
    return count;
  }
};
} // namespace

/// Codes first, then the levels: as numerics::codeArrays.
static SmallVector<Member> membersOf(const numerics::BlockStruct &block, QuantizedAttr term,
                                     ArrayRef<int64_t> shape) {
  SmallVector<Member> members{{block.members[0], term.getCodeFormat()}};
  for (ScaleLevel &level : term.getAllLevels(shape))
    members.push_back({block.members[members.size()], cast<FormatAttrInterface>(level.format)});
  return members;
}

//===----------------------------------------------------------------------===//
// Tensors of bytes and digits
//===----------------------------------------------------------------------===//

/// Splits the last dimension into exactly these.
static Value splitInto(TileBuilder &t, Value v, ArrayRef<int64_t> radices) {
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

/// Elements [at, at + count) of the last dimension, which goes if count is 1.
static Value field(TileBuilder &t, Value v, int64_t at, int64_t count) {
  auto type = cast<RankedTensorType>(v.getType());
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, v), offsets(sizes.size(), t.index(0));
  offsets.back() = t.index(at);
  sizes.back() = t.index(count);
  SmallVector<int64_t> shape(type.getShape());
  shape.back() = count;
  if (count == 1)
    shape.pop_back();
  return tensor::ExtractSliceOp::create(t.b, t.loc,
                                        RankedTensorType::get(shape, type.getElementType()), v,
                                        offsets, sizes, Ofrs(sizes.size(), t.index(1)));
}

static Value insertField(TileBuilder &t, Value part, Value whole, int64_t at, int64_t count) {
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, whole), offsets(sizes.size(), t.index(0));
  offsets.back() = t.index(at);
  sizes.back() = t.index(count);
  return tensor::InsertSliceOp::create(t.b, t.loc, part, whole, offsets, sizes,
                                       Ofrs(sizes.size(), t.index(1)));
}

static SmallVector<int64_t> radicesOf(const Segment &segment, ArrayRef<unsigned> digits) {
  return llvm::map_to_vector(digits, [&](unsigned digit) { return segment.digits[digit]; });
}

static int64_t productOf(ArrayRef<int64_t> values) {
  return std::accumulate(values.begin(), values.end(), int64_t(1), std::multiplies<>());
}

/// The map from the space of `outer` dimensions and all digits to the outer ones and these digits.
static AffineMap digitMap(TileBuilder &t, unsigned outer, size_t digits, ArrayRef<unsigned> own) {
  SmallVector<unsigned> results(outer);
  std::iota(results.begin(), results.end(), 0);
  for (unsigned digit : own)
    results.push_back(outer + digit);
  return t.map(outer + digits, results);
}

static Value constant(TileBuilder &t, Type type, uint64_t value) {
  unsigned width = type.getIntOrFloatBitWidth();
  return arith::ConstantOp::create(t.b, t.loc,
                                   IntegerAttr::get(type, APInt(64, value).trunc(width)));
}

/// The shift of a field within the body of a generic, i8; null if it is zero.
static Value shiftOf(TileBuilder &t, const BitField &field, unsigned outer) {
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

/// 3^exponent for an i8 of 0 to 4, as an i16.
static Value powerOfThree(TileBuilder &t, Value exponent) {
  Type i16 = t.b.getI16Type();
  Value power = constant(t, i16, 1);
  for (auto [i, value] : llvm::enumerate(ArrayRef<int64_t>{3, 9, 27, 81})) {
    Value is = arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::eq, exponent, t.i8(i + 1));
    power = arith::SelectOp::create(t.b, t.loc, is, constant(t, i16, value), power);
  }
  return power;
}

/// `stored` plus the bias, or a code minus it, modulo 2^bits.
static Value addBias(TileBuilder &t, Value code, const Member &member, bool isSubtracted) {
  uint32_t bias = member.places->bias, modulus = 1u << member.format.bits();
  if (!bias)
    return code;
  // Half the modulus turns the top bit over.
  if (2 * bias == modulus)
    return arith::XOrIOp::create(t.b, t.loc, code, constant(t, member.bitsType, bias));
  uint32_t added = isSubtracted ? modulus - bias : bias;
  code = arith::AddIOp::create(t.b, t.loc, code, constant(t, member.bitsType, added));
  return arith::AndIOp::create(t.b, t.loc, code, constant(t, member.bitsType, modulus - 1));
}

//===----------------------------------------------------------------------===//
// Unpacking
//===----------------------------------------------------------------------===//

static Value unpackTrit(TileBuilder &t, Value byte, Value number) {
  Type i16 = t.b.getI16Type();
  Value wide = arith::ExtUIOp::create(t.b, t.loc, i16, byte);
  wide = arith::MulIOp::create(t.b, t.loc, wide, powerOfThree(t, number));
  wide = arith::AndIOp::create(t.b, t.loc, wide, constant(t, i16, 255));
  wide = arith::MulIOp::create(t.b, t.loc, wide, constant(t, i16, 3));
  wide = arith::ShRUIOp::create(t.b, t.loc, wide, constant(t, i16, 8));
  return arith::TruncIOp::create(t.b, t.loc, t.b.getI8Type(), wide);
}

/// The bits of one field, at their place in the code.
static Value unpackBits(TileBuilder &t, Value byte, const BitField &field, const Member &member,
                        unsigned outer) {
  Value bits = byte;
  if (Value shift = shiftOf(t, field, outer))
    bits = arith::ShRUIOp::create(t.b, t.loc, bits, shift);
  if (field.width < 8)
    bits = arith::AndIOp::create(t.b, t.loc, bits, t.i8((1 << field.width) - 1));
  if (member.bitsType.getWidth() > 8)
    bits = arith::ExtUIOp::create(t.b, t.loc, member.bitsType, bits);
  if (field.target)
    bits = arith::ShLIOp::create(t.b, t.loc, bits, constant(t, member.bitsType, field.target));
  return bits;
}

/// [..., bytes of a struct] to the codes of a segment, [..., digits].
static Value unpackSegment(TileBuilder &t, Value blocks, const Segment &segment,
                           const Member &member) {
  if (isPlainBytes(segment, member.places->bias))
    return field(t, blocks, segment.fields[0].byte, segment.digits[0]);
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, blocks);
  sizes.pop_back();
  unsigned outer = sizes.size(), rank = outer + segment.digits.size();
  for (int64_t radix : segment.digits)
    sizes.push_back(t.index(radix));
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  for (const BitField &bits : segment.fields) {
    SmallVector<unsigned> own = *byteDigitsOf(bits, segment.digits);
    SmallVector<int64_t> radices = radicesOf(segment, own);
    Value bytes = field(t, blocks, bits.byte, productOf(radices));
    inputs.push_back(own.empty() ? bytes : splitInto(t, bytes, radices));
    maps.push_back(digitMap(t, outer, segment.digits.size(), own));
  }
  maps.push_back(t.b.getMultiDimIdentityMap(rank));
  return t.generic(inputs, t.empty(sizes, member.codeType), maps,
                   SmallVector<utils::IteratorType>(rank, utils::IteratorType::parallel),
                   [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                     Value code;
                     for (auto [bits, byte] : llvm::zip(segment.fields, a)) {
                       Value part = segment.isTernary ? unpackTrit(t, byte, shiftOf(t, bits, outer))
                                                      : unpackBits(t, byte, bits, member, outer);
                       code = code ? arith::OrIOp::create(t.b, t.loc, code, part) : part;
                     }
                     code = addBias(t, code, member, /*isSubtracted=*/false);
                     if (isa<FloatType>(member.codeType))
                       code = arith::BitcastOp::create(t.b, t.loc, member.codeType, code);
                     return {code};
                   })[0];
}

/// [..., structs, bytes] to [..., structs * codes].
static Value unpackMember(TileBuilder &t, Value blocks, const Member &member) {
  int64_t outer = cast<RankedTensorType>(blocks.getType()).getRank() - 1;
  SmallVector<Segment> segments = denseSegments(*member.places);
  if (segments.size() == 1) {
    Value codes = unpackSegment(t, blocks, segments[0], member);
    return segments[0].digits.empty() ? codes : t.joinFrom(codes, outer - 1);
  }
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, blocks);
  sizes.back() = t.index(member.codes());
  Value all = t.empty(sizes, member.codeType);
  int64_t at = 0;
  for (const Segment &segment : segments) {
    Value codes = unpackSegment(t, blocks, segment, member);
    codes = segment.digits.empty() ? t.splitLast(codes, {1}) : t.joinFrom(codes, outer);
    all = insertField(t, codes, all, at, segment.elements());
    at += segment.elements();
  }
  return t.joinFrom(all, outer - 1);
}

Fields GgmlLayoutAttr::buildUnpack(OpBuilder &b, Location loc, const QuantizedAttr &term,
                                   RankedTensorType type, ValueRange components,
                                   const Box &region) const {
  TileBuilder t(b, loc);
  Value blocks = t.slice(components[0], getComponentRegion(b, loc, term, type, 0, region));
  SmallVector<Member> members = membersOf(getStruct(), term, type.getShape());
  Fields fields;
  for (const Member &member : ArrayRef(members).drop_front())
    fields.levels.push_back(unpackMember(t, blocks, member));
  fields.codes = unpackMember(t, blocks, members[0]);
  return fields;
}

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

/// Codes of a segment, [..., digits], to the bytes of one of its fields, [..., bytes]; added to
/// what is in `initial`, if there is something.
static Value packField(TileBuilder &t, Value codes, const Segment &segment, const BitField &field,
                       const Member &member, Value initial) {
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
    initial = isAlone ? t.empty(byteSizes, sumType) : t.filled(byteSizes, constant(t, sumType, 0));
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
          code =
              arith::ShRUIOp::create(t.b, t.loc, code, constant(t, member.bitsType, field.target));
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
          Value wide = arith::MulIOp::create(t.b, t.loc, a[0], constant(t, sumType, 256));
          wide = arith::AddIOp::create(t.b, t.loc, wide, constant(t, sumType, 242));
          wide = arith::DivUIOp::create(t.b, t.loc, wide, constant(t, sumType, 243));
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
static Value packMember(TileBuilder &t, Value codes, const Member &member, Value blocks,
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
  SmallVector<bool> written(getStruct().bytes, false);
  SmallVector<Member> members = membersOf(getStruct(), term, type.getShape());
  for (auto [i, level] : llvm::enumerate(fields.levels))
    blocks = packMember(t, level, members[i + 1], blocks, written);
  blocks = packMember(t, fields.codes, members[0], blocks, written);
  return SmallVector<Value>{blocks};
}
