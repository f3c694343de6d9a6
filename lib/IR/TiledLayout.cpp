//===- TiledLayout.cpp - Inner tiles of 16 rows x 4 columns ---------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The storage is that of include/lowbit/Numerics/TiledLayout.h. Tiles of a decode or of an encode
// start at whole groups of 16 rows.
//
//===----------------------------------------------------------------------===//

#include "InnerTiles.h"

using namespace mlir;
using namespace lowbit;
using numerics::InnerTile;

std::shared_ptr<const numerics::Layout> TiledLayoutAttr::getReference() const {
  return numerics::tiledLayout();
}

LogicalResult TiledLayoutAttr::verifyTerm(const QuantizedAttr &term, ArrayRef<int64_t> shape,
                                          function_ref<InFlightDiagnostic()> emitError) const {
  return verifyStaticTerm(*this, term, shape, emitError);
}

SmallVector<EncodingComponent> TiledLayoutAttr::getComponents(const QuantizedAttr &term,
                                                              RankedTensorType type) const {
  SmallVector<EncodingComponent> all;
  std::vector<numerics::Plane> planes = planesOf(term);
  for (auto [i, plane] : llvm::enumerate(planes))
    all.push_back(
        {planes.size() == 1 ? "codes" : "codes." + std::to_string(i),
         RankedTensorType::get(
             {(int64_t)llvm::divideCeil(type.getDimSize(0), InnerTile::rows),
              (int64_t)llvm::divideCeil(type.getDimSize(1), numerics::columnsPerVector(plane)),
              InnerTile::bytes},
             IntegerType::get(getContext(), 8)),
         ComponentRole::Payload});
  for (const StoredLevel &level : storedLevelsOf(term, type.getShape()))
    all.push_back({level.name,
                   RankedTensorType::get(level.storedShape(), level.format.getCodeType()),
                   ComponentRole::Payload});
  return all;
}

SmallVector<int64_t> TiledLayoutAttr::getTileMultiples(const QuantizedAttr &term,
                                                       RankedTensorType type) const {
  return {InnerTile::rows, innerColumnsOf(term)};
}

/// The vectors of a plane that belong to a region.
static Box planeRegion(TileBuilder &t, numerics::Plane plane, const Box &region) {
  int64_t columns = numerics::columnsPerVector(plane);
  return {{t.floorDiv(region.offsets[0], InnerTile::rows), t.floorDiv(region.offsets[1], columns),
           t.index(0)},
          {t.ceilDiv(region.sizes[0], InnerTile::rows), t.ceilDiv(region.sizes[1], columns),
           t.index(InnerTile::bytes)}};
}

Box TiledLayoutAttr::getComponentRegion(OpBuilder &b, Location loc, const QuantizedAttr &term,
                                        RankedTensorType type, unsigned index,
                                        const Box &region) const {
  TileBuilder t(b, loc);
  std::vector<numerics::Plane> planes = planesOf(term);
  if (index < planes.size())
    return planeRegion(t, planes[index], region);
  return storedLevelsOf(term, type.getShape())[index - planes.size()].storedRegion(t, region);
}

Fields TiledLayoutAttr::buildUnpack(OpBuilder &b, Location loc, const QuantizedAttr &term,
                                    RankedTensorType type, ValueRange components,
                                    const Box &region) const {
  TileBuilder t(b, loc);
  SmallVector<Value> parts;
  for (auto [i, component] : llvm::enumerate(components))
    parts.push_back(t.slice(component, getComponentRegion(b, loc, term, type, i, region)));
  return unpackInnerTiles(t, term, type, parts, region);
}

FailureOr<SmallVector<Value>> TiledLayoutAttr::buildPack(OpBuilder &b, Location loc,
                                                         const QuantizedAttr &term,
                                                         RankedTensorType type,
                                                         const Fields &fields,
                                                         ValueRange destinations) const {
  TileBuilder t(b, loc);
  return packInnerTiles(t, term, type, fields, destinations);
}

bool TiledLayoutAttr::hasInnerTiles() const { return true; }

int64_t TiledLayoutAttr::getInnerColumns(const QuantizedAttr &term) const {
  return innerColumnsOf(term);
}

Value TiledLayoutAttr::buildInnerTile(OpBuilder &b, Location loc, const QuantizedAttr &term,
                                      RankedTensorType, ValueRange components, Value group,
                                      const StepColumn &at) const {
  TileBuilder t(b, loc);
  return buildInnerCodes(t, term, at, [&](unsigned component, int64_t columns, VectorType type) {
    return loadUnit(t, components[component], columns, type, group, at);
  });
}

void TiledLayoutAttr::buildInnerPrefetch(OpBuilder &b, Location loc, const QuantizedAttr &term,
                                         RankedTensorType type, ValueRange components, Value group,
                                         const StepColumn &at, int64_t distance,
                                         unsigned locality) const {
  TileBuilder t(b, loc);
  std::vector<numerics::Plane> planes = planesOf(term);
  // The same columns of every component.
  int64_t ahead = distance / InnerTile::bytes * numerics::columnsPerVector(planes[0]);
  for (auto [component, plane] : llvm::zip(components, planes))
    prefetchUnit(t, component, numerics::columnsPerVector(plane), ahead, group, at, locality);
  for (auto [component, level] :
       llvm::zip(components.drop_front(planes.size()), storedLevelsOf(term, type.getShape())))
    if (level.isTiled && level.block[1] != kWhole)
      prefetchUnit(t, component, level.block[1], ahead, group, at, locality);
}

Value TiledLayoutAttr::buildInnerLevel(OpBuilder &b, Location loc, const QuantizedAttr &term,
                                       RankedTensorType type, ValueRange components, unsigned level,
                                       Value group, const StepColumn &at) const {
  TileBuilder t(b, loc);
  unsigned component = planesOf(term).size() + level;
  return lowbit::buildInnerLevel(
      t, storedLevelsOf(term, type.getShape())[level], component, components[component], group, at,
      [&](unsigned component, int64_t columns, VectorType type) {
        return loadUnit(t, components[component], columns, type, group, at);
      });
}
