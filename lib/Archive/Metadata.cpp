//===- Metadata.cpp - A model's typed key-values -------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/Metadata.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/Endian.h"

#include <limits>

using namespace llvm;

namespace lowbit {

static constexpr StringLiteral typeNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                              "bool", "string", "array", "u64", "i64", "f64"};

StringRef getMetadataTypeName(MetadataType type) { return typeNames[static_cast<unsigned>(type)]; }

std::optional<MetadataType> parseMetadataTypeName(StringRef name) {
  const auto *found = find(typeNames, name);
  if (found == std::end(typeNames))
    return std::nullopt;
  return static_cast<MetadataType>(found - std::begin(typeNames));
}

unsigned getMetadataTypeSize(MetadataType type) {
  switch (type) {
  case MetadataType::U8:
  case MetadataType::I8:
  case MetadataType::Bool:
    return 1;
  case MetadataType::U16:
  case MetadataType::I16:
    return 2;
  case MetadataType::U32:
  case MetadataType::I32:
  case MetadataType::F32:
    return 4;
  case MetadataType::U64:
  case MetadataType::I64:
  case MetadataType::F64:
    return 8;
  case MetadataType::String:
  case MetadataType::Array:
    return 0;
  }
  llvm_unreachable("not a metadata type");
}

//===----------------------------------------------------------------------===//
// Arrays and values
//===----------------------------------------------------------------------===//

size_t MetadataArray::size() const {
  if (elementType == MetadataType::String)
    return strings.size();
  if (elementType == MetadataType::Array)
    return arrays.size();
  return scalars.size() / getMetadataTypeSize(elementType);
}

MetadataValue MetadataArray::operator[](size_t index) const {
  if (elementType == MetadataType::String)
    return MetadataValue::makeString(strings[index]);
  if (elementType == MetadataType::Array)
    return MetadataValue::makeArray(arrays[index]);
  unsigned size = getMetadataTypeSize(elementType);
  return MetadataValue::makeScalar(elementType, scalars.slice(index * size, size).data());
}

MetadataValue MetadataValue::makeString(StringRef text) {
  MetadataValue value;
  value.type = MetadataType::String;
  value.text = text;
  return value;
}

MetadataValue MetadataValue::makeArray(MetadataArray array) {
  MetadataValue value;
  value.type = MetadataType::Array;
  value.array = array;
  return value;
}

MetadataValue MetadataValue::makeScalar(MetadataType type, const uint8_t *bytes) {
  using namespace support::endian;
  MetadataValue value;
  value.type = type;
  switch (type) {
  case MetadataType::U8:
  case MetadataType::Bool:
    value.bits = *bytes;
    break;
  case MetadataType::I8:
    value.bits = static_cast<uint64_t>(static_cast<int8_t>(*bytes));
    break;
  case MetadataType::U16:
    value.bits = read16le(bytes);
    break;
  case MetadataType::I16:
    value.bits = static_cast<uint64_t>(static_cast<int16_t>(read16le(bytes)));
    break;
  case MetadataType::U32:
  case MetadataType::F32:
    value.bits = read32le(bytes);
    break;
  case MetadataType::I32:
    value.bits = static_cast<uint64_t>(static_cast<int32_t>(read32le(bytes)));
    break;
  case MetadataType::U64:
  case MetadataType::I64:
  case MetadataType::F64:
    value.bits = read64le(bytes);
    break;
  case MetadataType::String:
  case MetadataType::Array:
    llvm_unreachable("not a scalar");
  }
  return value;
}

std::string MetadataValue::describeType() const {
  if (type == MetadataType::Array)
    return ("array of " + getMetadataTypeName(array.getElementType())).str();
  return getMetadataTypeName(type).str();
}

static bool isSignedInteger(MetadataType type) {
  return type == MetadataType::I8 || type == MetadataType::I16 || type == MetadataType::I32 ||
         type == MetadataType::I64;
}

static bool isUnsignedInteger(MetadataType type) {
  return type == MetadataType::U8 || type == MetadataType::U16 || type == MetadataType::U32 ||
         type == MetadataType::U64;
}

std::optional<uint64_t> MetadataValue::asU64() const {
  if (isUnsignedInteger(type) || (isSignedInteger(type) && static_cast<int64_t>(bits) >= 0))
    return bits;
  return std::nullopt;
}

std::optional<int64_t> MetadataValue::asI64() const {
  if (isSignedInteger(type) || (isUnsignedInteger(type) && static_cast<int64_t>(bits) >= 0))
    return static_cast<int64_t>(bits);
  return std::nullopt;
}

std::optional<double> MetadataValue::asF64() const {
  if (type == MetadataType::F32)
    return bit_cast<float>(static_cast<uint32_t>(bits));
  if (type == MetadataType::F64)
    return bit_cast<double>(bits);
  return std::nullopt;
}

std::optional<bool> MetadataValue::asBool() const {
  if (type != MetadataType::Bool)
    return std::nullopt;
  return bits != 0;
}

std::optional<StringRef> MetadataValue::asString() const {
  if (type != MetadataType::String)
    return std::nullopt;
  return text;
}

std::optional<MetadataArray> MetadataValue::asArray() const {
  if (type != MetadataType::Array)
    return std::nullopt;
  return array;
}

//===----------------------------------------------------------------------===//
// Getters
//===----------------------------------------------------------------------===//

Error Metadata::makeError(StringRef key, const Twine &what) const {
  return createStringError(std::make_error_code(std::errc::invalid_argument),
                           Twine(origin) + ": metadata '" + key + "' " + what);
}

Error Metadata::makeTypeError(StringRef key, const MetadataValue &value, StringRef expected) const {
  return makeError(key, "is " + value.describeType() + ", not " + expected +
                            ": convert the model again with a current converter");
}

