//===- Sum.cpp - Terms that add up ----------------------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Combinators.h"
#include "lowbit/IR/TileBuilder.h"
#include "lowbit/Numerics/Reference.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace lowbit;

static RankedTensorType childType(RankedTensorType type, Attribute term) {
  return RankedTensorType::get(type.getShape(), type.getElementType(), term);
}

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
LogicalResult SumAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                                      function_ref<InFlightDiagnostic()> emitError) const {
  // MLIR's parser asks even where it could not read the element type.
  return elementType ? verifyTerm(shape, elementType, emitError) : failure();
}

SmallVector<EncodingComponent> SumAttr::getComponents(RankedTensorType type) const {
  SmallVector<EncodingComponent> all;
  for (auto [i, term] : llvm::enumerate(getTerms()))
    appendComponents(all, i, childType(type, term));
  return all;
}

SmallVector<OpFoldResult> SumAttr::getExtents(OpBuilder &b, Location loc, RankedTensorType type,
                                              ValueRange components) const {
  Piece first = getPieces(b, loc, type, components).list[0];
  return encodingOf(first).getExtents(b, loc, first.type, componentsOf(first, components));
}

SmallVector<int64_t> SumAttr::getTileMultiples(RankedTensorType type, TileUse use) const {
  SmallVector<int64_t> all(type.getRank(), 1);
  for (Attribute term : getTerms())
    joinTileMultiples(all, childType(type, term), use);
  return all;
}

Pieces SumAttr::getPieces(OpBuilder &, Location, RankedTensorType type, ValueRange) const {
  Pieces pieces{Pieces::Sum, 0, {}};
  unsigned first = 0;
  for (Attribute term : getTerms()) {
    RankedTensorType child = childType(type, term);
    unsigned count = getEncoding(child).getComponents(child).size();
    pieces.list.push_back({child, first, count, {}});
    first += count;
  }
  return pieces;
}

Box SumAttr::getComponentRegion(OpBuilder &b, Location loc, RankedTensorType type,
                                ValueRange components, unsigned index, const Box &region) const {
  for (Piece &piece : getPieces(b, loc, type, components).list)
    if (index < piece.first + piece.count)
      return encodingOf(piece).getComponentRegion(
          b, loc, piece.type, componentsOf(piece, components), index - piece.first, region);
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
// Scalar reference
//===----------------------------------------------------------------------===//

/// Components that belong to term `i` of a list with these many each.
static size_t countOf(Attribute term, ArrayRef<int64_t> shape) {
  auto type = RankedTensorType::get(shape, Float32Type::get(term.getContext()), term);
  return cast<EncodingAttrInterface>(term).getComponents(type).size();
}

llvm::Error SumAttr::referenceDecode(ArrayRef<int64_t> shape, ArrayRef<BufferRef> components,
                                     MutableArrayRef<float> values) const {
  std::vector<float> term(values.size());
  size_t first = 0;
  for (auto [i, child] : llvm::enumerate(getTerms())) {
    size_t count = countOf(child, shape);
    if (first + count > components.size())
      return llvm::createStringError("components are missing");
    MutableArrayRef<float> out = i == 0 ? values : MutableArrayRef<float>(term);
    if (llvm::Error error = cast<EncodingAttrInterface>(child).referenceDecode(
            shape, components.slice(first, count), out))
      return error;
    if (i > 0)
      for (auto [sum, v] : llvm::zip(values, term))
        sum += v;
    first += count;
  }
  return llvm::Error::success();
}

llvm::Expected<std::vector<Buffer>> SumAttr::referenceEncode(ArrayRef<int64_t> shape,
                                                             ArrayRef<float> values) const {
  auto sparse = dyn_cast<SparseAttr>(getTerms().back());
  auto base = cast<EncodingAttrInterface>(getTerms().front());
  if (getTerms().size() != 2 || !sparse || isa<SparseAttr>(getTerms().front()))
    return llvm::createStringError("only a sum of a base and a sparse term can be encoded");
  numerics::Sparse term{cast<FormatAttrInterface>(sparse.getElement()).getReference(),
                        sparse.getDensity().getValueAsDouble()};
  numerics::Shape extents(shape.begin(), shape.end());
  if (auto message = numerics::check(term, extents))
    return llvm::createStringError(*message);
  // 1. Outliers leave the base; 2. the base is encoded; 3. the sparse term takes what is left at
  // their places.
  int64_t count = numerics::outlierCount(term.density, values.size());
  std::vector<int64_t> outliers = numerics::chooseOutliers(values.data(), values.size(), count);
  std::vector<float> rest(values.begin(), values.end()), decoded(values.size()), kept;
  for (int64_t i : outliers)
    rest[i] = 0.0f;
  llvm::Expected<std::vector<Buffer>> buffers = base.referenceEncode(shape, rest);
  if (!buffers)
    return buffers.takeError();
  SmallVector<BufferRef> refs;
  for (Buffer &buffer : *buffers)
    refs.push_back({buffer.shape, buffer.bytes});
  if (llvm::Error error = base.referenceDecode(shape, refs, decoded))
    return std::move(error);
  for (int64_t i : outliers)
    kept.push_back(values[i] - decoded[i]);
  std::vector<numerics::Bytes> entries =
      numerics::encodeEntries(term, extents, outliers, kept.data());
  for (auto [component, data] : llvm::zip(numerics::components(term, extents, count), entries))
    buffers->push_back(
        {SmallVector<int64_t>(component.shape.begin(), component.shape.end()), std::move(data)});
  return buffers;
}
