//===- LowerRanks.cpp - Compare numbers with the thresholds of a block -----===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LaneKindOption.h"
#include "NumberBuilder.h"
#include "RankPlaces.h"
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

/// Comparisons with more thresholds than this take longer than look-ups in memory.
static constexpr size_t kCountedThresholds = 15;

namespace {
/// Constants in memory, each once.
class Tables {
public:
  explicit Tables(ModuleOp module) : symbols(module) {}

  Value get(NumberBuilder t, DenseElementsAttr values) {
    auto type = MemRefType::get(values.getType().getShape(), values.getType().getElementType());
    memref::GlobalOp &global = globals[values];
    if (!global) {
      OpBuilder b(t.b.getContext());
      global = memref::GlobalOp::create(b, t.loc, "lowbit_table", b.getStringAttr("private"), type,
                                        values, /*constant=*/true, b.getI64IntegerAttr(64));
      symbols.insert(global);
    }
    return memref::GetGlobalOp::create(t.b, t.loc, type, global.getSymName());
  }

private:
  SymbolTable symbols;
  llvm::DenseMap<Attribute, memref::GlobalOp> globals;
};

/// Emits the ranks of one op.
struct RankBuilder : NumberBuilder {
  Tables &tables;
  const LaneKind &kind;
  RankOp op;

  Type numbers() { return op.getNumber().getType(); }
  Type ranks() { return op.getType(); }
  ArrayRef<float> thresholds() { return op.getThresholds(); }

  template <typename T> Value look(ArrayRef<T> values, Value indices, int64_t first = 0);
  Value lookInRegisters(ArrayRef<uint32_t> words, Value indices);

  Value countThresholds(Value quotient);
  Value searchThresholds(Value quotient);
  Value rankOfQuotient(Value quotient);
  Value rankByDivision();
  Value rankByQuotient();
  Value rankByPlaces(const RankPlaces &places, Value scale);
};
} // namespace

/// Of a table in memory, at i32 indices that count from element `first` on.
template <typename T> Value RankBuilder::look(ArrayRef<T> values, Value indices, int64_t first) {
  auto element = std::is_same_v<T, float> ? Type(b.getF32Type()) : Type(b.getI32Type());
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())}, element);
  Value table = tables.get(*this, DenseElementsAttr::get(type, values));
  auto lanes = dyn_cast<VectorType>(indices.getType());
  if (!lanes) {
    assert(first == 0 && "numbers are looked up from the table's start on");
    Value index = arith::IndexCastUIOp::create(b, loc, b.getIndexType(), indices);
    return memref::LoadOp::create(b, loc, table, index);
  }
  VectorType result = lanes.clone(element);
  Value all =
      arith::ConstantOp::create(b, loc, DenseElementsAttr::get(lanes.clone(b.getI1Type()), true));
  Value none = arith::ConstantOp::create(b, loc, b.getZeroAttr(result));
  Value start = arith::ConstantIndexOp::create(b, loc, first);
  return vector::GatherOp::create(b, loc, result, table, start, indices, all, none);
}

