//===- AttrSyntax.cpp - How attributes read and print ---------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Inside an encoding, attributes of this dialect are written without `#lowbit.`, stored floats as
// their type (`f16`) and scales as sentences (`f16 per [1, 256] * uint<6> per [1, 32]`). Attributes
// of other dialects are written in full, so that a third party's format or scale fits in
// everywhere.
//
//===----------------------------------------------------------------------===//

#include "AttrSyntax.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/SaveAndRestore.h"

#include <limits>

using namespace mlir;
using namespace lowbit;

//===----------------------------------------------------------------------===//
// Parameters of generated parsers
//===----------------------------------------------------------------------===//

ParseResult lowbit::parseUnsigned(AsmParser &parser, unsigned &value, StringRef what) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  int64_t integer;
  if (parser.parseInteger(integer))
    return failure();
  if (integer < 0 || integer > std::numeric_limits<int32_t>::max())
    return parser.emitError(loc) << what << ", not " << integer;
  value = integer;
  return success();
}

static ParseResult parseBits(AsmParser &parser, unsigned &bits) {
  return parseUnsigned(parser, bits, "an integer format has 1 to 8 bits");
}
static void printBits(AsmPrinter &printer, unsigned bits) { printer << bits; }

static ParseResult parseBlock(AsmParser &parser, GgmlBlock &block) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  StringRef name;
  if (parser.parseKeyword(&name))
    return failure();
  std::optional<GgmlBlock> known = symbolizeGgmlBlock(name);
  if (!known)
    return parser.emitError(loc) << "unknown ggml block '" << name << "'; known: q4_0, q4_1, q8_0";
  block = *known;
  return success();
}
static void printBlock(AsmPrinter &printer, GgmlBlock block) {
  printer << stringifyGgmlBlock(block);
}

#define GET_ATTRDEF_CLASSES
#include "lowbit/IR/LowbitAttrs.cpp.inc"

void LowbitDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "lowbit/IR/LowbitAttrs.cpp.inc"
      >();
  registerOperations();
  registerAliases();
}

//===----------------------------------------------------------------------===//
// Short forms
//===----------------------------------------------------------------------===//

/// Numbers in the shortest decimal form that reads back as the same value: 0.01, -1.0, 3.4e+38.
void lowbit::printNumber(AsmPrinter &printer, const APFloat &value) {
  SmallString<32> text;
  for (unsigned digits = 1; digits <= 17; ++digits) {
    text.clear();
    value.toString(text, digits, /*FormatMaxPadding=*/6);
    if (APFloat(value.getSemantics(), text).bitwiseIsEqual(value))
      break;
  }
  // MLIR's floats have a point.
  if (!text.str().contains('.'))
    text.insert(text.begin() + std::min(text.str().find_first_of("eE"), text.size()), {'.', '0'});
  printer << text;
}

/// Attributes nest, and the parser recurses: text of a stranger must not exhaust the stack.
static constexpr unsigned kMaxNesting = 64;

ParseResult lowbit::parseNested(AsmParser &parser, function_ref<ParseResult()> parse) {
  static thread_local unsigned depth = 0;
  llvm::SaveAndRestore<unsigned> restore(depth, depth + 1);
  if (depth > kMaxNesting)
    return parser.emitError(parser.getCurrentLocation())
           << "lowbit attributes are nested more than " << kMaxNesting << " deep";
  return parse();
}

/// An attribute of any dialect in full, or one of this dialect by its mnemonic.
FailureOr<Attribute> lowbit::parseShort(AsmParser &parser) {
  Attribute attribute;
  if (parseNested(parser, [&]() -> ParseResult {
        // A foreign attribute begins with '#'.
        OptionalParseResult foreign = parser.parseOptionalAttribute(attribute);
        if (foreign.has_value())
          return *foreign;
        llvm::SMLoc loc = parser.getCurrentLocation();
        if (succeeded(parser.parseOptionalGreater()))
          return parser.emitError(loc)
                 << "expected a number format, a scale or a layout before '>'";
        StringRef mnemonic;
        OptionalParseResult result = generatedAttributeParser(parser, &mnemonic, Type(), attribute);
        if (result.has_value())
          return *result;
        return parser.emitError(loc) << "unknown lowbit attribute '" << mnemonic << "'";
      }))
    return failure();
  return orFailure(attribute);
}

