//===- Materialize.cpp - From implicit notation to explicit program -------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ExplicitOps.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"

namespace lowbit {
#define GEN_PASS_DEF_MATERIALIZE
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

/// A decode must not be computed once for each element: it goes before the outermost structured op
/// around `op`.
static Operation *decodePoint(Operation *op) {
  Operation *point = op;
  for (Operation *parent = op->getParentOp(); parent; parent = parent->getParentOp())
    if (isa<linalg::LinalgOp, tensor::GenerateOp, tensor::PadOp>(parent))
      point = parent;
  return point;
}

static void decodeOperand(OpOperand &operand) {
  OpBuilder b(decodePoint(operand.getOwner()));
  operand.set(DecodeOp::create(b, operand.getOwner()->getLoc(), operand.get()));
}

/// Storage for the values of an op whose result is encoded: its plain initial value, read only if
/// the op reads it.
static Value plainInit(OpBuilder &b, DestinationStyleOpInterface op, OpOperand &init) {
  Location loc = op.getLoc();
  auto structured = dyn_cast<linalg::LinalgOp>(op.getOperation());
  bool isRead = !structured || structured.payloadUsesValueFromOperand(&init);
  if (isRead)
    return DecodeOp::create(b, loc, init.get());
  auto type = getPlainType(cast<RankedTensorType>(init.get().getType()));
  return tensor::EmptyOp::create(b, loc, tensor::getMixedSizes(b, loc, init.get()),
                                 type.getElementType());
}

static LogicalResult materialize(Operation *op) {
  auto destination = dyn_cast<DestinationStyleOpInterface>(op);
  auto isEncoded = [](Type type) { return getEncoding(type) != nullptr; };
  if (isa<tensor::CastOp>(op) && llvm::any_of(op->getResultTypes(), isEncoded))
    return op->emitError() << "tensor.cast to an encoded type would fold away; use lowbit.convert, "
                              "or lowbit.encode to round";
  if (auto cast = dyn_cast<tensor::CastOp>(op); cast && isEncoded(cast.getSource().getType()))
    return op->emitError() << "tensor.cast from an encoded type would fold away; use lowbit.decode";
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    auto type = cast<RankedTensorType>(constant.getType());
    OpBuilder b(op);
    auto values = cast<ElementsAttr>(constant.getValue());
    auto dense = dyn_cast<DenseElementsAttr>(values);
    if (!dense)
      return op->emitError()
             << "an encoded constant is dense; encode a plain one with lowbit.encode";
    Value plain = arith::ConstantOp::create(b, op->getLoc(), dense.reshape(getPlainType(type)));
    Value storage = tensor::EmptyOp::create(b, op->getLoc(), type, ValueRange());
    op->getResult(0).replaceAllUsesWith(EncodeOp::create(b, op->getLoc(), type, plain, storage));
    op->erase();
    return success();
  }
  if (llvm::any_of(op->getResultTypes(), isEncoded) && !isa_and_nonnull<linalg::LinalgOp>(op))
    return op->emitError()
           << "'" << op->getName()
           << "' cannot yield an encoded tensor: there are no encoded slices or "
           << "reshapes; decode its operand, and encode its plain result with lowbit.encode";
  if (llvm::any_of(op->getRegions(), [&](Region &region) {
        return llvm::any_of(region.getArguments(), [&](Value v) { return isEncoded(v.getType()); });
      }))
    return op->emitError()
           << "'" << op->getName()
           << "' cannot carry encoded tensors into its region; decode them before it";

  SmallVector<Value> storage(op->getNumResults());
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isEncoded(operand.get().getType()))
      continue;
    if (!destination || !destination.isDpsInit(&operand)) {
      decodeOperand(operand);
      continue;
    }
    OpBuilder b(op);
    OpResult result = destination.getTiedOpResult(&operand);
    storage[result.getResultNumber()] = operand.get();
    operand.set(plainInit(b, destination, operand));
    if (isEncoded(result.getType()))
      result.setType(operand.get().getType());
  }
  OpBuilder b(op->getContext());
  b.setInsertionPointAfter(op);
  for (auto [result, encoded] : llvm::zip(op->getResults(), storage)) {
    if (!encoded)
      continue;
    auto encode = EncodeOp::create(b, op->getLoc(), encoded.getType(), result, encoded);
    result.replaceAllUsesExcept(encode, encode);
  }
  return success();
}

namespace {
struct MaterializePass : lowbit::impl::MaterializeBase<MaterializePass> {
  void runOnOperation() override {
    SmallVector<Operation *> implicit;
    bool failedAny = false;
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (!isExplicit(op))
        implicit.push_back(op);
    });
    for (Operation *op : implicit)
      failedAny |= failed(materialize(op));
    if (failedAny)
      signalPassFailure();
  }
};
} // namespace
