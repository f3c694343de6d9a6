//===- MetadataTests.cpp - Typed key-values and their JSON ---------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/Metadata.h"

#include "Builders.h"

#include "llvm/ADT/bit.h"

#include <limits>

using namespace llvm;

namespace lowbit {
namespace {

void insertScalar(Metadata &metadata, StringRef key, MetadataType type, uint64_t bits) {
  std::string bytes = Bytes().u64(bits).str();
  ASSERT_TRUE(metadata.insert(metadata.internString(key),
                              MetadataValue::makeScalar(type, bytesOf(bytes).data())));
}

std::string print(const json::Value &value) {
  std::string text;
  raw_string_ostream(text) << value;
  return text;
}

Metadata throughJSON(const Metadata &metadata) {
  return cantFail(Metadata::fromJSON(cantFail(json::parse(print(metadata.toJSON()))), "again"));
}

// Bits of every scalar type survive text and come back with their type.
TEST(Metadata, ScalarsSurviveJSON) {
  struct Case {
    MetadataType type;
    uint64_t bits;
  } cases[] = {
      {MetadataType::U8, 255},
      {MetadataType::I8, uint64_t(-128) & 0xFF},
      {MetadataType::U16, 65535},
      {MetadataType::I16, 0x8000},
      {MetadataType::U32, UINT32_MAX},
      {MetadataType::I32, 0x80000000},
      {MetadataType::U64, UINT64_MAX},
      {MetadataType::U64, (uint64_t(1) << 53) + 1},
      {MetadataType::I64, uint64_t(1) << 63},
      {MetadataType::I64, uint64_t(-1)},
      {MetadataType::Bool, 0},
      {MetadataType::Bool, 1},
      {MetadataType::F32, 0x3DCCCCCD}, // 0.1
      {MetadataType::F32, 0x461C4000}, // 10000
      {MetadataType::F32, 0x00000001}, // the smallest denormal
      {MetadataType::F32, 0x7F7FFFFF}, // the largest
      {MetadataType::F32, 0x80000000}, // -0
      {MetadataType::F32, 0x7F800000}, // infinity
      {MetadataType::F32, 0xFFC00123}, // a NaN with a payload
      {MetadataType::F64, 0x3FB999999999999A},
      {MetadataType::F64, 0x0000000000000001},
      {MetadataType::F64, 0x7FEFFFFFFFFFFFFF},
      {MetadataType::F64, 0x8000000000000000},
      {MetadataType::F64, 0xFFF0000000000000},
      {MetadataType::F64, 0x4340000000000001}, // 2^53 + 2
      {MetadataType::F64, 0x43E0000000000000}, // 2^63
  };
  for (const Case &test : cases) {
    Metadata metadata("file");
    insertScalar(metadata, "k", test.type, test.bits);
    MetadataValue before = *metadata.lookup("k");
    Metadata copy = throughJSON(metadata);
    MetadataValue after = *copy.lookup("k");
    EXPECT_EQ(after.getType(), test.type);
    EXPECT_EQ(after.asU64(), before.asU64());
    EXPECT_EQ(after.asI64(), before.asI64());
    EXPECT_EQ(after.asBool(), before.asBool());
    EXPECT_EQ(after.asF64().has_value(), before.asF64().has_value());
    if (before.asF64()) {
      EXPECT_EQ(bit_cast<uint64_t>(*after.asF64()), bit_cast<uint64_t>(*before.asF64()))
          << print(metadata.toJSON());
    }
  }
}

TEST(Metadata, JSONHasTheDocumentedForm) {
  Metadata metadata("file");
  insertScalar(metadata, "llama.block_count", MetadataType::U32, 30);
  insertScalar(metadata, "nan", MetadataType::F32, 0x7FC00000);
  metadata.insert("tokens",
                  MetadataValue::makeArray(metadata.internStrings({"<s>", "\"\n\xC4\xA0"})));
  std::string scores = Bytes().u32(0x3F800000).u32(0xBF000000).str();
  MetadataArray floats = Metadata::makeScalars(MetadataType::F32, bytesOf(scores));
  metadata.insert("nested", MetadataValue::makeArray(metadata.internArrays({floats, floats})));
  EXPECT_EQ(print(metadata.toJSON()),
            "{\"llama.block_count\":{\"u32\":30},"
            "\"nan\":{\"f32\":\"0x7fc00000\"},"
            "\"nested\":{\"[array]\":[{\"[f32]\":[1,-0.5]},{\"[f32]\":[1,-0.5]}]},"
            "\"tokens\":{\"[string]\":[\"<s>\",\"\\\"\\n\xC4\xA0\"]}}");

  Metadata copy = throughJSON(metadata);
  EXPECT_EQ(print(copy.toJSON()), print(metadata.toJSON()));
  EXPECT_EQ(cantFail(copy.getStrings("tokens"))[1], "\"\n\xC4\xA0");
  MetadataArray nested = cantFail(copy.getArray("nested"));
  EXPECT_EQ(*(*nested[1].asArray())[1].asF64(), -0.5);
}

TEST(Metadata, GettersNameFileAndKey) {
  Metadata metadata("model.gguf");
  EXPECT_EQ(
      messageOf(metadata.getU32("a.b")),
      "model.gguf: metadata 'a.b' is missing, as the file has no model metadata at all: give a "
      "GGUF file or an archive encoded from one");
  insertScalar(metadata, "big", MetadataType::U64, uint64_t(1) << 40);
  insertScalar(metadata, "negative", MetadataType::I32, 0xFFFFFFFF);
  insertScalar(metadata, "tenth", MetadataType::F64, 0x3FB999999999999A);
  insertScalar(metadata, "half", MetadataType::F64, 0x3FE0000000000000);
  metadata.insert("text", MetadataValue::makeString("x"));
  metadata.insert("texts", MetadataValue::makeArray(metadata.internStrings({"x"})));
  EXPECT_TRUE(contains(messageOf(metadata.getU32("a.b")),
                       "model.gguf: metadata 'a.b' is missing: the model needs it"));
  EXPECT_TRUE(contains(messageOf(metadata.getU32("big")), "'big' is 1099511627776, more than"));
  EXPECT_EQ(cantFail(metadata.getU64("big")), uint64_t(1) << 40);
  EXPECT_TRUE(
      contains(messageOf(metadata.getU32("negative")), "'negative' is i32, not an integer"));
  EXPECT_TRUE(contains(messageOf(metadata.getF32("tenth")), "'tenth' is f64, not exact in f32"));
  EXPECT_EQ(cantFail(metadata.getF32("half")), 0.5f);
  EXPECT_TRUE(contains(messageOf(metadata.getU32("text")), "'text' is string, not an integer"));
  EXPECT_TRUE(contains(messageOf(metadata.getBool("text")), "'text' is string, not a bool"));
  EXPECT_TRUE(contains(messageOf(metadata.getF32("text")), "'text' is string, not a float"));
  EXPECT_TRUE(contains(messageOf(metadata.getString("big")), "'big' is u64, not a string"));
  EXPECT_TRUE(contains(messageOf(metadata.getArray("text")), "'text' is string, not an array"));
  EXPECT_TRUE(contains(messageOf(metadata.getI32s("texts")), "'texts' is array of string, not an"));
  EXPECT_TRUE(contains(messageOf(metadata.getF32s("texts")), "'texts' is array of string, not an"));
}

TEST(Metadata, FromJSONRefuses) {
  std::pair<const char *, const char *> cases[] = {
      {"[]", "the model metadata is not a JSON object"},
      {"{\"k\": 1}", "'k' is not an object of one type and its value"},
      {"{\"k\": {}}", "'k' is not an object of one type and its value"},
      {"{\"k\": {\"u32\": 1, \"u8\": 1}}", "'k' is not an object of one type and its value"},
      {"{\"k\": {\"u128\": 1}}", "'k' has an unknown type 'u128'"},
      {"{\"k\": {\"array\": []}}", "'k' has an unknown type 'array'"},
      {"{\"k\": {\"u8\": 256}}", "'k' has a value that is not u8"},
      {"{\"k\": {\"u8\": -1}}", "'k' has a value that is not u8"},
      {"{\"k\": {\"i8\": -129}}", "'k' has a value that is not i8"},
      {"{\"k\": {\"u32\": 1.5}}", "'k' has a value that is not u32"},
      {"{\"k\": {\"bool\": 1}}", "'k' has a value that is not bool"},
      {"{\"k\": {\"f32\": 1e39}}", "'k' has a value that is not f32"},
      {"{\"k\": {\"f32\": \"nan\"}}", "'k' has a value that is not f32"},
      {"{\"k\": {\"string\": 1}}", "'k' has a value that is not a string"},
      {"{\"k\": {\"[string]\": [1]}}", "'k' has an element that is not a string"},
      {"{\"k\": {\"[u8]\": 1}}", "'k' has a value that is not an array"},
      {"{\"k\": {\"[array]\": [{\"u8\": 1}]}}", "'k' has an element that is not an array"},
      {"{\"k\": {\"[array]\": [{\"[array]\": [{\"[array]\": [{\"[array]\": [{\"[u8]\": "
       "[]}]}]}]}]}}",
       "'k' nests arrays more than 4 deep"},
  };
  for (auto [text, part] : cases) {
    std::string message = messageOf(Metadata::fromJSON(cantFail(json::parse(text)), "file"));
    EXPECT_TRUE(contains(message, part)) << text << ": " << message;
  }
}

} // namespace
} // namespace lowbit
