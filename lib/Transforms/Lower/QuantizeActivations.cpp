//===- QuantizeActivations.cpp - Round what encoded weights multiply -------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "InnerTilePlan.h"
#include "Reports.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace lowbit {
#define GEN_PASS_DEF_QUANTIZEACTIVATIONS
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {
struct QuantizeActivationsPass : lowbit::impl::QuantizeActivationsBase<QuantizeActivationsPass> {
  using QuantizeActivationsBase::QuantizeActivationsBase;

  Reporter report{getArgumentName(), "activations"};

  Value round(OpBuilder &b, Location loc, Value x, EncodingAttrInterface encoding) {
    auto type = cast<RankedTensorType>(x.getType()).cloneWithEncoding(encoding);
    Value storage = tensor::EmptyOp::create(b, loc, tensor::getMixedSizes(b, loc, x),
                                            type.getElementType(), encoding);
    Value codes = EncodeOp::create(b, loc, type, x, storage);
    return DecodeOp::create(b, loc, codes);
  }

  EncodingAttrInterface wanted; // absent: activations stay as they are

  /// Once for all functions, so that what is wrong is said once.
  LogicalResult initialize(MLIRContext *context) override {
    if (encoding.empty())
      return success();
    wanted = parseEncoding("#lowbit.quantized<" + encoding + ">", context);
    if (!wanted)
      return emitError(UnknownLoc::get(context))
             << "'" << encoding << "' is no encoding of activations";
    return success();
  }

  /// Outliers in floats of 16 bits are kept for inputs of full precision.
  static bool isFloatTerm(QuantizedAttr term) {
    numerics::Format format = term.getCodeFormat().getReference();
    return !term.getScale() && format.isFloat() && format.bits() >= 16;
  }

  void runOnOperation() override {
    if (!wanted)
      return;
    auto rounding = dyn_cast<QuantizedAttr>(wanted);
    bool isForKernels = rounding && isIntegerActivation(rounding);
    llvm::MapVector<Value, Value> rounded;
    SmallVector<std::pair<OpOperand *, Value>> replacements;
    WalkResult walked = getOperation().walk([&](linalg::LinalgOp op) {
      if (!linalg::isaContractionOpInterface(op))
        return WalkResult::advance();
      for (OpOperand *weights : op.getDpsInputOperands()) {
        RankedTensorType type = getDecodedType(weights->get());
        if (!type || !isWeightOfProduct(*weights))
          continue;
        // What lies in no inner tiles is no contraction of codes anyway, as is said elsewhere. But
        // what no kernel reads as codes was not asked for to be fast: it is rounded everywhere.
        auto term = dyn_cast<QuantizedAttr>(type.getEncoding());
        if (term && (isForKernels ? !term.getStorage().hasInnerTiles() : isFloatTerm(term)))
          continue;
        OpOperand *input = op.getDpsInputOperand(1 - weights->getOperandNumber());
        if (getDecodedType(input->get()))
          continue;
        auto encoded = cast<RankedTensorType>(input->get().getType()).cloneWithEncoding(wanted);
        if (failed(verifyEncodedType(encoded, [&] { return op->emitError(); })))
          return WalkResult::interrupt();
        std::string reason;
        if (isForKernels && failed(planInnerTiles(encoded, type, reason))) {
          report.missed(op, "activations stay f32", "the contraction " + reason);
          continue;
        }
        Value &value = rounded[input->get()];
        if (!value) {
          OpBuilder b(&getContext());
          b.setInsertionPointAfterValue(input->get());
          value = round(b, input->get().getLoc(), input->get(), wanted);
        }
        replacements.push_back({input, value});
      }
      return WalkResult::advance();
    });
    if (walked.wasInterrupted())
      return signalPassFailure();
    for (auto [operand, value] : replacements)
      operand->set(value);
  }
};
} // namespace