void lowbit::printShort(AsmPrinter &printer, Attribute attribute) {
  if (auto format = dyn_cast<FloatFormatAttr>(attribute))
    printer << format.getType();
  else if (!isa<LowbitDialect>(attribute.getDialect()) ||
           failed(generatedAttributePrinter(attribute, printer)))
    printer.printAttribute(attribute);
}

/// `f16`, `bf16` or `f32`, which the general attribute parser would take for a type.
static Attribute parseOptionalStoredFloat(AsmParser &parser) {
  StringRef keyword;
  if (failed(parser.parseOptionalKeyword(&keyword, {"f16", "bf16", "f32"})))
    return {};
  MLIRContext *context = parser.getContext();
  FloatType type = keyword == "f16"    ? FloatType(Float16Type::get(context))
                   : keyword == "bf16" ? FloatType(BFloat16Type::get(context))
                                       : FloatType(Float32Type::get(context));
  return FloatFormatAttr::get(context, type);
}

FailureOr<Attribute> lowbit::parseFormat(AsmParser &parser) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  if (Attribute stored = parseOptionalStoredFloat(parser))
    return stored;
  FailureOr<Attribute> format = parseShort(parser);
  if (succeeded(format) && !isa<FormatAttrInterface>(*format))
    return parser.emitError(loc) << "expected a number format such as int<4>, f16 or codebook<nf4>";
  return format;
}

//===----------------------------------------------------------------------===//
// codebook<nf4>, codebook<[-1.0, 0.0, 1.0]>
//===----------------------------------------------------------------------===//

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
  return parser.getChecked<CodebookFormatAttr>(loc, parser.getContext(), name,
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

//===----------------------------------------------------------------------===//
// Scales
//===----------------------------------------------------------------------===//

/// `per tensor`, `per axis 0` or `per [1, 32]`, after the element format.
static FailureOr<ScaleLevelAttr> parseGranularity(AsmParser &parser, llvm::SMLoc loc,
                                                  Attribute element) {
  GranularityKind kind = GranularityKind::Block;
  SmallVector<int64_t> values;
  auto parseExtent = [&]() -> ParseResult { return parser.parseInteger(values.emplace_back()); };
  if (parser.parseKeyword("per"))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("tensor"))) {
    kind = GranularityKind::Tensor;
  } else if (succeeded(parser.parseOptionalKeyword("axis"))) {
    kind = GranularityKind::Axis;
    if (parser.parseInteger(values.emplace_back()))
      return failure();
  } else if (parser.parseCommaSeparatedList(
                 AsmParser::Delimiter::Square, parseExtent,
                 " after 'per': expected tensor, axis N or a block [1, 32]")) {
    return failure();
  }
  auto level = parser.getChecked<ScaleLevelAttr>(loc, parser.getContext(), element, kind, values);
  return orFailure(level ? level : ScaleLevelAttr());
}

FailureOr<Attribute> lowbit::parseScale(AsmParser &parser) {
  MLIRContext *context = parser.getContext();
  SmallVector<ScaleLevelAttr> levels;
  llvm::SMLoc loc = parser.getCurrentLocation();
  do {
    llvm::SMLoc levelLoc = parser.getCurrentLocation();
    FailureOr<Attribute> element = parseOptionalStoredFloat(parser);
    if (!*element)
      element = parseShort(parser);
    if (failed(element))
      return failure();
    if (levels.empty() && isa<ScaleAttrInterface>(*element))
      return element;
    if (levels.empty() && succeeded(parser.parseOptionalKeyword("rank1"))) {
      StringRef combiner;
      if (parser.parseLess() || parser.parseKeyword(&combiner) || parser.parseGreater())
        return failure();
      std::optional<Rank1Combiner> known = symbolizeRank1Combiner(combiner);
      if (!known)
        return parser.emitError(loc) << "unknown rank-1 combiner '" << combiner << "'; known: min";
      Attribute scale = parser.getChecked<Rank1ScaleAttr>(loc, context, *element, *known);
      return orFailure(scale ? scale : Attribute());
    }
    FailureOr<ScaleLevelAttr> level = parseGranularity(parser, levelLoc, *element);
    if (failed(level))
      return failure();
    levels.push_back(*level);
  } while (succeeded(parser.parseOptionalStar()));
  Attribute scale = parser.getChecked<BlockScaleAttr>(loc, context, levels);
  return orFailure(scale ? scale : Attribute());
}

