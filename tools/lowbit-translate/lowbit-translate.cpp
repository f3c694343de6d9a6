//===- lowbit-translate.cpp - Models in, MLIR out -------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/Archive.h"
#include "lowbit/Import/Llama.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/WithColor.h"

using namespace llvm;

static cl::OptionCategory category("lowbit-translate options");
static cl::opt<std::string> input(cl::Positional, cl::Required, cl::desc("MODEL"),
                                  cl::cat(category));
static cl::opt<std::string> output("o", cl::desc("Output file (default: standard output)"),
                                   cl::value_desc("file"), cl::init("-"), cl::cat(category));
static cl::opt<bool> ggufToMlir("gguf-to-mlir", cl::cat(category),
                                cl::desc("A llama-like model, GGUF or Lowbit archive, as linalg"));
static cl::opt<uint64_t> context("context", cl::value_desc("N"), cl::cat(category),
                                 cl::desc("Positions in the cache (default: the model's own)"));
static cl::opt<std::string>
    kvCache("kv-cache", cl::value_desc("TYPE"), cl::cat(category),
            cl::desc("What keys and values are stored as: f32, f16, int8, int4, or as "
                     "within #lowbit.quantized<...>, or one of these for each as JSON, "
                     "{\"k_0\": \"int8\", ...} (default: what the archive says, or f32)"));

static Error translate() {
  if (!ggufToMlir)
    return createStringError("no translation was asked for: give --gguf-to-mlir");
  Expected<std::unique_ptr<lowbit::Archive>> archive = lowbit::Archive::open(input);
  if (!archive)
    return archive.takeError();
  lowbit::LlamaImportOptions options;
  if (context.getNumOccurrences())
    options.contextLength = context;
  if (kvCache.getNumOccurrences())
    options.kvCache = kvCache;
  mlir::MLIRContext mlirContext;
  Expected<mlir::OwningOpRef<mlir::ModuleOp>> module =
      lowbit::importLlama(**archive, options, &mlirContext);
  if (!module)
    return module.takeError();
  if (failed(mlir::verify(**module)))
    return createStringError("the imported program is invalid: please report this");
  return writeToOutput(output, [&](raw_ostream &stream) {
    (*module)->print(stream, mlir::OpPrintingFlags().printNameLocAsPrefix());
    return Error::success();
  });
}

int main(int argc, char **argv) {
  InitLLVM initLLVM(argc, argv);
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(argc, argv, "Lowbit translation driver\n");
  if (Error error = translate()) {
    WithColor::error(errs(), "lowbit-translate") << toString(std::move(error)) << '\n';
    return 1;
  }
  return 0;
}
