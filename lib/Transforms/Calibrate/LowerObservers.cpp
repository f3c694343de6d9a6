//===- LowerObservers.cpp - Statistics are arguments that are updated -----===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Transforms/Calibrate/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace lowbit {
#define GEN_PASS_DEF_LOWEROBSERVERS
#include "lowbit/Transforms/Calibrate/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

/// The value as rows [rows, channels].
static Value toRows(OpBuilder &b, ObserveOp tap) {
  Value value = tap.getValue();
  int64_t rank = tap.getValue().getType().getRank();
  if (rank == 2)
    return value;
  if (rank == 1)
    return tensor::ExpandShapeOp::create(
        b, tap.getLoc(),
        RankedTensorType::get({1, tap.getChannels()}, tap.getValue().getType().getElementType()),
        value, ArrayRef<ReassociationIndices>{{0, 1}});
  ReassociationIndices leading = llvm::to_vector(llvm::seq<int64_t>(0, rank - 1));
  return tensor::CollapseShapeOp::create(b, tap.getLoc(), value,
                                         ArrayRef<ReassociationIndices>{leading, {rank - 1}});
}

/// Magnitudes are counted by the high half of their f32: 8 bits of the exponent, 7 of the mantissa.
static constexpr int64_t kBins = 1 << 15;

static RankedTensorType getStatisticType(ObserveOp tap, StatisticKind kind) {
  if (kind == StatisticKind::Histogram)
    return RankedTensorType::get({kBins}, IntegerType::get(tap.getContext(), 64));
  SmallVector<int64_t> shape(kind == StatisticKind::Moments ? 2 : 1, tap.getChannels());
  return RankedTensorType::get(shape, tap.getValue().getType().getElementType());
}

/// Counts every element of the rows, one after the other: where they are added follows from what
/// they are.
static Value buildCounts(OpBuilder &b, Location loc, Value rows, Value before) {
  Value zero = arith::ConstantIndexOp::create(b, loc, 0),
        one = arith::ConstantIndexOp::create(b, loc, 1);
  auto loopOver = [&](OpBuilder &b, int64_t axis, Value carried, auto body) -> Value {
    Value end = tensor::DimOp::create(b, loc, rows, axis);
    return scf::ForOp::create(b, loc, zero, end, one, carried,
                              [&](OpBuilder &b, Location loc, Value i, ValueRange counts) {
                                scf::YieldOp::create(b, loc, body(b, i, counts[0]));
                              })
        .getResult(0);
  };
  return loopOver(b, 0, before, [&](OpBuilder &b, Value row, Value counts) -> Value {
    return loopOver(b, 1, counts, [&](OpBuilder &b, Value channel, Value counts) -> Value {
      Value x = tensor::ExtractOp::create(b, loc, rows, ValueRange{row, channel});
      Value bits =
          arith::BitcastOp::create(b, loc, b.getI32Type(), math::AbsFOp::create(b, loc, x));
      Value shift = arith::ConstantIntOp::create(b, loc, b.getI32Type(), 16);
      Value bin = arith::IndexCastOp::create(b, loc, b.getIndexType(),
                                             arith::ShRUIOp::create(b, loc, bits, shift));
      Value count = tensor::ExtractOp::create(b, loc, counts, bin);
      Value unit = arith::ConstantIntOp::create(b, loc, b.getI64Type(), 1);
      return tensor::InsertOp::create(b, loc, arith::AddIOp::create(b, loc, count, unit), counts,
                                      bin);
    });
  });
}

