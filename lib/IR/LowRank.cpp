//===- LowRank.cpp - The product of two narrow matrices ------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Combinators.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Numerics/Reference.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lowbit;
using Ofrs = SmallVector<OpFoldResult>;

static RankedTensorType leftType(LowRankAttr term, ArrayRef<int64_t> shape) {
  return termType(term.getLeft(), {shape[0], int64_t(term.getRank())});
}
static RankedTensorType rightType(LowRankAttr term, ArrayRef<int64_t> shape) {
  return termType(term.getRight(), {int64_t(term.getRank()), shape[1]});
}

LogicalResult LowRankAttr::verify(function_ref<InFlightDiagnostic()> emitError, unsigned rank,
                                  Attribute left, Attribute right) {
  if (rank < 1)
    return emitError() << "a rank is at least 1, as in rank = 16";
  for (Attribute term : {left, right})
    if (!isa_and_nonnull<EncodingAttrInterface>(term))
      return emitError() << "a factor is in an encoding, not in " << term;
  return success();
}
LogicalResult LowRankAttr::verifyTerm(ArrayRef<int64_t> shape, Type elementType,
                                      function_ref<InFlightDiagnostic()> emitError) const {
  if (shape.size() != 2)
    return emitError() << "a product of factors is a tensor of 2 axes, this one has "
                       << shape.size();
  if (failed(verifyElementCount(shape, emitError)))
    return failure();
  auto left = cast<EncodingAttrInterface>(getLeft()),
       right = cast<EncodingAttrInterface>(getRight());
  if (failed(left.verifyTerm({shape[0], int64_t(getRank())}, elementType, emitError)))
    return failure();
  return right.verifyTerm({int64_t(getRank()), shape[1]}, elementType, emitError);
}

SmallVector<EncodingComponent> LowRankAttr::getComponents(RankedTensorType type) const {
  SmallVector<EncodingComponent> all;
  appendComponents(all, "left", leftType(*this, type.getShape()));
  appendComponents(all, "right", rightType(*this, type.getShape()));
  // Factors are found by a decomposition, not by an encode.
  for (EncodingComponent &component : all)
    component.role = ComponentRole::Structure;
  return all;
}

namespace {
struct Factor {
  RankedTensorType type;
  EncodingAttrInterface encoding;
  ValueRange components;
};
} // namespace

static std::pair<Factor, Factor> factorsOf(LowRankAttr term, ArrayRef<int64_t> shape,
                                           ValueRange components) {
  RankedTensorType left = leftType(term, shape), right = rightType(term, shape);
  unsigned count = componentCount(left);
  return {{left, getEncoding(left), components.take_front(count)},
          {right, getEncoding(right), components.drop_front(count)}};
}

Ofrs LowRankAttr::getExtents(OpBuilder &b, Location loc, RankedTensorType type,
                             ValueRange components) const {
  auto [left, right] = factorsOf(*this, type.getShape(), components);
  return {left.encoding.getExtents(b, loc, left.type, left.components)[0],
          right.encoding.getExtents(b, loc, right.type, right.components)[1]};
}

SmallVector<int64_t> LowRankAttr::getTileMultiples(RankedTensorType type, TileUse use) const {
  if (use != TileUse::Decode)
    return {kWhole, kWhole};
  RankedTensorType left = leftType(*this, type.getShape()),
                   right = rightType(*this, type.getShape());
  return {getEncoding(left).getTileMultiples(left, use)[0],
          getEncoding(right).getTileMultiples(right, use)[1]};
}

/// The rows of the left and the columns of the right factor that a region takes.
static std::pair<Box, Box> factorRegions(TileBuilder &t, LowRankAttr term, const Box &region) {
  OpFoldResult zero = t.index(0), rank = t.index(term.getRank());
  return {{{region.offsets[0], zero}, {region.sizes[0], rank}},
          {{zero, region.offsets[1]}, {rank, region.sizes[1]}}};
}

Box LowRankAttr::getComponentRegion(OpBuilder &b, Location loc, RankedTensorType type,
                                    ValueRange components, unsigned index,
                                    const Box &region) const {
  TileBuilder t(b, loc);
  auto [left, right] = factorsOf(*this, type.getShape(), components);
  auto [rows, columns] = factorRegions(t, *this, region);
  unsigned count = left.components.size();
  return index < count
             ? left.encoding.getComponentRegion(b, loc, left.type, left.components, index, rows)
             : right.encoding.getComponentRegion(b, loc, right.type, right.components,
                                                 index - count, columns);
}

