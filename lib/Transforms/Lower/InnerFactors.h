//===- InnerFactors.h - What comes into sums at the end of a block  *- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_INNERFACTORS_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_INNERFACTORS_H

#include "InnerTilePlan.h"
#include "lowbit/IR/LowbitOps.h"

namespace lowbit {

/// The f32 levels of codes, in lanes or a scalar.
mlir::Value buildLevels(mlir::OpBuilder &b, mlir::Location loc, FormatAttrInterface format,
                        mlir::Value codes);

/// x * y, where either may be null, or a scalar for all lanes of the other.
mlir::Value buildProduct(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, mlir::Value y);

/// Scales, zero points and sums of blocks of a contraction on buffers. `group` is that of 16 rows
/// of the weights, `row` one of the activations, `at` a column of the block.
class InnerFactors {
public:
  InnerFactors(ContractOp op, const InnerTilePlan &plan) : op(op), plan(plan), loc(op.getLoc()) {}

  /// The factor of the weights, in 16 lanes or a scalar; null where it is 1.
  mlir::Value buildWeights(mlir::OpBuilder &b, mlir::Value group, const StepColumn &at);
  /// Their zero points or minima.
  mlir::Value buildZeros(mlir::OpBuilder &b, mlir::Value group, const StepColumn &at);
  /// The factor of integer activations, a scalar.
  mlir::Value buildActivations(mlir::OpBuilder &b, mlir::Value row, const StepColumn &at);
  /// Of activations' blocks, scalars: what the offset of the weights' levels adds, i32; and what
  /// zero points and minima are multiplied with, f32 (InnerTilePlan::hasOffset, hasSums).
  mlir::Value buildOffset(mlir::OpBuilder &b, mlir::Value row, const StepColumn &at);
  mlir::Value buildBlockSum(mlir::OpBuilder &b, mlir::Value row, const StepColumn &at);

private:
  /// The levels of a tree begin at level `first` of the weights.
  mlir::Value ofBlock(mlir::OpBuilder &b, mlir::Value values, mlir::Value row,
                      const StepColumn &at);
  mlir::Value buildTree(mlir::OpBuilder &b, ScaleAttrInterface tree, unsigned first,
                        mlir::Value group, const StepColumn &at);

  ContractOp op;
  const InnerTilePlan &plan;
  mlir::Location loc;
};

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_INNERFACTORS_H
