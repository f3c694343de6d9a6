//===- ArchiveWriter.cpp - Writer of encoded tensors ---------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/Archive.h"

#include "LowbitFormat.h"

#include "lowbit/Archive/GGUFWriter.h"
#include "lowbit/Archive/Safetensors.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace lowbit {

static bool isGGUF(StringRef path) {
  return sys::path::extension(path).equals_insensitive(".gguf");
}

static Error makeTensorError(StringRef path, const ArchiveWriter::TensorDeclaration &tensor,
                             const Twine &what) {
  return createStringError(std::make_error_code(std::errc::invalid_argument),
                           path + ": cannot write: tensor '" + json::fixUTF8(tensor.name) + "' " +
                               what);
}

static Error checkOneComponent(StringRef path, const ArchiveWriter::TensorDeclaration &tensor,
                               StringRef name, DType dtype, ArrayRef<int64_t> shape) {
  const ArchiveWriter::ComponentDeclaration &given = tensor.components.front();
  if (tensor.components.size() == 1 && given.name == name && given.dtype == dtype &&
      ArrayRef(given.shape) == shape)
    return Error::success();
  return makeTensorError(path, tensor,
                         "is to be stored as one component '" + name + "', " + formatShape(shape) +
                             " of " + getDTypeName(dtype));
}

//===----------------------------------------------------------------------===//
// GGUF
//===----------------------------------------------------------------------===//

static Error makeNoTypeError(StringRef path, const ArchiveWriter::TensorDeclaration &tensor) {
  std::string advice;
  if (const GGMLType *type = lookupGGMLTypeOfTerm(tensor.encoding, tensor.shape.size())) {
    advice = "add `layout = ggml<" + type->name.lower() + ">` to it";
  } else {
    SmallVector<std::string> layouts;
    for (const GGMLType &known : getGGMLTypes())
      if (known.hasEncoding() && !known.isPlain())
        layouts.push_back("ggml<" + known.name.lower() + ">");
    advice = "give it f32, f16, bf16 or a layout of ggml (" + join(layouts, ", ") + ")";
  }
  return makeTensorError(path, tensor,
                         "has the encoding '" + tensor.encoding + "', which GGUF cannot hold: " +
                             advice + ", or write a .safetensors file");
}

static Error checkGGUFTensor(StringRef path, const ArchiveWriter::TensorDeclaration &tensor) {
  const GGMLType *type = lookupGGMLTypeOf(tensor.encoding);
  if (!type)
    return makeNoTypeError(path, tensor);
  if (Error error = GGUFWriter::check(path, {tensor.name, tensor.shape, type}))
    return error;
  GGMLStorage storage = getStorageOf(*type, tensor.shape);
  // The two texts of plain f32 name its array differently.
  if (tensor.components.front().name == "codes" && type->isPlain())
    storage.component = "codes";
  return checkOneComponent(path, tensor, storage.component, storage.dtype, storage.shape);
}

/// The type that most of the elements have.
static const GGMLType *findMainType(ArrayRef<GGUFWriter::Declaration> tensors) {
  const GGMLType *main = nullptr;
  int64_t mainElements = -1;
  for (const GGMLType &type : getGGMLTypes()) {
    int64_t elements = 0;
    for (const GGUFWriter::Declaration &tensor : tensors)
      if (tensor.type == &type)
        elements += *countElements(tensor.shape);
    if (elements > mainElements) {
      main = &type;
      mainElements = elements;
    }
  }
  return main;
}

static MetadataValue makeU32(uint32_t number) {
  uint8_t bytes[4];
  support::endian::write32le(bytes, number);
  return MetadataValue::makeScalar(MetadataType::U32, bytes);
}

/// The model's key-values with those that describe the tensors brought up to date.
static std::vector<Metadata::Entry> describeTensors(const Metadata &model,
                                                    ArrayRef<GGUFWriter::Declaration> tensors) {
  std::vector<Metadata::Entry> entries = model.getEntries().vec();
  auto set = [&](StringRef key, uint32_t number) {
    auto found = find_if(entries, [&](const Metadata::Entry &entry) { return entry.first == key; });
    if (found == entries.end())
      entries.emplace_back(key, makeU32(number));
    else
      found->second = makeU32(number);
  };
  const GGMLType *type = findMainType(tensors);
  std::optional<MetadataValue> stated = model.lookup("general.file_type");
  std::optional<uint64_t> number = stated ? stated->asU64() : std::nullopt;
  // Several numbers may say "mostly of this type": a right one stays.
  if (type->firstFileType <= type->lastFileType &&
      !(number && *number >= uint64_t(type->firstFileType) &&
        *number <= uint64_t(type->lastFileType)))
    set("general.file_type", type->firstFileType);
  // The version of ggml's block structs, needed where there are any.
  if (any_of(tensors, [](const auto &tensor) { return !tensor.type->isPlain(); }))
    set("general.quantization_version", 2);
  return entries;
}

