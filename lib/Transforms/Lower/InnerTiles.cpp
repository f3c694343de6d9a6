//===- InnerTiles.cpp - Contractions straight on tiled weights -------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "InnerTilePlan.h"
#include "Reports.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/IR/TileBuilder.h"
#include "lowbit/Numerics/TiledLayout.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Dominance.h"

#include <numeric>

namespace lowbit {
#define GEN_PASS_DEF_INNERTILES
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;
using numerics::InnerTile;
using Ofrs = SmallVector<OpFoldResult>;

/// Whether `value` is a decode, or made of one: moved, or (if `isComputed`) by an elementwise op,
/// which `lowbit-fuse-elementwise` makes of several.
static bool comesFromDecode(Value value, bool isComputed) {
  Operation *op = value.getDefiningOp();
  if (!op || isa<DecodeRegionOp>(op))
    return op;
  if (isa<tensor::ExtractSliceOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp,
          linalg::TransposeOp>(op))
    return comesFromDecode(op->getOperand(0), isComputed);
  auto structured = dyn_cast<linalg::LinalgOp>(op);
  return isComputed && structured && linalg::isElementwise(structured) &&
         llvm::any_of(structured.getDpsInputs(),
                      [](Value input) { return comesFromDecode(input, false); });
}

/// The encoded operand of a contraction, the one for which there may be inner tiles if there are
/// two, or the encoded filter of a convolution. What is computed from decoded activations is not
/// encoded any more; of weights, it would be in each call.
static OpOperand *findEncoded(linalg::LinalgOp op) {
  if (!op.hasPureTensorSemantics())
    return nullptr;
  if (!linalg::isaContractionOpInterface(op)) {
    if (!linalg::isaConvolutionOpInterface(op))
      return nullptr;
    OpOperand *filter = op.getDpsInputOperand(1);
    return comesFromDecode(filter->get(), false) ? filter : nullptr;
  }
  OpOperand *found = nullptr;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    bool isWeight = isWeightOfProduct(*operand);
    if (comesFromDecode(operand->get(), isWeight) && (!found || isWeight))
      found = operand;
  }
  return found;
}

/// The sums of each `plan.block` activations: of codes, whose planes come first in `lhs`, or of
/// f32.
static Value sumBlocks(TileBuilder &t, const InnerTilePlan &plan, ValueRange lhs) {
  SmallVector<Value> views;
  for (Value values : lhs.take_front(plan.planeCount()))
    views.push_back(t.splitLast(values, {plan.block}));
  Ofrs sizes = tensor::getMixedSizes(t.b, t.loc, views[0]);
  auto parallel = utils::IteratorType::parallel;
  SmallVector<AffineMap> maps(views.size(), t.b.getMultiDimIdentityMap(3));
  maps.push_back(t.map(3, {0, 1}));
  return t.generic(views, t.filled({sizes[0], sizes[1]}, plan.isInteger() ? t.i32(0) : t.f32(0)),
                   maps, {parallel, parallel, utils::IteratorType::reduction},
                   [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                     if (!plan.isInteger())
                       return {arith::AddFOp::create(t.b, t.loc, a[1], a[0])};
                     Value code;
                     for (auto [plane, byte] : llvm::zip(plan.activationPlanes, a)) {
                       Type i32 = t.b.getI32Type();
                       Value wide = plane.width == 8
                                        ? arith::ExtSIOp::create(t.b, t.loc, i32, byte).getResult()
                                        : arith::ExtUIOp::create(t.b, t.loc, i32, byte).getResult();
                       if (plane.shift)
                         wide = arith::ShLIOp::create(t.b, t.loc, wide, t.i32(plane.shift));
                       code = code ? arith::AddIOp::create(t.b, t.loc, code, wide) : wide;
                     }
                     return {arith::AddIOp::create(t.b, t.loc, a.back(), code)};
                   })[0];
}

