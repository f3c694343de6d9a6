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

#include "ChooseScale.h"
#include "RoundCodes.h"
#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/IR/TileBuilder.h"
#include "lowbit/Numerics/Reference.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <cmath>

using namespace mlir;
using namespace lowbit;
using numerics::Rounding;
using Rule = numerics::EncodeRule;

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
  Value tile = fields.codes;
  bool isCode = true;
  if (SmallVector<ScaleLevel> tables = format.getTables(shape); !tables.empty()) {
    tile = format.buildDecodeTile(b, loc, shape, tile, levels.take_back(tables.size()));
    isCode = false;
  } else if (steps.empty()) {
    if (format.getCodeType().isF32())
      return fields.codes;
    return t.elementwise(fields.codes, b.getF32Type(),
                         [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                           return {format.buildDecode(t.b, t.loc, a[0])};
                         });
  }
  // Steps that share a block run in one loop.
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
// Encode: the codes
//===----------------------------------------------------------------------===//

/// Whether no threshold lies where lowbit.quotient is not the quotient: not at zero either, which
/// quotients may be rounded to.
static bool isQuotientEnough(const numerics::Format &format) {
  if (format.isInteger())
    return true;
  return format.kind() == numerics::FormatKind::Codebook &&
         llvm::all_of(format.thresholds(), RankOp::isThreshold);
}

/// x / s, as the rule says, 0 where s is.
static Value divideByScale(TileBuilder &t, const Rule &rule, Value x, Value scale) {
  Value isZero = arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::OEQ, scale, t.f32(0));
  auto choose = [&](Value otherwise) -> Value {
    return arith::SelectOp::create(t.b, t.loc, isZero, t.f32(0), otherwise);
  };
  if (rule.inverse == Rule::Inverse::Reciprocal)
    return arith::MulFOp::create(t.b, t.loc, x,
                                 choose(arith::DivFOp::create(t.b, t.loc, t.f32(1), scale)));
  return choose(arith::DivFOp::create(t.b, t.loc, x, scale));
}

/// Whether a scale is the largest magnitude of its block, exactly.
static bool isBoundedByScale(QuantizedAttr term, const Rule &rule) {
  numerics::Scale scale = term.getScaleTree().getReference();
  return rule.choice == Rule::Choice::AbsMax && scale.levels.size() == 1 && !scale.rank1 &&
         !scale.offset && scale.levels[0].element.kind() == numerics::FormatKind::Float32 &&
         term.getCodeFormat().getReference().largest() == 1;
}

/// The arithmetic of every code: numerics::encodeElement. `scale` and `zero` are null where the
/// term has none.
static Value encodeElement(TileBuilder &t, QuantizedAttr term, const Rule &rule, Value x,
                           Value scale, Value zero, const ElementPlace &place) {
  FormatAttrInterface format = term.getCodeFormat();
  numerics::Format reference = format.getReference();
  // Codes of x and of x / s are the same for NaN and both zeros where nothing else looks at them.
  bool either = (reference.isInteger() || reference.kind() == numerics::FormatKind::Codebook) &&
                !rule.seed && !zero;
  if (!reference.hasNaN() && !either)
    x = t.withoutNaN(x);
  Value random = rule.seed ? buildUniform(t, *rule.seed, place, x) : Value();
  if (zero && term.getAdditive())
    x = arith::SubFOp::create(t.b, t.loc, x, zero);
  if (scale && either && rule.inverse != Rule::Inverse::Reciprocal && isQuotientEnough(reference)) {
    if (isa<CodebookFormatAttr>(format))
      return buildTableEncode(t.b, t.loc, reference, x, scale, isBoundedByScale(term, rule));
    x = QuotientOp::create(t.b, t.loc, x, scale);
  } else if (scale) {
    x = divideByScale(t, rule, x, scale);
  }
  auto round = [&](Value x) {
    return random ? buildRoundStochastically(t, x, random)
                  : buildRound(t, x, *rule.rounding, reference.lowest());
  };
  if (zero && !term.getAdditive())
    x = arith::AddFOp::create(t.b, t.loc, round(t.withoutNaN(x)), zero);
  else if (random)
    return buildEncodeStochastically(t, format, x, random);
  else if (reference.isInteger() && rule.rounding != Rounding::NearestEven)
    x = round(t.withoutNaN(x));
  return format.buildEncode(t.b, t.loc, x);
}

FailureOr<SmallVector<Value>> QuantizedAttr::buildEncodeTile(OpBuilder &b, Location loc,
                                                             RankedTensorType type, Value tile,
                                                             ValueRange components,
                                                             const Box &region) const {
  // An encoder of the layout's own, such as a search, is the reference's alone.
  if (numerics::usesOwnEncoder(getReferenceTerm()))
    return failure();
  TileBuilder t(b, loc);
  ArrayRef<int64_t> shape = type.getShape();
  Rule rule = numerics::resolveRule(getReferenceTerm());
  SmallVector<ScaleLevel> levels = getAllLevels(shape);
  ChosenScale chosen;
  // What is known before the tile: the part of a component that belongs to it.
  auto partsOf = [&](ComponentRole role) {
    SmallVector<Value> parts;
    for (auto [i, component] : llvm::enumerate(getComponents(type)))
      if (component.role == role && !component.type.isIndex())
        parts.push_back(t.slice(components[i],
                                getStorage().getComponentRegion(b, loc, *this, type, i, region)));
    return parts;
  };
  bool hasStatistics =
      llvm::any_of(levels, [](ScaleLevel &l) { return l.role == ComponentRole::Statistic; });
  if (hasGivenScales()) {
    SmallVector<Value> stored = cast<PlanesLayoutAttr>(getLayout())
                                    .buildUnpackLevels(b, loc, *this, type, components, region);
    auto given = givenScale(t, *this, shape, std::move(stored), region);
    if (failed(given))
      return failure();
    chosen = *given;
  } else if (hasStatistics) {
    chosen.levels = partsOf(ComponentRole::Statistic);
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
  if (chosen.zero.value)
    grids.push_back(chosen.zero.value);
  SmallVector<int64_t> block =
      grids.empty() ? SmallVector<int64_t>(shape.size(), 1) : chosen.scale.block;
  BlockedView view = t.blocked(tile, block);
  ElementPlace place{&view, region.offsets, shape};
  FormatAttrInterface format = getCodeFormat();
  SmallVector<ScaleLevel> tables = format.getTables(shape);
  Value codes = t.overBlocks(view, grids, tables.empty() ? format.getCodeType() : b.getF32Type(),
                             [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                               Value scale = a.size() > 2 ? a[1] : Value(),
                                     zero = a.size() > 3 ? a[2] : Value();
                               if (tables.empty())
                                 return {encodeElement(t, *this, rule, a[0], scale, zero, place)};
                               Value x = t.withoutNaN(a[0]);
                               return {scale ? divideByScale(t, rule, x, scale) : x};
                             });
  fields.codes = t.unblocked(view, codes);
  if (!tables.empty())
    fields.codes = format.buildEncodeTile(
        b, loc, shape, fields.codes,
        ValueRange(partsOf(ComponentRole::Structure)).take_back(tables.size()));
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