static void printLevel(AsmPrinter &printer, ScaleLevelAttr level) {
  printShort(printer, level.getElement());
  printer << " per ";
  switch (level.getKind()) {
  case GranularityKind::Tensor:
    printer << "tensor";
    break;
  case GranularityKind::Axis:
    printer << "axis " << level.getValues()[0];
    break;
  case GranularityKind::Block:
    printer << '[';
    llvm::interleaveComma(level.getValues(), printer);
    printer << ']';
    break;
  }
}

void lowbit::printScale(AsmPrinter &printer, Attribute scale) {
  if (auto block = dyn_cast<BlockScaleAttr>(scale)) {
    llvm::interleave(
        block.getLevels(), printer.getStream(),
        [&](ScaleLevelAttr level) { printLevel(printer, level); }, " * ");
  } else if (auto rank1 = dyn_cast<Rank1ScaleAttr>(scale)) {
    printShort(printer, rank1.getElement());
    printer << " rank1<" << stringifyRank1Combiner(rank1.getCombiner()) << '>';
  } else {
    printer.printAttribute(scale);
  }
}

Attribute ScaleLevelAttr::parse(AsmParser &parser, Type) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess())
    return {};
  FailureOr<Attribute> element = parseFormat(parser);
  if (failed(element))
    return {};
  FailureOr<ScaleLevelAttr> level = parseGranularity(parser, loc, *element);
  if (failed(level) || parser.parseGreater())
    return {};
  return *level;
}
void ScaleLevelAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printLevel(printer, *this);
  printer << '>';
}

/// A scale that stands alone, in angle brackets; it must be of the kind whose mnemonic it had.
template <typename Scale> static Attribute parseBracketedScale(AsmParser &parser) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess())
    return {};
  FailureOr<Attribute> scale = parseScale(parser);
  if (failed(scale) || parser.parseGreater())
    return {};
  if (!isa<Scale>(*scale)) {
    parser.emitError(loc) << "expected a " << Scale::getMnemonic();
    return {};
  }
  return *scale;
}
Attribute BlockScaleAttr::parse(AsmParser &parser, Type) {
  return parseBracketedScale<BlockScaleAttr>(parser);
}
Attribute Rank1ScaleAttr::parse(AsmParser &parser, Type) {
  return parseBracketedScale<Rank1ScaleAttr>(parser);
}
void BlockScaleAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printScale(printer, *this);
  printer << '>';
}
void Rank1ScaleAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printScale(printer, *this);
  printer << '>';
}

EncodingAttrInterface lowbit::parseEncoding(StringRef text, MLIRContext *context) {
  context->loadDialect<LowbitDialect>();
  Location loc = UnknownLoc::get(context);
  unsigned depth = 0;
  for (char c : text) {
    depth += StringRef("<([{").contains(c);
    depth -= depth && StringRef(">)]}").contains(c);
    if (depth > 2 * kMaxNesting) {
      emitError(loc) << "an encoding with brackets nested more than " << 2 * kMaxNesting << " deep";
      return {};
    }
  }
  // MLIR takes a text whose end it could not read, such as `...>@`, after an error about that end.
  bool hasError = false;
  ScopedDiagnosticHandler handler(context, [&](Diagnostic &diagnostic) {
    hasError |= diagnostic.getSeverity() == DiagnosticSeverity::Error;
    return failure(); // for the handler outside
  });
  Attribute attribute = parseAttribute(text, context);
  if (hasError)
    return {};
  if (attribute && !isa<EncodingAttrInterface>(attribute))
    emitError(loc)
        << attribute
        << " is not an encoding such as #lowbit.quantized<int<4>, scale = f16 per [1, 32]>";
  return dyn_cast_or_null<EncodingAttrInterface>(attribute);
}
