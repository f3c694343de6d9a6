//===- GGUFTests.cpp - GGUF files, good and hostile ----------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/GGUF.h"

#include "Builders.h"

using namespace llvm;

namespace lowbit {
namespace {

using GGUFTest = TemporaryFolder;

//===----------------------------------------------------------------------===//
// Good files
//===----------------------------------------------------------------------===//

// Every value type, arrays of each kind, and three tensors; ends with the last tensor's last byte.
std::string makeGoodFile(uint32_t version = 3) {
  Bytes file;
  file.header(3, 16, version);
  file.string("general.architecture").u32(8).string("llama");
  file.string("u8").u32(0).u8(255);
  file.string("i8").u32(1).u8(0x80);
  file.string("u16").u32(2).u16(65535);
  file.string("i16").u32(3).u16(0x8000);
  file.string("u32").u32(4).u32(0xFFFFFFFF);
  file.string("i32").u32(5).u32(0x80000000);
  file.string("f32").u32(6).u32(0x3DCCCCCD); // 0.1f
  file.string("bool").u32(7).u8(1);
  file.string("u64").u32(10).u64(UINT64_MAX);
  file.string("i64").u32(11).u64(uint64_t(1) << 63);
  file.string("f64").u32(12).u64(0x3FB999999999999A); // 0.1
  file.string("strings").u32(9).u32(8).u64(2).string("a").string("\xC4\xA0z");
  file.string("i32s").u32(9).u32(5).u64(3).u32(1).u32(0xFFFFFFFF).u32(7);
  file.string("nested").u32(9).u32(9).u64(2);
  file.u32(0).u64(2).u8(1).u8(2);
  file.u32(8).u64(1).string("x");
  file.keyU32("general.alignment", 64);
  file.tensor("plain", {3, 2}, 0, 0);
  file.tensor("blocks", {64, 2, 5}, 3, 64);
  file.tensor("k", {256}, 12, 512);
  file.align(64).fill(24, 0x11).align(64).fill(2 * 2 * 5 * 20, 0x22).align(64);
  file.fill(144, 0x33);
  return file.str();
}

TEST_F(GGUFTest, ReadsTensors) {
  for (uint32_t version : {2u, 3u}) {
    auto file = GGUFFile::open(writeFile("good.gguf", makeGoodFile(version)));
    ASSERT_TRUE(bool(file)) << messageOf(std::move(file));
    EXPECT_EQ((*file)->getVersion(), version);
    EXPECT_EQ((*file)->getAlignment(), 64u);
    ArrayRef<GGUFTensor> tensors = (*file)->getTensors();
    ASSERT_EQ(tensors.size(), 3u);

    EXPECT_EQ(tensors[0].name, "plain");
    EXPECT_EQ(tensors[0].shape, (SmallVector<int64_t, 4>{2, 3}));
    EXPECT_EQ(tensors[0].type->name, "F32");
    EXPECT_EQ(textOf(tensors[0].data), std::string(24, 0x11));

    EXPECT_EQ(tensors[1].shape, (SmallVector<int64_t, 4>{5, 2, 64}));
    EXPECT_EQ(tensors[1].type->name, "Q4_1");
    EXPECT_EQ(tensors[1].offset, tensors[0].offset + 64);
    EXPECT_EQ(textOf(tensors[1].data), std::string(400, 0x22));

    EXPECT_EQ(tensors[2].type->name, "Q4_K");
    EXPECT_EQ(textOf(tensors[2].data), std::string(144, 0x33));
  }
}

TEST_F(GGUFTest, ReadsMetadata) {
  auto file = GGUFFile::open(writeFile("good.gguf", makeGoodFile()));
  ASSERT_TRUE(bool(file)) << messageOf(std::move(file));
  const Metadata &metadata = (*file)->getMetadata();
  EXPECT_EQ(metadata.size(), 16u);
  EXPECT_EQ(metadata.getEntries()[1].first, "u8");
  EXPECT_EQ(cantFail(metadata.getString("general.architecture")), "llama");
  EXPECT_EQ(cantFail(metadata.getU32("u8")), 255u);
  EXPECT_EQ(cantFail(metadata.getI64("i8")), -128);
  EXPECT_EQ(cantFail(metadata.getU32("u16")), 65535u);
  EXPECT_EQ(cantFail(metadata.getI64("i16")), -32768);
  EXPECT_EQ(cantFail(metadata.getU32("u32")), 0xFFFFFFFFu);
  EXPECT_EQ(cantFail(metadata.getI64("i32")), INT32_MIN);
  EXPECT_EQ(cantFail(metadata.getF32("f32")), 0.1f);
  EXPECT_TRUE(cantFail(metadata.getBool("bool")));
  EXPECT_EQ(cantFail(metadata.getU64("u64")), UINT64_MAX);
  EXPECT_EQ(cantFail(metadata.getI64("i64")), INT64_MIN);
  EXPECT_EQ(cantFail(metadata.getF64("f64")), 0.1);
  ArrayRef<StringRef> strings = cantFail(metadata.getStrings("strings"));
  ASSERT_EQ(strings.size(), 2u);
  EXPECT_EQ(strings[1], "\xC4\xA0z");
  EXPECT_EQ(cantFail(metadata.getI32s("i32s")), (std::vector<int32_t>{1, -1, 7}));
  MetadataArray nested = cantFail(metadata.getArray("nested"));
  ASSERT_EQ(nested.size(), 2u);
  EXPECT_EQ(*(*nested[0].asArray())[1].asU64(), 2u);
  EXPECT_EQ(*(*nested[1].asArray())[0].asString(), "x");
}

TEST_F(GGUFTest, AcceptsAFileOfMetadataOnly) {
  auto file = GGUFFile::open(writeFile("vocabulary.gguf", Bytes().header(0, 0).str()));
  ASSERT_TRUE(bool(file)) << messageOf(std::move(file));
  EXPECT_TRUE((*file)->getTensors().empty());
}

TEST(GGMLTypes, BlocksHaveTheirParts) {
  // Bytes for a block: f16 scales and minima, codes, high bits, nested scales.
  EXPECT_EQ(lookupGGMLType(2)->blockBytes, 2u + 32 / 2);
  EXPECT_EQ(lookupGGMLType(6)->blockBytes, 2u + 4 + 32 / 2);
  EXPECT_EQ(lookupGGMLType(8)->blockBytes, 2u + 32);
  EXPECT_EQ(lookupGGMLType(12)->blockBytes, 2u + 2 + 12 + 256 / 2);
  EXPECT_EQ(lookupGGMLType(14)->blockBytes, 2u + 256 / 2 + 256 / 4 + 256 / 16);
  EXPECT_EQ(lookupGGMLType(4), nullptr);
  EXPECT_EQ(lookupGGMLType(1000), nullptr);
}

//===----------------------------------------------------------------------===//
// Hostile files
//===----------------------------------------------------------------------===//

TEST_F(GGUFTest, RefusesEveryTruncation) {
  std::string good = makeGoodFile();
  for (size_t size = 0; size != good.size(); ++size) {
    std::string path = writeFile("cut.gguf", StringRef(good).take_front(size));
    std::string message = messageOf(GGUFFile::open(path));
    EXPECT_TRUE(contains(message, path + ": byte ")) << size << ": " << message;
  }
}

// Whatever a byte is changed to, the answer is a file or an error; the sanitizers watch.
TEST_F(GGUFTest, SurvivesEveryChangedByte) {
  std::string good = makeGoodFile();
  unsigned refused = 0;
  for (size_t i = 0; i != good.size(); ++i) {
    for (uint8_t flip : {0xFF, 0x01, 0x80}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      auto file = GGUFFile::open(writeFile("changed.gguf", bad));
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

class HostileGGUF : public TemporaryFolder, public ::testing::WithParamInterface<Hostile> {};

TEST_P(HostileGGUF, IsRefused) {
  std::string path = writeFile("hostile.gguf", GetParam().bytes);
  std::string message = messageOf(GGUFFile::open(path));
  EXPECT_TRUE(contains(message, path + ": " + GetParam().message)) << message;
}

// A header for one tensor.
Bytes one() { return Bytes().header(1, 0); }
// A header for one key-value.
Bytes key(StringRef name, uint32_t type) {
  Bytes file = Bytes().header(0, 1);
  file.string(name).u32(type);
  return file;
}

std::vector<Hostile> hostileFiles() {
  const uint64_t huge = uint64_t(1) << 62;
  std::vector<Hostile> files;
  auto add = [&](const char *name, const Bytes &bytes, const char *message) {
    files.push_back({name, bytes.str(), message});
  };
  add("Empty", Bytes(), "byte 0: the file is empty");
  add("BadMagic", Bytes().raw("GGML").fill(60, 0), "byte 0: not a GGUF file");
  add("Version1", Bytes().header(0, 0, 1), "byte 4: GGUF version 1 is not supported");
  add("Version4", Bytes().header(0, 0, 4), "byte 4: GGUF version 4 is not supported");
  add("BigEndian", Bytes().raw("GGUF").raw(StringRef("\0\0\0\3", 4)).fill(16, 0),
      "byte 4: a big-endian file");
  add("HugeTensorCount", Bytes().header(huge, 0),
      "byte 8: the number of tensors is 4611686018427387904, more than");
  add("HugeKeyValueCount", Bytes().header(0, UINT64_MAX).fill(64, 0),
      "byte 16: the number of key-values is 18446744073709551615, more than");
  add("CountsShareTheRest", Bytes().header(2, 4).fill(70, 0),
      "byte 8: 2 tensors and 4 key-values do not fit the 70 bytes left");
  add("HugeKeyLength", Bytes().header(0, 1).u64(huge).fill(20, 'a'),
      "byte 24: the length of key 0 is 4611686018427387904, more than");
  add("EmptyKey", Bytes().header(0, 1).string("").u32(0).u32(0), "byte 24: key 0 is empty");
  add("KeyNotUTF8", Bytes().header(0, 1).string("ab\xFF").u32(0).u8(0),
      "byte 34: key 0 is not valid UTF-8");
  add("OverlongUTF8", key("k", 8).string("\xC0\xAF"),
      "byte 45: the string of 'k' is not valid UTF-8");
  add("SurrogateUTF8", key("k", 8).string("a\xED\xA0\x80"),
      "byte 46: the string of 'k' is not valid UTF-8");
  add("UnknownValueType", key("k", 13).u64(0), "byte 33: value type 13 of 'k' is unknown");
  add("BoolTwo", key("k", 7).u8(2), "byte 37: a bool of 'k' is 2, not 0 or 1");
  add("BoolInArray", key("k", 9).u32(7).u64(3).u8(0).u8(1).u8(9),
      "byte 51: a bool of 'k' is 9, not 0 or 1");
  add("HugeStringLength", key("k", 8).u64(UINT64_MAX).fill(8, 'a'),
      "byte 37: the length of the string of 'k' is 18446744073709551615");
  add("HugeArray", key("k", 9).u32(12).u64(huge),
      "byte 41: the array length of 'k' is 4611686018427387904, more than the 0 bytes left");
  add("HugeStringArray", key("k", 9).u32(8).u64(3).fill(23, 0),
      "byte 41: the array length of 'k' is 3, more than the 23 bytes left");
  add("UnknownElementType", key("k", 9).u32(99).u64(0), "byte 37: value type 99 of 'k' is unknown");
  Bytes deep = key("k", 9);
  for (int i = 0; i != 100; ++i)
    deep.u32(9).u64(1);
  add("DeepArrays", deep.u32(0).u64(0), "byte 85: the arrays of 'k' are nested more than 4 deep");
  add("DuplicateKey", Bytes().header(0, 2).keyU32("k", 1).keyU32("k", 1),
      "byte 41: key 'k' occurs twice");
  add("AlignmentZero", Bytes().header(0, 1).keyU32("general.alignment", 0),
      "byte 49: general.alignment is 0, not a power of two");
  add("AlignmentThree", Bytes().header(0, 1).keyU32("general.alignment", 24),
      "byte 49: general.alignment is 24, not a power of two");
  add("AlignmentString", key("general.alignment", 8).string("32"),
      "byte 49: general.alignment is string, not u32");
  add("HugeNameLength", Bytes().header(1, 0).u64(huge).fill(64, 'a'),
      "byte 24: the length of the name of tensor 0 is 4611686018427387904");
  add("NameNotUTF8", one().tensor("w\x80", {1}, 0, 0).align(32).fill(4, 0),
      "byte 33: the name of tensor 0 is not valid UTF-8");
  add("EmptyName", one().tensor("", {1, 1}, 0, 0).align(32).fill(4, 0),
      "byte 24: the name of tensor 0 is empty");
  add("FiveDimensions", one().tensor("w", {1, 1, 1, 1, 1}, 0, 0).align(32).fill(4, 0),
      "byte 33: tensor 'w' has 5 dimensions, not 1 to 4");
  add("NoDimensions", one().tensor("w", {}, 0, 0).align(32).fill(64, 0),
      "byte 33: tensor 'w' has 0 dimensions, not 1 to 4");
  add("DimensionZero", one().tensor("w", {4, 0}, 0, 0).align(32).fill(16, 0),
      "byte 45: tensor 'w' has a dimension of 0");
  add("ShapeOverflows", one().tensor("w", {uint64_t(1) << 32, uint64_t(1) << 32}, 0, 0).fill(64, 0),
      "byte 45: the shape of tensor 'w' overflows");
  add("ShapeWrapsToOne", one().tensor("w", {UINT64_MAX, UINT64_MAX}, 24, 0).fill(64, 0),
      "byte 37: the shape of tensor 'w' overflows");
  add("BytesWouldOverflow", one().tensor("w", {uint64_t(1) << 61}, 28, 0).fill(64, 0),
      "byte 37: the shape of tensor 'w' overflows");
  add("UnknownTensorType", one().tensor("w", {32}, 200, 0).align(32).fill(64, 0),
      "byte 45: tensor 'w' has the unknown type 200");
  add("RemovedTensorType", one().tensor("w", {32}, 4, 0).align(32).fill(64, 0),
      "byte 45: tensor 'w' has the unknown type 4");
  add("RowsCutABlock", one().tensor("w", {33, 32}, 2, 0).align(32).fill(1024, 0),
      "byte 53: tensor 'w' has rows of 33 elements, not a multiple of Q4_0's block of 32");
  add("DuplicateTensor",
      Bytes().header(2, 0).tensor("w", {1}, 0, 0).tensor("w", {1}, 0, 32).align(32).fill(64, 0),
      "byte 57: tensor 'w' occurs twice");
  add("Misaligned", one().tensor("w", {1}, 0, 4).align(32).fill(64, 0),
      "byte 24: tensor 'w' lies at data offset 4, not a multiple of the alignment 32");
  add("OffsetPastEnd", one().tensor("w", {1}, 0, 64).align(32).fill(36, 0),
      "byte 24: tensor 'w' needs 4 bytes at data offset 64, but the data has 36");
  add("OffsetWraps", one().tensor("w", {8}, 0, UINT64_MAX - 31).align(32).fill(64, 0),
      "byte 24: tensor 'w' needs 32 bytes at data offset 18446744073709551584");
  add("DataCutShort", one().tensor("w", {9}, 0, 0).align(32).fill(35, 0),
      "byte 24: tensor 'w' needs 36 bytes at data offset 0, but the data has 35");
  add("Overlap",
      Bytes().header(2, 0).tensor("a", {9}, 0, 0).tensor("b", {1}, 0, 32).align(32).fill(64, 0),
      "byte 57: tensor 'b' overlaps tensor 'a'");
  add("SamePlace",
      Bytes().header(2, 0).tensor("a", {1}, 0, 0).tensor("b", {1}, 0, 0).align(32).fill(64, 0),
      "byte 57: tensor 'b' overlaps tensor 'a'");
  return files;
}

INSTANTIATE_TEST_SUITE_P(Table, HostileGGUF, ::testing::ValuesIn(hostileFiles()),
                         [](const auto &info) { return std::string(info.param.name); });

TEST_F(GGUFTest, RefusesWhatIsNoFile) {
  EXPECT_TRUE(contains(messageOf(GGUFFile::open(pathOf("none.gguf"))),
                       pathOf("none.gguf") + ": cannot open: No such file or directory"));
  EXPECT_TRUE(contains(messageOf(GGUFFile::open(folder)), "is a directory: give the file in it"));
  EXPECT_TRUE(contains(messageOf(GGUFFile::open("/dev/null")), "is not a regular file"));
}

} // namespace
} // namespace lowbit
