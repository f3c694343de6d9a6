//===- LearnedFormat.cpp - Levels that are stored with the tensor ---------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The same operations as the scalar reference, lib/Numerics/LearnedLevels.cpp.
//
//===----------------------------------------------------------------------===//

#include "ScaleLevels.h"
#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace lowbit;
using Ofrs = SmallVector<OpFoldResult>;

LogicalResult LearnedFormatAttr::verify(function_ref<InFlightDiagnostic()> emitError, unsigned bits,
                                        ScaleLevelAttr levels) {
  if (bits < 1 || bits > 8)
    return emitError() << "a learned format has 1 to 8 bits, not " << bits;
  if (levels && !levels.getFormat().getReference().isFloat())
    return emitError() << "learned levels are f16, bf16 or f32, not " << levels.getElement();
  return success();
}

numerics::Format LearnedFormatAttr::getReference() const {
  return numerics::Format::learned(getBits());
}

std::optional<numerics::ScaleLevel> LearnedFormatAttr::getReferenceLevels() const {
  return getLevels().getReference();
}

LogicalResult LearnedFormatAttr::verifyShape(ArrayRef<int64_t> shape,
                                             function_ref<InFlightDiagnostic()> emitError) const {
  if (failed(getLevels().verifyShape(shape, emitError)))
    return failure();
  std::optional<int64_t> bytes = int64_t(4) << getBits();
  for (auto [n, block] : llvm::zip(shape, getLevels().getBlock(shape.size())))
    if (block != kWhole && !ShapedType::isDynamic(n) && bytes)
      bytes = numerics::checkedMultiply(*bytes, llvm::divideCeil(n, block));
  if (!bytes)
    return emitError() << "the tables of levels have more elements than can be stored";
  return success();
}

SmallVector<ScaleLevel> LearnedFormatAttr::getTables(ArrayRef<int64_t> shape) const {
  return {{"levels", getLevels().getElement(), getLevels().getBlock(shape.size()),
           llvm::to_vector(llvm::seq<int64_t>(shape.size())), ComponentRole::Structure,
           int64_t(1) << getBits()}};
}

namespace {
/// The tables of a tile, decoded: [block numbers..., levels], axes that lie in one block dropped.
struct Tables {
  Value value;
  SmallVector<int64_t> block; ///< of the tile, per axis
};
} // namespace

static Tables tablesOf(TileBuilder &t, LearnedFormatAttr format, ArrayRef<int64_t> shape,
                       Value codes) {
  SmallVector<int64_t> block = format.getLevels().getBlock(shape.size());
  SmallVector<int64_t> axes = block;
  axes.push_back(1); // the levels stay
  return {t.dropWholeAxes(decodeLevel(t, format.getLevels().getFormat(), codes), axes), block};
}

Value LearnedFormatAttr::buildDecodeTile(OpBuilder &b, Location loc, ArrayRef<int64_t> shape,
                                         Value codes, ValueRange tables) const {
  TileBuilder t(b, loc);
  Tables levels = tablesOf(t, *this, shape, tables[0]);
  BlockedView view = t.blocked(codes, levels.block);
  return t.unblocked(
      view, t.overBlocks(
                view, {}, b.getF32Type(), [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                  SmallVector<Value> at;
                  for (int number : view.number)
                    if (number >= 0)
                      at.push_back(linalg::IndexOp::create(t.b, t.loc, number));
                  at.push_back(arith::IndexCastUIOp::create(t.b, t.loc, t.b.getIndexType(), a[0]));
                  return {tensor::ExtractOp::create(t.b, t.loc, levels.value, at)};
                }));
}

/// The levels of all tables but one: from the first on, or from the second.
static Value allButOne(TileBuilder &t, Value tables, int64_t first) {
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, tables);
  Box box{Ofrs(sizes.size(), t.index(0)), sizes};
  box.offsets.back() = t.index(first);
  box.sizes.back() = t.sub(sizes.back(), t.index(1));
  return t.slice(tables, box);
}

Value LearnedFormatAttr::buildEncodeTile(OpBuilder &b, Location loc, ArrayRef<int64_t> shape,
                                         Value values, ValueRange tables) const {
  TileBuilder t(b, loc);
  Tables levels = tablesOf(t, *this, shape, tables[0]);
  BlockedView view = t.blocked(values, levels.block);
  // How many steps up from the lowest level bring each value nearer: a reduction over the steps.
  SmallVector<unsigned> own = llvm::to_vector(llvm::seq<unsigned>(view.rank)), table;
  for (int number : view.number)
    if (number >= 0)
      table.push_back(number);
  table.push_back(view.rank);
  AffineMap elements = t.map(view.rank + 1, own), steps = t.map(view.rank + 1, table);
  SmallVector<utils::IteratorType> iterators(view.rank + 1, utils::IteratorType::parallel);
  iterators.back() = utils::IteratorType::reduction;
  Value none = t.filled(tensor::getMixedSizes(b, loc, view.value), t.i8(0));
  Value codes = t.generic(
      {view.value, allButOne(t, levels.value, 0), allButOne(t, levels.value, 1)}, none,
      {elements, steps, steps, elements}, iterators,
      [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        Value x = t.withoutNaN(a[0]);
        Value above = arith::SubFOp::create(t.b, t.loc, x, a[1]);
        Value below = arith::SubFOp::create(t.b, t.loc, a[2], x);
        Value nearer = arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::OGT, above, below);
        Value equal = arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::OEQ, above, below);
        Value step = linalg::IndexOp::create(t.b, t.loc, view.rank);
        Value isOdd =
            arith::TruncIOp::create(t.b, t.loc, t.b.getI1Type(),
                                    arith::IndexCastOp::create(t.b, t.loc, t.b.getI8Type(), step));
        Value up = arith::OrIOp::create(t.b, t.loc, nearer,
                                        arith::AndIOp::create(t.b, t.loc, equal, isOdd));
        up = arith::ExtUIOp::create(t.b, t.loc, t.b.getI8Type(), up);
        return {arith::AddIOp::create(t.b, t.loc, a[3], up)};
      })[0];
  return t.unblocked(view, codes);
}
