//===- ArchiveWriter.cpp - Writer of Lowbit archives ---------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/Archive.h"

#include "LowbitFormat.h"

#include "lowbit/Archive/Safetensors.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace lowbit {

static Error checkTensor(StringRef path, const ArchiveWriter::TensorDeclaration &tensor) {
  auto fail = [&](const Twine &what) {
    return createStringError(std::make_error_code(std::errc::invalid_argument),
                             path + ": cannot write: tensor '" + tensor.name + "' " + what);
  };
  if (!json::isUTF8(tensor.name) || !json::isUTF8(tensor.encoding))
    return fail("has a name or encoding that is not UTF-8");
  if (!countElements(tensor.shape))
    return fail("has the impossible shape " + formatShape(tensor.shape));
  if (tensor.components.empty())
    return fail("has no components");
  if (const PlainEncoding *plain = lookupPlainEncoding(tensor.encoding)) {
    const ArchiveWriter::ComponentDeclaration &values = tensor.components.front();
    if (tensor.components.size() != 1 || values.name != plain->component ||
        !acceptsDType(*plain, values.dtype) || values.shape != tensor.shape)
      return fail("is to be stored as one component '" + plain->component + "', " +
                  formatShape(tensor.shape) + " of " + getDTypeName(plain->dtype));
  }
  for (const ArchiveWriter::ComponentDeclaration &component : tensor.components)
    if (component.name.empty())
      return fail("has a component without a name");
  return Error::success();
}

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

Expected<std::unique_ptr<ArchiveWriter>> ArchiveWriter::create(StringRef path,
                                                               ArrayRef<TensorDeclaration> tensors,
                                                               const json::Value &model) {
  std::vector<SafetensorsWriter::Declaration> arrays;
  StringSet<> names;
  for (const TensorDeclaration &tensor : tensors) {
    if (Error error = checkTensor(path, tensor))
      return std::move(error);
    if (!names.insert(tensor.name).second)
      return createStringError(std::make_error_code(std::errc::invalid_argument),
                               path + ": cannot write: two tensors are named '" + tensor.name +
                                   "'");
    for (const ComponentDeclaration &component : tensor.components)
      arrays.push_back({getStoredName(tensor.name, tensor.encoding, component.name),
                        component.dtype, component.shape});
  }

  std::vector<SafetensorsWriter::MetadataEntry> metadata;
  metadata.emplace_back(versionKey.str(), formatVersion.str());
  metadata.emplace_back(tensorsKey.str(), formatDirectory(tensors));
  Expected<Metadata> parsed = Metadata::fromJSON(model, path);
  if (!parsed)
    return createStringError(std::make_error_code(std::errc::invalid_argument),
                             path + ": cannot write: " + toString(parsed.takeError()));
  if (!parsed->empty()) {
    std::string text;
    raw_string_ostream(text) << parsed->toJSON();
    metadata.emplace_back(modelKey.str(), std::move(text));
  }
  Expected<std::unique_ptr<SafetensorsWriter>> writer =
      SafetensorsWriter::create(path, arrays, metadata);
  if (!writer)
    return writer.takeError();
  return std::unique_ptr<ArchiveWriter>(new ArchiveWriter(std::move(*writer)));
}

ArchiveWriter::ArchiveWriter(std::unique_ptr<SafetensorsWriter> writer)
    : writer(std::move(writer)) {}
ArchiveWriter::~ArchiveWriter() = default;

Error ArchiveWriter::append(ArrayRef<uint8_t> bytes) { return writer->append(bytes); }
Error ArchiveWriter::commit() { return writer->commit(); }

} // namespace lowbit
