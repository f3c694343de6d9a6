//===- Sparse.cpp - Compressed sparse rows of single values ---------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Combinators.h"
#include "lowbit/Numerics/Reference.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lowbit;
using Ofrs = SmallVector<OpFoldResult>;

static FormatAttrInterface formatOf(SparseAttr term) {
  return cast<FormatAttrInterface>(term.getElement());
}

LogicalResult SparseAttr::verify(function_ref<InFlightDiagnostic()> emitError, Attribute element,
                                 FloatAttr density) {
  auto format = dyn_cast_or_null<FormatAttrInterface>(element);
  if (!format || !format.getReference().isFloat())
    return emitError() << "the values of a sparse term are f16, bf16 or f32";
  if (double d = density.getValueAsDouble(); !(d >= 0.0 && d <= 1.0))
    return emitError() << "a density is between 0 and 1, as in density = 0.01";
  return success();
}

LogicalResult SparseAttr::verifyTerm(ArrayRef<int64_t> shape, Type elementType,
                                     function_ref<InFlightDiagnostic()> emitError) const {
  if (!elementType.isF32())
    return emitError() << "a sparse tensor denotes f32 values; its element type is " << elementType;
  if (shape.size() != 2)
    return emitError() << "a sparse term needs a tensor of 2 axes, this one has " << shape.size();
  return verifyElementCount(shape, emitError);
}

SmallVector<EncodingComponent> SparseAttr::getComponents(RankedTensorType type) const {
  Builder b(getContext());
  int64_t rows = type.getDimSize(0), dynamic = ShapedType::kDynamic;
  SmallVector<EncodingComponent> all{
      {"positions", RankedTensorType::get({type.isDynamicDim(0) ? rows : rows + 1}, b.getI32Type()),
       ComponentRole::Structure},
      {"columns", RankedTensorType::get({dynamic}, b.getI32Type()), ComponentRole::Structure},
      {"values", RankedTensorType::get({dynamic}, formatOf(*this).getCodeType()),
       ComponentRole::Payload}};
  // Entries do not say how many columns there are.
  if (type.isDynamicDim(1))
    all.push_back({"extent", b.getIndexType(), ComponentRole::Structure});
  return all;
}

Ofrs SparseAttr::getExtents(OpBuilder &b, Location loc, RankedTensorType type,
                            ValueRange components) const {
  TileBuilder t(b, loc);
  OpFoldResult rows = type.isDynamicDim(0)
                          ? t.sub(tensor::getMixedSize(b, loc, components[0], 0), t.index(1))
                          : OpFoldResult(t.index(type.getDimSize(0)));
  if (type.isDynamicDim(1))
    return {rows, components[3]};
  return {rows, t.index(type.getDimSize(1))};
}

SmallVector<int64_t> SparseAttr::getTileMultiples(RankedTensorType, TileUse use) const {
  return use == TileUse::Decode ? SmallVector<int64_t>{1, 1} : SmallVector<int64_t>{kWhole, kWhole};
}

Box SparseAttr::getComponentRegion(OpBuilder &b, Location loc, RankedTensorType,
                                   ValueRange components, unsigned index, const Box &) const {
  // No slice of a CSR tensor is an affine slice of its components; the extent is a scalar.
  return index == 3 ? Box() : wholeComponent(b, loc, components[index]);
}

namespace {
struct Entry {
  Value at, row, column;
};
} // namespace

/// Loops over the entries of rows [first, first + count): body(entry, carried) -> carried.
static Value forEachEntry(TileBuilder &t, ValueRange components, OpFoldResult first,
                          OpFoldResult count, Value initial,
                          function_ref<Value(TileBuilder &, Entry, Value carried)> body) {
  return forEach(t, t.value(first), t.value(t.add(first, count)), initial,
                 [&](TileBuilder &t, Value row, Value outer) {
                   Value next = arith::AddIOp::create(t.b, t.loc, row, t.constantIndex(1));
                   Value begin = extractIndex(t, components[0], row),
                         end = extractIndex(t, components[0], next);
                   return forEach(t, begin, end, outer,
                                  [&](TileBuilder &t, Value at, Value carried) {
                                    Value column = extractIndex(t, components[1], at);
                                    return body(t, {at, row, column}, carried);
                                  });
                 });
}

