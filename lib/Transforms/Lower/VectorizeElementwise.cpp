//===- VectorizeElementwise.cpp - Vector strips for linalg on memrefs ------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lowbit/Transforms/Lower/VectorizeElementwise.h"
#include "Reports.h"
#include "TableLanes.h"
#include "VectorLanes.h"
#include "VectorStrips.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

namespace lowbit {
#define GEN_PASS_DECL_VECTORIZEELEMENTWISE
#define GEN_PASS_DEF_VECTORIZEELEMENTWISE
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;

namespace lowbit {
namespace {

/// Emits the loops and strips of one op.
class StripEmitter {
public:
  StripEmitter(OpBuilder &b, linalg::LinalgOp op, const StripPlan &plan)
      : loc(op.getLoc()), op(op), plan(plan), maps(op.getIndexingMapsArray()),
        yield(op.getBlock()->getTerminator()) {
    ranges = op.createLoopRanges(b, loc);
    ivs.resize(op.getNumLoops());
    for (unsigned dim = 0; dim < ranges.size(); ++dim)
      if (plan.isOuter(dim))
        outerDims.push_back(dim);
    // A strip covers these from their first index on.
    if (!plan.innerDims.empty()) {
      Value zero = arith::ConstantIndexOp::create(b, loc, 0);
      for (unsigned dim : plan.innerDims)
        ivs[dim] = zero;
    }
  }

  void emit(OpBuilder &b) { emitOuterLoops(b, outerDims); }

private:
  //===--- loops ------------------------------------------------------------===//

  void emitOuterLoops(OpBuilder &b, ArrayRef<unsigned> dims) {
    if (dims.empty())
      return plan.isReduction ? emitReduction(b) : emitParallel(b);
    emitStrips(b, loc, ranges[dims.front()].size, {1}, {},
               [&](OpBuilder &b, Value start, int64_t, ValueRange) -> SmallVector<Value> {
                 ivs[dims.front()] = start;
                 emitOuterLoops(b, dims.drop_front());
                 return {};
               });
  }

  void emitParallel(OpBuilder &b) {
    IRMapping uniform;
    emitUniform(b, uniform);
    emitStrips(b, loc, ranges[plan.dim].size, getWidths({plan.step, 1}), {},
               [&](OpBuilder &b, Value start, int64_t width, ValueRange) -> SmallVector<Value> {
                 ivs[plan.dim] = start;
                 SmallVector<Value> results;
                 for (foldedStep = 0; foldedStep < plan.foldedSteps; ++foldedStep) {
                   if (plan.foldedDim)
                     ivs[*plan.foldedDim] = arith::ConstantIndexOp::create(b, loc, foldedStep);
                   IRMapping values = uniform;
                   for (auto [argument, value] : llvm::zip(op.getRegionOutputArgs(), results))
                     values.map(argument, value);
                   emitBody(b, width, values);
                   results = llvm::map_to_vector(yield->getOperands(), [&](Value value) {
                     return toLanes(b, lookup(values, value), width);
                   });
                 }
                 for (auto [operand, value] : llvm::zip_equal(op.getDpsInitsMutable(), results))
                   store(b, operand, value, width);
                 return {};
               });
  }

  /// Values carried: `chains` vectors for each output that is combined, then a scalar for each.
  void emitReduction(OpBuilder &b) {
    // Four independent chains hide the latency of the combining op.
    constexpr int64_t chains = 4;
    SmallVector<OpOperand *> combined, stored;
    for (OpOperand &output : op.getDpsInitsMutable())
      (isCombined(op, plan, output) ? combined : stored).push_back(&output);
    auto yieldedTo = [&](OpOperand *output) { return op.getMatchingYieldValue(output)->get(); };
    SmallVector<Operation *> combiners = llvm::map_to_vector(
        combined, [&](OpOperand *output) { return yieldedTo(output).getDefiningOp(); });
    size_t count = combiners.size();
    SmallVector<Value> init;
    for (int64_t chain = 0; chain <= chains; ++chain)
      for (Operation *combiner : combiners) {
        TypedAttr neutral = *arith::getNeutralElement(combiner);
        if (chain < chains)
          neutral = SplatElementsAttr::get(
              VectorType::get({plan.step}, combiner->getResult(0).getType()), neutral);
        init.push_back(arith::ConstantOp::create(b, loc, neutral));
      }
    IRMapping uniform;
    emitUniform(b, uniform);
    auto body = [&](OpBuilder &b, Value start, int64_t width, ValueRange carried) {
      auto next = llvm::to_vector_of<Value>(carried);
      int64_t stripWidth = width == 1 ? 1 : plan.step;
      for (int64_t strip = 0; strip < width / stripWidth; ++strip) {
        ivs[plan.dim] = emitOffset(b, loc, start, strip * stripWidth);
        MutableArrayRef<Value> chain =
            MutableArrayRef<Value>(next).slice((width == 1 ? chains : strip) * count, count);
        IRMapping values = uniform;
        for (auto [output, value] : llvm::zip_equal(combined, chain))
          values.map(op.getMatchingBlockArgument(output), value);
        emitBody(b, stripWidth, values);
        auto computed = [&](OpOperand *output) {
          return toLanes(b, lookup(values, yieldedTo(output)), stripWidth);
        };
        for (OpOperand *output : stored)
          store(b, *output, computed(output), stripWidth);
        for (auto [output, value] : llvm::zip_equal(combined, chain))
          value = computed(output);
      }
      return next;
    };
    SmallVector<Value> sums = emitStrips(b, loc, ranges[plan.dim].size,
                                         getWidths({chains * plan.step, plan.step, 1}), init, body)
                                  .first;
    for (auto [i, output, combiner] : llvm::enumerate(combined, combiners)) {
      auto chain = [&, i = i](int64_t j) { return sums[j * count + i]; };
      Value left = combine(b, combiner, chain(0), chain(1));
      Value right = combine(b, combiner, chain(2), chain(3));
      Value scalar = reduceLanes(b, combiner, combine(b, combiner, left, right));
      scalar = combine(b, combiner, scalar, chain(chains));
      SmallVector<Value> indices = indicesOf(b, output->getOperandNumber());
      Value old = memref::LoadOp::create(b, loc, output->get(), indices);
      memref::StoreOp::create(b, loc, combine(b, combiner, old, scalar), output->get(), indices);
    }
  }

