//===- ArgumentOrigins.cpp - Whose storage a value may take ---------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ArgumentOrigins.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"

using namespace mlir;
using namespace lowbit;

namespace {
class Tracer {
public:
  Tracer(func::FuncOp function, SymbolTable &symbols) : function(function), symbols(symbols) {}

  void visit(Value value) {
    if (!isa<TensorType>(value.getType()) || !seen.insert(value).second)
      return;
    if (auto argument = dyn_cast<BlockArgument>(value))
      return visitArgument(argument);
    auto result = cast<OpResult>(value);
    Operation *op = result.getOwner();
    if (auto call = dyn_cast<func::CallOp>(op))
      return visitCall(call, result.getResultNumber());
    if (auto loop = dyn_cast<scf::ForallOp>(op))
      return visit(loop.getTiedOpOperand(result)->get());
    if (auto loop = dyn_cast<scf::ForOp>(op)) {
      visit(loop.getInitArgs()[result.getResultNumber()]);
      return visit(loop.getYieldedValues()[result.getResultNumber()]);
    }
    if (op->getNumRegions() && !isa<DestinationStyleOpInterface>(op))
      return visitRegions(op, result.getResultNumber());
    if (auto destination = dyn_cast<DestinationStyleOpInterface>(op))
      return visit(destination.getTiedOpOperand(result)->get());
    // Views and choices: any tensor operand.
    for (Value operand : op->getOperands())
      visit(operand);
  }

  llvm::SmallDenseSet<unsigned> found;

private:
  void visitArgument(BlockArgument argument) {
    Operation *parent = argument.getOwner()->getParentOp();
    if (parent == function) {
      if (argument.getOwner()->isEntryBlock()) {
        found.insert(argument.getArgNumber());
        return;
      }
      // A branch passes it: which value is not worth finding out.
      for (unsigned i = 0; i < function.getNumArguments(); ++i)
        found.insert(i);
      return;
    }
    if (auto loop = dyn_cast<scf::ForallOp>(parent);
        loop && argument.getArgNumber() >= loop.getRank())
      return visit(loop.getTiedOpOperand(argument)->get());
    for (Value operand : parent->getOperands())
      visit(operand);
  }

  void visitRegions(Operation *op, unsigned number) {
    for (Value operand : op->getOperands())
      visit(operand);
    for (Region &region : op->getRegions())
      for (Block &block : region)
        if (Operation *end = block.mightHaveTerminator() ? block.getTerminator() : nullptr) {
          if (isa<scf::IfOp>(op))
            visit(end->getOperand(number));
          else
            for (Value yielded : end->getOperands())
              visit(yielded);
        }
  }

  void visitCall(func::CallOp call, unsigned number) {
    auto callee = symbols.lookup<func::FuncOp>(call.getCallee());
    if (!callee || callee.isDeclaration() || callee == function) {
      for (Value operand : call.getOperands())
        visit(operand);
      return;
    }
    for (unsigned argument : argumentOriginsOf(callee, number, symbols))
      visit(call.getOperand(argument));
  }

  func::FuncOp function;
  SymbolTable &symbols;
  llvm::DenseSet<Value> seen;
};
} // namespace

llvm::SmallDenseSet<unsigned> lowbit::argumentOriginsOf(func::FuncOp function, unsigned result,
                                                        SymbolTable &symbols) {
  Tracer tracer(function, symbols);
  function.walk([&](func::ReturnOp op) { tracer.visit(op.getOperand(result)); });
  return tracer.found;
}
