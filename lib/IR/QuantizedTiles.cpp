//===- QuantizedTiles.cpp - IR that decodes and encodes a quantized tile --===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The same operations in the same order as the scalar reference (lib/Numerics/Decode.cpp,
// Encode.cpp), so that codes, scales and values are equal bit for bit.
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"
#include "lowbit/Numerics/Reference.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <limits>

using namespace mlir;
using namespace lowbit;
using numerics::Rounding;
using Rule = numerics::EncodeRule;

namespace {
/// Factors on a grid, and the block of elements that share one.
struct GridValues {
  Value value;
  SmallVector<int64_t> block;
};
} // namespace

static GridValues factorsOf(TileBuilder &t, ScaleAttrInterface tree, ArrayRef<int64_t> shape,
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

//===----------------------------------------------------------------------===//
// Decode
//===----------------------------------------------------------------------===//

namespace {
/// One step of a decode: what happens to the value of an element with the factor of its block.
struct Step {
  GridValues grid;
  enum { Subtract, Multiply, Add } kind;

  Value build(TileBuilder &t, Value x, Value factor) const {
    switch (kind) {
    case Subtract:
      return arith::SubFOp::create(t.b, t.loc, x, factor);
    case Multiply:
      return arith::MulFOp::create(t.b, t.loc, factor, x);
    case Add:
      return arith::AddFOp::create(t.b, t.loc, x, factor);
    }
    llvm_unreachable("all kinds are listed");
  }
};
} // namespace

Value QuantizedAttr::buildDecodeTile(OpBuilder &b, Location loc, RankedTensorType type,
                                     ValueRange components, const Box &region) const {
  TileBuilder t(b, loc);
  ArrayRef<int64_t> shape = type.getShape();
  Fields fields = getStorage().buildUnpack(b, loc, *this, type, components, region);
  FormatAttrInterface format = getCodeFormat();
  ValueRange levels(fields.levels);
  SmallVector<Step, 2> steps;
  unsigned scaleLevels = getScaleTree() ? getScaleTree().getLevels(shape).size() : 0;
  if (getScaleTree())
    steps.push_back({factorsOf(t, getScaleTree(), shape, levels.take_front(scaleLevels), region),
                     Step::Multiply});
  if (getZeroTree()) {
    Step zero{factorsOf(t, getZeroTree(), shape, levels.drop_front(scaleLevels), region),
              getAdditive() ? Step::Add : Step::Subtract};
    steps.insert(getAdditive() ? steps.end() : steps.begin(), zero);
  }
  if (steps.empty()) {
    if (format.getCodeType().isF32())
      return fields.codes;
    return t.elementwise(fields.codes, b.getF32Type(),
                         [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                           return {format.buildDecode(t.b, t.loc, a[0])};
                         });
  }
  // Steps that share a block run in one loop.
  Value tile = fields.codes;
  bool isCode = true;
  for (ArrayRef<Step> rest(steps); !rest.empty();) {
    ArrayRef<Step> now =
        rest.take_while([&](const Step &s) { return s.grid.block == rest[0].grid.block; });
    rest = rest.drop_front(now.size());
    BlockedView view = t.blocked(tile, now[0].grid.block);
    SmallVector<Value> grids = llvm::map_to_vector(now, [](const Step &s) { return s.grid.value; });
    tile =
        t.unblocked(view, t.overBlocks(view, grids, b.getF32Type(),
                                       [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                                         Value x =
                                             isCode ? format.buildDecode(t.b, t.loc, a[0]) : a[0];
                                         for (auto [step, factor] : llvm::zip(now, a.drop_front()))
                                           x = step.build(t, x, factor);
                                         return {x};
                                       }));
    isCode = false;
  }
  return tile;
}

//===----------------------------------------------------------------------===//
// Encode: the scale and the zero point of each block
//===----------------------------------------------------------------------===//

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

namespace {
struct ChosenScale {
  SmallVector<Value> levels; ///< the scale's, then the zero point's
  GridValues scale, zero;    ///< what codes are computed with
};
} // namespace

static FailureOr<ChosenScale> chooseScale(TileBuilder &t, QuantizedAttr term, const Rule &rule,
                                          ArrayRef<int64_t> shape, Value tile, const Box &region) {
  numerics::Format format = term.getCodeFormat().getReference();
  SmallVector<ScaleLevel> levels = term.getScaleTree().getLevels(shape);
  BlockedView view = t.blocked(tile, levels.back().block);
  Type f32 = t.b.getF32Type();
  Value wanted, low;
  if (rule.choice == Rule::Choice::MinMax) {
    auto [least, most] = rangeOf(t, view);
    bool isInteger = term.getZero() && !term.getAdditive();
    SmallVector<ScaleLevel> zeroLevels;
    if (term.getZero())
      zeroLevels = term.getZeroTree().getLevels(shape);
    bool isNegative =
        term.getZero() && term.getAdditive() && zeroLevels.size() > 1 &&
        !cast<FormatAttrInterface>(zeroLevels.back().format).getReference().hasNegativeLevels();
    if (isInteger || isNegative)
      least = t.elementwise(least, f32, [](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        return {select(t, cmp(t, arith::CmpFPredicate::OGT, a[0], t.f32(0)), t.f32(0), a[0])};
      });
    if (isInteger)
      most = t.elementwise(most, f32, [](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        return {select(t, cmp(t, arith::CmpFPredicate::OLT, a[0], t.f32(0)), t.f32(0), a[0])};
      });
    low = least;
    wanted =
        t.elementwise({least, most}, f32, [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
          Value span = arith::SubFOp::create(t.b, t.loc, a[1], a[0]);
          return {
              arith::DivFOp::create(t.b, t.loc, span, t.f32(format.highest() - format.lowest()))};
        });
  } else {
    bool isSigned = rule.choice == Rule::Choice::SignedMax;
    Value peak = isSigned ? t.peakOf(view) : t.largestMagnitudeOf(view);
    float divisor = isSigned ? format.extreme() : format.largest();
    wanted = t.elementwise(peak, f32, [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
      return {arith::DivFOp::create(t.b, t.loc, a[0], t.f32(divisor))};
    });
  }
  bool isStored = rule.divisor == Rule::Divisor::Stored,
       saturate = rule.overflow == Rule::Overflow::Saturate;
  ChosenScale chosen;
  auto scale = term.getScaleTree().buildEncodeFactors(t.b, t.loc, shape, wanted, saturate);
  if (failed(scale))
    return failure();
  chosen.levels = *scale;
  chosen.scale = isStored ? factorsOf(t, term.getScaleTree(), shape, *scale, region)
                          : GridValues{wanted, levels.back().block};
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
                    : GridValues{zero, levels.back().block};
  return chosen;
}

//===----------------------------------------------------------------------===//
// Encode: the codes
//===----------------------------------------------------------------------===//

static Value roundToInteger(TileBuilder &t, Value x, Rounding rounding, float low) {
  switch (rounding) {
  case Rounding::NearestEven:
    return math::RoundEvenOp::create(t.b, t.loc, x);
  case Rounding::HalfAway:
    return math::RoundOp::create(t.b, t.loc, x);
  case Rounding::HalfUp: {
    Value up = arith::AddFOp::create(t.b, t.loc, x, t.f32(0.5f - low));
    Value down = math::FloorOp::create(t.b, t.loc, up);
    return arith::AddFOp::create(t.b, t.loc, down, t.f32(low));
  }
  }
  llvm_unreachable("all roundings are listed");
}

/// The arithmetic of every code: numerics::encodeElement. `scale` and `zero` are null where the
/// term has none.
static Value encodeElement(TileBuilder &t, QuantizedAttr term, const Rule &rule, Value x,
                           Value scale, Value zero) {
  FormatAttrInterface format = term.getCodeFormat();
  numerics::Format reference = format.getReference();
  if (!reference.hasNaN())
    x = t.withoutNaN(x);
  if (zero && term.getAdditive())
    x = arith::SubFOp::create(t.b, t.loc, x, zero);
  if (scale) {
    Value isZero = cmp(t, arith::CmpFPredicate::OEQ, scale, t.f32(0));
    if (rule.inverse == Rule::Inverse::Divide) {
      x = select(t, isZero, t.f32(0), arith::DivFOp::create(t.b, t.loc, x, scale));
    } else {
      Value inverse = arith::DivFOp::create(t.b, t.loc, t.f32(1), scale);
      x = arith::MulFOp::create(t.b, t.loc, x, select(t, isZero, t.f32(0), inverse));
    }
  }
  if (zero && !term.getAdditive()) {
    Value integer = roundToInteger(t, t.withoutNaN(x), rule.rounding, reference.lowest());
    x = arith::AddFOp::create(t.b, t.loc, integer, zero);
  } else if (reference.isInteger() && rule.rounding != Rounding::NearestEven) {
    x = roundToInteger(t, t.withoutNaN(x), rule.rounding, reference.lowest());
  }
  return format.buildEncode(t.b, t.loc, x);
}

FailureOr<SmallVector<Value>> QuantizedAttr::buildEncodeTile(OpBuilder &b, Location loc,
                                                             RankedTensorType type, Value tile,
                                                             ValueRange components,
                                                             const Box &region) const {
  TileBuilder t(b, loc);
  ArrayRef<int64_t> shape = type.getShape();
  Rule rule = numerics::resolveRule(getReferenceTerm());
  SmallVector<ScaleLevel> levels = getAllLevels(shape);
  ChosenScale chosen;
  bool hasStatistics =
      llvm::any_of(levels, [](ScaleLevel &l) { return l.role == ComponentRole::Statistic; });
  if (hasStatistics) {
    // The levels are known: their part of this tile is read.
    for (auto [i, component] : llvm::enumerate(getComponents(type)))
      if (component.role == ComponentRole::Statistic)
        chosen.levels.push_back(t.slice(
            components[i], getStorage().getComponentRegion(b, loc, *this, type, i, region)));
    chosen.scale = factorsOf(t, getScaleTree(), shape, chosen.levels, region);
  } else if (getScale()) {
    auto choice = chooseScale(t, *this, rule, shape, tile, region);
    if (failed(choice))
      return failure();
    chosen = *choice;
  }
  Fields fields;
  SmallVector<Value> grids;
  if (chosen.scale.value)
    grids.push_back(chosen.scale.value);
  if (chosen.zero.value) {
    if (chosen.zero.block != chosen.scale.block)
      return failure();
    grids.push_back(chosen.zero.value);
  }
  SmallVector<int64_t> block =
      grids.empty() ? SmallVector<int64_t>(shape.size(), 1) : chosen.scale.block;
  BlockedView view = t.blocked(tile, block);
  Value codes = t.overBlocks(view, grids, getCodeFormat().getCodeType(),
                             [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                               Value scale = a.size() > 2 ? a[1] : Value(),
                                     zero = a.size() > 3 ? a[2] : Value();
                               return {encodeElement(t, *this, rule, a[0], scale, zero)};
                             });
  fields.codes = t.unblocked(view, codes);
  fields.levels = chosen.levels;
  SmallVector<Value> payload;
  for (auto [component, value] : llvm::zip(getComponents(type), components))
    if (component.role == ComponentRole::Payload)
      payload.push_back(value);
  return getStorage().buildPack(b, loc, *this, type, fields, payload);
}

FailureOr<SmallVector<Value>> QuantizedAttr::buildStatistics(OpBuilder &b, Location loc,
                                                             RankedTensorType type, Value whole,
                                                             ValueRange) const {
  if (!getScaleTree())
    return SmallVector<Value>();
  return getScaleTree().buildStatistics(b, loc, whole, getCodeFormat().getReference().largest());
}
