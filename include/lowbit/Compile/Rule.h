//===- Rule.h - An optimizer's rule as callers see it -----------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A rule is a module whose function `step` updates a parameter and its states in place
// (`lowbit.updates`), given a gradient and scalars. Its arguments have names (`lowbit.name`):
// tensors of f32 with two axes, "gradient", "parameter" and any number of states, and scalars. An
// extent of a state is one of the parameter's (dynamic; `lowbit.axes` says which) or fixed. How
// tensors are stored is not its business: lowbit-assign-states, docs/Optimizers.md.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_COMPILE_RULE_H
#define LOWBIT_COMPILE_RULE_H

#include "lowbit/Archive/DType.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lowbit {

struct RuleArgument {
  std::string name;
  bool isTensor = false;
  DType dtype = DType::F32;            ///< of a scalar
  llvm::SmallVector<int64_t, 2> shape; ///< of a tensor; -1: any extent
  /// Of a tensor: the axes of the parameter that its extents of -1 are those of.
  std::array<int64_t, 2> axes = {0, 1};
  bool isUpdated = false, isNonnegative = false;
  std::optional<double> defaultValue; ///< of a scalar

  /// Of a tensor, for a parameter that is seen so.
  llvm::SmallVector<int64_t, 2> getShape(llvm::ArrayRef<int64_t> parameter) const;
};

struct Rule {
  std::vector<RuleArgument> arguments;
  /// Every element is updated by itself: tensors may be cut anywhere, and have any shape.
  bool isElementwise;
  /// The least and the most rows and columns of its parameters.
  std::optional<std::pair<int64_t, int64_t>> extents;
  /// By the names of schemes: assignments that come before those that all rules have.
  std::vector<std::pair<std::string, std::string>> schemes;
};

/// The name of the function.
constexpr llvm::StringLiteral kRuleEntry = "step";

/// An error is located, in the file `name`.
llvm::Expected<Rule> readRule(llvm::StringRef text, llvm::StringRef name);

/// A parameter that a rule is applied to.
struct RuleTensor {
  std::string name;
  llvm::SmallVector<int64_t, 2> shape;
};

/// What lowbit-assign-states gives each argument for each of `tensors`, as text; "" for plain f32
/// and for scalars. An error names the parameter that an encoding does not fit, or that the rule is
/// not for.
llvm::Expected<std::vector<std::vector<std::string>>>
assignStates(llvm::StringRef text, llvm::StringRef name, llvm::StringRef assignments,
             llvm::ArrayRef<RuleTensor> tensors);

} // namespace lowbit

#endif // LOWBIT_COMPILE_RULE_H
