//===- ChooseScale.cpp - IR that finds the scale of each block ------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The same operations in the same order as the scalar reference (lib/Numerics/IdealScales.cpp,
// Encode.cpp).
//
//===----------------------------------------------------------------------===//

#include "ChooseScale.h"
#include "BlockLoops.h"
#include "ScaleLevels.h"
#include "lowbit/Numerics/EncodeRules.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <limits>
#include <tuple>

using namespace mlir;
using namespace lowbit;
using Rule = numerics::EncodeRule;

GridValues lowbit::factorsOf(TileBuilder &t, ScaleAttrInterface tree, ArrayRef<int64_t> shape,
                             ValueRange levels, const Box &region) {
  GridValues grid;
  grid.value = tree.buildFactors(t.b, t.loc, shape, levels, region, grid.block);
  return grid;
}

static Value cmp(TileBuilder &t, arith::CmpFPredicate predicate, Value a, Value b) {
  return arith::CmpFOp::create(t.b, t.loc, predicate, a, b);
}
static Value select(TileBuilder &t, Value condition, Value a, Value b) {
  return arith::SelectOp::create(t.b, t.loc, condition, a, b);
}

/// IEEE minimum of two numbers. Not `arith.minimumf`: its expansion upstream does not put -0 below
/// +0.
static Value minimumOf(TileBuilder &t, Value a, Value x) {
  Type bits = t.b.getI32Type();
  Value either = arith::OrIOp::create(t.b, t.loc, arith::BitcastOp::create(t.b, t.loc, bits, a),
                                      arith::BitcastOp::create(t.b, t.loc, bits, x));
  Value equal =
      arith::BitcastOp::create(t.b, t.loc, t.b.getF32Type(), either); // -0 if one of two zeros is
  Value lower = select(t, cmp(t, arith::CmpFPredicate::OLT, x, a), x, a);
  return select(t, cmp(t, arith::CmpFPredicate::OEQ, x, a), equal, lower);
}

static std::pair<Value, Value> rangeOf(TileBuilder &t, const BlockedView &view) {
  float infinity = std::numeric_limits<float>::infinity();
  auto range =
      t.reduceBlocks(view, {t.f32(infinity), t.f32(-infinity)},
                     [](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                       Value x = t.withoutNaN(a[0]);
                       return {minimumOf(t, a[1], x),
                               select(t, cmp(t, arith::CmpFPredicate::OLT, a[2], x), x, a[2])};
                     });
  return {range[0], range[1]};
}

/// The block of the innermost level of a tree, which an offset follows.
static SmallVector<int64_t> blockOf(ScaleAttrInterface tree, ArrayRef<int64_t> shape) {
  SmallVector<ScaleLevel> levels = tree.getLevels(shape);
  return levels[levels.size() - (tree.getReference().offset ? 2 : 1)].block;
}

/// Ideal scales and lowest elements of the min-max rule.
static std::pair<Value, Value> scaleOfRange(TileBuilder &t, QuantizedAttr term,
                                            ArrayRef<int64_t> shape, const BlockedView &view) {
  numerics::Format format = term.getCodeFormat().getReference();
  Type f32 = t.b.getF32Type();
  auto [least, most] = rangeOf(t, view);
  bool isInteger = !term.getAdditive();
  numerics::Scale zero = term.getZeroTree().getReference();
  bool isNegative = term.getAdditive() && zero.levels.size() > 1 &&
                    !zero.levels.back().element.hasNegativeLevels();
  if (isInteger || isNegative)
    least = t.elementwise(least, f32, [](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
      return {select(t, cmp(t, arith::CmpFPredicate::OGT, a[0], t.f32(0)), t.f32(0), a[0])};
    });
  if (isInteger)
    most = t.elementwise(most, f32, [](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
      return {select(t, cmp(t, arith::CmpFPredicate::OLT, a[0], t.f32(0)), t.f32(0), a[0])};
    });
  Value scale =
      t.elementwise({least, most}, f32, [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        Value span = arith::SubFOp::create(t.b, t.loc, a[1], a[0]);
        return {arith::DivFOp::create(t.b, t.loc, span, t.f32(format.highest() - format.lowest()))};
      });
  return {scale, least};
}

