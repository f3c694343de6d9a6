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
  return {getMixedValues(op.getStaticOffsets(), op.getOffsets(), b), getMixedValues(op.getStaticSizes(), op.getSizes(), b)};
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
  return llvm::map_to_vector(region.sizes,
                             [&](OpFoldResult size) { return Range{b.getIndexAttr(0), size, b.getIndexAttr(1)}; });
}

/// A tile is as large as the region it is cut from, or of a size that the encoding allows.
static LogicalResult checkMultiples(Operation *op, RankedTensorType type, TileUse use, const Box &base,
                                    ArrayRef<OpFoldResult> sizes) {
  for (auto [axis, multiple] : llvm::enumerate(getEncoding(type).getTileMultiples(type, use))) {
    auto size = getConstantIntValue(sizes[axis]);
    if (multiple == 1 || isEqualConstantIntOrValue(sizes[axis], base.sizes[axis]))
      continue;
    if (multiple == kWhole || (size && *size % multiple))
      return op->emitRemark() << "not tiled: a tile along axis " << axis << " must "
                              << (multiple == kWhole ? "span it" : "be a multiple of " + std::to_string(multiple))
                              << " for " << type.getEncoding();
  }
  return success();
}

static LogicalResult verifyRegion(Operation *op, RankedTensorType whole, size_t offsets, size_t sizes) {
  if (!getEncoding(whole))
    return op->emitOpError() << "the whole tensor needs a lowbit encoding: " << whole;
  if ((int64_t)offsets != whole.getRank() || (int64_t)sizes != whole.getRank())
    return op->emitOpError() << "a region of " << whole << " has " << whole.getRank() << " offsets and sizes";
  return verifyEncodedType(whole, [&] { return op->emitOpError(); });
}

//===----------------------------------------------------------------------===//
// decode_region
//===----------------------------------------------------------------------===//

Box DecodeRegionOp::getTensorRegion() { return regionOf(*this); }
RankedTensorType DecodeRegionOp::getWholeType() { return cast<RankedTensorType>(getWhole()); }

void DecodeRegionOp::build(OpBuilder &b, OperationState &state, RankedTensorType whole, ValueRange components,
                           const Box &region) {
  auto [staticOffsets, offsets] = decomposeMixedValues(region.offsets);
  auto [staticSizes, sizes] = decomposeMixedValues(region.sizes);
  build(b, state, RankedTensorType::get(staticSizes, whole.getElementType()), TypeAttr::get(whole), components, offsets,
        sizes, b.getDenseI64ArrayAttr(staticOffsets), b.getDenseI64ArrayAttr(staticSizes));
}

LogicalResult DecodeRegionOp::verify() {
  auto whole = dyn_cast<RankedTensorType>(getWhole());
  if (!whole)
    return emitOpError() << "the whole is a ranked tensor";
  if (failed(verifyRegion(*this, whole, getStaticOffsets().size(), getStaticSizes().size())))
    return failure();
  size_t wanted = getEncoding(whole).getComponents(whole).size();
  if (wanted != getComponents().size())
    return emitOpError() << "the encoding has " << wanted << " components, not " << getComponents().size();
  if (getType().getShape() != getStaticSizes())
    return emitOpError() << "the result does not have the region's sizes";
  return success();
}

namespace {
/// Offsets and sizes that turn out to be constant become part of the op, so that the tile has a static type.
struct FoldConstantRegion : OpRewritePattern<DecodeRegionOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DecodeRegionOp op, PatternRewriter &rw) const override {
    Box region = op.getTensorRegion();
    bool isFolded = succeeded(foldDynamicIndexList(region.offsets));
    isFolded |= succeeded(foldDynamicIndexList(region.sizes, /*onlyNonNegative=*/true));
    if (!isFolded)
      return rw.notifyMatchFailure(op, "nothing is constant");
    Value tile = DecodeRegionOp::create(rw, op.getLoc(), op.getWholeType(), op.getComponents(), region);
    if (tile.getType() != op.getType())
      tile = tensor::CastOp::create(rw, op.getLoc(), op.getType(), tile);
    rw.replaceOp(op, tile);
    return success();
  }
};
} // namespace

void DecodeRegionOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<FoldConstantRegion>(context);
}

SmallVector<utils::IteratorType> DecodeRegionOp::getLoopIteratorTypes() {
  return SmallVector<utils::IteratorType>(getWholeType().getRank(), utils::IteratorType::parallel);
}
SmallVector<Range> DecodeRegionOp::getIterationDomain(OpBuilder &b) { return domainOf(b, getTensorRegion()); }

