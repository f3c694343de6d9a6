//===- LlamaModel.cpp - Sizes and tensors of a llama-like model -----------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LlamaModel.h"

#include "lowbit/Archive/Archive.h"
#include "lowbit/IR/LowbitAttrs.h"
#include "lowbit/Import/Llama.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/JSON.h"

#include <cmath>

using namespace llvm;
using namespace mlir;

namespace lowbit {

namespace {

/// Positions enter the rotary angles as f32, which holds integers up to here.
constexpr uint64_t maxContext = uint64_t(1) << 24;

class Reader {
public:
  Reader(const Archive &archive, MLIRContext *context)
      : archive(archive), metadata(archive.metadata()), context(context) {}

  Expected<LlamaModel> read(const LlamaImportOptions &options);

private:
  Error readSizes(const LlamaImportOptions &options);
  Error readHeads();
  Error readContext(const LlamaImportOptions &options);
  Error readActivations(const std::optional<std::string> &given);
  Error readTensors(const LlamaImportOptions &options);
  Expected<CacheEncodings> readCaches(const std::optional<std::string> &given,
                                      int64_t layers) const;
  Expected<LlamaModel::Rotation> readRotation(StringRef name, int64_t size);
  Error readLayer(int64_t index, const CacheEncodings &caches);
  void numberKind(LlamaLayer &layer);

  Error rejectArchitecture() const;
  Error rejectFeatures() const;
  Error rejectLeftOvers() const;

  /// A count of at least 1; `fallback` where the key is absent, unless that is 0.
  Expected<int64_t> readCount(StringRef key, int64_t fallback = 0) const;
  Expected<float> readPositive(StringRef key, std::optional<float> fallback = {}) const;
  Expected<LlamaParameter> readTensor(StringRef prefix, StringRef role, ArrayRef<int64_t> shape);
  Expected<RankedTensorType> readType(const TensorInfo &tensor) const;

  Error makeError(const Twine &what) const {
    return createStringError(std::make_error_code(std::errc::invalid_argument),
                             Twine(archive.getPath()) + ": " + what);
  }
  Error makeKeyError(StringRef key, const Twine &what) const {
    return makeError("metadata '" + key + "' " + what);
  }

