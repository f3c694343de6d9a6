//===- LowerLanes.cpp - Instructions for dot4 and lookup -------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LaneKindOption.h"
#include "Reports.h"
#include "VectorLookup.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Analysis/DataFlow/DeadCodeAnalysis.h"
#include "mlir/Analysis/DataFlow/IntegerRangeAnalysis.h"
#include "mlir/Analysis/DataFlow/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace lowbit {
#define GEN_PASS_DEF_LOWERLANES
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

/// The dots whose lhs, as far as ranges tell, has no byte with its highest bit set.
static FailureOr<llvm::SmallPtrSet<Operation *, 16>> findSmallDots(Operation *root) {
  DataFlowSolver ranges;
  dataflow::loadBaselineAnalyses(ranges);
  ranges.load<dataflow::IntegerRangeAnalysis>();
  if (failed(ranges.initializeAndRun(root)))
    return failure();
  llvm::SmallPtrSet<Operation *, 16> small;
  root->walk([&](Dot4Op dot) {
    auto *range = ranges.lookupState<dataflow::IntegerValueRangeLattice>(dot.getLhs());
    if (range && !range->getValue().isUninitialized() &&
        range->getValue().getValue().umax().ult(128))
      small.insert(dot);
  });
  return small;
}

static Value callIntrinsic(OpBuilder &b, Location loc, StringRef name, Type type,
                           ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(b, loc, type, b.getStringAttr(name), operands).getResult(0);
}

static Value splat(OpBuilder &b, Location loc, VectorType type, int64_t value) {
  return arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(type, b.getIntegerAttr(type.getElementType(), value)));
}

/// Elements [first, first + count).
static Value part(OpBuilder &b, Location loc, Value v, int64_t first, int64_t count) {
  if (cast<VectorType>(v.getType()).getDimSize(0) == count)
    return v;
  return vector::ExtractStridedSliceOp::create(b, loc, v, first, count, int64_t(1));
}

/// Bytes of `v`, two at a time, the lower or the upper one of each pair as a word.
static Value wordsOf(OpBuilder &b, Location loc, Value v, bool upper, bool isSigned) {
  auto type = VectorType::get({cast<VectorType>(v.getType()).getDimSize(0) / 2}, b.getI16Type());
  Value words = vector::BitCastOp::create(b, loc, type, v);
  Value eight = splat(b, loc, type, 8);
  if (!isSigned)
    return upper ? arith::ShRUIOp::create(b, loc, words, eight).getResult()
                 : arith::AndIOp::create(b, loc, words, splat(b, loc, type, 255)).getResult();
  if (!upper)
    words = arith::ShLIOp::create(b, loc, words, eight);
  return arith::ShRSIOp::create(b, loc, words, eight);
}

/// The bytes 4 i + `which` of `v`, in i32.
static Value byteOf(OpBuilder &b, Location loc, Value v, int64_t which, bool isSigned) {
  auto type = VectorType::get({cast<VectorType>(v.getType()).getDimSize(0) / 4}, b.getI32Type());
  Value lanes = vector::BitCastOp::create(b, loc, type, v);
  lanes = arith::ShLIOp::create(b, loc, lanes, splat(b, loc, type, 24 - 8 * which));
  Value right = splat(b, loc, type, 24);
  return isSigned ? arith::ShRSIOp::create(b, loc, lanes, right).getResult()
                  : arith::ShRUIOp::create(b, loc, lanes, right).getResult();
}

/// By an instruction on signed bytes: lhs is 128 more than lhs with its highest bit flipped, where
/// that is a signed number. `isBelow128`: lhs is a signed number as it is.
static Value lowerSignedDot(OpBuilder &b, Location loc, StringRef dot, Value sums, Value lhs,
                            Value rhs, bool isBelow128) {
  auto lanes = cast<VectorType>(sums.getType()), bytes = cast<VectorType>(lhs.getType());
  if (!isBelow128) {
    // The same for all dots of this rhs, so that it is computed once.
    Value sum =
        callIntrinsic(b, loc, dot, lanes, {splat(b, loc, lanes, 0), splat(b, loc, bytes, 1), rhs});
    sum = arith::ShLIOp::create(b, loc, sum, splat(b, loc, lanes, 7));
    sums = arith::AddIOp::create(b, loc, sums, sum);
    lhs = arith::XOrIOp::create(b, loc, lhs, splat(b, loc, bytes, -128));
  }
  return callIntrinsic(b, loc, dot, lanes, {sums, lhs, rhs});
}

