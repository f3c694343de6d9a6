//===- Stages.cpp - A program in stages that keep statistics --------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Compile/Stages.h"

#include "lowbit/Archive/Archive.h"
#include "lowbit/Compile/Program.h"
#include "lowbit/IR/LowbitDialect.h"
#include "lowbit/IR/LowbitOps.h"
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

static std::string toString(mlir::Attribute parameter, ArrayRef<std::string> arguments) {
  if (auto key = dyn_cast_or_null<mlir::StringAttr>(parameter))
    return key.str();
  auto number = dyn_cast_or_null<mlir::IntegerAttr>(parameter);
  return number ? arguments[number.getInt()] : std::string();
}

/// Of a function that has been through lowbit-find-bases; a stage's parameters are its arguments.
static std::vector<BasisDescription> readBases(mlir::func::FuncOp function,
                                               ArrayRef<std::string> arguments = {}) {
  std::vector<BasisDescription> bases;
  auto found = function->getAttrOfType<mlir::ArrayAttr>("lowbit.bases");
  if (!found)
    return bases;
  for (auto basis : found.getAsRange<mlir::DictionaryAttr>()) {
    BasisDescription &description = bases.emplace_back();
    description.taps = basis.getAs<mlir::DenseI64ArrayAttr>("taps").asArrayRef().vec();
    if (auto reason = basis.getAs<mlir::StringAttr>("reason")) {
      description.reason = reason.str();
      continue;
    }
    description.extent = basis.getAs<mlir::IntegerAttr>("extent").getInt();
    description.keepsOnes = basis.contains("keeps_ones");
    for (auto member : basis.getAs<mlir::ArrayAttr>("members").getAsRange<mlir::DictionaryAttr>())
      description.members.push_back(
          {toString(member.contains("parameter") ? member.get("parameter") : member.get("argument"),
                    arguments),
           member.getAs<mlir::IntegerAttr>("axis").getInt(),
           member.getAs<mlir::IntegerAttr>("stride").getInt(),
           toString(member.contains("gain") ? member.get("gain") : member.get("divided"),
                    arguments),
           member.contains("divided")});
    for (mlir::Attribute gain : basis.getAs<mlir::ArrayAttr>("gains"))
      description.gains.push_back(toString(gain, arguments));
  }
  return bases;
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
                                            bool output, bool onlyParameters, bool gradients,
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
  if (onlyParameters)
    pipeline += " only-parameters";
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
    description.bases = readBases(function, description.arguments);
    for (mlir::Attribute feeds : stage.getAs<mlir::ArrayAttr>("feeds"))
      description.feeds.push_back(toStrings(feeds));
  }
  if (gradients)
    if (Error error = differentiate(**module, program, cancellation))
      return std::move(error);
  program.text = print(**module);
  return program;
}

static void readShifts(mlir::func::FuncOp function, EntryDescription &entry) {
  auto taps = function->getAttrOfType<mlir::ArrayAttr>("lowbit.shift_sinks");
  if (!taps)
    return;
  for (mlir::Attribute tap : taps) {
    auto refusal = dyn_cast<mlir::StringAttr>(tap);
    entry.refusals.push_back(refusal ? refusal.str() : "");
    std::vector<ShiftSink> &sinks = entry.shifts.emplace_back();
    if (refusal)
      continue;
    for (auto sink : cast<mlir::ArrayAttr>(tap).getAsRange<mlir::DictionaryAttr>())
      sinks.push_back(
          {toString(sink.get("parameter"), {}), sink.getAs<mlir::IntegerAttr>("axis").getInt(),
           sink.getAs<mlir::DenseI64ArrayAttr>("digits").asArrayRef().vec(),
           sink.getAs<mlir::DenseI64ArrayAttr>("strides").asArrayRef().vec(),
           sink.getAs<mlir::IntegerAttr>("sign").getInt(), toString(sink.get("weight"), {})});
  }
}

Expected<std::vector<EntryDescription>> lowbit::describeEntries(StringRef text, StringRef name,
                                                                const Cancellation &cancellation) {
  std::unique_ptr<mlir::MLIRContext> context = makeContext();
  Expected<mlir::OwningOpRef<mlir::ModuleOp>> module = parseModule(text, name, context.get());
  if (!module)
    return module.takeError();
  if (Error error = runPipeline(**module, "builtin.module(lowbit-conditioning-pipeline)",
                                CpuTarget(), cancellation))
    return std::move(error);
  std::vector<EntryDescription> entries;
  for (auto function : (**module).getOps<mlir::func::FuncOp>()) {
    if (!function->hasAttr(LowbitDialect::kEntryAttrName))
      continue;
    EntryDescription &entry = entries.emplace_back();
    function.walk([&](ParameterOp op) { entry.parameters.push_back(op.getKey().str()); });
    function.walk([&](ObserveOp tap) { entry.feeds.push_back(toStrings(tap.getFeeds())); });
    entry.bases = readBases(function);
    readShifts(function, entry);
  }
  return entries;
}

Expected<std::string> lowbit::importModel(const Archive &archive, uint64_t contextLength,
                                          StringRef kvCache) {
  std::unique_ptr<mlir::MLIRContext> context = makeContext();
  Expected<mlir::OwningOpRef<mlir::ModuleOp>> module =
      importLlama(archive, {contextLength, kvCache.str(), "{}"}, context.get());
  if (!module)
    return module.takeError();
  return print(**module);
}

Expected<std::vector<CacheDescription>>
lowbit::listCaches(const Archive &archive, uint64_t contextLength, StringRef kvCache) {
  std::unique_ptr<mlir::MLIRContext> context = makeContext();
  Expected<mlir::OwningOpRef<mlir::ModuleOp>> module =
      importLlama(archive, {contextLength, kvCache.str(), "{}"}, context.get());
  if (!module)
    return module.takeError();
  // Tokens and position come before the caches, logits after them.
  auto entry = (*module)->lookupSymbol<mlir::func::FuncOp>("decode");
  std::vector<CacheDescription> caches;
  for (auto [i, type] : enumerate(entry.getArgumentTypes().drop_front(2).drop_back())) {
    auto tensor = cast<mlir::RankedTensorType>(type);
    CacheDescription &cache = caches.emplace_back();
    cache.name = ((i % 2 ? "v_" : "k_") + Twine(i / 2)).str();
    cache.shape = tensor.getShape().vec();
    if (mlir::Attribute encoding = tensor.getEncoding())
      raw_string_ostream(cache.encoding) << encoding;
  }
  return caches;
}
