//===- PrefetchLoads.cpp - Vector loads from memory ask for what follows ---===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

namespace lowbit {
#define GEN_PASS_DEF_PREFETCHLOADS
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;

/// The buffer that `view` is a part of, if it comes from outside of the function.
static Value findRoot(Value view) {
  while (auto op = view.getDefiningOp<ViewLikeOpInterface>())
    view = op.getViewSource();
  auto argument = dyn_cast<BlockArgument>(view);
  bool isArgument = argument && isa<func::FuncOp>(argument.getOwner()->getParentOp());
  return isArgument || view.getDefiningOp<lowbit::ParameterBufferOp>() ? view : nullptr;
}

static int64_t bytesOf(Type element) {
  return llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
}

namespace {
struct PrefetchLoadsPass : lowbit::impl::PrefetchLoadsBase<PrefetchLoadsPass> {
  using PrefetchLoadsBase::PrefetchLoadsBase;

  /// Whether a buffer does not stay in a cache near the core from one use to the next.
  bool isLarge(MemRefType type) const {
    return !type.hasStaticShape() || type.getNumElements() >= least / bytesOf(type.getElementType());
  }

  void runOnOperation() override {
    if (distance == 0)
      return;
    getOperation().walk([&](vector::LoadOp load) {
      auto type = cast<MemRefType>(load.getBase().getType());
      Value root = findRoot(load.getBase());
      if (!root || !load->getParentOfType<scf::ForOp>() || !type.isLastDimUnitStride() ||
          !isLarge(cast<MemRefType>(root.getType())))
        return;
      OpBuilder b(load);
      SmallVector<Value> indices(load.getIndices());
      Value ahead = arith::ConstantIndexOp::create(b, load.getLoc(),
                                                   distance / bytesOf(type.getElementType()));
      indices.back() = arith::AddIOp::create(b, load.getLoc(), indices.back(), ahead);
      memref::PrefetchOp::create(b, load.getLoc(), load.getBase(), indices, /*isWrite=*/false,
                                 locality, /*isDataCache=*/true);
    });
  }
};
} // namespace
