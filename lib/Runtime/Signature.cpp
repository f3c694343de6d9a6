//===- Signature.cpp - What a compiled module takes -----------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Runtime/Signature.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/JSON.h"

using namespace llvm;
using namespace lowbit;

bool ValueType::acceptsShape(ArrayRef<int64_t> extents) const {
  return extents.size() == shape.size() && llvm::all_of(llvm::zip(shape, extents), [](auto pair) {
           auto [expected, given] = pair;
           return expected == dynamic || expected == given;
         });
}

bool ValueType::acceptsDType(DType stored) const {
  switch (stored) {
  case DType::U8:
    return dtype == DType::I8;
  case DType::U16:
    return dtype == DType::I16 || dtype == DType::BF16;
  case DType::U32:
    return dtype == DType::I32;
  case DType::U64:
    return dtype == DType::I64;
  default:
    return dtype == stored;
  }
}

std::string ValueType::str() const {
  std::string name = getDTypeName(dtype).lower();
  if (!isMemRef)
    return name;
  std::string extents =
      join(llvm::map_range(shape,
                           [](int64_t extent) {
                             return extent == dynamic ? std::string("?") : std::to_string(extent);
                           }),
           ", ");
  return name + " [" + extents + "]";
}

Expected<const EntrySignature *> ModuleSignature::find(StringRef entry) const {
  for (const EntrySignature &candidate : entries)
    if (candidate.name == entry)
      return &candidate;
  if (entries.empty())
    return createStringError("the module has no entry '" + entry +
                             "', nor any other: mark functions with the attribute 'lowbit.entry'");
  std::string names = join(
      llvm::map_range(entries, [](const EntrySignature &e) { return "'" + e.name + "'"; }), ", ");
  return createStringError("the module has no entry '" + entry + "': it has " + names);
}

std::vector<const EntrySignature *> ModuleSignature::getCallable() const {
  StringSet<> packing;
  for (const ParameterSignature &parameter : parameters)
    packing.insert(parameter.pack);
  std::vector<const EntrySignature *> callable;
  for (const EntrySignature &entry : entries)
    if (!packing.contains(entry.name))
      callable.push_back(&entry);
  return callable;
}

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

static void writeType(json::OStream &stream, const ValueType &type) {
  stream.object([&] {
    stream.attribute("dtype", getDTypeName(type.dtype));
    if (type.isMemRef)
      stream.attributeArray("shape", [&] {
        for (int64_t extent : type.shape)
          stream.value(extent);
      });
  });
}

void ModuleSignature::write(json::OStream &stream) const {
  stream.object([&] {
    stream.attribute("architecture", architecture);
    stream.attributeArray("features", [&] {
      for (const std::string &feature : features)
        stream.value(feature);
    });
    stream.attribute("threads", usesThreads);
    stream.attribute("matrix_unit", usesMatrixUnit);
    stream.attributeArray("entries", [&] {
      for (const EntrySignature &entry : entries)
        stream.object([&] {
          stream.attribute("name", entry.name);
          stream.attributeBegin("arguments");
          stream.array([&] {
            for (const ValueType &type : entry.arguments)
              writeType(stream, type);
          });
          stream.attributeEnd();
          stream.attribute("outputs", int64_t(entry.outputs));
        });
    });
    stream.attributeArray("parameters", [&] {
      for (const ParameterSignature &parameter : parameters)
        stream.object([&] {
          if (!parameter.pack.empty())
            stream.attribute("pack", parameter.pack);
          stream.attribute("key", parameter.key);
          stream.attribute("component", parameter.component);
          stream.attribute("symbol", parameter.symbol);
          stream.attributeBegin("type");
          writeType(stream, parameter.type);
          stream.attributeEnd();
        });
    });
  });
}

static bool readType(const json::Value *value, ValueType &type) {
  const json::Object *object = value ? value->getAsObject() : nullptr;
  std::optional<StringRef> name = object ? object->getString("dtype") : std::nullopt;
  std::optional<DType> dtype = name ? parseDType(*name) : std::nullopt;
  if (!dtype)
    return false;
  type = {object->get("shape") != nullptr, *dtype, {}};
  if (!type.isMemRef)
    return true;
  const json::Array *shape = object->getArray("shape");
  for (size_t axis = 0; shape && axis < shape->size(); ++axis) {
    std::optional<int64_t> extent = (*shape)[axis].getAsInteger();
    if (!extent || *extent < ValueType::dynamic)
      return false;
    type.shape.push_back(*extent);
  }
  return shape != nullptr;
}

static bool readEntry(const json::Value &value, EntrySignature &entry) {
  const json::Object *object = value.getAsObject();
  std::optional<StringRef> name = object ? object->getString("name") : std::nullopt;
  const json::Array *arguments = object ? object->getArray("arguments") : nullptr;
  std::optional<int64_t> outputs = object ? object->getInteger("outputs") : std::nullopt;
  if (!name || !arguments || !outputs || *outputs < 0 || *outputs > int64_t(arguments->size()))
    return false;
  entry.name = *name;
  entry.outputs = *outputs;
  return all_of(*arguments, [&](const json::Value &argument) {
    return readType(&argument, entry.arguments.emplace_back());
  });
}

static bool readParameter(const json::Value &value, ParameterSignature &parameter) {
  const json::Object *object = value.getAsObject();
  std::optional<StringRef> key = object ? object->getString("key") : std::nullopt;
  std::optional<StringRef> component = object ? object->getString("component") : std::nullopt;
  std::optional<StringRef> symbol = object ? object->getString("symbol") : std::nullopt;
  if (!key || !component || !symbol)
    return false;
  parameter.key = *key;
  parameter.component = *component;
  parameter.symbol = *symbol;
  parameter.pack = object->getString("pack").value_or("");
  return readType(object->get("type"), parameter.type);
}

Expected<ModuleSignature> ModuleSignature::fromJSON(const json::Value &value) {
  const json::Object *object = value.getAsObject();
  const json::Array *entries = object ? object->getArray("entries") : nullptr;
  const json::Array *parameters = object ? object->getArray("parameters") : nullptr;
  std::optional<StringRef> architecture = object ? object->getString("architecture") : std::nullopt;
  const json::Array *features = object ? object->getArray("features") : nullptr;
  std::optional<bool> threads = object ? object->getBoolean("threads") : std::nullopt;
  std::optional<bool> matrixUnit = object ? object->getBoolean("matrix_unit") : std::nullopt;
  if (!entries || !parameters || !architecture || !features || !threads || !matrixUnit)
    return createStringError("a program has 'architecture', 'features', 'threads', 'matrix_unit', "
                             "'entries' and 'parameters'");
  ModuleSignature signature;
  signature.architecture = *architecture;
  for (const json::Value &feature : *features)
    signature.features.push_back(feature.getAsString().value_or("").str());
  signature.usesMatrixUnit = *matrixUnit;
  signature.usesThreads = *threads;
  for (const json::Value &entry : *entries)
    if (!readEntry(entry, signature.entries.emplace_back()))
      return createStringError("an entry has 'name', 'arguments' and 'outputs'");
  for (const json::Value &parameter : *parameters)
    if (!readParameter(parameter, signature.parameters.emplace_back()))
      return createStringError("a parameter has 'key', 'component', 'symbol' and 'type'");
  return signature;
}
