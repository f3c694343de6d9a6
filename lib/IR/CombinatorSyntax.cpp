//===- CombinatorSyntax.cpp - How combinators read and print -------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttrSyntax.h"
#include "mlir/IR/DialectImplementation.h"

using namespace mlir;
using namespace lowbit;

static ParseResult parseTerm(AsmParser &parser, Attribute &term) {
  return parseNested(parser, [&] { return parser.parseAttribute(term); });
}

static ParseResult parseDensity(AsmParser &parser, FloatAttr &density) {
  double value = 0;
  if (parser.parseKeyword("density") || parser.parseEqual() || parser.parseFloat(value))
    return failure();
  density = FloatAttr::get(Float64Type::get(parser.getContext()), value);
  return success();
}
static void printDensity(AsmPrinter &printer, FloatAttr density) {
  printer << "density = ";
  printNumber(printer, density.getValue());
}

Attribute SparseAttr::parse(AsmParser &parser, Type) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess())
    return {};
  FailureOr<Attribute> element = parseFormat(parser);
  FloatAttr density;
  if (failed(element) || parser.parseComma() || parseDensity(parser, density) ||
      parser.parseGreater())
    return {};
  return parser.getChecked<SparseAttr>(loc, parser.getContext(), *element, density);
}
void SparseAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printShort(printer, getElement());
  printer << ", ";
  printDensity(printer, getDensity());
  printer << '>';
}

Attribute NOfMAttr::parse(AsmParser &parser, Type) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  unsigned kept, group;
  Attribute term;
  if (parser.parseLess() || parseUnsigned(parser, kept, "a number of elements is kept") ||
      parser.parseComma() || parseUnsigned(parser, group, "a group has a number of elements") ||
      parser.parseComma() || parseTerm(parser, term) || parser.parseGreater())
    return {};
  return parser.getChecked<NOfMAttr>(loc, parser.getContext(), kept, group, term);
}
void NOfMAttr::print(AsmPrinter &printer) const {
  printer << '<' << getKept() << ", " << getGroup() << ", " << getTerm() << '>';
}

Attribute BlockSparseAttr::parse(AsmParser &parser, Type) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t> block;
  FloatAttr density;
  Attribute term;
  if (parser.parseLess() ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square,
                                     [&] { return parser.parseInteger(block.emplace_back()); }) ||
      parser.parseComma() || parseDensity(parser, density) || parser.parseComma() ||
      parseTerm(parser, term) || parser.parseGreater())
    return {};
  return parser.getChecked<BlockSparseAttr>(loc, parser.getContext(), ArrayRef<int64_t>(block),
                                            density, term);
}
void BlockSparseAttr::print(AsmPrinter &printer) const {
  printer << "<[";
  llvm::interleaveComma(getBlock(), printer);
  printer << "], ";
  printDensity(printer, getDensity());
  printer << ", " << getTerm() << '>';
}

Attribute LowRankAttr::parse(AsmParser &parser, Type) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  unsigned rank;
  Attribute left, right;
  if (parser.parseLess() || parser.parseKeyword("rank") || parser.parseEqual() ||
      parseUnsigned(parser, rank, "a rank is at least 1") || parser.parseComma() ||
      parseTerm(parser, left) || parser.parseComma() || parseTerm(parser, right) ||
      parser.parseGreater())
    return {};
  return parser.getChecked<LowRankAttr>(loc, parser.getContext(), rank, left, right);
}
void LowRankAttr::print(AsmPrinter &printer) const {
  printer << "<rank = " << getRank() << ", " << getLeft() << ", " << getRight() << '>';
}

Attribute OutlierColumnsAttr::parse(AsmParser &parser, Type) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  FloatAttr density;
  Attribute base, outliers;
  if (parser.parseLess() || parseDensity(parser, density) || parser.parseComma() ||
      parseTerm(parser, base) || parser.parseComma() || parseTerm(parser, outliers) ||
      parser.parseGreater())
    return {};
  return parser.getChecked<OutlierColumnsAttr>(loc, parser.getContext(), density, base, outliers);
}
void OutlierColumnsAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printDensity(printer, getDensity());
  printer << ", " << getBase() << ", " << getOutliers() << '>';
}

Attribute PermutedAttr::parse(AsmParser &parser, Type) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  unsigned axis;
  int64_t block = 1;
  Attribute term;
  if (parser.parseLess() || parser.parseKeyword("axis") || parser.parseEqual() ||
      parseUnsigned(parser, axis, "an axis is counted from 0") || parser.parseComma())
    return {};
  if (succeeded(parser.parseOptionalKeyword("block")) &&
      (parser.parseEqual() || parser.parseInteger(block) || parser.parseComma()))
    return {};
  if (parseTerm(parser, term) || parser.parseGreater())
    return {};
  return parser.getChecked<PermutedAttr>(loc, parser.getContext(), axis, block, term);
}
void PermutedAttr::print(AsmPrinter &printer) const {
  printer << "<axis = " << getAxis();
  if (getBlock() != 1)
    printer << ", block = " << getBlock();
  printer << ", " << getTerm() << '>';
}

Attribute FlattenedAttr::parse(AsmParser &parser, Type) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  Attribute term;
  if (parser.parseLess() || parseTerm(parser, term) || parser.parseGreater())
    return {};
  return parser.getChecked<FlattenedAttr>(loc, parser.getContext(), term);
}
void FlattenedAttr::print(AsmPrinter &printer) const { printer << '<' << getTerm() << '>'; }

Attribute SumAttr::parse(AsmParser &parser, Type) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  SmallVector<Attribute> terms;
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater,
                                     [&] { return parseTerm(parser, terms.emplace_back()); }))
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
    if (parseTerm(parser, terms.emplace_back()))
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
