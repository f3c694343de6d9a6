//===- LowbitOps.cpp - Operations on whole encoded tensors ----------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

#include <algorithm>
#include <cmath>
#include <functional>

using namespace mlir;
using namespace lowbit;

/// A list of f32, with as many digits as each needs to come back: upstream's arrays have six.
static ParseResult parseNumbers(OpAsmParser &parser, DenseF32ArrayAttr &numbers) {
  SmallVector<float> values;
  auto parseOne = [&]() -> ParseResult {
    double value;
    if (failed(parser.parseFloat(value)))
      return failure();
    values.push_back(value);
    return success();
  };
  if (failed(parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseOne)))
    return failure();
  numbers = DenseF32ArrayAttr::get(parser.getContext(), values);
  return success();
}
static void printNumbers(OpAsmPrinter &printer, Operation *, DenseF32ArrayAttr numbers) {
  printer << '[';
  llvm::interleaveComma(numbers.asArrayRef(), printer,
                        [&](float value) { printer.printFloat(APFloat(value)); });
  printer << ']';
}

/// A list of words, as [moments, maxima].
static ParseResult parseStatistics(OpAsmParser &parser, DenseI32ArrayAttr &statistics) {
  SmallVector<int32_t> kinds;
  auto parseOne = [&]() -> ParseResult {
    SMLoc where = parser.getCurrentLocation();
    StringRef word;
    if (failed(parser.parseKeyword(&word)))
      return failure();
    std::optional<StatisticKind> kind = symbolizeStatisticKind(word);
    if (!kind)
      return parser.emitError(where) << "'" << word << "' is not a statistic";
    kinds.push_back(int32_t(*kind));
    return success();
  };
  if (failed(parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseOne)))
    return failure();
  statistics = DenseI32ArrayAttr::get(parser.getContext(), kinds);
  return success();
}
static void printStatistics(OpAsmPrinter &printer, Operation *, DenseI32ArrayAttr statistics) {
  printer << '[';
  llvm::interleaveComma(statistics.asArrayRef(), printer, [&](int32_t kind) {
    printer << stringifyStatisticKind(StatisticKind(kind));
  });
  printer << ']';
}

#define GET_OP_CLASSES
#include "lowbit/IR/LowbitOps.cpp.inc"

/// Types made by rewrites pass unchecked through their builders: ops verify them.
static LogicalResult verifyTypes(Operation *op, TypeRange types) {
  for (Type type : types)
    if (auto tensor = dyn_cast<RankedTensorType>(type))
      if (failed(verifyEncodedType(tensor, [&] { return op->emitOpError(); })))
        return failure();
  return success();
}

Type RankOp::getRankType(Type numbers) {
  Type i32 = IntegerType::get(numbers.getContext(), 32);
  auto shaped = dyn_cast<ShapedType>(numbers);
  return shaped ? Type(shaped.clone(i32)) : i32;
}

bool RankOp::isThreshold(float number) {
  float magnitude = std::abs(number);
  return magnitude >= 0x1p-80f && magnitude <= 0x1p60f;
}

LogicalResult RankOp::verify() {
  ArrayRef<float> thresholds = getThresholds();
  if (thresholds.empty())
    return emitOpError("has no thresholds");
  if (!llvm::all_of(thresholds, isThreshold))
    return emitOpError("has a threshold whose magnitude is not from 2^-80 to 2^60");
  if (std::adjacent_find(thresholds.begin(), thresholds.end(), std::greater_equal<float>()) !=
      thresholds.end())
    return emitOpError("has thresholds that do not ascend");
  return success();
}

static LogicalResult verifySameShape(Operation *op, Type a, Type b, StringRef what) {
  if (cast<RankedTensorType>(a).getShape() == cast<RankedTensorType>(b).getShape() &&
      cast<RankedTensorType>(a).getElementType() == cast<RankedTensorType>(b).getElementType())
    return success();
  return op->emitOpError() << what << ": " << a << " and " << b;
}

LogicalResult DecodeOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                         ValueRange operands, DictionaryAttr, OpaqueProperties,
                                         RegionRange, SmallVectorImpl<Type> &types) {
  auto source = dyn_cast<RankedTensorType>(operands[0].getType());
  if (!source)
    return emitOptionalError(loc, "'lowbit.decode' takes a ranked tensor");
  types.push_back(getPlainType(source));
  return success();
}

LogicalResult DecodeOp::verify() { return verifyTypes(*this, getSource().getType()); }

LogicalResult EncodeOp::verify() {
  if (failed(verifySameShape(*this, getSource().getType(), getDest().getType(),
                             "values and storage differ in shape")))
    return failure();
  return verifyTypes(*this, getDest().getType());
}

LogicalResult ConvertOp::verify() {
  if (failed(verifySameShape(*this, getSource().getType(), getResult().getType(),
                             "a conversion keeps the shape")))
    return failure();
  return verifyTypes(*this, {getSource().getType(), getResult().getType()});
}

OpFoldResult ConvertOp::fold(FoldAdaptor) {
  return getSource().getType() == getType() ? OpFoldResult(getSource()) : OpFoldResult();
}

static LogicalResult verifyComponents(Operation *op, RankedTensorType type, TypeRange given) {
  if (failed(verifyTypes(op, type)))
    return failure();
  SmallVector<EncodingComponent> wanted = getEncoding(type).getComponents(type);
  if (wanted.size() != given.size())
    return op->emitOpError() << "the encoding has " << wanted.size() << " components, not "
                             << given.size();
  for (auto [want, have] : llvm::zip(wanted, given))
    if (want.type != have)
      return op->emitOpError() << "component '" << want.name << "' has type " << want.type
                               << ", not " << have;
  return success();
}

LogicalResult AssembleOp::verify() {
  return verifyComponents(*this, getType(), getComponents().getTypes());
}
LogicalResult DisassembleOp::verify() {
  return verifyComponents(*this, getSource().getType(), getComponents().getTypes());
}

SmallVector<StatisticKind> ObserveOp::getKinds() {
  return llvm::map_to_vector(getStatistics(), [](int32_t kind) { return StatisticKind(kind); });
}

LogicalResult ObserveOp::verify() {
  RankedTensorType type = getValue().getType();
  if (!type.getElementType().isF32() || type.getRank() == 0 ||
      type.isDynamicDim(type.getRank() - 1))
    return emitOpError() << "takes f32 values with a fixed number of channels, the last axis, not "
                         << type;
  if (getFeeds().empty())
    return emitOpError("needs the parameters that the value is multiplied with: they name it");
  if (getStatistics().empty())
    return emitOpError("keeps no statistic");
  SmallVector<int32_t> sorted(getStatistics());
  llvm::sort(sorted);
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    return emitOpError("keeps a statistic twice");
  for (int32_t kind : sorted)
    if (!symbolizeStatisticKind(kind))
      return emitOpError() << "knows no statistic " << kind;
  return success();
}

LogicalResult ParameterOp::verify() {
  if (getKey().empty())
    return emitOpError() << "needs a key: the name of a tensor in an archive";
  auto type = cast<RankedTensorType>(getType());
  if (!type.hasStaticShape())
    return emitOpError() << "needs a static shape, that of the archive's tensor, not " << type;
  if (getPack().has_value() != getStored().has_value())
    return emitOpError() << "is packed by an entry from a stored type, or neither";
  if (getStored() && failed(verifySameShape(*this, *getStored(), type, "packing keeps the shape")))
    return failure();
  return verifyTypes(*this, type);
}
