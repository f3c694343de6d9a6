//===- Scales.cpp - Trees of factors --------------------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <limits>

using namespace mlir;
using namespace lowbit;
using Ofrs = SmallVector<OpFoldResult>;

static Value decodeLevel(TileBuilder &t, FormatAttrInterface format, Value codes) {
  if (format.getCodeType().isF32())
    return codes;
  return t.elementwise(codes, t.b.getF32Type(),
                       [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                         return {format.buildDecode(t.b, t.loc, a[0])};
                       });
}

static Value encodeLevel(TileBuilder &t, FormatAttrInterface format, Value factors, bool saturate) {
  float highest = format.getReference().highest(), lowest = format.getReference().lowest();
  return t.elementwise(
      factors, format.getCodeType(), [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        if (!saturate)
          return {format.buildEncode(t.b, t.loc, a[0])};
        // The range of a block of nothing but one infinity, inf - inf, counts as empty.
        Value x = t.withoutNaN(a[0]);
        Value above =
            arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::OGT, x, t.f32(highest));
        x = arith::SelectOp::create(t.b, t.loc, above, t.f32(highest), x);
        Value below =
            arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::OLT, x, t.f32(lowest));
        x = arith::SelectOp::create(t.b, t.loc, below, t.f32(lowest), x);
        return {format.buildEncode(t.b, t.loc, x)};
      });
}

//===----------------------------------------------------------------------===//
// One level
//===----------------------------------------------------------------------===//

FormatAttrInterface ScaleLevelAttr::getFormat() const {
  return cast<FormatAttrInterface>(getElement());
}

LogicalResult ScaleLevelAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                     Attribute element, GranularityKind kind,
                                     ArrayRef<int64_t> values) {
  auto format = dyn_cast_or_null<FormatAttrInterface>(element);
  if (!format)
    return emitError() << "the elements of a scale need a number format, not " << element;
  if (format.getValuesPerCode() != 1)
    return emitError() << "an element of a scale is one value; " << element << " decodes to "
                       << format.getValuesPerCode();
  if (kind == GranularityKind::Axis && (values.size() != 1 || values[0] < 0))
    return emitError() << "'per axis' takes one axis number, from 0";
  if (kind == GranularityKind::Block) {
    if (values.empty())
      return emitError() << "a block has an extent for each axis of the tensor, as in [1, 32]";
    for (int64_t n : values)
      if (n < 1)
        return emitError() << "a block extent is at least 1, not " << n;
  }
  return success();
}

SmallVector<int64_t> ScaleLevelAttr::getBlock(int64_t rank) const {
  if (getKind() == GranularityKind::Block)
    return llvm::to_vector(getValues());
  SmallVector<int64_t> block(rank, kWhole);
  if (getKind() == GranularityKind::Axis)
    block[getValues()[0]] = 1;
  return block;
}

//===----------------------------------------------------------------------===//
// block_scale
//===----------------------------------------------------------------------===//

LogicalResult BlockScaleAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                     ArrayRef<ScaleLevelAttr> levels) {
  if (levels.empty())
    return emitError() << "a scale has at least one level";
  return success();
}

LogicalResult BlockScaleAttr::verifyShape(ArrayRef<int64_t> shape,
                                          function_ref<InFlightDiagnostic()> emitError) const {
  int64_t rank = shape.size();
  for (ScaleLevelAttr level : getLevels()) {
    if (level.getKind() == GranularityKind::Axis && level.getValues()[0] >= rank)
      return emitError() << "a scale per axis " << level.getValues()[0]
                         << " needs a tensor with more than " << level.getValues()[0]
                         << " axes, this one has " << rank;
    if (level.getKind() == GranularityKind::Block && (int64_t)level.getValues().size() != rank)
      return emitError() << "a block of " << level.getValues().size()
                         << " axes does not tile a tensor of " << rank << " axes";
  }
  for (auto [outer, inner] : llvm::zip(getLevels(), getLevels().drop_front()))
    for (auto [n, m] : llvm::zip(outer.getBlock(rank), inner.getBlock(rank)))
      if (n != kWhole && (m == kWhole || n % m != 0))
        return emitError()
               << "the blocks of an inner scale level divide those of the level outside it";
  return success();
}

