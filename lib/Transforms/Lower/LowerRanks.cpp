//===- LowerRanks.cpp - Compare numbers with the thresholds of a block -----===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LaneKindOption.h"
#include "NumberBuilder.h"
#include "RankBuckets.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Lower/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

#include <cmath>
#include <limits>

namespace lowbit {
#define GEN_PASS_DEF_LOWERRANKS
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;
using arith::CmpFPredicate;

//===----------------------------------------------------------------------===//
// By one look-up
//===----------------------------------------------------------------------===//

namespace {
/// Lanes of 16 f32, with tables of 16 or 32.
struct TableBuilder : NumberBuilder {
  const LaneKind &kind;
  VectorType lanes;

  template <typename T> Value part(ArrayRef<T> values, unsigned first) {
    auto element = std::is_same_v<T, float> ? Type(b.getF32Type()) : Type(b.getI32Type());
    return arith::ConstantOp::create(
        b, loc, DenseElementsAttr::get(lanes.clone(element), values.slice(first, 16)));
  }
  /// Of a table in registers, of f32, by the last bits of the indices.
  Value lookUp(ValueRange table, Value indices) {
    SmallVector<Value> operands{table[0], indices};
    llvm::append_range(operands, table.drop_front());
    return LLVM::CallIntrinsicOp::create(
               b, loc, lanes, b.getStringAttr(table.size() == 1 ? kind.lookup32 : kind.lookup32x2),
               operands)
        .getResult(0);
  }
};

/// What is the same for a block.
struct BlockTables {
  Value factor; ///< of numbers
  Value inverse, limit;
  SmallVector<Value> thresholds; ///< of buckets, for numbers times the factor
};
} // namespace

/// The least numbers that reach the thresholds of the buckets at this scale: the product of
/// boundary and scale, rounded up. NaN where there is none.
static SmallVector<Value> scaleThresholds(TableBuilder t, const RankBuckets &buckets, Value scale) {
  OpBuilder &b = t.b;
  SmallVector<int32_t> steps;
  SmallVector<float> exact;
  for (auto [boundary, isBeyond] : llvm::zip(buckets.high, buckets.isBeyond)) {
    steps.push_back(boundary < 0 ? -1 : 1);        // to the next number, on bits
    exact.push_back(isBeyond ? -0x1p-100f : 0.0f); // nearer to zero than any remainder
  }
  SmallVector<Value> thresholds;
  Value scales = t.spread(t.lanes, scale);
  for (unsigned first = 0; first < buckets.size; first += 16) {
    Value high = t.part<float>(buckets.high, first), low = t.part<float>(buckets.low, first);
    // The low part is a power of two or zero, and its product exact; so are the remainder's parts
    // where the remainder is small.
    Value small = arith::MulFOp::create(b, t.loc, scales, low);
    Value product = vector::FMAOp::create(b, t.loc, scales, high, small);
    Value opposite = arith::NegFOp::create(b, t.loc, product);
    Value rest = vector::FMAOp::create(b, t.loc, scales, high, opposite);
    rest = arith::AddFOp::create(b, t.loc, rest, small);
    Value isBelow = t.compare(CmpFPredicate::OGT, rest, t.part<float>(exact, first));
    Value bits = t.bits(product);
    Value next = arith::AddIOp::create(b, t.loc, bits, t.part<int32_t>(steps, first));
    thresholds.push_back(t.number(t.choose(isBelow, next, bits)));
  }
  return thresholds;
}

static BlockTables buildTables(TableBuilder t, const RankBuckets &buckets, Value scale) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  Type f32 = b.getF32Type();
  NormalScale normal = normalize(t, scale);
  // The largest number stands for what overflowed, too: infinities, which are ones by this factor.
  Value isLargest = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, normal.magnitude,
                                          t.integer(0x7f7fffff));
  Value small =
      t.number(arith::OrIOp::create(b, loc, normal.sign, t.integer(0x00200000))); // 2^-128
  Value factor = t.choose(isLargest, small, normal.factor);
  Value usual = t.choose(isLargest, t.real(1 - 0x1p-24f, f32), normal.scale);
  // Of other blocks all numbers become zero and are compared with NaN.
  factor = t.choose(normal.isUsual, factor, t.real(0, f32));
  Value compared =
      t.choose(normal.isUsual, usual, t.real(std::numeric_limits<float>::quiet_NaN(), f32));
  Value inverse = arith::DivFOp::create(b, loc, t.real(buckets.factor, f32), usual);
  Value limit = arith::MulFOp::create(b, loc, t.real(buckets.limit, f32), usual);
  return {t.spread(t.lanes, factor), t.spread(t.lanes, inverse), t.spread(t.lanes, limit),
          scaleThresholds(t, buckets, compared)};
}

