//===- AllowApproximations.cpp - Rules whose steps may be a little off ----===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitDialect.h"
#include "lowbit/Transforms/Optimizers/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"

namespace lowbit {
#define GEN_PASS_DEF_ALLOWAPPROXIMATIONS
#include "lowbit/Transforms/Optimizers/Passes.h.inc"
} // namespace lowbit

using namespace mlir;

namespace {
struct AllowApproximationsPass : lowbit::impl::AllowApproximationsBase<AllowApproximationsPass> {
  void runOnOperation() override {
    getOperation().walk([](linalg::GenericOp loop) {
      for (Operation &op : *loop.getBody()) {
        if (auto quotient = dyn_cast<arith::DivFOp>(op); quotient && quotient.getType().isF32())
          quotient.setFastmath(quotient.getFastmath() | arith::FastMathFlags::arcp);
        if (auto root = dyn_cast<math::SqrtOp>(op); root && root.getType().isF32())
          root.setFastmath(root.getFastmath() | arith::FastMathFlags::afn);
      }
    });
  }
};
} // namespace