SmallVector<ScaleLevel> BlockScaleAttr::getLevels(ArrayRef<int64_t> shape) const {
  SmallVector<ScaleLevel> all;
  for (auto [i, level] : llvm::enumerate(getLevels())) {
    ScaleLevel l{getLevels().size() == 1 ? "" : "." + std::to_string(i),
                 level.getElement(),
                 level.getBlock(shape.size()),
                 {},
                 ComponentRole::Payload};
    for (size_t axis = 0; axis < shape.size(); ++axis)
      l.axes.push_back(axis);
    all.push_back(std::move(l));
  }
  return all;
}

numerics::Scale BlockScaleAttr::getReference() const {
  numerics::Scale scale;
  for (ScaleLevelAttr level : getLevels()) {
    std::vector<int64_t> values(level.getValues().begin(), level.getValues().end());
    numerics::Granularity granularity =
        level.getKind() == GranularityKind::Tensor ? numerics::Granularity::perTensor()
        : level.getKind() == GranularityKind::Axis ? numerics::Granularity::perAxis(values[0])
                                                   : numerics::Granularity::perBlock(values);
    scale.levels.push_back({level.getFormat().getReference(), granularity});
  }
  return scale;
}

/// How many inner blocks a block of the level outside holds, per axis that the inner grid has.
static SmallVector<int64_t> ratioOf(ArrayRef<int64_t> outer, ArrayRef<int64_t> inner) {
  SmallVector<int64_t> ratio;
  for (auto [n, m] : llvm::zip(outer, inner))
    if (m != kWhole)
      ratio.push_back(n == kWhole ? kWhole : n / m);
  return ratio;
}

Value BlockScaleAttr::buildFactors(OpBuilder &b, Location loc, ArrayRef<int64_t> shape,
                                   ValueRange levels, const Box &,
                                   SmallVectorImpl<int64_t> &block) const {
  TileBuilder t(b, loc);
  Value factors;
  SmallVector<int64_t> outer;
  for (auto [level, codes] : llvm::zip(getLevels(shape), levels)) {
    Value own = t.dropWholeAxes(decodeLevel(t, cast<FormatAttrInterface>(level.format), codes),
                                level.block);
    if (factors) {
      BlockedView view = t.blocked(own, ratioOf(outer, level.block));
      own = t.unblocked(view, t.overBlocks(view, factors, b.getF32Type(),
                                           [](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                                             return {arith::MulFOp::create(t.b, t.loc, a[1], a[0])};
                                           }));
    }
    factors = own;
    outer = level.block;
  }
  block.assign(outer.begin(), outer.end());
  return factors;
}

FailureOr<SmallVector<Value>> BlockScaleAttr::buildEncodeFactors(OpBuilder &b, Location loc,
                                                                 ArrayRef<int64_t> shape,
                                                                 Value wanted,
                                                                 bool saturate) const {
  TileBuilder t(b, loc);
  SmallVector<ScaleLevel> levels = getLevels(shape);
  if (levels.size() == 1)
    return SmallVector<Value>{t.addWholeAxes(
        encodeLevel(t, cast<FormatAttrInterface>(levels[0].format), wanted, saturate),
        levels[0].block)};
  if (levels.size() != 2)
    return failure();
  // The outer factor takes the largest inner one to the inner format's largest level; its sign too,
  // where the inner format has no sign of its own.
  auto outer = cast<FormatAttrInterface>(levels[0].format),
       inner = cast<FormatAttrInterface>(levels[1].format);
  BlockedView view = t.blocked(wanted, ratioOf(levels[0].block, levels[1].block));
  Value most =
      inner.getReference().hasNegativeLevels() ? t.largestMagnitudeOf(view) : t.peakOf(view);
  float largest = inner.getReference().largest();
  Value wantedOuter =
      t.elementwise(most, b.getF32Type(), [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        return {arith::DivFOp::create(t.b, t.loc, a[0], t.f32(largest))};
      });
  Value outerCodes = encodeLevel(t, outer, wantedOuter, saturate);
  Value relative = t.unblocked(
      view, t.overBlocks(view, decodeLevel(t, outer, outerCodes), b.getF32Type(),
                         [](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                           Value zero = arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::OEQ,
                                                              a[1], t.f32(0));
                           Value quotient = arith::DivFOp::create(t.b, t.loc, a[0], a[1]);
                           return {arith::SelectOp::create(t.b, t.loc, zero, t.f32(0), quotient)};
                         }));
  return SmallVector<Value>{
      t.addWholeAxes(outerCodes, levels[0].block),
      t.addWholeAxes(encodeLevel(t, inner, relative, saturate), levels[1].block)};
}

