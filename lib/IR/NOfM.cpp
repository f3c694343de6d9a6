//===- NOfM.cpp - N kept of each M neighbours ----------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Combinators.h"
#include "lowbit/Numerics/Reference.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/Support/MathExtras.h"

#include <numeric>

using namespace mlir;
using namespace lowbit;
using Ofr = OpFoldResult;
using Ofrs = SmallVector<OpFoldResult>;

/// Places within a group are numbers like any other: codes of an integer format, in planes.
static Attribute positionTerm(NOfMAttr term) {
  MLIRContext *context = term.getContext();
  return QuantizedAttr::get(context, UIntFormatAttr::get(context, llvm::Log2_64(term.getGroup())),
                            /*scale=*/{}, /*zero=*/{}, /*additive=*/false, EncodeRuleAttr(),
                            PlanesLayoutAttr::get(context));
}

static SmallVector<int64_t> keptShape(NOfMAttr term, ArrayRef<int64_t> shape) {
  SmallVector<int64_t> kept(shape);
  kept.back() = shape.back() / term.getGroup() * term.getKept();
  return kept;
}

namespace {
/// The two tensors of kept elements, and where the components of each begin.
struct Stored {
  RankedTensorType positions, values;
  unsigned count;
};
} // namespace

static Stored storedOf(NOfMAttr term, ArrayRef<int64_t> shape) {
  SmallVector<int64_t> kept = keptShape(term, shape);
  Stored stored{termType(positionTerm(term), kept), termType(term.getTerm(), kept), 0};
  stored.count = componentCount(stored.positions);
  return stored;
}

LogicalResult NOfMAttr::verify(function_ref<InFlightDiagnostic()> emitError, unsigned kept,
                               unsigned group, Attribute term) {
  if (group < 2 || group > 256 || !llvm::isPowerOf2_32(group))
    return emitError() << "a group has 2, 4, 8, ... or 256 elements, not " << group;
  if (kept < 1 || kept >= group)
    return emitError() << "of a group of " << group << ", 1 to " << group - 1
                       << " elements are kept, not " << kept;
  if (!isa_and_nonnull<EncodingAttrInterface>(term))
    return emitError() << "kept elements are in an encoding, not in " << term;
  return success();
}
LogicalResult NOfMAttr::verifyTerm(ArrayRef<int64_t> shape, Type elementType,
                                   function_ref<InFlightDiagnostic()> emitError) const {
  if (shape.empty() || ShapedType::isDynamic(shape.back()) || shape.back() % getGroup() != 0)
    return emitError() << "groups of " << getGroup()
                       << " need a last axis of a known multiple of that many elements";
  if (failed(verifyElementCount(shape, emitError)))
    return failure();
  return cast<EncodingAttrInterface>(getTerm()).verifyTerm(keptShape(*this, shape), elementType,
                                                           emitError);
}

SmallVector<EncodingComponent> NOfMAttr::getComponents(RankedTensorType type) const {
  Stored stored = storedOf(*this, type.getShape());
  SmallVector<EncodingComponent> all =
      getEncoding(stored.positions).getComponents(stored.positions);
  for (EncodingComponent &component : all) // `codes`, or `codes.0`, ...
    component.name = "positions" + component.name.substr(StringRef("codes").size());
  appendComponents(all, "term", stored.values);
  return all;
}

Ofrs NOfMAttr::getExtents(OpBuilder &b, Location loc, RankedTensorType type,
                          ValueRange components) const {
  Stored stored = storedOf(*this, type.getShape());
  Ofrs extents = getEncoding(stored.positions)
                     .getExtents(b, loc, stored.positions, components.take_front(stored.count));
  extents.back() = b.getIndexAttr(type.getShape().back());
  return extents;
}

