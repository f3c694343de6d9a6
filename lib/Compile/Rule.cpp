//===- Rule.cpp - An optimizer's rule as callers see it -------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Compile/Rule.h"

#include "ElementType.h"
#include "lowbit/Compile/Diagnostics.h"
#include "lowbit/Compile/Program.h"
#include "lowbit/IR/LowbitDialect.h"
#include "lowbit/Transforms/Optimizers/StateAssignments.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringSet.h"

using namespace llvm;
using namespace lowbit;

namespace {
/// A module with the function of a rule.
struct ParsedRule {
  std::unique_ptr<mlir::MLIRContext> context = makeContext();
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp step;

  static Expected<ParsedRule> parse(StringRef text, StringRef name) {
    ParsedRule rule;
    if (Error error = parseModule(text, name, rule.context.get()).moveInto(rule.module))
      return std::move(error);
    rule.step = rule.module->lookupSymbol<mlir::func::FuncOp>(kRuleEntry);
    if (!rule.step || rule.step.isExternal() || !rule.step->hasAttr(LowbitDialect::kEntryAttrName))
      return createStringError(name + ": a rule has a function '" + kRuleEntry +
                               "' with the attribute " + LowbitDialect::kEntryAttrName);
    return rule;
  }
};
} // namespace

static bool isElementwise(mlir::func::FuncOp step) {
  auto hasTensor = [](mlir::Operation &op) {
    return any_of(op.getOperandTypes(), [](mlir::Type t) { return isa<mlir::TensorType>(t); });
  };
  return all_of(step.getBody().front(), [&](mlir::Operation &op) {
    if (auto linalg = dyn_cast<mlir::linalg::LinalgOp>(op))
      return linalg.getNumParallelLoops() == linalg.getNumLoops() &&
             all_of(linalg.getIndexingMapsArray(), [](mlir::AffineMap map) {
               return map.isIdentity() || map.getNumResults() == 0;
             });
    return isa<mlir::func::ReturnOp>(op) || !hasTensor(op);
  });
}

SmallVector<int64_t, 2> RuleArgument::getShape(ArrayRef<int64_t> parameter) const {
  SmallVector<int64_t, 2> extents;
  for (auto [own, axis] : zip_equal(shape, axes))
    extents.push_back(own < 0 ? parameter[axis] : own);
  return extents;
}

/// Two numbers, neither below `least` nor above `most`.
static mlir::FailureOr<std::array<int64_t, 2>> readPair(mlir::Attribute value, int64_t least,
                                                        int64_t most) {
  auto numbers = dyn_cast<mlir::DenseI64ArrayAttr>(value);
  if (!numbers || numbers.size() != 2 ||
      any_of(numbers.asArrayRef(), [&](int64_t n) { return n < least || n > most; }))
    return mlir::failure();
  return std::array<int64_t, 2>{numbers[0], numbers[1]};
}

static mlir::FailureOr<RuleArgument> readArgument(mlir::func::FuncOp step, unsigned number) {
  auto refuse = [&] {
    return mlir::emitError(step.getArgument(number).getLoc())
           << "argument " << number << " of the rule ";
  };
  auto name = step.getArgAttrOfType<mlir::StringAttr>(number, kNameAttrName);
  if (!name || name.empty())
    return refuse() << "has no name: give it {" << kNameAttrName << " = \"...\"}";
  RuleArgument argument;
  argument.name = name.str();
  mlir::Type type = step.getArgumentTypes()[number];
  mlir::Attribute axes = step.getArgAttr(number, kAxesAttrName);
  if (auto tensor = dyn_cast<mlir::RankedTensorType>(type)) {
    if (tensor.getRank() != 2 || !tensor.getElementType().isF32())
      return refuse() << "is no tensor of f32 with two axes: flat parameters are [1, n]";
    argument.isTensor = true;
    for (int64_t extent : tensor.getShape())
      argument.shape.push_back(mlir::ShapedType::isDynamic(extent) ? -1 : extent);
    argument.isNonnegative = step.getArgAttr(number, kNonnegativeAttrName) != nullptr;
    if (!axes)
      return argument;
    if (argument.name == "gradient" || argument.name == "parameter")
      return refuse() << "has the parameter's axes: '" << kAxesAttrName << "' is for states";
    mlir::FailureOr<std::array<int64_t, 2>> chosen = readPair(axes, 0, 1);
    if (failed(chosen))
      return refuse() << "has an axis of the parameter, 0 or 1, for each of its two extents, as '"
                      << kAxesAttrName << "' = array<i64: 0, 0>; not " << axes;
    argument.axes = *chosen;
    return argument;
  }
  std::optional<DType> dtype = getElementDType(type);
  if (!dtype)
    return refuse() << "is neither a tensor nor a number";
  if (axes)
    return refuse() << "is a number, which has no '" << kAxesAttrName << "'";
  argument.dtype = *dtype;
  if (mlir::Attribute value = step.getArgAttr(number, kDefaultAttrName)) {
    if (auto real = dyn_cast<mlir::FloatAttr>(value))
      argument.defaultValue = real.getValueAsDouble();
    else if (auto integer = dyn_cast<mlir::IntegerAttr>(value))
      argument.defaultValue = integer.getInt();
    else
      return refuse() << "has a default that is no number";
  }
  return argument;
}

