//===- NpyTests.cpp - numpy's file format ---------------------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Runtime/Npy.h"

#include "../Archive/Builders.h"

using namespace llvm;

namespace lowbit {
namespace {

using NpyTest = TemporaryFolder;

/// A version 1 file of this header.
std::string makeNpy(StringRef header, StringRef data = "") {
  return Bytes().raw("\x93NUMPY").u8(1).u8(0).u16(header.size()).raw(header).raw(data).str();
}

TEST_F(NpyTest, ReadsWhatNumpyWrites) {
  // numpy.save of numpy.array([[1, 2, 3]], numpy.int16)
  std::string header = "{'descr': '<i2', 'fortran_order': False, 'shape': (1, 3), }";
  header.resize(117, ' ');
  header += '\n';
  auto array = readNpy(writeFile("a.npy", makeNpy(header, StringRef("\1\0\2\0\3\0", 6))));
  ASSERT_TRUE(bool(array)) << toString(array.takeError());
  EXPECT_EQ(array->getDType(), DType::I16);
  EXPECT_EQ(array->getShape(), ArrayRef<int64_t>({1, 3}));
  EXPECT_EQ(array->values<int16_t>().vec(), (std::vector<int16_t>{1, 2, 3}));
}

TEST_F(NpyTest, ReadsVersion2AndAnyOrderOfKeys) {
  StringRef header = "{\"shape\":(),\"fortran_order\":True,\"descr\":\"<f8\"}\n";
  std::string file =
      Bytes().raw("\x93NUMPY").u8(2).u8(0).u32(header.size()).raw(header).u64(0).str();
  auto array = readNpy(writeFile("a.npy", file));
  ASSERT_TRUE(bool(array)) << toString(array.takeError());
  EXPECT_EQ(array->getDType(), DType::F64);
  EXPECT_TRUE(array->getShape().empty());
}

TEST_F(NpyTest, RoundTrips) {
  std::string path = pathOf("a.npy");
  for (DType dtype : {DType::Bool, DType::I8, DType::U8, DType::I16, DType::U16, DType::I32,
                      DType::U32, DType::I64, DType::U64, DType::F16, DType::F32, DType::F64})
    for (std::vector<int64_t> shape :
         {std::vector<int64_t>{}, {5}, {0}, {3, 0, 2}, {2, 3, 4}, {1, 1, 1, 1, 7}}) {
      auto array = Array::allocate(dtype, shape);
      ASSERT_TRUE(bool(array));
      for (auto [i, byte] : enumerate(array->bytes()))
        byte = i * 37 + 1;
      EXPECT_EQ(messageOf(writeNpy(path, *array)), "no error");
      auto again = readNpy(path);
      ASSERT_TRUE(bool(again)) << toString(again.takeError());
      EXPECT_EQ(again->getDType(), dtype);
      EXPECT_EQ(again->getShape(), array->getShape());
      EXPECT_EQ(again->bytes(), array->bytes());
      EXPECT_EQ((readFile(path).size() - array->bytes().size()) % 64, 0u);
    }
  EXPECT_EQ(list(), std::vector<std::string>{"a.npy"});
}

TEST_F(NpyTest, BadFilesHaveLocatedErrors) {
  StringRef good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n";
  ASSERT_EQ(messageOf(readNpy(writeFile("a.npy", makeNpy(good, "12345678")))), "no error");
  struct {
    std::string bytes;
    const char *message;
  } cases[] = {
      {"PK\3\4 something else", "byte 0: this is not a .npy file"},
      {"\x93NUM", "byte 0: this is not a .npy file"},
      {"\x93NUMPY\1", "byte 7: the file ends inside its header"},
      {Bytes().raw("\x93NUMPY").u8(9).u8(0).fill(20, 0).str(), "byte 6: version 9.0"},
      {Bytes().raw("\x93NUMPY").u8(1).u8(0).u16(60000).raw(good).str(),
       "byte 8: the header is longer than the file"},
      {Bytes().raw("\x93NUMPY").u8(2).u8(0).u32(~0u).raw(good).str(),
       "byte 8: the header is longer than the file"},
      {makeNpy("[1, 2]\n"), "byte 10: expected '{'"},
      {makeNpy("{'descr': '<f4'}\n"), "byte 27: the header lacks"},
      {makeNpy("{'descr': '<f4', 'descr': '<f4'}\n"), "unknown or repeated key 'descr'"},
      {makeNpy("{'color': 'red'}\n"), "unknown or repeated key 'color'"},
      {makeNpy("{'descr\n"), "byte 11: a string in the header does not end"},
      {makeNpy("{'descr': [('a', '<f4')]}\n"), "byte 20: expected a string"},
      {makeNpy("{'fortran_order': 1}\n"), "neither True nor False"},
      {makeNpy("{'shape': 3}\n"), "expected '('"},
      {makeNpy("{'shape': (-3,)}\n"), "an extent of 'shape' is not a whole number"},
      {makeNpy("{'shape': (99999999999999999999,)}\n"), "is not a whole number of up to 63 bits"},
      {makeNpy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x"), "something after"},
      {makeNpy("{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}\n", "12345678"),
       "elements of type '>f4' are not supported"},
      {makeNpy("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}\n", "12345678"),
       "elements of type '|O' are not supported"},
      {makeNpy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1)}\n", "12345678"),
       "Fortran order"},
      {makeNpy(good, "1234567"), "takes 8 bytes, the file has 7"},
      {makeNpy(good, "123456789"), "takes 8 bytes, the file has 9"},
      {makeNpy("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}\n"),
       "is too large, the file has 0"},
  };
  for (const auto &[bytes, message] : cases) {
    std::string path = writeFile("bad.npy", bytes);
    std::string given = messageOf(readNpy(path));
    EXPECT_TRUE(contains(given, message)) << given << "\nexpected " << message;
    EXPECT_TRUE(contains(given, path)) << given;
  }
  EXPECT_TRUE(contains(messageOf(readNpy(pathOf("none.npy"))), "none.npy"));
}

TEST_F(NpyTest, AFailedWriteLeavesNothing) {
  auto array = Array::allocate(DType::F32, {2});
  ASSERT_TRUE(bool(array));
  EXPECT_TRUE(contains(messageOf(writeNpy(pathOf("no/folder.npy"), *array)), "cannot write"));
  EXPECT_TRUE(contains(messageOf(writeNpy(folder, *array)), "it is a directory"));
  EXPECT_TRUE(list().empty());
}

TEST_F(NpyTest, WhatASymbolicLinkPointsToIsWritten) {
  auto array = Array::allocate(DType::F32, {2});
  ASSERT_TRUE(bool(array));
  ASSERT_FALSE(sys::fs::create_link("target.npy", pathOf("link.npy")));
  EXPECT_EQ(messageOf(writeNpy(pathOf("link.npy"), *array)), "no error");
  EXPECT_EQ(list(), (std::vector<std::string>{"link.npy", "target.npy"}));
  EXPECT_TRUE(sys::fs::is_symlink_file(pathOf("link.npy")));
}

TEST(ArrayTest, ImpossibleShapes) {
  EXPECT_TRUE(contains(messageOf(Array::allocate(DType::F32, {-1})), "f32 [-1]"));
  EXPECT_TRUE(contains(messageOf(Array::allocate(DType::F32, {int64_t(1) << 61})), "has no size"));
  EXPECT_TRUE(contains(messageOf(Array::allocate(DType::U8, {int64_t(1) << 59})), "out of memory"));
}

} // namespace
} // namespace lowbit
