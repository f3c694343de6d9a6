//===- ChooseLayouts.cpp - Weights in a layout that kernels read ----------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "InnerTilePlan.h"
#include "Reports.h"
#include "lowbit/IR/Leaves.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace lowbit {
#define GEN_PASS_DEF_CHOOSELAYOUTS
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

/// `type`, of one term, in a layout of inner tiles; null, with the reason, where no contraction
/// could read it so.
static RankedTensorType typeIn(Attribute layout, RankedTensorType type, std::string &reason) {
  auto term = dyn_cast<QuantizedAttr>(type.getEncoding());
  if (!term || type.getRank() != 2 || !type.hasStaticShape() || term.getStorage().hasInnerTiles()) {
    reason = "has weights that are no matrix of known size in one term";
    return {};
  }
  MLIRContext *context = type.getContext();
  QuantizedAttr tiled = term.inLayout(layout);
  // What the layout cannot hold is no error here.
  ScopedDiagnosticHandler silent(context, [&](Diagnostic &diagnostic) {
    reason = "has weights that the layout cannot hold: " + diagnostic.str();
    return success();
  });
  auto silence = [&] { return emitError(UnknownLoc::get(context)); };
  if (failed(tiled.verifyTerm(type.getShape(), type.getElementType(), silence)))
    return {};
  RankedTensorType result = type.cloneWithEncoding(tiled);
  auto x = RankedTensorType::get({ShapedType::kDynamic, type.getDimSize(1)}, type.getElementType());
  return succeeded(planInnerTiles(x, result, reason)) ? result : RankedTensorType();
}

namespace {
struct ChooseLayoutsPass : lowbit::impl::ChooseLayoutsBase<ChooseLayoutsPass> {
  using ChooseLayoutsBase::ChooseLayoutsBase;

  Reporter report{getArgumentName(), "layout"};
  /// Arguments of private functions that take tiles from all callers.
  llvm::SetVector<BlockArgument> arguments;

  /// `given` with terms in layouts of inner tiles; null, with the reason, if there are none.
  RankedTensorType tiledType(Type given, std::string &reason) {
    auto type = dyn_cast<RankedTensorType>(given);
    if (!type || !getEncoding(type)) {
      reason = "has weights that are no encoded tensor";
      return {};
    }
    MLIRContext *context = given.getContext();
    RankedTensorType tiled = mapLeaves(type, [&](RankedTensorType leaf) {
      if (inlineScales)
        if (RankedTensorType records = typeIn(RecordsLayoutAttr::get(context), leaf, reason))
          return records;
      return typeIn(TiledLayoutAttr::get(context), leaf, reason);
    });
    return tiled == type ? RankedTensorType() : tiled;
  }
  RankedTensorType tiledType(Type given) {
    std::string ignored;
    return tiledType(given, ignored);
  }

  /// The argument that a call passes `use` on to.
  BlockArgument argumentOf(OpOperand &use) {
    auto call = dyn_cast<func::CallOp>(use.getOwner());
    auto function =
        call ? getOperation().lookupSymbol<func::FuncOp>(call.getCallee()) : func::FuncOp();
    if (!function || !function.isPrivate() || function.isExternal())
      return {};
    return function.getArgument(use.getOperandNumber());
  }

  /// Products get a decode of their own where something else reads the values, too.
  void separateProducts() {
    getOperation().walk([this](DecodeOp decode) {
      auto isProduct = [](OpOperand &use) { return isWeightOfProduct(use); };
      if (!tiledType(decode.getSource().getType()) || llvm::none_of(decode->getUses(), isProduct) ||
          llvm::all_of(decode->getUses(), isProduct))
        return;
      Operation *own = OpBuilder(decode).clone(*decode);
      decode.getResult().replaceUsesWithIf(own->getResult(0), isProduct);
    });
  }

  /// Whether this use of an encoded value reads nothing but weights of products.
  bool takesTiles(OpOperand &use) {
    if (auto decode = dyn_cast<DecodeOp>(use.getOwner()))
      return !decode->use_empty() && llvm::all_of(decode->getUses(), isWeightOfProduct);
    BlockArgument argument = argumentOf(use);
    return argument && arguments.contains(argument);
  }

