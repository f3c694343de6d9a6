//===- LlamaModel.cpp - Sizes of a llama-like model -----------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LlamaReader.h"

#include <cmath>

using namespace llvm;
using namespace mlir;

namespace lowbit {

/// Positions enter the rotary angles as f32, which holds integers up to here.
constexpr uint64_t maxContext = uint64_t(1) << 24;

Expected<int64_t> LlamaReader::readCount(StringRef key, int64_t fallback) const {
  if (fallback && !metadata.contains(key))
    return fallback;
  Expected<uint32_t> count = metadata.getU32(key);
  if (!count)
    return count.takeError();
  if (*count == 0)
    return makeKeyError(key, "is 0: the file is damaged");
  return int64_t(*count);
}

Expected<float> LlamaReader::readPositive(StringRef key, std::optional<float> fallback) const {
  if (fallback && !metadata.contains(key))
    return *fallback;
  Expected<float> number = metadata.getF32(key);
  if (!number)
    return number.takeError();
  if (!std::isfinite(*number) || *number <= 0)
    return makeKeyError(key, "is not a finite positive number: the file is damaged");
  return *number;
}

Error LlamaReader::rejectArchitecture() const {
  Expected<StringRef> architecture = metadata.getString("general.architecture");
  if (!architecture)
    return architecture.takeError();
  if (*architecture == "llama")
    return Error::success();
  return makeKeyError("general.architecture",
                      "is '" + *architecture +
                          "', which is not supported: give a model of the architecture 'llama'");
}

Error LlamaReader::rejectFeatures() const {
  auto absent = [&](StringRef key, StringRef feature) -> Error {
    return metadata.contains(key)
               ? makeKeyError(key, "asks for " + feature +
                                       ", which is not supported: give a model without it")
               : Error::success();
  };
  // "none" is what a converter may write for a model without scaling.
  if (std::optional<MetadataValue> type = metadata.lookup("llama.rope.scaling.type"))
    if (type->asString() != StringRef("none"))
      return absent("llama.rope.scaling.type", "scaling of the rotary embedding");
  for (StringRef key : {"llama.rope.scale_linear", "llama.rope.scaling.factor"})
    if (std::optional<MetadataValue> factor = metadata.lookup(key))
      if (factor->asF64() != 1.0)
        return absent(key, "scaling of the rotary embedding");
  if (std::optional<MetadataValue> experts = metadata.lookup("llama.expert_count"))
    if (experts->asU64() != 0)
      return absent("llama.expert_count", "a mixture of experts");
  if (Error error = absent("llama.attention.sliding_window", "a sliding window"))
    return error;
  for (StringRef name :
       {"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"})
    if (archive.lookup(name))
      return makeError("tensor '" + name +
                       "' asks for scaling of the rotary embedding, which is not supported: give a "
                       "model without it");
  return Error::success();
}

Error LlamaReader::readSizes(const LlamaImportOptions &options) {
  auto readInto = [](auto &field, auto value) -> Error {
    if (!value)
      return value.takeError();
    field = *value;
    return Error::success();
  };
  if (Error error = readInto(model.width, readCount("llama.embedding_length")))
    return error;
  if (Error error = readInto(model.hiddenWidth, readCount("llama.feed_forward_length")))
    return error;
  if (Error error = readInto(model.heads, readCount("llama.attention.head_count")))
    return error;
  if (Error error =
          readInto(model.kvHeads, readCount("llama.attention.head_count_kv", model.heads)))
    return error;
  if (Error error = readInto(model.epsilon, readPositive("llama.attention.layer_norm_rms_epsilon")))
    return error;
  if (Error error = readInto(model.rotaryBase, readPositive("llama.rope.freq_base", 10000.0f)))
    return error;
  if (Error error = readHeads())
    return error;
  return readContext(options);
}

Error LlamaReader::readHeads() {
  if (model.heads % model.kvHeads)
    return makeKeyError("llama.attention.head_count_kv",
                        "is " + Twine(model.kvHeads) + ", which does not divide the " +
                            Twine(model.heads) + " heads: the file is damaged");
  bool hasKeyLength = metadata.contains("llama.attention.key_length");
  if (!hasKeyLength && model.width % model.heads)
    return makeKeyError("llama.attention.head_count",
                        "is " + Twine(model.heads) +
                            ", which does not divide the embedding length " + Twine(model.width) +
                            ": the file is damaged");
  Expected<int64_t> headSize =
      readCount("llama.attention.key_length", hasKeyLength ? 0 : model.width / model.heads);
  if (!headSize)
    return headSize.takeError();
  model.headSize = *headSize;
  Expected<int64_t> valueSize = readCount("llama.attention.value_length", model.headSize);
  if (!valueSize)
    return valueSize.takeError();
  if (*valueSize != model.headSize)
    return makeKeyError("llama.attention.value_length",
                        "is " + Twine(*valueSize) + ", but keys have length " +
                            Twine(model.headSize) + ": only equal lengths are supported");
  Expected<int64_t> rotarySize = readCount("llama.rope.dimension_count", model.headSize);
  if (!rotarySize)
    return rotarySize.takeError();
  if (*rotarySize % 2 || *rotarySize > model.headSize || model.headSize % 2)
    return makeKeyError("llama.rope.dimension_count",
                        "is " + Twine(*rotarySize) + " for heads of size " + Twine(model.headSize) +
                            ": both must be even, and the first no larger");
  model.rotarySize = *rotarySize;
  return Error::success();
}

Error LlamaReader::readContext(const LlamaImportOptions &options) {
  Expected<int64_t> trained = readCount("llama.context_length");
  if (!trained)
    return trained.takeError();
  uint64_t length = options.contextLength.value_or(*trained);
  if (length == 0 || length > uint64_t(*trained))
    return makeError("a context of " + Twine(length) +
                     " positions was asked for: the model takes 1 to " + Twine(*trained));
  if (length > maxContext)
    return makeKeyError("llama.context_length",
                        "is " + Twine(length) + ": at most " + Twine(maxContext) +
                            " positions are supported, ask for a shorter context");
  model.context = length;
  return Error::success();
}

Expected<LlamaModel> LlamaReader::read(const LlamaImportOptions &options) {
  if (Error error = rejectArchitecture())
    return std::move(error);
  if (Error error = rejectFeatures())
    return std::move(error);
  if (Error error = readSizes(options))
    return std::move(error);
  if (Error error = readActivations(options.activations))
    return std::move(error);
  if (Error error = readTensors(options))
    return std::move(error);
  if (Error error = rejectLeftOvers())
    return std::move(error);
  return std::move(model);
}

Expected<LlamaModel> LlamaModel::read(const Archive &archive, const LlamaImportOptions &options,
                                      MLIRContext *context) {
  return LlamaReader(archive, context).read(options);
}

} // namespace lowbit
