//===- ContractEmitter.h - Vector code for one contraction --------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_CONTRACTEMITTER_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_CONTRACTEMITTER_H

#include "InnerFactors.h"
#include "InnerTilePlan.h"
#include "Reports.h"
#include "lowbit/IR/LowbitOps.h"
#include "lowbit/Numerics/TiledLayout.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace lowbit {

/// What a machine has, and how much of it a contraction takes.
struct ContractionTarget {
  int64_t groups;           ///< vectors of outputs in a register tile, at most
  int64_t vectors;          ///< vectors of sums in it, at most
  int64_t prefetchDistance; ///< in bytes; 0: no prefetches
  unsigned prefetchLocality;
  bool matrixUnit; ///< AMX
};

/// Rows of activations that the matrix unit takes at a time.
constexpr int64_t matrixRows = 16;

/// Emits one `lowbit.contract` on buffers. Over the columns of a block products of codes are added:
/// in integers, four columns at a time; in f32, of decoded levels; or by the matrix unit. At the
/// end of a block both sides' factors come in, by one multiply-add for each vector of sums.
class ContractEmitter {
public:
  ContractEmitter(ContractOp op, const InnerTilePlan &plan, const ContractionTarget &target)
      : op(op), plan(plan), factors(op, plan), target(target), loc(op.getLoc()),
        init(op.getInit()) {}

  void emit(mlir::OpBuilder &b, const Reporter &report);

private:
  using OpBuilder = mlir::OpBuilder;
  using Value = mlir::Value;
  using ValueRange = mlir::ValueRange;
  using Values = mlir::SmallVector<Value>;

  /// The tile that is computed at the moment; all indices are those of the whole op.
  struct RegisterTile {
    Value group, row;
    int64_t groups, rows;
    int64_t groupStride; ///< from one group to the next

    int64_t size() const { return groups * rows; }
  };

  // EmitContractions.cpp: loops, and products of vectors.
  void emitVectorTiles(OpBuilder &b, mlir::OpFoldResult firstRow, mlir::OpFoldResult rowCount,
                       int64_t groupsAtOnce, const Reporter &report);
  void startTile(OpBuilder &b, const RegisterTile &tile);
  void emitTile(OpBuilder &b, const RegisterTile &tile);
  /// One block, from its first column `at` on.
  Values emitBlock(OpBuilder &b, const StepColumn &at, ValueRange sums);
  /// Adds the products of `length` columns to `dots`.
  Values emitProducts(OpBuilder &b, StepColumn at, int64_t length, ValueRange dots);
  void addIntegers(OpBuilder &b, const StepColumn &at, mlir::MutableArrayRef<Value> tiles,
                   Values &dots);
  /// Bytes of codes to those of levels.
  Value lookUp(OpBuilder &b, Value tile);
  void addFloats(OpBuilder &b, const StepColumn &at, mlir::ArrayRef<Value> tiles, Values &dots);
  /// The levels, in f32, of the codes at bit `shift` of each lane.
  Value levelsOf(OpBuilder &b, Value words, int64_t shift);

  // EmitMatrixTiles.cpp: products by the matrix unit, 16 rows of activations at a time.
  bool canUseMatrixUnit() const;
  void emitMatrixTiles(OpBuilder &b, mlir::OpFoldResult tileCount);
  /// Whether the unit takes levels of weights with their sign: then nothing is to be added for an
  /// offset.
  bool hasSignedLevels() const;
  /// A block of columns, and where its unpacked weights are.
  struct MatrixBlock {
    StepColumn at, unpacked;
  };
  /// A group's inner tiles from step `first` on, as bytes [columns / 4, 64].
  void unpackWeights(OpBuilder &b, Value group, Value first, int64_t columns, Value unpacked);
  /// The products of a block, in a tile for each plane.
  void emitMatrixProducts(OpBuilder &b, const MatrixBlock &block, Value unpacked,
                          ValueRange products);
  /// Scales them and adds them to the sums of rows.
  Values addMatrixProducts(OpBuilder &b, const StepColumn &at, ValueRange products,
                           ValueRange sums);
  /// `count` units of columns from `first` on, whose weights are unpacked.
  Values emitMatrixChunk(OpBuilder &b, Value first, int64_t count, Value unpacked,
                         ValueRange products, ValueRange sums);

  // ContractEmitter.cpp: what comes around the products.
  /// The start of a block's sum: what the offset of the codes adds, in integers.
  Value startOf(OpBuilder &b, const StepColumn &at, size_t plane, size_t m);
  /// What a group's weights have for a block; null where there is none.
  struct WeightFactors {
    Value factor, zero;
  };
  WeightFactors weightFactorsOf(OpBuilder &b, Value group, const StepColumn &at);
  /// sum + factors * (dot - zero point) + minimum, of a row, given a dot of each plane.
  Value emitFactors(OpBuilder &b, const StepColumn &at, const WeightFactors &weights, Value row,
                    ValueRange dots, Value sum);
  /// Factors that do not vary along the columns, then the sums are added to the output.
  void emitFinish(OpBuilder &b, const RegisterTile &tile, ValueRange sums);
  void addToOutput(OpBuilder &b, Value row, Value group, Value sum);
  Value splat(OpBuilder &b, mlir::TypedAttr element);
  Value multiplyAdd(OpBuilder &b, Value x, Value factor, Value sum);
  mlir::VectorType floats(OpBuilder &b) {
    return mlir::VectorType::get({numerics::InnerTile::rows}, b.getF32Type());
  }
  Value lanes(OpBuilder &b, Value value);
  Value columnOf(OpBuilder &b, const StepColumn &at);

  ContractOp op;
  const InnerTilePlan &plan;
  InnerFactors factors;
  const ContractionTarget &target;
  mlir::Location loc;
  Value init, firstGroup;
  mlir::OpFoldResult outputs;
  Values groups, rows; ///< of the current tile, in the whole weights and activations
};

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_CONTRACTEMITTER_H
