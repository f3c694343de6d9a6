//===- BuildTiles.cpp - Region ops become IR on components ----------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

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
#define GEN_PASS_DEF_BUILDTILES
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {
struct BuildTilesPass : lowbit::impl::BuildTilesBase<BuildTilesPass> {
  void runOnOperation() override {
    WalkResult result = getOperation().walk([&](Operation *op) {
      OpBuilder b(op);
      SmallVector<Value> values;
      if (auto decode = dyn_cast<DecodeRegionOp>(op)) {
        RankedTensorType whole = decode.getWholeType();
        values.push_back(getEncoding(whole).buildDecodeTile(
            b, op->getLoc(), whole, decode.getComponents(), decode.getTensorRegion()));
      } else if (auto encode = dyn_cast<EncodeRegionOp>(op)) {
        RankedTensorType whole = encode.getWholeType();
        auto payload =
            getEncoding(whole).buildEncodeTile(b, op->getLoc(), whole, encode.getSource(),
                                               encode.getAllComponents(), encode.getTensorRegion());
        if (failed(payload)) {
          op->emitError() << "this encoding can only be read: " << whole.getEncoding();
          return WalkResult::interrupt();
        }
        values = *payload;
      } else {
        return WalkResult::advance();
      }
      for (auto [value, wanted] : llvm::zip(values, op->getResultTypes()))
        if (value.getType() != wanted)
          value = tensor::CastOp::create(b, op->getLoc(), wanted, value);
      op->replaceAllUsesWith(values);
      op->erase();
      return WalkResult::skip();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
