//===- Flattened.cpp - A tensor as the row of its elements ---------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Combinators.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <numeric>

using namespace mlir;
using namespace lowbit;
using Ofrs = SmallVector<OpFoldResult>;

static int64_t product(ArrayRef<int64_t> shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t(1), std::multiplies<>());
}
static RankedTensorType rowType(FlattenedAttr term, RankedTensorType type) {
  return termType(term.getTerm(), product(type.getShape()));
}

LogicalResult FlattenedAttr::verify(function_ref<InFlightDiagnostic()> emitError, Attribute term) {
  if (!isa_and_nonnull<EncodingAttrInterface>(term))
    return emitError() << "a flattened tensor is in an encoding, not in " << term;
  return success();
}
LogicalResult FlattenedAttr::verifyTerm(ArrayRef<int64_t> shape, Type elementType,
                                        function_ref<InFlightDiagnostic()> emitError) const {
  if (ShapedType::isDynamicShape(shape))
    return emitError() << "a flattened tensor has a shape that is known, since its elements lie in "
                          "one row";
  if (failed(verifyElementCount(shape, emitError)))
    return failure();
  return cast<EncodingAttrInterface>(getTerm()).verifyTerm(product(shape), elementType, emitError);
}

SmallVector<EncodingComponent> FlattenedAttr::getComponents(RankedTensorType type) const {
  RankedTensorType row = rowType(*this, type);
  return getEncoding(row).getComponents(row);
}

Ofrs FlattenedAttr::getExtents(OpBuilder &b, Location, RankedTensorType type, ValueRange) const {
  return getAsIndexOpFoldResult(b.getContext(), type.getShape());
}

SmallVector<int64_t> FlattenedAttr::getTileMultiples(RankedTensorType type, TileUse use) const {
  RankedTensorType row = rowType(*this, type);
  SmallVector<int64_t> all(type.getRank(), kWhole);
  int64_t multiple = getEncoding(row).getTileMultiples(row, use)[0];
  // Whole rows, as many as make whole blocks.
  if (multiple != kWhole && !all.empty()) {
    int64_t inner = product(type.getShape().drop_front());
    all[0] = inner == 0 ? kWhole : multiple / std::gcd(multiple, inner);
  }
  return all;
}

static Box rowRegion(TileBuilder &t, RankedTensorType type, const Box &region) {
  if (type.getRank() == 0)
    return {{t.index(0)}, {t.index(1)}};
  AffineExpr scaled = t.b.getAffineDimExpr(0) * product(type.getShape().drop_front());
  return {{t.apply(scaled, {region.offsets[0]})}, {t.apply(scaled, {region.sizes[0]})}};
}

/// The one group of all axes, none for a single number.
static SmallVector<ReassociationIndices> allAxes(int64_t rank) {
  if (rank == 0)
    return {};
  ReassociationIndices all(rank);
  std::iota(all.begin(), all.end(), int64_t(0));
  return {all};
}

static Value flatten(TileBuilder &t, Value tile) {
  auto type = cast<RankedTensorType>(tile.getType());
  if (type.getRank() == 1)
    return tile;
  if (type.getRank() == 0)
    return tensor::ExpandShapeOp::create(t.b, t.loc,
                                         RankedTensorType::get(1, type.getElementType()), tile,
                                         allAxes(0), Ofrs{t.index(1)});
  return tensor::CollapseShapeOp::create(t.b, t.loc, tile, allAxes(type.getRank()));
}

Box FlattenedAttr::getComponentRegion(OpBuilder &b, Location loc, RankedTensorType type,
                                      ValueRange components, unsigned index,
                                      const Box &region) const {
  TileBuilder t(b, loc);
  RankedTensorType row = rowType(*this, type);
  return getEncoding(row).getComponentRegion(b, loc, row, components, index,
                                             rowRegion(t, type, region));
}

Value FlattenedAttr::buildDecodeTile(OpBuilder &b, Location loc, RankedTensorType type,
                                     ValueRange components, const Box &region) const {
  TileBuilder t(b, loc);
  RankedTensorType row = rowType(*this, type);
  Value tile =
      getEncoding(row).buildDecodeTile(b, loc, row, components, rowRegion(t, type, region));
  int64_t rank = type.getRank();
  if (rank == 1)
    return tile;
  auto wanted =
      RankedTensorType::get(decomposeMixedValues(region.sizes).first, type.getElementType());
  if (rank == 0)
    return tensor::CollapseShapeOp::create(b, loc, wanted, t.cut(tile, {t.index(1)}), allAxes(0));
  return tensor::ExpandShapeOp::create(b, loc, wanted, tile, allAxes(rank), region.sizes);
}

FailureOr<SmallVector<Value>> FlattenedAttr::buildEncodeTile(OpBuilder &b, Location loc,
                                                             RankedTensorType type, Value tile,
                                                             ValueRange components,
                                                             const Box &region) const {
  TileBuilder t(b, loc);
  RankedTensorType row = rowType(*this, type);
  return getEncoding(row).buildEncodeTile(b, loc, row, flatten(t, tile), components,
                                          rowRegion(t, type, region));
}

FailureOr<SmallVector<Value>> FlattenedAttr::buildStatistics(OpBuilder &b, Location loc,
                                                             RankedTensorType type, Value whole,
                                                             ValueRange components) const {
  TileBuilder t(b, loc);
  RankedTensorType row = rowType(*this, type);
  return getEncoding(row).buildStatistics(b, loc, row, flatten(t, whole), components);
}

bool FlattenedAttr::isEncodedInTiles(RankedTensorType type) const {
  RankedTensorType row = rowType(*this, type);
  return getEncoding(row).isEncodedInTiles(row);
}

FailureOr<SmallVector<Value>> FlattenedAttr::buildEncode(OpBuilder &b, Location loc,
                                                         RankedTensorType type, Value whole,
                                                         ValueRange components) const {
  TileBuilder t(b, loc);
  return encodeWhole(b, loc, rowType(*this, type), flatten(t, whole), components);
}

//===----------------------------------------------------------------------===//
// Scalar reference
//===----------------------------------------------------------------------===//

llvm::Error FlattenedAttr::verifyComponents(RankedTensorType type, ArrayRef<int64_t> shape,
                                            ArrayRef<BufferRef> components) const {
  return verifyFront(rowType(*this, type), product(shape), components);
}

llvm::Error FlattenedAttr::referenceDecode(ArrayRef<int64_t> shape, ArrayRef<BufferRef> components,
                                           MutableArrayRef<float> values) const {
  return decodeFront(getTerm(), product(shape), components, values);
}

llvm::Expected<std::vector<Buffer>> FlattenedAttr::referenceEncode(ArrayRef<int64_t> shape,
                                                                   ArrayRef<float> values) const {
  return cast<EncodingAttrInterface>(getTerm()).referenceEncode(product(shape), values);
}
