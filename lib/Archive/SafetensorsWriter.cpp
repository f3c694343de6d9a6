//===- SafetensorsWriter.cpp - Writer of safetensors files ---------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/Safetensors.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MathExtras.h"

using namespace llvm;

namespace lowbit {

// More than the 8 bytes the format asks for: the data begins on a cache line.
static constexpr uint64_t dataAlignment = 64;

Error SafetensorsWriter::checkDeclarations(StringRef path, ArrayRef<Declaration> declarations) {
  StringSet<> names;
  uint64_t total = 0;
  for (const Declaration &declaration : declarations) {
    const std::string &name = declaration.name;
    if (name.empty() || name == "__metadata__" || !json::isUTF8(name))
      return makeWriteError(path, "'" + json::fixUTF8(name) + "' cannot be a tensor's name");
    if (!names.insert(name).second)
      return makeWriteError(path, "two tensors are named '" + name + "'");
    std::optional<uint64_t> size = countBytes(declaration.dtype, declaration.shape);
    if (!size || *size > INT64_MAX - total)
      return makeWriteError(path, "tensor '" + name + "' has the impossible shape " +
                                      formatShape(declaration.shape) + " of " +
                                      getDTypeName(declaration.dtype));
    total += *size;
  }
  return Error::success();
}

// The first eight bytes and the padded header. `order` is that of the data, and so are `offsets`.
static std::string formatHeader(ArrayRef<SafetensorsWriter::Declaration> declarations,
                                ArrayRef<size_t> order, ArrayRef<uint64_t> offsets,
                                ArrayRef<SafetensorsWriter::MetadataEntry> metadata) {
  std::string text(8, '\0');
  {
    raw_string_ostream stream(text);
    json::OStream os(stream);
    os.object([&] {
      if (!metadata.empty())
        os.attributeObject("__metadata__", [&] {
          for (const auto &[key, value] : metadata)
            os.attribute(key, value);
        });
      for (auto [i, offset] : zip_equal(order, offsets)) {
        const SafetensorsWriter::Declaration &declaration = declarations[i];
        uint64_t size = *countBytes(declaration.dtype, declaration.shape);
        os.attributeObject(declaration.name, [&, offset = offset] {
          os.attribute("dtype", getDTypeName(declaration.dtype));
          os.attributeArray("shape", [&] {
            for (int64_t extent : declaration.shape)
              os.value(extent);
          });
          os.attributeArray("data_offsets", [&] {
            os.value(offset);
            os.value(offset + size);
          });
        });
      }
    });
  }
  text.resize(alignTo(text.size(), dataAlignment), ' ');
  support::endian::write64le(text.data(), text.size() - 8);
  return text;
}

Expected<std::unique_ptr<SafetensorsWriter>>
SafetensorsWriter::create(StringRef path, ArrayRef<Declaration> declarations,
                          ArrayRef<MetadataEntry> metadata) {
  if (Error error = checkDeclarations(path, declarations))
    return std::move(error);
  StringSet<> keys;
  for (const auto &[key, value] : metadata) {
    if (!json::isUTF8(key) || !json::isUTF8(value))
      return makeWriteError(path, "the metadata '" + json::fixUTF8(key) + "' is not UTF-8");
    if (!keys.insert(key).second)
      return makeWriteError(path, "two metadata entries are named '" + key + "'");
  }

  auto order = llvm::to_vector(seq<size_t>(0, declarations.size()));
  sort(order, [&](size_t a, size_t b) {
    unsigned alignmentA = getAlignment(declarations[a].dtype);
    unsigned alignmentB = getAlignment(declarations[b].dtype);
    return alignmentA != alignmentB ? alignmentA > alignmentB : a < b;
  });
  SmallVector<uint64_t> offsets;
  uint64_t end = 0;
  for (size_t i : order) {
    offsets.push_back(end);
    end += *countBytes(declarations[i].dtype, declarations[i].shape);
  }
  std::string header = formatHeader(declarations, order, offsets, metadata);
  if (header.size() - 8 > maxSafetensorsHeader)
    return makeWriteError(path, "the header has " + Twine(header.size()) +
                                    " bytes, more than the " + Twine(maxSafetensorsHeader) +
                                    " that safetensors allows");
  std::vector<Slot> slots(declarations.size());
  for (auto [i, offset] : zip_equal(order, offsets))
    slots[i] = {declarations[i].name, header.size() + offset,
                *countBytes(declarations[i].dtype, declarations[i].shape)};

  std::unique_ptr<SafetensorsWriter> writer(new SafetensorsWriter(path, std::move(slots)));
  if (Error error = writer->open(arrayRefFromStringRef(header), header.size() + end))
    return std::move(error);
  return writer;
}

} // namespace lowbit