static Value rankByTables(TableBuilder t, const RankBuckets &buckets, RankOp op, Value scale) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  VectorType lanes = t.lanes, integers = lanes.clone(b.getI32Type());
  BlockTables block = buildTables(t, buckets, scale);
  Value x = arith::MulFOp::create(b, loc, op.getNumber(), block.factor);
  // No NaN, no zero but +0, and without a sign nothing below it. Infinities are beyond all
  // thresholds.
  uint32_t classes = buckets.isSigned ? 0x11001888 : 0x18001888;
  classes |= op.getBounded() ? (buckets.isSigned ? 0x00a90000 : 0x00a80000)
                             : (buckets.isSigned ? 0x00ef0000 : 0x00e80000);
  x = fixUp(t, x, classes, t.kind.fixUp);
  if (!op.getBounded()) {
    x = t.select(CmpFPredicate::OLT, x, block.limit, x, block.limit);
    Value least = arith::NegFOp::create(b, loc, block.limit);
    if (buckets.isSigned)
      x = t.select(CmpFPredicate::OGT, x, least, x, least);
  }
  bool isBinary = buckets.kind == RankBuckets::Binary;
  Value start = t.real(buckets.start, lanes);
  if (isBinary && buckets.isSigned)
    start = math::CopySignOp::create(b, loc, start, x);
  Value place = vector::FMAOp::create(b, loc, x, block.inverse, start);
  Value bucket;
  if (isBinary) {
    bucket = arith::ShRUIOp::create(b, loc, t.bits(place), t.integer(buckets.shift, integers));
    if (buckets.isSigned) {
      Value sign = arith::ShRSIOp::create(b, loc, t.bits(x), t.integer(31, integers));
      bucket = arith::XOrIOp::create(b, loc, bucket, sign);
    }
  } else {
    bucket = arith::FPToSIOp::create(b, loc, integers, place);
  }
  SmallVector<int32_t> next = llvm::map_to_vector(buckets.ranks, [](int32_t r) { return r + 1; });
  auto rankIn = [&](ArrayRef<int32_t> ranks) {
    SmallVector<Value> table;
    for (unsigned first = 0; first < buckets.size; first += 16)
      table.push_back(t.number(t.part<int32_t>(ranks, first)));
    return t.bits(t.lookUp(table, bucket));
  };
  Value reached = t.compare(CmpFPredicate::OGE, x, t.lookUp(block.thresholds, bucket));
  return t.choose(reached, rankIn(next), rankIn(buckets.ranks));
}

//===----------------------------------------------------------------------===//
// By a quotient
//===----------------------------------------------------------------------===//

/// Midpoints `first`, `first + step`, ... between levels.
struct EvenMidpoints {
  float first, step;
};