/// What only the function and the parameter say.
static LogicalResult readRequirements(mlir::func::FuncOp step, Rule &rule) {
  for (auto [i, argument] : enumerate(rule.arguments)) {
    mlir::Attribute value = step.getArgAttr(i, kExtentsAttrName);
    if (!value)
      continue;
    mlir::FailureOr<std::array<int64_t, 2>> extents = readPair(value, 0, INT64_MAX);
    if (argument.name != "parameter" || failed(extents))
      return mlir::emitError(step.getArgument(i).getLoc())
             << "'" << kExtentsAttrName << "' is written on the parameter, with the least and the "
             << "most rows and columns that the rule is for, as array<i64: 2, 4096>";
    rule.extents = std::pair((*extents)[0], (*extents)[1]);
  }
  mlir::Attribute value = step->getAttr(kSchemesAttrName);
  auto emitError = [&] {
    return mlir::emitError(step.getLoc()) << "'" << kSchemesAttrName << "': ";
  };
  if (!value)
    return success();
  auto schemes = dyn_cast<mlir::DictionaryAttr>(value);
  if (!schemes)
    return emitError() << "lists of assignments by the names of schemes, as {int4 = [...]}";
  for (mlir::NamedAttribute scheme : schemes) {
    std::string text;
    raw_string_ostream(text) << scheme.getValue();
    if (failed(StateAssignments::parse(text, step.getContext(), emitError)))
      return failure();
    rule.schemes.emplace_back(scheme.getName().str(), std::move(text));
  }
  return success();
}

static mlir::FailureOr<Rule> readRule(mlir::func::FuncOp step) {
  Rule rule;
  StringSet<> names;
  auto refuse = [&] { return mlir::emitError(step.getLoc()); };
  for (unsigned i = 0; i < step.getNumArguments(); ++i) {
    mlir::FailureOr<RuleArgument> argument = readArgument(step, i);
    if (failed(argument))
      return failure();
    if (!names.insert(argument->name).second)
      return refuse() << "two arguments of the rule are named '" << argument->name << "'";
    rule.arguments.push_back(std::move(*argument));
  }
  auto updates = step->getAttrOfType<mlir::DenseI64ArrayAttr>(LowbitDialect::kUpdatesAttrName);
  if (!updates || is_contained(updates.asArrayRef(), -1))
    return refuse() << "a rule updates an argument by each of its results: "
                    << LowbitDialect::kUpdatesAttrName << " says which";
  for (int64_t number : updates.asArrayRef()) {
    rule.arguments[number].isUpdated = true;
  }
  for (const RuleArgument &argument : rule.arguments)
    if (argument.isTensor && argument.name != "gradient" && !argument.isUpdated)
      return refuse() << "the rule does not update '" << argument.name
                      << "': tensors are the gradient, or what a step updates";
  for (StringRef needed : {"gradient", "parameter"})
    if (!names.contains(needed))
      return refuse() << "the rule has no argument named '" << needed << "'";
  if (failed(readRequirements(step, rule)))
    return failure();
  rule.isElementwise = isElementwise(step);
  return rule;
}

Expected<Rule> lowbit::readRule(StringRef text, StringRef name) {
  Expected<ParsedRule> parsed = ParsedRule::parse(text, name);
  if (!parsed)
    return parsed.takeError();
  DiagnosticCollector diagnostics(parsed->context.get());
  mlir::FailureOr<Rule> rule = ::readRule(parsed->step);
  if (failed(rule))
    return createStringError(diagnostics.takeText());
  return std::move(*rule);
}

Expected<std::vector<std::vector<std::string>>> lowbit::assignStates(StringRef text, StringRef name,
                                                                     StringRef assignments,
                                                                     ArrayRef<RuleTensor> tensors) {
  Expected<ParsedRule> parsed = ParsedRule::parse(text, name);
  if (!parsed)
    return parsed.takeError();
  mlir::MLIRContext *context = parsed->context.get();
  DiagnosticCollector diagnostics(context);
  mlir::FailureOr<Rule> rule = ::readRule(parsed->step);
  if (failed(rule))
    return createStringError(diagnostics.takeText());
  auto states = StateAssignments::parse(
      assignments, context, [&] { return mlir::emitError(mlir::UnknownLoc::get(context)); });
  if (failed(states))
    return createStringError(diagnostics.takeText());
  std::vector<std::vector<std::string>> table;
  for (const RuleTensor &tensor : tensors) {
    if (rule->extents && any_of(tensor.shape, [&](int64_t n) {
          return n < rule->extents->first || n > rule->extents->second;
        }))
      return createStringError("'" + tensor.name + "': rule '" + name + "' is for " +
                               Twine(rule->extents->first) + " to " + Twine(rule->extents->second) +
                               " rows and columns, not for " + Twine(tensor.shape[0]) + " and " +
                               Twine(tensor.shape[1]) + ": give it to another rule");
    std::vector<std::string> &row = table.emplace_back();
    for (auto [number, argument] : enumerate(rule->arguments)) {
      std::string &written = row.emplace_back();
      if (!argument.isTensor)
        continue;
      SmallVector<int64_t, 2> shape = argument.getShape(tensor.shape);
      EncodingAttrInterface encoding = states->find(parsed->step, number, tensor.name, shape);
      if (!encoding)
        continue;
      auto stored = mlir::RankedTensorType::get(shape, mlir::Float32Type::get(context), encoding);
      if (failed(verifyEncodedType(
              stored, [&] { return mlir::emitError(mlir::UnknownLoc::get(context)); })))
        return createStringError("'" + tensor.name + "': " + diagnostics.takeText());
      raw_string_ostream(written) << encoding;
    }
  }
  return table;
}
