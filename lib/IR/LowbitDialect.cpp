//===- LowbitDialect.cpp - The dialect, and questions about types ---------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitDialect.h"
#include "lowbit/IR/LowbitOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Transforms/InliningUtils.h"
#include "llvm/Support/MathExtras.h"

#include <numeric>

using namespace mlir;
using namespace lowbit;

#include "lowbit/IR/LowbitDialect.cpp.inc"
#include "lowbit/IR/LowbitEnums.cpp.inc"
#include "lowbit/IR/LowbitInterfaces.cpp.inc"

namespace {
/// Ops mean the same wherever they are.
struct Inlining : DialectInlinerInterface {
  using DialectInlinerInterface::DialectInlinerInterface;
  bool isLegalToInline(Operation *, Region *, bool, IRMapping &) const final { return true; }
  bool isLegalToInline(Region *, Region *, bool, IRMapping &) const final { return true; }
};
} // namespace

void LowbitDialect::registerOperations() {
  addOperations<
#define GET_OP_LIST
#include "lowbit/IR/LowbitOps.cpp.inc"
      >();
  addInterfaces<Inlining>();
}

/// What inputs of a product are rounded to, on its weight or on itself.
static LogicalResult verifyActivations(Operation *op, NamedAttribute attribute) {
  auto text = dyn_cast<StringAttr>(attribute.getValue());
  if (text && text == "f32")
    return success();
  if (isa<EncodingAttrInterface>(attribute.getValue())) {
    if (isa<QuantizedAttr>(attribute.getValue()))
      return success();
    return op->emitError() << "'" << LowbitDialect::kActivationsAttrName
                           << "' is an encoding of one term, not " << attribute.getValue();
  }
  return op->emitError() << "'" << LowbitDialect::kActivationsAttrName
                         << "' is an encoding or \"f32\", not " << attribute.getValue();
}

/// What is multiplied with a weight: of other arguments, and of results, there are no activations.
/// What a weight has become in a lowered program may be of any type.
static LogicalResult verifyIsOfMatrix(Operation *op, Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || tensor.getRank() == 2)
    return success();
  return op->emitError() << "'" << LowbitDialect::kActivationsAttrName
                         << "' is of a weight, a tensor of 2 axes, not of " << type;
}

LogicalResult LowbitDialect::verifyRegionArgAttribute(Operation *op, unsigned region,
                                                      unsigned argument, NamedAttribute attribute) {
  if (attribute.getName() != kActivationsAttrName)
    return success();
  if (auto function = dyn_cast<FunctionOpInterface>(op); function && region == 0)
    if (failed(verifyIsOfMatrix(op, function.getArgumentTypes()[argument])))
      return failure();
  return verifyActivations(op, attribute);
}

LogicalResult LowbitDialect::verifyRegionResultAttribute(Operation *op, unsigned, unsigned,
                                                         NamedAttribute attribute) {
  if (attribute.getName() != kActivationsAttrName)
    return success();
  return op->emitError() << "'" << kActivationsAttrName << "' is of arguments, not of results";
}