/// What `before` becomes when these rows have passed.
static Value buildUpdate(OpBuilder &b, Location loc, StatisticKind kind, Value rows, Value before) {
  MLIRContext *context = b.getContext();
  AffineExpr d0, d1, d2;
  bindDims(context, d0, d1, d2);
  if (kind == StatisticKind::Histogram)
    return buildCounts(b, loc, rows, before);
  if (kind == StatisticKind::Moments) {
    // As a matrix product of the transposed rows with the rows.
    auto map = [&](AffineExpr x, AffineExpr y) { return AffineMap::get(3, 0, {x, y}, context); };
    auto product = linalg::MatmulOp::create(b, loc, before.getType(), ValueRange{rows, rows},
                                            ValueRange{before});
    product.setIndexingMapsAttr(b.getAffineMapArrayAttr({map(d2, d0), map(d2, d1), map(d0, d1)}));
    return product.getResult(0);
  }
  auto update = [&](OpBuilder &b, Location loc, ValueRange e) {
    Value x = e[0], s = e[1], result;
    switch (kind) {
    case StatisticKind::Squares:
      result = arith::AddFOp::create(b, loc, s, arith::MulFOp::create(b, loc, x, x));
      break;
    case StatisticKind::Magnitudes:
      result = arith::AddFOp::create(b, loc, s, math::AbsFOp::create(b, loc, x));
      break;
    case StatisticKind::Maxima:
      result = arith::MaximumFOp::create(b, loc, s, x);
      break;
    case StatisticKind::Minima:
      result = arith::MinimumFOp::create(b, loc, s, x);
      break;
    default:
      result = arith::AddFOp::create(b, loc, s, x);
    }
    linalg::YieldOp::create(b, loc, result);
  };
  return linalg::GenericOp::create(
             b, loc, before.getType(), rows, before,
             {AffineMap::get(2, 0, {d0, d1}, context), AffineMap::get(2, 0, {d1}, context)},
             {utils::IteratorType::reduction, utils::IteratorType::parallel}, update)
      .getResult(0);
}

namespace {
struct LowerObserversPass : lowbit::impl::LowerObserversBase<LowerObserversPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    SmallVector<ObserveOp> taps;
    function.walk([&](ObserveOp tap) { taps.push_back(tap); });
    if (taps.empty())
      return;
    auto updates = function->getAttrOfType<DenseI64ArrayAttr>(LowbitDialect::kUpdatesAttrName);
    for (ObserveOp tap : taps) {
      if (!function->hasAttr(LowbitDialect::kEntryAttrName) || !updates) {
        tap.emitError("is in a function that nobody calls with storage for statistics: inline it "
                      "into an entry with '")
            << LowbitDialect::kUpdatesAttrName << "'";
        return signalPassFailure();
      }
      if (tap->getBlock() != &function.front()) {
        tap.emitError("is in a region: only values of an entry's own block can be tapped");
        return signalPassFailure();
      }
    }
    auto terminator = cast<func::ReturnOp>(function.front().getTerminator());
    SmallVector<int64_t> updated(updates.asArrayRef());
    SmallVector<Value> results(terminator.getOperands());
    for (ObserveOp tap : taps) {
      OpBuilder b(tap);
      Value rows = toRows(b, tap);
      for (StatisticKind kind : tap.getKinds()) {
        unsigned number = function.getNumArguments();
        std::string name =
            (cast<StringAttr>(tap.getFeeds()[0]).getValue() + "." + stringifyStatisticKind(kind))
                .str();
        if (failed(function.insertArgument(
                number, getStatisticType(tap, kind),
                b.getDictionaryAttr(b.getNamedAttr("lowbit.name", b.getStringAttr(name))),
                tap.getLoc())))
          return signalPassFailure();
        results.push_back(buildUpdate(b, tap.getLoc(), kind, rows, function.getArgument(number)));
        updated.push_back(number);
      }
      tap.erase();
    }
    terminator.getOperandsMutable().assign(results);
    function.setFunctionType(FunctionType::get(&getContext(), function.getArgumentTypes(),
                                               TypeRange(ValueRange(results))));
    function->setAttr(LowbitDialect::kUpdatesAttrName,
                      DenseI64ArrayAttr::get(&getContext(), updated));
  }
};
} // namespace
