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

  /// What is multiplied with these weights becomes; null: it stays.
  FailureOr<EncodingAttrInterface> findChoice(Value weights) {
    if (auto converted = weights.getDefiningOp<ConvertOp>())
      weights = converted.getSource();
    Attribute own;
    if (auto parameter = weights.getDefiningOp<ParameterOp>())
      own = parameter->getAttr(LowbitDialect::kActivationsAttrName);
    else if (auto argument = dyn_cast<BlockArgument>(weights);
             argument && argument.getOwner() == &getOperation().front())
      own = getOperation().getArgAttr(argument.getArgNumber(), LowbitDialect::kActivationsAttrName);
    if (!own)
      return wanted;
    if (auto text = dyn_cast<StringAttr>(own); text && text == "f32")
      return EncodingAttrInterface();
    if (auto encoding = dyn_cast<EncodingAttrInterface>(own))
      return encoding;
    return emitError(weights.getLoc()) << "'" << LowbitDialect::kActivationsAttrName
                                       << "' is an encoding or \"f32\", not " << own;
  }

  void runOnOperation() override {
    if (getOperation().isExternal())
      return;
    llvm::MapVector<std::pair<Value, Attribute>, Value> rounded;
    SmallVector<std::pair<OpOperand *, Value>> replacements;
    // Values of weights, and what they are stored as.
    SmallVector<std::pair<Value, Value>> decoded;
    auto addPlain = [&](Value weights, Attribute own) {
      if (own && isa<RankedTensorType>(weights.getType()) && !getEncoding(weights.getType()))
        decoded.push_back({weights, weights});
    };
    for (BlockArgument argument : getOperation().getArguments())
      addPlain(argument, getOperation().getArgAttr(argument.getArgNumber(),
                                                   LowbitDialect::kActivationsAttrName));
    getOperation().walk([&](Operation *op) {
      if (auto decode = dyn_cast<DecodeOp>(op))
        decoded.push_back({decode, decode.getSource()});
      else if (auto parameter = dyn_cast<ParameterOp>(op))
        addPlain(parameter, op->getAttr(LowbitDialect::kActivationsAttrName));
    });
    for (auto [weights, stored] : decoded) {
      FailureOr<EncodingAttrInterface> choice = findChoice(stored);
      if (failed(choice))
        return signalPassFailure();
      EncodingAttrInterface wanted = *choice;
      if (!wanted)
        continue;
      auto rounding = dyn_cast<QuantizedAttr>(wanted);
      bool isForKernels = weights != stored && rounding && isIntegerActivation(rounding);
      auto type = cast<RankedTensorType>(stored.getType());
      // What lies in no inner tiles is no contraction of codes anyway, as is said elsewhere. But
      // what no kernel reads as codes was not asked for to be fast: it is rounded everywhere.
      auto term = dyn_cast_or_null<QuantizedAttr>(type.getEncoding());
      if (isForKernels && term && !term.getStorage().hasInnerTiles())
        continue;
      for (OpOperand &use : weights.getUses()) {
        if (!isWeightOfProduct(use))
          continue;
        auto op = cast<linalg::LinalgOp>(use.getOwner());
        OpOperand *input = op.getDpsInputOperand(1 - use.getOperandNumber());
        if (input->get().getDefiningOp<DecodeOp>())
          continue;
        auto encoded = cast<RankedTensorType>(input->get().getType()).cloneWithEncoding(wanted);
        if (failed(verifyEncodedType(encoded, [&] { return op->emitError(); })))
          return signalPassFailure();
        std::string reason;
        if (isForKernels && failed(planInnerTiles(encoded, type, reason))) {
          report.missed(op, "activations stay f32", "the contraction " + reason);
          continue;
        }
        Value &value = rounded[{input->get(), wanted}];
        if (!value) {
          OpBuilder b(&getContext());
          b.setInsertionPointAfterValue(input->get());
          value = round(b, input->get().getLoc(), input->get(), wanted);
        }
        replacements.push_back({input, value});
      }
    }
    for (auto [operand, value] : replacements)
      operand->set(value);
  }
};
} // namespace