/// `sums` of codes as f32, times the activations' scales where `isScaled`.
static Value toFloats(TileBuilder &t, const InnerTilePlan &plan, ValueRange lhs, Value sums,
                      bool isScaled) {
  Type f32 = t.b.getF32Type();
  if (!isScaled)
    return t.elementwise(sums, f32, [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
      return {arith::SIToFPOp::create(t.b, t.loc, f32, a[0])};
    });
  ScaleLevelAttr level = cast<BlockScaleAttr>(plan.activations.getScale()).getLevels()[0];
  SmallVector<int64_t> block = level.getBlock(2);
  // A scale may serve several blocks, and all rows.
  Value view = t.splitLast(sums, {block[1] / plan.block});
  Value scales = t.dropWholeAxes(lhs[plan.planeCount()], block);
  SmallVector<unsigned> axes{0, 1};
  if (block[0] == kWhole)
    axes.erase(axes.begin());
  auto parallel = utils::IteratorType::parallel;
  AffineMap all = t.b.getMultiDimIdentityMap(3);
  Value scaled = t.generic({view, scales}, t.empty(tensor::getMixedSizes(t.b, t.loc, view), f32),
                           {all, t.map(3, axes), all}, {parallel, parallel, parallel},
                           [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                             Value sum = arith::SIToFPOp::create(t.b, t.loc, f32, a[0]);
                             Value scale = level.getFormat().buildDecode(t.b, t.loc, a[1]);
                             return {arith::MulFOp::create(t.b, t.loc, sum, scale)};
                           })[0];
  return t.joinFrom(scaled, 1);
}

/// What `lowbit.contract` takes of the sums of the activations' blocks.
static SmallVector<Value> buildSums(TileBuilder &t, const InnerTilePlan &plan, ValueRange lhs) {
  if (!plan.hasOffset() && !plan.hasSums())
    return {};
  Value sums = sumBlocks(t, plan, lhs);
  SmallVector<Value> taken;
  if (plan.hasOffset())
    taken.push_back(t.elementwise(sums, t.b.getI32Type(),
                                  [&](TileBuilder &t, ValueRange a) -> SmallVector<Value> {
                                    Value offset = t.i32(-plan.levels->offset);
                                    return {arith::MulIOp::create(t.b, t.loc, a[0], offset)};
                                  }));
  if (plan.hasSums())
    taken.push_back(plan.isInteger() ? toFloats(t, plan, lhs, sums,
                                                plan.weights.getAdditive() && plan.activationsVary)
                                     : sums);
  return taken;
}

/// Groups of 16 rows for one iteration of the parallel loop: enough for a register tile, and such
/// that iterations share out evenly; no more than leave some for each of several threads.
static int64_t groupsOfIteration(int64_t groups, int64_t most) {
  most = std::min({groups, most, std::max<int64_t>(groups / 4, 4)});
  int64_t best = most;
  auto rank = [&](int64_t n) {
    int64_t iterations = llvm::divideCeil(groups, n);
    return std::tuple(groups % n == 0, iterations % 4 == 0, iterations % 2 == 0, n);
  };
  for (int64_t n = 2; n < most; ++n)
    if (rank(n) > rank(best))
      best = n;
  return best;
}

/// Iterations of a loop for several products: each gets its share of groups, all shares alike for
/// every iteration. 0: there is no such number that pays.
static int64_t iterationsTogether(ArrayRef<int64_t> groups, int64_t most) {
  int64_t common = 0, total = 0, best = 0;
  for (int64_t n : groups) {
    common = std::gcd(common, n);
    total += n;
  }
  auto rank = [&](int64_t n) {
    // With two groups a register tile has work for the memory.
    return std::tuple(common / n >= 2, n % 4 == 0, n % 2 == 0, -n);
  };
  for (int64_t n = 2; n <= common; ++n)
    if (common % n == 0 && total / n <= 2 * most && (!best || rank(n) > rank(best)))
      best = n;
  return best;
}

namespace {
/// A product that becomes a contraction on components. Others that become loops before it may give
/// it its operands: it is asked for them.
struct Job {
  linalg::LinalgOp op;
  OpOperand *x, *weights;
  InnerTilePlan plan;
  SmallVector<Value> sums;

  SmallVector<Value> getLhs() const {
    if (plan.isInteger())
      return llvm::to_vector(x->get().getDefiningOp<DecodeRegionOp>().getComponents());
    return {x->get()};
  }
  SmallVector<Value> getRhs() const {
    return llvm::to_vector(weights->get().getDefiningOp<DecodeRegionOp>().getComponents());
  }
  /// What a fill would write is written in the loop.
  linalg::FillOp getFill() { return op.getDpsInits()[0].getDefiningOp<linalg::FillOp>(); }
  Value getDestination() {
    linalg::FillOp fill = getFill();
    return fill ? fill.getDpsInits()[0] : op.getDpsInits()[0];
  }
  int64_t getRows() const { return plan.rhsType.getDimSize(0); }
  int64_t getGroups() const { return llvm::divideCeil(getRows(), InnerTile::rows); }

