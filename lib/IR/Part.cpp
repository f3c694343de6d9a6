//===- Part.cpp - Ranges of one axis, each in its own encoding ------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Combinators.h"
#include "lowbit/IR/TileBuilder.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/StringSet.h"

#include <numeric>

using namespace mlir;
using namespace lowbit;
using Ofr = OpFoldResult;
using Ofrs = SmallVector<OpFoldResult>;

/// The axis has the length of each range.
SmallVector<RankedTensorType> PartAttr::getChildren(RankedTensorType type) const {
  SmallVector<RankedTensorType> types;
  int64_t start = 0;
  for (auto [i, term] : llvm::enumerate(getTerms())) {
    int64_t end = i < getAt().size() ? getAt()[i] : type.getDimSize(getAxis());
    SmallVector<int64_t> shape(type.getShape());
    bool isDynamic = ShapedType::isDynamic(start) || ShapedType::isDynamic(end);
    shape[getAxis()] = isDynamic ? ShapedType::kDynamic : end - start;
    types.push_back(RankedTensorType::get(shape, type.getElementType(), term));
    start = end;
  }
  return types;
}

static unsigned dynamicCuts(PartAttr part) {
  return llvm::count_if(part.getAt(), ShapedType::isDynamic);
}

LogicalResult PartAttr::verify(function_ref<InFlightDiagnostic()> emitError, unsigned,
                               ArrayRef<int64_t> at, ArrayRef<Attribute> terms) {
  if (terms.size() != at.size() + 1 || at.empty())
    return emitError() << "a part with " << at.size() << " cuts has " << at.size() + 1
                       << " terms, not " << terms.size();
  int64_t last = 0;
  for (int64_t cut : at) {
    if (ShapedType::isDynamic(cut))
      continue;
    if (cut < last)
      return emitError() << "the cuts of a part rise from 0, but " << cut << " comes after "
                         << last;
    last = cut;
  }
  for (Attribute term : terms)
    if (!isa_and_nonnull<EncodingAttrInterface>(term))
      return emitError() << "a term of a part is an encoding, not " << term;
  return success();
}

LogicalResult PartAttr::verifyTerm(ArrayRef<int64_t> shape, Type elementType,
                                   function_ref<InFlightDiagnostic()> emitError) const {
  if (getAxis() >= shape.size())
    return emitError() << "a part of axis " << getAxis() << " needs a tensor with more axes than "
                       << shape.size();
  int64_t extent = shape[getAxis()];
  for (int64_t cut : getAt())
    if (!ShapedType::isDynamic(cut) && !ShapedType::isDynamic(extent) && cut > extent)
      return emitError() << "the cut at " << cut << " lies beyond the axis, which has " << extent
                         << " elements";
  // Not through a type with the child's encoding: its builder would abort on what is diagnosed
  // here.
  auto plain = RankedTensorType::get(shape, elementType);
  int64_t start = 0;
  for (auto [i, term] : llvm::enumerate(getTerms())) {
    int64_t end = i < getAt().size() ? getAt()[i] : plain.getDimSize(getAxis());
    SmallVector<int64_t> child(shape);
    bool isDynamic = ShapedType::isDynamic(start) || ShapedType::isDynamic(end);
    child[getAxis()] = isDynamic ? ShapedType::kDynamic : end - start;
    if (failed(cast<EncodingAttrInterface>(term).verifyTerm(child, elementType, emitError)))
      return failure();
    start = end;
  }
  return success();
}

SmallVector<EncodingComponent> PartAttr::getComponents(RankedTensorType type) const {
  SmallVector<EncodingComponent> all;
  for (unsigned i = 0; i < dynamicCuts(*this); ++i)
    all.push_back(
        {"cut." + std::to_string(i), IndexType::get(getContext()), ComponentRole::Structure});
  for (auto [i, child] : llvm::enumerate(getChildren(type)))
    appendComponents(all, llvm::Twine(i), child);
  return all;
}

