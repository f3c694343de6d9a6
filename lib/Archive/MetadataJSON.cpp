//===- MetadataJSON.cpp - Key-values as JSON and back --------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/Metadata.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <limits>

using namespace llvm;

namespace lowbit {

//===----------------------------------------------------------------------===//
// To JSON
//===----------------------------------------------------------------------===//

// JSON has no infinities and NaNs, and "-0" is read back as the integer 0: these go as bits.
static json::Value floatToJSON(double value, uint64_t bits, unsigned digits) {
  if (std::isfinite(value) && !(value == 0 && std::signbit(value)))
    return value;
  return "0x" + utohexstr(bits, /*LowerCase=*/true, digits);
}

static std::string typeKey(const MetadataValue &value) {
  if (value.getType() != MetadataType::Array)
    return getMetadataTypeName(value.getType()).str();
  return ("[" + getMetadataTypeName(value.asArray()->getElementType()) + "]").str();
}

static json::Object typedToJSON(const MetadataValue &value) {
  return json::Object{{typeKey(value), value.toJSON()}};
}

json::Value MetadataValue::toJSON() const {
  switch (type) {
  case MetadataType::U8:
  case MetadataType::U16:
  case MetadataType::U32:
  case MetadataType::U64:
    return bits;
  case MetadataType::I8:
  case MetadataType::I16:
  case MetadataType::I32:
  case MetadataType::I64:
    return static_cast<int64_t>(bits);
  case MetadataType::F32:
    return floatToJSON(*asF64(), bits, 8);
  case MetadataType::F64:
    return floatToJSON(*asF64(), bits, 16);
  case MetadataType::Bool:
    return bits != 0;
  case MetadataType::String:
    return text;
  case MetadataType::Array: {
    json::Array elements;
    elements.reserve(array.size());
    for (size_t i = 0, e = array.size(); i != e; ++i) {
      MetadataValue element = array[i];
      if (element.type == MetadataType::Array)
        elements.push_back(typedToJSON(element));
      else
        elements.push_back(element.toJSON());
    }
    return elements;
  }
  }
  llvm_unreachable("not a metadata type");
}

json::Value Metadata::toJSON() const {
  json::Object object;
  for (const auto &[key, value] : entries)
    object.try_emplace(key, typedToJSON(value));
  return object;
}

std::string Metadata::toJSONText() const {
  std::string text;
  raw_string_ostream stream(text);
  json::OStream os(stream);
  os.object([&] {
    for (const auto &[key, value] : entries)
      os.attribute(key, typedToJSON(value));
  });
  return text;
}

//===----------------------------------------------------------------------===//
// From JSON
//===----------------------------------------------------------------------===//

namespace {

/// Reads one key's value. Its functions return true after recording what is wrong.
class ValueReader {
public:
  ValueReader(Metadata &metadata) : metadata(metadata) {}

  bool readTyped(const json::Value &json, unsigned depth, MetadataValue &value);
  std::string problem;

private:
  bool fail(const Twine &what) {
    problem = what.str();
    return true;
  }
  bool readScalar(MetadataType type, const json::Value &json, SmallVectorImpl<uint8_t> &bytes);
  bool readArray(MetadataType elementType, const json::Value &json, unsigned depth,
                 MetadataArray &array);

