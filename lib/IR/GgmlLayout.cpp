//===- GgmlLayout.cpp - Interleaved block structs of GGUF files -----------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// block_q4_0, block_q4_1 and block_q8_0 of ggml (ggml-common.h): 32 elements of the last axis; an
// f16 scale, for q4_1 an f16 minimum, then the codes. 4-bit codes: the low nibbles hold the first
// 16 elements, the high ones the last 16; q4_0 stores code + 8.
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"
#include "lowbit/Numerics/Packing.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lowbit;
using Ofrs = SmallVector<OpFoldResult>;

static constexpr int64_t kBlock = 32;

/// The struct behind a layout's name.
namespace {
struct Struct {
  int64_t bytes, levels;
  bool isNibbles;
  /// What is added to a signed code before it is stored.
  int64_t bias;

  int64_t codeBytes() const { return isNibbles ? kBlock / 2 : kBlock; }
};
} // namespace

static Struct structOf(const numerics::BlockStruct &block) {
  return {block.bytes, int64_t(block.members.size()) - 1, block.term.format.bits() == 4,
          block.members[0].bias};
}

LogicalResult GgmlLayoutAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                     StringRef block) {
  if (numerics::ggmlStruct(std::string_view(block)))
    return success();
  InFlightDiagnostic error = emitError();
  error << "unknown ggml block '" << block << "'; known: ";
  llvm::interleaveComma(numerics::ggmlStructs(), error,
                        [&](const numerics::BlockStruct *known) { error << known->name; });
  return error;
}

const numerics::BlockStruct &GgmlLayoutAttr::getStruct() const {
  return *numerics::ggmlStruct(std::string_view(getBlock()));
}

std::shared_ptr<const numerics::Layout> GgmlLayoutAttr::getReference() const {
  return numerics::ggmlLayout(std::string_view(getBlock()));
}

LogicalResult GgmlLayoutAttr::verifyTerm(const QuantizedAttr &term, ArrayRef<int64_t> shape,
                                         function_ref<InFlightDiagnostic()> emitError) const {
  // A dynamic last axis is checked where its extent is known.
  numerics::Shape extents(shape.begin(), shape.end());
  for (int64_t &extent : extents)
    extent = ShapedType::isDynamic(extent) ? 0 : extent;
  if (auto message = getReference()->check(term.getReferenceTerm(), extents))
    return emitError() << *message;
  return success();
}

SmallVector<EncodingComponent> GgmlLayoutAttr::getComponents(const QuantizedAttr &,
                                                             RankedTensorType type) const {
  SmallVector<int64_t> shape(type.getShape());
  if (!ShapedType::isDynamic(shape.back()))
    shape.back() /= kBlock;
  shape.push_back(getStruct().bytes);
  return {{"blocks", RankedTensorType::get(shape, IntegerType::get(getContext(), 8)),
           ComponentRole::Payload}};
}

SmallVector<int64_t> GgmlLayoutAttr::getTileMultiples(const QuantizedAttr &,
                                                      RankedTensorType type) const {
  SmallVector<int64_t> multiples(type.getRank(), 1);
  multiples.back() = kBlock;
  return multiples;
}

Box GgmlLayoutAttr::getComponentRegion(OpBuilder &b, Location loc, const QuantizedAttr &,
                                       RankedTensorType, unsigned, const Box &region) const {
  TileBuilder t(b, loc);
  Box blocks = region;
  blocks.offsets.back() = t.floorDiv(region.offsets.back(), kBlock);
  blocks.sizes.back() = t.floorDiv(region.sizes.back(), kBlock);
  blocks.offsets.push_back(t.index(0));
  blocks.sizes.push_back(t.index(getStruct().bytes));
  return blocks;
}

/// Bytes [at, at + count) of every block; the last dimension goes if count is 1.
static Value field(TileBuilder &t, Value blocks, int64_t at, int64_t count) {
  auto type = cast<RankedTensorType>(blocks.getType());
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, blocks), offsets(sizes.size(), t.index(0));
  offsets.back() = t.index(at);
  sizes.back() = t.index(count);
  SmallVector<int64_t> shape(type.getShape());
  shape.back() = count;
  if (count == 1)
    shape.pop_back();
  return tensor::ExtractSliceOp::create(t.b, t.loc,
                                        RankedTensorType::get(shape, type.getElementType()), blocks,
                                        offsets, sizes, Ofrs(sizes.size(), t.index(1)));
}

static Value unpackHalf(TileBuilder &t, Value blocks, int64_t at) {
  return t.elementwise({field(t, blocks, at, 1), field(t, blocks, at + 1, 1)}, t.b.getF16Type(),
                       [](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                         Type i16 = t.b.getI16Type();
                         Value low = arith::ExtUIOp::create(t.b, t.loc, i16, a[0]);
                         Value high = arith::ExtUIOp::create(t.b, t.loc, i16, a[1]);
                         Value eight =
                             arith::ConstantOp::create(t.b, t.loc, t.b.getI16IntegerAttr(8));
                         high = arith::ShLIOp::create(t.b, t.loc, high, eight);
                         Value bits = arith::OrIOp::create(t.b, t.loc, low, high);
                         return {arith::BitcastOp::create(t.b, t.loc, t.b.getF16Type(), bits)};
                       });
}