SmallVector<int64_t> NOfMAttr::getTileMultiples(RankedTensorType type, TileUse use) const {
  if (use != TileUse::Decode)
    return SmallVector<int64_t>(type.getRank(), kWhole);
  Stored stored = storedOf(*this, type.getShape());
  SmallVector<int64_t> all(type.getRank(), 1);
  joinTileMultiples(all, stored.positions, use);
  joinTileMultiples(all, stored.values, use);
  if (int64_t &last = all.back(); last != kWhole)
    last = numerics::checkedMultiply(last / std::gcd<int64_t>(last, getKept()), getGroup())
               .value_or(kWhole);
  return all;
}

/// The kept elements of a region that consists of whole groups.
static Box keptRegion(TileBuilder &t, NOfMAttr term, const Box &region) {
  AffineExpr kept = t.b.getAffineDimExpr(0).ceilDiv(term.getGroup()) * term.getKept();
  Box own = region;
  own.offsets.back() = t.apply(kept, {region.offsets.back()});
  own.sizes.back() = t.apply(kept, {region.sizes.back()});
  return own;
}

Box NOfMAttr::getComponentRegion(OpBuilder &b, Location loc, RankedTensorType type,
                                 ValueRange components, unsigned index, const Box &region) const {
  TileBuilder t(b, loc);
  Stored stored = storedOf(*this, type.getShape());
  bool isPosition = index < stored.count;
  RankedTensorType own = isPosition ? stored.positions : stored.values;
  ValueRange its = components.empty() ? components
                   : isPosition       ? components.take_front(stored.count)
                                      : components.drop_front(stored.count);
  return getEncoding(own).getComponentRegion(
      b, loc, own, its, isPosition ? index : index - stored.count, keptRegion(t, *this, region));
}

//===----------------------------------------------------------------------===//
// Decode and encode
//===----------------------------------------------------------------------===//

static Value remainder(TileBuilder &t, Value x, int64_t divisor) {
  return arith::RemUIOp::create(t.b, t.loc, x, t.constantIndex(divisor));
}
/// x / from * to.
static Value rescale(TileBuilder &t, Value x, int64_t from, int64_t to) {
  Value number = arith::DivUIOp::create(t.b, t.loc, x, t.constantIndex(from));
  return arith::MulIOp::create(t.b, t.loc, number, t.constantIndex(to));
}
static Value add(TileBuilder &t, Value x, Value y) {
  return arith::AddIOp::create(t.b, t.loc, x, y);
}
/// The indices of the current element of a generic.
static SmallVector<Value> indicesOf(TileBuilder &t, int64_t rank) {
  SmallVector<Value> indices;
  for (int64_t axis = 0; axis < rank; ++axis)
    indices.push_back(linalg::IndexOp::create(t.b, t.loc, axis));
  return indices;
}
static SmallVector<Value> withLast(ArrayRef<Value> indices, Value last) {
  SmallVector<Value> all(indices);
  all.back() = last;
  return all;
}

Value NOfMAttr::buildDecodeTile(OpBuilder &b, Location loc, RankedTensorType type,
                                ValueRange components, const Box &region) const {
  TileBuilder t(b, loc);
  Stored stored = storedOf(*this, type.getShape());
  Box kept = keptRegion(t, *this, region);
  Value positions =
      getEncoding(stored.positions)
          .buildDecodeTile(b, loc, stored.positions, components.take_front(stored.count), kept);
  Value values =
      getEncoding(stored.values)
          .buildDecodeTile(b, loc, stored.values, components.drop_front(stored.count), kept);
  int64_t rank = type.getRank();
  SmallVector<utils::IteratorType> parallel(rank, utils::IteratorType::parallel);
  auto body = [&](TileBuilder &t, ValueRange) -> SmallVector<Value> {
    SmallVector<Value> indices = indicesOf(t, rank);
    Value last = indices.back();
    Value first = rescale(t, last, getGroup(), getKept());
    Value bits =
        arith::IndexCastUIOp::create(t.b, t.loc, t.b.getI32Type(), remainder(t, last, getGroup()));
    Value own = arith::UIToFPOp::create(t.b, t.loc, t.b.getF32Type(), bits);
    return {forEach(t, t.constantIndex(0), t.constantIndex(getKept()), t.f32(0),
                    [&](TileBuilder &t, Value n, Value value) -> Value {
                      SmallVector<Value> at = withLast(indices, add(t, first, n));
                      Value place = tensor::ExtractOp::create(t.b, t.loc, positions, at);
                      Value stored = tensor::ExtractOp::create(t.b, t.loc, values, at);
                      Value isHere =
                          arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::OEQ, place, own);
                      return arith::SelectOp::create(t.b, t.loc, isHere, stored, value);
                    })};
  };
  return t.generic({}, t.empty(region.sizes, b.getF32Type()), b.getMultiDimIdentityMap(rank),
                   parallel, body)[0];
}

