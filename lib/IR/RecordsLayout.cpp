//===- RecordsLayout.cpp - Inner tiles with their scales, in one stream ---===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The storage is that of include/lowbit/Numerics/RecordsLayout.h: parts of the components of
// `tiled`, as bytes.
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/RecordsLayout.h"
#include "InnerTiles.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace lowbit;
using numerics::InnerTile;
using numerics::Record;
using numerics::RecordPart;
using Ofrs = SmallVector<OpFoldResult>;
constexpr auto parallel = utils::IteratorType::parallel;

static Record recordOf(QuantizedAttr term, RankedTensorType type) {
  numerics::Shape shape(type.getShape().begin(), type.getShape().end());
  return numerics::recordOf(term.getReferenceTerm(), shape);
}

static SmallVector<EncodingComponent> tilesOf(const QuantizedAttr &term, RankedTensorType type) {
  return TiledLayoutAttr::get(type.getContext()).getComponents(term, type);
}

static RankedTensorType tensorOf(const EncodingComponent &component) {
  return cast<RankedTensorType>(component.type);
}

std::shared_ptr<const numerics::Layout> RecordsLayoutAttr::getReference() const {
  return numerics::recordsLayout();
}

LogicalResult RecordsLayoutAttr::verifyTerm(const QuantizedAttr &term, ArrayRef<int64_t> shape,
                                            function_ref<InFlightDiagnostic()> emitError) const {
  return verifyStaticTerm(*this, term, shape, emitError);
}

SmallVector<EncodingComponent> RecordsLayoutAttr::getComponents(const QuantizedAttr &term,
                                                                RankedTensorType type) const {
  Record record = recordOf(term, type);
  SmallVector<EncodingComponent> tiles = tilesOf(term, type);
  SmallVector<int64_t> shape{tensorOf(tiles[0]).getDimSize(0),
                             (int64_t)llvm::divideCeil(type.getDimSize(1), record.columns),
                             record.bytes};
  SmallVector<EncodingComponent> all{
      {"records", RankedTensorType::get(shape, IntegerType::get(getContext(), 8)),
       ComponentRole::Payload}};
  for (size_t component : record.apart)
    all.push_back(tiles[component]);
  return all;
}

SmallVector<int64_t> RecordsLayoutAttr::getTileMultiples(const QuantizedAttr &term,
                                                         RankedTensorType type) const {
  return {InnerTile::rows, recordOf(term, type).columns};
}

Box RecordsLayoutAttr::getComponentRegion(OpBuilder &b, Location loc, const QuantizedAttr &term,
                                          RankedTensorType type, unsigned index,
                                          const Box &region) const {
  TileBuilder t(b, loc);
  Record record = recordOf(term, type);
  if (index > 0)
    return TiledLayoutAttr::get(getContext())
        .getComponentRegion(b, loc, term, type, record.apart[index - 1], region);
  return {{t.floorDiv(region.offsets[0], InnerTile::rows),
           t.floorDiv(region.offsets[1], record.columns), t.index(0)},
          {t.ceilDiv(region.sizes[0], InnerTile::rows), t.ceilDiv(region.sizes[1], record.columns),
           t.index(record.bytes)}};
}

//===----------------------------------------------------------------------===//
// Parts of records
//===----------------------------------------------------------------------===//

/// The bytes of a part in records [groups, records, bytes].
static Box regionOf(TileBuilder &t, const Record &record, const RecordPart &part, Value records) {
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, records);
  return {{t.index(0), t.index(0), t.index(part.offset)},
          {sizes[0], sizes[1], t.index(record.units(part) * part.bytes)}};
}

/// [..., bytes of an element] to elements of `type`, little end first.
static Value joinBytes(TileBuilder &t, Value bytes, Type type) {
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, bytes);
  int64_t last = sizes.size() - 1;
  sizes.back() = t.index(1);
  SmallVector<Value> each;
  for (int64_t i = 0; i < type.getIntOrFloatBitWidth() / 8; ++i) {
    Ofrs offsets(sizes.size(), t.index(0));
    offsets.back() = t.index(i);
    each.push_back(t.slice(bytes, {offsets, sizes}, {last}));
  }
  Type bits = t.b.getIntegerType(type.getIntOrFloatBitWidth());
  return t.elementwise(each, type, [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
    Value joined;
    for (auto [i, byte] : llvm::enumerate(a.take_front(each.size()))) {
      Value part = arith::ExtUIOp::create(t.b, t.loc, bits, byte);
      Value shift = arith::ConstantOp::create(t.b, t.loc, t.b.getIntegerAttr(bits, 8 * i));
      part = arith::ShLIOp::create(t.b, t.loc, part, shift);
      joined = joined ? arith::OrIOp::create(t.b, t.loc, joined, part) : part;
    }
    if (bits != type)
      joined = arith::BitcastOp::create(t.b, t.loc, type, joined);
    return {joined};
  });
}

