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
  EncodeRule rule = EncodeRule::Default;
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
      StringRef name;
      if (parser.parseKeyword(&name))
        return {};
      std::optional<EncodeRule> known = symbolizeEncodeRule(name);
      if (!known) {
        parser.emitError(keywordLoc)
            << "unknown encode rule '" << name << "'; known: default, absmax, signed_max, min_max";
        return {};
      }
      rule = *known;
    } else if (keyword == "layout") {
      FailureOr<Attribute> parsed = parseShort(parser);
      if (failed(parsed))
        return {};
      layout = *parsed;
    } else {
      parser.emitError(keywordLoc)
          << "unknown field '" << keyword << "'; known: scale, zero, min, rule, layout";
      return {};
    }
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<QuantizedAttr>(loc, context, *format, scale, zero, isAdditive, rule,
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
  if (getRule() != EncodeRule::Default)
    printer << ", rule = " << stringifyEncodeRule(getRule());
  if (!isa<PlanesLayoutAttr>(getLayout())) {
    printer << ", layout = ";
    printShort(printer, getLayout());
  }
  printer << '>';
}

Attribute SparseAttr::parse(AsmParser &parser, Type) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess())
    return {};
  FailureOr<Attribute> element = parseFormat(parser);
  double density = 0;
  if (failed(element) || parser.parseComma() || parser.parseKeyword("density") ||
      parser.parseEqual() || parser.parseFloat(density) || parser.parseGreater())
    return {};
  return parser.getChecked<SparseAttr>(
      loc, parser.getContext(), *element,
      FloatAttr::get(Float64Type::get(parser.getContext()), density));
}
void SparseAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printShort(printer, getElement());
  printer << ", density = ";
  printNumber(printer, getDensity().getValue());
  printer << '>';
}

static ParseResult parseTerm(AsmParser &parser, SmallVectorImpl<Attribute> &terms) {
  return parseNested(parser, [&] { return parser.parseAttribute(terms.emplace_back()); });
}

Attribute SumAttr::parse(AsmParser &parser, Type) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  SmallVector<Attribute> terms;
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater,
                                     [&] { return parseTerm(parser, terms); }))
    return {};
  return parser.getChecked<SumAttr>(loc, parser.getContext(), ArrayRef<Attribute>(terms));
}
void SumAttr::print(AsmPrinter &printer) const {
  printer << '<';
  llvm::interleaveComma(getTerms(), printer);
  printer << '>';
}

Attribute PartAttr::parse(AsmParser &parser, Type) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  unsigned axis;
  SmallVector<int64_t> at;
  SmallVector<Attribute> terms;
  auto parseCut = [&]() -> ParseResult {
    at.push_back(ShapedType::kDynamic);
    if (succeeded(parser.parseOptionalQuestion()))
      return success();
    // The smallest integer stands for '?': as a number it is negative like others that verify
    // refuses.
    if (parser.parseInteger(at.back()))
      return failure();
    at.back() = std::max<int64_t>(at.back(), -1);
    return success();
  };
  if (parser.parseLess() || parser.parseKeyword("axis") || parser.parseEqual() ||
      parseUnsigned(parser, axis, "a part cuts an axis, counted from 0") || parser.parseComma() ||
      parser.parseKeyword("at") || parser.parseEqual() ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseCut))
    return {};
  while (succeeded(parser.parseOptionalComma()))
    if (parseTerm(parser, terms))
      return {};
  if (parser.parseGreater())
    return {};
  return parser.getChecked<PartAttr>(loc, parser.getContext(), axis, ArrayRef<int64_t>(at),
                                     ArrayRef<Attribute>(terms));
}
void PartAttr::print(AsmPrinter &printer) const {
  printer << "<axis = " << getAxis() << ", at = [";
  llvm::interleaveComma(getAt(), printer, [&](int64_t cut) {
    if (ShapedType::isDynamic(cut))
      printer << '?';
    else
      printer << cut;
  });
  printer << ']';
  for (Attribute term : getTerms())
    printer << ", " << term;
  printer << '>';
}
