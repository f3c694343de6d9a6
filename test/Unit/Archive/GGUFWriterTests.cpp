//===- GGUFWriterTests.cpp - GGUF files, written and read again ----------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/GGUFWriter.h"

#include "Builders.h"
#include "lowbit/Archive/GGUF.h"
#include "llvm/ADT/STLExtras.h"

#include <csignal>
#include <sys/resource.h>
#include <unistd.h>

using namespace llvm;

namespace lowbit {
namespace {

using Declaration = GGUFWriter::Declaration;

const GGMLType *type(StringRef name) { return lookupGGMLType(name); }

class GGUFWriterTest : public TemporaryFolder {
protected:
  Error write(StringRef path, ArrayRef<Metadata::Entry> metadata, ArrayRef<Declaration> tensors,
              ArrayRef<StringRef> contents) {
    auto writer = GGUFWriter::create(path, metadata, tensors);
    if (!writer)
      return writer.takeError();
    for (StringRef content : contents)
      if (Error error = (*writer)->append(bytesOf(content)))
        return error;
    return (*writer)->commit();
  }

  MetadataValue scalar(MetadataType type, uint64_t bits) {
    return MetadataValue::makeScalar(type, bytesOf(Bytes().u64(bits).str()).data());
  }
  MetadataArray scalars(MetadataType type, StringRef bytes) {
    return metadata.internScalars(type, bytesOf(bytes));
  }
  void insert(StringRef key, MetadataValue value) {
    ASSERT_TRUE(metadata.insert(metadata.internString(key), value));
  }
  void insert(StringRef key, MetadataArray array) { insert(key, MetadataValue::makeArray(array)); }

  /// Every value type, at its ends, and every kind of array.
  void insertEverything() {
    insert("u8", scalar(MetadataType::U8, 255));
    insert("i8", scalar(MetadataType::I8, 0x80));
    insert("u16", scalar(MetadataType::U16, 65535));
    insert("i16", scalar(MetadataType::I16, 0x8000));
    insert("u32", scalar(MetadataType::U32, UINT32_MAX));
    insert("i32", scalar(MetadataType::I32, 0x80000000));
    insert("f32 NaN", scalar(MetadataType::F32, 0xFFC00123));
    insert("false", scalar(MetadataType::Bool, 0));
    insert("true", scalar(MetadataType::Bool, 1));
    insert("u64", scalar(MetadataType::U64, UINT64_MAX));
    insert("i64", scalar(MetadataType::I64, uint64_t(1) << 63));
    insert("f64 -0", scalar(MetadataType::F64, uint64_t(1) << 63));
    insert("string", MetadataValue::makeString("\xC4\xA0 \"quoted\"\n"));
    insert("empty string", MetadataValue::makeString(""));
    insert("zero byte", MetadataValue::makeString(StringRef("a\0b", 3)));
    insert("strings", metadata.internStrings({"", "a", "", "\xC4\xA0"}));
    for (MetadataType type :
         {MetadataType::U8, MetadataType::I8, MetadataType::U16, MetadataType::I16,
          MetadataType::U32, MetadataType::I32, MetadataType::F32, MetadataType::U64,
          MetadataType::I64, MetadataType::F64})
      insert(("[" + getMetadataTypeName(type) + "]").str(),
             scalars(type, std::string(3 * getMetadataTypeSize(type), '\xF1')));
    insert("[bool]", scalars(MetadataType::Bool, StringRef("\1\0\1", 3)));
    insert("no u8", scalars(MetadataType::U8, ""));
    insert("no f64", scalars(MetadataType::F64, ""));
    insert("no strings", metadata.internStrings({}));
    insert("no arrays", metadata.internArrays({}));
    MetadataArray two = scalars(MetadataType::I16, "abcd"), none = scalars(MetadataType::U32, "");
    MetadataArray inner = metadata.internArrays({two, none, metadata.internStrings({"", "x"})});
    insert("nested", metadata.internArrays({inner, metadata.internArrays({}), two}));
    insert("big", scalars(MetadataType::F32, std::string(4 * 300000, '\x3C')));
    insert("many strings", metadata.internStrings(std::vector<StringRef>(50000, "token")));
  }

