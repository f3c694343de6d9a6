//===- ContractionPlan.cpp - Which dimension of a contraction gets vectors -===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "lowbit/Transforms/Lower/VectorizeContractions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;

namespace lowbit {
namespace {

/// How an indexing map uses a dimension.
enum class Use { Absent, Plain, Nested };

/// Plain: the dimension is one result of the map by itself and occurs nowhere else.
Use getUse(AffineMap map, unsigned dim) {
  unsigned plain = 0;
  for (AffineExpr result : map.getResults()) {
    if (auto expr = dyn_cast<AffineDimExpr>(result)) {
      plain += expr.getPosition() == dim;
      continue;
    }
    if (result.isFunctionOfDim(dim))
      return Use::Nested;
  }
  return plain == 0 ? Use::Absent : plain == 1 ? Use::Plain : Use::Nested;
}

class Planner {
public:
  explicit Planner(linalg::LinalgOp op)
      : op(op), maps(op.getIndexingMapsArray()), extents(op.getStaticLoopRanges()) {}

  FailureOr<ContractionPlan> run(std::string &reason) {
    constexpr std::pair<unsigned, unsigned> orders[] = {{0, 1}, {1, 0}};
    std::optional<ContractionPlan> best;
    for (auto [left, right] : orders)
      if (auto plan = planDot(left, right); plan && (!best || prefer(*plan, *best)))
        best = plan;
    for (auto [left, right] : orders)
      if (!best)
        best = planOuter(left, right);
    if (best)
      return *best;
    reason = "no reduction dimension is contiguous in both inputs and no parallel dimension is "
             "contiguous in one input and the output only";
    return failure();
  }

private:
  std::optional<ContractionPlan> planDot(unsigned left, unsigned right) {
    for (unsigned dim : dims(utils::IteratorType::reduction)) {
      if (!isContiguous(left, dim) || !isContiguous(right, dim))
        continue;
      ContractionPlan plan{ContractionPlan::Form::Dot, left, right, dim, {}, {}, dim, {}};
      plan.rowDim = pickFreeDim(left, right);
      plan.columnDim = pickFreeDim(right, left);
      return finish(plan);
    }
    return std::nullopt;
  }

  std::optional<ContractionPlan> planOuter(unsigned left, unsigned right) {
    for (unsigned dim : dims(utils::IteratorType::parallel)) {
      if (!isContiguous(right, dim) || !isContiguous(outIndex, dim) ||
          getUse(maps[left], dim) != Use::Absent)
        continue;
      ContractionPlan plan{ContractionPlan::Form::Outer, left, right, dim, {}, dim, 0, {}};
      plan.rowDim = pickFreeDim(left, right);
      SmallVector<unsigned> reductions = dims(utils::IteratorType::reduction);
      plan.reductionDim =
          *llvm::max_element(reductions, [&](unsigned a, unsigned b) { return size(a) < size(b); });
      return finish(plan);
    }
    return std::nullopt;
  }

  ContractionPlan finish(ContractionPlan plan) {
    for (unsigned dim = 0, e = op.getNumLoops(); dim < e; ++dim)
      if (dim != plan.vectorDim && dim != plan.reductionDim && plan.rowDim != dim &&
          plan.columnDim != dim)
        plan.outerDims.push_back(dim);
    return plan;
  }

  /// Between the two orders of a dot form: columns that the output holds contiguously can be stored
  /// as a vector, and a lone free dimension should be the columns, which have the wider tiles.
  bool prefer(const ContractionPlan &a, const ContractionPlan &b) {
    auto score = [&](const ContractionPlan &plan) {
      return plan.columnDim ? 1 + isContiguous(outIndex, *plan.columnDim) : 0;
    };
    return score(a) > score(b);
  }

  /// The largest parallel dimension of `operand` that the other input lacks; the later one of
  /// equals, since it is the nearer one in memory.
  std::optional<unsigned> pickFreeDim(unsigned operand, unsigned other) {
    std::optional<unsigned> best;
    for (unsigned dim : dims(utils::IteratorType::parallel))
      if (getUse(maps[operand], dim) == Use::Plain && getUse(maps[other], dim) == Use::Absent &&
          getUse(maps[outIndex], dim) == Use::Plain && (!best || size(dim) >= size(*best)))
        best = dim;
    return best;
  }

  SmallVector<unsigned> dims(utils::IteratorType type) {
    SmallVector<unsigned> result;
    for (auto [dim, iterator] : llvm::enumerate(op.getIteratorTypesArray()))
      if (iterator == type)
        result.push_back(dim);
    return result;
  }

  /// A dynamic dimension counts as long.
  int64_t size(unsigned dim) {
    return ShapedType::isDynamic(extents[dim]) ? std::numeric_limits<int64_t>::max() : extents[dim];
  }

  bool isContiguous(unsigned operand, unsigned dim) {
    AffineMap map = maps[operand];
    return map.getNumResults() != 0 &&
           map.getResults().back() == getAffineDimExpr(dim, op.getContext()) &&
           getUse(map, dim) == Use::Plain &&
           cast<MemRefType>(op->getOperand(operand).getType()).isLastDimUnitStride();
  }

  static constexpr unsigned outIndex = 2;
  linalg::LinalgOp op;
  SmallVector<AffineMap> maps;
  SmallVector<int64_t> extents;
};

/// Whether the region computes `yield out + in0 * in1` with ops named `Mul` and `Add`.
template <typename Mul, typename Add> bool isMultiplyAdd(linalg::LinalgOp op) {
  Block *body = op.getBlock();
  if (body->getNumArguments() != 3 || body->getOperations().size() != 3)
    return false;
  auto add = body->getTerminator()->getOperand(0).getDefiningOp<Add>();
  if (!add)
    return false;
  bool outFirst = add.getLhs() == body->getArgument(2);
  auto mul = (outFirst ? add.getRhs() : add.getLhs()).template getDefiningOp<Mul>();
  if (!mul || (outFirst ? add.getLhs() : add.getRhs()) != body->getArgument(2))
    return false;
  Value a = body->getArgument(0), b = body->getArgument(1);
  return (mul.getLhs() == a && mul.getRhs() == b) || (mul.getLhs() == b && mul.getRhs() == a);
}

} // namespace

FailureOr<ContractionPlan> planContraction(linalg::LinalgOp op, std::string &reason) {
  bool plainF32 = isMultiplyAdd<arith::MulFOp, arith::AddFOp>(op);
  if (!plainF32 && !linalg::isaContractionOpInterface(op))
    return failure();
  if (op.getNumReductionLoops() == 0)
    return failure();
  bool allF32 = llvm::all_of(op->getOperandTypes(),
                             [](Type type) { return getElementTypeOrSelf(type).isF32(); });
  if (!plainF32 || !allF32) {
    reason = "only plain products and sums of f32 are handled";
    return failure();
  }
  if (!llvm::all_of(op->getOperandTypes(), llvm::IsaPred<MemRefType>)) {
    reason = "it is not bufferized";
    return failure();
  }
  AffineMap outMap = op.getIndexingMapsArray()[2];
  if (!outMap.isProjectedPermutation() || outMap.getNumResults() != op.getNumParallelLoops()) {
    reason = "the output is not indexed by each parallel dimension once";
    return failure();
  }
  return Planner(op).run(reason);
}

} // namespace lowbit