Value LowRankAttr::buildDecodeTile(OpBuilder &b, Location loc, RankedTensorType type,
                                   ValueRange components, const Box &region) const {
  TileBuilder t(b, loc);
  auto [left, right] = factorsOf(*this, type.getShape(), components);
  auto [rows, columns] = factorRegions(t, *this, region);
  Value l = left.encoding.buildDecodeTile(b, loc, left.type, left.components, rows);
  Value r = right.encoding.buildDecodeTile(b, loc, right.type, right.components, columns);
  // One outer product after the other: as a contraction, the order of the sum would be open.
  return forEach(t, t.constantIndex(0), t.constantIndex(getRank()),
                 t.filled(region.sizes, t.f32(0)), [&](TileBuilder &t, Value i, Value sum) {
                   OpFoldResult zero = t.index(0), one = t.index(1);
                   auto vectorOf = [&](Value factor, OpFoldResult row, OpFoldResult column,
                                       unsigned axis) -> Value {
                     Ofrs sizes{one, one};
                     sizes[axis] = tensor::getMixedSize(t.b, t.loc, factor, axis);
                     return t.slice(factor, {{row, column}, sizes}, int64_t(1 - axis));
                   };
                   SmallVector<utils::IteratorType> parallel(2, utils::IteratorType::parallel);
                   return t.generic({vectorOf(l, zero, i, 0), vectorOf(r, i, zero, 1)}, sum,
                                    {t.map(2, {0}), t.map(2, {1}), t.map(2, {0, 1})}, parallel,
                                    [](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                                      Value product = arith::MulFOp::create(t.b, t.loc, a[0], a[1]);
                                      return {arith::AddFOp::create(t.b, t.loc, a[2], product)};
                                    })[0];
                 });
}

bool LowRankAttr::isEncodedInTiles(RankedTensorType) const { return false; }

FailureOr<Value> LowRankAttr::buildContraction(OpBuilder &b, linalg::LinalgOp op, unsigned operand,
                                               RankedTensorType type, ValueRange components) const {
  // y[m, n] += x[m, k] * w, w = [n, k] or [k, n]: the factor that has k first, then the other one.
  TileBuilder t(b, op.getLoc());
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  if (operand != 1 || op.getNumLoops() != 3 || maps[0] != t.map(3, {0, 2}) ||
      maps[2] != t.map(3, {0, 1}))
    return failure();
  bool isTransposed = maps[1] == t.map(3, {1, 2});
  if (!isTransposed && maps[1] != t.map(3, {2, 1}))
    return failure();
  auto [left, right] = factorsOf(*this, type.getShape(), components);
  if (isTransposed)
    std::swap(left, right);
  auto decode = [&](const Factor &factor) -> Value {
    return decodeWhole(b, t.loc, factor.type, factor.components);
  };
  Value x = op.getDpsInputs()[0], y = op.getDpsInits()[0];
  Value inner = t.filled({tensor::getMixedSize(b, t.loc, x, 0), t.index(getRank())}, t.f32(0));
  inner = clone(b, op, inner.getType(), {x, decode(left), inner})->getResult(0);
  return clone(b, op, y.getType(), {inner, decode(right), y})->getResult(0);
}

//===----------------------------------------------------------------------===//
// Scalar reference
//===----------------------------------------------------------------------===//

llvm::Error LowRankAttr::verifyComponents(RankedTensorType type, ArrayRef<int64_t> shape,
                                          ArrayRef<BufferRef> components) const {
  int64_t rank = getRank();
  if (llvm::Error error =
          verifyFront(leftType(*this, type.getShape()), {shape[0], rank}, components))
    return error;
  return verifyFront(rightType(*this, type.getShape()), {rank, shape[1]}, components);
}

llvm::Error LowRankAttr::referenceDecode(ArrayRef<int64_t> shape, ArrayRef<BufferRef> components,
                                         MutableArrayRef<float> values) const {
  int64_t rows = shape[0], columns = shape[1], rank = getRank();
  std::vector<float> left(rows * rank), right(rank * columns);
  if (llvm::Error error = decodeFront(getLeft(), {rows, rank}, components, left))
    return error;
  if (llvm::Error error = decodeFront(getRight(), {rank, columns}, components, right))
    return error;
  numerics::multiplyFactors(left.data(), right.data(), rows, columns, rank, values.data());
  return llvm::Error::success();
}

llvm::Expected<std::vector<Buffer>> LowRankAttr::referenceEncode(ArrayRef<int64_t> shape,
                                                                 ArrayRef<float> values) const {
  int64_t rows = shape[0], columns = shape[1], rank = getRank();
  std::vector<float> left(rows * rank), right(rank * columns);
  numerics::factorize(values.data(), rows, columns, rank, left.data(), right.data());
  std::vector<Buffer> all;
  if (llvm::Error error = appendEncoded(all, getLeft(), {rows, rank}, left))
    return std::move(error);
  if (llvm::Error error = appendEncoded(all, getRight(), {rank, columns}, right))
    return std::move(error);
  return all;
}
