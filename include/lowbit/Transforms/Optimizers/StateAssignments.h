//===- StateAssignments.h - Which state is stored in what -------*- C++ -*-===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_TRANSFORMS_OPTIMIZERS_STATEASSIGNMENTS_H
#define LOWBIT_TRANSFORMS_OPTIMIZERS_STATEASSIGNMENTS_H

#include "lowbit/IR/LowbitAttrs.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/Support/GlobPattern.h"

namespace lowbit {

/// Attributes of a rule's arguments; see `lowbit-assign-states`.
constexpr llvm::StringLiteral kNameAttrName = "lowbit.name";
constexpr llvm::StringLiteral kNonnegativeAttrName = "lowbit.nonnegative";
/// Of a scalar, for callers that give none.
constexpr llvm::StringLiteral kDefaultAttrName = "lowbit.default";
/// Of a state: which axis of the parameter each of its extents is that of; [0, 1] unless given.
constexpr llvm::StringLiteral kAxesAttrName = "lowbit.axes";
/// Of the parameter: the least and the most rows and columns that the rule is for.
constexpr llvm::StringLiteral kExtentsAttrName = "lowbit.extents";
/// Of a rule: what some of its states are stored in under the schemes of these names.
constexpr llvm::StringLiteral kSchemesAttrName = "lowbit.schemes";

/// Whether an argument is what a rule calls its gradient.
bool isGradient(mlir::FunctionOpInterface rule, unsigned argument);

/// The list of `lowbit-assign-states`.
class StateAssignments {
public:
  /// Nothing, and a diagnostic, for what is no such list.
  static mlir::FailureOr<StateAssignments>
  parse(llvm::StringRef text, mlir::MLIRContext *context,
        llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

  /// What a rule's argument of some shape (a dynamic extent is as large as it takes) is stored in,
  /// given its name and the parameter's; null: in no encoding.
  EncodingAttrInterface find(mlir::FunctionOpInterface rule, unsigned argument,
                             llvm::StringRef parameter, llvm::ArrayRef<int64_t> shape) const;

private:
  struct Assignment {
    std::optional<llvm::GlobPattern> names, parameters;
    std::optional<bool> nonnegative;
    int64_t elements = 0, rows = 0;
    EncodingAttrInterface encoding;
  };
  static mlir::FailureOr<Assignment>
  parse(mlir::Attribute attribute, llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

  llvm::SmallVector<Assignment> list;
};

} // namespace lowbit

#endif // LOWBIT_TRANSFORMS_OPTIMIZERS_STATEASSIGNMENTS_H
