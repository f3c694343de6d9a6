//===- Archive.cpp - Named, encoded tensors in a file --------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/Archive.h"

#include "Checkpoint.h"
#include "JSONText.h"
#include "LowbitFormat.h"

#include "lowbit/Archive/GGUF.h"
#include "lowbit/Archive/Safetensors.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

#include <map>

using namespace llvm;

namespace lowbit {

//===----------------------------------------------------------------------===//
// Archive
//===----------------------------------------------------------------------===//

std::string TensorInfo::describeEncoding() const {
  if (!supported)
    return storedAs + " (not supported)";
  if (integers)
    return getDTypeName(*integers).lower();
  return encoding.empty() ? "f32" : encoding;
}

Archive::~Archive() = default;

void Archive::addTensor(TensorInfo info) {
  index[info.name] = infos.size();
  infos.push_back(std::move(info));
}

const TensorInfo *Archive::lookup(StringRef name) const {
  auto found = index.find(name);
  return found == index.end() ? nullptr : &infos[found->second];
}

Expected<const TensorInfo *> Archive::find(StringRef name) const {
  if (const TensorInfo *info = lookup(name))
    return info;
  const TensorInfo *nearest = nullptr;
  unsigned nearestDistance = name.size() / 3 + 1;
  for (const TensorInfo &info : infos) {
    unsigned distance = name.edit_distance(info.name, true, nearestDistance);
    if (distance < nearestDistance) {
      nearest = &info;
      nearestDistance = distance;
    }
  }
  return createStringError(std::make_error_code(std::errc::invalid_argument),
                           Twine(path) + ": no tensor is named '" + name + "'" +
                               (nearest ? "; did you mean '" + nearest->name + "'?" : ""));
}

Error Archive::makeUnsupportedError(const TensorInfo &tensor) const {
  if (tensor.isPart)
    return createStringError(std::make_error_code(std::errc::not_supported),
                             Twine(path) + ": tensor '" + tensor.name + "' is stored as " +
                                 tensor.storedAs +
                                 ": give a file that has all arrays of the layer (a checkpoint of "
                                 "several files can be merged into one)");
  SmallVector<StringRef> known;
  for (const GGMLType &type : getGGMLTypes())
    if (type.hasEncoding())
      known.push_back(type.name);
  StringRef last = known.pop_back_val();
  return createStringError(
      std::make_error_code(std::errc::not_supported),
      Twine(path) + ": tensor '" + tensor.name + "' is stored as " + tensor.storedAs +
          ", for which there is no encoding: convert it to " + join(known, ", ") + " or " + last);
}

Expected<StringRef> Archive::getEncoding(const TensorInfo &tensor) const {
  if (!tensor.supported || tensor.integers)
    return makeUnsupportedError(tensor);
  return StringRef(tensor.encoding);
}

Expected<std::vector<Component>> Archive::getComponents(const TensorInfo &tensor) const {
  if (!tensor.supported)
    return makeUnsupportedError(tensor);
  return makeComponents(static_cast<size_t>(&tensor - infos.data()));
}

void Archive::willNeed(const TensorInfo &tensor) const {
  for (ArrayRef<uint8_t> bytes : getMapped(static_cast<size_t>(&tensor - infos.data())))
    getFile().willNeed(bytes);
}

void Archive::release(const TensorInfo &tensor) const {
  for (ArrayRef<uint8_t> bytes : getMapped(static_cast<size_t>(&tensor - infos.data())))
    getFile().release(bytes);
}

static int64_t countElementsOf(ArrayRef<int64_t> shape) { return countElements(shape).value_or(0); }

namespace {

//===----------------------------------------------------------------------===//
// GGUF
//===----------------------------------------------------------------------===//

class GGUFArchive final : public Archive {
public:
  GGUFArchive(std::unique_ptr<GGUFFile> source)
      : Archive(source->getFile().getPath(), "GGUF " + std::to_string(source->getVersion())),
        source(std::move(source)) {
    for (const GGUFTensor &tensor : this->source->getTensors()) {
      std::optional<std::string> encoding = getEncodingOf(*tensor.type, tensor.shape.size());
      addTensor({tensor.name.str(), tensor.shape, encoding.value_or(""), encoding.has_value(),
                 ("ggml " + tensor.type->name).str(), tensor.data.size(),
                 static_cast<uint64_t>(countElementsOf(tensor.shape)), std::nullopt});
    }
  }

  const Metadata &metadata() const override { return source->getMetadata(); }

protected:
  const MappedFile &getFile() const override { return source->getFile(); }

