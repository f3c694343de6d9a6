//===- SplitOutliers.h - What is too large to be rounded --------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_SPLITOUTLIERS_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_SPLITOUTLIERS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace lowbit {

/// Elements of `whole` that are too large to be rounded are its outliers.
struct SplitActivations {
  mlir::Value whole;
  /// With 0 in place of each outlier.
  mlir::Value rest;
  /// i1: whether there is any outlier. Null where nothing is split.
  mlir::Value any;
  double threshold;
};

/// Outliers are |x| >= threshold and NaN (Dettmers et al. 2022, arXiv 2208.07339, section 3.2; by
/// element instead of by column, so that a row is computed alike in any batch).
SplitActivations splitOutliers(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x,
                               double threshold);

/// Where there are any, adds the product of the outliers with `op`'s weights to what `op` gives.
/// The new product keeps its input in f32. `input` is what `op` multiplies instead of `rest`.
void addOutlierProduct(mlir::linalg::LinalgOp op, mlir::OpOperand &input,
                       const SplitActivations &split);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_SPLITOUTLIERS_H