/// The exponent bits of a positive f32, as the power of two that they are.
static Value powerOfTwo(TileBuilder &t, Value x, int32_t add) {
  Type i32 = t.b.getI32Type();
  Value bits = arith::BitcastOp::create(t.b, t.loc, i32, x);
  if (add)
    bits = arith::AddIOp::create(t.b, t.loc, bits, t.i32(add));
  bits = arith::AndIOp::create(t.b, t.loc, bits, t.i32(0x7f800000));
  return arith::BitcastOp::create(t.b, t.loc, t.b.getF32Type(), bits);
}

/// Ideal scales of the rules that look at the element of largest magnitude only.
static Value scaleOfPeak(TileBuilder &t, const numerics::Format &format, Rule::Choice choice,
                         const BlockedView &view) {
  bool isSigned = choice == Rule::Choice::SignedMax;
  Value peak = isSigned ? t.peakOf(view) : t.largestMagnitudeOf(view);
  float divisor = isSigned ? format.extreme() : format.largest();
  return t.elementwise(
      peak, t.b.getF32Type(), [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        if (choice == Rule::Choice::MxFloor)
          return {arith::MulFOp::create(t.b, t.loc, powerOfTwo(t, a[0], 0),
                                        t.f32(numerics::mxFloorFactor(format)))};
        Value scale = arith::DivFOp::create(t.b, t.loc, a[0], t.f32(divisor));
        return {choice == Rule::Choice::MxCeil ? powerOfTwo(t, scale, 0x007fffff) : scale};
      });
}

//===----------------------------------------------------------------------===//
// Rules that search a block
//===----------------------------------------------------------------------===//

/// The percentile, found bit by bit from the top: a bit is set if fewer magnitudes than the rank
/// are below the number with it.
static Value percentileScale(TileBuilder &t, const numerics::Format &format, const Rule &rule,
                             const BlockedView &view, Value tile) {
  Type i32 = t.b.getI32Type(), i64 = t.b.getI64Type(), f64 = t.b.getF64Type();
  auto i64Of = [&](TileBuilder &t, int64_t v) -> Value {
    return arith::ConstantOp::create(t.b, t.loc, t.b.getI64IntegerAttr(v));
  };
  auto f64Of = [&](TileBuilder &t, double v) -> Value {
    return arith::ConstantOp::create(t.b, t.loc, t.b.getF64FloatAttr(v));
  };
  auto below = [&](TileBuilder &t, const BlockElements &elements, Value limit) -> Value {
    return elements.fold(t, i64Of(t, 0), [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
      Value magnitude = math::AbsFOp::create(t.b, t.loc, t.withoutNaN(a[0]));
      Value bits = arith::BitcastOp::create(t.b, t.loc, i32, magnitude);
      Value isBelow = arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::ult, bits, limit);
      Value one = arith::ExtUIOp::create(t.b, t.loc, i64, isBelow);
      return {arith::AddIOp::create(t.b, t.loc, a[1], one)};
    })[0];
  };
  return overGrid(
      t, view, tile, {}, t.b.getF32Type(),
      [&](TileBuilder &t, const BlockElements &elements, ValueRange) -> Value {
        // numerics::percentileRank
        Value count = arith::IndexCastOp::create(t.b, t.loc, i64, elements.count(t));
        Value rank = arith::SIToFPOp::create(t.b, t.loc, f64, count);
        rank = arith::MulFOp::create(t.b, t.loc, f64Of(t, rule.percent), rank);
        rank = arith::DivFOp::create(t.b, t.loc, rank, f64Of(t, 100));
        rank = math::CeilOp::create(t.b, t.loc, rank);
        rank = arith::FPToSIOp::create(t.b, t.loc, i64, rank);
        rank = arith::MaxSIOp::create(t.b, t.loc, rank, i64Of(t, 1));
        auto search = scf::ForOp::create(
            t.b, t.loc, t.constantIndex(0), t.constantIndex(31), t.constantIndex(1),
            ValueRange{t.i32(0)}, [&](OpBuilder &b, Location loc, Value i, ValueRange found) {
              TileBuilder t(b, loc);
              Value bit = arith::ShRUIOp::create(b, loc, t.i32(1 << 30),
                                                 arith::IndexCastOp::create(b, loc, i32, i));
              Value limit = arith::AddIOp::create(b, loc, found[0], bit);
              Value isFew = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                                  below(t, elements, limit), rank);
              Value next = arith::SelectOp::create(b, loc, isFew, limit, found[0]);
              scf::YieldOp::create(b, loc, next);
            });
        // Nothing to find where there is nothing.
        Value isEmpty =
            arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::eq, count, i64Of(t, 0));
        Value bits = arith::SelectOp::create(t.b, t.loc, isEmpty, t.i32(0), search.getResult(0));
        Value magnitude = arith::BitcastOp::create(t.b, t.loc, t.b.getF32Type(), bits);
        return arith::DivFOp::create(t.b, t.loc, magnitude, t.f32(format.largest()));
      });
}

