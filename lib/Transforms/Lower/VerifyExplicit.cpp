//===- VerifyExplicit.cpp - No op computes on encoded tensors implicitly --===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ExplicitOps.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/CallInterfaces.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

namespace lowbit {
#define GEN_PASS_DEF_VERIFYEXPLICIT
#define GEN_PASS_DEF_VERIFYPLAIN
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

bool lowbit::isExplicit(Operation *op) {
  auto isEncoded = [](Type type) { return getEncoding(type) != nullptr; };
  bool touches = llvm::any_of(op->getOperandTypes(), isEncoded) ||
                 llvm::any_of(op->getResultTypes(), isEncoded);
  for (Region &region : op->getRegions())
    for (Block &block : region)
      touches |= llvm::any_of(block.getArgumentTypes(), isEncoded);
  if (!touches || isa<LowbitDialect>(op->getDialect()))
    return true;
  return isa<CallOpInterface, FunctionOpInterface, BranchOpInterface, tensor::EmptyOp,
             tensor::DimOp, arith::SelectOp, scf::ForOp, scf::IfOp, scf::WhileOp, scf::YieldOp,
             scf::ConditionOp>(op) ||
         (op->hasTrait<OpTrait::ReturnLike>() &&
          isa_and_nonnull<FunctionOpInterface>(op->getParentOp()));
}

static bool hasEncoding(Type type) {
  auto found = type.walk([](RankedTensorType tensor) {
    return tensor.getEncoding() ? WalkResult::interrupt() : WalkResult::advance();
  });
  return found.wasInterrupted();
}

namespace {
struct VerifyExplicitPass : lowbit::impl::VerifyExplicitBase<VerifyExplicitPass> {
  void runOnOperation() override {
    bool failedAny = false;
    getOperation().walk([&](Operation *op) {
      if (isExplicit(op))
        return;
      op->emitError() << "'" << op->getName()
                      << "' computes on an encoded tensor implicitly; run lowbit-materialize";
      failedAny = true;
    });
    if (failedAny)
      signalPassFailure();
  }
};

struct VerifyPlainPass : lowbit::impl::VerifyPlainBase<VerifyPlainPass> {
  void runOnOperation() override {
    bool failedAny = false;
    auto check = [&](Operation *op, Type type) {
      if (!hasEncoding(type))
        return true;
      op->emitError() << "an encoding is left that bufferization would drop: " << type;
      failedAny = true;
      return false;
    };
    getOperation().walk([&](Operation *op) {
      for (Type type : llvm::concat<Type>(llvm::to_vector(op->getOperandTypes()),
                                          llvm::to_vector(op->getResultTypes())))
        if (!check(op, type))
          return;
      if (auto function = dyn_cast<FunctionOpInterface>(op))
        check(op, function.getFunctionType());
    });
    if (failedAny)
      signalPassFailure();
  }
};
} // namespace