/// The reverse.
static Value splitBytes(TileBuilder &t, Value elements) {
  Type type = cast<RankedTensorType>(elements.getType()).getElementType();
  Type bits = t.b.getIntegerType(type.getIntOrFloatBitWidth());
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, elements);
  unsigned rank = sizes.size();
  sizes.push_back(t.index(type.getIntOrFloatBitWidth() / 8));
  SmallVector<unsigned> axes = llvm::to_vector(llvm::seq(rank));
  return t.generic(elements, t.empty(sizes, t.b.getI8Type()),
                   {t.map(rank + 1, axes), t.b.getMultiDimIdentityMap(rank + 1)},
                   SmallVector<utils::IteratorType>(rank + 1, parallel),
                   [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                     Value value = a[0];
                     if (bits != type)
                       value = arith::BitcastOp::create(t.b, t.loc, bits, value);
                     Value shift = arith::IndexCastOp::create(
                         t.b, t.loc, bits, linalg::IndexOp::create(t.b, t.loc, rank));
                     Value eight =
                         arith::ConstantOp::create(t.b, t.loc, t.b.getIntegerAttr(bits, 8));
                     shift = arith::MulIOp::create(t.b, t.loc, shift, eight);
                     value = arith::ShRUIOp::create(t.b, t.loc, value, shift);
                     return {arith::TruncIOp::create(t.b, t.loc, t.b.getI8Type(), value)};
                   })[0];
}

/// A component of `tiled`, [groups, units, elements of a unit], from records; with the units of the
/// last record that are beyond the tile.
static Value takePart(TileBuilder &t, const Record &record, const RecordPart &part, Value records,
                      Type element) {
  Value bytes = t.slice(records, regionOf(t, record, part, records));
  int64_t width = element.getIntOrFloatBitWidth() / 8;
  SmallVector<int64_t> inner{part.bytes / width};
  if (width > 1)
    inner.push_back(width);
  inner.insert(inner.begin(), record.units(part));
  Value split = t.splitLast(bytes, inner);
  // The unit's own axis of extent 1, in front of those in `inner`.
  SmallVector<ReassociationIndices> groups{{0}, {1, 2, 3}, {4}};
  if (width > 1)
    groups.push_back({5});
  Value units = tensor::CollapseShapeOp::create(t.b, t.loc, split, groups);
  return width > 1 ? joinBytes(t, units, element) : units;
}

static Value putPart(TileBuilder &t, const Record &record, const RecordPart &part, Value units,
                     Value records) {
  if (!cast<RankedTensorType>(units.getType()).getElementType().isInteger(8))
    units = t.joinFrom(splitBytes(t, units), 2);
  int64_t perRecord = record.units(part);
  units = t.padded(units, 1, perRecord);
  Box region = regionOf(t, record, part, records);
  Ofrs sizes{region.sizes[0], region.sizes[1], t.index(perRecord), t.index(part.bytes)};
  SmallVector<ReassociationIndices> split{{0}, {1, 2}, {3}}, joined{{0}, {1}, {2, 3}};
  auto type = RankedTensorType::get(decomposeMixedValues(sizes).first, t.b.getI8Type());
  Value view = tensor::ExpandShapeOp::create(t.b, t.loc, type, units, split, sizes);
  return t.insert(tensor::CollapseShapeOp::create(t.b, t.loc, view, joined), records, region);
}

Fields RecordsLayoutAttr::buildUnpack(OpBuilder &b, Location loc, const QuantizedAttr &term,
                                      RankedTensorType type, ValueRange components,
                                      const Box &region) const {
  TileBuilder t(b, loc);
  Record record = recordOf(term, type);
  SmallVector<EncodingComponent> tiles = tilesOf(term, type);
  SmallVector<Value> parts(tiles.size());
  Value records = t.slice(components[0], getComponentRegion(b, loc, term, type, 0, region));
  for (const RecordPart &part : record.parts)
    parts[part.component] =
        takePart(t, record, part, records, tensorOf(tiles[part.component]).getElementType());
  for (auto [i, component] : llvm::enumerate(record.apart))
    parts[component] =
        t.slice(components[1 + i], getComponentRegion(b, loc, term, type, 1 + i, region));
  return unpackInnerTiles(t, term, type, parts, region);
}

