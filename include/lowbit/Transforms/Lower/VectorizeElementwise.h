//===- VectorizeElementwise.h - Vector strips for linalg on memrefs --------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TRANSFORMS_LOWER_VECTORIZEELEMENTWISE_H
#define LOWBIT_TRANSFORMS_LOWER_VECTORIZEELEMENTWISE_H

#include "mlir/Dialect/Linalg/IR/LinalgInterfaces.h"
#include "mlir/IR/PatternMatch.h"

#include <optional>
#include <string>

namespace lowbit {

/// The strip of an op: the dimensions whose indices differ between the lanes of a vector.
struct StripPlan {
  /// Goes on by `step` from one strip to the next.
  unsigned dim;
  int64_t step;
  /// Dimensions after `dim` that a strip covers whole, outermost first, and their extents.
  llvm::SmallVector<unsigned> innerDims;
  llvm::SmallVector<int64_t> innerExtents;
  /// `dim` is a reduction that some outputs lack: they are combined, the others stored.
  bool isReduction = false;
  /// A short reduction over neighbours in memory, such as the codes of a byte: each strip takes all
  /// of its steps, and keeps the outputs in registers from one to the next.
  std::optional<unsigned> foldedDim;
  int64_t foldedSteps = 1;

  int64_t getInnerLanes() const;
  /// For a strip of `width` steps along `dim`: each lane's distance from the first along `which`.
  llvm::SmallVector<int64_t> getLaneIndices(unsigned which, int64_t width) const;
  bool varies(unsigned which) const { return which == dim || llvm::is_contained(innerDims, which); }
  /// Dimensions that a loop around the strips goes over.
  bool isOuter(unsigned which) const { return !varies(which) && which != foldedDim; }
};

/// Chooses the strip for `op` with vectors of `vectorLength` 32-bit elements. On failure `reason`
/// says what is in the way; it is empty if `op` is a contraction or has less elements than a
/// vector.
mlir::FailureOr<StripPlan> planStrips(mlir::linalg::LinalgOp op, int64_t vectorLength,
                                      std::string &reason);

/// Whether the steps of `plan.foldedDim` are neighbours in `operand`.
/// Whether the output is one value for all strips of a reduction.
bool isCombined(mlir::linalg::LinalgOp op, const StripPlan &plan, mlir::OpOperand &output);

bool isFoldedOperand(mlir::linalg::LinalgOp op, const StripPlan &plan, unsigned operand);

/// Where each lane of a strip of `width` steps finds its element of `operand`, as a distance in
/// memory from the first lane's; nothing if that is not known or not a short forward distance.
std::optional<llvm::SmallVector<int64_t>>
getLaneOffsets(mlir::linalg::LinalgOp op, const StripPlan &plan, unsigned operand, int64_t width);

/// Whether `op` reads an element of a constant table: of a `memref.get_global` of rank 1 and known
/// size.
bool isTableLookup(mlir::Operation &op);

void populateVectorizeElementwisePatterns(mlir::RewritePatternSet &patterns,
                                          int64_t vectorLength = 16);

} // namespace lowbit

#endif // LOWBIT_TRANSFORMS_LOWER_VECTORIZEELEMENTWISE_H
