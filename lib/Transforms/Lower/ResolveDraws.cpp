//===- ResolveDraws.cpp - Where random numbers begin ----------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitDialect.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace lowbit {
#define GEN_PASS_DEF_RESOLVEDRAWS
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {
struct ResolveDrawsPass : lowbit::impl::ResolveDrawsBase<ResolveDrawsPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    SmallVector<DrawOriginOp> origins;
    function.walk([&](DrawOriginOp op) { origins.push_back(op); });
    if (origins.empty())
      return;
    OpBuilder b(function.getBody());
    Value zero;
    auto find = [&](StringRef attribute) -> Value {
      for (BlockArgument argument : function.getArguments())
        if (function.getArgAttr(argument.getArgNumber(), attribute))
          return argument;
      if (!zero)
        zero = arith::ConstantOp::create(b, function.getLoc(), b.getI64IntegerAttr(0));
      return zero;
    };
    Value number = find(LowbitDialect::kDrawNumberAttrName),
          row = find(LowbitDialect::kDrawRowAttrName),
          column = find(LowbitDialect::kDrawColumnAttrName);
    for (DrawOriginOp op : origins) {
      op.getNumber().replaceAllUsesWith(number);
      op.getRow().replaceAllUsesWith(row);
      op.getColumn().replaceAllUsesWith(column);
      op.erase();
    }
  }
};
} // namespace
