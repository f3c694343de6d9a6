//===- InnerTiles.cpp - Vectors of codes and levels of inner tiles --------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "InnerTiles.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace lowbit;
using numerics::InnerTile;
using Ofrs = SmallVector<OpFoldResult>;
constexpr auto parallel = utils::IteratorType::parallel;
constexpr auto reduction = utils::IteratorType::reduction;

//===----------------------------------------------------------------------===//
// Components
//===----------------------------------------------------------------------===//

SmallVector<int64_t> StoredLevel::storedShape() const {
  if (!isTiled)
    return grid;
  return {(int64_t)llvm::divideCeil(grid[0], InnerTile::rows), grid[1], InnerTile::rows};
}

Value StoredLevel::codesOf(OpBuilder &b, Location loc, Value elements) const {
  auto type = dyn_cast<IntegerType>(getElementTypeOrSelf(elements.getType()));
  unsigned bits = format.getReference().bits();
  if (!type || type.getWidth() == bits)
    return elements;
  TypedAttr mask = b.getIntegerAttr(type, (int64_t(1) << bits) - 1);
  if (auto lanes = dyn_cast<VectorType>(elements.getType()))
    mask = DenseElementsAttr::get(lanes, Attribute(mask));
  return arith::AndIOp::create(b, loc, elements, arith::ConstantOp::create(b, loc, mask));
}

Box StoredLevel::gridRegion(TileBuilder &t, const Box &region) const {
  Box part;
  for (int64_t axis = 0; axis < 2; ++axis) {
    bool whole = block[axis] == kWhole;
    part.offsets.push_back(whole ? t.index(0) : t.floorDiv(region.offsets[axis], block[axis]));
    part.sizes.push_back(whole ? t.index(1) : t.ceilDiv(region.sizes[axis], block[axis]));
  }
  return part;
}

Box StoredLevel::storedRegion(TileBuilder &t, const Box &region) const {
  Box part = gridRegion(t, region);
  if (!isTiled)
    return part;
  return {{t.floorDiv(part.offsets[0], InnerTile::rows), part.offsets[1], t.index(0)},
          {t.ceilDiv(part.sizes[0], InnerTile::rows), part.sizes[1], t.index(InnerTile::rows)}};
}

SmallVector<StoredLevel> lowbit::storedLevelsOf(QuantizedAttr term, ArrayRef<int64_t> shape) {
  SmallVector<StoredLevel> all;
  for (ScaleLevel &level : term.getAllLevels(shape)) {
    StoredLevel stored{
        level.suffix, cast<FormatAttrInterface>(level.format), level.block, {}, false};
    for (auto [n, block] : llvm::zip(shape, level.block))
      stored.grid.push_back(block == kWhole ? 1 : llvm::divideCeil(n, block));
    stored.isTiled = stored.grid[0] == shape[0];
    all.push_back(std::move(stored));
  }
  return all;
}

std::vector<numerics::Plane> lowbit::planesOf(QuantizedAttr term) {
  return numerics::planesOf(term.getCodeFormat().getReference().bits());
}

int64_t lowbit::innerColumnsOf(QuantizedAttr term) {
  int64_t columns = 1;
  for (numerics::Plane plane : planesOf(term))
    columns = joinMultiples(columns, numerics::columnsPerVector(plane));
  return columns;
}

/// What is flipped in a code: the sign bit of int<k>.
static int64_t signBitOf(QuantizedAttr term) {
  numerics::Format format = term.getCodeFormat().getReference();
  return format.kind() == numerics::FormatKind::Int ? int64_t(1) << (format.bits() - 1) : 0;
}

//===----------------------------------------------------------------------===//
// Unpacking
//===----------------------------------------------------------------------===//

/// The lowest bit of the field of loop `loop`.
static Value shiftOf(TileBuilder &t, unsigned loop, numerics::Plane plane) {
  Value at = linalg::IndexOp::create(t.b, t.loc, loop);
  at = arith::IndexCastOp::create(t.b, t.loc, t.b.getI8Type(), at);
  return arith::MulIOp::create(t.b, t.loc, at, t.i8(plane.width));
}

static Value masked(TileBuilder &t, Value bits, numerics::Plane plane) {
  return arith::AndIOp::create(t.b, t.loc, bits, t.i8((1 << plane.width) - 1));
}

