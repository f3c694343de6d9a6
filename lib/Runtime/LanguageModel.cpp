//===- LanguageModel.cpp - A compiled language model ----------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Runtime/LanguageModel.h"

using namespace llvm;
using namespace lowbit;

/// Positions of a prompt that are computed together. More of them take more memory for activations,
/// and beyond this many are hardly faster: each weight is decoded once for all.
static constexpr int64_t chunkLength = 256;

Expected<std::unique_ptr<LanguageModel>> LanguageModel::create(std::unique_ptr<Session> session,
                                                               StringRef name) {
  std::unique_ptr<LanguageModel> model(new LanguageModel);
  model->name = name;
  model->session = std::move(session);
  if (Error error = model->allocateCaches())
    return std::move(error);
  return model;
}

// The entries' arguments: tokens, position, caches, logits (Llama.h).
Error LanguageModel::allocateCaches() {
  const ModuleSignature &signature = session->getSignature();
  Expected<const EntrySignature *> prefill = signature.find("prefill");
  if (!prefill)
    return prefill.takeError();
  Expected<const EntrySignature *> decode = signature.find("decode");
  if (!decode)
    return decode.takeError();
  ArrayRef<ValueType> arguments = (*prefill)->arguments, others = (*decode)->arguments;
  auto isIndex = [](const ValueType &type) { return !type.isMemRef && type.dtype == DType::I64; };
  auto isTokens = [](const ValueType &type) {
    return type.isMemRef && type.dtype == DType::I64 && type.shape.size() == 1;
  };
  auto isLogits = [](const ValueType &type) {
    return type.isMemRef && type.dtype == DType::F32 && type.shape.size() == 2 && type.shape[1] > 0;
  };
  auto isCache = [&](const ValueType &type) {
    return type.isMemRef && type.shape.size() == 3 && type.shape[1] == arguments[2].shape[1] &&
           all_of(type.shape, [](int64_t extent) { return extent > 0; });
  };
  // Calls trust this; a file may say anything.
  for (ArrayRef<ValueType> given : {arguments, others})
    if (given.size() < 4 || given.size() != arguments.size() || !isTokens(given[0]) ||
        !isIndex(given[1]) || !isLogits(given.back()) ||
        given.back().shape[1] != arguments.back().shape[1] ||
        !all_of(given.drop_front(2).drop_back(), isCache))
      return createStringError(name + ": the program is no language model: 'prefill' and 'decode' "
                                      "take tokens, a position, key-value caches and logits");
  for (auto [one, other] :
       zip_equal(arguments.drop_front(2).drop_back(), others.drop_front(2).drop_back()))
    if (one.dtype != other.dtype || one.shape != other.shape)
      return createStringError(name + ": 'prefill' and 'decode' differ in their key-value caches");
  vocabulary = arguments.back().shape[1];
  contextLength = arguments[2].shape[1];
  for (const ValueType &type : arguments.drop_front(2).drop_back()) {
    Expected<Array> cache = Array::allocate(type.dtype, type.shape);
    if (!cache)
      return cache.takeError();
    caches.push_back(std::move(*cache));
  }
  return Error::success();
}

Error LanguageModel::checkTokens(ArrayRef<int64_t> tokens) const {
  if (tokens.empty())
    return createStringError("there are no tokens to read: give at least one");
  int64_t room = contextLength - position;
  if (int64_t(tokens.size()) > room)
    return createStringError(Twine(tokens.size()) + " tokens do not fit the context of " +
                             Twine(contextLength) + " positions, of which " + Twine(position) +
                             " are taken: give fewer tokens, or enlarge it with the option "
                             "'context_length' (at most what the model was trained for)");
  for (int64_t token : tokens)
    if (token < 0 || token >= vocabulary)
      return createStringError("token " + Twine(token) +
                               " is not in the vocabulary: this model's "
                               "tokens are 0 to " +
                               Twine(vocabulary - 1));
  return Error::success();
}

Error LanguageModel::call(StringRef entry, ArrayRef<int64_t> tokens, int64_t at, int64_t rows,
                          float *logits) {
  std::vector<MemRefDescriptor> descriptors;
  descriptors.reserve(caches.size() + 2);
  descriptors.emplace_back(tokens.data(), int64_t(tokens.size()));
  for (const Array &cache : caches)
    descriptors.emplace_back(cache.bytes().data(), cache.getShape());
  descriptors.emplace_back(logits, ArrayRef<int64_t>{rows, vocabulary});
  SmallVector<void *> arguments;
  for (MemRefDescriptor &descriptor : descriptors)
    arguments.push_back(descriptor.get());
  arguments.insert(arguments.begin() + 1, &at);
  return session->invoke(entry, arguments);
}

Error LanguageModel::prefill(ArrayRef<int64_t> tokens, int64_t rows, float *logits,
                             function_ref<Error()> checkpoint) {
  if (Error error = checkTokens(tokens))
    return error;
  int64_t count = tokens.size();
  if (rows < 0 || rows > count)
    return createStringError("logits of the last " + Twine(rows) + " of " + Twine(count) +
                             " tokens do not exist");
  for (int64_t start = 0; start < count; start += chunkLength) {
    ArrayRef<int64_t> chunk = tokens.slice(start, std::min(chunkLength, count - start));
    // Those of this chunk's rows that are among the last `rows`.
    int64_t wanted = std::max<int64_t>(0, start + int64_t(chunk.size()) - (count - rows));
    int64_t chunkRows = std::min<int64_t>(wanted, chunk.size());
    if (Error error = call("prefill", chunk, position + start, chunkRows, logits))
      return error;
    logits += chunkRows * vocabulary;
    if (checkpoint)
      if (Error error = checkpoint())
        return error;
  }
  position += count;
  return Error::success();
}

Error LanguageModel::decode(int64_t token, float *logits) {
  if (Error error = checkTokens(token))
    return error;
  if (Error error = call("decode", token, position, 1, logits))
    return error;
  ++position;
  return Error::success();
}
