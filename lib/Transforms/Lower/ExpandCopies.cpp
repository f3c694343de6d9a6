//===- ExpandCopies.cpp - Copies between buffers as loops -----------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace lowbit {
#define GEN_PASS_DEF_EXPANDCOPIES
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;

namespace {
struct ExpandCopiesPass : lowbit::impl::ExpandCopiesBase<ExpandCopiesPass> {
  void runOnOperation() override {
    getOperation().walk([](memref::CopyOp op) {
      auto source = dyn_cast<MemRefType>(op.getSource().getType()),
           target = dyn_cast<MemRefType>(op.getTarget().getType());
      if (!source || !target)
        return;
      OpBuilder b(op);
      AffineMap identity = b.getMultiDimIdentityMap(source.getRank());
      SmallVector<utils::IteratorType> loops(source.getRank(), utils::IteratorType::parallel);
      linalg::GenericOp::create(b, op.getLoc(), op.getSource(), op.getTarget(),
                                ArrayRef<AffineMap>{identity, identity}, loops,
                                [](OpBuilder &b, Location loc, ValueRange elements) {
                                  linalg::YieldOp::create(b, loc, elements[0]);
                                });
      op.erase();
    });
  }
};
} // namespace
