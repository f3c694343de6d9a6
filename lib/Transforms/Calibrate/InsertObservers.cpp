//===- InsertObservers.cpp - Taps at the inputs of products ---------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Calibrate/Passes.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/MapVector.h"

namespace lowbit {
#define GEN_PASS_DEF_INSERTOBSERVERS
#include "lowbit/Transforms/Calibrate/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

/// Whether a matrix is contracted over the last axis of both operands, and over nothing else.
static bool contractsLastAxes(linalg::LinalgOp op, OpOperand *value, OpOperand *weight) {
  SmallVector<unsigned> reductions;
  op.getReductionDims(reductions);
  if (reductions.size() != 1)
    return false;
  AffineExpr channel = getAffineDimExpr(reductions.front(), op.getContext());
  return llvm::all_of(ArrayRef<OpOperand *>{value, weight}, [&](OpOperand *operand) {
    AffineMap map = op.getMatchingIndexingMap(operand);
    return map.isProjectedPermutation() && map.getNumResults() > 0 &&
           map.getResults().back() == channel;
  });
}

namespace {
struct InsertObserversPass : lowbit::impl::InsertObserversBase<InsertObserversPass> {
  using InsertObserversBase::InsertObserversBase;

  void runOnOperation() override {
    SmallVector<int32_t> kinds;
    for (const std::string &word : statistics) {
      std::optional<StatisticKind> kind = symbolizeStatisticKind(word);
      if (!kind) {
        getOperation().emitError() << "'" << word << "' is not a statistic: give some of moments, "
                                   << "squares, sums, magnitudes, maxima, minima and histogram";
        return signalPassFailure();
      }
      if (!llvm::is_contained(kinds, int32_t(*kind)))
        kinds.push_back(int32_t(*kind));
    }
    if (kinds.empty()) {
      getOperation().emitError("no statistics are asked for: give some, as statistics=moments");
      return signalPassFailure();
    }
    // In the order of the program: the first product with a value is where its tap goes.
    llvm::MapVector<Value, SmallVector<std::pair<linalg::LinalgOp, StringRef>>> taps;
    getOperation().walk([&](linalg::LinalgOp op) {
      if (!linalg::isaContractionOpInterface(op))
        return;
      SmallVector<OpOperand *> inputs = op.getDpsInputOperands();
      for (auto [weight, value] : {std::pair(inputs[1], inputs[0]), {inputs[0], inputs[1]}}) {
        auto parameter = weight->get().getDefiningOp<ParameterOp>();
        if (!parameter)
          continue;
        if (contractsLastAxes(op, value, weight))
          taps[value->get()].push_back({op, parameter.getKey()});
        else
          op.emitRemark() << "no tap: the product with parameter '" << parameter.getKey()
                          << "' is not over the last axis of both operands alone";
        return;
      }
    });
    for (auto &[value, products] : taps) {
      OpBuilder b(products.front().first);
      SmallVector<StringRef> feeds;
      for (auto [op, key] : products)
        if (!llvm::is_contained(feeds, key))
          feeds.push_back(key);
      ObserveOp::create(b, products.front().first.getLoc(), value, b.getStrArrayAttr(feeds),
                        b.getDenseI32ArrayAttr(kinds));
    }
  }
};
} // namespace