  /// The kind of contraction, and what a call of it reads and computes: weights come from memory
  /// once, however many rows there are.
  Facts getFacts() const {
    int64_t rows = plan.lhsType.getDimSize(0), products = getRows() * plan.columns;
    bool isKnown = !ShapedType::isDynamic(rows);
    Facts facts{Fact("Op", op->getName().getStringRef()),
                Fact("Kind", plan.isInteger() ? "integer dot" : "f32 multiply-add"),
                Fact("Weights", textOf(plan.weights)),
                Fact("Layout", textOf(plan.weights.getStorage())),
                Fact("Activations", plan.isInteger() ? textOf(plan.activations) : "f32"),
                Fact("Rows", isKnown ? std::to_string(rows) : "?"),
                Fact("Outputs", getRows()),
                Fact("Columns", plan.columns),
                Fact("WeightBytes", bytesOf(ValueRange(getRhs()).getTypes())),
                Fact("MultiplyAdds", isKnown ? std::to_string(rows * products)
                                             : std::to_string(products) + " for each row")};
    if (plan.isInteger())
      facts.emplace_back("ActivationPlanes", plan.planeCount());
    return facts;
  }
};

struct InnerTilesPass : lowbit::impl::InnerTilesBase<InnerTilesPass> {
  using InnerTilesBase::InnerTilesBase;

  Reporter report{getArgumentName(), "contraction"};

  /// The job for a contraction with encoded `weights`, or in `reason` why there is none.
  static FailureOr<Job> planJob(linalg::LinalgOp op, OpOperand &weights, std::string &reason) {
    auto refuse = [&](const Twine &text) {
      reason = text.str();
      return failure();
    };
    if (!isWeightOfProduct(weights))
      return refuse("is no product x[m, k] * w[n, k] of matrices with encoded w");
    auto decoded = weights.get().getDefiningOp<DecodeRegionOp>();
    if (!decoded)
      return refuse("reads decoded weights through '" +
                    weights.get().getDefiningOp()->getName().getStringRef() + "'");
    RankedTensorType type = getDecodedType(decoded);
    if (!type)
      return refuse("reads a part of its weights");
    OpOperand *x = op.getDpsInputOperand(1 - weights.getOperandNumber());
    auto xType = cast<RankedTensorType>(x->get().getType());
    if (RankedTensorType encoded = getDecodedType(x->get());
        encoded && isa<QuantizedAttr>(encoded.getEncoding()))
      xType = encoded;
    FailureOr<InnerTilePlan> plan = planInnerTiles(xType, type, reason);
    if (failed(plan))
      return failure();
    return Job{op, x, &weights, *plan, {}};
  }

  /// Whether `job` can run where `first` does; moves the storage of its result there if so.
  static bool joins(Job &job, Job &first, DominanceInfo &dominance) {
    auto isThere = [&](Value v) { return dominance.properlyDominates(v, first.op); };
    if (job.op->getBlock() != first.op->getBlock() || job.getRows() % InnerTile::rows != 0 ||
        first.getRows() % InnerTile::rows != 0 || !llvm::all_of(job.getLhs(), isThere) ||
        !llvm::all_of(job.getRhs(), isThere))
      return false;
    if (linalg::FillOp fill = job.getFill(); fill && !llvm::all_of(fill.getInputs(), isThere))
      return false;
    Value destination = job.getDestination();
    if (isThere(destination))
      return true;
    auto empty = destination.getDefiningOp<tensor::EmptyOp>();
    if (!empty || !llvm::all_of(empty->getOperands(), isThere))
      return false;
    empty->moveBefore(first.op);
    return true;
  }

