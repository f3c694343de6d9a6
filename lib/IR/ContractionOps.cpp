//===- ContractionOps.cpp - Contractions on components --------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Numerics/IntegerLevels.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace lowbit;

//===----------------------------------------------------------------------===//
// contract
//===----------------------------------------------------------------------===//

/// `given` are the components of `type` (itself, if it is plain), as tensors or buffers.
static LogicalResult verifyStored(ContractOp op, RankedTensorType type, TypeRange given,
                                  StringRef side) {
  SmallVector<Type> wanted{type};
  if (EncodingAttrInterface encoding = getEncoding(type)) {
    wanted.clear();
    for (EncodingComponent &component : encoding.getComponents(type))
      wanted.push_back(component.type);
  }
  if (wanted.size() != given.size())
    return op.emitOpError() << side << " has " << wanted.size() << " components, not "
                            << given.size();
  for (auto [want, have] : llvm::zip(wanted, given)) {
    auto wantShaped = dyn_cast<ShapedType>(want), haveShaped = dyn_cast<ShapedType>(have);
    if (wantShaped ? !haveShaped || wantShaped.getElementType() != haveShaped.getElementType() ||
                         failed(verifyCompatibleShape(want, have))
                   : want != have)
      return op.emitOpError() << "a component of " << side << " has type " << want << ", not "
                              << have;
  }
  return success();
}

/// What offsets of codes add, then what zero points and minima are multiplied with.
static LogicalResult verifySums(ContractOp op, RankedTensorType lhs, QuantizedAttr weights) {
  SmallVector<StringRef> wanted;
  auto levels = numerics::integerLevelsOf(weights.getCodeFormat().getReference());
  if (lhs.getEncoding() && levels && levels->offset != 0)
    wanted.push_back("i32");
  if (weights.getZeroTree())
    wanted.push_back("f32");
  auto given = op.getSums().getTypes();
  bool isRight =
      given.size() == wanted.size() && llvm::all_of(llvm::zip(given, wanted), [](auto pair) {
        auto type = dyn_cast<ShapedType>(std::get<0>(pair));
        bool isFloat = std::get<1>(pair) == "f32";
        return type && type.getRank() == 2 &&
               (isFloat ? type.getElementType().isF32() : type.getElementType().isInteger(32));
      });
  if (isRight)
    return success();
  return op.emitOpError() << "takes of its activations, by row and block, "
                          << (wanted.empty() ? "no sums" : "sums in " + llvm::join(wanted, " and "))
                          << ", not " << (given.empty() ? "none" : "") << given;
}

LogicalResult ContractOp::verify() {
  auto lhs = dyn_cast<RankedTensorType>(getLhsType()),
       rhs = dyn_cast<RankedTensorType>(getRhsType());
  if (!lhs || !rhs || lhs.getRank() != 2 || rhs.getRank() != 2 || !lhs.getElementType().isF32() ||
      !rhs.getElementType().isF32())
    return emitOpError() << "contracts f32 matrices, not " << getLhsType() << " and "
                         << getRhsType();
  if (lhs.getDimSize(1) != rhs.getDimSize(1))
    return emitOpError() << "contracts " << lhs.getDimSize(1) << " columns with "
                         << rhs.getDimSize(1);
  for (RankedTensorType type : {lhs, rhs})
    if (failed(verifyEncodedType(type, [&] { return emitOpError(); })))
      return failure();
  auto weights = dyn_cast_or_null<QuantizedAttr>(rhs.getEncoding());
  if (!weights || !weights.getStorage().hasInnerTiles())
    return emitOpError() << "needs weights in a layout with inner tiles, not " << rhs;
  if (failed(verifyStored(*this, lhs, getLhs().getTypes(), "lhs")) ||
      failed(verifyStored(*this, rhs, getRhs().getTypes(), "rhs")))
    return failure();
  if (failed(verifySums(*this, lhs, weights)))
    return failure();
  auto init = dyn_cast<ShapedType>(getInit().getType());
  if (!init || init.getRank() != 2 || !init.getElementType().isF32() ||
      failed(verifyCompatibleDims({init.getDimSize(0), lhs.getDimSize(0)})))
    return emitOpError() << "adds to an f32 matrix with the rows of lhs, not "
                         << getInit().getType();
  if (init.getDimSize(1) > rhs.getDimSize(0))
    return emitOpError() << "adds to at most the " << rhs.getDimSize(0) << " outputs of rhs, not "
                         << getInit().getType();
  if (isa<RankedTensorType>(init) != bool(getResult()))
    return emitOpError() << "has a result where it adds to a tensor, and only there";
  if (getResult() && getResult().getType() != getInit().getType())
    return emitOpError() << "its result has the type of what it adds to";
  return success();
}

void ContractOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  for (OpOperand &operand : getOperation()->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    effects.emplace_back(MemoryEffects::Read::get(), &operand);
    if (operand.get() == getInit())
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
  }
}

bool ContractOp::bufferizesToMemoryRead(OpOperand &, const bufferization::AnalysisState &) {
  return true;
}
bool ContractOp::bufferizesToMemoryWrite(OpOperand &operand, const bufferization::AnalysisState &) {
  return operand == getInitMutable();
}
bufferization::AliasingValueList
ContractOp::getAliasingValues(OpOperand &operand, const bufferization::AnalysisState &) {
  if (operand != getInitMutable() || !getResult())
    return {};
  return {{getResult(), bufferization::BufferRelation::Equivalent}};
}
LogicalResult ContractOp::bufferize(RewriterBase &rewriter,
                                    const bufferization::BufferizationOptions &options,
                                    bufferization::BufferizationState &state) {
  if (!getResult())
    return success();
  SmallVector<Value> operands;
  for (Value operand : getOperands()) {
    if (isa<TensorType>(operand.getType())) {
      FailureOr<Value> buffer = bufferization::getBuffer(rewriter, operand, options, state);
      if (failed(buffer))
        return failure();
      operand = *buffer;
    }
    operands.push_back(operand);
  }
  ContractOp::create(rewriter, getLoc(), TypeRange(), operands, getOperation()->getAttrs());
  bufferization::replaceOpWithBufferizedValues(rewriter, getOperation(), operands.back());
  return success();
}

//===----------------------------------------------------------------------===//
// Lanes
//===----------------------------------------------------------------------===//

LogicalResult Dot4Op::verify() {
  int64_t lanes = getAccumulator().getType().getDimSize(0);
  if (getLhs().getType().getDimSize(0) != 4 * lanes)
    return emitOpError() << "multiplies four bytes for each of " << lanes << " lanes, not "
                         << getLhs().getType();
  return success();
}

void LookupOp::build(OpBuilder &b, OperationState &state, Value table, Value indices) {
  auto type = cast<VectorType>(indices.getType());
  build(b, state, type.clone(cast<VectorType>(table.getType()).getElementType()), table, indices);
}

LogicalResult LookupOp::verify() {
  Type element = getTable().getType().getElementType();
  if (getResult().getType().getElementType() != element ||
      getResult().getType().getShape() != getIndices().getType().getShape() ||
      getIndices().getType().getElementTypeBitWidth() != element.getIntOrFloatBitWidth())
    return emitOpError() << "gives an element of the table for each index of its width, not "
                         << getResult().getType() << " for " << getIndices().getType();
  return success();
}
