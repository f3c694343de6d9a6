//===- GGUFWriter.cpp - Writer of GGUF files -----------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/GGUFWriter.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/MathExtras.h"

using namespace llvm;

namespace lowbit {

static constexpr uint32_t version = 3;
static constexpr uint32_t defaultAlignment = 32;
// ggml's GGML_MAX_DIMS, and GGML_MAX_NAME without the final zero.
static constexpr size_t maxDimensions = 4;
static constexpr size_t maxNameSize = 63;
// The specification's limit.
static constexpr size_t maxKeySize = 65535;

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

/// Nothing on overflow. The shape's last extent is a multiple of the block size.
static std::optional<uint64_t> countTensorBytes(const GGUFWriter::Declaration &tensor) {
  GGMLStorage storage = getStorageOf(*tensor.type, tensor.shape);
  return countBytes(storage.dtype, storage.shape);
}

Error GGUFWriter::check(StringRef path, const Declaration &tensor) {
  auto fail = [&](const Twine &what) {
    return makeWriteError(path, "tensor '" + json::fixUTF8(tensor.name) + "' " + what);
  };
  if (tensor.name.empty() || !json::isUTF8(tensor.name))
    return fail("has no name that GGUF could hold: it takes UTF-8 of at least one byte");
  if (tensor.name.size() > maxNameSize)
    return fail("has a name of " + Twine(tensor.name.size()) + " bytes, but GGUF takes " +
                Twine(maxNameSize) + ": write a .safetensors file");
  if (tensor.shape.empty() || tensor.shape.size() > maxDimensions || is_contained(tensor.shape, 0))
    return fail("has the shape " + formatShape(tensor.shape) + ", but GGUF takes 1 to " +
                Twine(maxDimensions) + " dimensions, none of them 0: write a .safetensors file");
  if (!countElements(tensor.shape))
    return fail("has the impossible shape " + formatShape(tensor.shape));
  if (tensor.shape.back() % tensor.type->blockSize != 0)
    return fail("has rows of " + Twine(tensor.shape.back()) + " elements, not a multiple of " +
                tensor.type->name + "'s block of " + Twine(tensor.type->blockSize));
  if (!countTensorBytes(tensor))
    return fail("has the impossible shape " + formatShape(tensor.shape) + " of " +
                tensor.type->name);
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Header
//===----------------------------------------------------------------------===//

namespace {

/// Little-endian fields, one after the other.
class HeaderBuilder {
public:
  void number(uint64_t value, unsigned size) {
    for (unsigned i = 0; i != size; ++i)
      text.push_back(static_cast<char>(value >> (8 * i)));
  }
  void u32(uint64_t value) { number(value, 4); }
  void u64(uint64_t value) { number(value, 8); }
  void type(MetadataType type) { u32(static_cast<uint32_t>(type)); }
  void string(StringRef value) {
    u64(value.size());
    text += value;
  }
  void array(const MetadataArray &values) {
    type(values.getElementType());
    u64(values.size());
    if (getMetadataTypeSize(values.getElementType()) != 0) {
      text += toStringRef(values.getScalars());
      return;
    }
    for (size_t i = 0, e = values.size(); i != e; ++i)
      payload(values[i]);
  }
  /// The value without its type.
  void payload(const MetadataValue &value) {
    if (std::optional<StringRef> characters = value.asString())
      return string(*characters);
    if (std::optional<MetadataArray> elements = value.asArray())
      return array(*elements);
    number(value.getBits(), getMetadataTypeSize(value.getType()));
  }

  std::string text;
};

} // namespace

Expected<std::unique_ptr<GGUFWriter>> GGUFWriter::create(StringRef path,
                                                         ArrayRef<Metadata::Entry> metadata,
                                                         ArrayRef<Declaration> tensors) {
  HeaderBuilder header;
  header.text = "GGUF";
  header.u32(version);
  header.u64(tensors.size());
  header.u64(metadata.size());

  uint64_t alignment = defaultAlignment;
  StringSet<> keys, names;
  for (const auto &[key, value] : metadata) {
    if (key.empty() || key.size() > maxKeySize || !json::isUTF8(key))
      return makeWriteError(path, "'" + json::fixUTF8(key.take_front(80)) +
                                      "' cannot be a key: it takes UTF-8 of 1 to " +
                                      Twine(maxKeySize) + " bytes");
    if (!keys.insert(key).second)
      return makeWriteError(path, "two key-values are named '" + key + "'");
    if (key == "general.alignment") {
      alignment = value.asU64().value_or(0);
      if (value.getType() != MetadataType::U32 || !isPowerOf2_64(alignment))
        return makeWriteError(path, "'general.alignment' is not a power of two as u32");
    }
    header.string(key);
    header.type(value.getType());
    header.payload(value);
  }

  std::vector<Slot> slots;
  uint64_t end = 0;
  for (const Declaration &tensor : tensors) {
    if (Error error = check(path, tensor))
      return std::move(error);
    if (!names.insert(tensor.name).second)
      return makeWriteError(path, "two tensors are named '" + tensor.name + "'");
    header.string(tensor.name);
    header.u32(tensor.shape.size());
    for (int64_t extent : reverse(tensor.shape)) // ggml has the fastest first
      header.u64(extent);
    header.u32(tensor.type->id);
    header.u64(end);
    uint64_t size = *countTensorBytes(tensor);
    slots.push_back({tensor.name, end, size});
    // The alignment has 32 bits, and so an end below 2^62 cannot overflow in alignTo.
    if (end + size >= uint64_t(1) << 62)
      return makeWriteError(path, "tensor '" + tensor.name +
                                      "' makes the file longer than any file can be");
    end = alignTo(end + size, alignment);
  }

  uint64_t dataStart = alignTo(header.text.size(), alignment);
  for (Slot &slot : slots)
    slot.offset += dataStart;
  std::unique_ptr<GGUFWriter> writer(new GGUFWriter(path, std::move(slots)));
  if (Error error = writer->open(arrayRefFromStringRef(header.text), dataStart + end))
    return std::move(error);
  return writer;
}

} // namespace lowbit