FailureOr<TilingResult> DecodeRegionOp::getTiledImplementation(OpBuilder &b, ArrayRef<OpFoldResult> offsets,
                                                               ArrayRef<OpFoldResult> sizes) {
  if (failed(checkMultiples(*this, getWholeType(), TileUse::Decode, getTensorRegion(), sizes)))
    return failure();
  Box region = compose(b, getLoc(), getTensorRegion(), offsets, sizes);
  auto tile = DecodeRegionOp::create(b, getLoc(), getWholeType(), getComponents(), region);
  return TilingResult{{tile}, {tile.getResult()}, {}};
}
LogicalResult DecodeRegionOp::getResultTilePosition(OpBuilder &, unsigned, ArrayRef<OpFoldResult> offsets,
                                                    ArrayRef<OpFoldResult> sizes, Ofrs &resultOffsets,
                                                    Ofrs &resultSizes) {
  resultOffsets = llvm::to_vector(offsets);
  resultSizes = llvm::to_vector(sizes);
  return success();
}
FailureOr<TilingResult> DecodeRegionOp::generateResultTileValue(OpBuilder &b, unsigned, ArrayRef<OpFoldResult> offsets,
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

Box EncodeRegionOp::getTensorRegion() { return regionOf(*this); }
RankedTensorType EncodeRegionOp::getWholeType() { return cast<RankedTensorType>(getWhole()); }

void EncodeRegionOp::build(OpBuilder &b, OperationState &state, RankedTensorType whole, Value source, ValueRange payload,
                           ValueRange inputs, const Box &region) {
  auto [staticOffsets, offsets] = decomposeMixedValues(region.offsets);
  auto [staticSizes, sizes] = decomposeMixedValues(region.sizes);
  build(b, state, payload.getTypes(), TypeAttr::get(whole), source, payload, inputs, offsets, sizes,
        b.getDenseI64ArrayAttr(staticOffsets), b.getDenseI64ArrayAttr(staticSizes));
}

LogicalResult EncodeRegionOp::verify() {
  auto whole = dyn_cast<RankedTensorType>(getWhole());
  if (!whole)
    return emitOpError() << "the whole is a ranked tensor";
  if (failed(verifyRegion(*this, whole, getStaticOffsets().size(), getStaticSizes().size())))
    return failure();
  SmallVector<EncodingComponent> components = getEncoding(whole).getComponents(whole);
  size_t payload = llvm::count_if(components, [](auto &c) { return c.role == ComponentRole::Payload; });
  if (payload != getPayload().size() || components.size() - payload != getInputs().size())
    return emitOpError() << "the encoding has " << payload << " payload components and "
                         << components.size() - payload << " others, not " << getPayload().size() << " and "
                         << getInputs().size();
  return success();
}

SmallVector<Value> EncodeRegionOp::getAllComponents() {
  SmallVector<Value> all;
  unsigned payload = 0, input = 0;
  for (EncodingComponent &component : getEncoding(getWholeType()).getComponents(getWholeType()))
    all.push_back(component.role == ComponentRole::Payload ? getPayload()[payload++] : getInputs()[input++]);
  return all;
}

SmallVector<utils::IteratorType> EncodeRegionOp::getLoopIteratorTypes() {
  return SmallVector<utils::IteratorType>(getWholeType().getRank(), utils::IteratorType::parallel);
}
SmallVector<Range> EncodeRegionOp::getIterationDomain(OpBuilder &b) { return domainOf(b, getTensorRegion()); }

/// The part of the `result`-th payload component that belongs to `region`, both in whole coordinates.
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
static Box payloadTile(EncodeRegionOp op, OpBuilder &b, unsigned result, ArrayRef<OpFoldResult> offsets,
                          ArrayRef<OpFoldResult> sizes) {
  TileBuilder t(b, op.getLoc());
  Box base = op.getTensorRegion();
  Box tile = payloadRegion(op, b, result, compose(b, op.getLoc(), base, offsets, sizes));
  if (llvm::all_of(base.offsets, isZeroInteger))
    return tile;
  for (auto [x, y] : llvm::zip(tile.offsets, payloadRegion(op, b, result, base).offsets))
    x = t.sub(x, y);
  return tile;
}

FailureOr<TilingResult> EncodeRegionOp::getTiledImplementation(OpBuilder &b, ArrayRef<OpFoldResult> offsets,
                                                               ArrayRef<OpFoldResult> sizes) {
  TileUse use = getInputs().empty() ? TileUse::Encode : TileUse::EncodeAfterStatistics;
  if (failed(checkMultiples(*this, getWholeType(), use, getTensorRegion(), sizes)))
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
  auto tile = EncodeRegionOp::create(b, getLoc(), getWholeType(), source, tiles, getInputs(), region);
  return TilingResult{{tile}, llvm::to_vector_of<Value>(tile.getResults()), slices};
}

LogicalResult EncodeRegionOp::getResultTilePosition(OpBuilder &b, unsigned result, ArrayRef<OpFoldResult> offsets,
                                                    ArrayRef<OpFoldResult> sizes, Ofrs &resultOffsets,
                                                    Ofrs &resultSizes) {
  // Fusing a consumer asks the *tiled* op for its place in the whole, in whole coordinates.
  Box base = getTensorRegion();
  bool isOwn = llvm::all_of(llvm::zip(base.offsets, offsets), [](auto pair) {
    return isEqualConstantIntOrValue(std::get<0>(pair), std::get<1>(pair));
  });
  Box region = isOwn ? payloadRegion(*this, b, result, base) : payloadTile(*this, b, result, offsets, sizes);
  resultOffsets = region.offsets;
  resultSizes = region.sizes;
  return success();
}
FailureOr<TilingResult> EncodeRegionOp::generateResultTileValue(OpBuilder &, unsigned, ArrayRef<OpFoldResult>,
                                                                ArrayRef<OpFoldResult>) {
  return failure();
}
FailureOr<TilingResult> EncodeRegionOp::getTiledImplementationFromOperandTiles(OpBuilder &b, ArrayRef<unsigned> numbers,
                                                                               ArrayRef<Ofrs> offsets,
                                                                               ArrayRef<Ofrs> sizes) {
  if (numbers.size() != 1 || numbers[0] != 0)
    return failure();
  return getTiledImplementation(b, offsets[0], sizes[0]);
}
LogicalResult EncodeRegionOp::getIterationDomainTileFromOperandTiles(OpBuilder &, ArrayRef<unsigned> numbers,
                                                                     ArrayRef<Ofrs> offsets, ArrayRef<Ofrs> sizes,
                                                                     SmallVectorImpl<OpFoldResult> &domainOffsets,
                                                                     SmallVectorImpl<OpFoldResult> &domainSizes) {
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
