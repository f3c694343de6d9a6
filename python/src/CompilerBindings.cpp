//===- CompilerBindings.cpp - Session, compile_model ----------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SessionBindings.h"

#include "lowbit/Archive/Archive.h"
#include "lowbit/Compile/CompileLanguageModel.h"
#include "lowbit/Runtime/Artifact.h"

#include <nanobind/stl/string.h>

using namespace llvm;
using namespace lowbit;
using namespace lowbit::python;

static LanguageModelOptions readOptions(nb::dict given) {
  LanguageModelOptions options;
  for (auto [key, value] : given) {
    auto name = nb::cast<std::string>(key);
    if (name == "activations") {
      options.program.activations = nb::cast<std::string>(value);
    } else if (name == "context_length") {
      auto length = nb::cast<int64_t>(value);
      if (length < 1)
        throw Failure("context_length is " + std::to_string(length) +
                      ": give the number of positions that the cache is to hold");
      options.contextLength = length;
    } else if (name == "prefix_bits") {
      options.program.prefixBits = nb::cast<unsigned>(value);
    } else if (name == "pipeline") {
      options.program.pipeline = nb::cast<std::string>(value);
    } else if (name == "threads") {
      options.program.threads = nb::cast<unsigned>(value);
    } else if (name == "optimization_level") {
      options.program.code.optLevel = nb::cast<unsigned>(value);
    } else if (name == "dump_object") {
      options.program.code.dumpObjectPath = nb::cast<std::string>(value);
    } else {
      throw Failure("there is no option '" + name +
                    "': known are activations, context_length, prefix_bits, pipeline, "
                    "threads, optimization_level and dump_object");
    }
  }
  return options;
}

using Times = std::vector<std::pair<const char *, double>>;

static Times listTimes(const CompileTimes &times) {
  return {{"import", times.import},     {"lower", times.lower},     {"translate", times.translate},
          {"optimize", times.optimize}, {"codegen", times.codegen}, {"pack", times.pack}};
}

static ModelSession *open(const std::string &path, nb::dict given) {
  LanguageModelOptions options = readOptions(given);
  CompileTimes times;
  auto open = [&]() -> Expected<std::unique_ptr<LanguageModel>> {
    nb::gil_scoped_release unlocked;
    Expected<std::unique_ptr<Archive>> archive = Archive::open(path);
    if (!archive)
      return archive.takeError();
    auto session = compileLanguageModel(std::move(*archive), options, times);
    if (!session)
      return session.takeError();
    return LanguageModel::create(std::move(*session), path);
  };
  std::unique_ptr<LanguageModel> model = unwrap(open());
  return new ModelSession{std::move(model), listTimes(times)};
}

static nb::dict compileModel(const std::string &path, const std::string &output,
                             const std::string &origin, nb::dict given) {
  LanguageModelOptions options = readOptions(given);
  CompileTimes times;
  auto compile = [&]() -> Error {
    nb::gil_scoped_release unlocked;
    Expected<std::unique_ptr<Archive>> opened = Archive::open(path);
    if (!opened)
      return opened.takeError();
    std::shared_ptr<const Archive> archive = std::move(*opened);
    auto session = compileLanguageModel(archive, options, times);
    if (!session)
      return session.takeError();
    return Artifact::write(output, **session, archive->metadata(), origin);
  };
  raise(compile());
  nb::dict seconds;
  for (auto [step, time] : listTimes(times))
    seconds[step] = time;
  return seconds;
}

void python::bindCompiler(nb::module_ &module) {
  bindSession(module).def(nb::new_(&open), nb::arg("archive_path"),
                          nb::arg("options") = nb::dict());
  module.def("compile_model", &compileModel, nb::arg("path"), nb::arg("output"), nb::arg("origin"),
             nb::arg("options"),
             "Compiles the model of an archive into an artifact; seconds of each step.");
}
