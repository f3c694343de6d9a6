//===- Reports.h - What became of an op, for who asks ------------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_LOWER_REPORTS_H
#define LOWBIT_LIB_TRANSFORMS_LOWER_REPORTS_H

#include "mlir/IR/Operation.h"
#include "mlir/IR/Remarks.h"

namespace lowbit {

/// A key and what it has as value.
using Fact = mlir::remark::detail::Remark::Arg;
using Facts = llvm::SmallVector<Fact>;

/// Who says something, and what about.
struct Reporter {
  llvm::StringRef pass; ///< the category of a remark, by which it is asked for
  llvm::StringRef
      name; ///< of remarks, one for each place: a later one takes an earlier one's place

  /// A remark of what `op` became, for MLIR's engine of optimization remarks. Nothing is computed
  /// where nobody asks for it.
  void passed(mlir::Operation *op, llvm::function_ref<Facts()> facts) const;
  /// The same, of what else is known about it.
  void analysis(mlir::Operation *op, llvm::function_ref<Facts()> facts) const;
  /// What `op` did not become, and why. That is never silent: where no engine takes the remark, it
  /// is a diagnostic.
  void missed(mlir::Operation *op, llvm::StringRef outcome, const llvm::Twine &reason) const;
  /// The same, or an error and failure if `isError`.
  llvm::LogicalResult fallback(mlir::Operation *op, llvm::StringRef outcome,
                               const llvm::Twine &reason, bool isError) const;
};

/// As it is printed.
std::string textOf(mlir::Attribute attribute);

/// Bytes of tensors of these types together; "?" where that is not known.
std::string bytesOf(mlir::TypeRange types);

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_LOWER_REPORTS_H
