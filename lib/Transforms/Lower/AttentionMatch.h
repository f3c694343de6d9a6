//===- AttentionMatch.h - The ops of a softmax and its product ---*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_ATTENTIONMATCH_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_ATTENTIONMATCH_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/SmallPtrSet.h"

namespace lowbit {

/// The ops of
///
///     highest[r]  = max over t of scores[r, t]
///     mass[r, t]  = exp(scores[r, t] - highest[r])
///     total[r]    = sum over t of mass[r, t]
///     mixed[r, d] = sum over t of mass[r, t] * values[t, d]
///     result      = an elementwise function of mixed and total
///
/// where r stands for any number of axes, some of which the values may have, too, and the axes may
/// be in any order. Nothing else reads what is between the scores and the result.
struct Attention {
  mlir::Value scores;
  unsigned time = 0; ///< the axis t of the scores
  mlir::linalg::GenericOp highest, mass, total, result;
  mlir::linalg::LinalgOp mixed;
  mlir::OpOperand *massScores = nullptr, *massHighest = nullptr;    ///< of `mass`
  mlir::OpOperand *massOperand = nullptr, *valuesOperand = nullptr; ///< of `mixed`
  mlir::OpOperand *resultOperand = nullptr; ///< of `result`: the place of `mixed`
  /// What computes the scores, for them alone: a contraction and elementwise ops.
  llvm::SmallPtrSet<mlir::Operation *, 4> fused;

  /// The axes r of `mixed`, by its axes.
  mlir::AffineMap rowsOfMixed() const;
  /// The comparison `t <= last(r)` (or `<`) without which a score is minus infinity, if there is
  /// such a one.
  mlir::arith::CmpIOp findVisible() const;
};

/// The attention that ends in the product `mixed`. Where the masses are divided before the product,
/// `rewriter` moves the division behind it. Otherwise failure; `reason` says why if there is a
/// softmax nevertheless.
llvm::FailureOr<Attention> matchAttention(mlir::RewriterBase &rewriter,
                                          mlir::linalg::LinalgOp mixed, std::string &reason);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_ATTENTIONMATCH_H
