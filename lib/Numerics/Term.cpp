//===- Term.cpp - A quantized term as plain data ------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Term.h"

#include "lowbit/Numerics/Layout.h"

#include <algorithm>
#include <cstdio>
#include <limits>

namespace lowbit::numerics {

using Message = std::optional<std::string>;

Shape Granularity::blockOf(const Shape &shape) const {
  if (kind == Kind::PerBlock)
    return block;
  Shape whole = shape;
  if (kind == Kind::PerAxis)
    whole[static_cast<size_t>(axis)] = 1;
  return whole;
}

//===----------------------------------------------------------------------===//
// Rules
//===----------------------------------------------------------------------===//

/// Absolute maximum and min-max; where scales are powers of two and nothing else, OCP's floor.
static EncodeRule::Choice defaultChoice(const Quantized &term) {
  if (term.zeroKind != ZeroKind::None)
    return EncodeRule::Choice::MinMax;
  if (!term.scale || term.scale->rank1)
    return EncodeRule::Choice::AbsMax;
  const Format &element = term.scale->levels.back().element;
  bool isPower = element.kind() == FormatKind::Minifloat && !element.minifloat().hasZero();
  return isPower ? EncodeRule::Choice::MxFloor : EncodeRule::Choice::AbsMax;
}

/// As in the attribute; of what defaultChoice() gives.
static std::string nameOf(EncodeRule::Choice choice) {
  return choice == EncodeRule::Choice::MinMax    ? "min_max"
         : choice == EncodeRule::Choice::MxFloor ? "mx_floor"
                                                 : "absmax";
}

EncodeRule resolveRule(const Quantized &term) {
  EncodeRule rule = term.rule;
  if (rule.choice == EncodeRule::Choice::Default) {
    if (std::optional<EncodeRule> own = layoutOf(term).defaultRule()) {
      rule = *own;
      if (term.rule.rounding)
        rule.rounding = term.rule.rounding;
      rule.seed = term.rule.seed;
    } else {
      rule.choice = defaultChoice(term);
    }
  }
  if (!rule.rounding)
    rule.rounding = Rounding::NearestEven;
  return rule;
}

bool Quantized::operator==(const Quantized &other) const {
  return format == other.format && levels == other.levels && scale == other.scale &&
         zeroKind == other.zeroKind && zero == other.zero && rule == other.rule &&
         layoutOf(*this).str() == layoutOf(other).str();
}

//===----------------------------------------------------------------------===//
// Arrays
//===----------------------------------------------------------------------===//

static Shape gridOf(const ScaleLevel &level, const Shape &shape) {
  return Tiling(shape, level.granularity.blockOf(shape)).grid();
}

static void appendArrays(std::vector<CodeArray> &all, const std::string &name, const Scale &tree,
                         const Shape &shape) {
  if (tree.rank1) {
    all.push_back({name + ".row", tree.rank1->element, {shape[0]}});
    all.push_back({name + ".column", tree.rank1->element, {shape[1]}});
    return;
  }
  for (size_t i = 0; i < tree.levels.size(); ++i)
    all.push_back({tree.levels.size() == 1 ? name : name + "." + std::to_string(i),
                   tree.levels[i].element, gridOf(tree.levels[i], shape)});
  if (tree.offset)
    all.push_back({name + ".offset", tree.offset->element, gridOf(*tree.offset, shape)});
}

std::vector<CodeArray> codeArrays(const Quantized &term, const Shape &shape) {
  std::vector<CodeArray> all{{"codes", term.format, shape}};
  if (term.scale)
    appendArrays(all, "scale", *term.scale, shape);
  if (term.zero)
    appendArrays(all, term.zeroKind == ZeroKind::Integer ? "zero" : "min", *term.zero, shape);
  if (term.levels) {
    Shape tables = gridOf(*term.levels, shape);
    tables.push_back(int64_t(1) << term.format.bits());
    all.push_back({"levels", term.levels->element, std::move(tables)});
  }
  return all;
}

//===----------------------------------------------------------------------===//
// Text, as in the attribute
//===----------------------------------------------------------------------===//

static std::string str(const Shape &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

static std::string str(const ScaleLevel &level) {
  switch (level.granularity.kind) {
  case Granularity::Kind::PerTensor:
    return level.element.str() + " per tensor";
  case Granularity::Kind::PerAxis:
    return level.element.str() + " per axis " + std::to_string(level.granularity.axis);
  case Granularity::Kind::PerBlock:
    break;
  }
  return level.element.str() + " per " + str(level.granularity.block);
}

static std::string str(const Rank1 &rank1) {
  switch (rank1.combiner) {
  case Combiner::Min:
    return "min";
  case Combiner::Product:
    return "product";
  case Combiner::Geometric:
    break;
  }
  char alpha[32];
  std::snprintf(alpha, sizeof alpha, "%.9g", rank1.alpha);
  return "geo<" + std::string(alpha) + ">";
}

static std::string str(const Scale &tree) {
  if (tree.rank1)
    return tree.rank1->element.str() + " rank1<" + str(*tree.rank1) + ">";
  std::string text;
  for (const ScaleLevel &level : tree.levels)
    text += (text.empty() ? "" : " * ") + str(level);
  return tree.offset ? text + " + " + str(*tree.offset) : text;
}

std::string Quantized::str() const {
  std::string text = format.str();
  if (levels)
    text = "learned<" + std::to_string(format.bits()) + ", " + numerics::str(*levels) + ">";
  if (scale)
    text += ", scale = " + numerics::str(*scale);
  if (zero)
    text += (zeroKind == ZeroKind::Integer ? ", zero = " : ", min = ") + numerics::str(*zero);
  return text;
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

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

static bool divides(const ScaleLevel &inner, const ScaleLevel &outer, const Shape &shape) {
  Shape large = outer.granularity.blockOf(shape), small = inner.granularity.blockOf(shape);
  for (size_t axis = 0; axis < shape.size(); ++axis)
    if (large[axis] < shape[axis] && large[axis] % small[axis] != 0)
      return false;
  return true;
}

static Message checkScale(const Scale &scale, const Shape &shape, const std::string &what) {
  if (scale.rank1) {
    if (!scale.levels.empty())
      return what + " is either rank1 or a list of levels, not both";
    if (scale.offset)
      return what + " is rank1, to which no offset can be added";
    if (shape.size() != 2)
      return what + " is rank1, which needs a tensor of rank 2, not " +
             std::to_string(shape.size());
    if (!(scale.rank1->alpha >= 0.0 && scale.rank1->alpha <= 1.0))
      return what + " is rank1 with a power of the row that does not lie between 0 and 1";
    return std::nullopt;
  }
  if (scale.levels.empty())
    return what + " has no level";
  for (const ScaleLevel &level : scale.levels)
    if (Message message = checkGranularity(level.granularity, shape, what))
      return message;
  if (scale.offset)
    if (Message message = checkGranularity(scale.offset->granularity, shape, what + " offset"))
      return message;
  for (size_t i = 1; i < scale.levels.size(); ++i)
    if (!divides(scale.levels[i], scale.levels[i - 1], shape))
      return what + " level " + std::to_string(i) + " has blocks " +
             str(scale.levels[i].granularity.blockOf(shape)) + ", which do not divide the blocks " +
             str(scale.levels[i - 1].granularity.blockOf(shape)) + " of the level outside it";
  if (scale.offset && !divides(scale.levels.back(), *scale.offset, shape))
    return what + " offset has blocks that those of the innermost level do not divide";
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
  if (term.zero->levels.size() != 1 || term.zero->offset ||
      !term.zero->levels[0].element.isInteger())
    return "an integer zero point is one level of an integer format";
  return std::nullopt;
}

static Message checkLevels(const Quantized &term, const Shape &shape) {
  if ((term.format.kind() == FormatKind::Learned) != term.levels.has_value())
    return "a learned format, and no other, has levels that are stored with the tensor";
  if (!term.levels)
    return std::nullopt;
  if (term.zero)
    return "learned levels lie where they are needed: they take no zero point";
  if (Message message = checkGranularity(term.levels->granularity, shape, "a table of levels"))
    return message;
  if (!term.levels->element.isFloat())
    return "learned levels are f16, bf16 or f32, not " + term.levels->element.str();
  std::optional<int64_t> tables = elementCount(gridOf(*term.levels, shape));
  if (!tables || !checkedMultiply(*tables, int64_t(4) << term.format.bits()))
    return "the tables of levels have more elements than can be stored";
  return std::nullopt;
}

Message check(const Quantized &term, const Shape &shape) {
  if (Message message = checkShape(shape))
    return message;
  if (Message message = checkLevels(term, shape))
    return message;
  if (term.scale)
    if (Message message = checkScale(*term.scale, shape, "scale"))
      return message;
  if (term.zero.has_value() != (term.zeroKind != ZeroKind::None))
    return "a zero point has both a kind and a tree of scales";
  if (term.zero)
    if (Message message = checkZero(term, shape))
      return message;
  return layoutOf(term).check(term, shape);
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

Message checkParameters(const EncodeRule &rule) {
  if (rule.choice == EncodeRule::Choice::Percentile &&
      !(rule.percent > 0.0 && rule.percent <= 100.0))
    return "a percentile lies above 0 and is at most 100";
  if (rule.choice != EncodeRule::Choice::Mse)
    return std::nullopt;
  if (rule.steps < 1 || rule.steps > 1024)
    return "an mse search takes 1 to 1024 steps, not " + std::to_string(rule.steps);
  if (!(rule.least > 0.0 && rule.least < 1.0))
    return "the least fraction that an mse search tries lies between 0 and 1";
  return std::nullopt;
}

static Message checkRounding(const EncodeRule &rule, const Format &format) {
  if (rule.seed && format.kind() == FormatKind::Learned)
    return "stochastic rounding to learned levels is not defined";
  if (rule.seed) {
    if (format.kind() == FormatKind::Float32)
      return "stochastic rounding has nothing to round in f32 codes";
    return std::nullopt;
  }
  if (rule.rounding != Rounding::NearestEven && !format.isInteger())
    return "rounding halves in another way than to even needs an integer format, not " +
           format.str();
  return std::nullopt;
}

Message checkRule(const Quantized &term) {
  if (usesOwnEncoder(term)) {
    if (term.rule == EncodeRule())
      return std::nullopt;
    return "the layout " + layoutOf(term).str() +
           " chooses codes by an encoder of its own, which takes no rounding: leave it out, or "
           "give "
           "a rule beside it, as in 'rule = " +
           nameOf(defaultChoice(term)) + "'";
  }
  EncodeRule rule = resolveRule(term);
  if (Message message = checkParameters(rule))
    return message;
  if (Message message = checkRounding(rule, term.format))
    return message;
  if (rule.choice == EncodeRule::Choice::Given && layoutOf(term).str().rfind("planes", 0) != 0)
    return "a scale that is given lies apart from the codes, in the layout 'planes'";
  if (rule.choice != EncodeRule::Choice::Given &&
      (rule.choice == EncodeRule::Choice::MinMax) != (term.zeroKind != ZeroKind::None))
    return "the min-max rule and a zero point go together";
  if (rule.choice == EncodeRule::Choice::Mse && term.format.kind() == FormatKind::Learned)
    return "the mse rule needs levels that are known before the scale, not learned ones";
  if (!term.scale) {
    if (term.rule.choice != EncodeRule::Choice::Default)
      return "a rule chooses a scale, and this term has none";
    return std::nullopt;
  }
  if (term.scale->rank1) {
    if (rule.choice != EncodeRule::Choice::AbsMax)
      return "a rank1 scale is chosen by the absmax rule";
    return std::nullopt;
  }
  if (rule.choice == EncodeRule::Choice::SignedMax &&
      !term.scale->levels.back().element.hasNegativeLevels())
    return "the signed-max rule needs scales that can be negative, not " +
           term.scale->levels.back().element.str();
  return std::nullopt;
}

/// The block of the innermost level; 0 for an axis that it spans whatever its extent.
static Shape innermostBlock(const Scale &tree, size_t rank) {
  const Granularity &granularity = tree.levels.back().granularity;
  if (granularity.kind == Granularity::Kind::PerBlock)
    return granularity.block;
  Shape block(rank, 0);
  if (granularity.kind == Granularity::Kind::PerAxis)
    block[static_cast<size_t>(granularity.axis)] = 1;
  return block;
}

Message checkEncode(const Quantized &term, const Shape &shape) {
  if (Message message = check(term, shape))
    return message;
  if (Message message = checkRule(term))
    return message;
  if (term.zero &&
      innermostBlock(*term.zero, shape.size()) != innermostBlock(*term.scale, shape.size()))
    return "an encode needs the scale and the zero point on the same blocks";
  return std::nullopt;
}

} // namespace lowbit::numerics
