//===- OverlapUpdates.cpp - The rest of an update beside its codes --------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/RegionUtils.h"

namespace lowbit {
#define GEN_PASS_DEF_OVERLAPUPDATES
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;
using linalg::GenericOp;

static bool isElementwise(GenericOp op) {
  return op.getNumLoops() == op.getNumParallelLoops() && !op.hasIndexSemantics() &&
         llvm::all_of(op.getDpsInitsMutable(), [&](OpOperand &init) {
           return op.getMatchingIndexingMap(&init).isIdentity();
         });
}

/// Whether another linalg op waits for the value, in any shape.
static bool isWaitedFor(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    if (isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(user))
      return isWaitedFor(user->getResult(0));
    return isa<linalg::LinalgOp>(user);
  });
}

/// Elementwise ops of the block, on as many elements, that read results of `update` and do not need
/// one another.
static SmallVector<GenericOp> findReaders(GenericOp update) {
  SmallVector<int64_t> ranges = update.getStaticLoopRanges();
  SmallVector<GenericOp> readers;
  for (Operation &op :
       llvm::make_range(std::next(Block::iterator(update)), update->getBlock()->end())) {
    auto reader = dyn_cast<GenericOp>(op);
    if (!reader || !isElementwise(reader) || reader.getStaticLoopRanges() != ranges ||
        !llvm::is_contained(
            llvm::map_range(reader.getInputs(), [](Value v) { return v.getDefiningOp(); }), update))
      continue;
    SetVector<Operation *> needed;
    BackwardSliceOptions options;
    options.omitBlockArguments = true;
    options.filter = [&](Operation *op) { return op->getBlock() == update->getBlock(); };
    if (succeeded(getBackwardSlice(reader.getOperation(), &needed, options)) &&
        llvm::none_of(readers, [&](GenericOp other) { return needed.contains(other); }))
      readers.push_back(reader);
  }
  return readers;
}

//===----------------------------------------------------------------------===//
// Split
//===----------------------------------------------------------------------===//

/// The op for some of its results. `known` are other results, which are read instead of computed
/// again.
static GenericOp computeOnly(RewriterBase &rw, GenericOp op, ArrayRef<unsigned> results,
                             ArrayRef<std::pair<unsigned, Value>> known) {
  rw.setInsertionPoint(op);
  SmallVector<AffineMap> maps;
  SmallVector<Value> inputs, inits;
  SmallVector<BlockArgument> arguments;
  auto take = [&](OpOperand &operand, SmallVectorImpl<Value> &values) {
    values.push_back(operand.get());
    maps.push_back(op.getMatchingIndexingMap(&operand));
    arguments.push_back(op.getMatchingBlockArgument(&operand));
  };
  for (OpOperand *input : op.getDpsInputOperands())
    take(*input, inputs);
  for (auto [i, init] : llvm::enumerate(op.getDpsInitsMutable()))
    if (!llvm::is_contained(results, i))
      take(init, inputs);
  unsigned firstKnown = inputs.size();
  for (auto [i, value] : known) {
    inputs.push_back(value);
    maps.push_back(op.getMatchingIndexingMap(op.getDpsInitOperand(i)));
  }
  for (unsigned i : results)
    take(*op.getDpsInitOperand(i), inits);
  SmallVector<utils::IteratorType> iterators = op.getIteratorTypesArray();
  Operation *yield = op.getBlock()->getTerminator();
  return GenericOp::create(
      rw, op.getLoc(), ValueRange(inits).getTypes(), inputs, inits, maps, iterators,
      [&](OpBuilder &b, Location loc, ValueRange values) {
        IRMapping mapping;
        SmallVector<Value> own = llvm::to_vector(values);
        SmallVector<Value> found(own.begin() + firstKnown, own.begin() + firstKnown + known.size());
        own.erase(own.begin() + firstKnown, own.begin() + firstKnown + known.size());
        for (auto [from, to] : llvm::zip_equal(arguments, own))
          mapping.map(from, to);
        for (auto [result, value] : llvm::zip_equal(known, found))
          mapping.map(yield->getOperand(result.first), value);
        for (Operation &inner : op.getBlock()->without_terminator())
          if (inner.getNumResults() != 1 || !mapping.contains(inner.getResult(0)))
            b.clone(inner, mapping);
        linalg::YieldOp::create(b, loc, llvm::map_to_vector(results, [&](unsigned i) {
                                  return mapping.lookupOrDefault(yield->getOperand(i));
                                }));
      });
}

