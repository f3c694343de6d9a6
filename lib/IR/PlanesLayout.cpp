//===- PlanesLayout.cpp - One packed array for each component -------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every array of codes, the term's own and those of scale levels, is stored in the same way: see
// "Storage" in docs/Numerics.md. `StoredArray` is one such array.
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"
#include "lowbit/Numerics/Packing.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <numeric>

using namespace mlir;
using namespace lowbit;
using Ofrs = SmallVector<OpFoldResult>;

namespace {
/// One array of codes, stored as planes, over a grid of blocks on some axes of the tensor.
struct StoredArray {
  std::string name;
  FormatAttrInterface format;
  SmallVector<int64_t> block; ///< of the tensor, per axis
  SmallVector<int64_t> axes;
  ComponentRole role;
  std::vector<numerics::Plane> planes;
  int64_t entries = 0; ///< a last axis of so many codes, if any

  bool isFloat() const { return isa<FloatType>(format.getCodeType()); }
  /// Bytes, but for planes whose fields are elements of their own.
  Type elementType(numerics::Plane plane) const {
    Type code = format.getCodeType();
    return plane.width > 8 ? code : IntegerType::get(code.getContext(), 8);
  }
  /// Codes for each byte of the narrowest plane: what a tile's start and end must be a multiple of.
  int64_t codesPerByte() const {
    int64_t most = 1;
    for (numerics::Plane plane : planes)
      most = std::max<int64_t>(most, plane.width < 8 ? 8 / plane.width : 1);
    return most;
  }
  SmallVector<int64_t> gridShape(ArrayRef<int64_t> shape) const {
    SmallVector<int64_t> grid;
    for (int64_t axis : axes) {
      int64_t n = shape[axis];
      grid.push_back(block[axis] == kWhole      ? 1
                     : ShapedType::isDynamic(n) ? n
                                                : llvm::divideCeil(n, block[axis]));
    }
    if (entries)
      grid.push_back(entries);
    return grid;
  }
  Box gridRegion(TileBuilder &t, const Box &region) const {
    Box grid;
    for (int64_t axis : axes) {
      bool whole = block[axis] == kWhole;
      grid.offsets.push_back(whole ? t.index(0) : t.floorDiv(region.offsets[axis], block[axis]));
      grid.sizes.push_back(whole ? t.index(1) : t.ceilDiv(region.sizes[axis], block[axis]));
    }
    if (entries) {
      grid.offsets.push_back(t.index(0));
      grid.sizes.push_back(t.index(entries));
    }
    return grid;
  }
};
} // namespace

static Box planeRegion(TileBuilder &t, Box grid, unsigned width) {
  if (width < 8) {
    grid.offsets.back() = t.floorDiv(grid.offsets.back(), 8 / width);
    grid.sizes.back() = t.ceilDiv(grid.sizes.back(), 8 / width);
  }
  return grid;
}

std::vector<numerics::Plane> PlanesLayoutAttr::getPlanes(const numerics::Format &format) const {
  if (format.isFloat()) // elements as they are
    return {{0, 16}};
  return getWidths().empty() ? numerics::planesOf(format.bits())
                             : numerics::planesOfWidths(getWidths().vec());
}

/// Codes first, then the levels: the order of the stored components.
static SmallVector<StoredArray> arraysOf(PlanesLayoutAttr layout, QuantizedAttr term,
                                         ArrayRef<int64_t> shape) {
  SmallVector<int64_t> axes(shape.size());
  std::iota(axes.begin(), axes.end(), 0);
  SmallVector<StoredArray> all;
  FormatAttrInterface codes = term.getCodeFormat();
  all.push_back({"codes", codes, SmallVector<int64_t>(shape.size(), 1), axes,
                 ComponentRole::Payload, layout.getPlanes(codes.getReference())});
  auto plain = PlanesLayoutAttr::get(layout.getContext());
  for (ScaleLevel &level : term.getAllLevels(shape)) {
    auto format = cast<FormatAttrInterface>(level.format);
    all.push_back({level.suffix, format, level.block, level.axes, level.role,
                   plain.getPlanes(format.getReference()), level.entries});
  }
  return all;
}

/// True if the length of the last axis does not follow from the extents of the codes.
static bool needsExtent(PlanesLayoutAttr layout, QuantizedAttr term, RankedTensorType type) {
  return type.isDynamicDim(type.getRank() - 1) &&
         arraysOf(layout, term, type.getShape())[0].codesPerByte() > 1;
}

LogicalResult PlanesLayoutAttr::verifyTerm(const QuantizedAttr &term, ArrayRef<int64_t>,
                                           function_ref<InFlightDiagnostic()> emitError) const {
  if (auto message = numerics::checkPlanes(term.getCodeFormat().getReference(), getWidths().vec()))
    return emitError() << *message;
  return success();
}

