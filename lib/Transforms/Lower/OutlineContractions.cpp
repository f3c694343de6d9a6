//===- OutlineContractions.cpp - One function for equal contractions -------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/MapVector.h"

namespace lowbit {
#define GEN_PASS_DEF_OUTLINECONTRACTIONS
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

/// On buffers, of a number of rows that is not known: what becomes the most code, and takes longer
/// than a call.
static bool isWorthACall(ContractOp op) {
  auto init = dyn_cast<MemRefType>(op.getInit().getType());
  return !op.getResult() && init && init.isDynamicDim(0);
}

static func::FuncOp makeFunction(SymbolTable &symbols, ContractOp op) {
  OpBuilder b(op.getContext());
  auto function = func::FuncOp::create(op.getLoc(), "lowbit.contract",
                                       b.getFunctionType(op->getOperandTypes(), {}));
  function.setPrivate();
  // As a part of its callers it would be there many times again.
  function->setAttr("passthrough", b.getStrArrayAttr({"noinline"}));
  Block *body = function.addEntryBlock();
  b.setInsertionPointToStart(body);
  IRMapping arguments;
  arguments.map(op->getOperands(), body->getArguments());
  b.clone(*op, arguments);
  func::ReturnOp::create(b, op.getLoc());
  symbols.insert(function);
  return function;
}

namespace {
struct OutlineContractionsPass : lowbit::impl::OutlineContractionsBase<OutlineContractionsPass> {
  void runOnOperation() override {
    // By attributes and types of operands.
    using Form = std::pair<Attribute, Type>;
    llvm::MapVector<Form, SmallVector<ContractOp>> forms;
    getOperation().walk([&](ContractOp op) {
      if (isWorthACall(op))
        forms[{op->getPropertiesAsAttribute(),
               FunctionType::get(&getContext(), op->getOperandTypes(), {})}]
            .push_back(op);
    });
    SymbolTable symbols(getOperation());
    for (auto &[form, ops] : forms) {
      if (ops.size() < 2)
        continue;
      func::FuncOp function = makeFunction(symbols, ops.front());
      for (ContractOp op : ops) {
        OpBuilder b(op);
        func::CallOp::create(b, op.getLoc(), function, op->getOperands());
        op.erase();
      }
    }
  }
};
} // namespace
