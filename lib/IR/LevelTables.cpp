//===- LevelTables.cpp - IR for formats that are a table of levels --------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a format of up to 8 bits gets without saying more. How the nearest level is found follows
// from the table: thresholds are left to `lowbit.rank`, which takes none at zero; with one there,
// the threshold in the bucket of the number's leading bits is looked up, where there is at most
// one; the rest is searched by halves.
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/Encoding.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/IR/TileBuilder.h"
#include "lowbit/Numerics/ThresholdBuckets.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <cassert>
#include <cmath>
#include <limits>

using namespace mlir;
using namespace lowbit;
using numerics::ThresholdBuckets;

/// Words of buckets: they share the first cache with the tile.
static constexpr size_t kMostBuckets = 4096;

template <typename T>
static Value lookUp(TileBuilder &t, Type element, ArrayRef<T> values, Value i) {
  auto type = RankedTensorType::get({(int64_t)values.size()}, element);
  Value table = arith::ConstantOp::create(t.b, t.loc, DenseElementsAttr::get(type, values));
  Value index = arith::IndexCastUIOp::create(t.b, t.loc, t.b.getIndexType(), i);
  return tensor::ExtractOp::create(t.b, t.loc, table, index);
}

Value lowbit::buildTableDecode(OpBuilder &b, Location loc, const numerics::Format &format,
                               Value code) {
  // As many entries as codes, so that none can read past them.
  SmallVector<float> levels;
  for (uint32_t c = 0; c < (1u << format.bits()); ++c)
    levels.push_back(format.decode(c));
  TileBuilder t(b, loc);
  return lookUp<float>(t, b.getF32Type(), levels, code);
}

/// numerics::ThresholdBuckets::rank
static Value buildBucketRank(TileBuilder &t, const ThresholdBuckets &buckets, Value value) {
  OpBuilder &b = t.b;
  Location loc = t.loc;
  if (buckets.splitsAtZero)
    value = arith::AddFOp::create(b, loc, t.withoutNaN(value), t.f32(0));
  Value bits = arith::BitcastOp::create(b, loc, b.getI32Type(), value), sign;
  if (buckets.isSigned()) {
    sign = arith::ShRSIOp::create(b, loc, bits, t.i32(31));
    bits = arith::AndIOp::create(b, loc, bits, t.i32(0x7fffffff));
  }
  bits = arith::AddIOp::create(b, loc, bits, t.i32(ThresholdBuckets::beyondInfinity));
  Value from = t.i32(buckets.least + ThresholdBuckets::beyondInfinity);
  Value distance = arith::SubIOp::create(b, loc, arith::MaxSIOp::create(b, loc, bits, from), from);
  Value place = arith::MinUIOp::create(b, loc, distance, t.i32(buckets.span));
  if (sign)
    place = arith::XOrIOp::create(b, loc, place, sign);
  Value bucket = arith::ShRSIOp::create(b, loc, place, t.i32(buckets.shift));
  if (sign)
    bucket = arith::AddIOp::create(b, loc, bucket, t.i32(buckets.count));
  SmallVector<int32_t> words(buckets.words.begin(), buckets.words.end());
  Value word = lookUp<int32_t>(t, b.getI32Type(), words, bucket);
  Value sum = arith::AddIOp::create(b, loc, word, place);
  return arith::ShRUIOp::create(b, loc, sum, t.i32(buckets.shift));
}

/// Halves the thresholds until one is left.
static Value buildSearchRank(TileBuilder &t, std::vector<float> thresholds, unsigned bits,
                             Value value) {
  thresholds.resize((1u << bits) - 1, std::numeric_limits<float>::quiet_NaN());
  Value rank = t.i32(0);
  for (unsigned step = 1u << (bits - 1); step; step /= 2) {
    Value at = arith::AddIOp::create(t.b, t.loc, rank, t.i32(step - 1));
    Value threshold = lookUp<float>(t, t.b.getF32Type(), thresholds, at);
    Value above = arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::OGE, value, threshold);
    Value next = arith::AddIOp::create(t.b, t.loc, rank, t.i32(step));
    rank = arith::SelectOp::create(t.b, t.loc, above, next, rank);
  }
  return rank;
}

/// Of value / scale, or of the value; as an i32. NaN is taken as zero. A scale is given only with
/// thresholds that lowbit.rank takes.
static Value buildRank(TileBuilder &t, const numerics::Format &format, Value value,
                       Value scale = nullptr, bool isBounded = false) {
  const std::vector<float> &thresholds = format.thresholds();
  if (llvm::all_of(thresholds, RankOp::isThreshold))
    return RankOp::create(t.b, t.loc, value, scale ? scale : t.f32(1), thresholds, isBounded);
  assert(!scale && "the quotient may be rounded to a threshold at zero");
  if (auto buckets = ThresholdBuckets::create(thresholds, kMostBuckets))
    return buildBucketRank(t, *buckets, value);
  return buildSearchRank(t, thresholds, format.bits(), t.withoutNaN(value));
}

Value lowbit::buildTableRank(OpBuilder &b, Location loc, const numerics::Format &format,
                             Value value) {
  TileBuilder t(b, loc);
  return arith::IndexCastUIOp::create(b, loc, b.getIndexType(), buildRank(t, format, value));
}

Value lowbit::buildTableEncode(OpBuilder &b, Location loc, const numerics::Format &format,
                               Value value, Value scale, bool isBounded) {
  TileBuilder t(b, loc);
  Value rank = buildRank(t, format, value, scale, isBounded);
  ArrayRef<uint32_t> codes = format.codesByRank();
  if (llvm::equal(codes, llvm::seq<uint32_t>(0, codes.size())))
    return arith::TruncIOp::create(b, loc, b.getI8Type(), rank);
  // As many entries as the search can end at, though it never ends at those without a level.
  SmallVector<int8_t> table(codes.begin(), codes.end());
  table.resize(size_t(1) << format.bits());
  return lookUp<int8_t>(t, b.getI8Type(), table, rank);
}
