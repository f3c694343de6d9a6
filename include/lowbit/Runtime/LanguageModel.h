//===- LanguageModel.h - A compiled language model --------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_RUNTIME_LANGUAGEMODEL_H
#define LOWBIT_RUNTIME_LANGUAGEMODEL_H

#include "lowbit/Runtime/Session.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace lowbit {

/// A compiled model with its key-value cache, which starts empty. Calls must not overlap.
class LanguageModel {
public:
  /// `session` has the entries of an imported model (lowbit/Import/Llama.h) and its parameters;
  /// `name` stands for it in errors.
  static llvm::Expected<std::unique_ptr<LanguageModel>> create(std::unique_ptr<Session> session,
                                                               llvm::StringRef name);

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

  std::unique_ptr<Session> session;
  std::string name;
  std::vector<Array> caches; // in the order of the entries' arguments
  int64_t contextLength = 0, vocabulary = 0, position = 0;
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_LANGUAGEMODEL_H
