//===- TensorDerivatives.h - The chain rule over tensors --------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_TRANSFORMS_CALIBRATE_TENSORDERIVATIVES_H
#define LOWBIT_TRANSFORMS_CALIBRATE_TENSORDERIVATIVES_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace lowbit {

/// A tensor of this one's extents, of zeros.
mlir::Value buildZeros(mlir::OpBuilder &b, mlir::Location loc, mlir::Value like);

/// The cotangents of values of a straight line of ops on tensors, as they are collected from its
/// end. What is built goes to where `b` stands, where all values of the line are known.
class TensorCotangents {
public:
  /// active: the values that depend on what is to get a cotangent.
  TensorCotangents(mlir::OpBuilder &b, const llvm::DenseSet<mlir::Value> &active)
      : b(b), active(active) {}

  bool isActive(mlir::Value value) const { return active.contains(value); }
  /// Null: nothing depends on it.
  mlir::Value lookup(mlir::Value value) const { return cotangents.lookup(value); }
  void add(mlir::Location loc, mlir::Value value, mlir::Value cotangent);
  /// In place of what `value` has, which went into this one.
  void replace(mlir::Value value, mlir::Value cotangent) { cotangents[value] = cotangent; }

  /// Goes back over an op, whose results have all of their cotangents. What has no rule is an error
  /// at it.
  llvm::LogicalResult differentiate(mlir::Operation *op);

private:
  llvm::LogicalResult differentiateReshape(mlir::Operation *op, mlir::Value cotangent);
  llvm::LogicalResult differentiateLinalg(mlir::linalg::LinalgOp op);

  mlir::OpBuilder &b;
  const llvm::DenseSet<mlir::Value> &active;
  llvm::DenseMap<mlir::Value, mlir::Value> cotangents;
};

/// Goes back over `op`, which computes `results`.
llvm::LogicalResult differentiateGeneric(mlir::OpBuilder &b, mlir::linalg::GenericOp op,
                                         mlir::ValueRange results, TensorCotangents &cotangents);

} // namespace lowbit

#endif // LOWBIT_TRANSFORMS_CALIBRATE_TENSORDERIVATIVES_H
