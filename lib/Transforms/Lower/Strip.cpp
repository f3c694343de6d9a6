//===- Strip.cpp - The full-precision program -----------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/BuiltinOps.h"

namespace lowbit {
#define GEN_PASS_DEF_STRIP
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {
struct StripPass : lowbit::impl::StripBase<StripPass> {
  using StripBase::StripBase;

  LogicalResult stripParameters() {
    SmallVector<ParameterOp> encoded;
    getOperation().walk([&](ParameterOp parameter) {
      if (getEncoding(parameter.getType()))
        encoded.push_back(parameter);
    });
    for (ParameterOp parameter : encoded) {
      parameter.getResult().setType(getPlainType(cast<RankedTensorType>(parameter.getType())));
      for (Operation *user : llvm::make_early_inc_range(parameter->getUsers())) {
        if (isa<DecodeOp>(user)) {
          user->getResult(0).replaceAllUsesWith(parameter);
          user->erase();
        } else if (!isa<linalg::LinalgOp>(user)) {
          return user->emitError()
                 << "takes the encoded parameter \"" << parameter.getKey()
                 << "\": only products and decodes of parameters can be stripped; inline calls "
                    "before";
        }
      }
    }
    return success();
  }

  void runOnOperation() override {
    if (onlyParameters) {
      if (failed(stripParameters()))
        signalPassFailure();
      return;
    }
    bool failedAny = false;
    SmallVector<Operation *> conversions;
    SmallVector<InsertOp> inserts;
    getOperation().walk([&](Operation *op) {
      if (isa<DecodeOp, EncodeOp, ConvertOp>(op))
        conversions.push_back(op);
      else if (auto insert = dyn_cast<InsertOp>(op))
        inserts.push_back(insert);
      else if (isa<LowbitDialect>(op->getDialect()) && !isa<ParameterOp>(op)) {
        op->emitError() << (isa<ObserveOp>(op)
                                ? "the program has taps already: they are put in once"
                                : "a program that takes components apart has no full-precision "
                                  "form; strip it before");
        failedAny = true;
      }
    });
    if (failedAny)
      return signalPassFailure();
    AttrTypeReplacer replacer;
    replacer.addReplacement([](RankedTensorType type) -> std::optional<Type> {
      if (getEncoding(type))
        return getPlainType(type);
      return std::nullopt;
    });
    replacer.addReplacement(
        [](DenseElementsAttr values) -> std::optional<std::pair<Attribute, WalkResult>> {
          if (!getEncoding(values.getType()))
            return std::nullopt;
          return std::make_pair(
              Attribute(values.reshape(getPlainType(cast<RankedTensorType>(values.getType())))),
              WalkResult::skip());
        });
    replacer.recursivelyReplaceElementsIn(getOperation(), /*replaceAttrs=*/true,
                                          /*replaceLocs=*/false,
                                          /*replaceTypes=*/true);
    for (InsertOp op : inserts) {
      OpBuilder b(op);
      SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, op.getLoc(), op.getSource()),
                                strides(sizes.size(), b.getIndexAttr(1));
      op->getResult(0).replaceAllUsesWith(tensor::InsertSliceOp::create(
          b, op.getLoc(), op.getSource(), op.getDest(), op.getMixedOffsets(), sizes, strides));
      op->erase();
    }
    for (Operation *op : conversions) {
      op->getResult(0).replaceAllUsesWith(op->getOperand(0));
      op->erase();
    }
  }
};
} // namespace
