//===- CompileModule.cpp - From the LLVM dialect to code ------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Compile/CompileModule.h"

#include "../Runtime/WriteFile.h"
#include "LinkObject.h"
#include "MachineCode.h"
#include "Stopwatch.h"
#include "lowbit/Compile/Diagnostics.h"
#include "lowbit/Runtime/Version.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/SplitModule.h"

using namespace llvm;
using namespace lowbit;

namespace {
/// Collects LLVM's errors; without it LLVM prints them and ends the process.
struct LLVMErrors : DiagnosticHandler {
  explicit LLVMErrors(std::string &text) : text(text) {}
  bool handleDiagnostics(const DiagnosticInfo &info) override {
    if (info.getSeverity() == DS_Error) {
      raw_string_ostream stream(text);
      DiagnosticPrinterRawOStream printer(stream);
      stream << (text.empty() ? "" : "\n");
      info.print(printer);
    }
    return true;
  }
  std::string &text;
};

/// An LLVMContext whose errors are collected.
struct ErrorContext {
  ErrorContext() { context.setDiagnosticHandler(std::make_unique<LLVMErrors>(errors)); }
  Error takeError() {
    return errors.empty() ? Error::success()
                          : createStringError("the module cannot be compiled to machine code: " +
                                              std::exchange(errors, ""));
  }
  LLVMContext context;
  std::string errors;
};

using Object = SmallVector<char, 0>;
} // namespace

static bool callsAny(const Module &module, StringRef prefix) {
  return any_of(module.functions(),
                [&](const Function &function) { return function.getName().starts_with(prefix); });
}

/// Below this many instructions a module is compiled whole: to take it apart costs more.
static constexpr unsigned leastToSplit = 20000;
/// Functions differ in size, and one part for each thread would leave threads waiting for the
/// largest.
static constexpr unsigned partsForEachThread = 4;

static Expected<Object> generate(Module &module, ErrorContext &context, TargetMachine &target,
                                 const CodeOptions &options, CompileTimes &times) {
  Stopwatch stopwatch;
  optimize(module, target, options.optLevel, *options.cancellation);
  times.optimize += stopwatch.lap();
  Expected<Object> object = emitObject(module, target, *options.cancellation);
  if (!object)
    return object.takeError();
  if (Error error = context.takeError())
    return std::move(error);
  times.codegen += stopwatch.lap();
  return object;
}

/// Parts of the module, by functions, in threads: a context of LLVM belongs to one of them, so
/// parts travel as bitcode.
static Expected<std::vector<Object>> generateParts(Module &module, unsigned count,
                                                   const CpuTarget &target,
                                                   const CodeOptions &options,
                                                   CompileTimes &times) {
  Stopwatch stopwatch;
  std::vector<Object> bitcode, objects;
  SplitModule(
      module, count,
      [&](std::unique_ptr<Module> part) {
        raw_svector_ostream stream(bitcode.emplace_back());
        WriteBitcodeToFile(*part, stream);
      },
      /*PreserveLocals=*/false);
  objects.resize(bitcode.size());
  std::vector<CompileTimes> spent(bitcode.size());
  std::vector<std::string> failures(bitcode.size());
  auto compile = [&](size_t part) -> Error {
    ErrorContext context;
    Expected<std::unique_ptr<Module>> code = parseBitcodeFile(
        MemoryBufferRef(StringRef(bitcode[part].data(), bitcode[part].size()), "lowbit"),
        context.context);
    if (!code)
      return code.takeError();
    Expected<std::unique_ptr<TargetMachine>> machine = makeMachine(target, options);
    if (!machine)
      return machine.takeError();
    Expected<Object> object = generate(**code, context, **machine, options, spent[part]);
    if (!object)
      return object.takeError();
    objects[part] = std::move(*object);
    return Error::success();
  };
  DefaultThreadPool pool(heavyweight_hardware_concurrency());
  for (size_t part = 0; part < bitcode.size(); ++part)
    pool.async([&, part] {
      if (Error error = compile(part))
        failures[part] = toString(std::move(error));
    });
  pool.wait();
  for (const std::string &failure : failures)
    if (!failure.empty())
      return createStringError(failure);
  // The time that passed, by the share of each step in all parts.
  double passed = stopwatch.lap(), optimize = 0, codegen = 0;
  for (const CompileTimes &part : spent) {
    optimize += part.optimize;
    codegen += part.codegen;
  }
  double share = optimize + codegen > 0 ? optimize / (optimize + codegen) : 0;
  times.optimize += passed * share;
  times.codegen += passed * (1 - share);
  return objects;
}