SmallVector<EncodingComponent> PlanesLayoutAttr::getComponents(const QuantizedAttr &term,
                                                               RankedTensorType type) const {
  SmallVector<EncodingComponent> all;
  for (StoredArray &array : arraysOf(*this, term, type.getShape())) {
    SmallVector<int64_t> grid = array.gridShape(type.getShape());
    const std::vector<numerics::Plane> &planes = array.planes;
    for (auto [i, plane] : llvm::enumerate(planes)) {
      SmallVector<int64_t> stored = grid;
      if (!ShapedType::isDynamic(stored.back()) && plane.width < 8)
        stored.back() = llvm::divideCeil(stored.back(), 8 / plane.width);
      all.push_back({planes.size() == 1 ? array.name : array.name + "." + std::to_string(i),
                     RankedTensorType::get(stored, array.elementType(plane)), array.role});
    }
  }
  if (needsExtent(*this, term, type))
    all.push_back({"extent", IndexType::get(getContext()), ComponentRole::Structure});
  return all;
}

SmallVector<int64_t> PlanesLayoutAttr::getTileMultiples(const QuantizedAttr &term,
                                                        RankedTensorType type) const {
  SmallVector<int64_t> multiples(type.getRank(), 1);
  for (StoredArray &array : arraysOf(*this, term, type.getShape())) {
    int64_t last = array.axes.back();
    if (array.block[last] != kWhole)
      multiples[last] = joinMultiples(
          multiples[last],
          numerics::checkedMultiply(array.codesPerByte(), array.block[last]).value_or(kWhole));
  }
  return multiples;
}

Box PlanesLayoutAttr::getComponentRegion(OpBuilder &b, Location loc, const QuantizedAttr &term,
                                         RankedTensorType type, unsigned index,
                                         const Box &region) const {
  TileBuilder t(b, loc);
  for (StoredArray &array : arraysOf(*this, term, type.getShape()))
    for (numerics::Plane plane : array.planes)
      if (index-- == 0)
        return planeRegion(t, array.gridRegion(t, region), plane.width);
  return {}; // the extent: a scalar has no region
}

/// An integer in another width: zero-extended, or its low bits.
static Value resized(TileBuilder &t, Value v, IntegerType type) {
  unsigned width = cast<IntegerType>(v.getType()).getWidth();
  if (width < type.getWidth())
    return arith::ExtUIOp::create(t.b, t.loc, type, v);
  return width == type.getWidth() ? v : arith::TruncIOp::create(t.b, t.loc, type, v);
}
static Value integer(TileBuilder &t, IntegerType type, int64_t v) {
  return arith::ConstantOp::create(t.b, t.loc, t.b.getIntegerAttr(type, v));
}

/// Codes of one byte-wide tile of a plane: [..., bytes] to [..., bytes * codes per byte].
static Value unpackPlane(TileBuilder &t, Value bytes, unsigned width) {
  int64_t perByte = 8 / width;
  auto type = cast<RankedTensorType>(bytes.getType());
  unsigned rank = type.getRank();
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, bytes);
  sizes.push_back(t.index(perByte));
  SmallVector<unsigned> own(rank);
  std::iota(own.begin(), own.end(), 0);
  Value codes = t.generic(
      bytes, t.empty(sizes, t.b.getI8Type()),
      {t.map(rank + 1, own), t.b.getMultiDimIdentityMap(rank + 1)},
      SmallVector<utils::IteratorType>(rank + 1, utils::IteratorType::parallel),
      [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        Value at = linalg::IndexOp::create(t.b, t.loc, rank);
        Value shift = arith::MulIOp::create(
            t.b, t.loc, arith::IndexCastOp::create(t.b, t.loc, t.b.getI8Type(), at), t.i8(width));
        Value low = arith::ShRUIOp::create(t.b, t.loc, a[0], shift);
        return {arith::AndIOp::create(t.b, t.loc, low, t.i8((1 << width) - 1))};
      })[0];
  return t.joinFrom(codes, rank - 1);
}

static Value unpackArray(TileBuilder &t, const StoredArray &array, ValueRange components,
                         unsigned &next, const Box &region) {
  Box grid = array.gridRegion(t, region);
  if (array.isFloat())
    return t.slice(components[next++], grid);
  Value codes;
  for (numerics::Plane plane : array.planes) {
    Value bytes = t.slice(components[next++], planeRegion(t, grid, plane.width));
    Value part = plane.width >= 8 ? bytes : t.cut(unpackPlane(t, bytes, plane.width), grid.sizes);
    if (!codes) {
      codes = part;
      continue;
    }
    auto type = cast<IntegerType>(array.format.getCodeType());
    codes =
        t.elementwise({codes, part}, type, [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
          Value low = resized(t, a[0], type), high = resized(t, a[1], type);
          high = arith::ShLIOp::create(t.b, t.loc, high, integer(t, type, plane.shift));
          return {arith::OrIOp::create(t.b, t.loc, low, high)};
        });
  }
  return codes;
}

