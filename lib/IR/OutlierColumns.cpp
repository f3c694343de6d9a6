//===- OutlierColumns.cpp - Some columns in an encoding of their own ------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Combinators.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Numerics/Reference.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lowbit;
using Ofrs = SmallVector<OpFoldResult>;

LogicalResult OutlierColumnsAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                         FloatAttr density, Attribute base, Attribute outliers) {
  if (double d = density.getValueAsDouble(); !(d >= 0.0 && d <= 1.0))
    return emitError() << "a density is between 0 and 1, as in density = 0.01";
  for (Attribute term : {base, outliers})
    if (!isa_and_nonnull<EncodingAttrInterface>(term))
      return emitError() << "columns are in an encoding, not in " << term;
  return success();
}
LogicalResult OutlierColumnsAttr::verifyTerm(ArrayRef<int64_t> shape, Type elementType,
                                             function_ref<InFlightDiagnostic()> emitError) const {
  if (shape.size() != 2)
    return emitError() << "columns are of a tensor of 2 axes, this one has " << shape.size();
  if (failed(cast<EncodingAttrInterface>(getBase()).verifyTerm(shape, elementType, emitError)))
    return failure();
  return cast<EncodingAttrInterface>(getOutliers())
      .verifyTerm({ShapedType::kDynamic, shape[0]}, elementType, emitError);
}

SmallVector<RankedTensorType> OutlierColumnsAttr::getChildren(RankedTensorType type) const {
  return {termType(getBase(), type.getShape()),
          termType(getOutliers(), {ShapedType::kDynamic, type.getDimSize(0)})};
}

SmallVector<EncodingComponent> OutlierColumnsAttr::getComponents(RankedTensorType type) const {
  SmallVector<EncodingComponent> all{
      {"columns", RankedTensorType::get({ShapedType::kDynamic}, IntegerType::get(getContext(), 32)),
       ComponentRole::Structure}};
  SmallVector<RankedTensorType> children = getChildren(type);
  appendComponents(all, "base", children[0]);
  appendComponents(all, "outliers", children[1]);
  return all;
}

namespace {
/// The two terms with their components.
struct Child {
  RankedTensorType type;
  EncodingAttrInterface encoding;
  ValueRange components;
};
} // namespace

static std::pair<Child, Child> childrenOf(OutlierColumnsAttr term, RankedTensorType type,
                                          ValueRange components) {
  SmallVector<RankedTensorType> types = term.getChildren(type);
  unsigned count = componentCount(types[0]);
  // There are no components yet where storage is made.
  ValueRange base = components, outliers = components;
  if (!components.empty()) {
    base = components.slice(1, count);
    outliers = components.drop_front(1 + count);
  }
  return {{types[0], getEncoding(types[0]), base}, {types[1], getEncoding(types[1]), outliers}};
}

Ofrs OutlierColumnsAttr::getExtents(OpBuilder &b, Location loc, RankedTensorType type,
                                    ValueRange components) const {
  Child base = childrenOf(*this, type, components).first;
  return base.encoding.getExtents(b, loc, base.type, base.components);
}

SmallVector<int64_t> OutlierColumnsAttr::getTileMultiples(RankedTensorType type,
                                                          TileUse use) const {
  if (use != TileUse::Decode)
    return {kWhole, kWhole};
  SmallVector<RankedTensorType> children = getChildren(type);
  return {joinMultiples(getEncoding(children[0]).getTileMultiples(children[0], use)[0],
                        getEncoding(children[1]).getTileMultiples(children[1], use)[1]),
          kWhole};
}

/// These rows of all outliers: columns of what they are stored as.
static Box outlierRegion(TileBuilder &t, Value columns, const Box &region) {
  return {{t.index(0), region.offsets[0]},
          {tensor::getMixedSize(t.b, t.loc, columns, 0), region.sizes[0]}};
}

Box OutlierColumnsAttr::getComponentRegion(OpBuilder &b, Location loc, RankedTensorType type,
                                           ValueRange components, unsigned index,
                                           const Box &region) const {
  if (index == 0)
    return wholeComponent(b, loc, components[0]);
  auto [base, outliers] = childrenOf(*this, type, components);
  if (--index < base.components.size())
    return base.encoding.getComponentRegion(b, loc, base.type, base.components, index, region);
  TileBuilder t(b, loc);
  return outliers.encoding.getComponentRegion(b, loc, outliers.type, outliers.components,
                                              index - base.components.size(),
                                              outlierRegion(t, components[0], region));
}

//===----------------------------------------------------------------------===//
// Decode, encode and products
//===----------------------------------------------------------------------===//

/// body(column, number, carried) -> carried, for each of `columns`.
static Value forEachColumn(TileBuilder &t, Value columns, Value initial,
                           function_ref<Value(TileBuilder &, Value, Value, Value)> body) {
  Value count = t.value(tensor::getMixedSize(t.b, t.loc, columns, 0));
  return forEach(t, t.constantIndex(0), count, initial,
                 [&](TileBuilder &t, Value i, Value carried) {
                   return body(t, extractIndex(t, columns, i), i, carried);
                 });
}