/// [..., n, 16] bytes to [..., n, 2, 16] codes: low nibbles, then high nibbles.
static Value unpackNibbles(TileBuilder &t, Value bytes, int64_t bias) {
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, bytes);
  unsigned rank = sizes.size(), half = rank - 1;
  sizes.insert(sizes.end() - 1, t.index(2));
  SmallVector<unsigned> own;
  for (unsigned i = 0; i <= rank; ++i)
    if (i != half)
      own.push_back(i);
  return t.generic(
      bytes, t.empty(sizes, t.b.getI8Type()),
      {t.map(rank + 1, own), t.b.getMultiDimIdentityMap(rank + 1)},
      SmallVector<utils::IteratorType>(rank + 1, utils::IteratorType::parallel),
      [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        Value at = linalg::IndexOp::create(t.b, t.loc, half);
        Value shift = arith::MulIOp::create(
            t.b, t.loc, arith::IndexCastOp::create(t.b, t.loc, t.b.getI8Type(), at), t.i8(4));
        Value code = arith::ShRUIOp::create(t.b, t.loc, a[0], shift);
        code = arith::AndIOp::create(t.b, t.loc, code, t.i8(15));
        if (bias) // Adding 8 modulo 16 turns code + 8 into the two's complement of code.
          code = arith::XOrIOp::create(t.b, t.loc, code, t.i8(bias));
        return {code};
      })[0];
}

Fields GgmlLayoutAttr::buildUnpack(OpBuilder &b, Location loc, const QuantizedAttr &term,
                                   RankedTensorType type, ValueRange components,
                                   const Box &region) const {
  TileBuilder t(b, loc);
  Struct layout = structOf(getStruct());
  Value blocks = t.slice(components[0], getComponentRegion(b, loc, term, type, 0, region));
  Fields fields;
  for (int64_t i = 0; i < layout.levels; ++i)
    fields.levels.push_back(unpackHalf(t, blocks, 2 * i));
  Value bytes = field(t, blocks, 2 * layout.levels, layout.codeBytes());
  int64_t last = type.getRank() - 1;
  fields.codes = t.joinFrom(layout.isNibbles ? unpackNibbles(t, bytes, layout.bias) : bytes, last);
  return fields;
}

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

static Value insertField(TileBuilder &t, Value bytes, Value blocks, int64_t at, int64_t count) {
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, blocks), offsets(sizes.size(), t.index(0));
  offsets.back() = t.index(at);
  sizes.back() = t.index(count);
  return tensor::InsertSliceOp::create(t.b, t.loc, bytes, blocks, offsets, sizes,
                                       Ofrs(sizes.size(), t.index(1)));
}

/// The low (0) or high (1) byte of each f16.
static Value byteOfHalf(TileBuilder &t, Value halves, int64_t number) {
  return t.elementwise(
      halves, t.b.getI8Type(), [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        Value bits = arith::BitcastOp::create(t.b, t.loc, t.b.getI16Type(), a[0]);
        if (number) {
          Value eight = arith::ConstantOp::create(t.b, t.loc, t.b.getI16IntegerAttr(8));
          bits = arith::ShRUIOp::create(t.b, t.loc, bits, eight);
        }
        return {arith::TruncIOp::create(t.b, t.loc, t.b.getI8Type(), bits)};
      });
}

/// [..., n * 32] codes to [..., n, 16] bytes.
static Value packNibbles(TileBuilder &t, Value codes, int64_t bias) {
  Value halves = t.splitLast(codes, {2, kBlock / 2});
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, halves);
  unsigned rank = sizes.size(), half = rank - 2;
  SmallVector<unsigned> own;
  Ofrs byteSizes;
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  iterators[half] = utils::IteratorType::reduction;
  for (unsigned i = 0; i < rank; ++i)
    if (i != half) {
      own.push_back(i);
      byteSizes.push_back(sizes[i]);
    }
  return t.generic(
      halves, t.filled(byteSizes, t.i8(0)), {t.b.getMultiDimIdentityMap(rank), t.map(rank, own)},
      iterators, [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        Value code = bias ? arith::XOrIOp::create(t.b, t.loc, a[0], t.i8(bias)) : a[0];
        Value at = linalg::IndexOp::create(t.b, t.loc, half);
        Value shift = arith::MulIOp::create(
            t.b, t.loc, arith::IndexCastOp::create(t.b, t.loc, t.b.getI8Type(), at), t.i8(4));
        code = arith::ShLIOp::create(t.b, t.loc, code, shift);
        return {arith::OrIOp::create(t.b, t.loc, a[1], code)};
      })[0];
}

FailureOr<SmallVector<Value>> GgmlLayoutAttr::buildPack(OpBuilder &b, Location loc,
                                                        const QuantizedAttr &term,
                                                        RankedTensorType type, const Fields &fields,
                                                        ValueRange destinations) const {
  TileBuilder t(b, loc);
  Struct layout = structOf(getStruct());
  Value blocks = destinations[0];
  for (auto [i, level] : llvm::enumerate(fields.levels))
    for (int64_t number : {0, 1}) {
      Value byte = t.splitLast(byteOfHalf(t, level, number), {1});
      blocks = insertField(t, byte, blocks, 2 * i + number, 1);
    }
  Value codes = layout.isNibbles ? packNibbles(t, fields.codes, layout.bias)
                                 : t.splitLast(fields.codes, {kBlock});
  return SmallVector<Value>{insertField(t, codes, blocks, 2 * layout.levels, layout.codeBytes())};
}