/// Ties go to even ranks, and nothing is rounded but to these: steps are a power of two, and the
/// difference of two multiples of half a step is exact where it matters, above the first midpoint.
static std::optional<EvenMidpoints> findEvenMidpoints(ArrayRef<float> thresholds) {
  if (thresholds.size() < 3)
    return std::nullopt;
  // The first tie goes down, to rank 0: its threshold is the number after.
  float first = std::nextafter(thresholds[0], 0.0f), step = thresholds[1] - first;
  float halves = 2 * (first / step);
  int exponent;
  if (!(step > 0) || std::frexp(step, &exponent) != 0.5f || halves < 1 || halves > 512 ||
      halves != std::floor(halves))
    return std::nullopt;
  for (auto [i, threshold] : llvm::enumerate(thresholds)) {
    float midpoint = first + i * step;
    if (threshold != (i % 2 ? midpoint : std::nextafter(midpoint, INFINITY)))
      return std::nullopt;
  }
  return EvenMidpoints{first, step};
}

static Value countEvenMidpoints(NumberBuilder t, EvenMidpoints even, size_t count, Value quotient,
                                Type integers) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  Type type = quotient.getType();
  Value steps = arith::MulFOp::create(b, loc, quotient, t.real(1 / even.step, type));
  Value rank = arith::SubFOp::create(b, loc, steps, t.real(even.first / even.step - 0.5f, type));
  Value none = t.real(0, type), all = t.real(count, type);
  rank = t.select(CmpFPredicate::OGT, rank, none, rank, none); // NaN, too
  rank = t.select(CmpFPredicate::OLT, rank, all, rank, all);
  rank = math::RoundEvenOp::create(b, loc, rank);
  return arith::FPToSIOp::create(b, loc, integers, rank);
}

/// How many thresholds it has reached, one after the other.
static Value countThresholds(NumberBuilder t, ArrayRef<float> thresholds, Value quotient,
                             Type integers) {
  quotient = t.withoutNaN(quotient);
  Value rank = t.integer(0, integers);
  for (float threshold : thresholds) {
    Value reached = t.compare(CmpFPredicate::OGE, quotient, t.real(threshold, quotient.getType()));
    Value one = arith::ExtUIOp::create(t.b, t.loc, integers, reached);
    rank = arith::AddIOp::create(t.b, t.loc, rank, one);
  }
  return rank;
}

static Value rankByQuotient(NumberBuilder t, RankOp op) {
  Value quotient = op.getNumber(), scale = op.getScale();
  if (!matchPattern(scale, m_OneFloat()))
    quotient = QuotientOp::create(t.b, t.loc, quotient, scale);
  if (auto even = findEvenMidpoints(op.getThresholds()))
    return countEvenMidpoints(t, *even, op.getThresholds().size(), quotient, op.getType());
  return countThresholds(t, op.getThresholds(), quotient, op.getType());
}

namespace {
struct LowerRanksPass : lowbit::impl::LowerRanksBase<LowerRanksPass> {
  using LowerRanksBase::LowerRanksBase;

  void runOnOperation() override {
    const LaneKind *instructions = readLaneKind(getOperation(), kind);
    if (!instructions)
      return signalPassFailure();
    getOperation().walk([&](RankOp op) {
      OpBuilder b(op);
      NumberBuilder t{b, op.getLoc()};
      op.replaceAllUsesWith(lower(t, op, *instructions));
      op.erase();
    });
  }

  static Value lower(NumberBuilder t, RankOp op, const LaneKind &kind) {
    auto lanes = dyn_cast<VectorType>(op.getNumber().getType());
    auto spread = op.getScale().getDefiningOp<vector::BroadcastOp>();
    bool isBlock = lanes && lanes.getShape() == ArrayRef<int64_t>{16} && spread &&
                   spread.getSource().getType().isF32();
    if (isBlock && !kind.lookup32x2.empty())
      if (auto buckets = RankBuckets::create(op.getThresholds(), op.getBounded() ? 1 : 0))
        return rankByTables(TableBuilder{t, kind, lanes}, *buckets, op, spread.getSource());
    return rankByQuotient(t, op);
  }
};
} // namespace
