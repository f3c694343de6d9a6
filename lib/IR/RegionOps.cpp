//===- RegionOps.cpp - Decoding and encoding regions, tilable -------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitOps.h"
#include "lowbit/IR/TileBuilder.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace lowbit;
using Ofrs = SmallVector<OpFoldResult>;

template <typename RegionOp> static Box regionOf(RegionOp op) {
  Builder b(op.getContext());
  return {getMixedValues(op.getStaticOffsets(), op.getOffsets(), b),
          getMixedValues(op.getStaticSizes(), op.getSizes(), b)};
}

/// The region that a tile at `offsets`, relative to `base`, has in whole coordinates.
static Box compose(OpBuilder &b, Location loc, const Box &base, ArrayRef<OpFoldResult> offsets,
                   ArrayRef<OpFoldResult> sizes) {
  TileBuilder t(b, loc);
  Box region{{}, llvm::to_vector(sizes)};
  for (auto [x, y] : llvm::zip(base.offsets, offsets))
    region.offsets.push_back(t.add(x, y));
  return region;
}

static SmallVector<Range> domainOf(OpBuilder &b, const Box &region) {
  return llvm::map_to_vector(region.sizes, [&](OpFoldResult size) {
    return Range{b.getIndexAttr(0), size, b.getIndexAttr(1)};
  });
}

/// A tile is as large as the region it is cut from, or of a size that the encoding allows.
static LogicalResult checkMultiples(Operation *op, RankedTensorType type, TileUse use,
                                    const Box &base, ArrayRef<OpFoldResult> sizes) {
  for (auto [axis, multiple] : llvm::enumerate(getEncoding(type).getTileMultiples(type, use))) {
    auto size = getConstantIntValue(sizes[axis]);
    if (multiple == 1 || isEqualConstantIntOrValue(sizes[axis], base.sizes[axis]))
      continue;
    if (multiple == kWhole || (size && *size % multiple))
      return op->emitRemark() << "not tiled: a tile along axis " << axis << " must "
                              << (multiple == kWhole
                                      ? "span it"
                                      : "be a multiple of " + std::to_string(multiple))
                              << " for " << type.getEncoding();
  }
  return success();
}

/// The region lies in the whole, and cuts it where the encoding allows, as far as they are known.
static LogicalResult verifyCuts(Operation *op, RankedTensorType whole, ArrayRef<int64_t> offsets,
                                ArrayRef<int64_t> sizes, TileUse use) {
  for (auto [axis, multiple] : llvm::enumerate(getEncoding(whole).getTileMultiples(whole, use))) {
    int64_t offset = offsets[axis], size = sizes[axis], extent = whole.getDimSize(axis);
    bool isOffsetKnown = !ShapedType::isDynamic(offset), isSizeKnown = !ShapedType::isDynamic(size);
    bool isExtentKnown = !ShapedType::isDynamic(extent);
    if ((isOffsetKnown && (offset < 0 || (isExtentKnown && offset > extent))) ||
        (isSizeKnown && size < 0) ||
        (isSizeKnown && isExtentKnown && size > extent - (isOffsetKnown ? offset : 0)))
      return op->emitOpError() << "the region lies outside of axis " << axis << " of " << whole;
    bool isAtStart = multiple == kWhole ? offset == 0 : offset % multiple == 0;
    if (isOffsetKnown && !isAtStart)
      return op->emitOpError() << "a region starts along axis " << axis << " at "
                               << (multiple == kWhole ? "0"
                                                      : "a multiple of " + std::to_string(multiple))
                               << ", not at " << offset << ": a block must not be cut";
    bool canEnd = !isOffsetKnown || !isExtentKnown || offset + size == extent ||
                  (multiple != kWhole && size % multiple == 0);
    if (isSizeKnown && !canEnd)
      return op->emitOpError() << "a region ends along axis " << axis << " at the end"
                               << (multiple == kWhole
                                       ? ""
                                       : " or after a multiple of " + std::to_string(multiple))
                               << ", not after " << size << ": a block must not be cut";
  }
  return success();
}