static Value lowerDot(OpBuilder &b, Location loc, const LaneKind &kind, Value sums, Value lhs,
                      Value rhs, bool isBelow128) {
  if (!kind.dot.empty())
    return callIntrinsic(b, loc, kind.dot, sums.getType(), {sums, lhs, rhs});
  if (!kind.dotSigned.empty())
    return lowerSignedDot(b, loc, kind.dotSigned, sums, lhs, rhs, isBelow128);
  if (!kind.dotWords.empty()) {
    for (bool upper : {false, true}) {
      Value pairs =
          callIntrinsic(b, loc, kind.dotWords, sums.getType(),
                        {wordsOf(b, loc, lhs, upper, false), wordsOf(b, loc, rhs, upper, true)});
      sums = arith::AddIOp::create(b, loc, sums, pairs);
    }
    return sums;
  }
  for (int64_t i = 0; i < 4; ++i) {
    Value product =
        arith::MulIOp::create(b, loc, byteOf(b, loc, lhs, i, false), byteOf(b, loc, rhs, i, true));
    sums = arith::AddIOp::create(b, loc, sums, product);
  }
  return sums;
}

static Value lowerLookup(OpBuilder &b, Location loc, const LaneKind &kind, Value table,
                         Value indices) {
  auto type = cast<VectorType>(indices.getType());
  bool isBytes = type.getElementType().isInteger(8);
  if (isBytes ? kind.lookup.empty() : kind.lookup32.empty())
    return emitLookup(
        b, loc, table,
        arith::IndexCastUIOp::create(b, loc, type.cloneWith({}, b.getIndexType()), indices));
  if (!isBytes)
    return callIntrinsic(b, loc, kind.lookup32, type.clone(b.getF32Type()), {table, indices});
  if (type.getDimSize(0) == 16)
    return callIntrinsic(b, loc, kind.lookup, type, {table, indices});
  SmallVector<int64_t> repeated;
  for (int64_t i = 0; i < type.getDimSize(0); ++i)
    repeated.push_back(i % 16);
  Value tables = vector::ShuffleOp::create(b, loc, table, table, repeated);
  return callIntrinsic(b, loc, kind.lookup, type, {tables, indices});
}

/// In parts as wide as an instruction; a vector that they do not divide goes the generic way.
template <typename LanesOp, typename Lower>
static void replaceInParts(LanesOp op, const LaneKind &kind, int64_t bytes, Lower lower) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  auto type = cast<VectorType>(op.getType());
  bool divides = bytes % kind.bytes == 0;
  const LaneKind &used = divides ? kind : getLaneKinds().back();
  int64_t parts = divides ? bytes / kind.bytes : 1;
  int64_t lanes = type.getDimSize(0) / parts;
  Value all;
  for (int64_t i = 0; i < parts; ++i) {
    Value piece = lower(b, loc, used, i, lanes);
    if (parts == 1) {
      all = piece;
      break;
    }
    if (!all)
      all = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
    all = vector::InsertStridedSliceOp::create(b, loc, piece, all, i * lanes, int64_t(1));
  }
  op.replaceAllUsesWith(all);
  op.erase();
}

namespace {
struct LowerLanesPass : lowbit::impl::LowerLanesBase<LowerLanesPass> {
  using LowerLanesBase::LowerLanesBase;

  void runOnOperation() override {
    const LaneKind *chosen = readLaneKind(getOperation(), kind);
    if (!chosen)
      return signalPassFailure();
    FailureOr<llvm::SmallPtrSet<Operation *, 16>> small;
    if (!chosen->dotSigned.empty())
      small = findSmallDots(getOperation());
    else
      small.emplace();
    if (failed(small))
      return signalPassFailure();
    // A contraction has many dots, all at its place.
    Reporter report{getArgumentName(), "instructions"};
    llvm::SmallDenseSet<Location> places;
    getOperation().walk([&](Operation *op) {
      if (isa<Dot4Op>(op) && places.insert(op->getLoc()).second)
        report.analysis(op, [&]() -> Facts {
          return {Fact("Instructions",
                       chosen->dot.empty() && chosen->dotSigned.empty() && chosen->dotWords.empty()
                           ? "multiplications of 32-bit lanes"
                           : chosen->name)};
        });
      if (auto dot = dyn_cast<Dot4Op>(op)) {
        bool isBelow128 = small->contains(op);
        replaceInParts(
            dot, *chosen, dot.getLhs().getType().getDimSize(0),
            [&](OpBuilder &b, Location loc, const LaneKind &kind, int64_t i, int64_t lanes) {
              return lowerDot(b, loc, kind, part(b, loc, dot.getAccumulator(), i * lanes, lanes),
                              part(b, loc, dot.getLhs(), 4 * i * lanes, 4 * lanes),
                              part(b, loc, dot.getRhs(), 4 * i * lanes, 4 * lanes), isBelow128);
            });
      } else if (auto lookup = dyn_cast<LookupOp>(op)) {
        replaceInParts(
            lookup, *chosen,
            lookup.getIndices().getType().getDimSize(0) *
                lookup.getIndices().getType().getElementTypeBitWidth() / 8,
            [&](OpBuilder &b, Location loc, const LaneKind &kind, int64_t i, int64_t lanes) {
              return lowerLookup(b, loc, kind, lookup.getTable(),
                                 part(b, loc, lookup.getIndices(), i * lanes, lanes));
            });
      }
    });
  }
};
} // namespace
