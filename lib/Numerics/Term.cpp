//===- Term.cpp - A quantized term as plain data ------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Term.h"

#include "lowbit/Numerics/Packing.h"

#include <algorithm>
#include <limits>

namespace lowbit::numerics {

using Message = std::optional<std::string>;

Shape Granularity::blockOf(const Shape &shape) const {
  if (kind == Kind::PerBlock)
    return block;
  Shape whole = shape;
  for (int64_t &extent : whole)
    extent = std::max<int64_t>(extent, 1);
  if (kind == Kind::PerAxis)
    whole[static_cast<size_t>(axis)] = 1;
  return whole;
}

//===----------------------------------------------------------------------===//
// Rules and the ggml terms
//===----------------------------------------------------------------------===//

EncodeRule ggmlRule(Layout layout) {
  EncodeRule rule;
  rule.divisor = EncodeRule::Divisor::Exact;
  rule.inverse = EncodeRule::Inverse::Reciprocal;
  rule.overflow = EncodeRule::Overflow::Infinity;
  switch (layout) {
  case Layout::GgmlQ4_0:
    rule.choice = EncodeRule::Choice::SignedMax;
    rule.rounding = Rounding::HalfUp;
    break;
  case Layout::GgmlQ4_1:
    rule.choice = EncodeRule::Choice::MinMax;
    rule.rounding = Rounding::HalfUp;
    break;
  case Layout::GgmlQ8_0:
    rule.choice = EncodeRule::Choice::AbsMax;
    rule.rounding = Rounding::HalfAway;
    break;
  case Layout::Planes:
    return EncodeRule();
  }
  return rule;
}

EncodeRule resolveRule(const Quantized &term) {
  if (term.rule.choice != EncodeRule::Choice::Default)
    return term.rule;
  if (term.layout != Layout::Planes)
    return ggmlRule(term.layout);
  EncodeRule rule = term.rule;
  rule.choice =
      term.zeroKind == ZeroKind::None ? EncodeRule::Choice::AbsMax : EncodeRule::Choice::MinMax;
  return rule;
}

static Format ggmlFormat(Layout layout) {
  switch (layout) {
  case Layout::GgmlQ4_0:
    return Format::integer(4);
  case Layout::GgmlQ4_1:
    return Format::unsignedInteger(4);
  default:
    return Format::integer(8);
  }
}

static const char *nameOf(Layout layout) {
  switch (layout) {
  case Layout::Planes:
    return "planes";
  case Layout::GgmlQ4_0:
    return "ggml<q4_0>";
  case Layout::GgmlQ4_1:
    return "ggml<q4_1>";
  case Layout::GgmlQ8_0:
    return "ggml<q8_0>";
  }
  return "";
}

Quantized ggmlTerm(Layout layout, int64_t rank) {
  Shape block(static_cast<size_t>(rank), 1);
  block.back() = ggmlBlockSize;
  Scale halves{{{Format::float16(), Granularity::perBlock(block)}}, std::nullopt};
  Quantized term{ggmlFormat(layout), halves, ZeroKind::None, std::nullopt, {}, layout};
  if (ggmlHasMinimum(layout)) {
    term.zeroKind = ZeroKind::Additive;
    term.zero = halves;
  }
  return term;
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

static std::string str(const Shape &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

static Message checkShape(const Shape &shape) {
  if (shape.empty())
    return "an encoded tensor has at least one axis";
  std::optional<int64_t> count = elementCount(shape);
  // Eight bytes an element is more than any component needs.
  if (!count || !checkedMultiply(*count, 8))
    return "the tensor " + str(shape) +
           " has a negative extent or more elements than can be stored";
  return std::nullopt;
}

static Message checkGranularity(const Granularity &granularity, const Shape &shape,
                                const std::string &what) {
  int64_t rank = static_cast<int64_t>(shape.size());
  switch (granularity.kind) {
  case Granularity::Kind::PerTensor:
    return std::nullopt;
  case Granularity::Kind::PerAxis:
    if (granularity.axis < 0 || granularity.axis >= rank)
      return what + " is per axis " + std::to_string(granularity.axis) +
             ", but the tensor has rank " + std::to_string(rank);
    return std::nullopt;
  case Granularity::Kind::PerBlock:
    break;
  }
  if (granularity.block.size() != shape.size())
    return what + " has blocks " + str(granularity.block) + ", but the tensor has rank " +
           std::to_string(rank);
  for (int64_t extent : granularity.block)
    if (extent < 1)
      return what + " has blocks " + str(granularity.block) + ": every extent must be at least 1";
  return std::nullopt;
}

static Message checkScale(const Scale &scale, const Shape &shape, const std::string &what) {
  if (scale.rank1) {
    if (!scale.levels.empty())
      return what + " is either rank1 or a list of levels, not both";
    if (shape.size() != 2)
      return what + " is rank1, which needs a tensor of rank 2, not " +
             std::to_string(shape.size());
    return std::nullopt;
  }
  if (scale.levels.empty())
    return what + " has no level";
  for (const ScaleLevel &level : scale.levels)
    if (Message message = checkGranularity(level.granularity, shape, what))
      return message;
  for (size_t i = 1; i < scale.levels.size(); ++i) {
    Shape outer = scale.levels[i - 1].granularity.blockOf(shape);
    Shape inner = scale.levels[i].granularity.blockOf(shape);
    for (size_t axis = 0; axis < shape.size(); ++axis)
      if (outer[axis] < shape[axis] && outer[axis] % inner[axis] != 0)
        return what + " level " + std::to_string(i) + " has blocks " + str(inner) +
               ", which do not divide the blocks " + str(outer) + " of the level outside it";
  }
  return std::nullopt;
}

static Message checkZero(const Quantized &term, const Shape &shape) {
  if (!term.scale)
    return "a zero point needs a scale";
  if (term.scale->rank1 || term.zero->rank1)
    return "a rank1 scale and a zero point cannot be combined";
  bool isInteger = term.zeroKind == ZeroKind::Integer;
  if (Message message = checkScale(*term.zero, shape, isInteger ? "zero" : "min"))
    return message;
  if (term.format.isFloat())
    return "a zero point needs an integer or codebook format, not " + term.format.str();
  if (!isInteger)
    return std::nullopt;
  if (!term.format.isInteger())
    return "an integer zero point needs an integer format, not " + term.format.str();
  if (term.zero->levels.size() != 1 || !term.zero->levels[0].element.isInteger())
    return "an integer zero point is one level of an integer format";
  return std::nullopt;
}

static Message checkLayout(const Quantized &term, const Shape &shape) {
  if (term.layout == Layout::Planes)
    return std::nullopt;
  std::string name = nameOf(term.layout);
  if (shape.back() % ggmlBlockSize != 0)
    return "layout " + name + " needs a last axis that is a multiple of 32, not " +
           std::to_string(shape.back());
  Quantized expected = ggmlTerm(term.layout, static_cast<int64_t>(shape.size()));
  auto isHalfPerBlock = [&](const Scale &scale) {
    const ScaleLevel &block = expected.scale->levels[0];
    return scale.levels.size() == 1 && scale.levels[0].element == block.element &&
           scale.levels[0].granularity.blockOf(shape) == block.granularity.block;
  };
  if (term.format != expected.format || !term.scale || !isHalfPerBlock(*term.scale) ||
      term.zeroKind != expected.zeroKind || (term.zero && !isHalfPerBlock(*term.zero)))
    return "layout " + name + " stores " + expected.format.str() +
           (expected.zero ? " with an f16 scale and an f16 min" : " with an f16 scale") +
           " for each block of 32 along the last axis";
  return std::nullopt;
}

Message check(const Quantized &term, const Shape &shape) {
  if (Message message = checkShape(shape))
    return message;
  if (term.scale)
    if (Message message = checkScale(*term.scale, shape, "scale"))
      return message;
  if (term.zero.has_value() != (term.zeroKind != ZeroKind::None))
    return "a zero point has both a kind and a tree of scales";
  if (term.zero)
    if (Message message = checkZero(term, shape))
      return message;
  return checkLayout(term, shape);
}

Message check(const Sparse &term, const Shape &shape) {
  if (Message message = checkShape(shape))
    return message;
  if (shape.size() != 2)
    return "a sparse term needs a tensor of rank 2, not " + std::to_string(shape.size());
  if (!term.values.isFloat())
    return "a sparse term stores f16, bf16 or f32, not " + term.values.str();
  if (!(term.density >= 0.0 && term.density <= 1.0))
    return "a sparse density lies between 0 and 1";
  constexpr int64_t limit = std::numeric_limits<int32_t>::max();
  if (shape[1] > limit || term.density * static_cast<double>(*elementCount(shape)) > limit)
    return "a sparse term of " + str(shape) + " has more columns or entries than i32 can count";
  return std::nullopt;
}

Message checkEncode(const Quantized &term, const Shape &shape) {
  if (Message message = check(term, shape))
    return message;
  EncodeRule rule = resolveRule(term);
  if (rule.rounding != Rounding::NearestEven && !term.format.isInteger())
    return "rounding other than to nearest even needs an integer format, not " + term.format.str();
  if ((rule.choice == EncodeRule::Choice::MinMax) != (term.zeroKind != ZeroKind::None))
    return "the min-max rule and a zero point go together";
  if (!term.scale)
    return std::nullopt;
  if (term.scale->rank1) {
    if (rule.choice != EncodeRule::Choice::AbsMax)
      return "a rank1 scale is chosen by the absmax rule";
    return std::nullopt;
  }
  if (rule.choice == EncodeRule::Choice::SignedMax &&
      !term.scale->levels.back().element.hasNegativeLevels())
    return "the signed-max rule needs scales that can be negative, not " +
           term.scale->levels.back().element.str();
  if (term.zero && term.zero->levels.back().granularity.blockOf(shape) !=
                       term.scale->levels.back().granularity.blockOf(shape))
    return "an encode needs the scale and the zero point on the same blocks";
  return std::nullopt;
}

} // namespace lowbit::numerics
