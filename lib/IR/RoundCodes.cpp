//===- RoundCodes.cpp - IR that rounds codes ------------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RoundCodes.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Numerics/EncodeRules.h"
#include "lowbit/Numerics/Philox.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/Support/MathExtras.h"

#include <limits>

using namespace mlir;
using namespace lowbit;
using numerics::Rounding;

Value lowbit::buildRound(TileBuilder &t, Value x, Rounding rounding, float low) {
  switch (rounding) {
  case Rounding::NearestEven:
    return math::RoundEvenOp::create(t.b, t.loc, x);
  case Rounding::HalfAway:
    return math::RoundOp::create(t.b, t.loc, x);
  case Rounding::HalfUp: {
    Value up = arith::AddFOp::create(t.b, t.loc, x, t.f32(0.5f - low));
    Value down = math::FloorOp::create(t.b, t.loc, up);
    return arith::AddFOp::create(t.b, t.loc, down, t.f32(low));
  }
  }
  llvm_unreachable("all roundings are listed");
}

//===----------------------------------------------------------------------===//
// Random numbers
//===----------------------------------------------------------------------===//

/// The index of the element on an axis of the tensor, as the low 32 bits of an integer.
static Value indexOn(TileBuilder &t, const ElementPlace &place, unsigned axis) {
  Value at = t.value(place.offsets[axis]);
  int number = place.view->number[axis], position = place.view->position[axis];
  if (number >= 0) {
    Value block = linalg::IndexOp::create(t.b, t.loc, number);
    block = arith::MulIOp::create(t.b, t.loc, block, t.constantIndex(place.view->block[axis]));
    at = arith::AddIOp::create(t.b, t.loc, at, block);
  }
  if (position >= 0)
    at = arith::AddIOp::create(t.b, t.loc, at, linalg::IndexOp::create(t.b, t.loc, position));
  return arith::IndexCastOp::create(t.b, t.loc, t.b.getI32Type(), at);
}

/// The two halves of a product of two words.
static std::pair<Value, Value> multiplyWords(TileBuilder &t, uint32_t a, Value b) {
  Type i32 = t.b.getI32Type(), i64 = t.b.getI64Type();
  Value wide = arith::ConstantOp::create(t.b, t.loc, t.b.getI64IntegerAttr(a));
  Value product =
      arith::MulIOp::create(t.b, t.loc, arith::ExtUIOp::create(t.b, t.loc, i64, b), wide);
  Value shift = arith::ConstantOp::create(t.b, t.loc, t.b.getI64IntegerAttr(32));
  Value high =
      arith::TruncIOp::create(t.b, t.loc, i32, arith::ShRUIOp::create(t.b, t.loc, product, shift));
  return {high, arith::TruncIOp::create(t.b, t.loc, i32, product)};
}

Value lowbit::buildUniform(TileBuilder &t, uint64_t seed, const ElementPlace &place, Value x) {
  using numerics::Philox;
  unsigned rank = place.shape.size();
  Value leading = t.i32(0);
  for (unsigned axis = 0; axis + 2 < rank; ++axis) {
    if (axis > 0)
      leading = arith::MulIOp::create(t.b, t.loc, leading, t.i32(place.shape[axis]));
    leading = arith::AddIOp::create(t.b, t.loc, leading, indexOn(t, place, axis));
  }
  auto origin = DrawOriginOp::create(t.b, t.loc);
  auto word = [&](Value wide) -> Value {
    return arith::TruncIOp::create(t.b, t.loc, t.b.getI32Type(), wide);
  };
  auto from = [&](Value first, Value index) -> Value {
    return arith::AddIOp::create(t.b, t.loc, index, word(first));
  };
  Value row = rank > 1 ? indexOn(t, place, rank - 2) : t.i32(0);
  Value c[] = {from(origin.getColumn(), indexOn(t, place, rank - 1)), from(origin.getRow(), row),
               leading, arith::BitcastOp::create(t.b, t.loc, t.b.getI32Type(), x)};
  auto seeds = numerics::philoxKey(seed);
  Value upper = arith::AddIOp::create(t.b, t.loc, word(origin.getNumber()), t.i32(seeds[1]));
  auto mix = [&](Value a, Value b, Value key) -> Value {
    return arith::XOrIOp::create(t.b, t.loc, arith::XOrIOp::create(t.b, t.loc, a, b), key);
  };
  for (unsigned round = 0; round < Philox::rounds; ++round) {
    auto [highA, lowA] = multiplyWords(t, Philox::multipliers[0], c[0]);
    auto [highB, lowB] = multiplyWords(t, Philox::multipliers[1], c[2]);
    c[0] = mix(highB, c[1], t.i32(seeds[0] + round * Philox::weyl[0]));
    c[2] = mix(highA, c[3], upper);
    c[1] = lowB;
    c[3] = lowA;
    upper = arith::AddIOp::create(t.b, t.loc, upper, t.i32(Philox::weyl[1]));
  }
  // Below 2^24, a signed conversion does.
  Value high = arith::ShRUIOp::create(t.b, t.loc, c[0], t.i32(8));
  Value number = arith::SIToFPOp::create(t.b, t.loc, t.b.getF32Type(), high);
  return arith::MulFOp::create(t.b, t.loc, number, t.f32(0x1p-24f));
}

//===----------------------------------------------------------------------===//
// Stochastic rounding
//===----------------------------------------------------------------------===//

static Value above(TileBuilder &t, Value a, Value b) {
  return arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::OGT, a, b);
}