static Expected<std::unique_ptr<StagedFile>>
createGGUF(StringRef path, ArrayRef<ArchiveWriter::TensorDeclaration> tensors,
           const Metadata &model) {
  std::vector<GGUFWriter::Declaration> declarations;
  for (const ArchiveWriter::TensorDeclaration &tensor : tensors)
    declarations.push_back({tensor.name, tensor.shape, lookupGGMLTypeOf(tensor.encoding)});
  return GGUFWriter::create(path, describeTensors(model, declarations), declarations);
}

//===----------------------------------------------------------------------===//
// Lowbit's safetensors
//===----------------------------------------------------------------------===//

static std::string formatDirectory(ArrayRef<ArchiveWriter::TensorDeclaration> tensors) {
  std::string text;
  raw_string_ostream stream(text);
  json::OStream os(stream);
  os.object([&] {
    for (const ArchiveWriter::TensorDeclaration &tensor : tensors)
      os.attributeObject(tensor.name, [&] {
        os.attributeArray("shape", [&] {
          for (int64_t extent : tensor.shape)
            os.value(extent);
        });
        os.attribute("encoding", tensor.encoding);
        os.attributeArray("components", [&] {
          for (const ArchiveWriter::ComponentDeclaration &component : tensor.components)
            os.value(component.name);
        });
      });
  });
  return text;
}

static Expected<std::unique_ptr<StagedFile>>
createLowbit(StringRef path, ArrayRef<ArchiveWriter::TensorDeclaration> tensors,
             const Metadata &model) {
  std::vector<SafetensorsWriter::Declaration> arrays;
  for (const ArchiveWriter::TensorDeclaration &tensor : tensors)
    for (const ArchiveWriter::ComponentDeclaration &component : tensor.components)
      arrays.push_back({getStoredName(tensor.name, tensor.encoding, component.name),
                        component.dtype, component.shape});
  std::vector<SafetensorsWriter::MetadataEntry> metadata;
  metadata.emplace_back(versionKey.str(), formatVersion.str());
  metadata.emplace_back(tensorsKey.str(), formatDirectory(tensors));
  if (!model.empty())
    metadata.emplace_back(modelKey.str(), model.toJSONText());
  return SafetensorsWriter::create(path, arrays, metadata);
}

//===----------------------------------------------------------------------===//
// ArchiveWriter
//===----------------------------------------------------------------------===//

Error ArchiveWriter::check(StringRef path, const TensorDeclaration &tensor) {
  if (!json::isUTF8(tensor.name) || !json::isUTF8(tensor.encoding))
    return makeTensorError(path, tensor, "has a name or encoding that is not UTF-8");
  if (!countElements(tensor.shape))
    return makeTensorError(path, tensor, "has the impossible shape " + formatShape(tensor.shape));
  if (tensor.components.empty())
    return makeTensorError(path, tensor, "has no components");
  for (const ComponentDeclaration &component : tensor.components)
    if (component.name.empty())
      return makeTensorError(path, tensor, "has a component without a name");
  if (isGGUF(path))
    return checkGGUFTensor(path, tensor);
  if (const PlainEncoding *plain = lookupPlainEncoding(tensor.encoding)) {
    DType stored = tensor.components.front().dtype;
    return checkOneComponent(path, tensor, plain->component,
                             acceptsDType(*plain, stored) ? stored : plain->dtype, tensor.shape);
  }
  return Error::success();
}

Expected<std::unique_ptr<ArchiveWriter>>
ArchiveWriter::create(StringRef path, ArrayRef<TensorDeclaration> tensors, const Metadata &model) {
  StringSet<> names;
  for (const TensorDeclaration &tensor : tensors) {
    if (Error error = check(path, tensor))
      return std::move(error);
    if (!names.insert(tensor.name).second)
      return createStringError(std::make_error_code(std::errc::invalid_argument),
                               path + ": cannot write: two tensors are named '" + tensor.name +
                                   "'");
  }
  Expected<std::unique_ptr<StagedFile>> file =
      isGGUF(path) ? createGGUF(path, tensors, model) : createLowbit(path, tensors, model);
  if (!file)
    return file.takeError();
  return std::unique_ptr<ArchiveWriter>(new ArchiveWriter(std::move(*file)));
}

ArchiveWriter::ArchiveWriter(std::unique_ptr<StagedFile> file) : file(std::move(file)) {}
ArchiveWriter::~ArchiveWriter() = default;

Error ArchiveWriter::append(ArrayRef<uint8_t> bytes) { return file->append(bytes); }
Error ArchiveWriter::commit() { return file->commit(); }

} // namespace lowbit