std::optional<MetadataValue> Metadata::lookup(StringRef key) const {
  auto found = index.find(key);
  if (found == index.end())
    return std::nullopt;
  return entries[found->second].second;
}

Expected<MetadataValue> Metadata::get(StringRef key) const {
  if (std::optional<MetadataValue> value = lookup(key))
    return *value;
  if (empty())
    return makeError(key,
                     "is missing, as the file has no model metadata at all: give a GGUF file or "
                     "an archive encoded from one");
  return makeError(key, "is missing: the model needs it, convert it again");
}

Expected<StringRef> Metadata::getString(StringRef key) const {
  Expected<MetadataValue> value = get(key);
  if (!value)
    return value.takeError();
  if (std::optional<StringRef> text = value->asString())
    return *text;
  return makeTypeError(key, *value, "a string");
}

Expected<bool> Metadata::getBool(StringRef key) const {
  Expected<MetadataValue> value = get(key);
  if (!value)
    return value.takeError();
  if (std::optional<bool> flag = value->asBool())
    return *flag;
  return makeTypeError(key, *value, "a bool");
}

Expected<uint64_t> Metadata::getU64(StringRef key) const {
  Expected<MetadataValue> value = get(key);
  if (!value)
    return value.takeError();
  if (std::optional<uint64_t> number = value->asU64())
    return *number;
  return makeTypeError(key, *value, "an integer from 0 on");
}

Expected<uint32_t> Metadata::getU32(StringRef key) const {
  Expected<uint64_t> number = getU64(key);
  if (!number)
    return number.takeError();
  if (*number > std::numeric_limits<uint32_t>::max())
    return makeError(key, "is " + Twine(*number) + ", more than 32 bits hold: the file is damaged");
  return static_cast<uint32_t>(*number);
}

Expected<int64_t> Metadata::getI64(StringRef key) const {
  Expected<MetadataValue> value = get(key);
  if (!value)
    return value.takeError();
  if (std::optional<int64_t> number = value->asI64())
    return *number;
  return makeTypeError(key, *value, "an integer below 2^63");
}

Expected<double> Metadata::getF64(StringRef key) const {
  Expected<MetadataValue> value = get(key);
  if (!value)
    return value.takeError();
  if (std::optional<double> number = value->asF64())
    return *number;
  return makeTypeError(key, *value, "a float");
}

Expected<float> Metadata::getF32(StringRef key) const {
  Expected<MetadataValue> value = get(key);
  if (!value)
    return value.takeError();
  std::optional<double> number = value->asF64();
  if (!number)
    return makeTypeError(key, *value, "a float");
  auto narrow = static_cast<float>(*number);
  if (value->getType() == MetadataType::F64 && *number == *number && narrow != *number)
    return makeTypeError(key, *value, "exact in f32");
  return narrow;
}

Expected<MetadataArray> Metadata::getArray(StringRef key) const {
  Expected<MetadataValue> value = get(key);
  if (!value)
    return value.takeError();
  if (std::optional<MetadataArray> array = value->asArray())
    return *array;
  return makeTypeError(key, *value, "an array");
}

Expected<ArrayRef<StringRef>> Metadata::getStrings(StringRef key) const {
  Expected<MetadataArray> array = getArray(key);
  if (!array)
    return array.takeError();
  if (array->getElementType() != MetadataType::String)
    return makeTypeError(key, MetadataValue::makeArray(*array), "an array of strings");
  return array->strings;
}

Expected<std::vector<int32_t>> Metadata::getI32s(StringRef key) const {
  Expected<MetadataArray> array = getArray(key);
  if (!array)
    return array.takeError();
  std::vector<int32_t> numbers;
  numbers.reserve(array->size());
  for (size_t i = 0, e = array->size(); i != e; ++i) {
    std::optional<int64_t> number = (*array)[i].asI64();
    if (!number || *number != static_cast<int32_t>(*number))
      return makeTypeError(key, MetadataValue::makeArray(*array),
                           "an array of integers that fit 32 bits");
    numbers.push_back(static_cast<int32_t>(*number));
  }
  return numbers;
}

Expected<std::vector<float>> Metadata::getF32s(StringRef key) const {
  Expected<MetadataArray> array = getArray(key);
  if (!array)
    return array.takeError();
  if (array->getElementType() != MetadataType::F32)
    return makeTypeError(key, MetadataValue::makeArray(*array), "an array of f32");
  std::vector<float> numbers;
  numbers.reserve(array->size());
  for (size_t i = 0, e = array->size(); i != e; ++i)
    numbers.push_back(static_cast<float>(*(*array)[i].asF64()));
  return numbers;
}

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

StringRef Metadata::internString(StringRef text) { return text.copy(allocator); }

MetadataArray Metadata::makeScalars(MetadataType elementType, ArrayRef<uint8_t> littleEndian) {
  MetadataArray array;
  array.elementType = elementType;
  array.scalars = littleEndian;
  return array;
}

MetadataArray Metadata::internScalars(MetadataType elementType, ArrayRef<uint8_t> littleEndian) {
  return makeScalars(elementType, littleEndian.copy(allocator));
}

MetadataArray Metadata::internStrings(ArrayRef<StringRef> strings) {
  MetadataArray array;
  array.elementType = MetadataType::String;
  array.strings = strings.copy(allocator);
  return array;
}

MetadataArray Metadata::internArrays(ArrayRef<MetadataArray> arrays) {
  MetadataArray array;
  array.elementType = MetadataType::Array;
  array.arrays = arrays.copy(allocator);
  return array;
}

bool Metadata::insert(StringRef key, MetadataValue value) {
  if (!index.try_emplace(key, entries.size()).second)
    return false;
  entries.emplace_back(key, value);
  return true;
}

} // namespace lowbit
