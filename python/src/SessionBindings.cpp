//===- SessionBindings.cpp - Session --------------------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bindings.h"

#include "lowbit/Runtime/LanguageModel.h"

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
      options.program.jit.threads = nb::cast<unsigned>(value);
    } else if (name == "optimization_level") {
      options.program.jit.optLevel = nb::cast<unsigned>(value);
    } else if (name == "dump_object") {
      options.program.jit.dumpObjectPath = nb::cast<std::string>(value);
    } else {
      throw Failure("there is no option '" + name +
                    "': known are activations, context_length, prefix_bits, pipeline, "
                    "threads, optimization_level and dump_object");
    }
  }
  return options;
}

static LanguageModel *open(const std::string &path, nb::dict given) {
  LanguageModelOptions options = readOptions(given);
  auto model = [&] {
    nb::gil_scoped_release unlocked;
    return LanguageModel::open(path, options);
  }();
  return unwrap(std::move(model)).release();
}

using Tokens = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

static nb::object prefill(LanguageModel &model, const Tokens &tokens, int64_t rows) {
  if (rows < 0 || rows > int64_t(tokens.size()))
    throw Failure("logits of the last " + std::to_string(rows) + " of " +
                  std::to_string(tokens.size()) + " tokens do not exist");
  Array logits = unwrap(Array::allocate(DType::F32, {rows, model.getVocabulary()}));
  Error error = [&] {
    nb::gil_scoped_release unlocked;
    return model.prefill(ArrayRef(tokens.data(), tokens.size()), rows,
                         logits.values<float>().data(), checkInterrupt);
  }();
  raise(std::move(error));
  return toNumpy(std::move(logits));
}

static nb::object decode(LanguageModel &model, int64_t token) {
  Array logits = unwrap(Array::allocate(DType::F32, model.getVocabulary()));
  Error error = [&] {
    nb::gil_scoped_release unlocked;
    return model.decode(token, logits.values<float>().data());
  }();
  raise(std::move(error));
  return toNumpy(std::move(logits));
}

static nb::dict getCompileTimes(const LanguageModel &model) {
  const CompileTimes &times = model.getCompileTimes();
  nb::dict seconds;
  seconds["import"] = times.import;
  seconds["lower"] = times.lower;
  seconds["translate"] = times.translate;
  seconds["optimize"] = times.optimize;
  seconds["codegen"] = times.codegen;
  return seconds;
}

void python::bindSession(nb::module_ &module) {
  nb::class_<LanguageModel>(module, "Session",
                            "A compiled model with its key-value cache, which starts empty.")
      .def(nb::new_(&open), nb::arg("archive_path"), nb::arg("options") = nb::dict())
      .def_prop_ro("compile_seconds",
                   [](const LanguageModel &model) { return model.getCompileTimes().total(); })
      .def_prop_ro("compile_times", &getCompileTimes, "Seconds of each step.")
      .def_prop_ro("context_length", &LanguageModel::getContextLength)
      .def_prop_ro("vocabulary", &LanguageModel::getVocabulary)
      .def_prop_ro("position", &LanguageModel::getPosition)
      .def("prefill", &prefill, nb::arg("tokens"), nb::arg("rows"))
      .def("decode", &decode, nb::arg("token"))
      .def("reset", &LanguageModel::reset);
}
