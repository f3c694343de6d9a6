//===- InputScales.cpp - Scales that are given come from the archive ------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "InnerTilePlan.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <map>

namespace lowbit {
#define GEN_PASS_DEF_INPUTSCALES
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

/// The first product that reads what `encode` rounds, by its weight; null if there is none.
static OpOperand *findWeight(EncodeOp encode) {
  OpOperand *first = nullptr;
  for (Operation *user : encode->getUsers())
    if (auto decode = dyn_cast<DecodeOp>(user))
      for (OpOperand &use : decode->getUses()) {
        auto op = dyn_cast<linalg::LinalgOp>(use.getOwner());
        if (!op || op.getNumDpsInputs() != 2 || !op.isDpsInput(&use))
          continue;
        OpOperand *weight = op.getDpsInputOperand(1 - use.getOperandNumber());
        if (isWeightOfProduct(*weight) &&
            (!first || (op->getBlock() == first->getOwner()->getBlock() &&
                        op->isBeforeInBlock(first->getOwner()))))
          first = weight;
      }
  return first;
}

/// The parameter or argument that holds a weight, in whatever form.
static Value originOf(Value weight) {
  while (Operation *op = weight.getDefiningOp()) {
    if (!isa<DecodeOp, ConvertOp, AssembleOp, DisassembleOp, tensor::ExtractSliceOp>(op))
      break;
    weight = op->getOperand(0);
  }
  return weight;
}

namespace {
/// Finds, or makes, values beside weights: parameters beside parameters, and arguments beside
/// arguments, which callers give from beside what they give for the weight.
class Companions {
public:
  explicit Companions(ModuleOp module) : users(tables, module) {}

  /// What lies beside `weight` as "KEY.`suffix`". Failure, with the reason: it is no parameter.
  FailureOr<Value> get(Value weight, StringRef suffix, Type type, std::string &reason) {
    Value &known = found[{weight.getAsOpaquePointer(), suffix.str(), type.getAsOpaquePointer()}];
    if (known)
      return known;
    if (auto parameter = weight.getDefiningOp<ParameterOp>()) {
      // Values are rounded before the first product reads its weight.
      OpBuilder b(parameter->getContext());
      b.setInsertionPointToStart(&parameter->getParentOfType<func::FuncOp>().front());
      std::string key = (parameter.getKey() + "." + suffix).str();
      return known = ParameterOp::create(b, parameter.getLoc(), type, b.getStringAttr(key));
    }
    auto argument = dyn_cast<BlockArgument>(weight);
    auto function =
        argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : func::FuncOp();
    if (!function || !function.isPrivate()) {
      reason = argument ? "argument " + std::to_string(argument.getArgNumber()) : "computed";
      return failure();
    }
    // A call that passes the function's own argument on finds what is being made.
    unsigned number = function.getNumArguments();
    if (failed(function.insertArgument(number, type, {}, argument.getLoc()))) {
      reason = "an argument of a declaration";
      return failure();
    }
    known = function.getArgument(number);
    Value result = known;
    for (Operation *user : users.getUsers(function)) {
      auto call = dyn_cast<func::CallOp>(user);
      FailureOr<Value> given = failure();
      reason = "an argument of a function that is not only called";
      if (call)
        given = get(originOf(call.getOperand(argument.getArgNumber())), suffix, type, reason);
      if (failed(given))
        return failure();
      call->insertOperands(call->getNumOperands(), *given);
    }
    return result;
  }

private:
  SymbolTableCollection tables;
  SymbolUserMap users;
  std::map<std::tuple<const void *, std::string, const void *>, Value> found;
};

struct InputScalesPass : lowbit::impl::InputScalesBase<InputScalesPass> {
  void runOnOperation() override {
    SmallVector<EncodeOp> encodes;
    getOperation().walk([&](EncodeOp op) {
      auto term = dyn_cast<QuantizedAttr>(op.getType().getEncoding());
      if (term && term.hasGivenScales() && op.getDest().getDefiningOp<tensor::EmptyOp>())
        encodes.push_back(op);
    });
    Companions companions(getOperation());
    for (EncodeOp op : encodes)
      if (failed(give(op, companions)))
        return signalPassFailure();
  }

  /// The storage of `op` gets its scales.
  LogicalResult give(EncodeOp op, Companions &companions) {
    auto type = cast<RankedTensorType>(op.getType());
    OpOperand *weight = findWeight(op);
    if (!weight)
      return op.emitError("scales are given, but no product with a weight says which: assemble the "
                          "storage with them");
    OpBuilder b(op);
    Value origin = originOf(weight->get());
    SmallVector<Value> components;
    for (const EncodingComponent &component : getEncoding(type).getComponents(type)) {
      auto stored = dyn_cast<RankedTensorType>(component.type);
      if (stored && component.role != ComponentRole::Structure) {
        SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, op.getLoc(), op.getSource());
        for (auto [axis, n] : llvm::enumerate(stored.getShape()))
          if (!ShapedType::isDynamic(n))
            sizes[axis] = b.getIndexAttr(n);
        components.push_back(
            tensor::EmptyOp::create(b, op.getLoc(), sizes, stored.getElementType()));
        continue;
      }
      if (!stored || !stored.hasStaticShape())
        return op.emitError("component '")
               << component.name
               << "' of the inputs depends on how many there are: scales that are "
                  "given are 'per tensor'";
      std::string reason;
      FailureOr<Value> given = companions.get(origin, "input_" + component.name, stored, reason);
      if (failed(given))
        return op.emitError(
                   "scales of inputs lie beside the weight in its archive, and this weight "
                   "is no parameter: ")
               << reason;
      components.push_back(*given);
    }
    Value storage = AssembleOp::create(b, op.getLoc(), type, components);
    Operation *empty = op.getDest().getDefiningOp();
    op.getDestMutable().assign(storage);
    if (empty->use_empty())
      empty->erase();
    return success();
  }
};
} // namespace
