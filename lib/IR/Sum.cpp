//===- Sum.cpp - Terms that add up ----------------------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Combinators.h"
#include "lowbit/IR/TileBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace lowbit;

LogicalResult SumAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                              ArrayRef<Attribute> terms) {
  if (terms.size() < 2)
    return emitError() << "a sum has at least two terms";
  for (Attribute term : terms)
    if (!isa_and_nonnull<EncodingAttrInterface>(term))
      return emitError() << "a term of a sum is an encoding, not " << term;
  return success();
}
LogicalResult SumAttr::verifyTerm(ArrayRef<int64_t> shape, Type elementType,
                                  function_ref<InFlightDiagnostic()> emitError) const {
  for (Attribute term : getTerms())
    if (failed(cast<EncodingAttrInterface>(term).verifyTerm(shape, elementType, emitError)))
      return failure();
  return success();
}

SmallVector<RankedTensorType> SumAttr::getChildren(RankedTensorType type) const {
  return llvm::map_to_vector(getTerms(),
                             [&](Attribute term) { return termType(term, type.getShape()); });
}

SmallVector<EncodingComponent> SumAttr::getComponents(RankedTensorType type) const {
  SmallVector<EncodingComponent> all;
  for (auto [i, child] : llvm::enumerate(getChildren(type)))
    appendComponents(all, llvm::Twine(i), child);
  return all;
}

SmallVector<OpFoldResult> SumAttr::getExtents(OpBuilder &b, Location loc, RankedTensorType type,
                                              ValueRange components) const {
  Piece first = getPieces(b, loc, type, components).list[0];
  return encodingOf(first).getExtents(b, loc, first.type, componentsOf(first, components));
}

SmallVector<int64_t> SumAttr::getTileMultiples(RankedTensorType type, TileUse use) const {
  SmallVector<int64_t> all(type.getRank(), 1);
  for (RankedTensorType child : getChildren(type))
    joinTileMultiples(all, child, use);
  return all;
}

Pieces SumAttr::getPieces(OpBuilder &, Location, RankedTensorType type, ValueRange) const {
  Pieces pieces{Pieces::Sum, 0, {}};
  unsigned first = 0;
  for (RankedTensorType child : getChildren(type)) {
    unsigned count = componentCount(child);
    pieces.list.push_back({child, first, count, {}});
    first += count;
  }
  return pieces;
}

Box SumAttr::getComponentRegion(OpBuilder &b, Location loc, RankedTensorType type,
                                ValueRange components, unsigned index, const Box &region) const {
  // There are no components yet where storage is made.
  for (Piece &piece : getPieces(b, loc, type, components).list)
    if (index < piece.first + piece.count)
      return encodingOf(piece).getComponentRegion(
          b, loc, piece.type, components.empty() ? components : componentsOf(piece, components),
          index - piece.first, region);
  return {};
}

Value SumAttr::buildDecodeTile(OpBuilder &b, Location loc, RankedTensorType type,
                               ValueRange components, const Box &region) const {
  TileBuilder t(b, loc);
  SmallVector<Value> tiles;
  for (Piece &piece : getPieces(b, loc, type, components).list)
    tiles.push_back(encodingOf(piece).buildDecodeTile(b, loc, piece.type,
                                                      componentsOf(piece, components), region));
  return t.elementwise(tiles, b.getF32Type(),
                       [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                         Value sum = a[0];
                         for (Value v : a.slice(1, tiles.size() - 1))
                           sum = arith::AddFOp::create(t.b, t.loc, sum, v);
                         return {sum};
                       });
}

//===----------------------------------------------------------------------===//
// Encode
//===----------------------------------------------------------------------===//

/// Value by value, in f32.
template <typename OpTy> static Value combine(TileBuilder &t, Value x, Value y) {
  return t.elementwise({x, y}, t.b.getF32Type(),
                       [](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                         return {OpTy::create(t.b, t.loc, a[0], a[1])};
                       });
}

bool SumAttr::isEncodedInTiles(RankedTensorType type) const {
  // What the terms before it leave of a tile is known where these are local to it, and what they
  // store of it is a tensor of their own.
  return llvm::all_of(getTerms(), [&](Attribute term) {
    auto quantized = dyn_cast<QuantizedAttr>(term);
    return quantized && isa<PlanesLayoutAttr>(quantized.getLayout()) &&
           llvm::all_of(quantized.getComponents(termType(term, type.getShape())),
                        [](const EncodingComponent &component) {
                          return component.role == ComponentRole::Payload ||
                                 component.type.isIndex();
                        });
  });
}

FailureOr<SmallVector<Value>> SumAttr::buildEncodeTile(OpBuilder &b, Location loc,
                                                       RankedTensorType type, Value tile,
                                                       ValueRange components,
                                                       const Box &region) const {
  TileBuilder t(b, loc);
  SmallVector<int64_t> shape = decomposeMixedValues(region.sizes).first;
  Box whole{SmallVector<OpFoldResult>(shape.size(), t.index(0)), region.sizes};
  SmallVector<Piece> pieces = getPieces(b, loc, type, components).list;
  SmallVector<Value> all;
  Value sum;
  for (Piece &piece : pieces) {
    Value own = sum ? combine<arith::SubFOp>(t, tile, sum) : tile;
    auto payload = encodingOf(piece).buildEncodeTile(b, loc, piece.type, own,
                                                     componentsOf(piece, components), region);
    if (failed(payload))
      return failure();
    all.append(*payload);
    if (&piece == &pieces.back())
      break;
    RankedTensorType part = termType(piece.type.getEncoding(), shape);
    SmallVector<Value> stored;
    for (const EncodingComponent &component : encodingOf(piece).getComponents(part))
      stored.push_back(component.type.isIndex() ? t.value(region.sizes.back())
                                                : (*payload)[stored.size()]);
    Value decoded = encodingOf(piece).buildDecodeTile(b, loc, part, stored, whole);
    sum = sum ? combine<arith::AddFOp>(t, sum, decoded) : decoded;
  }
  return all;
}