Ofrs PartAttr::getExtents(OpBuilder &b, Location loc, RankedTensorType type,
                          ValueRange components) const {
  TileBuilder t(b, loc);
  Box last = getPieces(b, loc, type, components).list.back().place;
  Ofrs extents = last.sizes;
  extents[getAxis()] = t.add(last.offsets[getAxis()], last.sizes[getAxis()]);
  return extents;
}

SmallVector<int64_t> PartAttr::getTileMultiples(RankedTensorType type, TileUse use) const {
  SmallVector<int64_t> all(type.getRank(), 1);
  for (RankedTensorType child : getChildren(type))
    joinTileMultiples(all, child, use);
  // A cut inside a tile splits it anywhere; a term with blocks along the axis needs its own to be
  // whole.
  int64_t &own = all[getAxis()];
  for (int64_t cut : getAt())
    if (own > 1 && (ShapedType::isDynamic(cut) || cut % own != 0))
      own = kWhole;
  return all;
}

Pieces PartAttr::getPieces(OpBuilder &b, Location loc, RankedTensorType type,
                           ValueRange components) const {
  TileBuilder t(b, loc);
  Pieces pieces{Pieces::Partition, getAxis(), {}};
  unsigned first = dynamicCuts(*this), nextCut = 0;
  Ofr start = t.index(0);
  for (auto [i, child] : llvm::enumerate(getChildren(type))) {
    EncodingAttrInterface encoding = getEncoding(child);
    unsigned count = encoding.getComponents(child).size();
    Ofrs sizes = encoding.getExtents(b, loc, child, components.slice(first, count));
    Ofr end;
    if (i < getAt().size())
      end =
          ShapedType::isDynamic(getAt()[i]) ? Ofr(components[nextCut++]) : Ofr(t.index(getAt()[i]));
    else if (!type.isDynamicDim(getAxis()))
      end = t.index(type.getDimSize(getAxis()));
    sizes[getAxis()] = end ? t.sub(end, start) : sizes[getAxis()];
    Ofrs offsets(type.getRank(), t.index(0));
    offsets[getAxis()] = start;
    pieces.list.push_back({child, first, count, {offsets, sizes}});
    first += count;
    start = end;
  }
  return pieces;
}

/// The part of `region` that lies in `piece`, in the piece's coordinates; `at` receives its place
/// in the region.
static Box clamp(TileBuilder &t, const Piece &piece, const Box &region, unsigned axis, Ofr &at) {
  Ofr start = piece.place.offsets[axis], end = t.add(start, piece.place.sizes[axis]);
  Ofr regionEnd = t.add(region.offsets[axis], region.sizes[axis]);
  Ofr low = t.min(t.max(region.offsets[axis], start), end),
      high = t.max(t.min(regionEnd, end), low);
  at = t.max(t.min(t.sub(low, region.offsets[axis]), region.sizes[axis]), t.index(0));
  Box own = region;
  own.offsets[axis] = t.sub(low, start);
  own.sizes[axis] = t.sub(high, low);
  return own;
}

Box PartAttr::getComponentRegion(OpBuilder &b, Location loc, RankedTensorType type,
                                 ValueRange components, unsigned index, const Box &region) const {
  TileBuilder t(b, loc);
  Ofr at;
  for (Piece &piece : getPieces(b, loc, type, components).list)
    if (index >= piece.first && index < piece.first + piece.count)
      return encodingOf(piece).getComponentRegion(
          b, loc, piece.type, componentsOf(piece, components), index - piece.first,
          clamp(t, piece, region, getAxis(), at));
  return {};
}

Value PartAttr::buildDecodeTile(OpBuilder &b, Location loc, RankedTensorType type,
                                ValueRange components, const Box &region) const {
  TileBuilder t(b, loc);
  Value tile = t.empty(region.sizes, type.getElementType());
  for (Piece &piece : getPieces(b, loc, type, components).list) {
    Ofr at;
    Box own = clamp(t, piece, region, getAxis(), at);
    if (isConstantIntValue(own.sizes[getAxis()], 0))
      continue;
    Value part =
        encodingOf(piece).buildDecodeTile(b, loc, piece.type, componentsOf(piece, components), own);
    Ofrs offsets(type.getRank(), t.index(0));
    offsets[getAxis()] = at;
    tile = t.insert(part, tile, {offsets, own.sizes});
  }
  return tile;
}

