//===- ParametersTests.cpp - Archives under compiled modules --------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/Archive.h"

#include "../Archive/Builders.h"
#include "Modules.h"

using namespace llvm;

namespace lowbit {
namespace {

/// Reads the words of a parameter's descriptor: out[i] = word i.
std::string makeReader(StringRef parameter, StringRef rank) {
  return ("module attributes {lowbit.entries = [{name = \"read\", arguments = [memref<9xi64>], "
          "outputs = 1 : i64}], lowbit.parameters = [" +
          parameter + R"(]} {
  llvm.mlir.global internal @"lowbit.parameter.0"() : !llvm.array<)" +
          rank + R"( x i64> {
    %z = llvm.mlir.zero : !llvm.array<)" +
          rank + R"( x i64>
    llvm.return %z : !llvm.array<)" +
          rank + R"( x i64>
  }
  llvm.func @_mlir_ciface_read(%d: !llvm.ptr) {
    %slot = llvm.getelementptr %d[1] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
    %out = llvm.load %slot : !llvm.ptr -> !llvm.ptr
    %p = llvm.mlir.addressof @"lowbit.parameter.0" : !llvm.ptr
    %v = llvm.load %p : !llvm.ptr -> !llvm.array<)" +
          rank + R"( x i64>
    llvm.store %v, %out : !llvm.array<)" +
          rank + R"( x i64>, !llvm.ptr
    llvm.return
  }
})")
      .str();
}

class ParametersTest : public TemporaryFolder {
protected:
  std::shared_ptr<const Archive> open(StringRef name, StringRef header, StringRef data) {
    auto archive = Archive::open(writeFile(name, makeSafetensors(header, data)));
    EXPECT_TRUE(bool(archive)) << toString(archive.takeError());
    return archive ? std::move(*archive) : nullptr;
  }
  /// Binds a module that reads one parameter; what the parameter's global holds then.
  Expected<std::vector<int64_t>> read(StringRef parameter, StringRef words,
                                      ArrayRef<std::shared_ptr<const Archive>> archives) {
    auto created = compile(makeReader(parameter, words));
    if (!created)
      return created.takeError();
    session = std::move(*created);
    if (Error error = bindParameters(*session, archives))
      return std::move(error);
    std::vector<int64_t> out(9);
    MemRefDescriptor descriptor(out.data(), 9);
    if (Error error = session->invoke("read", {descriptor.get()}))
      return std::move(error);
    return out;
  }
  std::unique_ptr<Session> session;
};

constexpr char matrix[] = R"({key = "w", component = "values", type = memref<?x2xf32>,
                             symbol = @"lowbit.parameter.0"})";

TEST_F(ParametersTest, DescriptorsPointIntoTheFile) {
  auto archive =
      open("w.safetensors", R"({"w":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]}}   )",
           StringRef("abcdefghijklmnopqrstuvwx"));
  auto words = read(matrix, "7", archive);
  ASSERT_TRUE(bool(words)) << toString(words.takeError());
  const Component component = cantFail(archive->getComponents(*archive->lookup("w")))[0];
  auto address = reinterpret_cast<int64_t>(component.data.data());
  ASSERT_EQ(address % 4, 0);
  EXPECT_EQ(*words, (std::vector<int64_t>{address, address, 0, 3, 2, 2, 1, 0, 0}));
}

TEST_F(ParametersTest, MisalignedDataIsCopied) {
  // One byte before, so that "w" starts at an odd address.
  auto archive = open(
      "w.safetensors",
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"F32","shape":[1,2],"data_offsets":[1,9]}}  )",
      StringRef("xabcdefgh"));
  auto words = read(matrix, "7", archive);
  ASSERT_TRUE(bool(words)) << toString(words.takeError());
  EXPECT_EQ((*words)[1] % 64, 0);
  EXPECT_EQ(StringRef(reinterpret_cast<const char *>((*words)[1]), 8), "abcdefgh");
}

TEST_F(ParametersTest, TheFirstArchiveThatHasTheKeyCounts) {
  StringRef header = R"({"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}    )";
  auto first =
      open("1.safetensors", R"({"v":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "1111");
  auto second = open("2.safetensors", header, "22222222");
  auto third = open("3.safetensors", header, "33333333");
  auto words = read(matrix, "7", {first, second, third});
  ASSERT_TRUE(bool(words)) << toString(words.takeError());
  EXPECT_EQ(StringRef(reinterpret_cast<const char *>((*words)[1]), 8), "22222222");
}

TEST_F(ParametersTest, WhatDoesNotFitIsAnError) {
  auto archive =
      open("w.safetensors", R"({"w":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]}}   )",
           StringRef("abcdefghijklmnopqrstuvwx"));
  auto other =
      open("o.safetensors", R"({"v":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "1111");
  std::string path = archive->getPath().str();
  struct {
    const char *key, *component, *type;
    std::vector<std::shared_ptr<const Archive>> archives;
    std::string message;
  } cases[] = {
      {"w", "values", "memref<?x2xf32>", {}, "has the parameter 'w', and no archive was given"},
      {"W", "values", "memref<?x2xf32>", {archive}, "w.safetensors: "},
      {"u", "values", "memref<?x2xf32>", {archive, other}, "no tensor 'u' in any of " + path},
      {"w",
       "codes",
       "memref<?x2xf32>",
       {archive},
       path + ": tensor 'w': the program reads component 'codes' as f32 [?, 2], the file has only "
              "'values' (stored as f32)"},
      {"w",
       "values",
       "memref<?x2xf16>",
       {archive},
       "reads component 'values' as f16 [?, 2], the file has f32 [3, 2]"},
      {"w", "values", "memref<?x3xf32>", {archive}, "as f32 [?, 3], the file has f32 [3, 2]"},
      {"w", "values", "memref<4x2xf32>", {archive}, "as f32 [4, 2], the file has f32 [3, 2]"},
  };
  for (const auto &[key, component, type, archives, message] : cases) {
    std::string parameter = std::string("{key = \"") + key + "\", component = \"" + component +
                            "\", type = " + type + ", symbol = @\"lowbit.parameter.0\"}";
    std::string given = messageOf(read(parameter, "7", archives));
    EXPECT_TRUE(contains(given, message)) << given << "\nexpected " << message;
    // A session without its parameters does not run.
    int64_t out[9];
    MemRefDescriptor descriptor(out, 9);
    EXPECT_TRUE(contains(messageOf(session->invoke("read", {descriptor.get()})), "are not bound"));
  }
}

} // namespace
} // namespace lowbit