  // As deep as the GGUF reader goes.
  static constexpr unsigned maxDepth = 4;
  Metadata &metadata;
};

} // namespace

static void appendLittleEndian(uint64_t bits, unsigned size, SmallVectorImpl<uint8_t> &bytes) {
  for (unsigned i = 0; i != size; ++i)
    bytes.push_back(static_cast<uint8_t>(bits >> (8 * i)));
}

// A float's bits, from a number or from the string floatToJSON writes.
static std::optional<uint64_t> floatBits(const json::Value &json, bool isSingle) {
  if (std::optional<StringRef> text = json.getAsString()) {
    uint64_t bits = 0;
    if (!text->consume_front("0x") || text->size() != (isSingle ? 8 : 16) ||
        text->getAsInteger(16, bits))
      return std::nullopt;
    return bits;
  }
  std::optional<double> number = json.getAsNumber();
  if (!number)
    return std::nullopt;
  if (!isSingle)
    return bit_cast<uint64_t>(*number);
  if (std::fabs(*number) > std::numeric_limits<float>::max())
    return std::nullopt;
  return bit_cast<uint32_t>(static_cast<float>(*number));
}

// An integer's bits, sign-extended, if it is in the range of `type`.
static std::optional<uint64_t> integerBits(MetadataType type, const json::Value &json) {
  unsigned width = 8 * getMetadataTypeSize(type);
  if (getMetadataTypeName(type).front() == 'u') {
    std::optional<uint64_t> number = json.getAsUINT64();
    if (!number || !isUIntN(width, *number))
      return std::nullopt;
    return number;
  }
  std::optional<int64_t> number = json.getAsInteger();
  if (!number || !isIntN(width, *number))
    return std::nullopt;
  return static_cast<uint64_t>(*number);
}

bool ValueReader::readScalar(MetadataType type, const json::Value &json,
                             SmallVectorImpl<uint8_t> &bytes) {
  std::optional<uint64_t> bits;
  if (type == MetadataType::Bool)
    bits = json.getAsBoolean();
  else if (type == MetadataType::F32 || type == MetadataType::F64)
    bits = floatBits(json, type == MetadataType::F32);
  else
    bits = integerBits(type, json);
  if (!bits)
    return fail("has a value that is not " + getMetadataTypeName(type));
  appendLittleEndian(*bits, getMetadataTypeSize(type), bytes);
  return false;
}

bool ValueReader::readArray(MetadataType elementType, const json::Value &json, unsigned depth,
                            MetadataArray &array) {
  const json::Array *elements = json.getAsArray();
  if (!elements)
    return fail("has a value that is not an array");
  if (elementType == MetadataType::String) {
    SmallVector<StringRef> strings;
    for (const json::Value &element : *elements) {
      std::optional<StringRef> text = element.getAsString();
      if (!text)
        return fail("has an element that is not a string");
      strings.push_back(metadata.internString(*text));
    }
    array = metadata.internStrings(strings);
    return false;
  }
  if (elementType == MetadataType::Array) {
    SmallVector<MetadataArray> arrays;
    for (const json::Value &element : *elements) {
      MetadataValue value;
      if (readTyped(element, depth + 1, value))
        return true;
      if (value.getType() != MetadataType::Array)
        return fail("has an element that is not an array");
      arrays.push_back(*value.asArray());
    }
    array = metadata.internArrays(arrays);
    return false;
  }
  SmallVector<uint8_t> bytes;
  for (const json::Value &element : *elements)
    if (readScalar(elementType, element, bytes))
      return true;
  array = metadata.internScalars(elementType, bytes);
  return false;
}

bool ValueReader::readTyped(const json::Value &json, unsigned depth, MetadataValue &value) {
  const json::Object *object = json.getAsObject();
  if (!object || object->size() != 1)
    return fail("is not an object of one type and its value, like {\"u32\": 1}");
  StringRef name = object->begin()->first;
  const json::Value &content = object->begin()->second;

  StringRef elementName = name;
  bool isArray = elementName.consume_front("[") && elementName.consume_back("]");
  std::optional<MetadataType> type = parseMetadataTypeName(isArray ? elementName : name);
  if (!type || (!isArray && *type == MetadataType::Array))
    return fail("has an unknown type '" + name + "'");
  if (isArray) {
    if (depth == maxDepth)
      return fail("nests arrays more than " + Twine(maxDepth) + " deep");
    MetadataArray array;
    if (readArray(*type, content, depth, array))
      return true;
    value = MetadataValue::makeArray(array);
    return false;
  }
  if (*type == MetadataType::String) {
    std::optional<StringRef> text = content.getAsString();
    if (!text)
      return fail("has a value that is not a string");
    value = MetadataValue::makeString(metadata.internString(*text));
    return false;
  }
  SmallVector<uint8_t> bytes;
  if (readScalar(*type, content, bytes))
    return true;
  value = MetadataValue::makeScalar(*type, bytes.data());
  return false;
}

Expected<Metadata> Metadata::fromJSON(const json::Value &value, StringRef origin,
                                      ArrayRef<StringRef> order) {
  const json::Object *object = value.getAsObject();
  if (!object)
    return createStringError("the model metadata is not a JSON object");
  SmallVector<StringRef> keys(order);
  if (keys.empty()) {
    // The object is a hash table: sort, to give every reader the same order.
    for (const auto &[key, typed] : *object)
      keys.push_back(key);
    sort(keys);
  }

  Metadata metadata(origin);
  for (StringRef key : keys) {
    const json::Value *typed = object->get(key);
    if (!typed)
      return createStringError("the model metadata '" + key + "' is missing");
    ValueReader reader(metadata);
    MetadataValue parsed;
    if (reader.readTyped(*typed, 0, parsed))
      return createStringError("the model metadata '" + key + "' " + reader.problem);
    metadata.insert(metadata.internString(key), parsed);
  }
  return metadata;
}

} // namespace lowbit
