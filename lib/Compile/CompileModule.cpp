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
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Target/LLVMIR/Export.h"
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

static Expected<Object> generate(Module &module, ErrorContext &context, TargetMachine &target,
                                 const CodeOptions &options, CompileTimes &times) {
  Stopwatch stopwatch;
  optimize(module, target, options.optLevel, *options.cancellation);
  times.optimize = stopwatch.lap();
  Expected<Object> object = emitObject(module, target, *options.cancellation);
  if (!object)
    return object.takeError();
  if (Error error = context.takeError())
    return std::move(error);
  times.codegen = stopwatch.lap();
  return object;
}

/// Parts of the module, by functions, in threads: a context of LLVM belongs to one of them, so
/// parts travel as bitcode.
static Expected<std::vector<Object>>
generateParts(Module &module, unsigned count, const CodeOptions &options, CompileTimes &times) {
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
    Expected<std::unique_ptr<TargetMachine>> target = makeTarget(options);
    if (!target)
      return target.takeError();
    Expected<Object> object = generate(**code, context, **target, options, spent[part]);
    if (!object)
      return object.takeError();
    objects[part] = std::move(*object);
    return Error::success();
  };
  DefaultThreadPool pool(heavyweight_hardware_concurrency(count));
  for (size_t part = 0; part < bitcode.size(); ++part)
    pool.async([&, part] {
      if (Error error = compile(part))
        failures[part] = toString(std::move(error));
    });
  pool.wait();
  for (const std::string &failure : failures)
    if (!failure.empty())
      return createStringError(failure);
  for (const CompileTimes &part : spent) {
    times.optimize = std::max(times.optimize, part.optimize);
    times.codegen = std::max(times.codegen, part.codegen);
  }
  return objects;
}

Expected<CompiledModule> lowbit::compileModule(mlir::ModuleOp module, const CodeOptions &options,
                                               CompileTimes &times) {
  Expected<ModuleSignature> signature = readSignature(module);
  if (!signature)
    return signature.takeError();
  CompiledModule compiled{std::move(*signature), {}};

  if (Error error = options.cancellation->check())
    return std::move(error);
  Stopwatch stopwatch;
  ErrorContext context;
  DiagnosticCollector diagnostics(module.getContext());
  std::unique_ptr<Module> code = mlir::translateModuleToLLVMIR(module, context.context, "lowbit");
  if (!code)
    return diagnostics.takeError("the module cannot be translated to LLVM IR");
  Expected<std::unique_ptr<TargetMachine>> target = makeTarget(options);
  if (!target)
    return target.takeError();
  code->setTargetTriple((*target)->getTargetTriple());
  code->setDataLayout((*target)->createDataLayout());
  code->setPICLevel(PICLevel::SmallPIC);
  compiled.signature.usesThreads = callsAny(*code, "__kmpc_");
  compiled.signature.usesMatrixUnit = callsAny(*code, "llvm.x86.tile");
  if (Error error = exposeEntries(*code, compiled.signature))
    return std::move(error);
  times.translate = stopwatch.lap();

  std::vector<Object> objects;
  unsigned parts = options.dumpObjectPath.empty() && code->getInstructionCount() >= leastToSplit
                       ? heavyweight_hardware_concurrency().compute_thread_count()
                       : 1;
  if (parts > 1) {
    Expected<std::vector<Object>> generated = generateParts(*code, parts, options, times);
    if (!generated)
      return generated.takeError();
    objects = std::move(*generated);
  } else {
    Expected<Object> object = generate(*code, context, **target, options, times);
    if (!object)
      return object.takeError();
    objects.push_back(std::move(*object));
  }
  SmallVector<StringRef> files;
  for (const Object &object : objects)
    files.push_back(StringRef(object.data(), object.size()));
  if (!options.dumpObjectPath.empty())
    if (Error error = writeFile(options.dumpObjectPath, files))
      return std::move(error);
  stopwatch.lap();
  Expected<std::vector<uint8_t>> linked = linkSharedObject(files);
  if (!linked)
    return linked.takeError();
  compiled.code = std::move(*linked);
  if (options.keepObject) {
    std::vector<std::string> symbols;
    for (const EntrySignature *entry : compiled.signature.getCallable())
      symbols.push_back(Session::getPackedName(entry->name));
    for (const ParameterSignature &parameter : compiled.signature.parameters)
      symbols.push_back(parameter.symbol);
    Expected<std::vector<uint8_t>> joined = linkRelocatable(files, symbols);
    if (!joined)
      return joined.takeError();
    compiled.object = std::move(*joined);
  }
  times.codegen += stopwatch.lap();
  return compiled;
}
