//===- CompileLanguageModel.h - From a model file to code -------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_COMPILE_COMPILELANGUAGEMODEL_H
#define LOWBIT_COMPILE_COMPILELANGUAGEMODEL_H

#include "lowbit/Compile/Program.h"

#include <optional>

namespace lowbit {

struct LanguageModelOptions {
  /// Positions that the key-value cache has room for; the model's own if absent.
  std::optional<uint64_t> contextLength;
  /// What keys and values are stored as; absent: as the archive says, or f32 (Import/Llama.h).
  std::optional<std::string> kvCache;
  /// `program.activations` are those of all weights, whatever the archive says of some.
  bool sameActivations = false;
  ProgramOptions program;
};

/// Imports the model of an archive, compiles it, and points it at the weights: those that are read
/// as they are stored in the mapped file, the others packed.
llvm::Expected<std::unique_ptr<Session>>
compileLanguageModel(std::shared_ptr<const Archive> archive, const LanguageModelOptions &options,
                     CompileTimes &times);

} // namespace lowbit

#endif // LOWBIT_COMPILE_COMPILELANGUAGEMODEL_H