bool NOfMAttr::isEncodedInTiles(RankedTensorType) const { return false; }

/// Orders like the magnitude of x: infinity next to last, every NaN last.
static Value magnitudeOf(TileBuilder &t, Value x) {
  auto constant = [&](int64_t v) -> Value {
    return arith::ConstantOp::create(t.b, t.loc, t.b.getI32IntegerAttr(v));
  };
  Value bits = arith::BitcastOp::create(t.b, t.loc, t.b.getI32Type(), x);
  Value magnitude = arith::AndIOp::create(t.b, t.loc, bits, constant(0x7fffffff));
  return arith::MinUIOp::create(t.b, t.loc, magnitude, constant(0x7f800001));
}

/// The place within its group of the `number`-th element that is kept of the group at `first`.
static Value findKept(TileBuilder &t, NOfMAttr term, Value x, ArrayRef<Value> indices, Value first,
                      Value number) {
  Value zero = t.constantIndex(0), one = t.constantIndex(1),
        group = t.constantIndex(term.getGroup());
  auto magnitudeAt = [&](TileBuilder &t, Value i) {
    SmallVector<Value> at = withLast(indices, add(t, first, i));
    return magnitudeOf(t, tensor::ExtractOp::create(t.b, t.loc, x, at));
  };
  auto compare = [](TileBuilder &t, arith::CmpIPredicate predicate, Value a, Value b) -> Value {
    return arith::CmpIOp::create(t.b, t.loc, predicate, a, b);
  };
  // Carries place + group * (how many before it are kept): one number for both.
  Value both = forEach(t, zero, group, zero, [&](TileBuilder &t, Value i, Value carried) -> Value {
    Value own = magnitudeAt(t, i);
    Value larger =
        forEach(t, zero, group, zero, [&](TileBuilder &t, Value j, Value count) -> Value {
          Value other = magnitudeAt(t, j);
          Value isLarger = compare(t, arith::CmpIPredicate::ugt, other, own);
          Value isEqual = compare(t, arith::CmpIPredicate::eq, other, own);
          Value isBefore = compare(t, arith::CmpIPredicate::ult, j, i);
          Value isFirst = arith::AndIOp::create(t.b, t.loc, isEqual, isBefore);
          Value wins = arith::OrIOp::create(t.b, t.loc, isLarger, isFirst);
          return arith::SelectOp::create(t.b, t.loc, wins, add(t, count, one), count);
        });
    Value isKept = compare(t, arith::CmpIPredicate::ult, larger, t.constantIndex(term.getKept()));
    Value place = remainder(t, carried, term.getGroup());
    Value count = arith::SubIOp::create(t.b, t.loc, carried, place);
    Value before = arith::DivUIOp::create(t.b, t.loc, count, group);
    Value isWanted = compare(t, arith::CmpIPredicate::eq, before, number);
    Value next =
        add(t, add(t, count, group), arith::SelectOp::create(t.b, t.loc, isWanted, i, place));
    return arith::SelectOp::create(t.b, t.loc, isKept, next, carried);
  });
  return remainder(t, both, term.getGroup());
}

