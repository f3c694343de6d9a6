//===- ScaleSyntax.cpp - How scales read and print -----------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttrSyntax.h"
#include "mlir/IR/DialectImplementation.h"

using namespace mlir;
using namespace lowbit;

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
  auto level = parser.getChecked<ScaleLevelAttr>(loc, parser.getContext(), element, kind,
                                                 ArrayRef<int64_t>(values));
  return orFailure(level ? level : ScaleLevelAttr());
}

/// `<min>`, `<product>` or `<geo<0.5>>`, after `rank1`.
static FailureOr<Attribute> parseRank1(AsmParser &parser, llvm::SMLoc loc, Attribute element) {
  MLIRContext *context = parser.getContext();
  StringRef combiner;
  if (parser.parseLess() || parser.parseKeyword(&combiner))
    return failure();
  std::optional<Rank1Combiner> known = symbolizeRank1Combiner(combiner);
  if (!known)
    return parser.emitError(loc) << "unknown rank-1 combiner '" << combiner
                                 << "'; known: min, product, geo<alpha>";
  FloatAttr alpha;
  if (*known == Rank1Combiner::Geometric) {
    double value;
    if (parser.parseLess() || parser.parseFloat(value) || parser.parseGreater())
      return failure();
    alpha = FloatAttr::get(Float64Type::get(context), value);
  }
  if (parser.parseGreater())
    return failure();
  Attribute scale = parser.getChecked<Rank1ScaleAttr>(loc, context, element, *known, alpha);
  return orFailure(scale ? scale : Attribute());
}

FailureOr<ScaleLevelAttr> lowbit::parseLevel(AsmParser &parser) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  FailureOr<Attribute> element = parseFormat(parser);
  if (failed(element))
    return failure();
  return parseGranularity(parser, loc, *element);
}

FailureOr<Attribute> lowbit::parseScale(AsmParser &parser) {
  MLIRContext *context = parser.getContext();
  SmallVector<ScaleLevelAttr> levels;
  llvm::SMLoc loc = parser.getCurrentLocation();
  do {
    llvm::SMLoc levelLoc = parser.getCurrentLocation();
    FailureOr<Attribute> element = parseOptionalPlainFormat(parser);
    if (succeeded(element) && !*element)
      element = parseShort(parser);
    if (failed(element))
      return failure();
    if (levels.empty() && isa<ScaleAttrInterface>(*element))
      return element;
    if (levels.empty() && succeeded(parser.parseOptionalKeyword("rank1")))
      return parseRank1(parser, loc, *element);
    FailureOr<ScaleLevelAttr> level = parseGranularity(parser, levelLoc, *element);
    if (failed(level))
      return failure();
    levels.push_back(*level);
  } while (succeeded(parser.parseOptionalStar()));
  ScaleLevelAttr offset;
  if (succeeded(parser.parseOptionalPlus())) {
    FailureOr<ScaleLevelAttr> level = parseLevel(parser);
    if (failed(level))
      return failure();
    offset = *level;
  }
  Attribute scale =
      parser.getChecked<BlockScaleAttr>(loc, context, ArrayRef<ScaleLevelAttr>(levels), offset);
  return orFailure(scale ? scale : Attribute());
}

void lowbit::printLevel(AsmPrinter &printer, ScaleLevelAttr level) {
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
    if (block.getOffset()) {
      printer << " + ";
      printLevel(printer, block.getOffset());
    }
  } else if (auto rank1 = dyn_cast<Rank1ScaleAttr>(scale)) {
    printShort(printer, rank1.getElement());
    printer << " rank1<" << stringifyRank1Combiner(rank1.getCombiner());
    if (rank1.getAlpha()) {
      printer << '<';
      printNumber(printer, rank1.getAlpha().getValue());
      printer << '>';
    }
    printer << '>';
  } else {
    printer.printAttribute(scale);
  }
}

Attribute ScaleLevelAttr::parse(AsmParser &parser, Type) {
  if (parser.parseLess())
    return {};
  FailureOr<ScaleLevelAttr> level = parseLevel(parser);
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