LogicalResult LowbitDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  if (attribute.getName() == kActivationsAttrName) {
    auto parameter = dyn_cast<ParameterOp>(op);
    if (parameter && failed(verifyIsOfMatrix(op, parameter.getType())))
      return failure();
    return verifyActivations(op, attribute);
  }
  auto function = dyn_cast<FunctionOpInterface>(op);
  if (attribute.getName() == kEntryAttrName && (!function || !isa<UnitAttr>(attribute.getValue())))
    return op->emitError() << "'" << kEntryAttrName
                           << "' is written on a function, without a value";
  if (attribute.getName() != kUpdatesAttrName)
    return success();
  auto updates = dyn_cast<DenseI64ArrayAttr>(attribute.getValue());
  if (!function || !updates)
    return op->emitError() << "'" << kUpdatesAttrName
                           << "' is written on a function, as array<i64: ...>";
  if ((int64_t)function.getNumResults() != updates.size())
    return op->emitError() << "'" << kUpdatesAttrName << "' has " << updates.size()
                           << " numbers for " << function.getNumResults()
                           << " results; a fresh result has -1";
  llvm::SmallDenseMap<int64_t, size_t> updatedBy;
  for (auto [i, argument] : llvm::enumerate(updates.asArrayRef())) {
    if (argument < -1 || argument >= (int64_t)function.getNumArguments())
      return op->emitError() << "result " << i << " updates argument " << argument
                             << ", which does not exist; the function has "
                             << function.getNumArguments() << " arguments";
    if (auto [other, isFirst] = updatedBy.try_emplace(argument, i); argument >= 0 && !isFirst)
      return op->emitError() << "results " << other->second << " and " << i
                             << " both update argument " << argument;
    if (argument >= 0 && function.getArgumentTypes()[argument] != function.getResultTypes()[i])
      return op->emitError() << "result " << i << " has another type than argument " << argument
                             << " that it updates";
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Questions about types
//===----------------------------------------------------------------------===//

EncodingAttrInterface lowbit::getEncoding(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor ? dyn_cast_or_null<EncodingAttrInterface>(tensor.getEncoding())
                : EncodingAttrInterface();
}

RankedTensorType lowbit::getPlainType(RankedTensorType type) {
  return RankedTensorType::get(type.getShape(), type.getElementType());
}

LogicalResult lowbit::verifyEncodedType(RankedTensorType type,
                                        function_ref<InFlightDiagnostic()> emitError) {
  EncodingAttrInterface encoding = getEncoding(type);
  return encoding ? encoding.verifyTerm(type.getShape(), type.getElementType(), emitError)
                  : success();
}

LogicalResult lowbit::verifyElementCount(ArrayRef<int64_t> shape,
                                         function_ref<InFlightDiagnostic()> emitError) {
  // No encoding stores more than 8 bytes for an element.
  std::optional<int64_t> bytes = 8;
  for (int64_t n : shape)
    if (bytes && !ShapedType::isDynamic(n))
      bytes = numerics::checkedMultiply(*bytes, std::max<int64_t>(n, 1));
  if (bytes)
    return success();
  return emitError() << "an encoded tensor has fewer elements than this shape";
}

/// None if some extent is only known at run time, or if no int64_t holds the number.
static std::optional<int64_t> bytesOf(RankedTensorType plain) {
  if (!plain.hasStaticShape())
    return std::nullopt;
  std::optional<int64_t> count = numerics::elementCount(plain.getShape().vec());
  return count ? numerics::checkedMultiply(*count,
                                           llvm::divideCeil(plain.getElementTypeBitWidth(), 8))
               : std::nullopt;
}

std::optional<int64_t> lowbit::getStaticBytes(RankedTensorType type) {
  EncodingAttrInterface encoding = getEncoding(type);
  if (!encoding)
    return bytesOf(type);
  int64_t total = 0;
  for (EncodingComponent &component : encoding.getComponents(type)) {
    auto stored = dyn_cast<RankedTensorType>(component.type);
    std::optional<int64_t> bytes = stored ? bytesOf(stored) : 8;
    if (!bytes || llvm::AddOverflow(total, *bytes, total))
      return std::nullopt;
  }
  return total;
}

SmallVector<OpFoldResult> lowbit::extentsOf(OpBuilder &b, Location loc, RankedTensorType type,
                                            Value component) {
  SmallVector<OpFoldResult> extents;
  for (auto [i, n] : llvm::enumerate(type.getShape()))
    extents.push_back(ShapedType::isDynamic(n) ? tensor::getMixedSize(b, loc, component, i)
                                               : b.getIndexAttr(n));
  return extents;
}

int64_t lowbit::joinMultiples(int64_t a, int64_t b) {
  if (a == kWhole || b == kWhole)
    return kWhole;
  return numerics::checkedMultiply(a / std::gcd(a, b), b).value_or(kWhole);
}
