//===- EncodeArchiveTests.cpp - A model in another encoding ---------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Compile/EncodeArchive.h"

#include "../Archive/Builders.h"
#include "lowbit/Compile/EncodedTensor.h"

using namespace llvm;

namespace lowbit {
namespace {

constexpr char int8[] = "#lowbit.quantized<int<8>, scale = f32 per [1, 32]>";
constexpr char nf4[] = "#lowbit.quantized<codebook<nf4>, scale = f32 per [1, 32]>";
constexpr char sparse[] = "#lowbit.sum<#lowbit.quantized<int<3>, scale = f16 per [1, 32]>, "
                          "#lowbit.sparse<f16, density = 0.05>>";

class EncodeArchiveTest : public TemporaryFolder {
protected:
  using Keep = std::vector<std::pair<std::string, std::string>>;

  void SetUp() override {
    TemporaryFolder::SetUp();
    // Names and shapes as a model's: three matrices, a vector, and one type that has no encoding.
    Bytes file;
    file.header(5, 1).keyU32("test.answer", 42);
    file.tensor("a.weight", {64, 40}, 0, 0).tensor("b.weight", {64, 40}, 0, 10240);
    file.tensor("c.weight", {63, 2}, 0, 20480).tensor("norm", {5}, 0, 20992);
    file.tensor("k.weight", {256}, 16, 21024).align(32);
    for (int i = 0; i < 5120; ++i)
      file.u32(bit_cast<uint32_t>(static_cast<float>(i * 2654435761u % 1000) - 500.0f));
    for (int i = 0; i < 126; ++i)
      file.u32(bit_cast<uint32_t>(static_cast<float>(i)));
    file.align(32);
    for (int i = 0; i < 5; ++i)
      file.u32(bit_cast<uint32_t>(0.1f * i));
    file.align(32).fill(144, 1);
    bytes = file.str();
    // Without the last tensor, which nothing can copy: the others are the archive of most tests.
    Bytes usable;
    usable.header(4, 1).keyU32("test.answer", 42);
    usable.tensor("a.weight", {64, 40}, 0, 0).tensor("b.weight", {64, 40}, 0, 10240);
    usable.tensor("c.weight", {63, 2}, 0, 20480).tensor("norm", {5}, 0, 20992).align(32);
    size_t start = bytes.size() - 21024 - 144;
    usable.raw(StringRef(bytes).substr(start, 21024));
    input = writeFile("in.gguf", usable.str());
    output = pathOf("out.safetensors");
  }

  Error encode(StringRef weights, const Keep &keep = {}, unsigned threads = 2) {
    EncodeArchiveOptions options{weights.str(), keep, threads};
    calls.clear();
    auto progress = [&](size_t done, size_t total, StringRef next) -> Error {
      calls.push_back({done, total, next.str()});
      if (calls.size() == stopAt)
        return createStringError("stopped by the test");
      return Error::success();
    };
    return encodeArchive(input, output, options, progress);
  }

  /// What `name` decodes to in a file.
  std::vector<float> decode(StringRef path, StringRef name) {
    auto archive = cantFail(Archive::open(path));
    const TensorInfo *tensor = cantFail(archive->find(name));
    std::vector<float> values(tensor->elements);
    cantFail(cantFail(context.read(*archive, *tensor)).decode(*archive, *tensor, values));
    return values;
  }
  /// What `name` is to decode to when it is encoded again.
  std::vector<float> expect(StringRef name, StringRef text) {
    std::vector<float> values = decode(input, name);
    auto shape = cantFail(cantFail(Archive::open(input))->find(name))->shape;
    TensorEncoding encoding = cantFail(context.read(text));
    auto components = cantFail(encoding.encode(shape, values));
    std::vector<Component> views;
    for (const EncodedComponent &c : components)
      views.push_back({c.name, c.dtype, c.shape, c.bytes});
    cantFail(encoding.decode(shape, views, values));
    return values;
  }
  std::string encodingOf(StringRef name) {
    return cantFail(cantFail(Archive::open(output))->find(name))->encoding;
  }