  bool comesFromParameters(func::FuncOp function, unsigned number) {
    std::optional<SymbolTable::UseRange> uses = function.getSymbolUses(getOperation());
    return uses && !uses->empty() && llvm::all_of(*uses, [&](SymbolTable::SymbolUse use) {
             auto call = dyn_cast<func::CallOp>(use.getUser());
             if (!call)
               return false;
             Value operand = call.getOperand(number);
             if (auto outer = dyn_cast<BlockArgument>(operand))
               return arguments.contains(outer);
             return operand.getDefiningOp<ParameterOp>() != nullptr;
           });
  }

  /// Starts with all candidates and drops those that something speaks against, until nothing does.
  void findArguments() {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function.isPrivate() && !function.isExternal())
        for (BlockArgument argument : function.getArguments())
          if (tiledType(argument.getType()) && !argument.use_empty())
            arguments.insert(argument);
    for (bool changed = true; changed;)
      changed = arguments.remove_if([&](BlockArgument argument) {
        auto function = cast<func::FuncOp>(argument.getOwner()->getParentOp());
        return !llvm::all_of(argument.getUses(), [&](OpOperand &use) { return takesTiles(use); }) ||
               !comesFromParameters(function, argument.getArgNumber());
      });
  }

  /// Why the weights that a product reads from `source` stay in their layout, as the rest of a
  /// sentence that begins with "it".
  std::string reasonToStay(Value source) {
    std::string reason;
    if (!tiledType(source.getType(), reason))
      return reason;
    if (auto argument = dyn_cast<BlockArgument>(source))
      if (auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()))
        return "has weights in argument " + std::to_string(argument.getArgNumber()) +
               (function.isPrivate()
                    ? ", which is no parameter in some call or which not only products read"
                    : ", which is laid out by callers that are not known");
    if (Operation *op = source.getDefiningOp())
      return "has weights that are no parameter: '" + op->getName().getStringRef().str() + "'";
    return "has weights that are no parameter";
  }

  /// What stays in its layout is read tile by tile, decoded, and multiplied in f32.
  LogicalResult reportStaying() {
    bool isError = false;
    getOperation().walk([&](DecodeOp decode) {
      auto term = dyn_cast<QuantizedAttr>(getEncoding(decode.getSource().getType()));
      // Terms of a combinator are known when it has been taken apart.
      if (!term || term.getStorage().hasInnerTiles())
        return;
      for (OpOperand &use : decode->getUses())
        if (isWeightOfProduct(use))
          isError |= failed(
              report.fallback(use.getOwner(), "weights stay in layout " + textOf(term.getStorage()),
                              "it " + reasonToStay(decode.getSource()), failOnFallback));
    });
    return failure(isError);
  }

  void runOnOperation() override {
    separateProducts();
    findArguments();
    SmallVector<ParameterOp> parameters;
    getOperation().walk([&](ParameterOp op) { parameters.push_back(op); });
    for (ParameterOp parameter : parameters) {
      RankedTensorType tiled = tiledType(parameter.getType());
      SmallVector<OpOperand *> uses;
      if (tiled)
        for (OpOperand &use : parameter->getUses())
          if (takesTiles(use))
            uses.push_back(&use);
      if (uses.empty())
        continue;
      OpBuilder b(&getContext());
      b.setInsertionPointAfter(parameter);
      Value converted = ConvertOp::create(b, parameter.getLoc(), tiled, parameter.getResult());
      for (OpOperand *use : uses)
        use->set(converted);
    }
    for (BlockArgument argument : arguments) {
      argument.setType(tiledType(argument.getType()));
      auto function = cast<func::FuncOp>(argument.getOwner()->getParentOp());
      function.setType(FunctionType::get(&getContext(), function.getBody().getArgumentTypes(),
                                         function.getResultTypes()));
    }
    if (failed(reportStaying()))
      signalPassFailure();
  }
};
} // namespace