//===----------------------------------------------------------------------===//
// rank1_scale
//===----------------------------------------------------------------------===//

LogicalResult Rank1ScaleAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                     Attribute element, Rank1Combiner) {
  auto format = dyn_cast_or_null<FormatAttrInterface>(element);
  if (!format || !format.getReference().isFloat())
    return emitError() << "the vectors of a rank-1 scale are f16, bf16 or f32";
  return success();
}
LogicalResult Rank1ScaleAttr::verifyShape(ArrayRef<int64_t> shape,
                                          function_ref<InFlightDiagnostic()> emitError) const {
  if (shape.size() == 2)
    return success();
  return emitError() << "a rank-1 scale needs a tensor of 2 axes, this one has " << shape.size();
}
SmallVector<ScaleLevel> Rank1ScaleAttr::getLevels(ArrayRef<int64_t>) const {
  return {{".row", getElement(), {1, kWhole}, {0}, ComponentRole::Statistic},
          {".column", getElement(), {kWhole, 1}, {1}, ComponentRole::Statistic}};
}
numerics::Scale Rank1ScaleAttr::getReference() const {
  numerics::Scale scale;
  scale.rank1 = numerics::Rank1{cast<FormatAttrInterface>(getElement()).getReference(),
                                numerics::Combiner::Min};
  return scale;
}
Value Rank1ScaleAttr::buildFactors(OpBuilder &b, Location loc, ArrayRef<int64_t>, ValueRange levels,
                                   const Box &region, SmallVectorImpl<int64_t> &block) const {
  TileBuilder t(b, loc);
  block.assign({1, 1});
  auto format = cast<FormatAttrInterface>(getElement());
  Value row = decodeLevel(t, format, levels[0]), column = decodeLevel(t, format, levels[1]);
  return t.generic({row, column}, t.empty(region.sizes, b.getF32Type()),
                   {t.map(2, {0}), t.map(2, {1}), t.map(2, {0, 1})},
                   {utils::IteratorType::parallel, utils::IteratorType::parallel},
                   [](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                     // min(row, column), the row where the column is NaN: as the reference's
                     // `column < row ? …`.
                     Value less =
                         arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::OLT, a[1], a[0]);
                     return {arith::SelectOp::create(t.b, t.loc, less, a[1], a[0])};
                   })[0];
}
FailureOr<SmallVector<Value>> Rank1ScaleAttr::buildStatistics(OpBuilder &b, Location loc,
                                                              Value whole, float largest) const {
  TileBuilder t(b, loc);
  Ofrs sizes = tensor::getMixedSizes(b, loc, whole);
  // alloc_tensor, not empty: these must not share memory with the old vectors, which are read until
  // the last tile is encoded.
  auto fresh = [&](unsigned axis) -> Value {
    auto [shape, dynamic] = decomposeMixedValues(Ofrs{sizes[axis]});
    Value v = bufferization::AllocTensorOp::create(
        b, loc, RankedTensorType::get(shape, b.getF32Type()), dynamic);
    return linalg::FillOp::create(b, loc, t.f32(0), v).getResult(0);
  };
  Value row = fresh(0), column = fresh(1);
  SmallVector<Value> most =
      t.generic(whole, {row, column}, {t.map(2, {0, 1}), t.map(2, {0}), t.map(2, {1})},
                {utils::IteratorType::reduction, utils::IteratorType::reduction},
                [](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                  Value magnitude = math::AbsFOp::create(t.b, t.loc, a[0]);
                  return {arith::MaxNumFOp::create(t.b, t.loc, a[1], magnitude),
                          arith::MaxNumFOp::create(t.b, t.loc, a[2], magnitude)};
                });
  most[0].getDefiningOp()->setAttr(LowbitDialect::kStatisticsAttrName, b.getUnitAttr());
  auto format = cast<FormatAttrInterface>(getElement());
  SmallVector<Value> all;
  for (Value v : most) {
    Value scale =
        t.elementwise(v, b.getF32Type(), [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
          return {arith::DivFOp::create(t.b, t.loc, a[0], t.f32(largest))};
        });
    all.push_back(encodeLevel(t, format, scale, /*saturate=*/true));
  }
  return all;
}