FailureOr<SmallVector<Value>> PartAttr::buildEncodeTile(OpBuilder &b, Location loc,
                                                        RankedTensorType type, Value tile,
                                                        ValueRange components,
                                                        const Box &region) const {
  TileBuilder t(b, loc);
  SmallVector<Value> all;
  for (Piece &piece : getPieces(b, loc, type, components).list) {
    Ofr at;
    Box own = clamp(t, piece, region, getAxis(), at),
        part{Ofrs(type.getRank(), t.index(0)), own.sizes};
    part.offsets[getAxis()] = at;
    auto payload = encodingOf(piece).buildEncodeTile(b, loc, piece.type, t.slice(tile, part),
                                                     componentsOf(piece, components), own);
    if (failed(payload))
      return failure();
    all.append(*payload);
  }
  return all;
}

FailureOr<SmallVector<Value>> PartAttr::buildStatistics(OpBuilder &b, Location loc,
                                                        RankedTensorType type, Value whole,
                                                        ValueRange components) const {
  TileBuilder t(b, loc);
  SmallVector<Value> all;
  for (Piece &piece : getPieces(b, loc, type, components).list) {
    auto statistics = encodingOf(piece).buildStatistics(
        b, loc, piece.type, t.slice(whole, piece.place), componentsOf(piece, components));
    if (failed(statistics))
      return failure();
    all.append(*statistics);
  }
  return all;
}

bool PartAttr::isEncodedInTiles(RankedTensorType type) const {
  // A tile that no cut divides has pieces of static type; statistics are those of each piece alone.
  return type.hasStaticShape() && dynamicCuts(*this) == 0 &&
         llvm::all_of(getChildren(type), [](RankedTensorType child) {
           EncodingAttrInterface term = getEncoding(child);
           return term.isEncodedInTiles(child) &&
                  llvm::none_of(term.getComponents(child), [](const EncodingComponent &component) {
                    return component.role == ComponentRole::Statistic;
                  });
         });
}

FailureOr<SmallVector<Value>> PartAttr::buildEncode(OpBuilder &b, Location loc,
                                                    RankedTensorType type, Value whole,
                                                    ValueRange components) const {
  TileBuilder t(b, loc);
  SmallVector<Value> all(components.take_front(dynamicCuts(*this)));
  for (Piece &piece : getPieces(b, loc, type, components).list) {
    auto encoded = encodeWhole(b, loc, piece.type, t.slice(whole, piece.place),
                               componentsOf(piece, components));
    if (failed(encoded))
      return failure();
    all.append(*encoded);
  }
  return all;
}

//===----------------------------------------------------------------------===//
// Scalar reference
//===----------------------------------------------------------------------===//

namespace {
/// Rows of a piece in the whole: `outer` times a run of `count` elements, every `pitch` from
/// `first`.
struct Runs {
  int64_t outer, pitch, first, count;
  SmallVector<int64_t> shape;
};
} // namespace

static llvm::Expected<SmallVector<Runs>> runsOf(PartAttr part, ArrayRef<int64_t> shape,
                                                ArrayRef<int64_t> cuts) {
  auto product = [](ArrayRef<int64_t> s) {
    return std::accumulate(s.begin(), s.end(), int64_t(1), std::multiplies<>());
  };
  int64_t extent = shape[part.getAxis()], inner = product(shape.drop_front(part.getAxis() + 1)),
          start = 0;
  SmallVector<Runs> runs;
  for (size_t i = 0; i < part.getTerms().size(); ++i) {
    int64_t end = i < cuts.size() ? cuts[i] : extent;
    if (end < start || end > extent)
      return llvm::createStringError("a cut at " + std::to_string(end) + " lies outside the axis");
    SmallVector<int64_t> own(shape);
    own[part.getAxis()] = end - start;
    runs.push_back({product(shape.take_front(part.getAxis())), extent * inner, start * inner,
                    (end - start) * inner, own});
    start = end;
  }
  return runs;
}

