//===- InnerTiles.cpp - Contractions straight on tiled weights -------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "InnerTilePlan.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/IR/TileBuilder.h"
#include "lowbit/Numerics/TiledLayout.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

namespace lowbit {
#define GEN_PASS_DEF_INNERTILES
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;
using numerics::InnerTile;
using Ofrs = SmallVector<OpFoldResult>;

namespace {
/// init[m, n] += x[m, k] * weights[n, k].
struct Product {
  Value x;
  DecodeRegionOp weights;
};
} // namespace

/// All of the tensor that `decode` reads from.
static bool isWhole(DecodeRegionOp decode) {
  return llvm::all_of(decode.getStaticOffsets(), [](int64_t n) { return n == 0; }) &&
         decode.getStaticSizes() == decode.getWholeType().getShape();
}

static std::optional<Product> matchProduct(linalg::LinalgOp op) {
  for (OpOperand *operand : op.getDpsInputOperands()) {
    auto decode = operand->get().getDefiningOp<DecodeRegionOp>();
    if (!decode || !isWhole(decode) || !op.hasPureTensorSemantics() || !isWeightOfProduct(*operand))
      continue;
    auto term = dyn_cast_or_null<QuantizedAttr>(decode.getWholeType().getEncoding());
    if (term && term.getStorage().hasInnerTiles())
      return Product{op.getDpsInputOperand(1 - operand->getOperandNumber())->get(), decode};
  }
  return std::nullopt;
}

/// The sums of each `plan.block` activations: of codes, whose planes come first in `lhs`, or of f32.
static Value sumBlocks(TileBuilder &t, const InnerTilePlan &plan, ValueRange lhs) {
  SmallVector<Value> views;
  for (Value values : lhs.take_front(std::max<size_t>(plan.activationPlanes.size(), 1)))
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

/// Groups of 16 rows for one iteration of the parallel loop: enough for a register tile, and such
/// that iterations share out evenly.
static int64_t groupsOfIteration(int64_t groups, int64_t most) {
  most = std::min(groups, most);
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

namespace {
struct InnerTilesPass : lowbit::impl::InnerTilesBase<InnerTilesPass> {
  using InnerTilesBase::InnerTilesBase;

  void rewrite(IRRewriter &rewriter, linalg::LinalgOp op, Product product) {
    auto x = product.x.getDefiningOp<DecodeRegionOp>();
    auto xType = cast<RankedTensorType>(product.x.getType());
    if (x && isa<QuantizedAttr>(x.getWholeType().getEncoding()) && isWhole(x))
      xType = x.getWholeType();
    else
      x = nullptr;
    std::string reason;
    FailureOr<InnerTilePlan> plan = planInnerTiles(xType, product.weights.getWholeType(), reason);
    if (failed(plan)) {
      op->emitRemark() << "contraction not on inner tiles: it " << reason;
      return;
    }
    rewriter.setInsertionPoint(op);
    TileBuilder t(rewriter, op.getLoc());
    SmallVector<Value> lhs{product.x}, sums;
    if (x)
      lhs.assign(x.getComponents().begin(), x.getComponents().end());
    if (plan->needsSums())
      sums.push_back(sumBlocks(t, *plan, lhs));
    rewriter.replaceOp(
        op, emitLoop(t, *plan, lhs, sums, product.weights.getComponents(), op.getDpsInits()[0]));
  }

  Value emitLoop(TileBuilder &t, const InnerTilePlan &plan, ValueRange lhs, ValueRange sums,
                 ValueRange rhs, Value init) {
    int64_t rows = plan.rhsType.getDimSize(0);
    int64_t groups = llvm::divideCeil(rows, InnerTile::rows);
    int64_t tile = groupsOfIteration(groups, groupsAtOnce) * InnerTile::rows;
    // What a fill would write is written in the loop.
    auto fill = init.getDefiningOp<linalg::FillOp>();
    Value destination = fill ? fill.getDpsInits()[0] : init;
    auto body = [&](OpBuilder &b, Location loc, ValueRange arguments) {
      TileBuilder t(b, loc);
      OpFoldResult first = arguments[0];
      OpFoldResult size = t.index(tile);
      if (rows % tile != 0)
        size = t.min(size, t.sub(t.index(rows), first));
      Box place{{t.index(0), first}, {tensor::getMixedSize(b, loc, arguments[1], 0), size}};
      Value part = t.slice(arguments[1], place);
      if (fill)
        part = linalg::FillOp::create(b, loc, fill.getInputs(), part).getResult(0);
      part = ContractOp::create(b, loc, part.getType(), plan.lhsType, plan.rhsType, lhs, rhs,
                                arguments[0], sums, part)
                 .getResult();
      auto yield = scf::InParallelOp::create(b, loc);
      b.setInsertionPointToStart(yield.getBody());
      tensor::ParallelInsertSliceOp::create(b, loc, part, arguments[1], place.offsets, place.sizes,
                                            Ofrs(2, t.index(1)));
    };
    return scf::ForallOp::create(t.b, t.loc, Ofrs{t.index(0)}, Ofrs{t.index(rows)},
                                 Ofrs{t.index(tile)}, destination, std::nullopt, body)
        .getResult(0);
  }

  void runOnOperation() override {
    SmallVector<std::pair<linalg::LinalgOp, Product>> found;
    getOperation().walk([&](linalg::LinalgOp op) {
      if (auto product = matchProduct(op))
        found.push_back({op, *product});
    });
    IRRewriter rewriter(&getContext());
    for (auto [op, product] : found)
      rewrite(rewriter, op, product);
  }
};
} // namespace
