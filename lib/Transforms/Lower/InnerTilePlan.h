//===- InnerTilePlan.h - How a contraction reads inner tiles -----*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_INNERTILEPLAN_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_INNERTILEPLAN_H

#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/Numerics/IntegerLevels.h"

namespace lowbit {

/// How lhs[m, k] * rhs[n, k] is summed over k, which follows from the types of both sides alone.
struct InnerTilePlan {
  mlir::RankedTensorType lhsType, rhsType;
  QuantizedAttr weights;
  /// Null: plain f32 values.
  QuantizedAttr activations;
  /// Of the activations' codes: signed bytes, but for the last ones without a sign.
  std::vector<numerics::Plane> activationPlanes;
  /// Of the weights' codes; nothing: they are decoded to f32 and multiplied so.
  std::optional<numerics::IntegerLevels> levels;

  int64_t columns; ///< all of k
  int64_t block;   ///< columns over which every factor is constant
  /// Columns of a step, within which the place of every code is known: a multiple of `block`, or a
  /// divisor of it.
  int64_t step;
  int64_t multiple; ///< columns that whole vectors hold
  /// Whether the factor of a side varies along k; otherwise it is applied once, at the end.
  bool weightsVary, activationsVary;

  bool isInteger() const { return activations != nullptr; }
  /// First components of the activations that are multiplied: planes of codes, or the f32 values.
  size_t planeCount() const { return std::max<size_t>(activationPlanes.size(), 1); }
  /// What a contraction takes of the sums of the activations' blocks: what the offset of the
  /// weights' levels adds to products of codes; and that which zero points and minima multiply.
  bool hasOffset() const { return isInteger() && levels->offset != 0; }
  bool hasSums() const { return weights.getZeroTree() != nullptr; }
};

/// Whether kernels multiply activations of this encoding as codes: integers in planes that bytes
/// with a sign hold, with one scale of floats by blocks of the last axis.
bool isIntegerActivation(QuantizedAttr term);

/// The plan, or in `reason` why there is none, as the rest of a sentence that begins with "it".
mlir::FailureOr<InnerTilePlan> planInnerTiles(mlir::RankedTensorType lhs,
                                              mlir::RankedTensorType rhs, std::string &reason);

/// True if `operand` is w of a product out[m, n] += x[m, k] * w[n, k] of matrices.
bool isWeightOfProduct(mlir::OpOperand &operand);

/// The type of the encoded tensor that all of `value` is a decode of, before or after
/// `lowbit-components`; null if it is none.
mlir::RankedTensorType getDecodedType(mlir::Value value);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_INNERTILEPLAN_H