/// Square roots that the results need before a division.
static SmallVector<Value> findRoots(GenericOp op, ArrayRef<unsigned> results) {
  SetVector<Operation *> needed;
  BackwardSliceOptions options;
  options.omitBlockArguments = options.inclusive = true;
  options.filter = [&](Operation *inner) { return inner->getBlock() == op.getBlock(); };
  for (unsigned i : results)
    if (Operation *inner = op.getBlock()->getTerminator()->getOperand(i).getDefiningOp())
      (void)getBackwardSlice(inner, &needed, options);
  SmallVector<Value> roots;
  if (llvm::any_of(needed, [](Operation *inner) { return isa<arith::DivFOp>(inner); }))
    for (Operation *inner : needed)
      if (isa<math::SqrtOp>(inner))
        roots.push_back(inner->getResult(0));
  return roots;
}

/// The op, with values of its body as further results.
static GenericOp addResults(RewriterBase &rw, GenericOp op, ArrayRef<Value> values) {
  rw.setInsertionPoint(op);
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  SmallVector<Value> inits = op.getOutputs();
  for (Value value : values) {
    inits.push_back(
        tensor::EmptyOp::create(rw, op.getLoc(), op.getStaticLoopRanges(), value.getType()));
    maps.push_back(rw.getMultiDimIdentityMap(op.getNumLoops()));
  }
  auto extended = GenericOp::create(rw, op.getLoc(), ValueRange(inits).getTypes(), op.getInputs(),
                                    inits, maps, op.getIteratorTypesArray());
  rw.inlineRegionBefore(op.getRegion(), extended.getRegion(), extended.getRegion().end());
  Block *body = extended.getBlock();
  for (Value value : values)
    body->addArgument(value.getType(), op.getLoc());
  rw.modifyOpInPlace(body->getTerminator(), [&] {
    body->getTerminator()->insertOperands(body->getTerminator()->getNumOperands(), values);
  });
  rw.replaceOp(op, extended.getResults().take_front(op.getNumResults()));
  return extended;
}

//===----------------------------------------------------------------------===//
// Join
//===----------------------------------------------------------------------===//

/// What uses the op follows it.
static void moveUsersAfter(RewriterBase &rw, Operation *op) {
  for (Operation *user : llvm::to_vector(op->getUsers())) {
    Operation *own = op->getBlock()->findAncestorOpInBlock(*user);
    if (!own || !own->isBeforeInBlock(op))
      continue;
    rw.moveOpAfter(own, op);
    moveUsersAfter(rw, own);
  }
}