  std::vector<Component> makeComponents(size_t index) const override {
    const GGUFTensor &tensor = source->getTensors()[index];
    GGMLStorage storage = getStorageOf(*tensor.type, tensor.shape);
    return {{storage.component.str(), storage.dtype, storage.shape, tensor.data}};
  }
  std::vector<ArrayRef<uint8_t>> getMapped(size_t index) const override {
    return {source->getTensors()[index].data};
  }

private:
  std::unique_ptr<GGUFFile> source;
};

//===----------------------------------------------------------------------===//
// Safetensors, from elsewhere and ours
//===----------------------------------------------------------------------===//

class SafetensorsArchive final : public Archive {
public:
  /// A file from elsewhere: every array is a tensor, but for those that a quantizer made of one.
  static Expected<std::unique_ptr<Archive>> createPlain(std::unique_ptr<SafetensorsFile> source) {
    std::unique_ptr<SafetensorsArchive> archive(
        new SafetensorsArchive(std::move(source), "safetensors"));
    if (Error error = archive->readQuantized())
      return std::move(error);
    archive->readPlain();
    return archive;
  }

  /// A file with "lowbit.version" in its metadata.
  static Expected<std::unique_ptr<Archive>> createLowbit(std::unique_ptr<SafetensorsFile> source) {
    std::unique_ptr<SafetensorsArchive> archive(
        new SafetensorsArchive(std::move(source), "Lowbit " + formatVersion.str()));
    if (Error error = archive->readDirectory())
      return std::move(error);
    if (Error error = archive->readModel())
      return std::move(error);
    return archive;
  }

  const Metadata &metadata() const override { return model; }

protected:
  const MappedFile &getFile() const override { return source->getFile(); }
  std::vector<Component> makeComponents(size_t index) const override {
    std::vector<Component> components = parts[index];
    if (auto moved = movedBits.find(index); moved != movedBits.end())
      components[1] = moveRows(components[0], components[1], moved->second);
    return components;
  }
  std::vector<ArrayRef<uint8_t>> getMapped(size_t index) const override {
    std::vector<ArrayRef<uint8_t>> mapped;
    for (const Component &component : parts[index])
      if (!component.owner)
        mapped.push_back(component.data);
    return mapped;
  }

private:
  SafetensorsArchive(std::unique_ptr<SafetensorsFile> file, std::string format)
      : Archive(file->getFile().getPath(), std::move(format)), source(std::move(file)),
        model(source->getFile().getPath()) {}

  Error fail(const Twine &what) const {
    return getFile().makeError(source->getMetadataOffset(), what + ": encode the model again");
  }
  Error readQuantized();
  void readPlain();
  Error readDirectory();
  Error readTensor(StringRef name, const json::Value &value);
  Error readComponent(TensorInfo &info, StringRef component);
  Error readModel();

