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
