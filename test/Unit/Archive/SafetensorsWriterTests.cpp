//===- SafetensorsWriterTests.cpp - What is written, and what is not -----===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/Safetensors.h"

#include "Builders.h"

#include <sys/stat.h>

using namespace llvm;

namespace lowbit {
namespace {

using WriterTest = TemporaryFolder;
using Declaration = SafetensorsWriter::Declaration;

const std::vector<Declaration> declarations = {{"codes", DType::U8, {3}},
                                               {"scale", DType::F16, {1, 2}},
                                               {"empty", DType::F32, {0}},
                                               {"values", DType::F32, {2}},
                                               {"index", DType::I64, {1}}};
const char *const contents[] = {"abc", "wxyz", "", "01234567", "ABCDEFGH"};

Error writeAll(StringRef path) {
  auto writer = SafetensorsWriter::create(path, declarations, {{"k", "v\n"}, {"a", "\xC3\xA9"}});
  if (!writer)
    return writer.takeError();
  for (const char *content : contents)
    if (Error error = (*writer)->append(bytesOf(content)))
      return error;
  return (*writer)->commit();
}

TEST_F(WriterTest, WhatIsWrittenIsRead) {
  std::string path = pathOf("out.safetensors");
  ASSERT_EQ(messageOf(writeAll(path)), "no error");
  EXPECT_EQ(list(), (std::vector<std::string>{"out.safetensors"}));

  auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(bool(file)) << messageOf(std::move(file));
  ASSERT_EQ((*file)->getTensors().size(), 5u);
  for (auto [declaration, content] : zip_equal(declarations, contents)) {
    const SafetensorsTensor *tensor = (*file)->lookup(declaration.name);
    ASSERT_NE(tensor, nullptr);
    EXPECT_EQ(tensor->dtype, declaration.dtype);
    EXPECT_EQ(tensor->shape, declaration.shape);
    EXPECT_EQ(textOf(tensor->data), content);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor->data.data()) % getAlignment(tensor->dtype), 0u);
  }
  // The order of the data: by alignment, then as declared.
  EXPECT_EQ((*file)->getTensors().front().name, "index");
  EXPECT_EQ((*file)->getTensors().back().name, "codes");
  EXPECT_EQ((*file)->getMetadata().lookup("k"), "v\n");
  EXPECT_EQ((*file)->getMetadata().lookup("a"), "\xC3\xA9");
}

TEST_F(WriterTest, TheBytesAreAsDocumented) {
  std::string path = pathOf("out.safetensors");
  auto writer = cantFail(SafetensorsWriter::create(path, {{"w", DType::U8, {2}}}));
  cantFail(writer->append(bytesOf("hi")));
  cantFail(writer->commit());
  std::string header = "{\"w\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}";
  EXPECT_EQ(readFile(path),
            Bytes().u64(56).raw(header).fill(56 - header.size(), ' ').raw("hi").str());
}

TEST_F(WriterTest, TheSameInputGivesTheSameFile) {
  ASSERT_EQ(messageOf(writeAll(pathOf("one"))), "no error");
  ASSERT_EQ(messageOf(writeAll(pathOf("two"))), "no error");
  EXPECT_EQ(readFile(pathOf("one")), readFile(pathOf("two")));
}

TEST_F(WriterTest, TakesATensorInPieces) {
  std::string path = pathOf("out.safetensors");
  auto writer = cantFail(SafetensorsWriter::create(path, declarations));
  for (StringRef piece : {"a", "bc", "wxyz", "0123", "", "4567", "ABCDEFG", "H"})
    ASSERT_EQ(messageOf(writer->append(bytesOf(piece))), "no error");
  ASSERT_EQ(messageOf(writer->commit()), "no error");
  auto file = cantFail(SafetensorsFile::open(path));
  for (auto [declaration, content] : zip_equal(declarations, contents))
    EXPECT_EQ(textOf(file->lookup(declaration.name)->data), content);
}

TEST_F(WriterTest, NothingIsVisibleBeforeCommit) {
  std::string path = writeFile("out.safetensors", "old");
  {
    auto writer = cantFail(SafetensorsWriter::create(path, declarations));
    cantFail(writer->append(bytesOf("abc")));
    EXPECT_EQ(readFile(path), "old");
    EXPECT_EQ(list().size(), 2u);
  }
  EXPECT_EQ(readFile(path), "old");
  EXPECT_EQ(list(), (std::vector<std::string>{"out.safetensors"}));
}

TEST_F(WriterTest, AFileCanBeReplacedWhileItIsRead) {
  std::string path = pathOf("out.safetensors");
  ASSERT_EQ(messageOf(writeAll(path)), "no error");
  auto old = cantFail(SafetensorsFile::open(path));
  auto writer = cantFail(SafetensorsWriter::create(path, {{"codes", DType::U8, {3}}}));
  cantFail(writer->append(bytesOf("new")));
  cantFail(writer->commit());
  EXPECT_EQ(textOf(old->lookup("codes")->data), "abc");
  EXPECT_EQ(textOf(cantFail(SafetensorsFile::open(path))->lookup("codes")->data), "new");
}

