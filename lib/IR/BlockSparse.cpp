//===- BlockSparse.cpp - Compressed sparse rows of blocks ----------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Combinators.h"
#include "lowbit/Numerics/Reference.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lowbit;
using Ofrs = SmallVector<OpFoldResult>;

/// The stored blocks, one below the other.
static RankedTensorType blocksType(BlockSparseAttr term) {
  return termType(term.getTerm(), {ShapedType::kDynamic, term.getBlock()[1]});
}

LogicalResult BlockSparseAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                      ArrayRef<int64_t> block, FloatAttr density, Attribute term) {
  if (block.size() != 2 || block[0] < 1 || block[1] < 1)
    return emitError() << "a sparse block has two extents of at least 1, as in [16, 32]";
  if (double d = density.getValueAsDouble(); !(d >= 0.0 && d <= 1.0))
    return emitError() << "a density is between 0 and 1, as in density = 0.5";
  if (!isa_and_nonnull<EncodingAttrInterface>(term))
    return emitError() << "stored blocks are in an encoding, not in " << term;
  return success();
}
LogicalResult BlockSparseAttr::verifyTerm(ArrayRef<int64_t> shape, Type elementType,
                                          function_ref<InFlightDiagnostic()> emitError) const {
  if (shape.size() != 2)
    return emitError() << "sparse blocks need a tensor of 2 axes, this one has " << shape.size();
  for (auto [n, block] : llvm::zip(shape, getBlock()))
    if (ShapedType::isDynamic(n) || n % block != 0)
      return emitError() << "sparse blocks of " << getBlock()[0] << " x " << getBlock()[1]
                         << " need axes of known multiples of that many elements";
  if (failed(verifyElementCount(shape, emitError)))
    return failure();
  return cast<EncodingAttrInterface>(getTerm()).verifyTerm({ShapedType::kDynamic, getBlock()[1]},
                                                           elementType, emitError);
}

SmallVector<EncodingComponent> BlockSparseAttr::getComponents(RankedTensorType type) const {
  Builder b(getContext());
  SmallVector<EncodingComponent> all{
      {"positions", RankedTensorType::get({type.getDimSize(0) / getBlock()[0] + 1}, b.getI32Type()),
       ComponentRole::Structure},
      {"columns", RankedTensorType::get({ShapedType::kDynamic}, b.getI32Type()),
       ComponentRole::Structure}};
  appendComponents(all, "term", blocksType(*this));
  return all;
}

Ofrs BlockSparseAttr::getExtents(OpBuilder &b, Location, RankedTensorType type, ValueRange) const {
  return {b.getIndexAttr(type.getDimSize(0)), b.getIndexAttr(type.getDimSize(1))};
}

SmallVector<int64_t> BlockSparseAttr::getTileMultiples(RankedTensorType, TileUse use) const {
  return {use == TileUse::Decode ? getBlock()[0] : kWhole, kWhole};
}

Box BlockSparseAttr::getComponentRegion(OpBuilder &b, Location loc, RankedTensorType,
                                        ValueRange components, unsigned index, const Box &) const {
  return wholeComponent(b, loc, components[index]);
}

//===----------------------------------------------------------------------===//
// Decode and encode
//===----------------------------------------------------------------------===//

namespace {
/// A stored block: its number, and its first row and column in the tile and in the stored tensor.
struct StoredBlock {
  Value number;
  OpFoldResult row, column, storedRow;
};
} // namespace

/// Loops over the stored blocks of `rows` rows from row `first` on: body(block, carried) ->
/// carried; rows are counted from `first`.
static Value forEachBlock(TileBuilder &t, BlockSparseAttr term, ValueRange components,
                          OpFoldResult first, OpFoldResult rows, Value initial,
                          function_ref<Value(TileBuilder &, StoredBlock, Value carried)> body) {
  int64_t height = term.getBlock()[0], width = term.getBlock()[1];
  Value begin = t.value(t.floorDiv(first, height)), count = t.value(t.floorDiv(rows, height));
  auto times = [](TileBuilder &t, Value x, int64_t factor) {
    return t.apply(t.b.getAffineDimExpr(0) * factor, {x});
  };
  return forEach(
      t, t.constantIndex(0), count, initial, [&](TileBuilder &t, Value i, Value outer) -> Value {
        Value row = arith::AddIOp::create(t.b, t.loc, begin, i);
        Value next = arith::AddIOp::create(t.b, t.loc, row, t.constantIndex(1));
        return forEach(
            t, extractIndex(t, components[0], row), extractIndex(t, components[0], next), outer,
            [&](TileBuilder &t, Value at, Value carried) {
              Value column = extractIndex(t, components[1], at);
              return body(t,
                          {at, times(t, i, height), times(t, column, width), times(t, at, height)},
                          carried);
            });
      });
}

Value BlockSparseAttr::buildDecodeTile(OpBuilder &b, Location loc, RankedTensorType,
                                       ValueRange components, const Box &region) const {
  TileBuilder t(b, loc);
  RankedTensorType type = blocksType(*this);
  EncodingAttrInterface term = getEncoding(type);
  ValueRange its = components.drop_front(2);
  Ofrs sizes{t.index(getBlock()[0]), t.index(getBlock()[1])};
  // Block by block where the term can be cut between blocks.
  int64_t rows = term.getTileMultiples(type, TileUse::Decode)[0];
  Value all;
  if (rows == kWhole || getBlock()[0] % rows != 0)
    all = term.buildDecodeTile(b, loc, type, its, wholeBox(b, loc, type, its));
  return forEachBlock(t, *this, components, region.offsets[0], region.sizes[0],
                      t.filled(region.sizes, t.f32(0)),
                      [&](TileBuilder &t, StoredBlock block, Value tile) -> Value {
                        Box stored{{block.storedRow, t.index(0)}, sizes};
                        Value values = all ? t.slice(all, stored)
                                           : term.buildDecodeTile(t.b, t.loc, type, its, stored);
                        return t.insert(values, tile, {{block.row, block.column}, sizes});
                      });
}