Fields PlanesLayoutAttr::buildUnpack(OpBuilder &b, Location loc, const QuantizedAttr &term,
                                     RankedTensorType type, ValueRange components,
                                     const Box &region) const {
  TileBuilder t(b, loc);
  unsigned next = 0;
  StoredArray codes = arraysOf(*this, term, type.getShape())[0];
  return {unpackArray(t, codes, components, next, region),
          buildUnpackLevels(b, loc, term, type, components, region)};
}

SmallVector<Value> PlanesLayoutAttr::buildUnpackLevels(OpBuilder &b, Location loc,
                                                       const QuantizedAttr &term,
                                                       RankedTensorType type, ValueRange components,
                                                       const Box &region) const {
  TileBuilder t(b, loc);
  SmallVector<StoredArray> arrays = arraysOf(*this, term, type.getShape());
  unsigned next = arrays[0].planes.size();
  SmallVector<Value> levels;
  for (const StoredArray &array : ArrayRef(arrays).drop_front())
    levels.push_back(unpackArray(t, array, components, next, region));
  return levels;
}

/// Bytes of a plane from the codes of a tile; the unused bits of a row's last byte are zero.
static Value packPlane(TileBuilder &t, Value codes, numerics::Plane plane, Value destination) {
  unsigned rank = cast<RankedTensorType>(codes.getType()).getRank();
  auto type = cast<IntegerType>(cast<RankedTensorType>(codes.getType()).getElementType());
  int64_t perByte = 8 / plane.width;
  if (perByte > 1)
    codes = t.padded(codes, rank - 1, perByte);
  SmallVector<unsigned> own(rank);
  std::iota(own.begin(), own.end(), 0);
  SmallVector<utils::IteratorType> iterators(rank + 1, utils::IteratorType::parallel);
  iterators.back() = utils::IteratorType::reduction;
  Value zero = linalg::FillOp::create(t.b, t.loc, t.i8(0), destination).getResult(0);
  return t.generic(t.splitLast(codes, perByte), zero,
                   {t.b.getMultiDimIdentityMap(rank + 1), t.map(rank + 1, own)}, iterators,
                   [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                     Value field = a[0];
                     if (plane.shift)
                       field =
                           arith::ShRUIOp::create(t.b, t.loc, field, integer(t, type, plane.shift));
                     field = resized(t, field, t.b.getI8Type());
                     if (plane.width == 8)
                       return {field};
                     field = arith::AndIOp::create(t.b, t.loc, field, t.i8((1 << plane.width) - 1));
                     Value at = linalg::IndexOp::create(t.b, t.loc, rank);
                     Value shift = arith::MulIOp::create(
                         t.b, t.loc, arith::IndexCastOp::create(t.b, t.loc, t.b.getI8Type(), at),
                         t.i8(plane.width));
                     field = arith::ShLIOp::create(t.b, t.loc, field, shift);
                     return {arith::OrIOp::create(t.b, t.loc, a[1], field)};
                   })[0];
}

FailureOr<SmallVector<Value>> PlanesLayoutAttr::buildPack(OpBuilder &b, Location loc,
                                                          const QuantizedAttr &term,
                                                          RankedTensorType type,
                                                          const Fields &fields,
                                                          ValueRange destinations) const {
  TileBuilder t(b, loc);
  SmallVector<Value> packed;
  SmallVector<StoredArray> arrays = arraysOf(*this, term, type.getShape());
  for (auto [i, array] : llvm::enumerate(arrays)) {
    if (array.role != ComponentRole::Payload)
      continue;
    Value codes = i == 0 ? fields.codes : fields.levels[i - 1];
    for (numerics::Plane plane : array.planes) {
      Value destination = destinations[packed.size()];
      if (isEmptyTensor(destination)) {
        packed.push_back(destination);
        continue;
      }
      // The whole code, in its own type.
      bool asIs = array.isFloat() || (plane.width >= 8 && array.planes.size() == 1);
      packed.push_back(asIs ? t.copyInto(codes, destination)
                            : packPlane(t, codes, plane, destination));
    }
  }
  return packed;
}

std::shared_ptr<const numerics::Layout> PlanesLayoutAttr::getReference() const {
  return numerics::planesLayout(getWidths().vec());
}
