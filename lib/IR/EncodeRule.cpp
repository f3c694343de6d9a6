//===- EncodeRule.cpp - How an encode chooses scales and codes ------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitAttrs.h"

using namespace mlir;
using namespace lowbit;

LogicalResult EncodeRuleAttr::verify(function_ref<InFlightDiagnostic()> emitError, RuleKind choice,
                                     FloatAttr value, unsigned steps, RoundingKind rounding,
                                     uint64_t seed) {
  if (choice == RuleKind::Default && rounding == RoundingKind::Default)
    return emitError() << "an encode rule that says nothing is left out";
  bool isMse = choice == RuleKind::Mse, isPercentile = choice == RuleKind::Percentile;
  if ((isMse || isPercentile) != bool(value) || (!isMse && steps) ||
      (rounding != RoundingKind::Stochastic && seed))
    return emitError() << "percentile has a number, mse has steps and a number, stochastic has a "
                          "seed, and no other rule or rounding has any";
  numerics::EncodeRule rule;
  rule.choice = isMse          ? numerics::EncodeRule::Choice::Mse
                : isPercentile ? numerics::EncodeRule::Choice::Percentile
                               : numerics::EncodeRule::Choice::Default;
  if (isMse) {
    rule.steps = steps;
    rule.least = value.getValueAsDouble();
  } else if (isPercentile) {
    rule.percent = value.getValueAsDouble();
  }
  if (auto message = numerics::checkParameters(rule))
    return emitError() << *message;
  return success();
}

static numerics::EncodeRule::Choice choiceOf(RuleKind kind) {
  using Choice = numerics::EncodeRule::Choice;
  switch (kind) {
  case RuleKind::Default:
    return Choice::Default;
  case RuleKind::AbsMax:
    return Choice::AbsMax;
  case RuleKind::SignedMax:
    return Choice::SignedMax;
  case RuleKind::MinMax:
    return Choice::MinMax;
  case RuleKind::MxFloor:
    return Choice::MxFloor;
  case RuleKind::MxCeil:
    return Choice::MxCeil;
  case RuleKind::Percentile:
    return Choice::Percentile;
  case RuleKind::Mse:
    return Choice::Mse;
  case RuleKind::Given:
    return Choice::Given;
  }
  llvm_unreachable("all rules are listed");
}

numerics::EncodeRule EncodeRuleAttr::getReference() const {
  numerics::EncodeRule rule;
  rule.choice = choiceOf(getChoice());
  if (getChoice() == RuleKind::Percentile)
    rule.percent = getValue().getValueAsDouble();
  if (getChoice() == RuleKind::Mse) {
    rule.steps = getSteps();
    rule.least = getValue().getValueAsDouble();
  }
  switch (getRounding()) {
  case RoundingKind::Default:
    break;
  case RoundingKind::NearestEven:
    rule.rounding = numerics::Rounding::NearestEven;
    break;
  case RoundingKind::HalfAway:
    rule.rounding = numerics::Rounding::HalfAway;
    break;
  case RoundingKind::HalfUp:
    rule.rounding = numerics::Rounding::HalfUp;
    break;
  case RoundingKind::Stochastic:
    rule.seed = getSeed();
    break;
  }
  return rule;
}
