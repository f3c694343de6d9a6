//===- ProgramBindings.cpp - run_module, opt ------------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bindings.h"

#include "lowbit/Archive/Archive.h"
#include "lowbit/Runtime/Program.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

using namespace llvm;
using namespace lowbit;
using namespace lowbit::python;

static Expected<std::vector<Array>> run(const std::string &text, const std::string &entry,
                                        std::vector<Array> inputs, const ProgramOptions &options,
                                        const std::vector<std::string> &parameters) {
  std::vector<std::shared_ptr<const Archive>> archives;
  for (const std::string &path : parameters) {
    Expected<std::unique_ptr<Archive>> archive = Archive::open(path);
    if (!archive)
      return archive.takeError();
    archives.push_back(std::move(*archive));
  }
  Expected<std::unique_ptr<Program>> program = Program::compileText(text, "module", options);
  if (!program)
    return program.takeError();
  if (Error error = (*program)->getSession().bindParameters(archives))
    return std::move(error);
  return (*program)->run(entry, std::move(inputs));
}

static std::vector<nb::object> runModule(const std::string &text, const std::string &entry,
                                         const std::vector<InputArray> &inputs,
                                         const std::string &pipeline,
                                         const std::vector<std::string> &parameters,
                                         unsigned threads, const std::string &cpu) {
  std::vector<Array> copies;
  for (const InputArray &input : inputs)
    copies.push_back(toArray(input));
  ProgramOptions options;
  options.pipeline = pipeline;
  options.jit.threads = threads;
  options.jit.cpu = cpu;
  auto results = [&] {
    nb::gil_scoped_release unlocked;
    return run(text, entry, std::move(copies), options, parameters);
  }();
  std::vector<nb::object> arrays;
  for (Array &result : unwrap(std::move(results)))
    arrays.push_back(toNumpy(std::move(result)));
  return arrays;
}

static std::string runPasses(const std::string &text, const std::string &pipeline) {
  auto result = [&] {
    nb::gil_scoped_release unlocked;
    return transformText(text, "module", pipeline);
  }();
  return unwrap(std::move(result));
}

void python::bindPrograms(nb::module_ &module) {
  module.def("run_module", &runModule, nb::arg("text"), nb::arg("entry"), nb::arg("inputs"),
             nb::arg("pipeline") = "cpu", nb::arg("parameters") = std::vector<std::string>(),
             nb::arg("threads") = 0, nb::arg("cpu") = "",
             "Compiles an MLIR module and calls an entry. An encoded argument is as many inputs as "
             "it has components; the results come in the function's order, whether fresh or in the "
             "storage of an argument (the inputs themselves are not written to). pipeline: 'cpu', "
             "'reference', 'none' or passes as 'builtin.module(...)'.");
  module.def("opt", &runPasses, nb::arg("text"), nb::arg("pipeline"),
             "The text of a module after a pipeline, named as for run_module.");
}