static Value decodeEntry(TileBuilder &t, SparseAttr term, ValueRange components, Value at) {
  Value code = tensor::ExtractOp::create(t.b, t.loc, components[2], at);
  return formatOf(term).buildDecode(t.b, t.loc, code);
}

Value SparseAttr::buildDecodeTile(OpBuilder &b, Location loc, RankedTensorType,
                                  ValueRange components, const Box &region) const {
  TileBuilder t(b, loc);
  Value zeros = t.filled(region.sizes, t.f32(0));
  return forEachEntry(
      t, components, region.offsets[0], region.sizes[0], zeros,
      [&](TileBuilder &t, Entry entry, Value tile) -> Value {
        Value value = decodeEntry(t, *this, components, entry.at);
        Value i = arith::SubIOp::create(t.b, t.loc, entry.row, t.value(region.offsets[0]));
        Value j = arith::SubIOp::create(t.b, t.loc, entry.column, t.value(region.offsets[1]));
        // One unsigned comparison: left of the tile is a large number.
        Value inside = arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::ult, j,
                                             t.value(region.sizes[1]));
        return scf::IfOp::create(
                   t.b, t.loc, inside,
                   [&](OpBuilder &b, Location loc) {
                     Value with = tensor::InsertOp::create(b, loc, value, tile, ValueRange{i, j});
                     scf::YieldOp::create(b, loc, with);
                   },
                   [&](OpBuilder &b, Location loc) { scf::YieldOp::create(b, loc, tile); })
            .getResult(0);
      });
}

FailureOr<Value> SparseAttr::buildContraction(OpBuilder &b, linalg::LinalgOp op, unsigned operand,
                                              RankedTensorType, ValueRange components) const {
  // y[m, n] += x[m, k] * w[n, k]; other contractions decode tiles.
  TileBuilder t(b, op.getLoc());
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  if (operand != 1 || op.getNumLoops() != 3 || maps[0] != t.map(3, {0, 2}) ||
      maps[1] != t.map(3, {1, 2}) || maps[2] != t.map(3, {0, 1}))
    return failure();
  Value x = op.getDpsInputs()[0], y = op.getDpsInits()[0];
  Value m = t.value(tensor::getMixedSize(b, t.loc, x, 0)), zero = t.constantIndex(0);
  OpFoldResult rows = tensor::getMixedSize(b, t.loc, y, 1);
  return forEachEntry(
      t, components, t.index(0), rows, y, [&](TileBuilder &t, Entry entry, Value sum) -> Value {
        Value value = decodeEntry(t, *this, components, entry.at);
        return forEach(t, zero, m, sum, [&](TileBuilder &t, Value i, Value sum) {
          Value xi = tensor::ExtractOp::create(t.b, t.loc, x, ValueRange{i, entry.column});
          Value yi = tensor::ExtractOp::create(t.b, t.loc, sum, ValueRange{i, entry.row});
          Value product = arith::MulFOp::create(t.b, t.loc, xi, value);
          Value total = arith::AddFOp::create(t.b, t.loc, yi, product);
          return tensor::InsertOp::create(t.b, t.loc, total, sum, ValueRange{i, entry.row})
              .getResult();
        });
      });
}

//===----------------------------------------------------------------------===//
// Encode: at the stored places
//===----------------------------------------------------------------------===//

bool SparseAttr::isEncodedInTiles(RankedTensorType) const { return false; }

FailureOr<SmallVector<Value>> SparseAttr::buildEncode(OpBuilder &b, Location loc, RankedTensorType,
                                                      Value whole, ValueRange components) const {
  TileBuilder t(b, loc);
  Value values = forEachEntry(
      t, components, t.index(0), tensor::getMixedSize(b, loc, whole, 0), components[2],
      [&](TileBuilder &t, Entry entry, Value values) -> Value {
        Value x = tensor::ExtractOp::create(t.b, t.loc, whole, ValueRange{entry.row, entry.column});
        Value code = formatOf(*this).buildEncode(t.b, t.loc, x);
        return tensor::InsertOp::create(t.b, t.loc, code, values, entry.at);
      });
  SmallVector<Value> all(components);
  all[2] = values;
  return all;
}