  std::string bytes, input, output;
  EncodingContext context;
  std::vector<std::tuple<size_t, size_t, std::string>> calls;
  size_t stopAt = 0;
};

TEST_F(EncodeArchiveTest, MatricesAreEncodedAndTheRestIsKept) {
  ASSERT_EQ(messageOf(encode(int8)), "no error");
  for (StringRef name : {"a.weight", "b.weight", "c.weight"}) {
    EXPECT_EQ(encodingOf(name), int8);
    EXPECT_EQ(decode(output, name), expect(name, int8));
    EXPECT_NE(decode(output, name), decode(input, name));
  }
  EXPECT_EQ(encodingOf("norm"), "");
  EXPECT_EQ(decode(output, "norm"), decode(input, "norm"));
  auto archive = cantFail(Archive::open(output));
  EXPECT_EQ(cantFail(archive->metadata().getU32("test.answer")), 42u);
  EXPECT_EQ(list(), (std::vector<std::string>{"in.gguf", "out.safetensors"}));
  std::vector<std::tuple<size_t, size_t, std::string>> expected = {
      {0, 4, "a.weight"}, {1, 4, "b.weight"}, {2, 4, "c.weight"}, {3, 4, "norm"}, {4, 4, ""}};
  EXPECT_EQ(calls, expected);
}

TEST_F(EncodeArchiveTest, TheFirstPatternThatMatchesDecides) {
  ASSERT_EQ(messageOf(encode(int8, {{"[c-z].*", "f32"}, {"b*", nf4}, {"?.weight", "same"}})),
            "no error");
  EXPECT_EQ(encodingOf("a.weight"), "");
  EXPECT_EQ(encodingOf("b.weight"), nf4);
  EXPECT_EQ(encodingOf("c.weight"), "");
  EXPECT_EQ(decode(output, "a.weight"), decode(input, "a.weight"));
  EXPECT_EQ(decode(output, "b.weight"), expect("b.weight", nf4));
}

TEST_F(EncodeArchiveTest, SparseTermsHaveTheirExtentsFromTheValues) {
  ASSERT_EQ(messageOf(encode(sparse, {{"b.*", int8}})), "no error");
  EXPECT_EQ(decode(output, "a.weight"), expect("a.weight", sparse));
  EXPECT_EQ(decode(output, "b.weight"), expect("b.weight", int8));
  EXPECT_EQ(decode(output, "c.weight"), expect("c.weight", sparse));
  for (size_t i = 1; i < calls.size(); ++i)
    EXPECT_GE(std::get<0>(calls[i]), std::get<0>(calls[i - 1]));
  EXPECT_EQ(calls.back(), std::make_tuple(size_t(4), size_t(4), std::string()));
}

TEST_F(EncodeArchiveTest, TheNumberOfThreadsChangesNothing) {
  ASSERT_EQ(messageOf(encode(sparse, {}, 1)), "no error");
  std::string one = readFile(output);
  ASSERT_EQ(messageOf(encode(sparse, {}, 5)), "no error");
  EXPECT_EQ(readFile(output), one);
}

TEST_F(EncodeArchiveTest, TheResultCanBeEncodedAgain) {
  ASSERT_EQ(messageOf(encode(int8)), "no error");
  std::string first = input;
  input = output;
  output = pathOf("again.safetensors");
  ASSERT_EQ(messageOf(encode("same")), "no error");
  EXPECT_EQ(readFile(output), readFile(input));
  ASSERT_EQ(messageOf(encode(nf4)), "no error");
  EXPECT_EQ(decode(output, "a.weight"), expect("a.weight", nf4));
}

TEST_F(EncodeArchiveTest, FailuresLeaveTheOutputAlone) {
  struct {
    std::string weights;
    Keep keep;
    std::string message;
  } cases[] = {
      {"#lowbit.quantized<int<", {}, "'#lowbit.quantized<int<' is not an encoding"},
      {"same", {{"zzz*", "nonsense"}}, "has a name like 'zzz*'"},
      {"same", {{"norm", int8}}, "tensors of one dimension stay as they are stored"},
      {"same", {{"*", "same"}, {"a.*", "nonsense"}}, "'nonsense' is not an encoding"},
      {"#lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>",
       {},
       "in.gguf: tensor 'c.weight': the encoding does not fit a tensor of shape [2, 63]"},
      {"#lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>",
       {},
       "--keep 'c.weight=same'"},
  };
  for (const auto &[weights, keep, message] : cases) {
    writeFile("out.safetensors", "precious");
    std::string given = messageOf(encode(weights, keep));
    EXPECT_TRUE(contains(given, message)) << given << "\nexpected " << message;
    EXPECT_EQ(readFile(output), "precious");
    EXPECT_EQ(list(), (std::vector<std::string>{"in.gguf", "out.safetensors"}));
  }
}

TEST_F(EncodeArchiveTest, ItStopsWhereTheCallerSaysSo) {
  for (StringRef weights : {int8, sparse})
    for (stopAt = 1; stopAt <= 5; ++stopAt) {
      EXPECT_EQ(messageOf(encode(weights)), "stopped by the test");
      EXPECT_EQ(calls.size(), stopAt);
      EXPECT_EQ(list(), std::vector<std::string>{"in.gguf"});
    }
}

TEST_F(EncodeArchiveTest, AnOutputNamedGGUFIsOne) {
  constexpr char q8_0[] = "#lowbit.quantized<int<8>, scale = f16 per [1, 32], layout = ggml<q8_0>>";
  constexpr char f16[] = "#lowbit.quantized<f16>";
  output = pathOf("out.gguf");
  // A row of c has 63 elements, which are no whole blocks.
  ASSERT_EQ(messageOf(encode(q8_0, {{"b.*", "f32"}, {"c.*", f16}})), "no error");
  auto archive = cantFail(Archive::open(output));
  EXPECT_EQ(archive->getFormat(), "GGUF 3");
  EXPECT_EQ(cantFail(archive->metadata().getU32("test.answer")), 42u);
  EXPECT_EQ(cantFail(archive->metadata().getU32("general.quantization_version")), 2u);
  EXPECT_EQ(encodingOf("a.weight"), q8_0);
  EXPECT_EQ(encodingOf("b.weight"), "");
  EXPECT_EQ(encodingOf("c.weight"), f16);
  EXPECT_EQ(decode(output, "a.weight"), expect("a.weight", q8_0));
  EXPECT_EQ(decode(output, "b.weight"), decode(input, "b.weight"));
  EXPECT_EQ(decode(output, "c.weight"), expect("c.weight", f16));
  EXPECT_EQ(decode(output, "norm"), decode(input, "norm"));
}

// Before anything is encoded, and so before the extents of sparse terms are learnt.
TEST_F(EncodeArchiveTest, WhatGGUFCannotHoldIsRefusedAtOnce) {
  output = writeFile("out.gguf", "precious");
  for (StringRef text : {int8, nf4, sparse}) {
    std::string given = messageOf(encode("same", {{"b.*", text.str()}}));
    EXPECT_TRUE(contains(given, output + ": cannot write: tensor 'b.weight' has the encoding '" +
                                    text.str() + "', which GGUF cannot hold: "))
        << given;
    EXPECT_TRUE(calls.empty());
    EXPECT_EQ(readFile(output), "precious");
  }
}

TEST_F(EncodeArchiveTest, TypesWithoutAnEncodingAreNamed) {
  input = writeFile("k.gguf", bytes);
  std::string given = messageOf(encode(int8));
  EXPECT_TRUE(contains(given, "k.gguf")) << given;
  EXPECT_TRUE(contains(given, "k.weight")) << given;
}

TEST_F(EncodeArchiveTest, TheArchiveItselfIsNoOutput) {
  output = input;
  EXPECT_TRUE(contains(messageOf(encode(int8)), "this is the archive itself"));
}

} // namespace
} // namespace lowbit