FailureOr<SmallVector<Value>> NOfMAttr::buildEncode(OpBuilder &b, Location loc,
                                                    RankedTensorType type, Value whole,
                                                    ValueRange components) const {
  TileBuilder t(b, loc);
  Stored stored = storedOf(*this, type.getShape());
  int64_t rank = type.getRank();
  Box all{Ofrs(rank, t.index(0)), tensor::getMixedSizes(b, loc, whole)};
  Ofrs sizes = keptRegion(t, *this, all).sizes;
  Type f32 = b.getF32Type();
  SmallVector<AffineMap> maps(2, b.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> parallel(rank, utils::IteratorType::parallel);
  auto body = [&](TileBuilder &t, ValueRange) -> SmallVector<Value> {
    SmallVector<Value> indices = indicesOf(t, rank);
    Value last = indices.back();
    Value first = rescale(t, last, getKept(), getGroup());
    Value place = findKept(t, *this, whole, indices, first, remainder(t, last, getKept()));
    Value bits = arith::IndexCastUIOp::create(t.b, t.loc, t.b.getI32Type(), place);
    SmallVector<Value> at = withLast(indices, add(t, first, place));
    return {arith::UIToFPOp::create(t.b, t.loc, f32, bits),
            tensor::ExtractOp::create(t.b, t.loc, whole, at)};
  };
  SmallVector<Value> kept =
      t.generic({}, {t.empty(sizes, f32), t.empty(sizes, f32)}, maps, parallel, body);
  auto positions =
      encodeWhole(b, loc, stored.positions, kept[0], components.take_front(stored.count));
  auto values = encodeWhole(b, loc, stored.values, kept[1], components.drop_front(stored.count));
  if (failed(positions) || failed(values))
    return failure();
  positions->append(*values);
  return *positions;
}

//===----------------------------------------------------------------------===//
// Scalar reference
//===----------------------------------------------------------------------===//

llvm::Error NOfMAttr::verifyComponents(RankedTensorType type, ArrayRef<int64_t> shape,
                                       ArrayRef<BufferRef> components) const {
  // Every code is a place in its group.
  Stored stored = storedOf(*this, type.getShape());
  SmallVector<int64_t> kept = keptShape(*this, shape);
  if (llvm::Error error = verifyFront(stored.positions, kept, components))
    return error;
  return verifyFront(stored.values, kept, components);
}

llvm::Error NOfMAttr::referenceDecode(ArrayRef<int64_t> shape, ArrayRef<BufferRef> components,
                                      MutableArrayRef<float> values) const {
  SmallVector<int64_t> kept = keptShape(*this, shape);
  std::vector<float> positions(values.size() / getGroup() * getKept()), own(positions.size());
  if (llvm::Error error = decodeFront(positionTerm(*this), kept, components, positions))
    return error;
  if (llvm::Error error = decodeFront(getTerm(), kept, components, own))
    return error;
  llvm::fill(values, 0.0f);
  for (size_t i = 0; i < own.size(); ++i)
    values[i / getKept() * getGroup() + size_t(positions[i])] = own[i];
  return llvm::Error::success();
}

llvm::Expected<std::vector<Buffer>> NOfMAttr::referenceEncode(ArrayRef<int64_t> shape,
                                                              ArrayRef<float> values) const {
  std::vector<float> positions, own;
  for (size_t first = 0; first < values.size(); first += getGroup())
    for (int64_t place : numerics::chooseOfGroup(values.data() + first, getGroup(), getKept())) {
      positions.push_back(place);
      own.push_back(values[first + place]);
    }
  SmallVector<int64_t> kept = keptShape(*this, shape);
  std::vector<Buffer> all;
  if (llvm::Error error = appendEncoded(all, positionTerm(*this), kept, positions))
    return std::move(error);
  if (llvm::Error error = appendEncoded(all, getTerm(), kept, own))
    return std::move(error);
  return all;
}
