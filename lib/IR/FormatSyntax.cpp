//===- FormatSyntax.cpp - How number formats read and print --------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttrSyntax.h"
#include "mlir/IR/DialectImplementation.h"

using namespace mlir;
using namespace lowbit;

Attribute CodebookFormatAttr::parse(AsmParser &parser, Type) {
  std::string name;
  SmallVector<float> levels;
  llvm::SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess())
    return {};
  if (failed(parser.parseOptionalKeywordOrString(&name)) &&
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&]() -> ParseResult {
        APFloat level(0.0f);
        if (parser.parseFloat(APFloat::IEEEsingle(), level))
          return failure();
        levels.push_back(level.convertToFloat());
        return success();
      }))
    return {};
  if (parser.parseGreater())
    return {};
  return parser.getChecked<CodebookFormatAttr>(loc, parser.getContext(), StringRef(name),
                                               DenseF32ArrayAttr::get(parser.getContext(), levels));
}

void CodebookFormatAttr::print(AsmPrinter &printer) const {
  printer << '<';
  if (!getName().empty()) {
    printer.printKeywordOrString(getName());
  } else {
    printer << '[';
    llvm::interleaveComma(getLevels().asArrayRef(), printer,
                          [&](float level) { printNumber(printer, APFloat(level)); });
    printer << ']';
  }
  printer << '>';
}
