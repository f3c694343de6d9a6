//===- ProgramBindings.cpp - run_module, opt ------------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bindings.h"

#include "lowbit/Archive/Archive.h"
#include "lowbit/Compile/Program.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

using namespace llvm;
using namespace lowbit;
using namespace lowbit::python;

static Program *compile(const std::string &text, const std::vector<Path> &parameters,
                        const std::string &pipeline, unsigned threads, const std::string &targetCpu,
                        const Path &name, unsigned optimizationLevel) {
  ProgramOptions options;
  options.pipeline = pipeline;
  options.threads = threads;
  options.code.cpu = targetCpu;
  options.code.optLevel = optimizationLevel;
  std::unique_ptr<Program> program;
  raise(runCancellable(*options.code.cancellation, [&] {
    return Program::load(text, name.native(), options, toStrings(parameters)).moveInto(program);
  }));
  return program.release();
}

static std::vector<nb::object> run(Program &program, const std::string &entry,
                                   const std::vector<InputArray> &inputs) {
  std::vector<Array> copies;
  for (const InputArray &input : inputs)
    copies.push_back(toArray(input));
  auto results = [&] {
    nb::gil_scoped_release unlocked;
    return program.run(entry, std::move(copies));
  }();
  std::vector<nb::object> arrays;
  for (Array &result : unwrap(std::move(results)))
    arrays.push_back(toNumpy(std::move(result)));
  return arrays;
}

static std::vector<nb::object> runModule(const std::string &text, const std::string &entry,
                                         const std::vector<InputArray> &inputs,
                                         const std::string &pipeline,
                                         const std::vector<Path> &parameters, unsigned threads,
                                         const std::string &targetCpu) {
  std::unique_ptr<Program> program(
      compile(text, parameters, pipeline, threads, targetCpu, "module", CodeOptions().optLevel));
  return run(*program, entry, inputs);
}

static std::string runPasses(const std::string &text, const std::string &pipeline) {
  std::string result;
  Cancellation cancellation;
  raise(runCancellable(cancellation, [&] {
    return transformText(text, "module", pipeline, cancellation).moveInto(result);
  }));
  return result;
}

void python::bindPrograms(nb::module_ &module) {
  auto program =
      nb::class_<Program>(
          module, "Program",
          "A compiled MLIR module with its parameters, which come from archives; one "
          "that the module declares as plain f32 is read in the encoding its archive "
          "has. pipeline: 'cpu', 'reference', 'none' or passes as "
          "'builtin.module(...)'. name: of the text, in errors.")
          .def(nb::new_(&compile), nb::arg("text"), nb::arg("parameters") = std::vector<Path>(),
               nb::arg("pipeline") = "cpu", nb::arg("threads") = 0, nb::arg("target_cpu") = "",
               nb::arg("name") = "module", nb::arg("optimization_level") = CodeOptions().optLevel)
          .def("run", &run, nb::arg("entry"), nb::arg("inputs"),
               "Calls an entry. An encoded argument is as many inputs as it has components; the "
               "results "
               "come in the function's order, whether fresh or in the storage of an argument (the "
               "inputs themselves are not written to).")
          .def(
              "lookup",
              [](Program &program, const std::string &entry) {
                return reinterpret_cast<uintptr_t>(unwrap(program.getSession().lookup(entry)));
              },
              nb::arg("entry"),
              "The address of an entry as `void (void **arguments)`, which stays valid as long as "
              "the "
              "program: to call it where the data lies, by ctypes or from another language. Each "
              "argument points to a scalar or to a memref descriptor, results last; nothing is "
              "checked, and OpenMP's number of threads is the caller's.")
          .def_prop_ro("compile_seconds",
                       [](const Program &program) { return program.getTimes().total(); });
  module.def("run_module", &runModule, nb::arg("text"), nb::arg("entry"), nb::arg("inputs"),
             nb::arg("pipeline") = "cpu", nb::arg("parameters") = std::vector<Path>(),
             nb::arg("threads") = 0, nb::arg("target_cpu") = "",
             "Program(...).run(...), for a module that is called once.");
  module.def("opt", &runPasses, nb::arg("text"), nb::arg("pipeline"),
             "The text of a module after a pipeline, named as for run_module.");
  bindOptimizers(module, program);
}
