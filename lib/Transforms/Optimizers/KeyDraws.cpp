//===- KeyDraws.cpp - Steps and pieces draw anew --------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitDialect.h"
#include "lowbit/Transforms/Optimizers/Passes.h"
#include "lowbit/Transforms/Optimizers/StateAssignments.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace lowbit {
#define GEN_PASS_DEF_KEYDRAWS
#include "lowbit/Transforms/Optimizers/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

static bool isRule(func::FuncOp function) {
  return llvm::any_of(llvm::seq(function.getNumArguments()),
                      [&](unsigned i) { return isGradient(function, i); });
}

static void addArgument(func::FuncOp rule, StringRef attribute, StringRef name) {
  Builder b(rule.getContext());
  auto attributes =
      DictionaryAttr::get(b.getContext(), {b.getNamedAttr(attribute, b.getUnitAttr()),
                                           b.getNamedAttr(kNameAttrName, b.getStringAttr(name))});
  (void)rule.insertArgument(rule.getNumArguments(), b.getI64Type(), attributes, rule.getLoc());
}

namespace {
struct KeyDrawsPass : lowbit::impl::KeyDrawsBase<KeyDrawsPass> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.isExternal() || !isRule(function))
        continue;
      addArgument(function, LowbitDialect::kDrawNumberAttrName, "draw_number");
      addArgument(function, LowbitDialect::kDrawRowAttrName, "draw_row");
      addArgument(function, LowbitDialect::kDrawColumnAttrName, "draw_column");
    }
  }
};
} // namespace
