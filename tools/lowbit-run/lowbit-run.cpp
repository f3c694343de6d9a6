//===- lowbit-run.cpp - Compiles and runs a module ------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Compile/RunModule.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/WithColor.h"

using namespace llvm;

static const char overview[] = R"(Compiles a module for this machine and runs one of its entries

Inputs are the entry's arguments in order, an encoded tensor as its components. Outputs are its
results in order, whether fresh or in the storage of an argument.

Example: lowbit-run step.mlir --entry step --input x.npy --input 3:index --output y.npy
)";

int main(int argc, char **argv) {
  InitLLVM init(argc, argv);
  cl::ResetCommandLineParser(); // of the libraries' options, "threads" among them
  cl::OptionCategory category("lowbit-run options");
  lowbit::RunModuleOptions options;
  auto text = [&](StringRef name, std::string &value, StringRef help) {
    return cl::opt<std::string, true>(name, cl::location(value), cl::desc(help), cl::init(value),
                                      cl::cat(category));
  };
  cl::opt<std::string, true> module(cl::Positional, cl::desc("MODULE.mlir"),
                                    cl::location(options.module), cl::init("-"), cl::cat(category));
  options.entry = "main";
  auto entry = text("entry", options.entry, "Function to call (main)");
  cl::list<std::string, std::vector<std::string>> inputs(
      "input", cl::location(options.inputs), cl::cat(category),
      cl::desc("A .npy file, or equal elements as 5:index or 0:4x8xf32; for each argument"));
  cl::list<std::string, std::vector<std::string>> outputs(
      "output", cl::location(options.outputs), cl::cat(category),
      cl::desc("A .npy file to write, for each result"));
  cl::list<std::string, std::vector<std::string>> parameters(
      "parameters", cl::location(options.parameters), cl::cat(category),
      cl::desc("An archive with the tensors that lowbit.parameter names; the first that has one"));
  auto pipeline = text("pipeline", options.program.pipeline,
                       "cpu (default), reference, none, or passes as 'builtin.module(...)'");
  auto cpu = text("target-cpu", options.program.code.cpu,
                  "Processor to compile for, as LLVM names it (native)");
  auto object = text("dump-object", options.program.code.dumpObjectPath, "Write the object file");
  cl::opt<unsigned, true> level("O", cl::Prefix, cl::location(options.program.code.optLevel),
                                cl::init(2), cl::desc("LLVM's optimization level (2)"),
                                cl::cat(category));
  cl::opt<unsigned, true> threads("threads", cl::location(options.program.threads),
                                  cl::desc("OpenMP threads (all cores)"), cl::cat(category));
  cl::opt<unsigned, true> time("time", cl::location(options.time), cl::cat(category),
                               cl::desc("Measure so many more runs; JSON on standard error"));
  cl::ParseCommandLineOptions(argc, argv, overview);
  if (Error error = lowbit::runModule(options)) {
    WithColor::error(errs(), "lowbit-run") << toString(std::move(error)) << "\n";
    return 1;
  }
  return 0;
}
