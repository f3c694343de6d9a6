//===- VectorLookup.cpp - Constant tables, one lookup for each lane --------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "VectorLookup.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace lowbit {

/// Indices as integers of `bits` bits. Index lanes, of 64 bits, would take two registers: mostly
/// they come from narrower ones.
static Value asIntegers(OpBuilder &b, Location loc, Value indices, unsigned bits) {
  auto type = cast<VectorType>(indices.getType()).cloneWith({}, b.getIntegerType(bits));
  auto cast = indices.getDefiningOp<arith::IndexCastUIOp>();
  if (!cast)
    return arith::IndexCastOp::create(b, loc, type, indices);
  unsigned own = getElementTypeOrSelf(cast.getIn().getType()).getIntOrFloatBitWidth();
  if (own < bits)
    return arith::ExtUIOp::create(b, loc, type, cast.getIn());
  if (own > bits)
    return arith::TruncIOp::create(b, loc, type, cast.getIn());
  return cast.getIn();
}

/// Lanes [first, first + count) of `indices`, looked up by extracting each: LLVM recognizes that as
/// one permutation (`vpermps`, `vpshufb`) if table, indices and result have lanes of one width and
/// number.
static Value pickLanes(OpBuilder &b, Location loc, Value table, Value indices, int64_t first,
                       int64_t count) {
  SmallVector<Value> picked;
  for (int64_t lane = first; lane < first + count; ++lane) {
    Value index = vector::ExtractOp::create(b, loc, indices, lane);
    index = arith::IndexCastUIOp::create(b, loc, b.getIndexType(), index);
    picked.push_back(vector::ExtractOp::create(b, loc, table, index));
  }
  auto type = VectorType::get({count}, picked.front().getType());
  return vector::FromElementsOp::create(b, loc, type, picked);
}

/// Permutations need a table with as many elements as lanes. A vector of more lanes is looked up in
/// parts; a table of more elements is cut into parts of which each lane selects one.
static Value emitPermutation(OpBuilder &b, Location loc, Value table, Value indices,
                             VectorType type) {
  auto intType = type.cloneWith({}, b.getIntegerType(type.getElementTypeBitWidth()));
  indices = asIntegers(b, loc, indices, type.getElementTypeBitWidth());
  auto splat = [&](int64_t value) -> Value {
    Attribute element = b.getIntegerAttr(intType.getElementType(), value);
    return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(intType, element));
  };
  int64_t lanes = type.getDimSize(0);
  int64_t size = cast<VectorType>(table.getType()).getDimSize(0);
  if (lanes < 4 || !llvm::isPowerOf2_64(lanes)) // No such registers: leave it to LLVM.
    return pickLanes(b, loc, table, indices, 0, lanes);
  int64_t part = std::min(lanes, maxRegisterTable);
  Value place = indices;
  if (size > part)
    place = arith::AndIOp::create(b, loc, indices, splat(part - 1));
  Value result;
  for (int64_t start = 0; start < size; start += part) {
    SmallVector<int64_t> source;
    for (int64_t lane = start; lane < start + part; ++lane)
      source.push_back(std::min(lane, size - 1));
    Value levels = vector::ShuffleOp::create(b, loc, table, table, source);
    Value picked = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
    for (int64_t first = 0; first < lanes; first += part)
      picked = vector::InsertStridedSliceOp::create(
          b, loc, pickLanes(b, loc, levels, place, first, part), picked, first, int64_t(1));
    if (!result) {
      result = picked;
      continue;
    }
    Value isHere = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::uge, indices, splat(start));
    result = arith::SelectOp::create(b, loc, isHere, picked, result);
  }
  return result;
}

Value emitLookup(OpBuilder &b, Location loc, Value table, Value indices) {
  Type element = getElementTypeOrSelf(table.getType());
  auto type =
      cast<VectorType>(VectorType::get(cast<VectorType>(indices.getType()).getShape(), element));
  if (isa<VectorType>(table.getType()))
    return emitPermutation(b, loc, table, indices, type);
  auto tableType = cast<MemRefType>(table.getType());
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  if (tableType.getDimSize(0) <= maxRegisterTable) {
    auto whole = VectorType::get(tableType.getShape(), element);
    Value levels = vector::LoadOp::create(b, loc, whole, table, ValueRange(zero));
    return emitPermutation(b, loc, levels, indices, type);
  }
  Value all = arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(type.cloneWith({}, b.getI1Type()), true));
  Value none = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
  return vector::GatherOp::create(b, loc, type, table, zero, asIntegers(b, loc, indices, 32), all,
                                  none);
}

} // namespace lowbit
