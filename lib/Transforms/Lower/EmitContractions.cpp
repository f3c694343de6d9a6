//===- EmitContractions.cpp - Vector code for contractions on components ---===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A register tile is `groups` vectors of 16 rows of weights times `rows` rows of activations. Over
// the columns of a block it adds products of codes: in integers, four columns at a time, or in f32,
// of decoded levels. At the end of a block both sides' factors come in, by one multiply-add for
// each vector.
//
//===----------------------------------------------------------------------===//
#include "InnerFactors.h"
#include "InnerTilePlan.h"
#include "Reports.h"
#include "VectorLanes.h"
#include "VectorStrips.h"
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
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace lowbit {
#define GEN_PASS_DEF_EMITCONTRACTIONS
#include "lowbit/Transforms/Lower/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;
using numerics::InnerTile;
using Values = SmallVector<Value>;

namespace {

/// The tile that is computed at the moment; all indices are those of the whole op.
struct RegisterTile {
  Value group, row;
  int64_t groups, rows;

  int64_t size() const { return groups * rows; }
};

class ContractEmitter {
public:
  /// `distance` in bytes, 0: no prefetches.
  ContractEmitter(ContractOp op, const InnerTilePlan &plan, int64_t distance, unsigned locality)
      : op(op), plan(plan), factors(op, plan), distance(distance), locality(locality),
        loc(op.getLoc()), init(op.getInit()) {}

  void emit(OpBuilder &b, int64_t groupsAtOnce, int64_t vectorsAtOnce, const Reporter &report) {
    TileBuilder t(b, loc);
    auto type = cast<MemRefType>(init.getType());
    auto extent = [&](unsigned axis) -> OpFoldResult {
      if (!type.isDynamicDim(axis))
        return b.getIndexAttr(type.getDimSize(axis));
      return memref::DimOp::create(b, loc, init, axis).getResult();
    };
    firstGroup = t.value(t.floorDiv(op.getFirst(), InnerTile::rows));
    outputs = extent(1);
    OpFoldResult groups = t.ceilDiv(outputs, InnerTile::rows), allRows = extent(0);
    // Several rows share what is read of the weights: then fewer vectors of them do.
    if (getConstantIntValue(allRows).value_or(INT64_MAX) > 3)
      groupsAtOnce = std::min<int64_t>(groupsAtOnce, plan.isInteger() ? 2 : 1);
    // Each sum has those of the current block beside it, one for each plane.
    int64_t sumsAtOnce = vectorsAtOnce / (plan.planeCount() + 1);
    auto rowWidths = [&](int64_t groups) { return stripWidths(allRows, sumsAtOnce / groups); };
    SmallVector<int64_t> widths = stripWidths(groups, groupsAtOnce);
    // The first width that the extent has room for.
    auto largest = [](ArrayRef<int64_t> widths, OpFoldResult extent) {
      int64_t room = getConstantIntValue(extent).value_or(INT64_MAX);
      while (widths.size() > 1 && widths[0] > room)
        widths = widths.drop_front();
      return widths[0];
    };
    report.analysis(op, [&]() -> Facts {
      int64_t groupCount = largest(widths, groups);
      int64_t rowCount = largest(rowWidths(groupCount), allRows);
      return {Fact("TileRows", rowCount), Fact("TileOutputs", groupCount * InnerTile::rows),
              Fact("VectorsOfSums", (plan.planeCount() + 1) * groupCount * rowCount),
              Fact("BlockColumns", plan.block)};
    });
    emitStrips(b, loc, groups, widths, {},
               [&](OpBuilder &b, Value group, int64_t groups, ValueRange) -> Values {
                 emitStrips(b, loc, allRows, rowWidths(groups), {},
                            [&](OpBuilder &b, Value row, int64_t rows, ValueRange) -> Values {
                              emitTile(b, {group, row, groups, rows});
                              return {};
                            });
                 return {};
               });
  }

private:
  //===--- loops over columns -----------------------------------------------===//

  void emitTile(OpBuilder &b, const RegisterTile &tile) {
    Value group = arith::AddIOp::create(b, loc, firstGroup, tile.group);
    groups.clear();
    for (int64_t g = 0; g < tile.groups; ++g)
      groups.push_back(emitOffset(b, loc, group, g));
    rows.clear();
    for (int64_t m = 0; m < tile.rows; ++m)
      rows.push_back(emitOffset(b, loc, tile.row, m));

    int64_t columns = std::max(plan.block, plan.step);
    Values sums(tile.size(), splat(b, b.getF32FloatAttr(0)));
    sums = emitStrips(b, loc, b.getIndexAttr(plan.columns / columns), {1}, sums,
                      [&](OpBuilder &b, Value step, int64_t, ValueRange sums) {
                        Values next(sums);
                        for (int64_t start = 0; start < columns; start += plan.block)
                          next = emitBlock(b, {step, columns, start}, next);
                        return next;
                      })
               .first;
    emitFinish(b, tile, sums);
  }

  /// One block, from its first column `at` on.
  Values emitBlock(OpBuilder &b, const StepColumn &at, ValueRange sums) {
    // For each plane of the activations, one for each sum.
    Values dots;
    for (size_t plane = 0, count = plan.planeCount(); plane < count; ++plane)
      for (size_t i = 0; i < sums.size(); ++i)
        dots.push_back(startOf(b, at, plane, i % rows.size()));
    int64_t length = std::min(plan.block, plan.step);
    // Several rows are work enough for a loop over parts of a block, and much code without one.
    while (rows.size() > 1 && length > 16 && length % (2 * plan.multiple) == 0)
      length /= 2;
    int64_t trips = plan.block / length;
    if (trips == 1) {
      dots = emitProducts(b, at, length, dots);
    } else {
      Value first = columnOf(b, {at.step, trips, 0});
      dots = emitStrips(b, loc, b.getIndexAttr(trips), {1}, dots,
                        [&](OpBuilder &b, Value trip, int64_t, ValueRange dots) {
                          Value step = arith::AddIOp::create(b, loc, first, trip);
                          return emitProducts(b, {step, length, 0}, length, dots);
                        })
                 .first;
    }
    return emitFactors(b, at, dots, sums);
  }

  /// Adds the products of `length` columns to `dots`.
  Values emitProducts(OpBuilder &b, StepColumn at, int64_t length, ValueRange dots) {
    Values next(dots);
    for (int64_t end = at.offset + length; at.offset < end; at.offset += InnerTile::columns) {
      LayoutAttrInterface layout = plan.weights.getStorage();
      Values tiles;
      for (Value group : groups) {
        if (distance)
          layout.buildInnerPrefetch(b, loc, plan.weights, plan.rhsType, op.getRhs(), group, at,
                                    distance, locality);
        tiles.push_back(
            layout.buildInnerTile(b, loc, plan.weights, plan.rhsType, op.getRhs(), group, at));
      }
      if (plan.isInteger())
        addIntegers(b, at, tiles, next);
      else
        addFloats(b, at, tiles, next);
    }
    return next;
  }

  //===--- products ---------------------------------------------------------===//

  void addIntegers(OpBuilder &b, const StepColumn &at, MutableArrayRef<Value> tiles, Values &dots) {
    auto bytes = cast<VectorType>(tiles[0].getType());
    if (!plan.levels->table.empty()) {
      auto type = VectorType::get({16}, b.getI8Type());
      SmallVector<int8_t> table(plan.levels->table.begin(), plan.levels->table.end());
      table.resize(16);
      Value levels =
          arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, ArrayRef<int8_t>(table)));
      for (Value &tile : tiles)
        tile = LookupOp::create(b, loc, levels, tile);
    }
    Value column = columnOf(b, at);
    for (auto [m, row] : llvm::enumerate(rows))
      for (size_t plane = 0; plane < plan.planeCount(); ++plane) {
        // Four codes are one lane, the same in all of them.
        Value four = vector::LoadOp::create(b, loc, VectorType::get({4}, b.getI8Type()),
                                            op.getLhs()[plane], ValueRange{row, column});
        four = vector::BitCastOp::create(b, loc, VectorType::get({1}, b.getI32Type()), four);
        four = vector::ExtractOp::create(b, loc, four, 0);
        Value lanes = lowbit::toLanes(b, loc, four, InnerTile::rows);
        lanes = vector::BitCastOp::create(b, loc, bytes, lanes);
        for (auto [g, tile] : llvm::enumerate(tiles)) {
          Value &dot = dots[(plane * tiles.size() + g) * rows.size() + m];
          dot = Dot4Op::create(b, loc, tile, lanes, dot);
        }
      }
  }

  void addFloats(OpBuilder &b, const StepColumn &at, ArrayRef<Value> tiles, Values &dots) {
    auto words = VectorType::get({InnerTile::rows}, b.getI32Type());
    for (int64_t i = 0; i < InnerTile::columns; ++i) {
      Values levels;
      for (Value tile : tiles)
        levels.push_back(levelsOf(b, vector::BitCastOp::create(b, loc, words, tile), 8 * i));
      Value column = columnOf(b, {at.step, at.extent, at.offset + i});
      for (auto [m, row] : llvm::enumerate(rows)) {
        Value x = memref::LoadOp::create(b, loc, op.getLhs()[0], ValueRange{row, column});
        x = lowbit::toLanes(b, loc, x, InnerTile::rows);
        for (auto [g, level] : llvm::enumerate(levels)) {
          Value &dot = dots[g * rows.size() + m];
          dot = vector::FMAOp::create(b, loc, level, x, dot);
        }
      }
    }
  }

  /// The levels, in f32, of the codes at bit `shift` of each lane.
  Value levelsOf(OpBuilder &b, Value words, int64_t shift) {
    numerics::Format format = plan.weights.getCodeFormat().getReference();
    if (shift)
      words = arith::ShRUIOp::create(b, loc, words, splat(b, b.getI32IntegerAttr(shift)));
    int64_t mask = (1 << format.bits()) - 1;
    if (shift != 24 || format.bits() < 8)
      words = arith::AndIOp::create(b, loc, words, splat(b, b.getI32IntegerAttr(mask)));
    uint32_t flipped = format.kind() == numerics::FormatKind::Int ? 1u << (format.bits() - 1) : 0;
    if (format.bits() <= 4) {
      SmallVector<float> table;
      for (uint32_t code = 0; code <= mask; ++code)
        table.push_back(format.decode(code ^ flipped));
      table.resize(InnerTile::rows);
      Value levels = arith::ConstantOp::create(
          b, loc, DenseElementsAttr::get(floats(b), ArrayRef<float>(table)));
      return LookupOp::create(b, loc, levels, words);
    }
    if (format.isInteger()) {
      Value level = arith::SIToFPOp::create(b, loc, floats(b), words);
      return flipped ? arith::SubFOp::create(b, loc, level, splat(b, b.getF32FloatAttr(flipped)))
                     : level;
    }
    Value codes =
        arith::TruncIOp::create(b, loc, VectorType::get({InnerTile::rows}, b.getI8Type()), words);
    return buildLevels(b, loc, plan.weights.getCodeFormat(), codes);
  }

  //===--- factors ----------------------------------------------------------===//

  /// The start of a block's sum: what the offset of the codes adds, in integers.
  Value startOf(OpBuilder &b, const StepColumn &at, size_t plane, size_t m) {
    if (!plan.isInteger())
      return splat(b, b.getF32FloatAttr(0));
    if (plan.levels->offset == 0 || plane != 0)
      return splat(b, b.getI32IntegerAttr(0));
    Value offset = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(-plan.levels->offset));
    Value start = arith::MulIOp::create(b, loc, factors.buildBlockSum(b, rows[m], at), offset);
    return lowbit::toLanes(b, loc, start, InnerTile::rows);
  }

  /// sums + factors * (dots - zero points) + minima.
  Values emitFactors(OpBuilder &b, const StepColumn &at, ValueRange dots, ValueRange sums) {
    Values next;
    ScaleAttrInterface zeroTree = plan.weights.getZeroTree();
    Values xFactors, xSums;
    for (Value row : rows) {
      xFactors.push_back(plan.activationsVary ? factors.buildActivations(b, row, at) : Value());
      if (!zeroTree)
        continue;
      Value sum = factors.buildBlockSum(b, row, at);
      xSums.push_back(plan.isInteger() ? arith::SIToFPOp::create(b, loc, b.getF32Type(), sum)
                                       : sum);
    }
    for (auto [g, group] : llvm::enumerate(groups)) {
      Value zero = zeroTree ? factors.buildZeros(b, group, at) : Value();
      Value factor = plan.weightsVary ? factors.buildWeights(b, group, at) : Value();
      for (size_t m = 0; m < rows.size(); ++m) {
        size_t i = g * rows.size() + m;
        Value dot = dots[i], sum = sums[i];
        for (size_t plane = 1; plane < plan.planeCount(); ++plane) {
          Value shift = splat(b, b.getI32IntegerAttr(plan.activationPlanes[plane].shift));
          Value high = arith::ShLIOp::create(b, loc, dots[plane * sums.size() + i], shift);
          dot = arith::AddIOp::create(b, loc, dot, high);
        }
        if (plan.isInteger())
          dot = arith::SIToFPOp::create(b, loc, floats(b), dot);
        if (zero && !plan.weights.getAdditive()) {
          Value less = arith::NegFOp::create(b, loc, xSums[m]);
          dot = vector::FMAOp::create(b, loc, lanes(b, zero), lanes(b, less), dot);
        }
        sum = multiplyAdd(b, dot, buildProduct(b, loc, factor, xFactors[m]), sum);
        if (zero && plan.weights.getAdditive())
          sum = vector::FMAOp::create(b, loc, lanes(b, zero),
                                      lanes(b, buildProduct(b, loc, xSums[m], xFactors[m])), sum);
        next.push_back(sum);
      }
    }
    return next;
  }

  /// Factors that do not vary along the columns, then the sums are added to the output.
  void emitFinish(OpBuilder &b, const RegisterTile &tile, ValueRange sums) {
    StepColumn start{arith::ConstantIndexOp::create(b, loc, 0), plan.columns, 0};
    Values xFactors;
    for (Value row : rows)
      xFactors.push_back(plan.isInteger() && !plan.activationsVary
                             ? factors.buildActivations(b, row, start)
                             : Value());
    for (auto [g, group] : llvm::enumerate(groups)) {
      Value factor = plan.weightsVary ? Value() : factors.buildWeights(b, group, start);
      for (size_t m = 0; m < rows.size(); ++m) {
        Value sum = sums[g * rows.size() + m];
        if (Value all = buildProduct(b, loc, factor, xFactors[m]))
          sum = arith::MulFOp::create(b, loc, sum, lanes(b, all));
        addToOutput(b, rows[m], emitOffset(b, loc, tile.group, g), sum);
      }
    }
  }

  void addToOutput(OpBuilder &b, Value row, Value group, Value sum) {
    Value column = columnOf(b, {group, InnerTile::rows, 0});
    Values indices{row, column};
    // A part of unknown size ends with a group, or at the last output.
    int64_t extent = cast<MemRefType>(init.getType()).getDimSize(1);
    if (ShapedType::isDynamic(extent))
      extent = plan.rhsType.getDimSize(0);
    if (extent % InnerTile::rows == 0) {
      Value old = vector::LoadOp::create(b, loc, floats(b), init, indices);
      vector::StoreOp::create(b, loc, arith::AddFOp::create(b, loc, old, sum), init, indices);
      return;
    }
    TileBuilder t(b, loc);
    Value left = t.value(t.sub(outputs, column));
    Value mask = vector::CreateMaskOp::create(
        b, loc, VectorType::get({InnerTile::rows}, b.getI1Type()), left);
    Value zero = splat(b, b.getF32FloatAttr(0));
    Value old = vector::MaskedLoadOp::create(b, loc, floats(b), init, indices, mask, zero);
    vector::MaskedStoreOp::create(b, loc, init, indices, mask,
                                  arith::AddFOp::create(b, loc, old, sum));
  }

  //===--- small things -----------------------------------------------------===//

  VectorType floats(OpBuilder &b) { return VectorType::get({InnerTile::rows}, b.getF32Type()); }
  Value splat(OpBuilder &b, TypedAttr element) {
    auto type = VectorType::get({InnerTile::rows}, element.getType());
    return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, Attribute(element)));
  }
  Value lanes(OpBuilder &b, Value value) { return lowbit::toLanes(b, loc, value, InnerTile::rows); }
  Value multiplyAdd(OpBuilder &b, Value x, Value factor, Value sum) {
    if (!factor)
      return arith::AddFOp::create(b, loc, sum, x);
    return vector::FMAOp::create(b, loc, x, lanes(b, factor), sum);
  }
  Value columnOf(OpBuilder &b, const StepColumn &at) { return TileBuilder(b, loc).blockOf(at, 1); }

  ContractOp op;
  const InnerTilePlan &plan;
  InnerFactors factors;
  int64_t distance;
  unsigned locality;
  Location loc;
  Value init, firstGroup;
  OpFoldResult outputs;
  Values groups, rows; ///< of the current tile, in the whole weights and activations
};

struct EmitContractionsPass : lowbit::impl::EmitContractionsBase<EmitContractionsPass> {
  using EmitContractionsBase::EmitContractionsBase;

  Reporter report{getArgumentName(), "register-tile"};

  void runOnOperation() override {
    SmallVector<ContractOp> found;
    getOperation().walk([&](ContractOp op) { found.push_back(op); });
    for (ContractOp op : found) {
      std::string reason;
      FailureOr<InnerTilePlan> plan =
          planInnerTiles(op.getLhsTensorType(), op.getRhsTensorType(), reason);
      if (failed(plan) || op.getResult()) {
        op.emitError() << "cannot become vector code: it "
                       << (failed(plan) ? reason : "is not on buffers");
        return signalPassFailure();
      }
      OpBuilder b(op);
      ContractEmitter(op, *plan, prefetchDistance, prefetchLocality)
          .emit(b, groupsAtOnce, vectorsAtOnce, report);
      op.erase();
    }
  }
};
} // namespace
