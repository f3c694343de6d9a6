//===- SessionBindings.h - Session ------------------------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_PYTHON_SESSIONBINDINGS_H
#define LOWBIT_PYTHON_SESSIONBINDINGS_H

#include "Bindings.h"

#include "lowbit/Runtime/LanguageModel.h"

#include <mutex>

namespace lowbit::python {

/// A language model as Python has it, compiled here or elsewhere.
struct ModelSession {
  std::unique_ptr<LanguageModel> model;
  /// Seconds of each step, where it was compiled here.
  std::vector<std::pair<const char *, double>> compileTimes;
  /// Calls run without the interpreter's lock, one at a time.
  std::unique_ptr<std::mutex> mutex = std::make_unique<std::mutex>();
};

/// Everything but how it is made, which differs between the compiler and the runtime.
nb::class_<ModelSession> bindSession(nb::module_ &module);

} // namespace lowbit::python

#endif // LOWBIT_PYTHON_SESSIONBINDINGS_H
