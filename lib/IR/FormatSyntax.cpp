//===- FormatSyntax.cpp - How number formats read and print --------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttrSyntax.h"
#include "mlir/IR/DialectImplementation.h"

#include <cmath>

using namespace mlir;
using namespace lowbit;

//===----------------------------------------------------------------------===//
// int
//===----------------------------------------------------------------------===//

Attribute IntFormatAttr::parse(AsmParser &parser, Type) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  unsigned bits;
  bool narrow = false;
  if (parser.parseLess() || parseUnsigned(parser, bits, "an integer format has 1 to 16 bits"))
    return {};
  if (succeeded(parser.parseOptionalComma())) {
    if (parser.parseKeyword("narrow"))
      return {};
    narrow = true;
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<IntFormatAttr>(loc, parser.getContext(), bits, narrow);
}

void IntFormatAttr::print(AsmPrinter &printer) const {
  printer << '<' << getBits() << (getNarrow() ? ", narrow>" : ">");
}

//===----------------------------------------------------------------------===//
// fp
//===----------------------------------------------------------------------===//

static MinifloatFormatAttr makeMinifloat(AsmParser &parser, llvm::SMLoc loc,
                                         const numerics::Minifloat &p) {
  return parser.getChecked<MinifloatFormatAttr>(loc, parser.getContext(), p.exponentBits,
                                                p.mantissaBits, p.bias, p.isSigned, p.special);
}

Attribute MinifloatFormatAttr::parse(AsmParser &parser, Type) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  numerics::Minifloat p{};
  std::optional<int> bias;
  bool hasSpecial = false;
  constexpr StringLiteral what = "a minifloat has 3 to 8 bits";
  if (parser.parseLess() || parseUnsigned(parser, p.exponentBits, what) || parser.parseComma() ||
      parseUnsigned(parser, p.mantissaBits, what))
    return {};
  p.isSigned = true;
  while (succeeded(parser.parseOptionalComma())) {
    llvm::SMLoc wordLoc = parser.getCurrentLocation();
    StringRef word;
    if (parser.parseKeyword(&word))
      return {};
    if (word == "bias" && !bias) {
      if (parser.parseEqual() || parser.parseInteger(bias.emplace()))
        return {};
    } else if (word == "unsigned" && p.isSigned) {
      p.isSigned = false;
    } else if (auto special = numerics::specialCodesNamed(std::string_view(word));
               special && !hasSpecial) {
      p.special = *special;
      hasSpecial = true;
    } else {
      parser.emitError(wordLoc) << "unexpected '" << word
                                << "' in a minifloat, which is written fp<E, M> with at most one "
                                   "each of: bias = N; unsigned; fn, ieee, fnuz or fnu";
      return {};
    }
  }
  if (parser.parseGreater())
    return {};
  p.bias = bias.value_or(numerics::Minifloat::defaultBias(p.exponentBits, p.special));
  return makeMinifloat(parser, loc, p);
}

void MinifloatFormatAttr::print(AsmPrinter &printer) const {
  numerics::Minifloat p = getParameters();
  printer << '<' << p.exponentBits << ", " << p.mantissaBits;
  if (p.bias != numerics::Minifloat::defaultBias(p.exponentBits, p.special))
    printer << ", bias = " << p.bias;
  if (!p.isSigned)
    printer << ", unsigned";
  if (p.special != numerics::SpecialCodes::None)
    printer << ", " << nameOf(p.special);
  printer << '>';
}

//===----------------------------------------------------------------------===//
// Formats that are a word
//===----------------------------------------------------------------------===//

FailureOr<Attribute> lowbit::parseOptionalPlainFormat(AsmParser &parser) {
  SmallVector<StringRef> words{"f16", "bf16", "f32"};
  for (std::string_view name : numerics::Minifloat::names())
    words.push_back(name);
  llvm::SMLoc loc = parser.getCurrentLocation();
  StringRef word;
  if (failed(parser.parseOptionalKeyword(&word, words)))
    return Attribute();
  if (auto minifloat = numerics::Minifloat::named(std::string_view(word)))
    return orFailure<Attribute>(makeMinifloat(parser, loc, *minifloat));
  MLIRContext *context = parser.getContext();
  FloatType type = word == "f16"    ? FloatType(Float16Type::get(context))
                   : word == "bf16" ? FloatType(BFloat16Type::get(context))
                                    : FloatType(Float32Type::get(context));
  return Attribute(FloatFormatAttr::get(context, type));
}