Value lowbit::buildRoundStochastically(TileBuilder &t, Value x, Value random) {
  Value below = math::FloorOp::create(t.b, t.loc, x);
  Value up = above(t, arith::SubFOp::create(t.b, t.loc, x, below), random);
  return arith::SelectOp::create(t.b, t.loc, up, arith::AddFOp::create(t.b, t.loc, below, t.f32(1)),
                                 below);
}

/// f16 and bf16: on the bits of the magnitude.
static Value encodeFloat(TileBuilder &t, FormatAttrInterface format, Value x, Value random) {
  Type i16 = t.b.getI16Type(), codeType = format.getCodeType();
  auto i16Of = [&](int64_t v) -> Value {
    return arith::ConstantOp::create(t.b, t.loc, t.b.getI16IntegerAttr(v));
  };
  auto decode = [&](Value bits) {
    return format.buildDecode(t.b, t.loc, arith::BitcastOp::create(t.b, t.loc, codeType, bits));
  };
  Value magnitude = math::AbsFOp::create(t.b, t.loc, x);
  Value nearest =
      arith::BitcastOp::create(t.b, t.loc, i16, format.buildEncode(t.b, t.loc, magnitude));
  Value isAbove = above(t, decode(nearest), magnitude);
  Value below = arith::SelectOp::create(
      t.b, t.loc, isAbove, arith::SubIOp::create(t.b, t.loc, nearest, i16Of(1)), nearest);
  Value next = arith::AddIOp::create(t.b, t.loc, below, i16Of(1));
  Value low = decode(below);
  Value step = arith::SubFOp::create(t.b, t.loc, decode(next), low);
  Value part =
      arith::DivFOp::create(t.b, t.loc, arith::SubFOp::create(t.b, t.loc, magnitude, low), step);
  Value bits = arith::SelectOp::create(t.b, t.loc, above(t, part, random), next, below);
  Value sign = arith::ShRUIOp::create(
      t.b, t.loc, arith::BitcastOp::create(t.b, t.loc, t.b.getI32Type(), x), t.i32(31));
  sign =
      arith::ShLIOp::create(t.b, t.loc, arith::TruncIOp::create(t.b, t.loc, i16, sign), i16Of(15));
  bits = arith::OrIOp::create(t.b, t.loc, bits, sign);
  Value isInside = arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::OLT, magnitude,
                                         t.f32(format.getReference().highest()));
  // Bits in both arms: a select of bf16 vectors is not for every target.
  Value outside = arith::BitcastOp::create(t.b, t.loc, i16, format.buildEncode(t.b, t.loc, x));
  bits = arith::SelectOp::create(t.b, t.loc, isInside, bits, outside);
  return arith::BitcastOp::create(t.b, t.loc, codeType, bits);
}

/// Between the neighbours in a table, found by binary search.
static Value encodeTable(TileBuilder &t, const numerics::Format &format, Value x, Value random) {
  numerics::LevelTable table = numerics::levelTableOf(format);
  unsigned count = table.levels.size(), size = llvm::PowerOf2Ceil(count);
  // Filled up with NaN, which no number is above.
  std::vector<float> levels = table.levels;
  levels.resize(size, std::numeric_limits<float>::quiet_NaN());
  std::vector<int8_t> codes(table.codes.begin(), table.codes.end());
  codes.resize(size, 0);
  auto tensorOf = [&](Type element) { return RankedTensorType::get({(int64_t)size}, element); };
  Value levelTable = arith::ConstantOp::create(
      t.b, t.loc, DenseElementsAttr::get(tensorOf(t.b.getF32Type()), ArrayRef<float>(levels)));
  Value codeTable = arith::ConstantOp::create(
      t.b, t.loc, DenseElementsAttr::get(tensorOf(t.b.getI8Type()), ArrayRef<int8_t>(codes)));
  // Indices of 32 bits: in vectors they have the width of the levels.
  auto lookUp = [&](Value table, Value i) -> Value {
    Value index = arith::IndexCastUIOp::create(t.b, t.loc, t.b.getIndexType(), i);
    return tensor::ExtractOp::create(t.b, t.loc, table, index);
  };
  auto levelAt = [&](Value i) { return lookUp(levelTable, i); };
  Value at = t.i32(0);
  for (unsigned step = size / 2; step; step /= 2) {
    Value next = arith::AddIOp::create(t.b, t.loc, at, t.i32(step));
    Value reached = arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::OGE, x, levelAt(next));
    at = arith::SelectOp::create(t.b, t.loc, reached, next, at);
  }
  at = arith::MinUIOp::create(t.b, t.loc, at, t.i32(count - 2));
  Value next = arith::AddIOp::create(t.b, t.loc, at, t.i32(1));
  Value low = levelAt(at);
  Value step = arith::SubFOp::create(t.b, t.loc, levelAt(next), low);
  Value part = arith::DivFOp::create(t.b, t.loc, arith::SubFOp::create(t.b, t.loc, x, low), step);
  Value chosen = arith::SelectOp::create(t.b, t.loc, above(t, part, random), next, at);
  return lookUp(codeTable, chosen);
}

Value lowbit::buildEncodeStochastically(TileBuilder &t, FormatAttrInterface format, Value x,
                                        Value random) {
  numerics::Format reference = format.getReference();
  if (reference.isFloat())
    return encodeFloat(t, format, x, random);
  Value number = t.withoutNaN(x);
  if (reference.isInteger())
    return format.buildEncode(t.b, t.loc, buildRoundStochastically(t, number, random));
  Value code = encodeTable(t, reference, number, random);
  if (!reference.hasNaN())
    return code;
  Value isNaN = arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::UNO, x, x);
  return arith::SelectOp::create(t.b, t.loc, isNaN, format.buildEncode(t.b, t.loc, x), code);
}
