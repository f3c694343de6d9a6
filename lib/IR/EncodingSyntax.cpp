//===- EncodingSyntax.cpp - How encodings read and print ------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttrSyntax.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/StringSet.h"

#include <limits>

using namespace mlir;
using namespace lowbit;

//===----------------------------------------------------------------------===//
// Encode rules
//===----------------------------------------------------------------------===//

namespace {
/// What the parser finds of a rule.
struct RuleFields {
  RuleKind choice = RuleKind::Default;
  FloatAttr value;
  unsigned steps = 0;
  RoundingKind rounding = RoundingKind::Default;
  uint64_t seed = 0;

  bool isGiven() const { return choice != RuleKind::Default || rounding != RoundingKind::Default; }
  EncodeRuleAttr get(AsmParser &parser, llvm::SMLoc loc) const {
    return parser.getChecked<EncodeRuleAttr>(loc, parser.getContext(), choice, value, steps,
                                             rounding, seed);
  }
};
} // namespace

static FloatAttr f64Attr(AsmParser &parser, double value) {
  return FloatAttr::get(Float64Type::get(parser.getContext()), value);
}

/// `<steps = 16, least = 0.5>`, either or both.
static ParseResult parseMse(AsmParser &parser, RuleFields &rule) {
  numerics::EncodeRule defaults;
  rule.steps = defaults.steps;
  rule.value = f64Attr(parser, defaults.least);
  llvm::SMLoc loc = parser.getCurrentLocation();
  if (failed(parser.parseOptionalLess()))
    return success();
  auto parseField = [&]() -> ParseResult {
    StringRef name;
    double least;
    if (parser.parseKeyword(&name) || parser.parseEqual())
      return failure();
    if (name == "steps")
      return parseUnsigned(parser, rule.steps, "an mse search takes 1 to 1024 steps");
    if (name != "least")
      return parser.emitError(loc) << "unknown field '" << name << "' of mse; known: steps, least";
    if (parser.parseFloat(least))
      return failure();
    rule.value = f64Attr(parser, least);
    return success();
  };
  return failure(parser.parseCommaSeparatedList(parseField) || parser.parseGreater());
}

static ParseResult parseRule(AsmParser &parser, RuleFields &rule) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  StringRef name;
  if (parser.parseKeyword(&name))
    return failure();
  std::optional<RuleKind> known = symbolizeRuleKind(name);
  if (!known)
    return parser.emitError(loc)
           << "unknown encode rule '" << name
           << "'; known: default, absmax, signed_max, min_max, mx_floor, mx_ceil, "
              "percentile<99.5>, mse<steps = 16, least = 0.5>, given";
  rule.choice = *known;
  if (*known == RuleKind::Mse)
    return parseMse(parser, rule);
  if (*known != RuleKind::Percentile)
    return success();
  double percent;
  if (parser.parseLess() || parser.parseFloat(percent) || parser.parseGreater())
    return failure();
  rule.value = f64Attr(parser, percent);
  return success();
}

static ParseResult parseRounding(AsmParser &parser, RuleFields &rule) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  StringRef name;
  if (parser.parseKeyword(&name))
    return failure();
  std::optional<RoundingKind> known = symbolizeRoundingKind(name);
  if (!known)
    return parser.emitError(loc)
           << "unknown rounding '" << name
           << "'; known: default, nearest_even, half_away, half_up, stochastic<SEED>";
  rule.rounding = *known;
  if (*known != RoundingKind::Stochastic)
    return success();
  return failure(parser.parseLess() || parser.parseInteger(rule.seed) || parser.parseGreater());
}