/// The module for `target`, with `signature`'s entries and parameters in sight and nothing else.
static Expected<std::vector<Object>>
generateObjects(mlir::ModuleOp module, ModuleSignature &signature, const CpuTarget &target,
                const CodeOptions &options, CompileTimes &times) {
  Stopwatch stopwatch;
  ErrorContext context;
  DiagnosticCollector diagnostics(module.getContext());
  std::unique_ptr<Module> code = mlir::translateModuleToLLVMIR(module, context.context, "lowbit");
  if (!code)
    return diagnostics.takeError("the module cannot be translated to LLVM IR");
  Expected<std::unique_ptr<TargetMachine>> machine = makeMachine(target, options);
  if (!machine)
    return machine.takeError();
  code->setTargetTriple((*machine)->getTargetTriple());
  code->setDataLayout((*machine)->createDataLayout());
  code->setPICLevel(PICLevel::SmallPIC);
  signature.usesThreads = callsAny(*code, "__kmpc_");
  signature.usesMatrixUnit = callsAny(*code, "llvm.x86.tile") && target.matrixUnit == "amx";
  if (Error error = exposeEntries(*code, signature))
    return std::move(error);
  if (Error error = checkInstructions(*code, target))
    return std::move(error);
  times.translate += stopwatch.lap();
  unsigned parts =
      options.dumpObjectPath.empty() && code->getInstructionCount() >= leastToSplit
          ? partsForEachThread * heavyweight_hardware_concurrency().compute_thread_count()
          : 1;
  if (parts > 1)
    return generateParts(*code, parts, target, options, times);
  std::vector<Object> objects;
  Expected<Object> object = generate(*code, context, **machine, options, times);
  if (!object)
    return object.takeError();
  objects.push_back(std::move(*object));
  return objects;
}

static SmallVector<StringRef> toFiles(ArrayRef<Object> objects) {
  return map_to_vector(
      objects, [](const Object &object) { return StringRef(object.data(), object.size()); });
}

/// Packs parameters on this machine for code that runs on another one.
static Expected<std::vector<uint8_t>> compilePacking(mlir::ModuleOp module,
                                                     const ModuleSignature &signature,
                                                     CodeOptions options, CompileTimes &times) {
  Expected<CpuTarget> host = CpuTarget::create("native");
  if (!host)
    return host.takeError();
  ModuleSignature packing = signature;
  StringSet<> callable;
  for (const EntrySignature *entry : signature.getCallable())
    callable.insert(entry->name);
  erase_if(packing.entries,
           [&](const EntrySignature &entry) { return callable.contains(entry.name); });
  options.dumpObjectPath.clear();
  Expected<std::vector<Object>> objects = generateObjects(module, packing, *host, options, times);
  if (!objects)
    return objects.takeError();
  return linkSharedObject(toFiles(*objects), host->architecture);
}

Expected<CompiledModule> lowbit::compileModule(mlir::ModuleOp module, const CodeOptions &options,
                                               CompileTimes &times) {
  Expected<ModuleSignature> signature = readSignature(module);
  if (!signature)
    return signature.takeError();
  if (Error error = options.cancellation->check())
    return std::move(error);
  Expected<CpuTarget> target = CpuTarget::create(options.cpu);
  if (!target)
    return target.takeError();
  CompiledModule compiled{std::move(*signature), {}};
  compiled.signature.architecture = target->architecture;
  compiled.signature.features = target->getRequiredFeatures();
  Expected<std::vector<Object>> objects =
      generateObjects(module, compiled.signature, *target, options, times);
  if (!objects)
    return objects.takeError();
  SmallVector<StringRef> files = toFiles(*objects);
  if (!options.dumpObjectPath.empty())
    if (Error error = writeFile(options.dumpObjectPath, files))
      return std::move(error);
  Stopwatch stopwatch;
  Expected<std::vector<uint8_t>> linked = linkSharedObject(files, target->architecture);
  if (!linked)
    return linked.takeError();
  compiled.code = std::move(*linked);
  if (options.keepObject) {
    std::vector<std::string> symbols;
    for (const EntrySignature *entry : compiled.signature.getCallable())
      symbols.push_back(Session::getPackedName(entry->name));
    for (const ParameterSignature &parameter : compiled.signature.parameters)
      symbols.push_back(parameter.symbol);
    Expected<std::vector<uint8_t>> joined = linkRelocatable(files, symbols, target->architecture);
    if (!joined)
      return joined.takeError();
    compiled.object = std::move(*joined);
  }
  times.codegen += stopwatch.lap();
  if (Error error = checkProcessor(compiled.signature)) {
    consumeError(std::move(error));
    Expected<std::vector<uint8_t>> packing =
        compilePacking(module, compiled.signature, options, times);
    if (!packing)
      return packing.takeError();
    compiled.packing = std::move(*packing);
  }
  return compiled;
}
