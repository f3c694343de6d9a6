//===- SafetensorsTests.cpp - Safetensors files, good and hostile --------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/Safetensors.h"

#include "Builders.h"

using namespace llvm;

namespace lowbit {
namespace {

using SafetensorsTest = TemporaryFolder;

// Out of order in the header, with an empty tensor and a scalar.
std::string makeGoodFile() {
  return makeSafetensors("{\"b\":{\"dtype\":\"F16\",\"shape\":[2,1],\"data_offsets\":[12,16]},"
                         "\"__metadata__\":{\"format\":\"pt\",\"k\":\"\\u00e9\"},"
                         "\"none\":{\"dtype\":\"F32\",\"shape\":[0,4],\"data_offsets\":[12,12]},"
                         "\"a\":{\"dtype\":\"U8\",\"shape\":[3,4],\"data_offsets\":[0,12]},"
                         "\"s\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[16,24]}}",
                         "abcdefghijklwxyz01234567");
}

TEST_F(SafetensorsTest, ReadsTensorsAndMetadata) {
  auto file = SafetensorsFile::open(writeFile("good.safetensors", makeGoodFile()));
  ASSERT_TRUE(bool(file)) << messageOf(std::move(file));
  ArrayRef<SafetensorsTensor> tensors = (*file)->getTensors();
  ASSERT_EQ(tensors.size(), 4u);
  EXPECT_EQ(tensors[0].name, "a");
  EXPECT_EQ(tensors[0].dtype, DType::U8);
  EXPECT_EQ(tensors[0].shape, (SmallVector<int64_t, 4>{3, 4}));
  EXPECT_EQ(textOf(tensors[0].data), "abcdefghijkl");
  EXPECT_EQ(tensors[1].name, "none");
  EXPECT_TRUE(tensors[1].data.empty());
  const SafetensorsTensor *b = (*file)->lookup("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->dtype, DType::F16);
  EXPECT_EQ(textOf(b->data), "wxyz");
  EXPECT_EQ(b->headerOffset, 9u);
  const SafetensorsTensor *s = (*file)->lookup("s");
  ASSERT_NE(s, nullptr);
  EXPECT_TRUE(s->shape.empty());
  EXPECT_EQ(textOf(s->data), "01234567");
  EXPECT_EQ((*file)->lookup("c"), nullptr);
  EXPECT_EQ((*file)->getMetadata().lookup("format"), "pt");
  EXPECT_EQ((*file)->getMetadata().lookup("k"), "\xC3\xA9");
}

TEST_F(SafetensorsTest, AcceptsNoTensorsAndPadding) {
  auto file = SafetensorsFile::open(writeFile("none.safetensors", makeSafetensors("{}    ", "")));
  ASSERT_TRUE(bool(file)) << messageOf(std::move(file));
  EXPECT_TRUE((*file)->getTensors().empty());
}

TEST_F(SafetensorsTest, RefusesEveryTruncation) {
  std::string good = makeGoodFile();
  for (size_t size = 0; size != good.size(); ++size) {
    std::string path = writeFile("cut.safetensors", StringRef(good).take_front(size));
    std::string message = messageOf(SafetensorsFile::open(path));
    EXPECT_TRUE(contains(message, path + ": byte ")) << size << ": " << message;
  }
}

// The sanitizers watch.
TEST_F(SafetensorsTest, SurvivesEveryChangedByte) {
  std::string good = makeGoodFile();
  unsigned refused = 0;
  for (size_t i = 0; i != good.size(); ++i) {
    for (uint8_t flip : {0xFF, 0x01, 0x02, 0x20}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      auto file = SafetensorsFile::open(writeFile("changed.safetensors", bad));
      if (!file) {
        consumeError(file.takeError());
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 100u);
}

struct Hostile {
  const char *name;
  std::string bytes;
  std::string message; ///< what follows the path
};

void PrintTo(const Hostile &hostile, std::ostream *os) { *os << hostile.name; }

class HostileSafetensors : public TemporaryFolder, public ::testing::WithParamInterface<Hostile> {};

TEST_P(HostileSafetensors, IsRefused) {
  std::string path = writeFile("hostile.safetensors", GetParam().bytes);
  std::string message = messageOf(SafetensorsFile::open(path));
  EXPECT_TRUE(contains(message, path + ": " + GetParam().message)) << message;
}

std::vector<Hostile> hostileFiles() {
  std::vector<Hostile> files;
  auto add = [&](const char *name, StringRef header, StringRef data, const char *message) {
    files.push_back({name, makeSafetensors(header, data), message});
  };
  // One tensor "w" at byte 9.
  auto entry = [&](const char *name, StringRef dtype, StringRef shape, StringRef offsets,
                   StringRef data, const char *message) {
    std::string header = ("{\"w\":{\"dtype\":" + dtype + ",\"shape\":" + shape +
                          ",\"data_offsets\":" + offsets + "}}")
                             .str();
    add(name, header, data, message);
  };
  files.push_back({"Empty", "", "byte 0: the file is empty"});
  files.push_back({"SevenBytes", "1234567", "byte 0: the file ends inside the header length"});
  files.push_back({"HugeHeader", Bytes().u64(UINT64_MAX).raw("{}").str(),
                   "byte 0: the header length is 18446744073709551615, more than the 100000000"});
  files.push_back({"HeaderPastEnd", Bytes().u64(3).raw("{}").str(),
                   "byte 0: the header length is 3, but only 2 bytes follow"});
  add("NoHeader", "", "", "byte 8: the header does not begin with '{'");
  add("HeaderIsArray", "[1]", "", "byte 8: the header does not begin with '{'");
  add("JSONCutShort", "{\"a\":", "", "byte 13: invalid JSON");
  add("JSONTrailing", "{}x", "", "byte 10: invalid JSON (Text after end of document)");
  add("JSONNotUTF8", "{\"a\xFF\":1}", "", "byte 11: invalid UTF-8 in the header");
  add("DeepJSON", "{\"a\":" + std::string(100000, '['), "",
      "byte 44: JSON nested more than 32 deep");
  add("DuplicateTensor",
      "{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
      "\"\\u0077\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
      "ab", "byte 61: duplicate key 'w' in the header");
  add("DuplicateField", "{\"w\":{\"dtype\":\"U8\",\"dtype\":\"I8\",\"shape\":[1]}}", "a",
      "byte 27: duplicate key 'dtype' in the header");
  add("DuplicateMetadata", "{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", "",
      "byte 33: duplicate key 'k' in the header");
  add("MetadataNumber", "{\"__metadata__\":{\"k\":1}}", "",
      "byte 9: __metadata__ 'k' is not a string");
  add("MetadataArray", "{\"__metadata__\":[]}", "", "byte 9: __metadata__ is not an object");
  add("EntryNumber", "{\"w\":1}", "", "byte 9: tensor 'w' is not described by an object");
  add("EmptyName", "{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", "a",
      "byte 9: a tensor has an empty name");
  entry("DtypeNumber", "1", "[1]", "[0,1]", "a", "byte 9: tensor 'w' has no dtype");
  entry("DtypeUnknown", "\"F128\"", "[1]", "[0,16]", "0123456789abcdef",
        "byte 9: tensor 'w' has the unknown dtype 'F128'");
  entry("ShapeNumber", "\"U8\"", "1", "[0,1]", "a", "byte 9: tensor 'w' has no shape");
  entry("ShapeNegative", "\"U8\"", "[-1]", "[0,1]", "a", "byte 9: tensor 'w' has no shape");
  entry("ShapeFraction", "\"U8\"", "[1.5]", "[0,1]", "a", "byte 9: tensor 'w' has no shape");
  entry("ShapeTooLarge", "\"U8\"", "[18446744073709551615]", "[0,1]", "a",
        "byte 9: tensor 'w' has no shape");
  entry("ShapeOverflows", "\"U8\"", "[4294967296,4294967296]", "[0,0]", "",
        "byte 9: tensor 'w' has the impossible shape [4294967296, 4294967296] of U8");
  entry("BytesOverflow", "\"F64\"", "[4611686018427387904]", "[0,0]", "",
        "byte 9: tensor 'w' has the impossible shape [4611686018427387904] of F64");
  entry("HalfAByte", "\"F4\"", "[3]", "[0,2]", "ab", "byte 9: tensor 'w' has the impossible shape");
  entry("OneOffset", "\"U8\"", "[1]", "[0]", "a", "byte 9: tensor 'w' has no data_offsets");
  entry("Reversed", "\"U8\"", "[1]", "[1,0]", "a",
        "byte 9: tensor 'w' has data_offsets [1, 0], but");
  entry("WrongSize", "\"F32\"", "[2]", "[0,4]", "abcd",
        "byte 9: tensor 'w' has data_offsets [0, 4], but [2] of F32 takes 8 bytes");
  entry("PastEnd", "\"F32\"", "[2]", "[0,8]", "abcdefg",
        "byte 9: tensor 'w' ends at data byte 8, but the data has 7 bytes");
  entry("FirstGap", "\"U8\"", "[1]", "[1,2]", "ab", "byte 9: tensor 'w' leaves a gap");
  entry("Trailing", "\"U8\"", "[1]", "[0,1]", "abc",
        "byte 62: the last 2 bytes belong to no tensor");
  add("Overlap",
      "{\"v\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
      "\"w\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
      "abcd", "byte 61: tensor 'w' overlaps the one before it");
  add("Gap",
      "{\"v\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
      "\"w\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
      "abcd", "byte 61: tensor 'w' leaves a gap");
  return files;
}

INSTANTIATE_TEST_SUITE_P(Table, HostileSafetensors, ::testing::ValuesIn(hostileFiles()),
                         [](const auto &info) { return std::string(info.param.name); });

TEST_F(SafetensorsTest, RefusesWhatIsNoFile) {
  EXPECT_TRUE(contains(messageOf(SafetensorsFile::open(pathOf("none"))), "No such file"));
  EXPECT_TRUE(contains(messageOf(SafetensorsFile::open(folder)), "is a directory"));
}

TEST(DTypes, NamesAndSizes) {
  for (unsigned i = 0; i <= static_cast<unsigned>(DType::U64); ++i) {
    auto dtype = static_cast<DType>(i);
    EXPECT_EQ(parseDType(getDTypeName(dtype)), dtype);
  }
  EXPECT_EQ(getDTypeName(DType::BF16), "BF16");
  EXPECT_EQ(parseDType("bf16"), std::nullopt);
  EXPECT_EQ(countBytes(DType::F4, {3, 2}), 3u);
  EXPECT_EQ(countBytes(DType::F6E3M2, {4}), 3u);
  EXPECT_EQ(countBytes(DType::F6E3M2, {3}), std::nullopt);
  EXPECT_EQ(countBytes(DType::C64, {3}), 24u);
  EXPECT_EQ(countBytes(DType::F64, {INT64_MAX, INT64_MAX, 0}), 0u);
  EXPECT_EQ(countElements({INT64_MAX, 2}), std::nullopt);
  EXPECT_EQ(countElements({-1, 0}), std::nullopt);
}

} // namespace
} // namespace lowbit
