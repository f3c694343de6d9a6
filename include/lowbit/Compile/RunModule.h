//===- RunModule.h - The work of lowbit-run ---------------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_COMPILE_RUNMODULE_H
#define LOWBIT_COMPILE_RUNMODULE_H

#include "lowbit/Compile/Program.h"

#include <string>
#include <vector>

namespace lowbit {

struct RunModuleOptions {
  std::string module; ///< path of the MLIR file, "-" for standard input
  std::string entry;
  /// Each a .npy file, or `VALUE:TYPE` (parseLiteral). See Program::run for which there are.
  std::vector<std::string> inputs;
  /// .npy files for the results, in order; fewer than there are results writes the first ones.
  std::vector<std::string> outputs;
  std::vector<std::string> parameters; ///< archives
  unsigned time = 0;                   ///< runs to measure
  ProgramOptions program;
};

/// An array of equal elements, from text as "5:index", "0.5:4x8xf32" or "true:i1"; nothing if what
/// follows the last colon is not a type, an error if it is one and VALUE is not of it.
llvm::Expected<std::optional<Array>> parseLiteral(llvm::StringRef text);

/// Compiles and runs a module, writes its results; with `time`, prints one JSON object on standard
/// error. Measured runs come after the one whose results are written, each on the inputs as given.
llvm::Error runModule(const RunModuleOptions &options);

} // namespace lowbit

#endif // LOWBIT_COMPILE_RUNMODULE_H