  /// Without repetitions: a strip may be a single step.
  static SmallVector<int64_t> getWidths(ArrayRef<int64_t> widths) {
    SmallVector<int64_t> result(widths);
    result.erase(llvm::unique(result), result.end());
    return result;
  }

  //===--- body -------------------------------------------------------------===//

  static Value lookup(const IRMapping &values, Value value) {
    return values.lookupOrDefault(value);
  }

  /// Computes what is the same for all strips, such as the scale of a block. LLVM cannot move these
  /// loads out of the loop by itself, since it does not know that the stores leave their sources
  /// alone.
  void emitUniform(OpBuilder &b, IRMapping &values) {
    for (OpOperand *input : op.getDpsInputOperands()) {
      AffineMap map = maps[input->getOperandNumber()];
      BlockArgument argument = op.getMatchingBlockArgument(input);
      bool varies = llvm::any_of(llvm::seq(op.getNumLoops()), [&](unsigned dim) {
        return !plan.isOuter(dim) && map.isFunctionOfDim(dim);
      });
      if (!varies && !argument.use_empty())
        values.map(argument, load(b, input->getOperandNumber(), 1));
    }
    for (Operation &inner : op.getBlock()->without_terminator()) {
      if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
        if (plan.isOuter(index.getDim()))
          values.map(index.getResult(), ivs[index.getDim()]);
        continue;
      }
      if (isPure(&inner) && llvm::all_of(inner.getOperands(), [&](Value operand) {
            return values.contains(operand) || operand.getParentBlock() != op.getBlock();
          }))
        emitOnLanes(b, loc, inner, 1, values);
    }
    tables = TableLanes(b, loc, *op.getBlock(), values);
  }

  /// Computes the body for a strip of `width` steps. What is mapped already is not computed again;
  /// what is the same for all lanes stays scalar.
  void emitBody(OpBuilder &b, int64_t width, IRMapping &values) {
    for (BlockArgument argument : op.getBlock()->getArguments())
      if (!values.contains(argument) && !argument.use_empty())
        values.map(argument, load(b, argument.getArgNumber(), width));
    for (Operation &inner : op.getBlock()->without_terminator()) {
      if (inner.getNumResults() == 1 && values.contains(inner.getResult(0)))
        continue;
      if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
        values.map(index.getResult(), emitIndex(b, index.getDim(), width));
        continue;
      }
      if (width * plan.getInnerLanes() > 1 && tables.emit(b, loc, inner, values))
        continue;
      emitOnLanes(b, loc, inner, width * plan.getInnerLanes(), values);
    }
  }

  Value emitIndex(OpBuilder &b, unsigned dim, int64_t width) {
    SmallVector<int64_t> lanes = plan.getLaneIndices(dim, width);
    if (!plan.varies(dim) || lanes.size() == 1)
      return ivs[dim];
    auto type = VectorType::get({(int64_t)lanes.size()}, b.getIndexType());
    Value distance = arith::ConstantOp::create(
        b, loc,
        DenseElementsAttr::get(type, llvm::map_to_vector(lanes, [&](int64_t lane) -> Attribute {
                                 return b.getIndexAttr(lane);
                               })));
    if (dim != plan.dim)
      return distance;
    return arith::AddIOp::create(b, loc, toLanes(b, ivs[dim], width), distance);
  }

  Value toLanes(OpBuilder &b, Value value, int64_t width) {
    return lowbit::toLanes(b, loc, value, width * plan.getInnerLanes());
  }