/// Takes the cuts that are known at run time from the list.
static llvm::Expected<SmallVector<Runs>> runsOfFront(PartAttr part, ArrayRef<int64_t> shape,
                                                     ArrayRef<BufferRef> &components) {
  SmallVector<int64_t> cuts(part.getAt());
  for (int64_t &cut : cuts)
    if (ShapedType::isDynamic(cut)) {
      if (components.empty() || components.front().bytes.size() != sizeof(cut))
        return llvm::createStringError("a cut is one 64-bit integer");
      memcpy(&cut, components.front().bytes.data(), sizeof(cut));
      components = components.drop_front();
    }
  return runsOf(part, shape, cuts);
}

/// Takes the components of a term whose extents are known at run time from the list; without those
/// that only say what the extents are.
static llvm::Expected<SmallVector<BufferRef>> componentsOfFront(RankedTensorType child,
                                                                ArrayRef<int64_t> shape,
                                                                ArrayRef<BufferRef> &components) {
  llvm::StringSet<> names;
  for (EncodingComponent &component :
       getEncoding(child).getComponents(termType(child.getEncoding(), shape)))
    names.insert(component.name);
  SmallVector<BufferRef> own;
  for (EncodingComponent &component : getEncoding(child).getComponents(child)) {
    if (components.empty())
      return llvm::createStringError("components are missing");
    if (names.contains(component.name))
      own.push_back(components.front());
    components = components.drop_front();
  }
  return own;
}

llvm::Error PartAttr::verifyComponents(RankedTensorType type, ArrayRef<int64_t> shape,
                                       ArrayRef<BufferRef> components) const {
  auto runs = runsOfFront(*this, shape, components);
  if (!runs)
    return runs.takeError();
  for (auto [child, run] : llvm::zip(getChildren(type), *runs))
    if (llvm::Error error = verifyFront(child, run.shape, components))
      return error;
  return llvm::Error::success();
}

llvm::Error PartAttr::referenceDecode(ArrayRef<int64_t> shape, ArrayRef<BufferRef> components,
                                      MutableArrayRef<float> values) const {
  auto runs = runsOfFront(*this, shape, components);
  if (!runs)
    return runs.takeError();
  SmallVector<RankedTensorType> children = getChildren(termType(*this, shape));
  for (auto [child, run] : llvm::zip(children, *runs)) {
    std::vector<float> own(run.outer * run.count);
    auto parts = componentsOfFront(child, run.shape, components);
    if (!parts)
      return parts.takeError();
    if (llvm::Error error = getEncoding(child).referenceDecode(run.shape, *parts, own))
      return error;
    for (int64_t i = 0; i < run.outer; ++i)
      std::copy_n(own.begin() + i * run.count, run.count,
                  values.begin() + i * run.pitch + run.first);
  }
  return llvm::Error::success();
}

llvm::Expected<std::vector<Buffer>> PartAttr::referenceEncode(ArrayRef<int64_t> shape,
                                                              ArrayRef<float> values) const {
  if (dynamicCuts(*this))
    return llvm::createStringError(
        "where a part is cut must be known to encode it: give numbers instead of '?'");
  auto runs = runsOf(*this, shape, getAt());
  if (!runs)
    return runs.takeError();
  std::vector<Buffer> all;
  for (auto [term, run] : llvm::zip(getTerms(), *runs)) {
    std::vector<float> own;
    for (int64_t i = 0; i < run.outer; ++i)
      own.insert(own.end(), values.begin() + i * run.pitch + run.first,
                 values.begin() + i * run.pitch + run.first + run.count);
    if (llvm::Error error = appendEncoded(all, term, run.shape, own))
      return std::move(error);
  }
  return all;
}