FailureOr<SmallVector<Value>> SumAttr::buildEncode(OpBuilder &b, Location loc,
                                                   RankedTensorType type, Value whole,
                                                   ValueRange components) const {
  TileBuilder t(b, loc);
  SmallVector<Piece> pieces = getPieces(b, loc, type, components).list;
  auto outlierOf = [](const Piece &piece) {
    return dyn_cast<OutlierAttrInterface>(piece.type.getEncoding());
  };
  Value rest = whole;
  for (Piece &piece : pieces)
    if (OutlierAttrInterface outlier = outlierOf(piece))
      rest = outlier.buildTakeOut(b, loc, piece.type, rest, componentsOf(piece, components));

  Value sum;
  SmallVector<SmallVector<Value>> encoded(pieces.size());
  size_t left = pieces.size();
  auto encode = [&](size_t i, Value x) -> LogicalResult {
    Value own = sum ? combine<arith::SubFOp>(t, x, sum) : x;
    auto result = encodeWhole(b, loc, pieces[i].type, own, componentsOf(pieces[i], components));
    if (failed(result))
      return failure();
    encoded[i] = *result;
    if (--left == 0)
      return success();
    Value decoded = decodeWhole(b, loc, pieces[i].type, encoded[i]);
    sum = sum ? combine<arith::AddFOp>(t, sum, decoded) : decoded;
    return success();
  };
  for (bool isOutlier : {false, true})
    for (size_t i = 0; i < pieces.size(); ++i)
      if (bool(outlierOf(pieces[i])) == isOutlier && failed(encode(i, isOutlier ? whole : rest)))
        return failure();
  SmallVector<Value> all;
  for (ArrayRef<Value> values : encoded)
    all.append(values.begin(), values.end());
  return all;
}

//===----------------------------------------------------------------------===//
// Scalar reference
//===----------------------------------------------------------------------===//

llvm::Error SumAttr::verifyComponents(RankedTensorType type, ArrayRef<int64_t> shape,
                                      ArrayRef<BufferRef> components) const {
  for (Attribute term : getTerms())
    if (llvm::Error error = verifyFront(termType(term, type.getShape()), shape, components))
      return error;
  return llvm::Error::success();
}

llvm::Error SumAttr::referenceDecode(ArrayRef<int64_t> shape, ArrayRef<BufferRef> components,
                                     MutableArrayRef<float> values) const {
  std::vector<float> term(values.size());
  for (auto [i, child] : llvm::enumerate(getTerms())) {
    MutableArrayRef<float> out = i == 0 ? values : MutableArrayRef<float>(term);
    if (llvm::Error error = decodeFront(child, shape, components, out))
      return error;
    if (i > 0)
      for (auto [sum, v] : llvm::zip(values, term))
        sum += v;
  }
  return llvm::Error::success();
}

llvm::Expected<std::vector<Buffer>> SumAttr::referenceEncode(ArrayRef<int64_t> shape,
                                                             ArrayRef<float> values) const {
  std::vector<float> rest(values), sum(values.size()), own(values.size());
  SmallVector<std::vector<int64_t>> places(getTerms().size());
  for (auto [i, term] : llvm::enumerate(getTerms()))
    if (auto outlier = dyn_cast<OutlierAttrInterface>(term)) {
      places[i] = outlier.referenceChoose(shape, rest);
      for (int64_t place : places[i])
        rest[place] = 0.0f;
    }

  std::vector<std::vector<Buffer>> encoded(getTerms().size());
  bool isFirst = true;
  auto encode = [&](size_t i) -> llvm::Error {
    Attribute term = getTerms()[i];
    auto outlier = dyn_cast<OutlierAttrInterface>(term);
    for (size_t j = 0; j < own.size(); ++j) {
      float x = outlier ? values[j] : rest[j];
      own[j] = isFirst ? x : x - sum[j];
    }
    std::vector<float> elements;
    for (int64_t place : places[i])
      elements.push_back(own[place]);
    auto buffers = outlier ? outlier.referenceEncodeAt(shape, places[i], elements)
                           : cast<EncodingAttrInterface>(term).referenceEncode(shape, own);
    if (!buffers)
      return buffers.takeError();
    encoded[i] = std::move(*buffers);
    if (llvm::Error error = decodeBuffers(term, shape, encoded[i], own))
      return error;
    for (size_t j = 0; j < own.size(); ++j)
      sum[j] = isFirst ? own[j] : sum[j] + own[j];
    isFirst = false;
    return llvm::Error::success();
  };
  for (bool isOutlier : {false, true})
    for (size_t i = 0; i < encoded.size(); ++i)
      if (isa<OutlierAttrInterface>(getTerms()[i]) == isOutlier)
        if (llvm::Error error = encode(i))
          return std::move(error);
  std::vector<Buffer> all;
  for (std::vector<Buffer> &buffers : encoded)
    std::move(buffers.begin(), buffers.end(), std::back_inserter(all));
  return all;
}
