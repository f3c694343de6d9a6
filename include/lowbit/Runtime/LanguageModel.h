//===- LanguageModel.h - A compiled language model --------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_RUNTIME_LANGUAGEMODEL_H
#define LOWBIT_RUNTIME_LANGUAGEMODEL_H

#include "lowbit/Runtime/Program.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#include <optional>

namespace lowbit {

struct LanguageModelOptions {
  /// Positions that the key-value cache has room for; the model's own if absent.
  std::optional<uint64_t> contextLength;
  ProgramOptions program;
};

/// A model of an archive, compiled for this machine, with its key-value cache. Calls must not
/// overlap.
class LanguageModel {
public:
  /// Imports, compiles, and points the program at the weights in the mapped file.
  static llvm::Expected<std::unique_ptr<LanguageModel>> open(llvm::StringRef path,
                                                             const LanguageModelOptions &options);

  const CompileTimes &getCompileTimes() const { return compileTimes; }
  int64_t getContextLength() const { return contextLength; }
  int64_t getVocabulary() const { return vocabulary; }
  /// How many positions the cache holds.
  int64_t getPosition() const { return position; }

  /// Appends `tokens` and writes the logits after the last `rows` of them, row-major [rows,
  /// vocabulary]. `checkpoint` is called now and then; its error stops the work and is returned.
  /// After an error the cache holds what it held before. Fails without tokens, if `rows` exceeds
  /// them, for a token outside of the vocabulary, and if the cache has no room.
  llvm::Error prefill(llvm::ArrayRef<int64_t> tokens, int64_t rows, float *logits,
                      llvm::function_ref<llvm::Error()> checkpoint = nullptr);
  /// Appends one token and writes the logits after it, [vocabulary].
  llvm::Error decode(int64_t token, float *logits);
  /// Forgets all positions.
  void reset() { position = 0; }

private:
  LanguageModel() = default;
  llvm::Error allocateCaches();
  llvm::Error checkTokens(llvm::ArrayRef<int64_t> tokens) const;
  llvm::Error call(llvm::StringRef entry, llvm::ArrayRef<int64_t> tokens, int64_t at, int64_t rows,
                   float *logits);

  std::unique_ptr<Program> program;
  std::string path;
  std::vector<Array> caches; // in the order of the entries' arguments
  int64_t contextLength = 0, vocabulary = 0, position = 0;
  CompileTimes compileTimes;
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_LANGUAGEMODEL_H