FailureOr<SmallVector<Value>> RecordsLayoutAttr::buildPack(OpBuilder &b, Location loc,
                                                           const QuantizedAttr &term,
                                                           RankedTensorType type,
                                                           const Fields &fields,
                                                           ValueRange destinations) const {
  TileBuilder t(b, loc);
  Record record = recordOf(term, type);
  SmallVector<EncodingComponent> tiles = tilesOf(term, type);
  Ofrs sizes = tensor::getMixedSizes(b, loc, fields.codes);
  SmallVector<Value> into(tiles.size());
  for (const RecordPart &part : record.parts) {
    RankedTensorType tile = tensorOf(tiles[part.component]);
    into[part.component] = t.empty({t.ceilDiv(sizes[0], InnerTile::rows),
                                    t.ceilDiv(sizes[1], part.columns), t.index(tile.getDimSize(2))},
                                   tile.getElementType());
  }
  for (auto [i, component] : llvm::enumerate(record.apart))
    into[component] = destinations[1 + i];
  SmallVector<Value> packed = packInnerTiles(t, term, type, fields, into);
  SmallVector<Value> result{destinations[0]};
  if (!isEmptyTensor(destinations[0]))
    for (const RecordPart &part : record.parts)
      result[0] = putPart(t, record, part, packed[part.component], result[0]);
  for (size_t component : record.apart)
    result.push_back(packed[component]);
  return result;
}

//===----------------------------------------------------------------------===//
// Vector by vector
//===----------------------------------------------------------------------===//

bool RecordsLayoutAttr::hasInnerTiles() const { return true; }

int64_t RecordsLayoutAttr::getInnerColumns(const QuantizedAttr &term) const {
  return innerColumnsOf(term);
}

/// The indices of the unit of `part` that `at` lies in, and `ahead` bytes after it. Steps need not
/// be whole records.
static SmallVector<Value> placeOf(TileBuilder &t, const Record &record, const RecordPart &part,
                                  Value group, const StepColumn &at, int64_t ahead = 0) {
  AffineExpr column = t.b.getAffineDimExpr(0) * at.extent + at.offset;
  AffineExpr unit = (column % record.columns).floorDiv(part.columns);
  return {group, t.blockOf(at, record.columns),
          t.value(t.apply(unit * part.bytes + (part.offset + ahead), {at.step}))};
}

/// A component of `tiled` that is in no record.
static Value apartOf(const Record &record, ValueRange components, unsigned component) {
  return components[1 + (llvm::find(record.apart, component) - record.apart.begin())];
}

/// A unit of a component of `tiled`.
static Value load(TileBuilder &t, const Record &record, ValueRange components, unsigned component,
                  int64_t columns, VectorType type, Value group, const StepColumn &at) {
  const RecordPart *part = record.find(component);
  if (!part)
    return loadUnit(t, apartOf(record, components, component), columns, type, group, at);
  auto bytes = VectorType::get({part->bytes}, t.b.getI8Type());
  Value unit = vector::LoadOp::create(t.b, t.loc, bytes, components[0],
                                      placeOf(t, record, *part, group, at));
  return bytes == type ? unit : vector::BitCastOp::create(t.b, t.loc, type, unit).getResult();
}

Value RecordsLayoutAttr::buildInnerTile(OpBuilder &b, Location loc, const QuantizedAttr &term,
                                        RankedTensorType type, ValueRange components, Value group,
                                        const StepColumn &at) const {
  TileBuilder t(b, loc);
  Record record = recordOf(term, type);
  return buildInnerCodes(t, term, at, [&](unsigned component, int64_t columns, VectorType vector) {
    return load(t, record, components, component, columns, vector, group, at);
  });
}

void RecordsLayoutAttr::buildInnerPrefetch(OpBuilder &b, Location loc, const QuantizedAttr &term,
                                           RankedTensorType type, ValueRange components,
                                           Value group, const StepColumn &at, int64_t distance,
                                           unsigned locality) const {
  TileBuilder t(b, loc);
  Record record = recordOf(term, type);
  // Bytes after a place are those after it in memory, also beyond its record.
  for (const RecordPart &part : record.parts)
    if (at.extent % part.columns == 0 && at.offset % part.columns == 0)
      memref::PrefetchOp::create(b, loc, components[0],
                                 placeOf(t, record, part, group, at, distance),
                                 /*isWrite=*/false, locality, /*isDataCache=*/true);
}

Value RecordsLayoutAttr::buildInnerLevel(OpBuilder &b, Location loc, const QuantizedAttr &term,
                                         RankedTensorType type, ValueRange components,
                                         unsigned level, Value group, const StepColumn &at) const {
  TileBuilder t(b, loc);
  Record record = recordOf(term, type);
  unsigned component = planesOf(term).size() + level;
  Value grid = record.find(component) ? Value() : apartOf(record, components, component);
  return lowbit::buildInnerLevel(
      t, storedLevelsOf(term, type.getShape())[level], component, grid, group, at,
      [&](unsigned component, int64_t columns, VectorType vector) {
        return load(t, record, components, component, columns, vector, group, at);
      });
}