bool lowbit::printPlainFormat(AsmPrinter &printer, Attribute format) {
  if (auto stored = dyn_cast<FloatFormatAttr>(format)) {
    printer << stored.getType();
    return true;
  }
  auto minifloat = dyn_cast<MinifloatFormatAttr>(format);
  if (!minifloat)
    return false;
  std::string text = minifloat.getParameters().str();
  if (!numerics::Minifloat::named(text))
    return false;
  printer << text;
  return true;
}

//===----------------------------------------------------------------------===//
// codebook
//===----------------------------------------------------------------------===//

/// A number as a double, with or without a point.
static ParseResult parseArgument(AsmParser &parser, double &argument) {
  int64_t integer;
  OptionalParseResult result = parser.parseOptionalInteger(integer);
  if (!result.has_value())
    return parser.parseFloat(argument);
  argument = static_cast<double>(integer);
  return *result;
}

Attribute CodebookFormatAttr::parse(AsmParser &parser, Type) {
  std::string name;
  SmallVector<double> arguments;
  SmallVector<float> levels;
  llvm::SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess())
    return {};
  if (succeeded(parser.parseOptionalKeywordOrString(&name))) {
    while (succeeded(parser.parseOptionalComma()))
      if (parseArgument(parser, arguments.emplace_back()))
        return {};
  } else if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&]() -> ParseResult {
               APFloat level(0.0f);
               if (parser.parseFloat(APFloat::IEEEsingle(), level))
                 return failure();
               levels.push_back(level.convertToFloat());
               return success();
             })) {
    return {};
  }
  if (parser.parseGreater())
    return {};
  MLIRContext *context = parser.getContext();
  return parser.getChecked<CodebookFormatAttr>(loc, context, StringRef(name),
                                               DenseF64ArrayAttr::get(context, arguments),
                                               DenseF32ArrayAttr::get(context, levels));
}

void CodebookFormatAttr::print(AsmPrinter &printer) const {
  printer << '<';
  if (!getName().empty()) {
    printer.printKeywordOrString(getName());
    for (double argument : getArguments().asArrayRef()) {
      printer << ", ";
      if (argument == std::floor(argument) && std::fabs(argument) < 1e9)
        printer << static_cast<int64_t>(argument);
      else
        printNumber(printer, APFloat(argument));
    }
  } else {
    printer << '[';
    llvm::interleaveComma(getLevels().asArrayRef(), printer,
                          [&](float level) { printNumber(printer, APFloat(level)); });
    printer << ']';
  }
  printer << '>';
}

//===----------------------------------------------------------------------===//
// learned
//===----------------------------------------------------------------------===//

Attribute LearnedFormatAttr::parse(AsmParser &parser, Type) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  unsigned bits;
  if (parser.parseLess() || parseUnsigned(parser, bits, "a learned format has 1 to 8 bits") ||
      parser.parseComma())
    return {};
  FailureOr<ScaleLevelAttr> levels = parseLevel(parser);
  if (failed(levels) || parser.parseGreater())
    return {};
  return parser.getChecked<LearnedFormatAttr>(loc, parser.getContext(), bits, *levels);
}

void LearnedFormatAttr::print(AsmPrinter &printer) const {
  printer << '<' << getBits() << ", ";
  printLevel(printer, getLevels());
  printer << '>';
}

//===----------------------------------------------------------------------===//
// prefix
//===----------------------------------------------------------------------===//

Attribute PrefixFormatAttr::parse(AsmParser &parser, Type) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  unsigned bits;
  Attribute parent;
  auto parseParent = [&]() -> ParseResult {
    FailureOr<Attribute> format = parseFormat(parser);
    if (succeeded(format))
      parent = *format;
    return success(succeeded(format));
  };
  if (parser.parseLess() || parseUnsigned(parser, bits, "a prefix has 1 to 8 bits") ||
      parser.parseComma() || parseNested(parser, parseParent) || parser.parseGreater())
    return {};
  return parser.getChecked<PrefixFormatAttr>(loc, parser.getContext(), bits, parent);
}

void PrefixFormatAttr::print(AsmPrinter &printer) const {
  printer << '<' << getBits() << ", ";
  printShort(printer, getParent());
  printer << '>';
}