/// The fields that are not default, each after `separator`.
static void printRule(AsmPrinter &printer, EncodeRuleAttr rule, StringRef separator) {
  if (rule.getChoice() != RuleKind::Default)
    printer << separator << "rule = " << stringifyRuleKind(rule.getChoice());
  numerics::EncodeRule defaults;
  if (rule.getChoice() == RuleKind::Percentile) {
    printer << '<';
    printNumber(printer, rule.getValue().getValue());
    printer << '>';
  } else if (rule.getChoice() == RuleKind::Mse &&
             (rule.getSteps() != defaults.steps ||
              rule.getValue().getValueAsDouble() != defaults.least)) {
    printer << "<steps = " << rule.getSteps() << ", least = ";
    printNumber(printer, rule.getValue().getValue());
    printer << '>';
  }
  if (rule.getRounding() == RoundingKind::Default)
    return;
  printer << (rule.getChoice() == RuleKind::Default ? separator : ", ")
          << "rounding = " << stringifyRoundingKind(rule.getRounding());
  if (rule.getRounding() == RoundingKind::Stochastic)
    printer << '<' << rule.getSeed() << '>';
}

Attribute EncodeRuleAttr::parse(AsmParser &parser, Type) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  RuleFields rule;
  auto parseField = [&]() -> ParseResult {
    llvm::SMLoc fieldLoc = parser.getCurrentLocation();
    StringRef name;
    if (parser.parseKeyword(&name) || parser.parseEqual())
      return failure();
    if (name == "rule")
      return parseRule(parser, rule);
    if (name == "rounding")
      return parseRounding(parser, rule);
    return parser.emitError(fieldLoc) << "unknown field '" << name << "'; known: rule, rounding";
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater, parseField))
    return {};
  return rule.get(parser, loc);
}
void EncodeRuleAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printRule(printer, *this, "");
  printer << '>';
}

//===----------------------------------------------------------------------===//
// Terms
//===----------------------------------------------------------------------===//

Attribute QuantizedAttr::parse(AsmParser &parser, Type) {
  MLIRContext *context = parser.getContext();
  llvm::SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess())
    return {};
  FailureOr<Attribute> format = parseFormat(parser);
  if (failed(format))
    return {};
  Attribute scale, zero, layout = PlanesLayoutAttr::get(context);
  bool isAdditive = false;
  RuleFields rule;
  llvm::StringSet<> seen;
  while (succeeded(parser.parseOptionalComma())) {
    llvm::SMLoc keywordLoc = parser.getCurrentLocation();
    StringRef keyword;
    if (parser.parseKeyword(&keyword) || parser.parseEqual())
      return {};
    if (!seen.insert(keyword).second || (keyword == "min" && seen.count("zero")) ||
        (keyword == "zero" && seen.count("min"))) {
      parser.emitError(keywordLoc)
          << "'" << keyword << "' after another one of its kind: a term has at most one "
          << (keyword == "min" || keyword == "zero" ? "zero point" : keyword);
      return {};
    }
    if (keyword == "scale" || keyword == "zero" || keyword == "min") {
      FailureOr<Attribute> tree = parseScale(parser);
      if (failed(tree))
        return {};
      (keyword == "scale" ? scale : zero) = *tree;
      isAdditive |= keyword == "min";
    } else if (keyword == "rule") {
      if (parseRule(parser, rule))
        return {};
    } else if (keyword == "rounding") {
      if (parseRounding(parser, rule))
        return {};
    } else if (keyword == "layout") {
      FailureOr<Attribute> parsed = parseShort(parser);
      if (failed(parsed))
        return {};
      layout = *parsed;
    } else {
      parser.emitError(keywordLoc)
          << "unknown field '" << keyword << "'; known: scale, zero, min, rule, rounding, layout";
      return {};
    }
  }
  if (parser.parseGreater())
    return {};
  EncodeRuleAttr ruleAttr;
  if (rule.isGiven() && !(ruleAttr = rule.get(parser, loc)))
    return {};
  return parser.getChecked<QuantizedAttr>(loc, context, *format, scale, zero, isAdditive, ruleAttr,
                                          layout);
}

void QuantizedAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printShort(printer, getFormat());
  if (getScale()) {
    printer << ", scale = ";
    printScale(printer, getScale());
  }
  if (getZero()) {
    printer << (getAdditive() ? ", min = " : ", zero = ");
    printScale(printer, getZero());
  }
  if (getRule())
    printRule(printer, getRule(), ", ");
  if (getLayout() != PlanesLayoutAttr::get(getContext())) {
    printer << ", layout = ";
    printShort(printer, getLayout());
  }
  printer << '>';
}