  void emitLoop(IRRewriter &rewriter, MutableArrayRef<Job> jobs) {
    rewriter.setInsertionPoint(jobs[0].op);
    TileBuilder t(rewriter, jobs[0].op.getLoc());
    SmallVector<Value> destinations;
    SmallVector<int64_t> groups;
    for (Job &job : jobs) {
      job.sums = buildSums(t, job.plan, job.getLhs());
      destinations.push_back(job.getDestination());
      groups.push_back(job.getGroups());
    }
    bool isAlone = jobs.size() == 1;
    int64_t iterations = isAlone ? 0 : iterationsTogether(groups, groupsAtOnce);
    int64_t tile = groupsOfIteration(groups[0], groupsAtOnce) * InnerTile::rows;
    auto body = [&](OpBuilder &b, Location loc, ValueRange arguments) {
      TileBuilder t(b, loc);
      SmallVector<Value> parts;
      SmallVector<Box> places;
      for (auto [job, all] : llvm::zip(jobs, arguments.drop_front())) {
        OpFoldResult first = arguments[0], size = t.index(tile);
        if (!isAlone) {
          int64_t share = job.getRows() / iterations;
          first = t.apply(b.getAffineDimExpr(0) * share, {arguments[0]});
          size = t.index(share);
        } else if (job.getRows() % tile != 0) {
          size = t.min(size, t.sub(t.index(job.getRows()), first));
        }
        Box place{{t.index(0), first}, {tensor::getMixedSize(b, loc, all, 0), size}};
        Value part = t.slice(all, place);
        if (linalg::FillOp fill = job.getFill())
          part = linalg::FillOp::create(b, loc, fill.getInputs(), part).getResult(0);
        parts.push_back(ContractOp::create(b, job.op.getLoc(), part.getType(), job.plan.lhsType,
                                           job.plan.rhsType, job.getLhs(), job.getRhs(),
                                           t.value(first), job.sums, part)
                            .getResult());
        places.push_back(place);
      }
      auto yield = scf::InParallelOp::create(b, loc);
      b.setInsertionPointToStart(yield.getBody());
      for (auto [part, all, place] : llvm::zip(parts, arguments.drop_front(), places))
        tensor::ParallelInsertSliceOp::create(b, loc, part, all, place.offsets, place.sizes,
                                              Ofrs(2, t.index(1)));
    };
    Ofrs end{t.index(isAlone ? jobs[0].getRows() : iterations)};
    auto loop =
        scf::ForallOp::create(rewriter, t.loc, Ofrs{t.index(0)}, end,
                              Ofrs{t.index(isAlone ? tile : 1)}, destinations, std::nullopt, body);
    for (const Job &job : jobs)
      report.passed(job.op, [&] {
        Facts facts = job.getFacts();
        int64_t ofEach = isAlone ? tile : job.getRows() / iterations;
        facts.emplace_back("Iterations", llvm::divideCeil(job.getRows(), ofEach));
        facts.emplace_back("OutputsOfIteration", ofEach);
        facts.emplace_back("ProductsInLoop", jobs.size());
        return facts;
      });
    for (auto [job, result] : llvm::zip(jobs, loop.getResults()))
      rewriter.replaceOp(job.op, result);
  }

  void runOnOperation() override {
    if (groupsAtOnce < 1) {
      getOperation().emitError() << getArgumentName() << ": groups is at least 1, not "
                                 << int64_t(groupsAtOnce);
      return signalPassFailure();
    }
    std::vector<Job> waiting;
    bool isError = false;
    getOperation().walk([&](linalg::LinalgOp op) {
      // What is in a parallel loop already has been tiled with something else.
      OpOperand *weights = op->getParentOfType<scf::ForallOp>() ? nullptr : findEncoded(op);
      if (!weights)
        return;
      std::string reason;
      FailureOr<Job> job = planJob(op, *weights, reason);
      if (succeeded(job))
        waiting.push_back(std::move(*job));
      else
        isError |= failed(
            report.fallback(op, "contraction not on inner tiles", "it " + reason, failOnFallback));
    });
    if (isError)
      return signalPassFailure();
    IRRewriter rewriter(&getContext());
    while (!waiting.empty()) {
      // Products that need nothing of each other share one loop: one start and end of the threads.
      std::vector<Job> together{waiting.front()}, later;
      SmallVector<int64_t> groups{waiting.front().getGroups()};
      DominanceInfo dominance(getOperation());
      for (Job &job : llvm::drop_begin(waiting)) {
        groups.push_back(job.getGroups());
        if (iterationsTogether(groups, groupsAtOnce) && joins(job, together[0], dominance)) {
          together.push_back(job);
          continue;
        }
        groups.pop_back();
        later.push_back(job);
      }
      emitLoop(rewriter, together);
      waiting = std::move(later);
    }
  }
};
} // namespace