/// Index `at` along `axis` of `values`.
static Box layerAt(TileBuilder &t, Value values, unsigned axis, OpFoldResult at) {
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, values), offsets(sizes.size(), t.index(0));
  sizes[axis] = t.index(1);
  offsets[axis] = at;
  return {offsets, sizes};
}

/// `values` with 0 at `columns` of `axis`.
static Value takeOut(TileBuilder &t, Value values, Value columns, unsigned axis) {
  return forEachColumn(t, columns, values, [&](TileBuilder &t, Value column, Value, Value carried) {
    Box layer = layerAt(t, carried, axis, column);
    Type type = cast<RankedTensorType>(values.getType()).getElementType();
    Value zero = arith::ConstantOp::create(t.b, t.loc, t.b.getZeroAttr(type));
    return t.insert(t.filled(layer.sizes, zero), carried, layer);
  });
}

/// A matrix with its axes exchanged.
static Value transpose(TileBuilder &t, Value values) {
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, values);
  std::swap(sizes[0], sizes[1]);
  SmallVector<utils::IteratorType> parallel(2, utils::IteratorType::parallel);
  return t.generic({values}, t.empty(sizes, t.b.getF32Type()), {t.map(2, {1, 0}), t.map(2, {0, 1})},
                   parallel,
                   [](TileBuilder &, ValueRange a) -> SmallVector<Value> { return {a[0]}; })[0];
}

/// `values` at `columns` of `axis`, one beside the other.
static Value gather(TileBuilder &t, Value values, Value columns, unsigned axis) {
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, values);
  sizes[axis] = tensor::getMixedSize(t.b, t.loc, columns, 0);
  Type type = cast<RankedTensorType>(values.getType()).getElementType();
  return forEachColumn(t, columns, t.empty(sizes, type),
                       [&](TileBuilder &t, Value column, Value i, Value carried) {
                         return t.insert(t.slice(values, layerAt(t, values, axis, column)), carried,
                                         layerAt(t, carried, axis, i));
                       });
}

Value OutlierColumnsAttr::buildDecodeTile(OpBuilder &b, Location loc, RankedTensorType type,
                                          ValueRange components, const Box &region) const {
  TileBuilder t(b, loc);
  auto [base, outliers] = childrenOf(*this, type, components);
  Value tile = base.encoding.buildDecodeTile(b, loc, base.type, base.components, region);
  Value own = outliers.encoding.buildDecodeTile(b, loc, outliers.type, outliers.components,
                                                outlierRegion(t, components[0], region));
  return forEachColumn(
      t, components[0], tile, [&](TileBuilder &t, Value column, Value i, Value carried) {
        Value row = t.slice(own, layerAt(t, own, 0, i));
        return t.insert(transpose(t, row), carried, layerAt(t, carried, 1, column));
      });
}

bool OutlierColumnsAttr::isEncodedInTiles(RankedTensorType) const { return false; }

FailureOr<SmallVector<Value>> OutlierColumnsAttr::buildEncode(OpBuilder &b, Location loc,
                                                              RankedTensorType type, Value whole,
                                                              ValueRange components) const {
  TileBuilder t(b, loc);
  auto [base, outliers] = childrenOf(*this, type, components);
  auto rest = encodeWhole(b, loc, base.type, takeOut(t, whole, components[0], 1), base.components);
  auto own = encodeWhole(b, loc, outliers.type, transpose(t, gather(t, whole, components[0], 1)),
                         outliers.components);
  if (failed(rest) || failed(own))
    return failure();
  SmallVector<Value> all{components[0]};
  all.append(*rest);
  all.append(*own);
  return all;
}

/// A contraction that reads operand `number` with its axes exchanged.
static Value contractTransposed(TileBuilder &t, linalg::LinalgOp op, ArrayRef<Value> operands,
                                unsigned number) {
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  SmallVector<AffineExpr> axes(llvm::reverse(maps[number].getResults()));
  maps[number] = AffineMap::get(op.getNumLoops(), 0, axes, t.b.getContext());
  auto result =
      linalg::GenericOp::create(t.b, t.loc, operands.back().getType(), operands.drop_back(),
                                operands.back(), maps, op.getIteratorTypesArray());
  IRMapping map;
  op->getRegion(0).cloneInto(&result.getRegion(), map);
  return result.getResult(0);
}

