//===- CalibrationBindings.cpp - split_stages, import_model ---------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bindings.h"

#include "lowbit/Compile/Stages.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

using namespace llvm;
using namespace lowbit;
using namespace lowbit::python;

using Sink = std::tuple<int64_t, int64_t, std::vector<int64_t>, std::vector<int64_t>>;
using Stage = std::tuple<std::string, std::vector<std::string>, std::vector<std::string>,
                         std::vector<std::vector<std::string>>, std::vector<std::vector<Sink>>,
                         std::vector<std::string>, std::string, std::vector<int64_t>>;

static std::tuple<std::string, std::vector<Stage>> split(const std::string &text,
                                                         const std::vector<std::string> &statistics,
                                                         const std::string &entry, bool output,
                                                         bool gradients, const std::string &name) {
  StagedProgram program;
  Cancellation cancellation;
  raise(runCancellable(cancellation, [&] {
    return splitStages(text, name, statistics, entry, output, gradients, cancellation)
        .moveInto(program);
  }));
  std::vector<Stage> stages;
  for (StageDescription &stage : program.stages) {
    std::vector<std::vector<Sink>> sinks;
    for (const std::vector<ScaleSink> &tap : stage.sinks) {
      auto &list = sinks.emplace_back();
      for (const ScaleSink &sink : tap)
        list.emplace_back(sink.argument, sink.axis, sink.digits, sink.strides);
    }
    stages.emplace_back(std::move(stage.function), std::move(stage.arguments),
                        std::move(stage.types), std::move(stage.feeds), std::move(sinks),
                        std::move(stage.refusals), std::move(stage.gradient),
                        std::move(stage.differentiated));
  }
  return {std::move(program.text), std::move(stages)};
}

static std::string import(const Archive &archive, uint64_t contextLength) {
  return unwrap(importModel(archive, contextLength));
}

void python::bindCalibration(nb::module_ &module) {
  module.def(
      "split_stages", &split, nb::arg("text"), nb::arg("statistics"), nb::arg("entry") = "",
      nb::arg("output") = false, nb::arg("gradients") = false, nb::arg("name") = "module",
      "A program as a chain of functions that keep statistics: the module's text, and of "
      "each stage its function, what its arguments are, the types of all (statistics come last), "
      "what each of its taps feeds, and of each tap the parameters that take factors of its "
      "channels (argument, axis, digits, strides), or the reason why none do; with gradients, its "
      "vector-Jacobian product, or '', and the numbers of the arguments that it is for.");
  module.def("import_model", &import, nb::arg("archive"), nb::arg("context_length"),
             "The program of a language model, with keys and values in f32.");
}