/// One op for all of them, before the first; what the others need is moved there.
static void join(RewriterBase &rw, ArrayRef<GenericOp> ops) {
  GenericOp first = ops.front();
  rw.setInsertionPoint(first);
  SmallVector<AffineMap> maps, initMaps;
  SmallVector<Value> inputs, inits;
  SmallVector<std::pair<BlockArgument, unsigned>> readers; // arguments, and the input of each
  for (GenericOp op : ops) {
    for (OpOperand *input : op.getDpsInputOperands()) {
      AffineMap map = op.getMatchingIndexingMap(input);
      unsigned place = 0;
      while (place < inputs.size() && (inputs[place] != input->get() || maps[place] != map))
        ++place;
      if (place == inputs.size()) {
        inputs.push_back(input->get());
        maps.push_back(map);
      }
      readers.push_back({op.getMatchingBlockArgument(input), place});
    }
    for (OpOperand &init : op.getDpsInitsMutable()) {
      inits.push_back(init.get());
      initMaps.push_back(op.getMatchingIndexingMap(&init));
    }
  }
  llvm::append_range(maps, initMaps);
  auto joined = GenericOp::create(
      rw, first.getLoc(), ValueRange(inits).getTypes(), inputs, inits, maps,
      first.getIteratorTypesArray(), [&](OpBuilder &b, Location loc, ValueRange values) {
        IRMapping mapping;
        for (auto [argument, place] : readers)
          mapping.map(argument, values[place]);
        ValueRange outs = values.drop_front(inputs.size());
        SmallVector<Value> results;
        for (GenericOp op : ops) {
          for (BlockArgument argument : op.getRegionOutputArgs()) {
            mapping.map(argument, outs.front());
            outs = outs.drop_front();
          }
          for (Operation &inner : op.getBlock()->without_terminator())
            b.clone(inner, mapping);
          for (Value value : op.getBlock()->getTerminator()->getOperands())
            results.push_back(mapping.lookupOrDefault(value));
        }
        linalg::YieldOp::create(b, loc, results);
      });
  ResultRange results = joined.getResults();
  for (GenericOp op : ops) {
    ResultRange own = results.take_front(op.getNumResults());
    results = results.drop_front(own.size());
    rw.replaceOp(op, own);
  }
  moveUsersAfter(rw, joined);
}

/// `replaced` takes the ops that are no more.
static void overlap(RewriterBase &rw, GenericOp update,
                    llvm::SmallPtrSetImpl<Operation *> &replaced) {
  if (!isElementwise(update) || llvm::any_of(update.getStaticLoopRanges(), ShapedType::isDynamic))
    return;
  SmallVector<unsigned> first, rest;
  for (OpResult result : update.getResults())
    (isWaitedFor(result) ? first : rest).push_back(result.getResultNumber());
  SmallVector<GenericOp> readers = findReaders(update);
  if (first.empty() || readers.empty())
    return;
  llvm::erase_if(readers, [&](GenericOp op) {
    return op != readers.front() && failed(moveOperationDependencies(rw, op, readers.front()));
  });
  if (!rest.empty()) {
    // One unit of a processor computes roots and quotients: each loop keeps it busy.
    SmallVector<Value> roots = findRoots(update, rest);
    if (!roots.empty()) {
      replaced.insert(update);
      update = addResults(rw, update, roots);
      for (size_t i = update.getNumResults() - roots.size(); i < update.getNumResults(); ++i)
        first.push_back(i);
    }
    GenericOp early = computeOnly(rw, update, first, {});
    SmallVector<std::pair<unsigned, Value>> known;
    for (auto [i, value] : llvm::zip_equal(first, early.getResults())) {
      known.push_back({i, value});
      rw.replaceAllUsesWith(update.getResult(i), value);
    }
    GenericOp late = computeOnly(rw, update, rest, known);
    for (auto [i, value] : llvm::zip_equal(rest, late.getResults()))
      rw.replaceAllUsesWith(update.getResult(i), value);
    replaced.insert(update);
    rw.eraseOp(update);
    readers.push_back(late);
    std::swap(readers.front(), readers.back());
    rw.moveOpBefore(late, readers.back());
  }
  if (readers.size() < 2)
    return;
  replaced.insert(readers.begin(), readers.end());
  join(rw, readers);
}

namespace {
struct OverlapUpdatesPass : lowbit::impl::OverlapUpdatesBase<OverlapUpdatesPass> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<GenericOp> updates;
    getOperation().walk([&](GenericOp op) {
      if (op->getNumResults() > 1)
        updates.push_back(op);
    });
    // What one update is joined with may have been another.
    llvm::SmallPtrSet<Operation *, 8> replaced;
    for (GenericOp update : updates)
      if (!replaced.contains(update))
        overlap(rewriter, update, replaced);
    RewritePatternSet patterns(&getContext());
    linalg::populateEraseUnusedOperandsAndResultsPatterns(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