  Metadata metadata{"test"};
};

bool sameArray(const MetadataArray &a, const MetadataArray &b);

bool sameValue(const MetadataValue &a, const MetadataValue &b) {
  if (a.getType() != b.getType())
    return false;
  if (a.asArray())
    return sameArray(*a.asArray(), *b.asArray());
  return a.asString() ? a.asString() == b.asString() : a.getBits() == b.getBits();
}

bool sameArray(const MetadataArray &a, const MetadataArray &b) {
  if (a.getElementType() != b.getElementType() || a.size() != b.size())
    return false;
  for (size_t i = 0; i != a.size(); ++i)
    if (!sameValue(a[i], b[i]))
      return false;
  return true;
}

//===----------------------------------------------------------------------===//
// What is written
//===----------------------------------------------------------------------===//

TEST_F(GGUFWriterTest, TheBytesAreThoseOfTheSpecification) {
  insert("general.architecture", MetadataValue::makeString("llama"));
  insert("n", scalar(MetadataType::U16, 0x1234));
  std::string path = pathOf("out.gguf");
  std::string blocks(2 * 34, '\7');
  ASSERT_EQ(
      messageOf(write(path, metadata.getEntries(),
                      {{"a", {2}, type("F16")}, {"w", {1, 64}, type("Q8_0")}}, {"abcd", blocks})),
      "no error");
  Bytes expected;
  expected.header(2, 2);
  expected.string("general.architecture").u32(8).string("llama").string("n").u32(2).u16(0x1234);
  expected.tensor("a", {2}, 1, 0).tensor("w", {64, 1}, 8, 32).align(32);
  expected.raw("abcd").align(32).raw(blocks).align(32);
  EXPECT_EQ(readFile(path), expected.str());
}

TEST_F(GGUFWriterTest, EveryKindOfMetadataIsReadAgain) {
  insertEverything();
  std::string path = pathOf("out.gguf");
  ASSERT_EQ(messageOf(write(path, metadata.getEntries(), {}, {})), "no error");
  auto file = cantFail(GGUFFile::open(path));
  ArrayRef<Metadata::Entry> read = file->getMetadata().getEntries();
  ASSERT_EQ(read.size(), metadata.size());
  for (auto [before, after] : zip_equal(metadata.getEntries(), read)) {
    EXPECT_EQ(before.first, after.first); // in their order
    EXPECT_TRUE(sameValue(before.second, after.second)) << before.first.str();
  }
  // Written once more, the file is the same to the byte.
  std::string again = pathOf("again.gguf");
  ASSERT_EQ(messageOf(write(again, read, {}, {})), "no error");
  EXPECT_EQ(readFile(path), readFile(again));
}

// The way through a Lowbit archive's JSON changes neither order nor bits.
TEST_F(GGUFWriterTest, MetadataFromJSONTextIsTheSame) {
  insertEverything();
  json::Value value = cantFail(json::parse(metadata.toJSONText()));
  SmallVector<StringRef> order;
  for (const Metadata::Entry &entry : metadata.getEntries())
    order.push_back(entry.first);
  Metadata copy = cantFail(Metadata::fromJSON(value, "copy", order));
  ASSERT_EQ(messageOf(write(pathOf("a.gguf"), metadata.getEntries(), {}, {})), "no error");
  ASSERT_EQ(messageOf(write(pathOf("b.gguf"), copy.getEntries(), {}, {})), "no error");
  EXPECT_EQ(readFile(pathOf("a.gguf")), readFile(pathOf("b.gguf")));
}

TEST_F(GGUFWriterTest, EveryTypeOfTensorIsReadAgain) {
  for (uint32_t alignment : {1, 8, 32, 4096}) {
    Metadata own("own");
    own.insert("general.alignment", scalar(MetadataType::U32, alignment));
    std::vector<Declaration> tensors;
    std::vector<std::string> contents;
    for (const GGMLType &type : getGGMLTypes()) {
      SmallVector<int64_t, 4> shape = {2, 3, type.blockSize};
      tensors.push_back({type.name.str(), shape, &type});
      contents.push_back(std::string(6 * type.blockBytes, char('A' + type.id)));
    }
    std::string path = pathOf("out.gguf");
    std::vector<StringRef> views(contents.begin(), contents.end());
    ASSERT_EQ(messageOf(write(path, own.getEntries(), tensors, views)), "no error");
    auto file = cantFail(GGUFFile::open(path));
    EXPECT_EQ(file->getAlignment(), alignment);
    ASSERT_EQ(file->getTensors().size(), tensors.size());
    for (auto [tensor, wanted, content] : zip_equal(file->getTensors(), tensors, contents)) {
      EXPECT_EQ(tensor.name, wanted.name);
      EXPECT_EQ(tensor.shape, wanted.shape);
      EXPECT_EQ(tensor.type, wanted.type);
      EXPECT_EQ(tensor.offset % alignment, 0u);
      EXPECT_EQ(textOf(tensor.data), content);
    }
    // ggml reads the last tensor's padding too.
    EXPECT_EQ(file->getFile().size() % alignment, 0u);
  }
}

TEST_F(GGUFWriterTest, TensorsComeInPieces) {
  std::string path = pathOf("out.gguf");
  auto writer =
      cantFail(GGUFWriter::create(path, {}, {{"a", {3}, type("I8")}, {"b", {1}, type("F32")}}));
  for (StringRef piece : {"a", "", "bc", "wx", "yz"})
    ASSERT_EQ(messageOf(writer->append(bytesOf(piece))), "no error");
  EXPECT_FALSE(sys::fs::exists(path));
  ASSERT_EQ(messageOf(writer->commit()), "no error");
  auto file = cantFail(GGUFFile::open(path));
  EXPECT_EQ(textOf(file->getTensors()[0].data), "abc");
  EXPECT_EQ(textOf(file->getTensors()[1].data), "wxyz");
}

//===----------------------------------------------------------------------===//
// What is not
//===----------------------------------------------------------------------===//

TEST_F(GGUFWriterTest, Refuses) {
  std::string path = pathOf("out.gguf");
  auto refuse = [&](ArrayRef<Metadata::Entry> entries, std::vector<Declaration> tensors,
                    StringRef part) {
    std::string message = messageOf(GGUFWriter::create(path, entries, tensors));
    EXPECT_TRUE(contains(message, path + ": cannot write: " + part.str())) << message;
  };
  Declaration good = {"w", {1}, type("F32")};
  refuse({}, {good, good}, "two tensors are named 'w'");
  refuse({}, {{"", {1}, good.type}}, "tensor '' has no name that GGUF could hold");
  refuse({}, {{"\xFF", {1}, good.type}}, "tensor '\xEF\xBF\xBD' has no name");
  std::string longest(63, 'n');
  EXPECT_EQ(messageOf(GGUFWriter::check(path, {longest, {1}, good.type})), "no error");
  refuse({}, {{longest + "n", {1}, good.type}}, "tensor 'nnn");
  refuse({}, {{"w", {}, good.type}}, "tensor 'w' has the shape [], but GGUF takes 1 to 4");
  refuse({}, {{"w", {1, 1, 1, 1, 1}, good.type}}, "tensor 'w' has the shape [1, 1, 1, 1, 1]");
  refuse({}, {{"w", {3, 0}, good.type}}, "tensor 'w' has the shape [3, 0]");
  refuse({}, {{"w", {-1}, good.type}}, "tensor 'w' has the impossible shape [-1]");
  refuse({}, {{"w", {2, 33}, type("Q4_0")}},
         "tensor 'w' has rows of 33 elements, not a multiple of Q4_0's block of 32");
  refuse({}, {{"w", {INT64_MAX}, type("F32")}}, "tensor 'w' has the impossible shape");
  std::vector<Declaration> many;
  for (const char *name : {"a", "b", "c", "d"})
    many.push_back({name, {int64_t(1) << 60}, type("I8")});
  refuse({}, many, "tensor 'd' makes the file longer than any file can be");

  MetadataValue one = scalar(MetadataType::U32, 1);
  refuse({{"k", one}, {"k", one}}, {}, "two key-values are named 'k'");
  refuse({{"", one}}, {}, "'' cannot be a key");
  refuse({{"\xFF", one}}, {}, "'\xEF\xBF\xBD' cannot be a key");
  std::string longKey(65536, 'k');
  refuse({{longKey, one}}, {}, "'kkk");
  for (MetadataValue bad : {scalar(MetadataType::U32, 24), scalar(MetadataType::U32, 0),
                            scalar(MetadataType::U64, 32), MetadataValue::makeString("32")})
    refuse({{"general.alignment", bad}}, {}, "'general.alignment' is not a power of two as u32");
  EXPECT_TRUE(list().empty());
}

TEST_F(GGUFWriterTest, FailuresLeaveNothing) {
  std::string path = pathOf("out.gguf");
  std::vector<Declaration> tensors = {{"a", {3}, type("I8")}, {"b", {1}, type("F32")}};
  EXPECT_EQ(messageOf(write(path, {}, tensors, {"abcd"})),
            path + ": cannot write: tensor 'a' has 3 bytes, but got 4");
  EXPECT_EQ(messageOf(write(path, {}, tensors, {"abc", "w"})),
            path + ": cannot write: tensor 'b' got 1 of 4 bytes");
  EXPECT_EQ(messageOf(write(path, {}, tensors, {"abc", "wxyz", "!"})),
            path + ": cannot write: 1 bytes are left over after the last tensor");
  EXPECT_EQ(messageOf(write(pathOf("none/out.gguf"), {}, tensors, {})),
            pathOf("none/out.gguf") + ": cannot write: No such file or directory: check that the "
                                      "folder exists and is writable");
  EXPECT_EQ(messageOf(write(folder, {}, tensors, {})),
            folder.str().str() + ": cannot write: it is a directory: give a file name");
  EXPECT_EQ(messageOf(write("/dev/null", {}, tensors, {})),
            "/dev/null: cannot write: it is not a regular file");
  EXPECT_TRUE(list().empty());
}

// As on a full disk: the system takes no more bytes.
TEST_F(GGUFWriterTest, AFileThatCannotGrowLeavesNothing) {
  std::string path = writeFile("out.gguf", "precious");
  std::vector<Declaration> tensors = {{"a", {100000}, type("I8")}};
  std::string content(100000, 'x');
  rlimit before, limited;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  limited = before;
  limited.rlim_cur = 50000;
  auto *handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limited), 0);
  std::string message = messageOf(write(path, {}, tensors, {content}));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(message, path + ": cannot write: File too large");
  EXPECT_EQ(readFile(path), "precious");
  EXPECT_EQ(list(), std::vector<std::string>{"out.gguf"});
}

TEST_F(GGUFWriterTest, AFolderThatMayNotBeWrittenStaysAsItIs) {
  if (::geteuid() == 0)
    GTEST_SKIP() << "root may write everywhere";
  ASSERT_FALSE(sys::fs::setPermissions(folder, sys::fs::owner_read | sys::fs::owner_exe));
  std::string message = messageOf(write(pathOf("out.gguf"), {}, {{"a", {1}, type("I8")}}, {"x"}));
  ASSERT_FALSE(sys::fs::setPermissions(folder, sys::fs::owner_all));
  EXPECT_TRUE(contains(message, "cannot write: Permission denied: check that the folder exists"));
  EXPECT_TRUE(list().empty());
}

} // namespace
} // namespace lowbit
