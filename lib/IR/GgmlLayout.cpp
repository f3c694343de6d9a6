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
// Unpacking
//===----------------------------------------------------------------------===//

static Value unpackTrit(TileBuilder &t, Value byte, Value number) {
  Type i16 = t.b.getI16Type();
  Value wide = arith::ExtUIOp::create(t.b, t.loc, i16, byte);
  wide = arith::MulIOp::create(t.b, t.loc, wide, powerOfThree(t, number));
  wide = arith::AndIOp::create(t.b, t.loc, wide, integerConstant(t, i16, 255));
  wide = arith::MulIOp::create(t.b, t.loc, wide, integerConstant(t, i16, 3));
  wide = arith::ShRUIOp::create(t.b, t.loc, wide, integerConstant(t, i16, 8));
  return arith::TruncIOp::create(t.b, t.loc, t.b.getI8Type(), wide);
}

/// The bits of one field, at their place in the code.
static Value unpackBits(TileBuilder &t, Value byte, const BitField &field,
                        const StructCodes &member, unsigned outer) {
  Value bits = byte;
  if (Value shift = shiftOf(t, field, outer))
    bits = arith::ShRUIOp::create(t.b, t.loc, bits, shift);
  if (field.width < 8)
    bits = arith::AndIOp::create(t.b, t.loc, bits, t.i8((1 << field.width) - 1));
  if (member.bitsType.getWidth() > 8)
    bits = arith::ExtUIOp::create(t.b, t.loc, member.bitsType, bits);
  if (field.target)
    bits =
        arith::ShLIOp::create(t.b, t.loc, bits, integerConstant(t, member.bitsType, field.target));
  return bits;
}

/// [..., bytes of a struct] to the codes of a segment, [..., digits].
static Value unpackSegment(TileBuilder &t, Value blocks, const Segment &segment,
                           const StructCodes &member) {
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
static Value unpackMember(TileBuilder &t, Value blocks, const StructCodes &member) {
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
  SmallVector<StructCodes> members = membersOf(getStruct(), term, type.getShape());
  Fields fields;
  for (const StructCodes &member : ArrayRef(members).drop_front())
    fields.levels.push_back(unpackMember(t, blocks, member));
  fields.codes = unpackMember(t, blocks, members[0]);
  return fields;
}
