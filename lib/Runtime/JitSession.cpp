//===- JitSession.cpp - A module as machine code in memory ----------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Runtime/JitSession.h"

#include "FloatHelpers.h"
#include "JitCompile.h"
#include "OpenMPRuntime.h"
#include "Stopwatch.h"
#include "StridedCopy.h"
#include "WriteFile.h"
#include "lowbit/Runtime/Diagnostics.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/ExecutionEngine/Orc/ObjectTransformLayer.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

using namespace llvm;
using namespace lowbit;

MemRefDescriptor::MemRefDescriptor(const void *data, ArrayRef<int64_t> shape) {
  int64_t address = reinterpret_cast<int64_t>(data);
  words = {address, address, 0};
  append_range(words, shape);
  SmallVector<int64_t> strides(shape.size(), 1);
  for (size_t axis = shape.size(); axis > 1; --axis)
    strides[axis - 2] = strides[axis - 1] * shape[axis - 1];
  append_range(words, strides);
}

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

static Expected<std::unique_ptr<orc::LLJIT>> link(std::unique_ptr<Module> module,
                                                  std::unique_ptr<LLVMContext> context,
                                                  orc::JITTargetMachineBuilder target,
                                                  const JitOptions &options) {
  Expected<std::unique_ptr<orc::LLJIT>> jit =
      orc::LLJITBuilder().setJITTargetMachineBuilder(std::move(target)).create();
  if (!jit)
    return jit.takeError();
  orc::SymbolMap helpers;
  auto add = [&](StringRef name, void *address) {
    helpers[(*jit)->mangleAndIntern(name)] = {orc::ExecutorAddr::fromPtr(address),
                                              JITSymbolFlags::Exported | JITSymbolFlags::Callable};
  };
  add("memrefCopy", reinterpret_cast<void *>(copyStrided));
  for (auto [name, address] : getFloatHelpers())
    add(name, address);
  if (Error error = (*jit)->getMainJITDylib().define(orc::absoluteSymbols(std::move(helpers))))
    return std::move(error);
  if (!options.dumpObjectPath.empty())
    (*jit)->getObjTransformLayer().setTransform(
        [path = options.dumpObjectPath](
            std::unique_ptr<MemoryBuffer> object) -> Expected<std::unique_ptr<MemoryBuffer>> {
          if (Error error = writeFile(path, object->getBuffer()))
            return std::move(error);
          return std::move(object);
        });
  if (Error error =
          (*jit)->addIRModule(orc::ThreadSafeModule(std::move(module), std::move(context))))
    return std::move(error);
  return jit;
}

Expected<std::unique_ptr<JitSession>> JitSession::create(mlir::ModuleOp module,
                                                         const JitOptions &options) {
  std::unique_ptr<JitSession> session(new JitSession);
  Expected<ModuleSignature> signature = ModuleSignature::read(module);
  if (!signature)
    return signature.takeError();
  session->signature = std::move(*signature);

  Stopwatch stopwatch;
  auto context = std::make_unique<LLVMContext>();
  std::string &errors = session->errors;
  context->setDiagnosticHandler(std::make_unique<LLVMErrors>(errors));
  DiagnosticCollector diagnostics(module.getContext());
  std::unique_ptr<Module> code = mlir::translateModuleToLLVMIR(module, *context, "lowbit");
  if (!code)
    return diagnostics.takeError("the module cannot be translated to LLVM IR");

  Expected<orc::JITTargetMachineBuilder> builder = makeTarget(options);
  if (!builder)
    return builder.takeError();
  Expected<std::unique_ptr<TargetMachine>> target = builder->createTargetMachine();
  if (!target)
    return target.takeError();
  code->setTargetTriple((*target)->getTargetTriple());
  code->setDataLayout((*target)->createDataLayout());
  if (Error error = exposeEntries(*code, session->signature))
    return std::move(error);
  session->times.translate = stopwatch.lap();
  optimize(*code, **target, options.optLevel);
  session->times.optimize = stopwatch.lap();

  if (any_of(code->functions(),
             [](const Function &function) { return function.getName().starts_with("__kmpc_"); })) {
    Expected<const OpenMPRuntime *> openMP = OpenMPRuntime::get();
    if (!openMP)
      return openMP.takeError();
    session->openMP = *openMP;
    session->threads = options.threads ? options.threads : (*openMP)->getThreads();
  }

  Expected<std::unique_ptr<orc::LLJIT>> jit =
      link(std::move(code), std::move(context), std::move(*builder), options);
  if (!jit)
    return jit.takeError();
  session->jit = std::move(*jit);
  // What went wrong comes here; a lookup's own error only lists what there is not because of it.
  session->jit->getExecutionSession().setErrorReporter([&errors](Error error) {
    errors += (errors.empty() ? "" : "\n") + toString(std::move(error));
  });
  // Looking up the first one compiles them all.
  for (const EntrySignature &entry : session->signature.entries) {
    Expected<orc::ExecutorAddr> address = session->jit->lookup(getPackedName(entry.name));
    if (!errors.empty()) {
      if (!address)
        consumeError(address.takeError());
      return createStringError("the module cannot be compiled to machine code: " + errors);
    }
    if (!address)
      return address.takeError();
    session->entryAddresses.push_back(address->toPtr<void *>());
  }
  session->times.codegen = stopwatch.lap();
  session->parametersBound = session->signature.parameters.empty();
  return session;
}

JitSession::~JitSession() = default;

Expected<void *> JitSession::lookup(StringRef entry) const {
  Expected<const EntrySignature *> found = signature.find(entry);
  if (!found)
    return found.takeError();
  return entryAddresses[*found - signature.entries.data()];
}

Error JitSession::invoke(StringRef entry, ArrayRef<void *> arguments) const {
  Expected<const EntrySignature *> found = signature.find(entry);
  if (!found)
    return found.takeError();
  if (arguments.size() != (*found)->arguments.size())
    return createStringError("entry '" + entry + "' takes " + Twine((*found)->arguments.size()) +
                             " arguments, not " + Twine(arguments.size()));
  if (!parametersBound)
    return createStringError("the module's parameters are not bound: entry '" + entry +
                             "' cannot run before an archive has been given");
  // A setting of the calling thread, which may not be the one that called before.
  if (openMP)
    openMP->setThreads(threads);
  auto function =
      reinterpret_cast<void (*)(void *const *)>(entryAddresses[*found - signature.entries.data()]);
  function(arguments.data());
  return Error::success();
}
