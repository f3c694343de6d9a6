//===- QuantizeActivations.cpp - Round what encoded weights multiply -------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "EmptyComponents.h"
#include "InnerTilePlan.h"
#include "Reports.h"
#include "SplitOutliers.h"
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

  /// `x` as it decodes from `encoding`: by ops on encoded tensors, or on their components where
  /// there are no encoded tensors any more.
  FailureOr<Value> round(OpBuilder &b, Location loc, Value x, EncodingAttrInterface encoding,
                         bool isInComponents) {
    auto type = cast<RankedTensorType>(x.getType()).cloneWithEncoding(encoding);
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, x);
    if (!isInComponents) {
      Value storage = tensor::EmptyOp::create(b, loc, sizes, type.getElementType(), encoding);
      return DecodeOp::create(b, loc, EncodeOp::create(b, loc, type, x, storage)).getResult();
    }
    auto storage = emptyComponents(b, loc, type, sizes);
    if (failed(storage))
      return failure();
    auto codes = encodeWhole(b, loc, type, x, *storage);
    if (failed(codes))
      return failure();
    return DecodeRegionOp::create(b, loc, type, *codes, wholeBox(b, loc, type, *codes)).getResult();
  }

  EncodingAttrInterface wanted; // absent: activations stay as they are

  /// Once for all functions, so that what is wrong is said once.
  LogicalResult initialize(MLIRContext *context) override {
    if (!(outlierThreshold >= 0))
      return emitError(UnknownLoc::get(context))
             << "outliers cannot begin at " << outlierThreshold << ": give a positive number";
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

  /// What a product is told to round its input to, or what a weight is (in whatever form it is
  /// stored), or what the option says.
  Attribute findOwn(linalg::LinalgOp product, Value stored) {
    if (Attribute told = product->getAttr(LowbitDialect::kActivationsAttrName))
      return told;
    if (auto converted = stored.getDefiningOp<ConvertOp>())
      stored = converted.getSource();
    if (auto parameter = stored.getDefiningOp<ParameterOp>())
      return parameter->getAttr(LowbitDialect::kActivationsAttrName);
    auto argument = dyn_cast<BlockArgument>(stored);
    if (!argument || argument.getOwner() != &getOperation().front())
      return {};
    return getOperation().getArgAttr(argument.getArgNumber(), LowbitDialect::kActivationsAttrName);
  }

  /// What is multiplied with a weight becomes; null: it stays.
  EncodingAttrInterface findChoice(linalg::LinalgOp product, Value weight) {
    auto decode = weight.getDefiningOp<DecodeOp>();
    if (Attribute own = findOwn(product, decode ? decode.getSource() : weight))
      return dyn_cast<EncodingAttrInterface>(own); // or "f32"
    // Of a plain weight, or of a term, only what is told is rounded.
    return decode ? wanted : EncodingAttrInterface();
  }

  /// `split.rest` is rounded.
  struct Rounded {
    Value value;
    SplitActivations split;
  };
  llvm::MapVector<std::pair<Value, Attribute>, Rounded> rounded;
  SmallVector<std::pair<OpOperand *, Rounded>> replacements;

  LogicalResult roundInput(linalg::LinalgOp op, OpOperand &weights) {
    RankedTensorType type = getDecodedType(weights.get());
    bool isPlain = !type;
    if (isPlain)
      type = cast<RankedTensorType>(weights.get().getType());
    EncodingAttrInterface wanted = findChoice(op, weights.get());
    auto term = dyn_cast_or_null<QuantizedAttr>(type.getEncoding());
    if (wanted && !isPlain && !term && weights.get().getDefiningOp<DecodeOp>()) {
      if (auto rounding = dyn_cast<QuantizedAttr>(wanted); rounding && rounding.hasGivenScales())
        return op->emitError("scales of inputs are given for a weight of one term: those that the "
                             "terms of ")
               << textOf(type.getEncoding()) << " meet are others";
      // Its terms meet inputs of their own, when the product has been distributed over them.
      op->setAttr(LowbitDialect::kActivationsAttrName, wanted);
      return success();
    }
    op->removeAttr(LowbitDialect::kActivationsAttrName);
    OpOperand *input = op.getDpsInputOperand(1 - weights.getOperandNumber());
    if (!wanted || getDecodedType(input->get()))
      return success();
    auto rounding = dyn_cast<QuantizedAttr>(wanted);
    if (!rounding)
      return op->emitError("inputs are rounded to codes of one term, not to ") << textOf(wanted);
    if (isa<LearnedFormatAttr>(rounding.getCodeFormat()))
      return op->emitError("inputs cannot be rounded to levels that a tensor brings along: ")
             << textOf(wanted);
    bool isForKernels = !isPlain && isIntegerActivation(rounding);
    // What lies in no inner tiles is no contraction of codes anyway, as is said elsewhere. But
    // what no kernel reads as codes was not asked for to be fast: it is rounded everywhere.
    if (term && (isForKernels ? !term.getStorage().hasInnerTiles() : isFloatTerm(term)))
      return success();
    auto encoded = cast<RankedTensorType>(input->get().getType()).cloneWithEncoding(wanted);
    if (failed(verifyEncodedType(encoded, [&] { return op->emitError(); })))
      return failure();
    std::string reason;
    if (isForKernels && failed(planInnerTiles(encoded, type, reason))) {
      report.missed(op, "activations stay f32", "the contraction " + reason);
      return success();
    }
    Rounded &found = rounded[{input->get(), wanted}];
    if (!found.value) {
      OpBuilder b(&getContext());
      b.setInsertionPointAfterValue(input->get());
      Location loc = input->get().getLoc();
      found.split = {input->get(), input->get(), {}, 0};
      if (outlierThreshold > 0)
        found.split = splitOutliers(b, loc, input->get(), outlierThreshold);
      bool isInComponents = weights.get().getDefiningOp<DecodeRegionOp>() != nullptr;
      auto made = round(b, loc, found.split.rest, wanted, isInComponents);
      if (failed(made))
        return op->emitError() << "inputs cannot be encoded in " << textOf(wanted);
      found.value = *made;
    }
    replacements.push_back({input, found});
    return success();
  }

  void runOnOperation() override {
    rounded.clear();
    replacements.clear();
    WalkResult walked = getOperation().walk([&](linalg::LinalgOp op) -> WalkResult {
      if (op.hasPureTensorSemantics() && linalg::isaContractionOpInterface(op))
        for (OpOperand *operand : op.getDpsInputOperands())
          if (isWeightOfProduct(*operand) && failed(roundInput(op, *operand)))
            return WalkResult::interrupt();
      return WalkResult::advance();
    });
    if (walked.wasInterrupted())
      return signalPassFailure();
    for (auto &[operand, found] : replacements) {
      operand->set(found.value);
      if (found.split.any)
        addOutlierProduct(cast<linalg::LinalgOp>(operand->getOwner()), *operand, found.split);
    }
  }
};
} // namespace