/// There is a place along each axis, and a legal one as far as it is known.
template <typename RegionOp> static LogicalResult verifyRegion(RegionOp op, TileUse use) {
  auto whole = dyn_cast<RankedTensorType>(op.getWhole());
  if (!whole || !getEncoding(whole))
    return op.emitOpError() << "the whole tensor needs a lowbit encoding: " << op.getWhole();
  ArrayRef<int64_t> offsets = op.getStaticOffsets(), sizes = op.getStaticSizes();
  if ((int64_t)offsets.size() != whole.getRank() || (int64_t)sizes.size() != whole.getRank())
    return op.emitOpError() << "a region of " << whole << " has " << whole.getRank()
                            << " offsets and sizes";
  if (llvm::count_if(offsets, ShapedType::isDynamic) != (int64_t)op.getOffsets().size() ||
      llvm::count_if(sizes, ShapedType::isDynamic) != (int64_t)op.getSizes().size())
    return op.emitOpError() << "each offset and size that is not a number has an operand";
  if (failed(verifyEncodedType(whole, [&] { return op.emitOpError(); })))
    return failure();
  return verifyCuts(op, whole, offsets, sizes, use);
}

/// Shapes of components become more or less static on the way; rank and element type stay.
static LogicalResult verifyComponent(Operation *op, const EncodingComponent &component, Type type) {
  auto want = dyn_cast<RankedTensorType>(component.type), have = dyn_cast<RankedTensorType>(type);
  if (want && have
          ? want.getRank() == have.getRank() && want.getElementType() == have.getElementType()
          : component.type == type)
    return success();
  return op->emitOpError() << "component '" << component.name << "' is like " << component.type
                           << ", not " << type;
}

//===----------------------------------------------------------------------===//
// insert
//===----------------------------------------------------------------------===//

void InsertOp::build(OpBuilder &b, OperationState &state, Value source, Value dest,
                     ArrayRef<OpFoldResult> offsets) {
  auto [staticOffsets, dynamicOffsets] = decomposeMixedValues(offsets);
  build(b, state, dest.getType(), source, dest, dynamicOffsets,
        b.getDenseI64ArrayAttr(staticOffsets));
}

SmallVector<OpFoldResult> InsertOp::getMixedOffsets() {
  return getMixedValues(getStaticOffsets(), getOffsets(), getContext());
}

LogicalResult InsertOp::verify() {
  auto whole = cast<RankedTensorType>(getDest().getType());
  auto source = cast<RankedTensorType>(getSource().getType());
  if (failed(verifyEncodedType(whole, [&] { return emitOpError(); })))
    return failure();
  ArrayRef<int64_t> offsets = getStaticOffsets();
  if (source.getRank() != whole.getRank() || source.getElementType() != whole.getElementType() ||
      (int64_t)offsets.size() != whole.getRank() ||
      llvm::count_if(offsets, ShapedType::isDynamic) != (int64_t)getOffsets().size())
    return emitOpError() << "values of as many axes, one offset for each, and of the same element "
                            "type go into "
                         << whole << ", not " << source;
  EncodingAttrInterface encoding = getEncoding(whole);
  for (EncodingComponent &component : encoding.getComponents(whole))
    if (component.role == ComponentRole::Statistic)
      return emitOpError() << "'" << component.name
                           << "' comes from all values: this encoding cannot be written in part, "
                              "only as a whole (lowbit.encode)";
  for (auto [axis, multiple] : llvm::enumerate(encoding.getTileMultiples(whole, TileUse::Encode)))
    if (multiple != 1 && (ShapedType::isDynamic(offsets[axis]) || source.isDynamicDim(axis)))
      return emitOpError() << "along axis " << axis
                           << " the encoding has blocks: offset and size must be static";
  return verifyCuts(*this, whole, offsets, source.getShape(), TileUse::Encode);
}

//===----------------------------------------------------------------------===//
// decode_region
//===----------------------------------------------------------------------===//

Box DecodeRegionOp::getTensorRegion() { return regionOf(*this); }
RankedTensorType DecodeRegionOp::getWholeType() { return cast<RankedTensorType>(getWhole()); }

