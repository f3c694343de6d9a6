//===- CompileLanguageModel.cpp - From a model file to code ---------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Compile/CompileLanguageModel.h"

#include "Stopwatch.h"
#include "lowbit/Archive/Archive.h"
#include "lowbit/Import/Llama.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

using namespace llvm;
using namespace lowbit;

Expected<std::unique_ptr<Session>>
lowbit::compileLanguageModel(std::shared_ptr<const Archive> archive,
                             const LanguageModelOptions &options, CompileTimes &times) {
  Stopwatch stopwatch;
  std::unique_ptr<mlir::MLIRContext> context = makeContext();
  LlamaImportOptions import;
  import.contextLength = options.contextLength;
  import.kvCache = options.kvCache;
  if (options.sameActivations)
    import.activations = "{}";
  Expected<mlir::OwningOpRef<mlir::ModuleOp>> module = importLlama(*archive, import, context.get());
  if (!module)
    return module.takeError();
  double imported = stopwatch.lap();
  Expected<std::unique_ptr<Program>> program = Program::compile(**module, options.program);
  if (!program)
    return program.takeError();
  times = (*program)->getTimes();
  times.import = imported;
  stopwatch.lap();
  std::unique_ptr<Session> session = (*program)->takeSession();
  if (Error error =
          bindParameters(*session, std::move(archive), *options.program.code.cancellation))
    return std::move(error);
  times.pack = stopwatch.lap();
  return session;
}
