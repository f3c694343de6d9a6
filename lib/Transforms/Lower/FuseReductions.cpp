//===- FuseReductions.cpp - Reductions of what an op computes --------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
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
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/RegionUtils.h"

namespace lowbit {
#define GEN_PASS_DEF_FUSEREDUCTIONS
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;
using linalg::GenericOp;
using utils::IteratorType;

/// What is combined is the same in any order.
static bool isAnyOrder(GenericOp reduction) {
  Operation *combiner = reduction.getBlock()->getTerminator()->getOperand(0).getDefiningOp();
  return isa_and_nonnull<arith::MaxSIOp, arith::MaxUIOp, arith::MinSIOp, arith::MinUIOp>(combiner);
}

/// The op that computes what is reduced along its last dimension, element by element.
static GenericOp findProducer(GenericOp reduction) {
  if (reduction.getNumDpsInputs() != 1 || reduction.getNumResults() != 1 ||
      reduction.hasIndexSemantics() || !isAnyOrder(reduction))
    return nullptr;
  OpOperand *input = reduction.getDpsInputOperand(0);
  auto producer = input->get().getDefiningOp<GenericOp>();
  unsigned loops = reduction.getNumLoops();
  SmallVector<IteratorType> iterators(loops, IteratorType::parallel);
  iterators.back() = IteratorType::reduction;
  if (!producer || producer->getBlock() != reduction->getBlock() ||
      reduction.getIteratorTypesArray() != iterators ||
      !reduction.getMatchingIndexingMap(input).isIdentity() || producer.getNumLoops() != loops ||
      llvm::any_of(producer.getStaticLoopRanges(), ShapedType::isDynamic))
    return nullptr;
  bool isElementwise = llvm::all_of(llvm::seq(loops), [&](unsigned dim) {
    return producer.getIteratorTypesArray()[dim] == IteratorType::parallel || dim == loops - 1;
  });
  auto result = cast<OpResult>(input->get());
  OpOperand *computed = producer.getDpsInitOperand(result.getResultNumber());
  return isElementwise && producer.getMatchingIndexingMap(computed).isIdentity() ? producer
                                                                                 : nullptr;
}

static void fuse(RewriterBase &rw, GenericOp producer, GenericOp reduction) {
  if (failed(moveValueDefinitions(rw, reduction.getOutputs(), producer)))
    return;
  rw.setInsertionPoint(producer);
  unsigned reduced = cast<OpResult>(reduction.getInputs()[0]).getResultNumber();
  SmallVector<AffineMap> maps = producer.getIndexingMapsArray();
  maps.push_back(reduction.getMatchingIndexingMap(reduction.getDpsInitOperand(0)));
  SmallVector<Value> inits = producer.getOutputs();
  llvm::append_range(inits, reduction.getOutputs());
  auto fused = GenericOp::create(
      rw, producer.getLoc(), ValueRange(inits).getTypes(), producer.getInputs(), inits, maps,
      reduction.getIteratorTypesArray(), [&](OpBuilder &b, Location loc, ValueRange values) {
        IRMapping mapping;
        mapping.map(producer.getBlock()->getArguments(), values.drop_back());
        for (Operation &inner : producer.getBlock()->without_terminator())
          b.clone(inner, mapping);
        SmallVector<Value> results =
            llvm::map_to_vector(producer.getBlock()->getTerminator()->getOperands(),
                                [&](Value value) { return mapping.lookupOrDefault(value); });
        mapping.map(reduction.getBlock()->getArguments(),
                    ValueRange{results[reduced], values.back()});
        for (Operation &inner : reduction.getBlock()->without_terminator())
          b.clone(inner, mapping);
        results.push_back(
            mapping.lookupOrDefault(reduction.getBlock()->getTerminator()->getOperand(0)));
        linalg::YieldOp::create(b, loc, results);
      });
  rw.replaceOp(reduction, fused.getResults().take_back());
  rw.replaceOp(producer, fused.getResults().drop_back());
}

namespace {
struct FuseReductionsPass : lowbit::impl::FuseReductionsBase<FuseReductionsPass> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<GenericOp> ops;
    getOperation().walk([&](GenericOp op) { ops.push_back(op); });
    for (GenericOp op : ops)
      if (op.getNumReductionLoops() == 1)
        if (GenericOp producer = findProducer(op))
          fuse(rewriter, producer, op);
  }
};
} // namespace