TEST_F(WriterTest, FailuresLeaveNothing) {
  std::string path = pathOf("out.safetensors");
  {
    auto writer = cantFail(SafetensorsWriter::create(path, declarations));
    EXPECT_EQ(messageOf(writer->append(bytesOf("abcd"))),
              path + ": cannot write: tensor 'codes' has 3 bytes, but got 4");
    cantFail(writer->append(bytesOf("ab")));
    EXPECT_EQ(messageOf(writer->commit()),
              path + ": cannot write: tensor 'codes' got 2 of 3 bytes");
    EXPECT_TRUE(list().empty());
    EXPECT_TRUE(contains(messageOf(writer->append(bytesOf("c"))), "committed or discarded"));
    EXPECT_TRUE(contains(messageOf(writer->commit()), "committed or discarded"));
  }
  {
    auto writer = cantFail(SafetensorsWriter::create(path, {{"w", DType::U8, {1}}}));
    cantFail(writer->append(bytesOf("a")));
    EXPECT_TRUE(contains(messageOf(writer->append(bytesOf("b"))), "1 bytes are left over"));
  }
  {
    // The name is taken by a folder after create().
    auto writer = cantFail(SafetensorsWriter::create(path, {{"w", DType::U8, {1}}}));
    cantFail(writer->append(bytesOf("a")));
    ASSERT_FALSE(sys::fs::create_directory(path));
    EXPECT_TRUE(contains(messageOf(writer->commit()), path + ": cannot write: "));
    ASSERT_FALSE(sys::fs::remove(path));
  }
  EXPECT_TRUE(list().empty());
}

TEST_F(WriterTest, CreateRefuses) {
  auto refuse = [&](std::vector<Declaration> tensors,
                    std::vector<SafetensorsWriter::MetadataEntry> metadata, StringRef part) {
    std::string message =
        messageOf(SafetensorsWriter::create(pathOf("out.safetensors"), tensors, metadata));
    EXPECT_TRUE(contains(message, part)) << message;
  };
  refuse({{"w", DType::U8, {1}}, {"w", DType::U8, {1}}}, {}, "two tensors are named 'w'");
  refuse({{"", DType::U8, {1}}}, {}, "'' cannot be a tensor's name");
  refuse({{"__metadata__", DType::U8, {1}}}, {}, "'__metadata__' cannot be a tensor's name");
  refuse({{"\xFF", DType::U8, {1}}}, {}, "cannot be a tensor's name");
  refuse({{"w", DType::U8, {-1}}}, {}, "tensor 'w' has the impossible shape [-1] of U8");
  refuse({{"w", DType::F64, {INT64_MAX}}}, {}, "tensor 'w' has the impossible shape");
  // Each is possible, but not all in one file.
  std::vector<Declaration> many;
  for (const char *name : {"a", "b", "c", "d", "e", "f", "g", "h"})
    many.push_back({name, DType::U8, {int64_t(1) << 60}});
  refuse(many, {}, "tensor 'h' has the impossible shape");
  refuse({}, {{"k", "\xFF"}}, "the metadata 'k' is not UTF-8");
  refuse({}, {{"k", "1"}, {"k", "2"}}, "two metadata entries are named 'k'");
  EXPECT_TRUE(list().empty());

  std::string path = pathOf("none/out.safetensors");
  EXPECT_EQ(messageOf(SafetensorsWriter::create(path, {})),
            path + ": cannot write: No such file or directory: check that the folder exists and is "
                   "writable");
  EXPECT_TRUE(contains(messageOf(SafetensorsWriter::create(folder, {})), "it is a directory"));
}

TEST_F(WriterTest, WhatASymbolicLinkPointsToIsWritten) {
  ASSERT_FALSE(sys::fs::create_directory(pathOf("far")));
  ASSERT_FALSE(sys::fs::create_link("far/target", pathOf("link"))); // relative, and not there yet
  ASSERT_FALSE(sys::fs::create_link(pathOf("link"), pathOf("second")));
  for (const char *name : {"link", "second"}) {
    EXPECT_EQ(messageOf(writeAll(pathOf(name))), "no error");
    EXPECT_TRUE(sys::fs::is_symlink_file(pathOf(name)));
    EXPECT_TRUE(sys::fs::is_regular_file(pathOf("far/target")));
    ASSERT_FALSE(sys::fs::remove(pathOf("far/target")));
  }
  ASSERT_FALSE(sys::fs::create_link("circle", pathOf("circle")));
  EXPECT_TRUE(contains(messageOf(writeAll(pathOf("circle"))), "a circle of them"));
  ASSERT_FALSE(sys::fs::create_link(folder, pathOf("folder")));
  EXPECT_TRUE(contains(messageOf(writeAll(pathOf("folder"))), "it is a directory"));
}

TEST_F(WriterTest, APlainNameGoesToTheCurrentFolder) {
  SmallString<128> before;
  ASSERT_FALSE(sys::fs::current_path(before));
  ASSERT_FALSE(sys::fs::set_current_path(folder));
  std::string message = messageOf(writeAll("plain"));
  ASSERT_FALSE(sys::fs::set_current_path(before));
  EXPECT_EQ(message, "no error");
  EXPECT_EQ(list(), (std::vector<std::string>{"plain"}));
  // Readable like any new file, not only by its owner as temporary files are.
  mode_t mask = ::umask(0);
  ::umask(mask);
  sys::fs::file_status status;
  ASSERT_FALSE(sys::fs::status(pathOf("plain"), status));
  EXPECT_EQ(static_cast<unsigned>(status.permissions()), 0666u & ~mask);
}

} // namespace
} // namespace lowbit