FailureOr<Value> OutlierColumnsAttr::buildContraction(OpBuilder &b, linalg::LinalgOp op,
                                                      unsigned operand, RankedTensorType type,
                                                      ValueRange components) const {
  // Each term meets the inputs of its own columns: the base zeros at the others, which it has no
  // values for.
  OpOperand &encoded = op->getOpOperand(operand), &init = *op.getDpsInitOperand(0);
  auto loop = cast<AffineDimExpr>(op.getMatchingIndexingMap(&encoded).getResult(1));
  if (op.getMatchingIndexingMap(&init).isFunctionOfDim(loop.getPosition()))
    return failure();
  TileBuilder t(b, op.getLoc());
  auto [base, outliers] = childrenOf(*this, type, components);
  SmallVector<Value> rest, own;
  for (OpOperand *input : op.getDpsInputOperands()) {
    if (input == &encoded) {
      rest.push_back(decodeWhole(b, t.loc, base.type, base.components));
      own.push_back(decodeWhole(b, t.loc, outliers.type, outliers.components));
      continue;
    }
    Value without = input->get(), at = input->get();
    for (auto [axis, expr] : llvm::enumerate(op.getMatchingIndexingMap(input).getResults()))
      if (expr == loop) {
        without = takeOut(t, without, components[0], axis);
        at = gather(t, at, components[0], axis);
      }
    rest.push_back(without);
    own.push_back(at);
  }
  rest.push_back(init.get());
  own.push_back(clone(b, op, init.get().getType(), rest)->getResult(0));
  return contractTransposed(t, op, own, operand);
}

//===----------------------------------------------------------------------===//
// Scalar reference
//===----------------------------------------------------------------------===//

/// Takes the columns from the list, checked.
static llvm::Expected<std::vector<int32_t>> columnsOfFront(ArrayRef<int64_t> shape,
                                                           ArrayRef<BufferRef> &components) {
  auto columns = integersOfFront(components, "columns", -1);
  if (!columns)
    return columns.takeError();
  int64_t last = -1;
  for (int32_t column : *columns) {
    if (column <= last || column >= shape[1])
      return llvm::createStringError("columns rise and are below " + std::to_string(shape[1]) +
                                     ", but " + std::to_string(column) + " comes after " +
                                     std::to_string(last));
    last = column;
  }
  return columns;
}

llvm::Error OutlierColumnsAttr::verifyComponents(RankedTensorType type, ArrayRef<int64_t> shape,
                                                 ArrayRef<BufferRef> components) const {
  auto columns = columnsOfFront(shape, components);
  if (!columns)
    return columns.takeError();
  SmallVector<RankedTensorType> children = getChildren(type);
  if (llvm::Error error = verifyFront(children[0], shape, components))
    return error;
  return verifyFront(children[1], {int64_t(columns->size()), shape[0]}, components);
}

/// Copies between column `columns[i]` of values [rows, width] and row i of outliers.
static void copyColumns(ArrayRef<int64_t> shape, ArrayRef<int32_t> columns,
                        MutableArrayRef<float> values, MutableArrayRef<float> outliers,
                        bool isDecode) {
  for (int64_t row = 0; row < shape[0]; ++row)
    for (auto [i, column] : llvm::enumerate(columns)) {
      float &whole = values[row * shape[1] + column], &own = outliers[i * shape[0] + row];
      (isDecode ? whole : own) = isDecode ? own : whole;
    }
}

llvm::Error OutlierColumnsAttr::referenceDecode(ArrayRef<int64_t> shape,
                                                ArrayRef<BufferRef> components,
                                                MutableArrayRef<float> values) const {
  auto columns = columnsOfFront(shape, components);
  if (!columns)
    return columns.takeError();
  if (llvm::Error error = decodeFront(getBase(), shape, components, values))
    return error;
  std::vector<float> outliers(shape[0] * columns->size());
  if (llvm::Error error =
          decodeFront(getOutliers(), {int64_t(columns->size()), shape[0]}, components, outliers))
    return error;
  copyColumns(shape, *columns, values, outliers, /*isDecode=*/true);
  return llvm::Error::success();
}

llvm::Expected<std::vector<Buffer>>
OutlierColumnsAttr::referenceEncode(ArrayRef<int64_t> shape, ArrayRef<float> values) const {
  int64_t count = numerics::outlierCount(getDensity().getValueAsDouble(), shape[1]);
  std::vector<int32_t> columns;
  if (shape[0] == 0) // all alike
    for (int64_t column = 0; column < count; ++column)
      columns.push_back(column);
  else
    for (int64_t column :
         numerics::chooseBlocks(values.data(), {shape[0], shape[1]}, {shape[0], 1}, count))
      columns.push_back(column);
  std::vector<float> base(values), outliers(shape[0] * count);
  copyColumns(shape, columns, base, outliers, /*isDecode=*/false);
  for (int64_t row = 0; row < shape[0]; ++row)
    for (int32_t column : columns)
      base[row * shape[1] + column] = 0.0f;
  std::vector<Buffer> all{bufferOf(columns)};
  if (llvm::Error error = appendEncoded(all, getBase(), shape, base))
    return std::move(error);
  if (llvm::Error error = appendEncoded(all, getOutliers(), {count, shape[0]}, outliers))
    return std::move(error);
  return all;
}
