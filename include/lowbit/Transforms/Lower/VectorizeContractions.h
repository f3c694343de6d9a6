//===- VectorizeContractions.h - Register tiles for f32 contractions ------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TRANSFORMS_LOWER_VECTORIZECONTRACTIONS_H
#define LOWBIT_TRANSFORMS_LOWER_VECTORIZECONTRACTIONS_H

#include "mlir/Dialect/Linalg/IR/LinalgInterfaces.h"
#include "mlir/IR/PatternMatch.h"

#include <optional>
#include <string>

namespace lowbit {

/// The register tile: how many vectors of how many f32 the inner loop keeps in registers.
struct RegisterTile {
  int64_t vectorLength = 16;
  int64_t rows = 4;
  int64_t columns = 4;
};

/// How a contraction `out += sum(left * right)` is laid onto vectors. Dimensions are positions in
/// the iteration space of the op, operands are positions in its operand list.
struct ContractionPlan {
  enum class Form {
    /// `vectorDim` is a reduction, contiguous in `left` and `right`.
    Dot,
    /// `vectorDim` is parallel, contiguous in `right` and the output, and absent from `left`.
    Outer
  };
  Form form;
  unsigned left, right;
  unsigned vectorDim;
  /// Parallel dimension of `left` and the output only: the rows of the register tile.
  std::optional<unsigned> rowDim;
  /// Dot: parallel dimension of `right` and the output only. Outer: `vectorDim`.
  std::optional<unsigned> columnDim;
  /// The reduction over which the tile stays in registers. Dot: `vectorDim`.
  unsigned reductionDim;
  /// All other dimensions, outermost first: loops around the tile.
  llvm::SmallVector<unsigned> outerDims;
};

/// Chooses the form for `op`. On failure `reason` says what is missing, as a sentence for the user;
/// it is empty if `op` is no contraction at all.
mlir::FailureOr<ContractionPlan> planContraction(mlir::linalg::LinalgOp op, std::string &reason);

/// Rewrites every contraction that has a plan. Refused ones are left to other lowerings.
void populateVectorizeContractionsPatterns(mlir::RewritePatternSet &patterns,
                                           const RegisterTile &tile = {});

} // namespace lowbit

#endif // LOWBIT_TRANSFORMS_LOWER_VECTORIZECONTRACTIONS_H