/// [groups, vectors, 64] to [rows, columns]: the fields of a plane at their place in the code.
static Value unpackPlane(TileBuilder &t, Value vectors, numerics::Plane plane) {
  Value view = t.splitLast(vectors, {InnerTile::columns});
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, view);
  // Loops: group, row, vector, field, column.
  Value fields = t.generic(
      view,
      t.empty({sizes[0], sizes[2], sizes[1], t.index(8 / plane.width), sizes[3]}, t.b.getI8Type()),
      {t.map(5, {0, 2, 1, 4}), t.b.getMultiDimIdentityMap(5)},
      SmallVector<utils::IteratorType>(5, parallel),
      [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        Value bits = arith::ShRUIOp::create(t.b, t.loc, a[0], shiftOf(t, 3, plane));
        bits = masked(t, bits, plane);
        return {arith::ShLIOp::create(t.b, t.loc, bits, t.i8(plane.shift))};
      })[0];
  SmallVector<ReassociationIndices> groups{{0, 1}, {2, 3, 4}};
  return tensor::CollapseShapeOp::create(t.b, t.loc, fields, groups);
}

/// [groups, blocks, 16], or the grid itself, to [rows, blocks].
static Value unpackLevel(TileBuilder &t, const StoredLevel &level, Value stored) {
  auto codes = [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
    return {level.codesOf(t.b, t.loc, a[0])};
  };
  Type type = cast<RankedTensorType>(stored.getType()).getElementType();
  if (!level.isTiled)
    return t.elementwise(stored, type, codes);
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, stored);
  Value rows = t.generic(stored, t.empty({sizes[0], sizes[2], sizes[1]}, type),
                         {t.map(3, {0, 2, 1}), t.b.getMultiDimIdentityMap(3)},
                         SmallVector<utils::IteratorType>(3, parallel), codes)[0];
  SmallVector<ReassociationIndices> groups{{0, 1}, {2}};
  return tensor::CollapseShapeOp::create(t.b, t.loc, rows, groups);
}

static Value flipped(TileBuilder &t, Value codes, int64_t bit) {
  return t.elementwise(codes, t.b.getI8Type(), [&](TileBuilder &t, ValueRange a) {
    return SmallVector<Value>{arith::XOrIOp::create(t.b, t.loc, a[0], t.i8(bit))};
  });
}

Fields lowbit::unpackInnerTiles(TileBuilder &t, QuantizedAttr term, RankedTensorType type,
                                ValueRange parts, const Box &region) {
  Fields fields;
  unsigned next = 0;
  for (numerics::Plane plane : planesOf(term)) {
    Value part = t.cut(unpackPlane(t, parts[next++], plane), region.sizes);
    fields.codes = !fields.codes
                       ? part
                       : t.elementwise({fields.codes, part}, t.b.getI8Type(),
                                       [](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                                         return {arith::OrIOp::create(t.b, t.loc, a[0], a[1])};
                                       });
  }
  if (int64_t bit = signBitOf(term))
    fields.codes = flipped(t, fields.codes, bit);
  for (const StoredLevel &level : storedLevelsOf(term, type.getShape())) {
    Value codes = unpackLevel(t, level, parts[next++]);
    fields.levels.push_back(t.cut(codes, level.gridRegion(t, region).sizes));
  }
  return fields;
}

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

/// [n0, n1] as [groups, 16, n1 / inner, inner...], extended by zeros.
static Value splitTile(TileBuilder &t, Value v, ArrayRef<int64_t> inner) {
  int64_t columns = 1;
  for (int64_t n : inner)
    columns *= n;
  v = t.padded(t.padded(v, 0, InnerTile::rows), 1, columns);
  auto type = cast<RankedTensorType>(v.getType());
  Ofrs own = tensor::getMixedSizes(t.b, t.loc, v);
  Ofrs sizes{t.floorDiv(own[0], InnerTile::rows), t.index(InnerTile::rows),
             t.floorDiv(own[1], columns)};
  SmallVector<ReassociationIndices> groups{{0, 1}, {2}};
  for (int64_t n : inner) {
    groups[1].push_back(sizes.size());
    sizes.push_back(t.index(n));
  }
  auto result = RankedTensorType::get(decomposeMixedValues(sizes).first, type.getElementType());
  return tensor::ExpandShapeOp::create(t.b, t.loc, result, v, groups, sizes);
}

static Value packPlane(TileBuilder &t, Value codes, numerics::Plane plane, Value destination) {
  Value view = splitTile(t, codes, {8 / plane.width, InnerTile::columns});
  Value zero = linalg::FillOp::create(t.b, t.loc, t.i8(0), destination).getResult(0);
  Value vectors = t.splitLast(zero, {InnerTile::columns});
  // Loops: group, vector, row, column, field.
  Value packed = t.generic(
      view, vectors, {t.map(5, {0, 2, 1, 4, 3}), t.map(5, {0, 1, 2, 3})},
      {parallel, parallel, parallel, parallel, reduction},
      [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        Value field = arith::ShRUIOp::create(t.b, t.loc, a[0], t.i8(plane.shift));
        field = arith::ShLIOp::create(t.b, t.loc, masked(t, field, plane), shiftOf(t, 4, plane));
        return {arith::OrIOp::create(t.b, t.loc, a[1], field)};
      })[0];
  return t.joinFrom(packed, 2);
}

