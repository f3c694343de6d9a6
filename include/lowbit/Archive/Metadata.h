//===- Metadata.h - A model's typed key-values ------------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a GGUF file says about its model besides the tensors: "llama.block_count",
// "tokenizer.ggml.tokens", ... The types and keys are those of the GGUF
// specification (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
// A Lowbit archive carries the same key-values as JSON, losslessly and in order.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_ARCHIVE_METADATA_H
#define LOWBIT_ARCHIVE_METADATA_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Allocator.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lowbit {

/// The GGUF value types, with the file format's numbers.
enum class MetadataType : uint32_t {
  U8 = 0,
  I8 = 1,
  U16 = 2,
  I16 = 3,
  U32 = 4,
  I32 = 5,
  F32 = 6,
  Bool = 7,
  String = 8,
  Array = 9,
  U64 = 10,
  I64 = 11,
  F64 = 12,
};

/// "u8", "i8", ..., "f32", "bool", "string", "array".
llvm::StringRef getMetadataTypeName(MetadataType type);
std::optional<MetadataType> parseMetadataTypeName(llvm::StringRef name);
/// Bytes of a value of this type in a file; 0 for strings and arrays, whose size varies.
unsigned getMetadataTypeSize(MetadataType type);

class MetadataValue;

/// A homogeneous array. Its elements live in the Metadata it comes from (or in the mapped file).
class MetadataArray {
public:
  MetadataType getElementType() const { return elementType; }
  size_t size() const;
  bool empty() const { return size() == 0; }
  MetadataValue operator[](size_t index) const;
  /// Of an array of scalars: its elements as in a file, little-endian.
  llvm::ArrayRef<uint8_t> getScalars() const { return scalars; }

private:
  friend class Metadata;
  friend class MetadataValue;
  MetadataType elementType = MetadataType::U8;
  // One of the three, by element type.
  llvm::ArrayRef<uint8_t> scalars; // little-endian, unaligned
  llvm::ArrayRef<llvm::StringRef> strings;
  llvm::ArrayRef<MetadataArray> arrays;
};

/// One value. A small handle: strings and arrays refer to the Metadata they come from. The as...
/// functions return nothing where the value is not of that kind or does not fit exactly.
class MetadataValue {
public:
  static MetadataValue makeString(llvm::StringRef text);
  static MetadataValue makeArray(MetadataArray array);
  /// A scalar from its little-endian bytes, getMetadataTypeSize(type) of them.
  static MetadataValue makeScalar(MetadataType type, const uint8_t *bytes);

  MetadataType getType() const { return type; }
  /// "u32", "string", "array of f32".
  std::string describeType() const;

  std::optional<uint64_t> asU64() const; ///< any integer type, if not negative
  std::optional<int64_t> asI64() const;  ///< any integer type, if it fits
  std::optional<double> asF64() const;   ///< f32 or f64
  std::optional<bool> asBool() const;
  std::optional<llvm::StringRef> asString() const;
  std::optional<MetadataArray> asArray() const;
  /// A scalar's bits, sign-extended for signed integers.
  uint64_t getBits() const { return bits; }

  /// The value alone; see Metadata::toJSON for the form.
  llvm::json::Value toJSON() const;

private:
  MetadataType type = MetadataType::U8;
  uint64_t bits = 0; // scalars
  llvm::StringRef text;
  MetadataArray array;
};

/// An ordered collection of key-values with typed getters. The getters' errors name the file and
/// the key: a missing key, another type, or a value that does not fit. Integer getters take any
/// integer type whose value fits; float getters take f32 and f64, the latter only if exact.
class Metadata {
public:
  using Entry = std::pair<llvm::StringRef, MetadataValue>;

  /// `origin` is the file named in errors.
  explicit Metadata(llvm::StringRef origin) : origin(origin) {}
  Metadata(Metadata &&) = default;
  Metadata &operator=(Metadata &&) = default;

  bool empty() const { return entries.empty(); }
  size_t size() const { return entries.size(); }
  /// In the order of the file.
  llvm::ArrayRef<Entry> getEntries() const { return entries; }

  std::optional<MetadataValue> lookup(llvm::StringRef key) const;
  bool contains(llvm::StringRef key) const { return index.contains(key); }

  llvm::Expected<MetadataValue> get(llvm::StringRef key) const;
  llvm::Expected<llvm::StringRef> getString(llvm::StringRef key) const;
  llvm::Expected<bool> getBool(llvm::StringRef key) const;
  llvm::Expected<uint32_t> getU32(llvm::StringRef key) const;
  llvm::Expected<uint64_t> getU64(llvm::StringRef key) const;
  llvm::Expected<int64_t> getI64(llvm::StringRef key) const;
  llvm::Expected<float> getF32(llvm::StringRef key) const;
  llvm::Expected<double> getF64(llvm::StringRef key) const;
  llvm::Expected<MetadataArray> getArray(llvm::StringRef key) const;
  llvm::Expected<llvm::ArrayRef<llvm::StringRef>> getStrings(llvm::StringRef key) const;
  llvm::Expected<std::vector<int32_t>> getI32s(llvm::StringRef key) const;
  llvm::Expected<std::vector<float>> getF32s(llvm::StringRef key) const;

  /// As one JSON object, {"KEY": {"TYPE": VALUE}, ...}: {"llama.block_count": {"u32": 30},
  /// "tokenizer.ggml.tokens": {"[string]": ["<s>", ...]}}. The elements of an array of arrays,
  /// {"[array]": [...]}, are again objects of one type and value. Nothing is lost: integers are
  /// exact in 64 bits, floats are printed with 17 digits; the floats JSON has no number for
  /// (infinities, NaNs, -0.0) are strings with their bits, "0x7fc00000".
  llvm::json::Value toJSON() const;
  /// The same as text, with the keys in the order of the entries.
  std::string toJSONText() const;
  /// The inverse. A JSON value has forgotten the order of its keys, so `order` lists them; without
  /// it they come sorted. An error says what is wrong with which key, not in which file.
  static llvm::Expected<Metadata> fromJSON(const llvm::json::Value &value, llvm::StringRef origin,
                                           llvm::ArrayRef<llvm::StringRef> order = {});

  // Building. Storage for what values refer to, living as long as this object:
  llvm::StringRef internString(llvm::StringRef text);
  static MetadataArray makeScalars(MetadataType elementType, llvm::ArrayRef<uint8_t> littleEndian);
  MetadataArray internScalars(MetadataType elementType, llvm::ArrayRef<uint8_t> littleEndian);
  MetadataArray internStrings(llvm::ArrayRef<llvm::StringRef> strings);
  MetadataArray internArrays(llvm::ArrayRef<MetadataArray> arrays);
  /// False if the key is there already. The key is not copied.
  bool insert(llvm::StringRef key, MetadataValue value);

private:
  llvm::Error makeError(llvm::StringRef key, const llvm::Twine &what) const;
  llvm::Error makeTypeError(llvm::StringRef key, const MetadataValue &value,
                            llvm::StringRef expected) const;

  std::string origin;
  llvm::BumpPtrAllocator allocator;
  std::vector<Entry> entries;
  llvm::StringMap<size_t> index;
};

} // namespace lowbit

#endif // LOWBIT_ARCHIVE_METADATA_H