/// The candidate below `ideals` of least squared error: numerics::searchScale.
static Value searchScale(TileBuilder &t, QuantizedAttr term, const Rule &rule,
                         const BlockedView &view, Value tile, Value ideals) {
  FormatAttrInterface format = term.getCodeFormat();
  numerics::Scale tree = term.getScaleTree().getReference();
  SmallVector<ScaleLevel> levels = term.getScaleTree().getLevels(view.block);
  bool isStored = tree.levels.size() == 1 && !tree.offset,
       saturate = rule.overflow == Rule::Overflow::Saturate;
  auto element = cast<FormatAttrInterface>(levels[0].format);
  auto errorOf = [&](TileBuilder &t, const BlockElements &elements, Value scale) -> Value {
    Value isZero = cmp(t, arith::CmpFPredicate::OEQ, scale, t.f32(0));
    return elements.fold(t, t.f32(0), [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
      Value x = t.withoutNaN(a[0]);
      Value quotient = arith::DivFOp::create(t.b, t.loc, x, scale);
      Value code = format.buildEncode(t.b, t.loc, select(t, isZero, t.f32(0), quotient));
      Value decoded =
          arith::MulFOp::create(t.b, t.loc, scale, format.buildDecode(t.b, t.loc, code));
      Value error = arith::SubFOp::create(t.b, t.loc, x, decoded);
      Value square = arith::MulFOp::create(t.b, t.loc, error, error);
      return {arith::AddFOp::create(t.b, t.loc, a[1], square)};
    })[0];
  };
  std::vector<float> fractions = numerics::mseFractions(rule);
  auto tableType = RankedTensorType::get({(int64_t)fractions.size()}, t.b.getF32Type());
  return overGrid(
      t, view, tile, ideals, t.b.getF32Type(),
      [&](TileBuilder &t, const BlockElements &elements, ValueRange grid) -> Value {
        Value ideal = grid[0];
        Value table = arith::ConstantOp::create(
            t.b, t.loc, DenseElementsAttr::get(tableType, ArrayRef<float>(fractions)));
        auto search = scf::ForOp::create(
            t.b, t.loc, t.constantIndex(0), t.constantIndex(fractions.size()), t.constantIndex(1),
            ValueRange{ideal, t.f32(std::numeric_limits<float>::infinity())},
            [&](OpBuilder &b, Location loc, Value i, ValueRange best) {
              TileBuilder t(b, loc);
              Value fraction = tensor::ExtractOp::create(b, loc, table, i);
              Value candidate = arith::MulFOp::create(b, loc, ideal, fraction);
              if (isStored)
                candidate =
                    element.buildDecode(b, loc, storedCode(t, element, candidate, saturate));
              Value error = errorOf(t, elements, candidate);
              Value isLess = cmp(t, arith::CmpFPredicate::OLT, error, best[1]);
              scf::YieldOp::create(b, loc,
                                   ValueRange{select(t, isLess, candidate, best[0]),
                                              select(t, isLess, error, best[1])});
            });
        return search.getResult(0);
      });
}

//===----------------------------------------------------------------------===//
// All rules
//===----------------------------------------------------------------------===//

