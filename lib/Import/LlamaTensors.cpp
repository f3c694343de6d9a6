//===- LlamaTensors.cpp - Tensors of a llama-like model -------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Archive/JSONText.h"
#include "LlamaReader.h"
#include "lowbit/IR/LowbitAttrs.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "llvm/ADT/STLExtras.h"

using namespace llvm;
using namespace mlir;

namespace lowbit {

Expected<CacheEncodings> LlamaReader::readCaches(const std::optional<std::string> &given,
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

Expected<RankedTensorType> LlamaReader::readType(const TensorInfo &tensor) const {
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

Expected<LlamaParameter> LlamaReader::readTensor(StringRef prefix, StringRef role,
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

Error LlamaReader::readActivations(const std::optional<std::string> &given) {
  std::string text = given.value_or("{}");
  if (!given && metadata.contains(kActivationsMetadataKey)) {
    Expected<StringRef> kept = metadata.getString(kActivationsMetadataKey);
    if (!kept)
      return kept.takeError();
    text = kept->str();
  }
  JSONText json;
  if (std::optional<JSONProblem> problem = parseJSON(text, json))
    return makeError("the activations are no JSON: " + problem->what);
  if (!json.value.getAsObject())
    return makeError("the activations are no JSON object of encodings by the names of weights");
  for (const auto &[key, type] : *json.value.getAsObject()) {
    StringRef name = key;
    const TensorInfo *tensor = archive.lookup(name);
    if (!tensor || tensor->shape.size() != 2)
      return makeError("activations are chosen for '" + name + "', " +
                       (tensor ? "which no product multiplies with"
                               : "but there is no such tensor"));
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

Error LlamaReader::readLayer(int64_t index, const CacheEncodings &caches) {
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

void LlamaReader::numberKind(LlamaLayer &layer) {
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

Expected<LlamaModel::Rotation> LlamaReader::readRotation(StringRef name, int64_t size) {
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

Error LlamaReader::readTensors(const LlamaImportOptions &options) {
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

/// Whether a tensor is a scale or a zero point of a weight's inputs (lowbit-input-scales).
bool LlamaReader::belongsToInput(StringRef name) const {
  auto [weight, component] = name.rsplit(".input_");
  bool isComponent = component.starts_with("scale") || component.starts_with("zero") ||
                     component.starts_with("min");
  return isComponent && used.contains(weight) && archive.lookup(weight)->shape.size() == 2;
}

Error LlamaReader::rejectLeftOvers() const {
  for (const TensorInfo &tensor : archive.tensors())
    if (!used.contains(tensor.name) && !belongsToInput(tensor.name))
      return makeError(
          "tensor '" + tensor.name +
          "' has no place in a 'llama' model: the model is of another kind, and would compute "
          "something else without it");
  return Error::success();
}

} // namespace lowbit
