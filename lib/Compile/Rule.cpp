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

static Expected<RuleArgument> readArgument(mlir::func::FuncOp step, unsigned number) {
  auto refuse = [&](const Twine &text) {
    return createStringError("argument " + Twine(number) + " of the rule " + text);
  };
  auto name = step.getArgAttrOfType<mlir::StringAttr>(number, kNameAttrName);
  if (!name || name.empty())
    return refuse("has no name: give it {" + kNameAttrName + " = \"...\"}");
  RuleArgument argument;
  argument.name = name.str();
  mlir::Type type = step.getArgumentTypes()[number];
  if (auto tensor = dyn_cast<mlir::RankedTensorType>(type)) {
    if (tensor.getRank() != 2 || !tensor.getElementType().isF32())
      return refuse("is no tensor of f32 with two axes: flat parameters are [1, n]");
    argument.isTensor = true;
    for (int64_t extent : tensor.getShape())
      argument.shape.push_back(mlir::ShapedType::isDynamic(extent) ? -1 : extent);
    argument.isNonnegative = step.getArgAttr(number, kNonnegativeAttrName) != nullptr;
    return argument;
  }
  std::optional<DType> dtype = getElementDType(type);
  if (!dtype)
    return refuse("is neither a tensor nor a number");
  argument.dtype = *dtype;
  if (mlir::Attribute value = step.getArgAttr(number, kDefaultAttrName)) {
    if (auto real = dyn_cast<mlir::FloatAttr>(value))
      argument.defaultValue = real.getValueAsDouble();
    else if (auto integer = dyn_cast<mlir::IntegerAttr>(value))
      argument.defaultValue = integer.getInt();
    else
      return refuse("has a default that is no number");
  }
  return argument;
}

static Expected<Rule> readRule(mlir::func::FuncOp step) {
  Rule rule;
  StringSet<> names;
  for (unsigned i = 0; i < step.getNumArguments(); ++i) {
    Expected<RuleArgument> argument = readArgument(step, i);
    if (!argument)
      return argument.takeError();
    if (!names.insert(argument->name).second)
      return createStringError("two arguments of the rule are named '" + argument->name + "'");
    rule.arguments.push_back(std::move(*argument));
  }
  auto updates = step->getAttrOfType<mlir::DenseI64ArrayAttr>(LowbitDialect::kUpdatesAttrName);
  if (!updates || is_contained(updates.asArrayRef(), -1))
    return createStringError("a rule updates an argument by each of its results: " +
                             LowbitDialect::kUpdatesAttrName + " says which");
  for (int64_t number : updates.asArrayRef()) {
    rule.arguments[number].isUpdated = true;
  }
  for (const RuleArgument &argument : rule.arguments)
    if (argument.isTensor && argument.name != "gradient" && !argument.isUpdated)
      return createStringError("the rule does not update '" + argument.name +
                               "': tensors are the gradient, or what a step updates");
  for (StringRef needed : {"gradient", "parameter"})
    if (!names.contains(needed))
      return createStringError("the rule has no argument named '" + needed + "'");
  rule.isElementwise = isElementwise(step);
  return rule;
}

static Error inFile(StringRef name, Error error) {
  return error ? createStringError(name + ": " + toString(std::move(error))) : Error::success();
}

Expected<Rule> lowbit::readRule(StringRef text, StringRef name) {
  Expected<ParsedRule> parsed = ParsedRule::parse(text, name);
  if (!parsed)
    return parsed.takeError();
  Expected<Rule> rule = ::readRule(parsed->step);
  if (!rule)
    return inFile(name, rule.takeError());
  return rule;
}

Expected<std::vector<std::vector<std::string>>> lowbit::assignStates(StringRef text, StringRef name,
                                                                     StringRef assignments,
                                                                     ArrayRef<RuleTensor> tensors) {
  Expected<ParsedRule> parsed = ParsedRule::parse(text, name);
  if (!parsed)
    return parsed.takeError();
  mlir::MLIRContext *context = parsed->context.get();
  DiagnosticCollector diagnostics(context);
  auto states = StateAssignments::parse(
      assignments, context, [&] { return mlir::emitError(mlir::UnknownLoc::get(context)); });
  if (failed(states))
    return createStringError(diagnostics.takeText());
  std::vector<std::vector<std::string>> table;
  for (const RuleTensor &tensor : tensors) {
    std::vector<std::string> &row = table.emplace_back();
    for (auto [number, type] : enumerate(parsed->step.getArgumentTypes())) {
      auto plain = dyn_cast<mlir::RankedTensorType>(type);
      SmallVector<int64_t, 2> shape;
      int64_t elements = 1;
      if (plain && plain.getRank() == int64_t(tensor.shape.size()))
        for (auto [own, extent] : zip_equal(plain.getShape(), tensor.shape)) {
          shape.push_back(mlir::ShapedType::isDynamic(own) ? extent : own);
          elements *= shape.back();
        }
      EncodingAttrInterface encoding =
          plain ? states->find(parsed->step, number, tensor.name, elements)
                : EncodingAttrInterface();
      std::string &written = row.emplace_back();
      if (!encoding)
        continue;
      auto stored = mlir::RankedTensorType::get(shape, plain.getElementType(), encoding);
      if (failed(verifyEncodedType(
              stored, [&] { return mlir::emitError(mlir::UnknownLoc::get(context)); })))
        return createStringError("'" + tensor.name + "': " + diagnostics.takeText());
      raw_string_ostream(written) << encoding;
    }
  }
  return table;
}
