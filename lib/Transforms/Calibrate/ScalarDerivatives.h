//===- ScalarDerivatives.h - The chain rule over scalar ops -----*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_TRANSFORMS_CALIBRATE_SCALARDERIVATIVES_H
#define LOWBIT_TRANSFORMS_CALIBRATE_SCALARDERIVATIVES_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

namespace lowbit {

/// Of each operand that is a float, what it gets of the cotangent of the op's one result: null
/// where the result does not depend on it. Fails, without a diagnostic, if the op is none of
/// those of arith and math that have a rule. `op` was copied to where `b` stands: `map` has the
/// values there.
mlir::FailureOr<llvm::SmallVector<mlir::Value>> differentiateScalar(mlir::OpBuilder &b,
                                                                    mlir::Operation *op,
                                                                    const mlir::IRMapping &map,
                                                                    mlir::Value cotangent);

/// The cotangents of values of a block of scalars, as they are collected from its end.
class ScalarCotangents {
public:
  ScalarCotangents(mlir::OpBuilder &b, const mlir::IRMapping &map) : b(b), map(map) {}

  void add(mlir::Value value, mlir::Value cotangent);
  /// Null: nothing depends on it.
  mlir::Value lookup(mlir::Value value) const { return cotangents.lookup(value); }
  /// Goes back over the block, as far as `target` matters. What has no rule is an error at it.
  llvm::LogicalResult propagate(mlir::Block &block, mlir::Value target);

private:
  mlir::OpBuilder &b;
  const mlir::IRMapping &map;
  llvm::DenseMap<mlir::Value, mlir::Value> cotangents;
};

} // namespace lowbit

#endif // LOWBIT_TRANSFORMS_CALIBRATE_SCALARDERIVATIVES_H