/// Codes are made from both on one grid.
static bool haveOneGrid(QuantizedAttr term, ArrayRef<int64_t> shape) {
  return !term.getZero() ||
         blockOf(term.getZeroTree(), shape) == blockOf(term.getScaleTree(), shape);
}

FailureOr<ChosenScale> lowbit::givenScale(TileBuilder &t, QuantizedAttr term,
                                          ArrayRef<int64_t> shape, SmallVector<Value> levels,
                                          const Box &region) {
  if (!haveOneGrid(term, shape))
    return failure();
  ChosenScale given{std::move(levels), {}, {}};
  ArrayRef<Value> all = given.levels;
  size_t count = term.getScaleTree().getLevels(shape).size();
  given.scale = factorsOf(t, term.getScaleTree(), shape, all.take_front(count), region);
  // A quotient by a denormal number is not what lowbit.quotient is exact for.
  given.scale.value = t.elementwise(
      given.scale.value, t.b.getF32Type(), [](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        Value magnitude = math::AbsFOp::create(t.b, t.loc, a[0]);
        Value isDenormal =
            cmp(t, arith::CmpFPredicate::OLT, magnitude, t.f32(std::numeric_limits<float>::min()));
        return {select(t, isDenormal, t.f32(0), a[0])};
      });
  if (ScaleAttrInterface zero = term.getZeroTree())
    given.zero = factorsOf(t, zero, shape, all.slice(count, zero.getLevels(shape).size()), region);
  return given;
}

FailureOr<ChosenScale> lowbit::chooseScale(TileBuilder &t, QuantizedAttr term, const Rule &rule,
                                           ArrayRef<int64_t> shape, Value tile, const Box &region) {
  if (!haveOneGrid(term, shape))
    return failure();
  numerics::Format format = term.getCodeFormat().getReference();
  SmallVector<int64_t> block = blockOf(term.getScaleTree(), shape);
  BlockedView view = t.blocked(tile, block);
  Type f32 = t.b.getF32Type();
  Value wanted, low;
  if (rule.choice == Rule::Choice::MinMax)
    std::tie(wanted, low) = scaleOfRange(t, term, shape, view);
  else if (rule.choice == Rule::Choice::Percentile)
    wanted = percentileScale(t, format, rule, view, tile);
  else if (rule.choice == Rule::Choice::Mse)
    wanted = searchScale(t, term, rule, view, tile, scaleOfPeak(t, format, rule.choice, view));
  else
    wanted = scaleOfPeak(t, format, rule.choice, view);
  bool isStored = rule.divisor == Rule::Divisor::Stored,
       saturate = rule.overflow == Rule::Overflow::Saturate;
  ChosenScale chosen;
  auto scale = term.getScaleTree().buildEncodeFactors(t.b, t.loc, shape, wanted, saturate);
  if (failed(scale))
    return failure();
  chosen.levels = *scale;
  chosen.scale = isStored ? factorsOf(t, term.getScaleTree(), shape, *scale, region)
                          : GridValues{wanted, block};
  if (!term.getZero())
    return chosen;

  float lowest = format.lowest();
  Value zero = t.elementwise(
      {low, chosen.scale.value}, f32, [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        if (!term.getAdditive()) {
          Value quotient = arith::DivFOp::create(t.b, t.loc, a[0], a[1]);
          quotient =
              select(t, cmp(t, arith::CmpFPredicate::OEQ, a[1], t.f32(0)), t.f32(0), quotient);
          return {arith::SubFOp::create(t.b, t.loc, t.f32(lowest), quotient)};
        }
        if (lowest == 0.0f)
          return {a[0]};
        Value bottom = arith::MulFOp::create(t.b, t.loc, a[1], t.f32(lowest));
        return {arith::SubFOp::create(t.b, t.loc, a[0], bottom)};
      });
  auto zeroLevels = term.getZeroTree().buildEncodeFactors(t.b, t.loc, shape, zero, saturate);
  if (failed(zeroLevels))
    return failure();
  chosen.levels.append(*zeroLevels);
  chosen.zero = isStored || !term.getAdditive()
                    ? factorsOf(t, term.getZeroTree(), shape, *zeroLevels, region)
                    : GridValues{zero, block};
  return chosen;
}