static Value packLevel(TileBuilder &t, Value grid, Value destination) {
  return t.generic(splitTile(t, grid, {}), destination,
                   {t.map(3, {0, 2, 1}), t.b.getMultiDimIdentityMap(3)},
                   SmallVector<utils::IteratorType>(3, parallel),
                   [](TileBuilder &, ValueRange a) -> SmallVector<Value> { return {a[0]}; })[0];
}

SmallVector<Value> lowbit::packInnerTiles(TileBuilder &t, QuantizedAttr term, RankedTensorType type,
                                          const Fields &fields, ValueRange destinations) {
  SmallVector<Value> packed;
  Value codes = fields.codes;
  if (int64_t bit = signBitOf(term); bit && !isEmptyTensor(codes))
    codes = flipped(t, codes, bit);
  auto pack = [&](function_ref<Value(Value)> into) {
    Value destination = destinations[packed.size()];
    packed.push_back(isEmptyTensor(destination) ? destination : into(destination));
  };
  for (numerics::Plane plane : planesOf(term))
    pack([&](Value destination) { return packPlane(t, codes, plane, destination); });
  for (auto [i, level] : llvm::enumerate(storedLevelsOf(term, type.getShape())))
    pack([&, i = i, isTiled = level.isTiled](Value destination) {
      return isTiled ? packLevel(t, fields.levels[i], destination)
                     : t.copyInto(fields.levels[i], destination);
    });
  return packed;
}

//===----------------------------------------------------------------------===//
// Vector by vector
//===----------------------------------------------------------------------===//

Value lowbit::buildInnerCodes(TileBuilder &t, QuantizedAttr term, const StepColumn &at,
                              LoadUnit load) {
  auto bytes = VectorType::get({InnerTile::bytes}, t.b.getI8Type());
  auto splat = [&](int64_t v) -> Value {
    return arith::ConstantOp::create(t.b, t.loc,
                                     DenseElementsAttr::get(bytes, t.b.getI8IntegerAttr(v)));
  };
  Value codes;
  for (auto [component, plane] : llvm::enumerate(planesOf(term))) {
    int64_t quad = at.offset / InnerTile::columns, fields = 8 / plane.width;
    Value part = load(component, numerics::columnsPerVector(plane), bytes);
    // Straight to the field's place in the code.
    int64_t right = quad % fields * plane.width - plane.shift;
    if (right > 0)
      part = arith::ShRUIOp::create(t.b, t.loc, part, splat(right));
    if (right < 0)
      part = arith::ShLIOp::create(t.b, t.loc, part, splat(-right));
    if (plane.width < 8)
      part = arith::AndIOp::create(t.b, t.loc, part,
                                   splat(int8_t(((1 << plane.width) - 1) << plane.shift)));
    codes = codes ? arith::OrIOp::create(t.b, t.loc, codes, part) : part;
  }
  return codes;
}

Value lowbit::buildInnerLevel(TileBuilder &t, const StoredLevel &level, unsigned component,
                              Value grid, Value group, const StepColumn &at, LoadUnit load) {
  int64_t rows = level.block[0], columns = level.block[1];
  if (level.isTiled) {
    auto lanes = VectorType::get({InnerTile::rows}, level.format.getCodeType());
    return level.codesOf(t.b, t.loc, load(component, columns, lanes));
  }
  if (rows != kWhole && rows % InnerTile::rows != 0)
    return {};
  Value row =
      rows == kWhole ? t.constantIndex(0) : t.value(t.floorDiv(group, rows / InnerTile::rows));
  Value block = columns == kWhole ? t.constantIndex(0) : t.blockOf(at, columns);
  return level.codesOf(t.b, t.loc,
                       memref::LoadOp::create(t.b, t.loc, grid, ValueRange{row, block}));
}

Value lowbit::loadUnit(TileBuilder &t, Value component, int64_t columns, VectorType type,
                       Value group, const StepColumn &at) {
  Value unit = columns == kWhole ? t.constantIndex(0) : t.blockOf(at, columns);
  return vector::LoadOp::create(t.b, t.loc, type, component,
                                ValueRange{group, unit, t.constantIndex(0)});
}

void lowbit::prefetchUnit(TileBuilder &t, Value component, int64_t columns, int64_t ahead,
                          Value group, const StepColumn &at, unsigned locality) {
  if (at.extent % columns != 0 || at.offset % columns != 0)
    return;
  Value unit = t.blockOf({at.step, at.extent, at.offset + ahead}, columns);
  memref::PrefetchOp::create(t.b, t.loc, component, ValueRange{group, unit, t.constantIndex(0)},
                             /*isWrite=*/false, locality, /*isDataCache=*/true);
}
