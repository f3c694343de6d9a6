//===- VectorStrips.cpp - Loops that end in narrower steps -----------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "VectorStrips.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"

using namespace mlir;

namespace lowbit {
namespace {

Value constantIndex(OpBuilder &b, Location loc, int64_t value) {
  return arith::ConstantIndexOp::create(b, loc, value);
}

SmallVector<Value>
emitLoop(OpBuilder &b, Location loc, Value lower, Value upper, int64_t step, ValueRange init,
         llvm::function_ref<SmallVector<Value>(OpBuilder &, Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(b, loc, lower, upper, constantIndex(b, loc, step), init);
  OpBuilder::InsertionGuard guard(b);
  if (init.empty()) {
    b.setInsertionPointToStart(loop.getBody());
    body(b, loop.getInductionVar(), {});
    return {};
  }
  b.setInsertionPointToEnd(loop.getBody());
  SmallVector<Value> next = body(b, loop.getInductionVar(), loop.getRegionIterArgs());
  scf::YieldOp::create(b, loc, next);
  return llvm::to_vector_of<Value>(loop.getResults());
}

} // namespace

std::pair<SmallVector<Value>, OpFoldResult> emitStrips(OpBuilder &b, Location loc,
                                                       OpFoldResult extent,
                                                       ArrayRef<int64_t> widths, ValueRange init,
                                                       StripBody body) {
  auto values = llvm::to_vector_of<Value>(init);
  OpFoldResult start = b.getIndexAttr(0);
  std::optional<int64_t> size = getConstantIntValue(extent);
  for (int64_t width : widths) {
    OpFoldResult end;
    if (size) {
      int64_t first = *getConstantIntValue(start);
      int64_t last = *size - (*size - first) % width;
      end = b.getIndexAttr(last);
      if (last == first)
        continue;
      if (last == first + width) {
        values = body(b, constantIndex(b, loc, first), width, values);
        start = end;
        continue;
      }
    } else {
      end = extent;
      if (width > 1) {
        Value whole = cast<Value>(extent);
        Value left = arith::RemUIOp::create(b, loc, whole, constantIndex(b, loc, width));
        end = arith::SubIOp::create(b, loc, whole, left).getResult();
      }
    }
    values = emitLoop(
        b, loc, getValueOrCreateConstantIndexOp(b, loc, start),
        getValueOrCreateConstantIndexOp(b, loc, end), width, values,
        [&](OpBuilder &b, Value iv, ValueRange carried) { return body(b, iv, width, carried); });
    start = end;
  }
  return {values, start};
}

SmallVector<int64_t> stripWidths(OpFoldResult extent, int64_t most) {
  most = std::max<int64_t>(most, 1);
  if (std::optional<int64_t> known = getConstantIntValue(extent))
    for (int64_t width = most; width > most / 2; --width)
      if (*known % width == 0)
        return {width};
  SmallVector<int64_t> widths{most};
  if (most > 3)
    widths.push_back(most % 2 == 0 ? most / 2 : 1);
  if (widths.back() != 1)
    widths.push_back(1);
  return widths;
}

SmallVector<Value> emitRest(
    OpBuilder &b, Location loc, OpFoldResult start, OpFoldResult extent, int64_t width,
    ValueRange init,
    llvm::function_ref<SmallVector<Value>(OpBuilder &, Value, OpFoldResult, ValueRange)> body) {
  std::optional<int64_t> first = getConstantIntValue(start), last = getConstantIntValue(extent);
  if (first && last) {
    if (*first == *last)
      return llvm::to_vector_of<Value>(init);
    return body(b, constantIndex(b, loc, *first), b.getIndexAttr(*last - *first), init);
  }
  Value lower = getValueOrCreateConstantIndexOp(b, loc, start);
  Value upper = getValueOrCreateConstantIndexOp(b, loc, extent);
  return emitLoop(b, loc, lower, upper, width, init,
                  [&](OpBuilder &b, Value iv, ValueRange carried) {
                    Value left = arith::SubIOp::create(b, loc, upper, iv);
                    return body(b, iv, left, carried);
                  });
}

SmallVector<Value> emitIndices(OpBuilder &b, Location loc, AffineMap map, ArrayRef<Value> ivs) {
  SmallVector<OpFoldResult> operands;
  for (Value iv : ivs)
    operands.push_back(iv ? OpFoldResult(iv) : OpFoldResult(b.getIndexAttr(0)));
  SmallVector<Value> indices;
  for (AffineExpr expr : map.getResults()) {
    if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
      indices.push_back(ivs[dim.getPosition()]);
      continue;
    }
    indices.push_back(getValueOrCreateConstantIndexOp(
        b, loc,
        affine::makeComposedFoldedAffineApply(b, loc, AffineMap::get(ivs.size(), 0, expr),
                                              operands)));
  }
  return indices;
}

Value emitOffset(OpBuilder &b, Location loc, Value index, int64_t delta) {
  return delta == 0
             ? index
             : arith::AddIOp::create(b, loc, index, constantIndex(b, loc, delta)).getResult();
}

} // namespace lowbit
