//===- CompilerModule.cpp - lowbit._lowbit ------------------------------ ===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Bindings.h"

using namespace lowbit::python;

NB_MODULE(_lowbit, module) {
  module.doc() = "The compiler: archives, encodings and compiled programs; see _lowbit.pyi.";
  nb::exception<Failure>(module, "Error", PyExc_RuntimeError);
  bindDecode(bindArchive(module));
  bindArchiveWriter(module);
  bindEncodings(module);
  bindPrograms(module);
  bindCompiler(module);
  bindCalibration(module);
}