bool BlockSparseAttr::isEncodedInTiles(RankedTensorType) const { return false; }

FailureOr<SmallVector<Value>> BlockSparseAttr::buildEncode(OpBuilder &b, Location loc,
                                                           RankedTensorType wholeType, Value whole,
                                                           ValueRange components) const {
  TileBuilder t(b, loc);
  RankedTensorType type = blocksType(*this);
  ValueRange its = components.drop_front(2);
  Ofrs sizes{t.index(getBlock()[0]), t.index(getBlock()[1])};
  Ofrs extents = getEncoding(type).getExtents(b, loc, type, its);
  Value blocks = forEachBlock(
      t, *this, components, t.index(0), t.index(wholeType.getDimSize(0)),
      t.empty(extents, b.getF32Type()), [&](TileBuilder &t, StoredBlock block, Value all) -> Value {
        Value values = t.slice(whole, {{block.row, block.column}, sizes});
        return t.insert(values, all, {{block.storedRow, t.index(0)}, sizes});
      });
  auto encoded = encodeWhole(b, loc, type, blocks, its);
  if (failed(encoded))
    return failure();
  SmallVector<Value> all(components.take_front(2));
  all.append(*encoded);
  return all;
}

//===----------------------------------------------------------------------===//
// Scalar reference
//===----------------------------------------------------------------------===//

namespace {
/// Which blocks are stored: CSR over blocks.
struct Places {
  std::vector<int32_t> positions, columns;
};
} // namespace

/// Takes them from the list, checked.
static llvm::Expected<Places> placesOfFront(BlockSparseAttr term, ArrayRef<int64_t> shape,
                                            ArrayRef<BufferRef> &components) {
  int64_t rows = shape[0] / term.getBlock()[0], across = shape[1] / term.getBlock()[1];
  auto positions = integersOfFront(components, "positions", rows + 1);
  if (!positions)
    return positions.takeError();
  auto columns = integersOfFront(components, "columns", -1);
  if (!columns)
    return columns.takeError();
  if (auto message = numerics::checkEntries({rows, across}, positions->data(), columns->data(),
                                            columns->size()))
    return llvm::createStringError("of blocks: " + *message);
  return Places{std::move(*positions), std::move(*columns)};
}

llvm::Error BlockSparseAttr::verifyComponents(RankedTensorType, ArrayRef<int64_t> shape,
                                              ArrayRef<BufferRef> components) const {
  auto places = placesOfFront(*this, shape, components);
  if (!places)
    return places.takeError();
  int64_t rows = places->columns.size() * getBlock()[0];
  return verifyFront(blocksType(*this), {rows, getBlock()[1]}, components);
}

llvm::Error BlockSparseAttr::referenceDecode(ArrayRef<int64_t> shape,
                                             ArrayRef<BufferRef> components,
                                             MutableArrayRef<float> values) const {
  auto places = placesOfFront(*this, shape, components);
  if (!places)
    return places.takeError();
  int64_t height = getBlock()[0], width = getBlock()[1], rows = shape[0] / height,
          count = places->columns.size();
  std::vector<float> blocks(count * height * width);
  if (llvm::Error error = decodeFront(getTerm(), {count * height, width}, components, blocks))
    return error;
  llvm::fill(values, 0.0f);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t at = places->positions[row]; at < places->positions[row + 1]; ++at)
      for (int64_t i = 0; i < height; ++i)
        std::copy_n(blocks.begin() + (at * height + i) * width, width,
                    values.begin() + (row * height + i) * shape[1] + places->columns[at] * width);
  return llvm::Error::success();
}

llvm::Expected<std::vector<Buffer>> BlockSparseAttr::referenceEncode(ArrayRef<int64_t> shape,
                                                                     ArrayRef<float> values) const {
  int64_t height = getBlock()[0], width = getBlock()[1], rows = shape[0] / height,
          across = shape[1] / width;
  int64_t count = numerics::outlierCount(getDensity().getValueAsDouble(), rows * across);
  std::vector<int32_t> positions(rows + 1), columns;
  std::vector<float> blocks;
  for (int64_t number :
       numerics::chooseBlocks(values.data(), {shape[0], shape[1]}, {height, width}, count)) {
    int64_t row = number / across, column = number % across;
    ++positions[row + 1];
    columns.push_back(column);
    for (int64_t i = 0; i < height; ++i) {
      auto begin = values.begin() + (row * height + i) * shape[1] + column * width;
      blocks.insert(blocks.end(), begin, begin + width);
    }
  }
  for (int64_t row = 0; row < rows; ++row)
    positions[row + 1] += positions[row];
  std::vector<Buffer> all{bufferOf(positions), bufferOf(columns)};
  if (llvm::Error error = appendEncoded(all, getTerm(), {count * height, width}, blocks))
    return std::move(error);
  return all;
}