void DecodeRegionOp::build(OpBuilder &b, OperationState &state, RankedTensorType whole,
                           ValueRange components, const Box &region) {
  auto [staticOffsets, offsets] = decomposeMixedValues(region.offsets);
  auto [staticSizes, sizes] = decomposeMixedValues(region.sizes);
  build(b, state, RankedTensorType::get(staticSizes, whole.getElementType()), TypeAttr::get(whole),
        components, offsets, sizes, b.getDenseI64ArrayAttr(staticOffsets),
        b.getDenseI64ArrayAttr(staticSizes));
}

LogicalResult DecodeRegionOp::verify() {
  if (failed(verifyRegion(*this, TileUse::Decode)))
    return failure();
  RankedTensorType whole = getWholeType();
  SmallVector<EncodingComponent> wanted = getEncoding(whole).getComponents(whole);
  if (wanted.size() != getComponents().size())
    return emitOpError() << "the encoding has " << wanted.size() << " components, not "
                         << getComponents().size();
  for (auto [component, type] : llvm::zip(wanted, getComponents().getTypes()))
    if (failed(verifyComponent(*this, component, type)))
      return failure();
  if (auto wantedType = RankedTensorType::get(getStaticSizes(), whole.getElementType());
      getType() != wantedType)
    return emitOpError() << "a region of these sizes decodes to " << wantedType << ", not "
                         << getType();
  return success();
}

/// Offsets and sizes that turn out to be constant become part of the op, so that tiles have static
/// types.
template <typename Op> static std::optional<Box> foldConstants(Op op, PatternRewriter &rw) {
  Box region = op.getTensorRegion();
  bool isFolded = succeeded(foldDynamicIndexList(region.offsets));
  isFolded |= succeeded(foldDynamicIndexList(region.sizes, /*onlyNonNegative=*/true));
  if (isFolded)
    return region;
  (void)rw.notifyMatchFailure(op, "nothing is constant");
  return std::nullopt;
}

LogicalResult DecodeRegionOp::canonicalize(DecodeRegionOp op, PatternRewriter &rw) {
  std::optional<Box> region = foldConstants(op, rw);
  if (!region)
    return failure();
  Value tile =
      DecodeRegionOp::create(rw, op.getLoc(), op.getWholeType(), op.getComponents(), *region);
  if (tile.getType() != op.getType())
    tile = tensor::CastOp::create(rw, op.getLoc(), op.getType(), tile);
  rw.replaceOp(op, tile);
  return success();
}

SmallVector<utils::IteratorType> DecodeRegionOp::getLoopIteratorTypes() {
  return SmallVector<utils::IteratorType>(getWholeType().getRank(), utils::IteratorType::parallel);
}
SmallVector<Range> DecodeRegionOp::getIterationDomain(OpBuilder &b) {
  return domainOf(b, getTensorRegion());
}

FailureOr<TilingResult> DecodeRegionOp::getTiledImplementation(OpBuilder &b,
                                                               ArrayRef<OpFoldResult> offsets,
                                                               ArrayRef<OpFoldResult> sizes) {
  if (failed(checkMultiples(*this, getWholeType(), TileUse::Decode, getTensorRegion(), sizes)))
    return failure();
  Box region = compose(b, getLoc(), getTensorRegion(), offsets, sizes);
  auto tile = DecodeRegionOp::create(b, getLoc(), getWholeType(), getComponents(), region);
  return TilingResult{{tile}, {tile.getResult()}, {}};
}
LogicalResult DecodeRegionOp::getResultTilePosition(OpBuilder &, unsigned,
                                                    ArrayRef<OpFoldResult> offsets,
                                                    ArrayRef<OpFoldResult> sizes,
                                                    Ofrs &resultOffsets, Ofrs &resultSizes) {
  resultOffsets = llvm::to_vector(offsets);
  resultSizes = llvm::to_vector(sizes);
  return success();
}
FailureOr<TilingResult> DecodeRegionOp::generateResultTileValue(OpBuilder &b, unsigned,
                                                                ArrayRef<OpFoldResult> offsets,
                                                                ArrayRef<OpFoldResult> sizes) {
  return getTiledImplementation(b, offsets, sizes);
}
LogicalResult DecodeRegionOp::reifyResultShapes(OpBuilder &, ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(getTensorRegion().sizes);
  return success();
}

