//===- ScaleGradients.cpp - A number that gradients are multiplied by -----===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/TileBuilder.h"
#include "lowbit/Transforms/Optimizers/Passes.h"
#include "lowbit/Transforms/Optimizers/StateAssignments.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace lowbit {
#define GEN_PASS_DEF_SCALEGRADIENTS
#include "lowbit/Transforms/Optimizers/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

static void scaleGradient(func::FuncOp rule, BlockArgument gradient) {
  OpBuilder b(rule.getBody());
  Location loc = rule.getLoc();
  Type f32 = b.getF32Type();
  auto attributes = DictionaryAttr::get(
      b.getContext(), b.getNamedAttr(kNameAttrName, b.getStringAttr("gradient_scale")));
  auto uses = llvm::map_to_vector(gradient.getUses(), [](OpOperand &use) { return &use; });
  unsigned number = rule.getNumArguments();
  (void)rule.insertArgument(number, f32, attributes, loc);
  Value scale = rule.getArgument(number);
  Value scaled = TileBuilder(b, loc).elementwise(
      gradient, f32, [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
        return {arith::MulFOp::create(t.b, t.loc, a[0], scale)};
      });
  for (OpOperand *use : uses)
    if (!isa<tensor::DimOp>(use->getOwner()))
      use->set(scaled);
}

namespace {
struct ScaleGradientsPass : lowbit::impl::ScaleGradientsBase<ScaleGradientsPass> {
  void runOnOperation() override {
    for (auto rule : getOperation().getOps<func::FuncOp>()) {
      if (rule.isExternal())
        continue;
      for (BlockArgument argument : llvm::to_vector(rule.getArguments()))
        if (isGradient(rule, argument.getArgNumber()) && isa<RankedTensorType>(argument.getType()))
          scaleGradient(rule, argument);
    }
  }
};
} // namespace
