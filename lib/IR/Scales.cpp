//===- Scales.cpp - Trees of factors --------------------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BlockLoops.h"
#include "ScaleLevels.h"
#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/IR/TileBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace lowbit;

Value lowbit::decodeLevel(TileBuilder &t, FormatAttrInterface format, Value codes) {
  if (format.getCodeType().isF32())
    return codes;
  return t.elementwise(codes, t.b.getF32Type(),
                       [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                         return {format.buildDecode(t.b, t.loc, a[0])};
                       });
}

Value lowbit::storedCode(TileBuilder &t, FormatAttrInterface format, Value factor, bool saturate) {
  if (!saturate)
    return format.buildEncode(t.b, t.loc, factor);
  float highest = format.getReference().highest(), lowest = format.getReference().lowest();
  // The range of a block of nothing but one infinity, inf - inf, counts as empty.
  Value x = t.withoutNaN(factor);
  Value above = arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::OGT, x, t.f32(highest));
  x = arith::SelectOp::create(t.b, t.loc, above, t.f32(highest), x);
  Value below = arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::OLT, x, t.f32(lowest));
  x = arith::SelectOp::create(t.b, t.loc, below, t.f32(lowest), x);
  return format.buildEncode(t.b, t.loc, x);
}

Value lowbit::encodeLevel(TileBuilder &t, FormatAttrInterface format, Value factors,
                          bool saturate) {
  return t.elementwise(factors, format.getCodeType(),
                       [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                         return {storedCode(t, format, a[0], saturate)};
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
  if (format.getReferenceLevels())
    return emitError() << "an element stands for itself; " << element << " has levels of its own";
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

LogicalResult ScaleLevelAttr::verifyShape(ArrayRef<int64_t> shape,
                                          function_ref<InFlightDiagnostic()> emitError) const {
  int64_t rank = shape.size();
  if (getKind() == GranularityKind::Axis && getValues()[0] >= rank)
    return emitError() << "'per axis " << getValues()[0] << "' needs a tensor with more than "
                       << getValues()[0] << " axes, this one has " << rank;
  if (getKind() == GranularityKind::Block && (int64_t)getValues().size() != rank)
    return emitError() << "a block of " << getValues().size() << " axes does not tile a tensor of "
                       << rank << " axes";
  return success();
}

numerics::ScaleLevel ScaleLevelAttr::getReference() const {
  std::vector<int64_t> values(getValues().begin(), getValues().end());
  numerics::Granularity granularity =
      getKind() == GranularityKind::Tensor ? numerics::Granularity::perTensor()
      : getKind() == GranularityKind::Axis ? numerics::Granularity::perAxis(values[0])
                                           : numerics::Granularity::perBlock(values);
  return {getFormat().getReference(), granularity};
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
                                     ArrayRef<ScaleLevelAttr> levels, ScaleLevelAttr) {
  if (levels.empty())
    return emitError() << "a scale has at least one level";
  return success();
}

LogicalResult BlockScaleAttr::verifyShape(ArrayRef<int64_t> shape,
                                          function_ref<InFlightDiagnostic()> emitError) const {
  int64_t rank = shape.size();
  SmallVector<ScaleLevelAttr> all = llvm::to_vector(getLevels());
  if (getOffset())
    all.push_back(getOffset());
  for (ScaleLevelAttr level : all)
    if (failed(level.verifyShape(shape, emitError)))
      return failure();
  auto divides = [&](ScaleLevelAttr inner, ScaleLevelAttr outer) {
    return llvm::all_of(llvm::zip(outer.getBlock(rank), inner.getBlock(rank)), [](auto extents) {
      auto [n, m] = extents;
      return n == kWhole || (m != kWhole && n % m == 0);
    });
  };
  for (auto [outer, inner] : llvm::zip(getLevels(), getLevels().drop_front()))
    if (!divides(inner, outer))
      return emitError()
             << "the blocks of an inner scale level divide those of the level outside it";
  if (getOffset() && !divides(getLevels().back(), getOffset()))
    return emitError() << "the blocks of the innermost scale level divide those of the offset";
  return success();
}

SmallVector<ScaleLevel> BlockScaleAttr::getLevels(ArrayRef<int64_t> shape) const {
  SmallVector<ScaleLevel> all;
  auto append = [&](ScaleLevelAttr level, std::string suffix) {
    SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(shape.size()));
    all.push_back({std::move(suffix), level.getElement(), level.getBlock(shape.size()),
                   std::move(axes), ComponentRole::Payload});
  };
  for (auto [i, level] : llvm::enumerate(getLevels()))
    append(level, getLevels().size() == 1 ? "" : "." + std::to_string(i));
  if (getOffset())
    append(getOffset(), ".offset");
  return all;
}

numerics::Scale BlockScaleAttr::getReference() const {
  numerics::Scale scale;
  for (ScaleLevelAttr level : getLevels())
    scale.levels.push_back(level.getReference());
  if (getOffset())
    scale.offset = getOffset().getReference();
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

static Value multiply(TileBuilder &t, Value outer, Value inner) {
  return arith::MulFOp::create(t.b, t.loc, outer, inner);
}
/// inner / outer, 0 where the outer factor is.
static Value divide(TileBuilder &t, Value outer, Value inner) {
  Value zero = arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::OEQ, outer, t.f32(0));
  Value quotient = arith::DivFOp::create(t.b, t.loc, inner, outer);
  return arith::SelectOp::create(t.b, t.loc, zero, t.f32(0), quotient);
}
static Value add(TileBuilder &t, Value outer, Value inner) {
  return arith::AddFOp::create(t.b, t.loc, inner, outer);
}
static Value subtract(TileBuilder &t, Value outer, Value inner) {
  return arith::SubFOp::create(t.b, t.loc, inner, outer);
}

/// Combines each factor of the inner grid with that of its block of the outer one.
static Value combine(TileBuilder &t, Value outer, ArrayRef<int64_t> outerBlock, Value inner,
                     ArrayRef<int64_t> innerBlock,
                     function_ref<Value(TileBuilder &, Value outer, Value inner)> with) {
  BlockedView view = t.blocked(inner, ratioOf(outerBlock, innerBlock));
  return t.unblocked(view, t.overBlocks(view, outer, t.b.getF32Type(),
                                        [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                                          return {with(t, a[1], a[0])};
                                        }));
}

Value BlockScaleAttr::buildFactors(OpBuilder &b, Location loc, ArrayRef<int64_t> shape,
                                   ValueRange levels, const Box &,
                                   SmallVectorImpl<int64_t> &block) const {
  TileBuilder t(b, loc);
  Value factors;
  for (auto [i, level] : llvm::enumerate(getLevels(shape))) {
    Value own = t.dropWholeAxes(decodeLevel(t, cast<FormatAttrInterface>(level.format), levels[i]),
                                level.block);
    if (i == getLevels().size())
      return combine(t, own, level.block, factors, block, add);
    factors = factors ? combine(t, factors, block, own, level.block, multiply) : own;
    block.assign(level.block.begin(), level.block.end());
  }
  return factors;
}

FailureOr<Value> BlockScaleAttr::buildFactor(OpBuilder &b, Location loc, ValueRange levels) const {
  Value factor = levels[0];
  for (Value level : levels.slice(1, getLevels().size() - 1))
    factor = arith::MulFOp::create(b, loc, factor, level);
  if (getOffset())
    factor = arith::AddFOp::create(b, loc, factor, levels.back());
  return factor;
}

/// The mean of the wanted factors in each block of an offset: numerics takeOffset.
static Value meanOf(TileBuilder &t, Value wanted, ArrayRef<int64_t> ratio) {
  BlockedView view = t.blocked(wanted, ratio);
  Type f64 = t.b.getF64Type();
  return overGrid(
      t, view, wanted, {}, t.b.getF32Type(),
      [&](TileBuilder &t, const BlockElements &elements, ValueRange) -> Value {
        Value zero = arith::ConstantOp::create(t.b, t.loc, t.b.getF64FloatAttr(0));
        Value sum = elements.fold(t, zero, [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
          Value x = arith::ExtFOp::create(t.b, t.loc, f64, t.withoutNaN(a[0]));
          return {arith::AddFOp::create(t.b, t.loc, a[1], x)};
        })[0];
        Value count = arith::IndexCastOp::create(t.b, t.loc, t.b.getI64Type(), elements.count(t));
        count = arith::SIToFPOp::create(t.b, t.loc, f64, count);
        Value isEmpty = arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::OEQ, count, zero);
        Value mean = arith::DivFOp::create(t.b, t.loc, sum, count);
        mean = arith::SelectOp::create(t.b, t.loc, isEmpty, zero, mean);
        return arith::TruncFOp::create(t.b, t.loc, t.b.getF32Type(), mean);
      });
}

FailureOr<SmallVector<Value>> BlockScaleAttr::buildEncodeFactors(OpBuilder &b, Location loc,
                                                                 ArrayRef<int64_t> shape,
                                                                 Value wanted,
                                                                 bool saturate) const {
  TileBuilder t(b, loc);
  SmallVector<ScaleLevel> levels = getLevels(shape);
  unsigned count = getLevels().size();
  auto formatOf = [&](unsigned i) { return cast<FormatAttrInterface>(levels[i].format); };
  SmallVector<Value> codes(levels.size());
  ArrayRef<int64_t> inmost = levels[count - 1].block;
  if (getOffset()) {
    Value mean = meanOf(t, wanted, ratioOf(levels[count].block, inmost));
    codes[count] = encodeLevel(t, formatOf(count), mean, saturate);
    wanted = combine(t, decodeLevel(t, formatOf(count), codes[count]), levels[count].block, wanted,
                     inmost, subtract);
  }
  // Inwards out: an outer factor takes the largest inner one to the inner format's largest level;
  // its sign too, where the inner format has no sign of its own.
  SmallVector<Value> ideals(count);
  ideals[count - 1] = wanted;
  for (unsigned i = count - 1; i > 0; --i) {
    numerics::Format inner = formatOf(i).getReference();
    BlockedView view = t.blocked(ideals[i], ratioOf(levels[i - 1].block, levels[i].block));
    Value most = inner.hasNegativeLevels() ? t.largestMagnitudeOf(view) : t.peakOf(view);
    ideals[i - 1] = t.elementwise(
        most, b.getF32Type(), [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
          return {arith::DivFOp::create(t.b, t.loc, a[0], t.f32(inner.largest()))};
        });
  }
  // Outwards in: each level rounds what is left after the stored levels outside it.
  Value product;
  for (unsigned i = 0; i < count; ++i) {
    Value own = i == 0
                    ? ideals[0]
                    : combine(t, product, levels[i - 1].block, ideals[i], levels[i].block, divide);
    codes[i] = encodeLevel(t, formatOf(i), own, saturate);
    if (i + 1 == count)
      break;
    Value stored = decodeLevel(t, formatOf(i), codes[i]);
    product = i == 0 ? stored
                     : combine(t, product, levels[i - 1].block, stored, levels[i].block, multiply);
  }
  for (auto [code, level] : llvm::zip(codes, levels))
    code = t.addWholeAxes(code, level.block);
  return codes;
}