//===----------------------------------------------------------------------===//
// encode_region
//===----------------------------------------------------------------------===//

/// Components that are no payload are ready: among them what the statistics phase has found.
static TileUse useOf(EncodeRegionOp op) {
  return op.getInputs().empty() ? TileUse::Encode : TileUse::EncodeAfterStatistics;
}

Box EncodeRegionOp::getTensorRegion() { return regionOf(*this); }
RankedTensorType EncodeRegionOp::getWholeType() { return cast<RankedTensorType>(getWhole()); }

void EncodeRegionOp::build(OpBuilder &b, OperationState &state, RankedTensorType whole,
                           Value source, ValueRange payload, ValueRange inputs, const Box &region) {
  auto [staticOffsets, offsets] = decomposeMixedValues(region.offsets);
  auto [staticSizes, sizes] = decomposeMixedValues(region.sizes);
  build(b, state, payload.getTypes(), TypeAttr::get(whole), source, payload, inputs, offsets, sizes,
        b.getDenseI64ArrayAttr(staticOffsets), b.getDenseI64ArrayAttr(staticSizes));
}

LogicalResult EncodeRegionOp::verify() {
  if (failed(verifyRegion(*this, useOf(*this))))
    return failure();
  RankedTensorType whole = getWholeType();
  auto wantedType = RankedTensorType::get(getStaticSizes(), whole.getElementType());
  if (getSource().getType().getElementType() != whole.getElementType() ||
      failed(verifyCompatibleShape(getSource().getType(), wantedType)))
    return emitOpError() << "a region of these sizes is encoded from " << wantedType << ", not "
                         << getSource().getType();
  SmallVector<EncodingComponent> components = getEncoding(whole).getComponents(whole);
  size_t payload =
      llvm::count_if(components, [](auto &c) { return c.role == ComponentRole::Payload; });
  if (payload != getPayload().size() || components.size() - payload != getInputs().size())
    return emitOpError() << "the encoding has " << payload << " payload components and "
                         << components.size() - payload << " others, not " << getPayload().size()
                         << " and " << getInputs().size();
  for (auto [component, value] : llvm::zip(components, getAllComponents()))
    if (failed(verifyComponent(*this, component, value.getType())))
      return failure();
  if (getResultTypes() != TypeRange(getPayload().getTypes()))
    return emitOpError() << "the results have the types of the payload";
  return success();
}

LogicalResult EncodeRegionOp::canonicalize(EncodeRegionOp op, PatternRewriter &rw) {
  std::optional<Box> region = foldConstants(op, rw);
  if (!region)
    return failure();
  rw.replaceOpWithNewOp<EncodeRegionOp>(op, op.getWholeType(), op.getSource(), op.getPayload(),
                                        op.getInputs(), *region);
  return success();
}

SmallVector<Value> EncodeRegionOp::getAllComponents() {
  SmallVector<Value> all;
  unsigned payload = 0, input = 0;
  for (EncodingComponent &component : getEncoding(getWholeType()).getComponents(getWholeType()))
    all.push_back(component.role == ComponentRole::Payload ? getPayload()[payload++]
                                                           : getInputs()[input++]);
  return all;
}

SmallVector<utils::IteratorType> EncodeRegionOp::getLoopIteratorTypes() {
  return SmallVector<utils::IteratorType>(getWholeType().getRank(), utils::IteratorType::parallel);
}
SmallVector<Range> EncodeRegionOp::getIterationDomain(OpBuilder &b) {
  return domainOf(b, getTensorRegion());
}

/// The part of the `result`-th payload component that belongs to `region`, both in whole
/// coordinates.
static Box payloadRegion(EncodeRegionOp op, OpBuilder &b, unsigned result, const Box &region) {
  RankedTensorType type = op.getWholeType();
  EncodingAttrInterface encoding = getEncoding(type);
  unsigned index = 0;
  for (EncodingComponent &component : encoding.getComponents(type)) {
    if (component.role == ComponentRole::Payload && result-- == 0)
      break;
    ++index;
  }
  return encoding.getComponentRegion(b, op.getLoc(), type, op.getAllComponents(), index, region);
}

