//===- GGUF.cpp - Reader of GGUF files -----------------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/GGUF.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/CheckedArithmetic.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>

using namespace llvm;

namespace lowbit {

/// Reads a file front to back. Functions that can fail return true after recording the first
/// failure, as LLVM's parsers do.
class GGUFParser {
public:
  GGUFParser(GGUFFile &result) : result(result), bytes(result.file->getBytes()) {}

  Error run() {
    if (parseHeader() || parseKeyValues() || parseTensorInfos() || placeTensors())
      return result.file->makeError(failureOffset, failure);
    return Error::success();
  }

private:
  bool fail(uint64_t offset, const Twine &what) {
    failureOffset = offset;
    failure = what.str();
    return true;
  }
  uint64_t remaining() const { return bytes.size() - position; }

  bool need(uint64_t size, const Twine &what);
  bool read32(uint32_t &value, const Twine &what);
  bool read64(uint64_t &value, const Twine &what);
  bool readCount(uint64_t &count, unsigned elementSize, const Twine &what);
  bool readString(StringRef &text, const Twine &what);

  bool parseHeader();
  bool parseKeyValues();
  bool parseValue(StringRef key, MetadataValue &value);
  bool readType(StringRef key, MetadataType &type);
  bool parseArray(StringRef key, unsigned depth, MetadataArray &array);
  bool checkBools(StringRef key, ArrayRef<uint8_t> values, uint64_t offset);
  bool applyAlignment(const MetadataValue &value, uint64_t offset);
  bool parseTensorInfos();
  bool parseTensorInfo(GGUFTensor &tensor);
  bool parseShape(GGUFTensor &tensor);
  bool placeTensors();
  bool placeTensor(GGUFTensor &tensor, uint64_t infoOffset, uint64_t dataStart);

  // ggml's GGML_MAX_DIMS.
  static constexpr uint32_t maxDimensions = 4;
  static constexpr unsigned maxArrayDepth = 4;
  // The least a key-value (key of one byte, type, value of one byte) and a tensor info (name of one
  // byte, one dimension) take.
  static constexpr unsigned minKeyValueSize = 8 + 1 + 4 + 1;
  static constexpr unsigned minTensorInfoSize = 8 + 1 + 4 + 8 + 4 + 8;