/// Of 16 or 32 words, by the last bits of the indices.
Value RankBuilder::lookInRegisters(ArrayRef<uint32_t> words, Value indices) {
  auto lanes = cast<VectorType>(indices.getType());
  auto part = [&](size_t first) {
    SmallVector<int32_t> values(words.slice(first, 16));
    return number(
        arith::ConstantOp::create(b, loc, DenseElementsAttr::get(lanes, ArrayRef(values))));
  };
  SmallVector<Value> operands{part(0), indices};
  if (words.size() == 32)
    operands.push_back(part(16));
  StringRef intrinsic = words.size() == 32 ? kind.lookup32x2 : kind.lookup32;
  return bits(LLVM::CallIntrinsicOp::create(b, loc, lanes.clone(b.getF32Type()),
                                            b.getStringAttr(intrinsic), operands)
                  .getResult(0));
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
Value RankBuilder::countThresholds(Value quotient) {
  Value rank = integer(0, ranks());
  for (float threshold : thresholds()) {
    Value reached = compare(CmpFPredicate::OGE, quotient, real(threshold, numbers()));
    rank = arith::AddIOp::create(b, loc, rank, arith::ExtUIOp::create(b, loc, ranks(), reached));
  }
  return rank;
}

/// Halves the thresholds until one is left.
Value RankBuilder::searchThresholds(Value quotient) {
  SmallVector<float> padded(thresholds());
  padded.resize(llvm::NextPowerOf2(padded.size()) - 1, std::numeric_limits<float>::quiet_NaN());
  Value rank = integer(0, ranks());
  for (size_t step = (padded.size() + 1) / 2; step; step /= 2) {
    Value at = arith::AddIOp::create(b, loc, rank, integer(step - 1, ranks()));
    Value reached = compare(CmpFPredicate::OGE, quotient, look<float>(padded, at));
    Value next = arith::AddIOp::create(b, loc, rank, integer(step, ranks()));
    rank = choose(reached, next, rank);
  }
  return rank;
}

Value RankBuilder::rankOfQuotient(Value quotient) {
  if (auto even = findEvenMidpoints(thresholds()))
    return countEvenMidpoints(*this, *even, thresholds().size(), quotient, ranks());
  quotient = withoutNaN(quotient);
  return thresholds().size() <= kCountedThresholds ? countThresholds(quotient)
                                                   : searchThresholds(quotient);
}

/// By few instructions and nothing that could be computed once for a block.
Value RankBuilder::rankByDivision() {
  return rankOfQuotient(divide(op.getNumber(), op.getScale()));
}

Value RankBuilder::rankByQuotient() {
  Value quotient = op.getNumber(), scale = op.getScale();
  if (!matchPattern(scale, m_OneFloat()))
    quotient = QuotientOp::create(b, loc, quotient, scale);
  return rankOfQuotient(quotient);
}

//===----------------------------------------------------------------------===//
// By one look-up
//===----------------------------------------------------------------------===//

Value RankBuilder::rankByPlaces(const RankPlaces &places, Value scale) {
  auto lanes = cast<VectorType>(numbers());
  bool isLarge = places.kind == RankPlaces::Numbers, isBinary = places.kind == RankPlaces::Binary;
  Value magnitudes = integer(0x7fffffff, ranks()), signs = integer(INT32_MIN, ranks());
  // Once for a block. All places are near by an inverse that is not a normal number, or by the
  // largest scales, since infinities may stand beside them.
  Value inverse = arith::DivFOp::create(b, loc, real(places.factor, scale.getType()), scale);
  Value magnitude = arith::AndIOp::create(b, loc, bits(inverse), integer(0x7fffffff));
  int32_t least = std::max(RankPlaces::orderOf(places.factor * 0x1p-126f), 0x00800000);
  Value isNormal = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult,
                                         arith::SubIOp::create(b, loc, magnitude, integer(least)),
                                         integer(0x7f800000 - least));
  Value nearBits = integer(static_cast<int32_t>((1u << places.shift) - places.near));
  nearBits = spread(cast<VectorType>(ranks()), choose(isNormal, nearBits, integer(0)));
  inverse = spread(lanes, inverse);
  // For each element.
  Value x = op.getNumber(), y, place;
  if (isLarge) {
    y = arith::MulFOp::create(b, loc, x, inverse);
  } else {
    if (places.isSigned)
      x = fixUp(*this, x, 0x11111188, kind.fixUp); // NaN becomes zero.
    Value start = real(places.start, lanes);
    if (isBinary && places.isSigned) {
      Value sign = arith::XOrIOp::create(b, loc, bits(x), bits(inverse));
      sign = arith::AndIOp::create(b, loc, sign, signs);
      start = number(arith::OrIOp::create(b, loc, sign, bits(start)));
    }
    y = vector::FMAOp::create(b, loc, x, inverse, start);
    Value least = real(places.least, lanes), most = real(places.most, lanes);
    if (!places.isSigned || !op.getBounded())
      y = select(CmpFPredicate::OGT, y, least, y, least); // NaN, too
    if (!op.getBounded())
      y = select(CmpFPredicate::OLT, y, most, y, most);
  }
  place = bits(y);
  if (isLarge && !places.isSigned)
    place = arith::MinUIOp::create(b, loc, place, integer(RankPlaces::greatestBits, ranks()));
  Value shift = integer(places.shift, ranks()), bucket;
  if (places.isSigned && places.kind != RankPlaces::Even) {
    Value sign = arith::ShRSIOp::create(b, loc, place, integer(31, ranks()));
    place = arith::XOrIOp::create(b, loc, place, arith::AndIOp::create(b, loc, sign, magnitudes));
  }
  bucket = arith::ShRSIOp::create(b, loc, place, shift);
  Value word;
  if (isLarge) {
    SmallVector<int32_t> words(places.words.begin(), places.words.end());
    word = look<int32_t>(words, bucket, places.isSigned ? words.size() / 2 : 0);
  } else {
    word = lookInRegisters(places.words, bucket);
  }
  Value sum = arith::AddIOp::create(b, loc, place, word);
  Value isNear =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                            arith::AndIOp::create(b, loc, sum, nearBits), integer(0, ranks()));
  Value isAnyNear = vector::ReductionOp::create(b, loc, vector::CombiningKind::OR, isNear);
  auto branch = scf::IfOp::create(b, loc, ranks(), isAnyNear, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(b, loc, rankByDivision());
  b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(b, loc, arith::ShRUIOp::create(b, loc, sum, shift).getResult());
  return branch.getResult(0);
}

namespace {
struct LowerRanksPass : lowbit::impl::LowerRanksBase<LowerRanksPass> {
  using LowerRanksBase::LowerRanksBase;

  void runOnOperation() override {
    const LaneKind *instructions = readLaneKind(getOperation(), kind);
    if (!instructions)
      return signalPassFailure();
    Tables tables(getOperation());
    getOperation().walk([&](RankOp op) {
      OpBuilder b(op);
      op.replaceAllUsesWith(lower({{b, op.getLoc()}, tables, *instructions, op}));
      op.erase();
    });
  }

  /// The one scale of all lanes, if there is one.
  static Value findScale(RankBuilder t) {
    Value scales = t.op.getScale();
    if (auto spread = scales.getDefiningOp<vector::BroadcastOp>())
      return spread.getSource().getType().isF32() ? spread.getSource() : Value();
    SplatElementsAttr splat;
    if (matchPattern(scales, m_Constant(&splat)))
      return t.real(splat.getSplatValue<float>(), t.b.getF32Type());
    return nullptr;
  }

  static Value lower(RankBuilder t) {
    auto lanes = dyn_cast<VectorType>(t.numbers());
    Value scale = findScale(t);
    if (!lanes || !scale)
      return t.rankByQuotient();
    ArrayRef<float> thresholds = t.thresholds();
    std::optional<RankPlaces> places;
    if (lanes.getShape() == ArrayRef<int64_t>{16} && !t.kind.lookup32x2.empty() &&
        thresholds.size() < 32)
      places = RankPlaces::createSmall(thresholds, t.op.getBounded() ? 1 : 0);
    if (!places && thresholds.size() > kCountedThresholds)
      places = RankPlaces::createLarge(thresholds);
    return places ? t.rankByPlaces(*places, scale) : t.rankByQuotient();
  }
};
} // namespace
