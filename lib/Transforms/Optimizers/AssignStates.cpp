//===- AssignStates.cpp - Types of an optimizer's tensors -----------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitDialect.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Optimizers/Passes.h"
#include "lowbit/Transforms/Optimizers/StateAssignments.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"

namespace lowbit {
#define GEN_PASS_DEF_ASSIGNSTATES
#include "lowbit/Transforms/Optimizers/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

/// Gives `value` a type, and with it every result that is computed in its place: by an op that
/// writes to it, or in a branch of an `scf.if`. Functions that are called take what is decoded.
static void setType(Value value, Type type) {
  if (value.getType() == type)
    return;
  value.setType(type);
  for (OpOperand &use : llvm::make_early_inc_range(value.getUses())) {
    Operation *user = use.getOwner();
    if (auto op = dyn_cast<DestinationStyleOpInterface>(user); op && op.isDpsInit(&use)) {
      setType(op.getTiedOpResult(&use), type);
    } else if (isa<scf::YieldOp>(user) && isa<scf::IfOp>(user->getParentOp())) {
      setType(user->getParentOp()->getResult(use.getOperandNumber()), type);
    } else if (isa<func::CallOp>(user)) {
      OpBuilder b(user);
      use.set(DecodeOp::create(b, user->getLoc(), value));
    }
  }
}

namespace {
struct AssignStatesPass : lowbit::impl::AssignStatesBase<AssignStatesPass> {
  using AssignStatesBase::AssignStatesBase;

  LogicalResult assign(func::FuncOp rule, const StateAssignments &states) {
    if (rule.isExternal())
      return success();
    for (BlockArgument argument : rule.getArguments()) {
      auto type = dyn_cast<RankedTensorType>(argument.getType());
      if (!type || type.getEncoding())
        continue;
      EncodingAttrInterface encoding =
          states.find(rule, argument.getArgNumber(), parameter, type.getShape());
      if (!encoding)
        continue;
      RankedTensorType encoded = type.cloneWithEncoding(encoding);
      if (failed(verifyEncodedType(encoded, [&] {
            return rule.emitError() << "argument " << argument.getArgNumber() << ", "
                                    << rule.getArgAttr(argument.getArgNumber(), kNameAttrName)
                                    << ", cannot be stored so: ";
          })))
        return failure();
      setType(argument, encoded);
    }
    auto end = dyn_cast<func::ReturnOp>(rule.getBody().back().getTerminator());
    if (end)
      rule.setType(FunctionType::get(&getContext(), rule.getBody().getArgumentTypes(),
                                     end.getOperandTypes()));
    return success();
  }

  void runOnOperation() override {
    auto states = StateAssignments::parse(assignments, &getContext(),
                                          [&] { return getOperation().emitError(); });
    if (failed(states))
      return signalPassFailure();
    for (auto rule : getOperation().getOps<func::FuncOp>())
      if (failed(assign(rule, *states)))
        return signalPassFailure();
  }
};
} // namespace
