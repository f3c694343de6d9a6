//===- Stages.cpp - A program in stages that keep statistics --------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Compile/Stages.h"

#include "lowbit/Archive/Archive.h"
#include "lowbit/Compile/Program.h"
#include "lowbit/Import/Llama.h"
#include "lowbit/Target/CpuTarget.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace lowbit;

static std::vector<std::string> toStrings(mlir::Attribute list) {
  std::vector<std::string> texts;
  for (auto text : cast<mlir::ArrayAttr>(list).getAsRange<mlir::StringAttr>())
    texts.push_back(text.str());
  return texts;
}

static std::vector<ScaleSink> readSinks(mlir::Attribute tap) {
  std::vector<ScaleSink> sinks;
  if (auto list = dyn_cast<mlir::ArrayAttr>(tap))
    for (auto sink : list.getAsRange<mlir::DictionaryAttr>())
      sinks.push_back({sink.getAs<mlir::IntegerAttr>("argument").getInt(),
                       sink.getAs<mlir::IntegerAttr>("axis").getInt(),
                       sink.getAs<mlir::DenseI64ArrayAttr>("digits").asArrayRef().vec(),
                       sink.getAs<mlir::DenseI64ArrayAttr>("strides").asArrayRef().vec()});
  return sinks;
}

static std::string print(mlir::ModuleOp module) {
  std::string text;
  raw_string_ostream stream(text);
  module.print(stream);
  return text;
}

/// Whose cotangents are of use: the value's, so that the stage before can go on, and its weights'.
static std::vector<int64_t> findDifferentiated(const StageDescription &stage) {
  std::vector<int64_t> places;
  for (auto [place, argument] : enumerate(stage.arguments)) {
    StringRef key = argument;
    bool isFed = key.consume_front("parameter ") &&
                 any_of(stage.feeds, [&](const auto &feeds) { return is_contained(feeds, key); });
    if (argument == "value" || isFed)
      places.push_back(place);
  }
  return places;
}

/// Products with cotangents, one for each function.
static Error differentiate(mlir::ModuleOp module, StagedProgram &program,
                           const Cancellation &cancellation) {
  std::vector<std::string> passes;
  for (StageDescription &stage : program.stages) {
    stage.differentiated = findDifferentiated(stage);
    if (stage.differentiated.empty())
      continue;
    stage.gradient = stage.function + "_vjp";
    std::string places =
        join(map_range(stage.differentiated, [](int64_t i) { return itostr(i); }), ",");
    std::string pass =
        "lowbit-differentiate{results=0 function=" + stage.function + " arguments=" + places + "}";
    if (!is_contained(passes, pass))
      passes.push_back(pass);
  }
  if (passes.empty())
    return Error::success();
  return runPipeline(module,
                     "builtin.module(" + join(passes, ",") +
                         ",resolve-ranked-shaped-type-result-dims,func.func(canonicalize,cse))",
                     CpuTarget(), cancellation);
}

Expected<StagedProgram> lowbit::splitStages(StringRef text, StringRef name,
                                            ArrayRef<std::string> statistics, StringRef entry,
                                            bool output, bool gradients,
                                            const Cancellation &cancellation) {
  std::unique_ptr<mlir::MLIRContext> context = makeContext();
  Expected<mlir::OwningOpRef<mlir::ModuleOp>> module = parseModule(text, name, context.get());
  if (!module)
    return module.takeError();
  std::string pipeline =
      "builtin.module(lowbit-calibration-pipeline{statistics=" + join(statistics, ",");
  if (!entry.empty())
    pipeline += " entry=" + entry.str();
  if (output)
    pipeline += " output";
  if (Error error = runPipeline(**module, pipeline + "})", CpuTarget(), cancellation))
    return std::move(error);
  StagedProgram program;
  for (auto stage : (**module)
                        ->getAttrOfType<mlir::ArrayAttr>("lowbit.stages")
                        .getAsRange<mlir::DictionaryAttr>()) {
    StageDescription &description = program.stages.emplace_back();
    description.function = stage.getAs<mlir::FlatSymbolRefAttr>("function").getValue().str();
    description.arguments = toStrings(stage.get("arguments"));
    auto function =
        cast<mlir::func::FuncOp>(mlir::SymbolTable::lookupSymbolIn(**module, description.function));
    for (mlir::Type type : function.getArgumentTypes())
      raw_string_ostream(description.types.emplace_back()) << type;
    if (auto sinks = function->getAttrOfType<mlir::ArrayAttr>("lowbit.scale_sinks"))
      for (mlir::Attribute tap : sinks) {
        auto refusal = dyn_cast<mlir::StringAttr>(tap);
        description.refusals.push_back(refusal ? refusal.str() : "");
        description.sinks.push_back(readSinks(tap));
      }
    for (mlir::Attribute feeds : stage.getAs<mlir::ArrayAttr>("feeds"))
      description.feeds.push_back(toStrings(feeds));
  }
  if (gradients)
    if (Error error = differentiate(**module, program, cancellation))
      return std::move(error);
  program.text = print(**module);
  return program;
}

Expected<std::string> lowbit::importModel(const Archive &archive, uint64_t contextLength) {
  std::unique_ptr<mlir::MLIRContext> context = makeContext();
  LlamaImportOptions options;
  options.contextLength = contextLength;
  Expected<mlir::OwningOpRef<mlir::ModuleOp>> module = importLlama(archive, options, context.get());
  if (!module)
    return module.takeError();
  return print(**module);
}