Value SparseAttr::buildTakeOut(OpBuilder &b, Location loc, RankedTensorType, Value whole,
                               ValueRange components) const {
  TileBuilder t(b, loc);
  return forEachEntry(t, components, t.index(0), tensor::getMixedSize(b, loc, whole, 0), whole,
                      [&](TileBuilder &t, Entry entry, Value rest) -> Value {
                        return tensor::InsertOp::create(t.b, t.loc, t.f32(0), rest,
                                                        ValueRange{entry.row, entry.column});
                      });
}

//===----------------------------------------------------------------------===//
// Scalar reference
//===----------------------------------------------------------------------===//

static numerics::Sparse referenceOf(SparseAttr term) {
  return {formatOf(term).getReference(), term.getDensity().getValueAsDouble()};
}

llvm::Error SparseAttr::verifyComponents(RankedTensorType type, ArrayRef<int64_t> shape,
                                         ArrayRef<BufferRef> components) const {
  numerics::Sparse term = referenceOf(*this);
  numerics::Shape extents(shape.begin(), shape.end());
  if (auto message = numerics::check(term, extents))
    return llvm::createStringError(*message);
  if (components.size() != getComponents(type).size())
    return llvm::createStringError("a sparse term has " +
                                   std::to_string(getComponents(type).size()) + " components");
  if (type.isDynamicDim(1))
    if (llvm::Error error = verifyExtent(components.back(), shape.back()))
      return error;
  int64_t entries = components[1].bytes.size() / 4;
  for (auto [want, have] : llvm::zip(numerics::components(term, extents, entries), components))
    if ((int64_t)have.bytes.size() != want.bytes())
      return llvm::createStringError("component " + want.name + " has " +
                                     std::to_string(have.bytes.size()) + " bytes instead of " +
                                     std::to_string(want.bytes()));
  auto positions = integersOfFront(components, "positions", shape[0] + 1);
  if (!positions)
    return positions.takeError();
  auto columns = integersOfFront(components, "columns", entries);
  if (!columns)
    return columns.takeError();
  if (auto message = numerics::checkEntries(extents, positions->data(), columns->data(), entries))
    return llvm::createStringError(*message);
  return llvm::Error::success();
}

llvm::Error SparseAttr::referenceDecode(ArrayRef<int64_t> shape, ArrayRef<BufferRef> components,
                                        MutableArrayRef<float> values) const {
  if (llvm::Error error = verifyComponents(termType(*this, shape), shape, components))
    return error;
  std::vector<const uint8_t *> data;
  for (const BufferRef &component : components)
    data.push_back(component.bytes.data());
  numerics::decodeSparse(referenceOf(*this), numerics::Shape(shape.begin(), shape.end()), data,
                         values.data());
  return llvm::Error::success();
}

llvm::Expected<std::vector<Buffer>> SparseAttr::referenceEncode(ArrayRef<int64_t> shape,
                                                                ArrayRef<float> values) const {
  std::vector<int64_t> places = referenceChoose(shape, values);
  std::vector<float> elements;
  for (int64_t place : places)
    elements.push_back(values[place]);
  return referenceEncodeAt(shape, places, elements);
}

std::vector<int64_t> SparseAttr::referenceChoose(ArrayRef<int64_t>, ArrayRef<float> values) const {
  int64_t count = numerics::outlierCount(getDensity().getValueAsDouble(), values.size());
  return numerics::chooseOutliers(values.data(), values.size(), count);
}

llvm::Expected<std::vector<Buffer>> SparseAttr::referenceEncodeAt(ArrayRef<int64_t> shape,
                                                                  ArrayRef<int64_t> places,
                                                                  ArrayRef<float> elements) const {
  numerics::Sparse term = referenceOf(*this);
  numerics::Shape extents(shape.begin(), shape.end());
  if (auto message = numerics::check(term, extents))
    return llvm::createStringError(*message);
  std::vector<numerics::Bytes> bytes =
      numerics::encodeEntries(term, extents, places.vec(), elements.data());
  std::vector<Buffer> buffers;
  for (auto [component, data] :
       llvm::zip(numerics::components(term, extents, places.size()), bytes))
    buffers.push_back(
        {SmallVector<int64_t>(component.shape.begin(), component.shape.end()), std::move(data)});
  return buffers;
}