  const Archive &archive;
  const Metadata &metadata;
  MLIRContext *context;
  LlamaModel model;
  llvm::StringSet<> used;                 // tensors
  llvm::StringMap<Attribute> activations; // by the names of weights
};

Expected<int64_t> Reader::readCount(StringRef key, int64_t fallback) const {
  if (fallback && !metadata.contains(key))
    return fallback;
  Expected<uint32_t> count = metadata.getU32(key);
  if (!count)
    return count.takeError();
  if (*count == 0)
    return makeKeyError(key, "is 0: the file is damaged");
  return int64_t(*count);
}

Expected<float> Reader::readPositive(StringRef key, std::optional<float> fallback) const {
  if (fallback && !metadata.contains(key))
    return *fallback;
  Expected<float> number = metadata.getF32(key);
  if (!number)
    return number.takeError();
  if (!std::isfinite(*number) || *number <= 0)
    return makeKeyError(key, "is not a finite positive number: the file is damaged");
  return *number;
}

Error Reader::rejectArchitecture() const {
  Expected<StringRef> architecture = metadata.getString("general.architecture");
  if (!architecture)
    return architecture.takeError();
  if (*architecture == "llama")
    return Error::success();
  return makeKeyError("general.architecture",
                      "is '" + *architecture +
                          "', which is not supported: give a model of the architecture 'llama'");
}

Error Reader::rejectFeatures() const {
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

Error Reader::readSizes(const LlamaImportOptions &options) {
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

Error Reader::readHeads() {
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

Error Reader::readContext(const LlamaImportOptions &options) {
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

Expected<CacheEncodings> Reader::readCaches(const std::optional<std::string> &given,
                                            int64_t layers) const {
  std::string text = given.value_or("f32");
  if (!given && metadata.contains(kCacheMetadataKey)) {
    Expected<StringRef> kept = metadata.getString(kCacheMetadataKey);
    if (!kept)
      return kept.takeError();
    text = kept->str();
  }
  Expected<CacheEncodings> caches = CacheEncodings::parse(text, layers);
  if (!caches)
    return makeError(toString(caches.takeError()));
  return caches;
}

Expected<RankedTensorType> Reader::readType(const TensorInfo &tensor) const {
  Expected<StringRef> text = archive.getEncoding(tensor);
  if (!text)
    return text.takeError();
  auto plain = RankedTensorType::get(tensor.shape, Float32Type::get(context));
  if (text->empty())
    return plain;
  // What the dialect complains about becomes part of this function's error.
  std::string complaint;
  ScopedDiagnosticHandler handler(context,
                                  [&](Diagnostic &diagnostic) { complaint = diagnostic.str(); });
  RankedTensorType type;
  if (EncodingAttrInterface encoding = parseEncoding(*text, context)) {
    auto encoded = RankedTensorType::get(plain.getShape(), plain.getElementType(), encoding);
    auto emit = [&] { return emitError(UnknownLoc::get(context)); };
    if (succeeded(verifyEncodedType(encoded, emit)))
      type = encoded;
  }
  if (type)
    return type;
  return makeError("tensor '" + tensor.name + "' has the unusable encoding '" + *text +
                   "': " + complaint);
}

Expected<LlamaParameter> Reader::readTensor(StringRef prefix, StringRef role,
                                            ArrayRef<int64_t> shape) {
  std::string key = (prefix + role).str();
  Expected<const TensorInfo *> tensor = archive.find(key);
  if (!tensor)
    return tensor.takeError();
  if (ArrayRef<int64_t>((*tensor)->shape) != shape)
    return makeError("tensor '" + key + "' has shape " + formatShape((*tensor)->shape) +
                     ", but the metadata asks for " + formatShape(shape) + ": the file is damaged");
  Expected<RankedTensorType> type = readType(**tensor);
  if (!type)
    return type.takeError();
  used.insert(key);
  return LlamaParameter{role.str(), key, *type, activations.lookup(key)};
}

Error Reader::readActivations(const std::optional<std::string> &given) {
  std::string text = given.value_or("{}");
  if (!given && metadata.contains(kActivationsMetadataKey)) {
    Expected<StringRef> kept = metadata.getString(kActivationsMetadataKey);
    if (!kept)
      return kept.takeError();
    text = kept->str();
  }
  Expected<json::Value> value = json::parse(text);
  if (!value)
    return makeError("the activations are no JSON: " + toString(value.takeError()));
  if (!value->getAsObject())
    return makeError("the activations are no JSON object of encodings by the names of weights");
  for (const auto &[key, type] : *value->getAsObject()) {
    StringRef name = key;
    if (!archive.lookup(name))
      return makeError("activations are chosen for '" + name + "', but there is no such tensor");
    std::string complaint;
    ScopedDiagnosticHandler handler(
        context, [&](Diagnostic &diagnostic) { complaint = ": " + diagnostic.str(); });
    StringRef encoding = type.getAsString().value_or("");
    if (encoding == "f32")
      activations[name] = StringAttr::get(context, encoding);
    else if (Attribute parsed =
                 parseEncoding(("#lowbit.quantized<" + encoding + ">").str(), context))
      activations[name] = parsed;
    else
      return makeError("the activations of '" + name + "' are '" + encoding +
                       "', which is no encoding" + complaint);
  }
  return Error::success();
}

Error Reader::readLayer(int64_t index, const CacheEncodings &caches) {
  int64_t queries = model.heads * model.headSize;
  int64_t keys = model.kvHeads * model.headSize;
  struct Linear {
    StringRef name;
    int64_t out, in;
  };
  const Linear attention[] = {{"attn_q", queries, model.width},
                              {"attn_k", keys, model.width},
                              {"attn_v", keys, model.width},
                              {"attn_output", model.width, queries}};
  const Linear feedForward[] = {{"ffn_gate", model.hiddenWidth, model.width},
                                {"ffn_up", model.hiddenWidth, model.width},
                                {"ffn_down", model.width, model.hiddenWidth}};

  LlamaLayer layer;
  std::string prefix = ("blk." + Twine(index) + ".").str();
  auto add = [&](const Twine &role, ArrayRef<int64_t> shape) -> Error {
    Expected<LlamaParameter> parameter = readTensor(prefix, role.str(), shape);
    if (!parameter)
      return parameter.takeError();
    layer.parameters.push_back(std::move(*parameter));
    return Error::success();
  };
  auto addPart = [&](StringRef norm, ArrayRef<Linear> linears) -> Error {
    if (Error error = add(norm + ".weight", {model.width}))
      return error;
    for (const Linear &linear : linears) {
      if (Error error = add(linear.name + ".weight", {linear.out, linear.in}))
        return error;
      std::string bias = (linear.name + ".bias").str();
      if (archive.lookup(prefix + bias))
        if (Error error = add(bias, {linear.out}))
          return error;
    }
    return Error::success();
  };
  if (Error error = addPart("attn_norm", attention))
    return error;
  if (Error error = addPart("ffn_norm", feedForward))
    return error;
  auto plain = RankedTensorType::get({model.kvHeads, model.context, model.headSize},
                                     Float32Type::get(context));
  for (auto [letter, cache] : {std::pair("k", &layer.keyCache), {"v", &layer.valueCache}}) {
    Expected<RankedTensorType> type = caches.find(letter, index, plain);
    if (!type)
      return makeError(toString(type.takeError()));
    *cache = *type;
  }
  numberKind(layer);
  model.layers.push_back(std::move(layer));
  return Error::success();
}

void Reader::numberKind(LlamaLayer &layer) {
  unsigned kinds = 0;
  for (const LlamaLayer &other : model.layers) {
    if (layer.keyCache == other.keyCache && layer.valueCache == other.valueCache &&
        llvm::equal(layer.parameters, other.parameters,
                    [](const LlamaParameter &a, const LlamaParameter &b) {
                      return a.role == b.role && a.type == b.type && a.activations == b.activations;
                    })) {
      layer.kind = other.kind;
      return;
    }
    kinds = std::max(kinds, other.kind + 1);
  }
  layer.kind = kinds;
}

Expected<LlamaModel::Rotation> Reader::readRotation(StringRef name, int64_t size) {
  LlamaModel::Rotation rotation;
  int64_t product = 1;
  for (unsigned i = 0;; ++i) {
    std::string key = (name + "." + Twine(i)).str();
    const TensorInfo *tensor = archive.lookup(key);
    if (!tensor)
      break;
    if (tensor->shape.size() != 2 || tensor->shape[0] != tensor->shape[1] || tensor->shape[0] < 1 ||
        !tensor->supported || !tensor->encoding.empty() || tensor->integers)
      return makeError("tensor '" + key + "' is " + tensor->describeEncoding() + " " +
                       formatShape(tensor->shape) + ": a rotation is square, of f32");
    Expected<std::vector<Component>> components = archive.getComponents(*tensor);
    if (!components)
      return components.takeError();
    auto type = RankedTensorType::get(tensor->shape, Float32Type::get(context));
    ArrayRef<uint8_t> bytes = components->front().data;
    rotation.factors.push_back(DenseElementsAttr::getFromRawBuffer(
        type, ArrayRef(reinterpret_cast<const char *>(bytes.data()), bytes.size())));
    product *= tensor->shape[0];
    used.insert(key);
  }
  if (!rotation.factors.empty() && product != size)
    return makeError("the tensors '" + name + ".0', ... rotate " + Twine(product) +
                     " numbers, but there are " + Twine(size) + ": the file is damaged");
  return rotation;
}

Error Reader::readTensors(const LlamaImportOptions &options) {
  Expected<const TensorInfo *> table = archive.find("token_embd.weight");
  if (!table)
    return table.takeError();
  // How many tokens there are is told by the table: not every converter writes `llama.vocab_size`.
  model.vocabulary = (*table)->shape.empty() ? 0 : (*table)->shape.front();
  if (model.vocabulary == 0)
    return makeError("tensor 'token_embd.weight' has no rows: the file is damaged");
  SmallVector<int64_t> tableShape = {model.vocabulary, model.width};
  Expected<LlamaParameter> embedding = readTensor("", "token_embd.weight", tableShape);
  if (!embedding)
    return embedding.takeError();
  model.embedding = std::move(*embedding);

  Expected<int64_t> count = readCount("llama.block_count");
  if (!count)
    return count.takeError();
  Expected<CacheEncodings> caches = readCaches(options.kvCache, *count);
  if (!caches)
    return caches.takeError();
  for (int64_t i = 0; i < *count; ++i)
    if (Error error = readLayer(i, *caches))
      return error;

  Expected<LlamaModel::Rotation> down = readRotation("rotation.ffn_down", model.hiddenWidth);
  if (!down)
    return down.takeError();
  model.downRotation = std::move(*down);
  Expected<LlamaModel::Rotation> head = readRotation("rotation.attn_qk", model.headSize);
  if (!head)
    return head.takeError();
  model.headRotation = std::move(*head);

  Expected<LlamaParameter> finalNorm = readTensor("", "output_norm.weight", {model.width});
  if (!finalNorm)
    return finalNorm.takeError();
  model.finalNorm = std::move(*finalNorm);
  if (!archive.lookup("output.weight")) {
    model.head = model.embedding;
    return Error::success();
  }
  Expected<LlamaParameter> output = readTensor("", "output.weight", tableShape);
  if (!output)
    return output.takeError();
  model.head = std::move(*output);
  return Error::success();
}

/// The weight that a scale of its inputs lies beside (lowbit-input-scales), or the tensor itself.
static StringRef withoutInput(StringRef name) {
  auto [weight, input] = name.rsplit(".input_");
  return input.empty() ? name : weight;
}

Error Reader::rejectLeftOvers() const {
  for (const TensorInfo &tensor : archive.tensors())
    if (!used.contains(withoutInput(tensor.name)))
      return makeError(
          "tensor '" + tensor.name +
          "' has no place in a 'llama' model: the model is of another kind, and would compute "
          "something else without it");
  return Error::success();
}

Expected<LlamaModel> Reader::read(const LlamaImportOptions &options) {
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

} // namespace

Expected<LlamaModel> LlamaModel::read(const Archive &archive, const LlamaImportOptions &options,
                                      MLIRContext *context) {
  return Reader(archive, context).read(options);
}

} // namespace lowbit