  std::unique_ptr<SafetensorsFile> source;
  std::vector<std::vector<Component>> parts; // of tensors(), one to one
  std::map<size_t, unsigned> movedBits;      // of tensors in act-order: see CheckpointTensor
  StringSet<> claimed;                       // stored arrays that belong to a tensor
  Metadata model;
};

} // namespace

Error SafetensorsArchive::readQuantized() {
  Expected<std::vector<CheckpointTensor>> quantized = readCheckpoint(*source);
  if (!quantized)
    return quantized.takeError();
  for (CheckpointTensor &tensor : *quantized) {
    for (const std::string &array : tensor.arrays)
      if (!claimed.insert(array).second)
        return getFile().makeError(source->lookup(array)->headerOffset,
                                   "'" + Twine(array) +
                                       "' belongs to two tensors: write the checkpoint again");
    if (tensor.movedBits)
      movedBits[parts.size()] = tensor.movedBits;
    addTensor(std::move(tensor.info));
    parts.push_back(std::move(tensor.components));
  }
  return Error::success();
}

void SafetensorsArchive::readPlain() {
  for (const SafetensorsTensor &tensor : source->getTensors()) {
    if (claimed.contains(tensor.name))
      continue;
    const PlainEncoding *plain = lookupPlainEncoding(tensor.dtype);
    TensorInfo info{tensor.name,
                    tensor.shape,
                    plain ? plain->encoding.str() : "",
                    plain || isInteger(tensor.dtype),
                    ("safetensors " + getDTypeName(tensor.dtype)).str(),
                    tensor.data.size(),
                    static_cast<uint64_t>(countElementsOf(tensor.shape)),
                    std::nullopt};
    if (isInteger(tensor.dtype))
      info.integers = tensor.dtype;
    addTensor(std::move(info));
    parts.push_back(
        {{plain ? plain->component.str() : "values", tensor.dtype, tensor.shape, tensor.data}});
  }
}

Error SafetensorsArchive::readDirectory() {
  const StringMap<std::string> &entries = source->getMetadata();
  StringRef version = entries.find(versionKey)->second;
  if (version != formatVersion)
    return getFile().makeError(source->getMetadataOffset(),
                               versionKey + " is '" + version + "', but this reader knows only '" +
                                   formatVersion + "': use a newer Lowbit");
  auto directory = entries.find(tensorsKey);
  if (directory == entries.end())
    return fail("__metadata__ has no '" + tensorsKey + "'");
  JSONText text;
  if (std::optional<JSONProblem> problem = parseJSON(directory->second, text))
    return fail(problem->what + " at byte " + Twine(problem->offset) + " of '" + tensorsKey + "'");
  const json::Object *object = text.value.getAsObject();
  if (!object)
    return fail("'" + tensorsKey + "' is not a JSON object");
  for (const JSONMember &member : text.members)
    if (Error error = readTensor(member.key, *object->get(member.key)))
      return error;
  for (const SafetensorsTensor &stored : source->getTensors())
    if (!claimed.contains(stored.name))
      return getFile().makeError(stored.headerOffset, "'" + Twine(stored.name) +
                                                          "' belongs to no tensor of '" +
                                                          tensorsKey + "': encode the model again");
  return Error::success();
}

Error SafetensorsArchive::readTensor(StringRef name, const json::Value &value) {
  const json::Object *object = value.getAsObject();
  const json::Array *shape = object ? object->getArray("shape") : nullptr;
  const json::Array *components = object ? object->getArray("components") : nullptr;
  std::optional<StringRef> encoding = object ? object->getString("encoding") : std::nullopt;
  if (!shape || !components || !encoding || components->empty())
    return fail("tensor '" + name + "' is not described by a shape, an encoding and components");

  TensorInfo info{name.str(), {}, encoding->str(), true, "lowbit", 0, 0, std::nullopt};
  for (const json::Value &extent : *shape)
    info.shape.push_back(extent.getAsInteger().value_or(-1));
  std::optional<int64_t> elements = countElements(info.shape);
  if (!elements)
    return fail("tensor '" + name + "' has an impossible shape");
  info.elements = static_cast<uint64_t>(*elements);

  parts.emplace_back();
  for (const json::Value &component : *components) {
    std::optional<StringRef> componentName = component.getAsString();
    if (!componentName)
      return fail("tensor '" + name + "' has a component whose name is not a string");
    if (Error error = readComponent(info, *componentName))
      return error;
  }
  if (const PlainEncoding *plain = lookupPlainEncoding(info.encoding)) {
    const Component &values = parts.back().front();
    if (parts.back().size() != 1 || values.name != plain->component ||
        !acceptsDType(*plain, values.dtype) || values.shape != info.shape)
      return fail("tensor '" + name + "' should be stored as one array '" + plain->component +
                  "', " + formatShape(info.shape) + " of " + getDTypeName(plain->dtype));
  }
  DType dtype = parts.back().front().dtype;
  if (info.encoding.empty() && isInteger(dtype)) {
    info.integers = dtype;
    info.storedAs = ("safetensors " + getDTypeName(dtype)).str();
  }
  addTensor(std::move(info));
  return Error::success();
}

Error SafetensorsArchive::readComponent(TensorInfo &info, StringRef component) {
  std::string storedName = getStoredName(info.name, info.encoding, component);
  const SafetensorsTensor *stored = source->lookup(storedName);
  if (!stored)
    return fail("component '" + component + "' of tensor '" + info.name +
                "' is missing: there is "
                "no '" +
                storedName + "'");
  if (!claimed.insert(storedName).second)
    return fail("'" + storedName + "' is used twice");
  parts.back().push_back({component.str(), stored->dtype, stored->shape, stored->data});
  info.bytes += stored->data.size();
  return Error::success();
}

Error SafetensorsArchive::readModel() {
  auto entry = source->getMetadata().find(modelKey);
  if (entry == source->getMetadata().end())
    return Error::success();
  JSONText text;
  if (std::optional<JSONProblem> problem = parseJSON(entry->second, text))
    return fail(problem->what + " at byte " + Twine(problem->offset) + " of '" + modelKey + "'");
  SmallVector<StringRef> order;
  for (const JSONMember &member : text.members)
    order.push_back(member.key);
  Expected<Metadata> parsed = Metadata::fromJSON(text.value, getPath(), order);
  if (!parsed)
    return fail(toString(parsed.takeError()));
  model = std::move(*parsed);
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Opening
//===----------------------------------------------------------------------===//

Expected<std::unique_ptr<Archive>> Archive::open(StringRef path) {
  Expected<std::unique_ptr<MappedFile>> file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  return open(std::move(*file));
}

Expected<std::unique_ptr<Archive>> Archive::open(std::unique_ptr<MappedFile> file) {
  StringRef text = toStringRef(file->getBytes());
  if (text.starts_with("GGUF")) {
    Expected<std::unique_ptr<GGUFFile>> source = GGUFFile::open(std::move(file));
    if (!source)
      return source.takeError();
    return std::make_unique<GGUFArchive>(std::move(*source));
  }
  if (text.size() <= 8 || text[8] != '{')
    return file->makeError(0, "neither a GGUF file (they begin with \"GGUF\") nor a safetensors "
                              "file (they have '{' at byte 8): give one of these");
  Expected<std::unique_ptr<SafetensorsFile>> source = SafetensorsFile::open(std::move(file));
  if (!source)
    return source.takeError();
  const auto &metadata = (*source)->getMetadata();
  if (metadata.contains(artifactKey))
    return (*source)->getFile().makeError(
        (*source)->getMetadataOffset(),
        "this is a compiled model, which holds code and weights as the code wants them: give the "
        "model that it was compiled from");
  if (metadata.contains(versionKey))
    return SafetensorsArchive::createLowbit(std::move(*source));
  return SafetensorsArchive::createPlain(std::move(*source));
}

} // namespace lowbit