/// The same for a tile of this op, relative to the payload tile that the op holds.
static Box payloadTile(EncodeRegionOp op, OpBuilder &b, unsigned result,
                       ArrayRef<OpFoldResult> offsets, ArrayRef<OpFoldResult> sizes) {
  TileBuilder t(b, op.getLoc());
  Box base = op.getTensorRegion();
  Box tile = payloadRegion(op, b, result, compose(b, op.getLoc(), base, offsets, sizes));
  if (llvm::all_of(base.offsets, isZeroInteger))
    return tile;
  for (auto [x, y] : llvm::zip(tile.offsets, payloadRegion(op, b, result, base).offsets))
    x = t.sub(x, y);
  return tile;
}

FailureOr<TilingResult> EncodeRegionOp::getTiledImplementation(OpBuilder &b,
                                                               ArrayRef<OpFoldResult> offsets,
                                                               ArrayRef<OpFoldResult> sizes) {
  if (failed(checkMultiples(*this, getWholeType(), useOf(*this), getTensorRegion(), sizes)))
    return failure();
  TileBuilder t(b, getLoc());
  Value source = t.slice(getSource(), {llvm::to_vector(offsets), llvm::to_vector(sizes)});
  SmallVector<Operation *> slices;
  if (Operation *slice = source.getDefiningOp())
    slices.push_back(slice);
  SmallVector<Value> tiles;
  for (auto [i, payload] : llvm::enumerate(getPayload()))
    tiles.push_back(t.slice(payload, payloadTile(*this, b, i, offsets, sizes)));
  Box region = compose(b, getLoc(), getTensorRegion(), offsets, sizes);
  auto tile =
      EncodeRegionOp::create(b, getLoc(), getWholeType(), source, tiles, getInputs(), region);
  return TilingResult{{tile}, llvm::to_vector_of<Value>(tile.getResults()), slices};
}

LogicalResult EncodeRegionOp::getResultTilePosition(OpBuilder &b, unsigned result,
                                                    ArrayRef<OpFoldResult> offsets,
                                                    ArrayRef<OpFoldResult> sizes,
                                                    Ofrs &resultOffsets, Ofrs &resultSizes) {
  // Fusing a consumer asks the *tiled* op for its place in the whole, in whole coordinates.
  Box base = getTensorRegion();
  bool isOwn = llvm::all_of(llvm::zip(base.offsets, offsets), [](auto pair) {
    return isEqualConstantIntOrValue(std::get<0>(pair), std::get<1>(pair));
  });
  Box region =
      isOwn ? payloadRegion(*this, b, result, base) : payloadTile(*this, b, result, offsets, sizes);
  resultOffsets = region.offsets;
  resultSizes = region.sizes;
  return success();
}
FailureOr<TilingResult> EncodeRegionOp::generateResultTileValue(OpBuilder &, unsigned,
                                                                ArrayRef<OpFoldResult>,
                                                                ArrayRef<OpFoldResult>) {
  return failure();
}
FailureOr<TilingResult> EncodeRegionOp::getTiledImplementationFromOperandTiles(
    OpBuilder &b, ArrayRef<unsigned> numbers, ArrayRef<Ofrs> offsets, ArrayRef<Ofrs> sizes) {
  if (numbers.size() != 1 || numbers[0] != 0)
    return failure();
  return getTiledImplementation(b, offsets[0], sizes[0]);
}
LogicalResult EncodeRegionOp::getIterationDomainTileFromOperandTiles(
    OpBuilder &, ArrayRef<unsigned> numbers, ArrayRef<Ofrs> offsets, ArrayRef<Ofrs> sizes,
    SmallVectorImpl<OpFoldResult> &domainOffsets, SmallVectorImpl<OpFoldResult> &domainSizes) {
  if (numbers.size() != 1 || numbers[0] != 0)
    return failure();
  domainOffsets.assign(offsets[0].begin(), offsets[0].end());
  domainSizes.assign(sizes[0].begin(), sizes[0].end());
  return success();
}
LogicalResult EncodeRegionOp::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &shapes) {
  for (Value payload : getPayload())
    shapes.push_back(tensor::getMixedSizes(b, getLoc(), payload));
  return success();
}