  GGUFFile &result;
  ArrayRef<uint8_t> bytes;
  uint64_t position = 0;
  uint64_t tensorCount = 0;
  uint64_t keyValueCount = 0;
  std::vector<uint64_t> infoOffsets;
  uint64_t failureOffset = 0;
  std::string failure;
};

//===----------------------------------------------------------------------===//
// Pieces
//===----------------------------------------------------------------------===//

bool GGUFParser::need(uint64_t size, const Twine &what) {
  if (remaining() >= size)
    return false;
  return fail(position, "the file ends inside " + what + ": it is cut short, download it again");
}

bool GGUFParser::read32(uint32_t &value, const Twine &what) {
  if (need(4, what))
    return true;
  value = support::endian::read32le(bytes.data() + position);
  position += 4;
  return false;
}

bool GGUFParser::read64(uint64_t &value, const Twine &what) {
  if (need(8, what))
    return true;
  value = support::endian::read64le(bytes.data() + position);
  position += 8;
  return false;
}

bool GGUFParser::readCount(uint64_t &count, unsigned elementSize, const Twine &what) {
  uint64_t offset = position;
  if (read64(count, what))
    return true;
  if (count > remaining() / elementSize)
    return fail(offset, what + " is " + Twine(count) + ", more than the " + Twine(remaining()) +
                            " bytes left can hold: the file is damaged, download it again");
  return false;
}

bool GGUFParser::readString(StringRef &text, const Twine &what) {
  uint64_t size = 0;
  if (readCount(size, 1, "the length of " + what))
    return true;
  text = StringRef(reinterpret_cast<const char *>(bytes.data()) + position, size);
  size_t badByte = 0;
  if (!json::isUTF8(text, &badByte))
    return fail(position + badByte,
                what + " is not valid UTF-8: the file is damaged or was not written as GGUF asks");
  position += size;
  return false;
}

//===----------------------------------------------------------------------===//
// Header and key-values
//===----------------------------------------------------------------------===//

bool GGUFParser::parseHeader() {
  if (need(4, "the magic number"))
    return true;
  if (StringRef(reinterpret_cast<const char *>(bytes.data()), 4) != "GGUF")
    return fail(0, "not a GGUF file (the magic number is not \"GGUF\"): give a .gguf file");
  position = 4;
  if (read32(result.version, "the version"))
    return true;
  if ((result.version & 0xFFFF) == 0 && result.version != 0)
    return fail(4, "a big-endian file: convert it with `gguf-convert-endian FILE little`");
  if (result.version != 2 && result.version != 3)
    return fail(4, "GGUF version " + Twine(result.version) +
                       " is not supported: convert the model to version 3");
  uint64_t countOffset = position;
  if (readCount(tensorCount, minTensorInfoSize, "the number of tensors") ||
      readCount(keyValueCount, minKeyValueSize, "the number of key-values"))
    return true;
  // Again, with the second count: both share what is left.
  if (tensorCount * minTensorInfoSize + keyValueCount * minKeyValueSize > remaining())
    return fail(countOffset, Twine(tensorCount) + " tensors and " + Twine(keyValueCount) +
                                 " key-values do not fit the " + Twine(remaining()) +
                                 " bytes left: the file is damaged, download it again");
  return false;
}

bool GGUFParser::parseKeyValues() {
  for (uint64_t i = 0; i != keyValueCount; ++i) {
    uint64_t keyOffset = position;
    StringRef key;
    if (readString(key, "key " + Twine(i)))
      return true;
    if (key.empty())
      return fail(keyOffset, "key " + Twine(i) + " is empty: the file is damaged");
    uint64_t valueOffset = position;
    MetadataValue value;
    if (parseValue(key, value))
      return true;
    if (!result.metadata.insert(key, value))
      return fail(keyOffset, "key '" + key + "' occurs twice: remove one and write the file again");
    if (key == "general.alignment" && applyAlignment(value, valueOffset))
      return true;
  }
  return false;
}

bool GGUFParser::readType(StringRef key, MetadataType &type) {
  uint64_t offset = position;
  uint32_t number = 0;
  if (read32(number, "the type of '" + key + "'"))
    return true;
  if (number > static_cast<uint32_t>(MetadataType::F64))
    return fail(offset, "value type " + Twine(number) + " of '" + key +
                            "' is unknown: the file is damaged or newer than this reader");
  type = static_cast<MetadataType>(number);
  return false;
}

bool GGUFParser::parseValue(StringRef key, MetadataValue &value) {
  MetadataType type;
  if (readType(key, type))
    return true;
  if (type == MetadataType::String) {
    StringRef text;
    if (readString(text, "the string of '" + key + "'"))
      return true;
    value = MetadataValue::makeString(text);
    return false;
  }
  if (type == MetadataType::Array) {
    MetadataArray array;
    if (parseArray(key, 1, array))
      return true;
    value = MetadataValue::makeArray(array);
    return false;
  }
  unsigned size = getMetadataTypeSize(type);
  if (need(size, "the value of '" + key + "'"))
    return true;
  if (type == MetadataType::Bool && checkBools(key, bytes.slice(position, 1), position))
    return true;
  value = MetadataValue::makeScalar(type, bytes.data() + position);
  position += size;
  return false;
}

bool GGUFParser::checkBools(StringRef key, ArrayRef<uint8_t> values, uint64_t offset) {
  const auto *bad = find_if(values, [](uint8_t value) { return value > 1; });
  if (bad == values.end())
    return false;
  return fail(offset + (bad - values.begin()), "a bool of '" + key + "' is " +
                                                   Twine(unsigned(*bad)) +
                                                   ", not 0 or 1: the file is damaged");
}

bool GGUFParser::parseArray(StringRef key, unsigned depth, MetadataArray &array) {
  if (depth > maxArrayDepth)
    return fail(position, "the arrays of '" + key + "' are nested more than " +
                              Twine(maxArrayDepth) + " deep: the file is damaged");
  MetadataType elementType;
  if (readType(key, elementType))
    return true;
  // A string takes at least its length; an array its type and length.
  unsigned minSize = getMetadataTypeSize(elementType);
  if (elementType == MetadataType::String)
    minSize = 8;
  else if (elementType == MetadataType::Array)
    minSize = 12;
  uint64_t count = 0;
  if (readCount(count, minSize, "the array length of '" + key + "'"))
    return true;

  if (elementType == MetadataType::String) {
    std::vector<StringRef> strings;
    for (uint64_t i = 0; i != count; ++i)
      if (readString(strings.emplace_back(), "string " + Twine(i) + " of '" + key + "'"))
        return true;
    array = result.metadata.internStrings(strings);
    return false;
  }
  if (elementType == MetadataType::Array) {
    std::vector<MetadataArray> arrays;
    for (uint64_t i = 0; i != count; ++i)
      if (parseArray(key, depth + 1, arrays.emplace_back()))
        return true;
    array = result.metadata.internArrays(arrays);
    return false;
  }
  ArrayRef<uint8_t> scalars = bytes.slice(position, count * minSize);
  if (elementType == MetadataType::Bool && checkBools(key, scalars, position))
    return true;
  position += scalars.size();
  array = Metadata::makeScalars(elementType, scalars);
  return false;
}

bool GGUFParser::applyAlignment(const MetadataValue &value, uint64_t offset) {
  if (value.getType() != MetadataType::U32)
    return fail(offset,
                "general.alignment is " + value.describeType() + ", not u32: write the file again");
  uint64_t alignment = *value.asU64();
  if (!isPowerOf2_64(alignment))
    return fail(offset, "general.alignment is " + Twine(alignment) +
                            ", not a power of two: write the file again");
  result.alignment = static_cast<uint32_t>(alignment);
  return false;
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

bool GGUFParser::parseTensorInfos() {
  StringSet<> names;
  for (uint64_t i = 0; i != tensorCount; ++i) {
    uint64_t infoOffset = position;
    GGUFTensor tensor;
    if (readString(tensor.name, "the name of tensor " + Twine(i)))
      return true;
    if (tensor.name.empty())
      return fail(infoOffset, "the name of tensor " + Twine(i) + " is empty: the file is damaged");
    if (!names.insert(tensor.name).second)
      return fail(infoOffset,
                  "tensor '" + tensor.name + "' occurs twice: remove one and write the file again");
    if (parseTensorInfo(tensor))
      return true;
    infoOffsets.push_back(infoOffset);
    result.tensors.push_back(std::move(tensor));
  }
  return false;
}

bool GGUFParser::parseTensorInfo(GGUFTensor &tensor) {
  if (parseShape(tensor))
    return true;
  uint64_t typeOffset = position;
  uint32_t typeId = 0;
  if (read32(typeId, "the type of tensor '" + tensor.name + "'") ||
      read64(tensor.offset, "the offset of tensor '" + tensor.name + "'"))
    return true;
  tensor.type = lookupGGMLType(typeId);
  if (!tensor.type)
    return fail(typeOffset, "tensor '" + tensor.name + "' has the unknown type " + Twine(typeId) +
                                ": the file is damaged or newer than this reader");
  if (tensor.shape.back() % tensor.type->blockSize != 0)
    return fail(typeOffset, "tensor '" + tensor.name + "' has rows of " +
                                Twine(tensor.shape.back()) + " elements, not a multiple of " +
                                tensor.type->name + "'s block of " + Twine(tensor.type->blockSize) +
                                ": quantize it to another type");
  return false;
}

bool GGUFParser::parseShape(GGUFTensor &tensor) {
  uint64_t offset = position;
  uint32_t rank = 0;
  if (read32(rank, "the shape of tensor '" + tensor.name + "'"))
    return true;
  if (rank == 0 || rank > maxDimensions)
    return fail(offset, "tensor '" + tensor.name + "' has " + Twine(rank) +
                            " dimensions, not 1 to " + Twine(maxDimensions) +
                            ": the file is damaged");
  uint64_t elements = 1;
  for (uint32_t i = 0; i != rank; ++i) {
    uint64_t extentOffset = position;
    uint64_t extent = 0;
    if (read64(extent, "the shape of tensor '" + tensor.name + "'"))
      return true;
    std::optional<uint64_t> product = checkedMulUnsigned(elements, extent);
    if (extent == 0)
      return fail(extentOffset, "tensor '" + tensor.name +
                                    "' has a dimension of 0: it is empty, "
                                    "remove it");
    // 2^60 elements of 8 bytes are the most whose bytes are an int64_t.
    if (!product || *product >= uint64_t(1) << 60)
      return fail(extentOffset,
                  "the shape of tensor '" + tensor.name + "' overflows: the file is damaged");
    elements = *product;
    tensor.shape.push_back(static_cast<int64_t>(extent));
  }
  std::reverse(tensor.shape.begin(), tensor.shape.end());
  return false;
}

bool GGUFParser::placeTensor(GGUFTensor &tensor, uint64_t infoOffset, uint64_t dataStart) {
  if (tensor.offset % result.alignment != 0)
    return fail(infoOffset, "tensor '" + tensor.name + "' lies at data offset " +
                                Twine(tensor.offset) + ", not a multiple of the alignment " +
                                Twine(result.alignment) + ": the file is damaged");
  uint64_t elements = 1;
  for (int64_t extent : tensor.shape)
    elements *= static_cast<uint64_t>(extent);
  uint64_t size = elements / tensor.type->blockSize * tensor.type->blockBytes;
  uint64_t available = bytes.size() - std::min<uint64_t>(dataStart, bytes.size());
  if (tensor.offset > available || size > available - tensor.offset)
    return fail(infoOffset, "tensor '" + tensor.name + "' needs " + Twine(size) +
                                " bytes at data offset " + Twine(tensor.offset) +
                                ", but the data has " + Twine(available) +
                                ": the file is cut short, download it again");
  tensor.offset += dataStart;
  tensor.data = bytes.slice(tensor.offset, size);
  return false;
}

bool GGUFParser::placeTensors() {
  uint64_t dataStart = alignTo(position, result.alignment);
  SmallVector<size_t> order;
  for (auto [index, tensor] : enumerate(result.tensors)) {
    if (placeTensor(tensor, infoOffsets[index], dataStart))
      return true;
    order.push_back(index);
  }
  sort(order, [&](size_t a, size_t b) {
    return std::make_pair(result.tensors[a].offset, a) <
           std::make_pair(result.tensors[b].offset, b);
  });
  for (size_t i = 1; i < order.size(); ++i) {
    const GGUFTensor &before = result.tensors[order[i - 1]], &tensor = result.tensors[order[i]];
    if (before.offset + before.data.size() > tensor.offset)
      return fail(infoOffsets[order[i]], "tensor '" + tensor.name + "' overlaps tensor '" +
                                             before.name + "': the file is damaged");
  }
  return false;
}

//===----------------------------------------------------------------------===//
// GGUFFile
//===----------------------------------------------------------------------===//

GGUFFile::GGUFFile(std::unique_ptr<MappedFile> file)
    : file(std::move(file)), metadata(this->file->getPath()) {}

Expected<std::unique_ptr<GGUFFile>> GGUFFile::open(std::unique_ptr<MappedFile> file) {
  std::unique_ptr<GGUFFile> result(new GGUFFile(std::move(file)));
  if (Error error = GGUFParser(*result).run())
    return std::move(error);
  return result;
}

Expected<std::unique_ptr<GGUFFile>> GGUFFile::open(StringRef path) {
  Expected<std::unique_ptr<MappedFile>> file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  return open(std::move(*file));
}

} // namespace lowbit
