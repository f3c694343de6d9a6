//===- CompilerBindings.cpp - Session, compile_model, emit_... ------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SessionBindings.h"

#include "lowbit/Archive/Archive.h"
#include "lowbit/Compile/CompileLanguageModel.h"
#include "lowbit/Compile/EmitFiles.h"
#include "lowbit/Runtime/Artifact.h"
#include "lowbit/Runtime/Version.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

using namespace llvm;
using namespace lowbit;
using namespace lowbit::python;

static LanguageModelOptions readOptions(nb::dict given) {
  LanguageModelOptions options;
  for (auto [key, value] : given) {
    auto name = nb::cast<std::string>(key);
    if (name == "activations") {
      options.program.activations = nb::cast<std::string>(value);
      options.sameActivations = true;
    } else if (name == "outlier_threshold") {
      options.program.outlierThreshold = nb::cast<double>(value);
    } else if (name == "context_length") {
      auto length = nb::cast<int64_t>(value);
      if (length < 1)
        throw Failure("context_length is " + std::to_string(length) +
                      ": give the number of positions that the cache is to hold");
      options.contextLength = length;
    } else if (name == "kv_cache") {
      options.kvCache = nb::cast<std::string>(value);
    } else if (name == "prefix_bits") {
      options.program.prefixBits = nb::cast<unsigned>(value);
    } else if (name == "pipeline") {
      options.program.pipeline = nb::cast<std::string>(value);
    } else if (name == "threads") {
      options.program.threads = nb::cast<unsigned>(value);
    } else if (name == "optimization_level") {
      options.program.code.optLevel = nb::cast<unsigned>(value);
    } else if (name == "target_cpu") {
      options.program.code.cpu = nb::cast<std::string>(value);
    } else if (name == "parallel") {
      options.program.parallel = nb::cast<bool>(value);
    } else if (name == "dump_object") {
      options.program.code.dumpObjectPath = nb::cast<std::string>(value);
    } else {
      throw Failure(
          "there is no option '" + name +
          "': known are activations, outlier_threshold, context_length, kv_cache, prefix_bits, "
          "pipeline, threads, optimization_level, target_cpu, parallel and dump_object");
    }
  }
  return options;
}

using Times = std::vector<std::pair<const char *, double>>;

static Times listTimes(const CompileTimes &times) {
  return {{"import", times.import},     {"lower", times.lower},     {"translate", times.translate},
          {"optimize", times.optimize}, {"codegen", times.codegen}, {"pack", times.pack}};
}

static nb::dict toDict(const CompileTimes &times) {
  nb::dict seconds;
  for (auto [step, time] : listTimes(times))
    seconds[step] = time;
  return seconds;
}

/// What becomes of a compiled model.
using UseModel = function_ref<Error(std::unique_ptr<Session>, const Archive &)>;

static CompileTimes compileFile(const Path &path, const LanguageModelOptions &options,
                                UseModel use) {
  CompileTimes times;
  auto compile = [&]() -> Error {
    Expected<std::unique_ptr<Archive>> opened = Archive::open(path.native());
    if (!opened)
      return opened.takeError();
    std::shared_ptr<const Archive> archive = std::move(*opened);
    auto session = compileLanguageModel(archive, options, times);
    if (!session)
      return session.takeError();
    return use(std::move(*session), *archive);
  };
  raise(runCancellable(*options.program.code.cancellation, compile));
  return times;
}

static ModelSession *open(const Path &path, nb::dict given) {
  std::unique_ptr<LanguageModel> model;
  auto use = [&](std::unique_ptr<Session> session, const Archive &) -> Error {
    auto created = LanguageModel::create(std::move(session), path.native());
    if (created)
      model = std::move(*created);
    return created.takeError();
  };
  CompileTimes times = compileFile(path, readOptions(given), use);
  return new ModelSession{std::move(model), listTimes(times)};
}

static nb::dict compileModel(const Path &path, const Path &output, const std::string &origin,
                             nb::dict given) {
  auto write = [&](std::unique_ptr<Session> session, const Archive &archive) {
    return Artifact::write(output.native(), *session, archive.metadata(), origin);
  };
  return toDict(compileFile(path, readOptions(given), write));
}

static nb::dict emitModel(const Path &path, const Path &stem, bool object, bool header,
                          nb::dict given) {
  LanguageModelOptions options = readOptions(given);
  options.program.code.keepObject = true;
  auto write = [&](std::unique_ptr<Session> session, const Archive &) {
    return emitFiles(stem.native(), *session, {object, header});
  };
  return toDict(compileFile(path, options, write));
}

static nb::dict emitProgram(const std::string &text, const Path &name,
                            const std::vector<Path> &parameters, const Path &stem, bool object,
                            bool header, nb::dict given) {
  ProgramOptions options = readOptions(given).program;
  options.code.keepObject = true;
  CompileTimes times;
  auto emit = [&]() -> Error {
    Expected<std::unique_ptr<Program>> program =
        Program::load(text, name.native(), options, toStrings(parameters));
    if (!program)
      return program.takeError();
    times = (*program)->getTimes();
    return emitFiles(stem.native(), (*program)->getSession(), {object, header});
  };
  raise(runCancellable(*options.code.cancellation, emit));
  return toDict(times);
}

/// The record of a processor; what are options of pipelines has their names.
static nb::dict describeTarget(const std::string &name) {
  CpuTarget target = unwrap(CpuTarget::create(name));
  nb::dict record;
  record["cpu"] = target.cpu;
  record["architecture"] = target.architecture;
  record["features"] = target.features;
  ModuleSignature signature;
  signature.architecture = target.architecture;
  signature.features = target.getRequiredFeatures();
  record["runs-here"] = !errorToBool(checkProcessor(signature));
  record["vector-length"] = target.vectorLength;
  record["multiply-add"] = int64_t(target.hasMultiplyAdd);
  record["lanes"] = target.lanes;
  record["matrix-unit"] = target.matrixUnit;
  record["prefetch"] = target.tuning.prefetchDistance;
  record["prefetch-locality"] = target.tuning.prefetchLocality;
  record["register-groups"] = target.tuning.registerGroups;
  record["register-vectors"] = target.tuning.registerVectors;
  record["iteration-groups"] = target.tuning.iterationGroups;
  record["inline-scales"] = int64_t(target.tuning.inlineScales);
  return record;
}

void python::bindCompiler(nb::module_ &module) {
  bindSession(module).def(nb::new_(&open), nb::arg("archive_path"),
                          nb::arg("options") = nb::dict());
  module.def("compile_model", &compileModel, nb::arg("path"), nb::arg("output"), nb::arg("origin"),
             nb::arg("options"),
             "Compiles the model of an archive into an artifact; seconds of each step.");
  module.def("target", &describeTarget, nb::arg("name"),
             "What code for a processor is compiled with, before anything was measured.");
  module.def("emit_model", &emitModel, nb::arg("path"), nb::arg("stem"), nb::arg("object"),
             nb::arg("header"), nb::arg("options"),
             "Compiles the model of an archive for programs in C; seconds of each step.");
  module.def("emit_program", &emitProgram, nb::arg("text"), nb::arg("name"), nb::arg("parameters"),
             nb::arg("stem"), nb::arg("object"), nb::arg("header"), nb::arg("options"),
             "Compiles a module for programs in C; seconds of each step.");
}
