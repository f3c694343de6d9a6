//===- AttrSyntax.cpp - How attributes read and print ---------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Inside an encoding, attributes of this dialect are written without `#lowbit.`, some formats as a
// word (`f16`, `e4m3`) and scales as sentences (`f16 per [1, 256] * uint<6> per [1, 32]`).
// Attributes of other dialects are written in full, so that a third party's format or scale fits in
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
  return parseUnsigned(parser, bits, "an integer format has 1 to 16 bits");
}
static void printBits(AsmPrinter &printer, unsigned bits) { printer << bits; }

static ParseResult parseBlock(AsmParser &parser, std::string &block) {
  return parser.parseKeywordOrString(&block);
}
static void printBlock(AsmPrinter &printer, StringRef block) {
  printer.printKeywordOrString(block);
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
  if (printPlainFormat(printer, attribute))
    return;
  if (!isa<LowbitDialect>(attribute.getDialect()) ||
      failed(generatedAttributePrinter(attribute, printer)))
    printer.printAttribute(attribute);
}

FailureOr<Attribute> lowbit::parseFormat(AsmParser &parser) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  FailureOr<Attribute> format = parseOptionalPlainFormat(parser);
  if (failed(format) || *format)
    return format;
  format = parseShort(parser);
  if (succeeded(format) && !isa<FormatAttrInterface>(*format))
    return parser.emitError(loc) << "expected a number format such as int<4>, f16 or codebook<nf4>";
  return format;
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
