//===- SessionBindings.cpp - Session --------------------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SessionBindings.h"

#include <nanobind/stl/string.h>

using namespace llvm;
using namespace lowbit;
using namespace lowbit::python;

using Tokens = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

static nb::object prefill(ModelSession &session, const Tokens &tokens, int64_t rows) {
  if (rows < 0 || rows > int64_t(tokens.size()))
    throw Failure("logits of the last " + std::to_string(rows) + " of " +
                  std::to_string(tokens.size()) + " tokens do not exist");
  Array logits = unwrap(Array::allocate(DType::F32, {rows, session.model->getVocabulary()}));
  Error error = [&] {
    nb::gil_scoped_release unlocked;
    std::lock_guard<std::mutex> lock(*session.mutex);
    return session.model->prefill(ArrayRef(tokens.data(), tokens.size()), rows,
                                  logits.values<float>().data(), checkInterrupt);
  }();
  raise(std::move(error));
  return toNumpy(std::move(logits));
}

static nb::object decode(ModelSession &session, int64_t token) {
  Array logits = unwrap(Array::allocate(DType::F32, session.model->getVocabulary()));
  Error error = [&] {
    nb::gil_scoped_release unlocked;
    std::lock_guard<std::mutex> lock(*session.mutex);
    return session.model->decode(token, logits.values<float>().data());
  }();
  raise(std::move(error));
  return toNumpy(std::move(logits));
}

nb::class_<ModelSession> python::bindSession(nb::module_ &module) {
  return nb::class_<ModelSession>(module, "Session",
                                  "A compiled model with its key-value cache, which starts empty.")
      .def_prop_ro("compile_seconds",
                   [](const ModelSession &session) {
                     double total = 0;
                     for (const auto &[step, seconds] : session.compileTimes)
                       total += seconds;
                     return total;
                   })
      .def_prop_ro("compile_times",
                   [](const ModelSession &session) {
                     nb::dict seconds;
                     for (const auto &[step, time] : session.compileTimes)
                       seconds[step] = time;
                     return seconds;
                   })
      .def_prop_ro("context_length",
                   [](const ModelSession &session) { return session.model->getContextLength(); })
      .def_prop_ro("vocabulary",
                   [](const ModelSession &session) { return session.model->getVocabulary(); })
      .def_prop_ro("position",
                   [](const ModelSession &session) { return session.model->getPosition(); })
      .def("prefill", &prefill, nb::arg("tokens"), nb::arg("rows"))
      .def("decode", &decode, nb::arg("token"))
      .def("reset", [](ModelSession &session) {
        nb::gil_scoped_release unlocked;
        std::lock_guard<std::mutex> lock(*session.mutex);
        session.model->reset();
      });
}
