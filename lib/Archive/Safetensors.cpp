//===- Safetensors.cpp - Reader of safetensors files ---------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/Safetensors.h"

#include "JSONText.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Endian.h"

using namespace llvm;

namespace lowbit {

static constexpr uint64_t headerStart = 8;
static constexpr StringLiteral metadataKey = "__metadata__";

Error SafetensorsFile::parse() {
  if (file->size() < headerStart)
    return file->makeError(0,
                           "the file ends inside the header length: it is cut short, download it "
                           "again");
  uint64_t headerSize = support::endian::read64le(file->getBytes().data());
  uint64_t available = file->size() - headerStart;
  if (headerSize > maxSafetensorsHeader)
    return file->makeError(0, "the header length is " + Twine(headerSize) + ", more than the " +
                                  Twine(maxSafetensorsHeader) +
                                  " that safetensors allows: give a .safetensors file");
  if (headerSize > available)
    return file->makeError(0, "the header length is " + Twine(headerSize) + ", but only " +
                                  Twine(available) +
                                  " bytes follow: the file is cut short, download it again");
  StringRef text(reinterpret_cast<const char *>(file->getBytes().data()) + headerStart, headerSize);
  if (!text.starts_with("{"))
    return file->makeError(headerStart, "the header does not begin with '{': give a .safetensors "
                                        "file");
  JSONText header;
  if (std::optional<JSONProblem> problem = parseJSON(text, header))
    return file->makeError(headerStart + problem->offset,
                           problem->what + " in the header: write the file again");

  const json::Object &object = *header.value.getAsObject();
  uint64_t dataStart = headerStart + headerSize;
  for (const JSONMember &member : header.members) {
    const json::Value &value = *object.get(member.key);
    uint64_t offset = headerStart + member.offset;
    if (member.key == metadataKey) {
      metadataOffset = offset;
      if (Error error = parseMetadata(value))
        return error;
    } else if (Error error = parseTensor(member.key, value, dataStart, offset)) {
      return error;
    }
  }
  return checkCoverage(dataStart);
}

Error SafetensorsFile::parseMetadata(const json::Value &value) {
  const json::Object *object = value.getAsObject();
  if (!object)
    return file->makeError(metadataOffset, "__metadata__ is not an object: write the file again");
  for (const auto &[key, element] : *object) {
    std::optional<StringRef> text = element.getAsString();
    if (!text)
      return file->makeError(metadataOffset, "__metadata__ '" + Twine(StringRef(key)) +
                                                 "' is not a string: write the file again");
    metadata[key] = text->str();
  }
  return Error::success();
}

static std::optional<SmallVector<int64_t, 4>> toIntegers(const json::Value *value) {
  const json::Array *array = value ? value->getAsArray() : nullptr;
  if (!array)
    return std::nullopt;
  SmallVector<int64_t, 4> numbers;
  for (const json::Value &element : *array) {
    std::optional<int64_t> number = element.getAsInteger();
    if (!number || *number < 0)
      return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

Error SafetensorsFile::parseTensor(StringRef name, const json::Value &value, uint64_t dataStart,
                                   uint64_t headerOffset) {
  auto fail = [&](const Twine &what) {
    return file->makeError(headerOffset, "tensor '" + name + "' " + what);
  };
  if (name.empty())
    return file->makeError(headerOffset, "a tensor has an empty name: write the file again");
  const json::Object *object = value.getAsObject();
  if (!object)
    return fail("is not described by an object: write the file again");

  SafetensorsTensor tensor;
  tensor.name = name.str();
  tensor.headerOffset = headerOffset;
  std::optional<StringRef> dtypeName = object->getString("dtype");
  if (!dtypeName)
    return fail("has no dtype: write the file again");
  std::optional<DType> dtype = parseDType(*dtypeName);
  if (!dtype)
    return fail("has the unknown dtype '" + *dtypeName +
                "': the file is damaged or newer than this reader");
  tensor.dtype = *dtype;
  std::optional<SmallVector<int64_t, 4>> shape = toIntegers(object->get("shape"));
  if (!shape)
    return fail("has no shape of integers from 0 on: write the file again");
  tensor.shape = std::move(*shape);
  std::optional<uint64_t> size = countBytes(*dtype, tensor.shape);
  if (!size)
    return fail("has the impossible shape " + formatShape(tensor.shape) + " of " + *dtypeName +
                ": its size overflows or is no whole number of bytes");

  std::optional<SmallVector<int64_t, 4>> range = toIntegers(object->get("data_offsets"));
  if (!range || range->size() != 2)
    return fail("has no data_offsets [BEGIN, END]: write the file again");
  uint64_t begin = (*range)[0], end = (*range)[1], available = file->size() - dataStart;
  if (end > available)
    return fail("ends at data byte " + Twine(end) + ", but the data has " + Twine(available) +
                " bytes: the file is cut short, download it again");
  if (begin > end || end - begin != *size)
    return fail("has data_offsets [" + Twine(begin) + ", " + Twine(end) + "], but " +
                formatShape(tensor.shape) + " of " + *dtypeName + " takes " + Twine(*size) +
                " bytes: write the file again");
  tensor.data = file->getBytes().slice(dataStart + begin, *size);
  tensors.push_back(std::move(tensor));
  return Error::success();
}

Error SafetensorsFile::checkCoverage(uint64_t dataStart) {
  // Empty tensors may share their place with another's beginning.
  sort(tensors, [](const SafetensorsTensor &a, const SafetensorsTensor &b) {
    return std::make_tuple(a.data.begin(), a.data.size(), a.headerOffset) <
           std::make_tuple(b.data.begin(), b.data.size(), b.headerOffset);
  });
  const uint8_t *covered = file->getBytes().begin() + dataStart;
  for (auto [i, tensor] : enumerate(tensors)) {
    if (tensor.data.begin() != covered) {
      bool overlaps = tensor.data.begin() < covered;
      return file->makeError(
          tensor.headerOffset,
          "tensor '" + Twine(tensor.name) +
              (overlaps ? "' overlaps the one before it" : "' leaves a gap in the data before it") +
              ", which safetensors forbids: write the file again");
    }
    covered = tensor.data.end();
    index[tensor.name] = i;
  }
  if (covered != file->getBytes().end())
    return file->makeError(covered - file->getBytes().begin(),
                           "the last " + Twine(uint64_t(file->getBytes().end() - covered)) +
                               " bytes belong to no tensor: write the file again");
  return Error::success();
}

const SafetensorsTensor *SafetensorsFile::lookup(StringRef name) const {
  auto found = index.find(name);
  return found == index.end() ? nullptr : &tensors[found->second];
}

Expected<std::unique_ptr<SafetensorsFile>> SafetensorsFile::open(std::unique_ptr<MappedFile> file) {
  std::unique_ptr<SafetensorsFile> result(new SafetensorsFile(std::move(file)));
  if (Error error = result->parse())
    return std::move(error);
  return result;
}

Expected<std::unique_ptr<SafetensorsFile>> SafetensorsFile::open(StringRef path) {
  Expected<std::unique_ptr<MappedFile>> file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  return open(std::move(*file));
}

} // namespace lowbit
