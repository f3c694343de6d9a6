//===- Rank1Scale.cpp - Row and column factors of a matrix ----------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ScaleLevels.h"
#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"
#include "lowbit/Numerics/EncodeRules.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace lowbit;
using Ofrs = SmallVector<OpFoldResult>;

LogicalResult Rank1ScaleAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                     Attribute element, Rank1Combiner combiner, FloatAttr alpha) {
  auto format = dyn_cast_or_null<FormatAttrInterface>(element);
  if (!format || !format.getReference().isFloat())
    return emitError() << "the vectors of a rank-1 scale are f16, bf16 or f32";
  if ((combiner == Rank1Combiner::Geometric) != bool(alpha))
    return emitError() << "a rank-1 scale has a power if its combiner is geo, and only then";
  if (alpha && !(alpha.getValueAsDouble() >= 0 && alpha.getValueAsDouble() <= 1))
    return emitError() << "the power of a row in geo<alpha> lies between 0 and 1, not "
                       << alpha.getValueAsDouble();
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
  numerics::Combiner combiner = getCombiner() == Rank1Combiner::Min ? numerics::Combiner::Min
                                : getCombiner() == Rank1Combiner::Product
                                    ? numerics::Combiner::Product
                                    : numerics::Combiner::Geometric;
  scale.rank1 = numerics::Rank1{cast<FormatAttrInterface>(getElement()).getReference(), combiner,
                                getAlpha() ? getAlpha().getValueAsDouble() : 0.0};
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
                   [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                     if (getCombiner() != Rank1Combiner::Min)
                       return {arith::MulFOp::create(t.b, t.loc, a[0], a[1])};
                     // min(row, column), the row where the column is NaN: as the reference's
                     // `column < row ? …`.
                     Value less =
                         arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::OLT, a[1], a[0]);
                     return {arith::SelectOp::create(t.b, t.loc, less, a[1], a[0])};
                   })[0];
}
//===----------------------------------------------------------------------===//
// Statistics
//===----------------------------------------------------------------------===//

/// For the largest magnitudes along an axis. alloc_tensor, not empty: these must not share memory
/// with the old vectors, which are read until the last tile is encoded.
static Value freshVector(TileBuilder &t, Value whole, unsigned axis) {
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, whole);
  auto [shape, dynamic] = decomposeMixedValues(Ofrs{sizes[axis]});
  Value v = bufferization::AllocTensorOp::create(
      t.b, t.loc, RankedTensorType::get(shape, t.b.getF32Type()), dynamic);
  return linalg::FillOp::create(t.b, t.loc, t.f32(0), v).getResult(0);
}

/// maxnum, which drops NaN.
static Value larger(TileBuilder &t, Value most, Value magnitude) {
  return arith::MaxNumFOp::create(t.b, t.loc, most, magnitude);
}

/// The largest magnitude of each row and of each column.
static SmallVector<Value> largestOf(TileBuilder &t, Value whole) {
  SmallVector<Value> most =
      t.generic(whole, {freshVector(t, whole, 0), freshVector(t, whole, 1)},
                {t.map(2, {0, 1}), t.map(2, {0}), t.map(2, {1})},
                {utils::IteratorType::reduction, utils::IteratorType::reduction},
                [](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                  Value magnitude = math::AbsFOp::create(t.b, t.loc, a[0]);
                  return {larger(t, a[1], magnitude), larger(t, a[2], magnitude)};
                });
  most[0].getDefiningOp()->setAttr(LowbitDialect::kStatisticsAttrName, t.b.getUnitAttr());
  return most;
}

/// The largest magnitude of each column after a division by the rows.
static Value largestRelativeTo(TileBuilder &t, Value rows, Value whole) {
  Value most = t.generic(
      {whole, rows}, freshVector(t, whole, 1), {t.map(2, {0, 1}), t.map(2, {0}), t.map(2, {1})},
      {utils::IteratorType::reduction, utils::IteratorType::parallel},
      [](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        Value magnitude = math::AbsFOp::create(t.b, t.loc, a[0]);
        Value isZero = arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::OEQ, a[1], t.f32(0));
        magnitude = arith::DivFOp::create(t.b, t.loc, magnitude, a[1]);
        magnitude = arith::SelectOp::create(t.b, t.loc, isZero, t.f32(0), magnitude);
        return {larger(t, a[2], magnitude)};
      })[0];
  most.getDefiningOp()->setAttr(LowbitDialect::kStatisticsAttrName, t.b.getUnitAttr());
  return most;
}

/// numerics::powerOf of each.
static Value powerOf(TileBuilder &t, Value vector, uint32_t digits) {
  return t.elementwise(vector, t.b.getF32Type(),
                       [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                         Value x = a[0], power = digits >> 16 ? x : t.f32(1);
                         // Roots after the last digit are of no use.
                         for (int bit = 15; bit >= 0 && digits << (31 - bit); --bit) {
                           x = math::SqrtOp::create(t.b, t.loc, x);
                           if (digits >> bit & 1)
                             power = arith::MulFOp::create(t.b, t.loc, power, x);
                         }
                         return {power};
                       });
}

FailureOr<SmallVector<Value>> Rank1ScaleAttr::buildStatistics(OpBuilder &b, Location loc,
                                                              Value whole, float largest) const {
  TileBuilder t(b, loc);
  auto format = cast<FormatAttrInterface>(getElement());
  auto store = [&](Value ideals, float divisor) {
    Value divided =
        divisor == 1.0f
            ? ideals
            : t.elementwise(ideals, b.getF32Type(),
                            [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                              return {arith::DivFOp::create(t.b, t.loc, a[0], t.f32(divisor))};
                            });
    return encodeLevel(t, format, divided, /*saturate=*/true);
  };
  SmallVector<Value> most = largestOf(t, whole);
  switch (getCombiner()) {
  case Rank1Combiner::Min:
    return SmallVector<Value>{store(most[0], largest), store(most[1], largest)};
  case Rank1Combiner::Product: {
    Value rows = store(most[0], 1.0f);
    Value columns = largestRelativeTo(t, decodeLevel(t, format, rows), whole);
    return SmallVector<Value>{rows, store(columns, largest)};
  }
  case Rank1Combiner::Geometric: {
    uint32_t digits = numerics::powerDigits(getAlpha().getValueAsDouble());
    return SmallVector<Value>{store(powerOf(t, most[0], digits), 1.0f),
                              store(powerOf(t, most[1], 65536 - digits), largest)};
  }
  }
  llvm_unreachable("all combiners are listed");
}