  Value combine(OpBuilder &b, Operation *combiner, Value x, Value y) {
    return b
        .create(loc, combiner->getName().getIdentifier(), {x, y}, {x.getType()},
                combiner->getAttrs())
        ->getResult(0);
  }

  /// Combines the halves of a vector until one lane is left.
  Value reduceLanes(OpBuilder &b, Operation *combiner, Value value) {
    for (int64_t half = plan.step / 2; half > 0; half /= 2) {
      auto lower = llvm::to_vector(llvm::seq<int64_t>(half));
      auto upper = llvm::to_vector(llvm::seq<int64_t>(half, 2 * half));
      Value x = vector::ShuffleOp::create(b, loc, value, value, lower);
      Value y = vector::ShuffleOp::create(b, loc, value, value, upper);
      value = combine(b, combiner, x, y);
    }
    return vector::ExtractOp::create(b, loc, value, 0);
  }

  //===--- memory -----------------------------------------------------------===//

  SmallVector<Value> indicesOf(OpBuilder &b, unsigned operand) {
    return emitIndices(b, loc, maps[operand], ivs);
  }

  Value load(OpBuilder &b, unsigned operand, int64_t width) {
    Value source = op->getOperand(operand);
    auto type = dyn_cast<MemRefType>(source.getType());
    if (!type)
      return source;
    SmallVector<Value> indices = indicesOf(b, operand);
    SmallVector<int64_t> offsets = *getLaneOffsets(op, plan, operand, width);
    int64_t last = *llvm::max_element(offsets);
    if (last == 0)
      return memref::LoadOp::create(b, loc, source, indices);
    if (isFoldedOperand(op, plan, operand)) {
      // All steps of the reduction pick from one stretch.
      indices.back() = arith::ConstantIndexOp::create(b, loc, 0);
      for (int64_t &offset : offsets)
        offset += foldedStep;
      last += plan.foldedSteps - 1;
    }
    Value stretch = vector::LoadOp::create(
        b, loc, VectorType::get({last + 1}, type.getElementType()), source, indices);
    if (llvm::equal(offsets, llvm::seq<int64_t>(last + 1)))
      return stretch;
    return vector::ShuffleOp::create(b, loc, stretch, stretch, offsets);
  }

  void store(OpBuilder &b, OpOperand &output, Value value, int64_t width) {
    SmallVector<Value> indices = indicesOf(b, output.getOperandNumber());
    if (isa<VectorType>(value.getType()))
      vector::StoreOp::create(b, loc, value, output.get(), indices);
    else
      memref::StoreOp::create(b, loc, value, output.get(), indices);
  }

  Location loc;
  linalg::LinalgOp op;
  const StripPlan &plan;
  SmallVector<AffineMap> maps;
  SmallVector<Range> ranges;
  SmallVector<unsigned> outerDims;
  Operation *yield;
  /// The current index of each dimension of the op, for dimensions of the strip its first lane's.
  SmallVector<Value> ivs;
  TableLanes tables;
  int64_t foldedStep = 0;
};

struct VectorizeStrips : OpInterfaceRewritePattern<linalg::LinalgOp> {
  VectorizeStrips(MLIRContext *context, int64_t vectorLength)
      : OpInterfaceRewritePattern(context), vectorLength(vectorLength) {}

  LogicalResult matchAndRewrite(linalg::LinalgOp op, PatternRewriter &rewriter) const override {
    std::string reason;
    FailureOr<StripPlan> plan = planStrips(op, vectorLength, reason);
    if (failed(plan))
      return rewriter.notifyMatchFailure(op, reason);
    StripEmitter(rewriter, op, *plan).emit(rewriter);
    rewriter.eraseOp(op);
    return success();
  }

  int64_t vectorLength;
};

struct VectorizeElementwisePass : impl::VectorizeElementwiseBase<VectorizeElementwisePass> {
  using VectorizeElementwiseBase::VectorizeElementwiseBase;

  void runOnOperation() override {
    if (vectorLength < 1 || !llvm::isPowerOf2_64(vectorLength)) {
      getOperation().emitError("vector-length must be a power of two");
      return signalPassFailure();
    }
    RewritePatternSet patterns(&getContext());
    populateVectorizeElementwisePatterns(patterns, vectorLength);
    walkAndApplyPatterns(getOperation(), std::move(patterns));
    getOperation().walk([&](linalg::LinalgOp op) {
      std::string reason;
      if (failed(planStrips(op, vectorLength, reason)) && !reason.empty())
        Reporter{getArgumentName(), "strips"}.missed(op, "op left for scalar loops", reason);
    });
  }
};

} // namespace

void populateVectorizeElementwisePatterns(RewritePatternSet &patterns, int64_t vectorLength) {
  patterns.add<VectorizeStrips>(patterns.getContext(), vectorLength);
}

} // namespace lowbit
