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
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

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
} // namespace

static bool callsOpenMP(const Module &module) {
  return any_of(module.functions(),
                [](const Function &function) { return function.getName().starts_with("__kmpc_"); });
}

Expected<CompiledModule> lowbit::compileModule(mlir::ModuleOp module, const CodeOptions &options,
                                               CompileTimes &times) {
  Expected<ModuleSignature> signature = readSignature(module);
  if (!signature)
    return signature.takeError();
  CompiledModule compiled{std::move(*signature), {}};

  Stopwatch stopwatch;
  LLVMContext context;
  std::string errors;
  context.setDiagnosticHandler(std::make_unique<LLVMErrors>(errors));
  DiagnosticCollector diagnostics(module.getContext());
  std::unique_ptr<Module> code = mlir::translateModuleToLLVMIR(module, context, "lowbit");
  if (!code)
    return diagnostics.takeError("the module cannot be translated to LLVM IR");
  Expected<std::unique_ptr<TargetMachine>> target = makeTarget(options);
  if (!target)
    return target.takeError();
  code->setTargetTriple((*target)->getTargetTriple());
  code->setDataLayout((*target)->createDataLayout());
  code->setPICLevel(PICLevel::SmallPIC);
  if (Error error = exposeEntries(*code, compiled.signature))
    return std::move(error);
  compiled.signature.usesThreads = callsOpenMP(*code);
  times.translate = stopwatch.lap();
  optimize(*code, **target, options.optLevel);
  times.optimize = stopwatch.lap();

  Expected<SmallVector<char, 0>> object = emitObject(*code, **target);
  if (!object)
    return object.takeError();
  if (!errors.empty())
    return createStringError("the module cannot be compiled to machine code: " + errors);
  StringRef bytes(object->data(), object->size());
  if (!options.dumpObjectPath.empty())
    if (Error error = writeFile(options.dumpObjectPath, bytes))
      return std::move(error);
  Expected<std::vector<uint8_t>> linked = linkSharedObject(bytes);
  if (!linked)
    return linked.takeError();
  compiled.code = std::move(*linked);
  times.codegen = stopwatch.lap();
  return compiled;
}
