//===- ArchiveTests.cpp - The one interface over three kinds of file -----===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/Archive.h"

#include "Builders.h"

using namespace llvm;

namespace lowbit {
namespace {

using ArchiveTest = TemporaryFolder;
using Shape = SmallVector<int64_t, 4>;

std::unique_ptr<Archive> openOrDie(StringRef path) {
  auto archive = Archive::open(path);
  EXPECT_TRUE(bool(archive)) << toString(archive.takeError());
  return archive ? std::move(*archive) : nullptr;
}

//===----------------------------------------------------------------------===//
// GGUF
//===----------------------------------------------------------------------===//

std::string makeGGUF() {
  Bytes file;
  file.header(8, 3).keyU32("llama.block_count", 30);
  file.string("llama.rope.freq_base").u32(6).u32(0x461C4000);
  file.string("tokenizer.ggml.tokens").u32(9).u32(8).u64(2).string("<s>").string("\xC4\xA0");
  file.tensor("f32", {2}, 0, 0).tensor("f16", {2}, 1, 32).tensor("bf16", {2}, 30, 64);
  file.tensor("q4_0", {64, 3}, 2, 96).tensor("q4_1", {32}, 3, 224);
  file.tensor("q8_0", {32, 2, 2}, 8, 256)
      .tensor("iq3_s", {256}, 21, 416)
      .tensor("i32", {1}, 26, 576);
  return file.align(32).fill(96, 1).fill(128, 2).fill(32, 3).fill(160, 4).fill(164, 5).str();
}

TEST_F(ArchiveTest, GGUFTypesHaveTheirEncodings) {
  auto archive = openOrDie(writeFile("model.gguf", makeGGUF()));
  ASSERT_NE(archive, nullptr);
  EXPECT_EQ(archive->getFormat(), "GGUF 3");
  ASSERT_EQ(archive->tensors().size(), 8u);
  struct Case {
    const char *name, *encoding;
    Shape shape;
    const char *component;
    DType dtype;
    Shape componentShape;
    uint64_t bytes;
  } cases[] = {
      {"f32", "", {2}, "values", DType::F32, {2}, 8},
      {"f16", "#lowbit.quantized<f16>", {2}, "codes", DType::F16, {2}, 4},
      {"bf16", "#lowbit.quantized<bf16>", {2}, "codes", DType::BF16, {2}, 4},
      {"q4_0",
       "#lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>",
       {3, 64},
       "blocks",
       DType::U8,
       {3, 2, 18},
       108},
      {"q4_1",
       "#lowbit.quantized<uint<4>, scale = f16 per [32], min = f16 per [32], layout = ggml<q4_1>>",
       {32},
       "blocks",
       DType::U8,
       {1, 20},
       20},
      {"q8_0",
       "#lowbit.quantized<int<8>, scale = f16 per [1, 1, 32], layout = ggml<q8_0>>",
       {2, 2, 32},
       "blocks",
       DType::U8,
       {2, 2, 1, 34},
       136},
  };
  for (const Case &test : cases) {
    const TensorInfo *info = cantFail(archive->find(test.name));
    EXPECT_EQ(cantFail(archive->getEncoding(*info)), test.encoding);
    EXPECT_EQ(info->shape, test.shape);
    EXPECT_EQ(info->bytes, test.bytes);
    std::vector<Component> components = cantFail(archive->getComponents(*info));
    ASSERT_EQ(components.size(), 1u);
    EXPECT_EQ(components[0].name, test.component);
    EXPECT_EQ(components[0].dtype, test.dtype);
    EXPECT_EQ(components[0].shape, test.componentShape);
    EXPECT_EQ(components[0].data.size(), test.bytes);
  }
  EXPECT_EQ(archive->lookup("q4_1")->getBitsPerWeight(), 5.0);
  EXPECT_EQ(archive->lookup("f32")->describeEncoding(), "f32");
  std::vector<Component> blocks = cantFail(archive->getComponents(*archive->lookup("q8_0")));
  EXPECT_EQ(textOf(blocks[0].data), std::string(136, 4));
}

TEST_F(ArchiveTest, TypesWithoutEncodingAreListedOnly) {
  std::string path = writeFile("model.gguf", makeGGUF());
  auto archive = openOrDie(path);
  ASSERT_NE(archive, nullptr);
  const TensorInfo *info = archive->lookup("iq3_s");
  ASSERT_NE(info, nullptr);
  EXPECT_FALSE(info->supported);
  EXPECT_EQ(info->describeEncoding(), "ggml IQ3_S (not supported)");
  EXPECT_EQ(info->bytes, 110u);
  EXPECT_EQ(info->getBitsPerWeight(), 3.4375);
  std::string message = path + ": tensor 'iq3_s' is stored as ggml IQ3_S, for which there is no "
                               "encoding: convert it to F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, "
                               "Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, BF16, TQ1_0, TQ2_0 "
                               "or MXFP4";
  EXPECT_EQ(messageOf(archive->getEncoding(*info)), message);
  EXPECT_EQ(messageOf(archive->getComponents(*info)), message);
  EXPECT_EQ(archive->lookup("i32")->describeEncoding(), "ggml I32 (not supported)");
}

TEST_F(ArchiveTest, AMissingTensorGetsAHint) {
  std::string path = writeFile("model.gguf", makeGGUF());
  auto archive = openOrDie(path);
  ASSERT_NE(archive, nullptr);
  EXPECT_EQ(archive->lookup("q4"), nullptr);
  EXPECT_EQ(messageOf(archive->find("q4_2")),
            path + ": no tensor is named 'q4_2'; did you mean 'q4_0'?");
  EXPECT_EQ(messageOf(archive->find("output.weight")),
            path + ": no tensor is named 'output.weight'");
}

TEST_F(ArchiveTest, HintsDoNotChangeData) {
  auto archive = openOrDie(writeFile(
      "big.gguf", Bytes().header(1, 0).tensor("w", {65536}, 24, 0).align(32).fill(65536, 7).str()));
  ASSERT_NE(archive, nullptr);
  const TensorInfo &info = archive->tensors()[0];
  archive->willNeed(info);
  archive->release(info);
  // I8 has no encoding; a supported one of several pages:
  auto plain = openOrDie(
      writeFile("plain.gguf",
                Bytes().header(1, 0).tensor("w", {16384}, 0, 0).align(32).fill(65536, 7).str()));
  ASSERT_NE(plain, nullptr);
  std::vector<Component> values = cantFail(plain->getComponents(plain->tensors()[0]));
  plain->willNeed(plain->tensors()[0]);
  EXPECT_EQ(textOf(values[0].data), std::string(65536, 7));
  plain->release(plain->tensors()[0]);
  EXPECT_EQ(textOf(values[0].data), std::string(65536, 7));
}

//===----------------------------------------------------------------------===//
// Safetensors from elsewhere
//===----------------------------------------------------------------------===//

TEST_F(ArchiveTest, SafetensorsFromElsewhere) {
  auto archive = openOrDie(
      writeFile("plain.safetensors",
                makeSafetensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                                "\"b\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[4,6]},"
                                "\"c\":{\"dtype\":\"BF16\",\"shape\":[1,1],\"data_offsets\":[6,8]},"
                                "\"d\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[8,16]}}",
                                "abcdefgh01234567")));
  ASSERT_NE(archive, nullptr);
  EXPECT_EQ(archive->getFormat(), "safetensors");
  ASSERT_EQ(archive->tensors().size(), 4u);
  EXPECT_EQ(cantFail(archive->getEncoding(archive->tensors()[0])), "");
  EXPECT_EQ(cantFail(archive->getEncoding(archive->tensors()[1])), "#lowbit.quantized<f16>");
  EXPECT_EQ(cantFail(archive->getEncoding(archive->tensors()[2])), "#lowbit.quantized<bf16>");
  EXPECT_EQ(archive->tensors()[1].elements, 1u);
  std::vector<Component> c = cantFail(archive->getComponents(archive->tensors()[2]));
  EXPECT_EQ(c[0].name, "codes");
  EXPECT_EQ(textOf(c[0].data), "gh");
  EXPECT_TRUE(contains(messageOf(archive->getEncoding(archive->tensors()[3])),
                       "tensor 'd' is stored as safetensors I64, for which there is no encoding"));
  // Integers have no encoding, but can be read.
  EXPECT_EQ(archive->tensors()[3].describeEncoding(), "i64");
  std::vector<Component> d = cantFail(archive->getComponents(archive->tensors()[3]));
  EXPECT_EQ(d[0].name, "values");
  EXPECT_EQ(d[0].dtype, DType::I64);
  EXPECT_EQ(textOf(d[0].data), "01234567");
  EXPECT_TRUE(archive->metadata().empty());
  EXPECT_TRUE(contains(messageOf(archive->metadata().getString("general.architecture")),
                       "no model metadata at all"));
}

//===----------------------------------------------------------------------===//
// Lowbit archives
//===----------------------------------------------------------------------===//

const char encoding[] = "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>";

std::vector<ArchiveWriter::TensorDeclaration> declareTensors() {
  return {{"w", {1, 4}, encoding, {{"codes", DType::U8, {1, 2}}, {"scale", DType::F16, {1, 1}}}},
          {"norm", {2}, "", {{"values", DType::F32, {2}}}},
          {"half", {2}, "#lowbit.quantized<f16>", {{"codes", DType::F16, {2}}}},
          {"places", {3}, "", {{"values", DType::U8, {3}}}}};
}

Error writeArchive(StringRef path, const Metadata &model) {
  auto writer = ArchiveWriter::create(path, declareTensors(), model);
  if (!writer)
    return writer.takeError();
  for (const char *bytes : {"qQ", "sS", "12345678", "abcd", "xyz"})
    if (Error error = (*writer)->append(bytesOf(bytes)))
      return error;
  return (*writer)->commit();
}

TEST_F(ArchiveTest, AnEncodedModelIsAgainAModel) {
  auto model = openOrDie(writeFile("model.gguf", makeGGUF()));
  ASSERT_NE(model, nullptr);
  std::string path = pathOf("out.safetensors");
  ASSERT_EQ(messageOf(writeArchive(path, model->metadata())), "no error");

  auto archive = openOrDie(path);
  ASSERT_NE(archive, nullptr);
  EXPECT_EQ(archive->getFormat(), "Lowbit 1");
  ASSERT_EQ(archive->tensors().size(), 4u);
  const TensorInfo &w = archive->tensors()[0];
  EXPECT_EQ(w.name, "w");
  EXPECT_EQ(w.shape, (Shape{1, 4}));
  EXPECT_EQ(cantFail(archive->getEncoding(w)), encoding);
  EXPECT_EQ(w.bytes, 4u);
  EXPECT_EQ(w.getBitsPerWeight(), 8.0);
  std::vector<Component> components = cantFail(archive->getComponents(w));
  ASSERT_EQ(components.size(), 2u);
  EXPECT_EQ(components[0].name, "codes");
  EXPECT_EQ(components[0].shape, (Shape{1, 2}));
  EXPECT_EQ(textOf(components[0].data), "qQ");
  EXPECT_EQ(components[1].name, "scale");
  EXPECT_EQ(components[1].dtype, DType::F16);
  EXPECT_EQ(textOf(components[1].data), "sS");
  EXPECT_EQ(archive->tensors()[1].name, "norm");
  EXPECT_EQ(textOf(cantFail(archive->getComponents(archive->tensors()[1]))[0].data), "12345678");
  EXPECT_EQ(cantFail(archive->getEncoding(archive->tensors()[2])), "#lowbit.quantized<f16>");
  EXPECT_EQ(archive->tensors()[3].integers, DType::U8);
  EXPECT_EQ(textOf(cantFail(archive->getComponents(archive->tensors()[3]))[0].data), "xyz");

  EXPECT_EQ(cantFail(archive->metadata().getU32("llama.block_count")), 30u);
  EXPECT_EQ(cantFail(archive->metadata().getF32("llama.rope.freq_base")), 10000.0f);
  EXPECT_EQ(cantFail(archive->metadata().getStrings("tokenizer.ggml.tokens"))[1], "\xC4\xA0");
  EXPECT_EQ(archive->metadata().toJSONText(), model->metadata().toJSONText());
  EXPECT_EQ(archive->metadata().lookup("llama.rope.freq_base")->getType(), MetadataType::F32);

  // Encoded again, the file is the same to the byte.
  std::string again = pathOf("again.safetensors");
  ASSERT_EQ(messageOf(writeArchive(again, archive->metadata())), "no error");
  EXPECT_EQ(readFile(path), readFile(again));
}

TEST_F(ArchiveTest, NoModelIsNoMetadata) {
  std::string path = pathOf("out.safetensors");
  ASSERT_EQ(messageOf(writeArchive(path, Metadata(""))), "no error");
  auto archive = openOrDie(path);
  ASSERT_NE(archive, nullptr);
  EXPECT_TRUE(archive->metadata().empty());
}

TEST_F(ArchiveTest, WriterRefuses) {
  using Tensor = ArchiveWriter::TensorDeclaration;
  auto refuse = [&](std::vector<Tensor> tensors, StringRef part) {
    std::string path = pathOf("out.safetensors");
    std::string message = messageOf(ArchiveWriter::create(path, tensors, Metadata("")));
    EXPECT_TRUE(contains(message, path + ": cannot write: ")) << message;
    EXPECT_TRUE(contains(message, part)) << message;
  };
  Tensor plain = {"w", {2}, "", {{"values", DType::F32, {2}}}};
  refuse({plain, plain}, "two tensors are named 'w'");
  refuse({{"w", {2}, encoding, {}}}, "tensor 'w' has no components");
  refuse({{"w", {-2}, encoding, {{"codes", DType::U8, {1}}}}}, "'w' has the impossible shape");
  refuse({{"w", {2}, "\xFF", {{"codes", DType::U8, {1}}}}}, "that is not UTF-8");
  refuse({{"w", {2}, encoding, {{"", DType::U8, {1}}}}}, "a component without a name");
  refuse({{"w", {2}, "", {{"values", DType::F16, {2}}}}},
         "tensor 'w' is to be stored as one component 'values', [2] of F32");
  refuse({{"w", {2}, "#lowbit.quantized<bf16>", {{"codes", DType::BF16, {1, 2}}}}},
         "tensor 'w' is to be stored as one component 'codes', [2] of BF16");
  refuse({{"w", {2}, encoding, {{"codes", DType::U8, {1}}, {"codes", DType::U8, {1}}}}},
         "two tensors are named 'w::codes'");
  refuse({{"w", {2}, encoding, {{"a", DType::U8, {1}}}}, {"w::a", {2}, "", plain.components}},
         "two tensors are named 'w::a'");
  EXPECT_TRUE(list().empty());
}

TEST_F(ArchiveTest, DamagedArchivesAreRefused) {
  // One stored array "w::codes" and this "__metadata__", quotes as '.
  auto refuse = [&](std::string metadata, StringRef part) {
    std::string header = "{'__metadata__':{" + metadata +
                         "},'w::codes':{'dtype':'U8','shape':[1],'data_offsets':[0,1]}}";
    std::replace(header.begin(), header.end(), '\'', '"');
    std::string path = writeFile("damaged.safetensors", makeSafetensors(header, "a"));
    std::string message = messageOf(Archive::open(path));
    EXPECT_TRUE(contains(message, path + ": byte ")) << message;
    EXPECT_TRUE(contains(message, part)) << message;
  };
  const std::string version = "'lowbit.version':'1'";
  auto tensors = [&](const std::string &text) {
    std::string escaped;
    for (char c : text)
      escaped += c == '\'' ? std::string("\\'") : std::string(1, c);
    return version + ",'lowbit.tensors':'" + escaped + "'";
  };
  refuse("'lowbit.version':'2'", "lowbit.version is '2', but this reader knows only '1'");
  refuse(version, "byte 9: __metadata__ has no 'lowbit.tensors'");
  refuse(tensors("{"), "invalid JSON");
  refuse(tensors("[]"), "'lowbit.tensors' is not a JSON object");
  refuse(tensors("{}"), "'w::codes' belongs to no tensor of 'lowbit.tensors'");
  refuse(tensors("{'w':1}"), "tensor 'w' is not described by a shape, an encoding and components");
  refuse(tensors("{'w':{'shape':[1],'encoding':'x','components':[]}}"),
         "tensor 'w' is not described by a shape, an encoding and components");
  refuse(tensors("{'w':{'shape':[-1],'encoding':'x','components':['codes']}}"),
         "tensor 'w' has an impossible shape");
  refuse(tensors("{'w':{'shape':[1],'encoding':'x','components':[7]}}"),
         "tensor 'w' has a component whose name is not a string");
  refuse(tensors("{'w':{'shape':[1],'encoding':'x','components':['scale']}}"),
         "component 'scale' of tensor 'w' is missing: there is no 'w::scale'");
  refuse(tensors("{'w':{'shape':[1],'encoding':'x','components':['codes','codes']}}"),
         "'w::codes' is used twice");
  refuse(tensors("{'w::codes':{'shape':[1],'encoding':'#lowbit.quantized<f16>',"
                 "'components':['codes']}}"),
         "should be stored as one array 'codes', [1] of F16");
  refuse(tensors("{'w::codes':{'shape':[2],'encoding':'','components':['values']}}"),
         "should be stored as one array 'values', [2] of F32");
  refuse(tensors("{'w':{'shape':[1],'encoding':'x','components':['codes']},"
                 "'w':{'shape':[1],'encoding':'x','components':['codes']}}"),
         "duplicate key 'w'");
  const std::string good = tensors("{'w':{'shape':[1],'encoding':'x','components':['codes']}}");
  refuse(good + ",'lowbit.model':'{'", "of 'lowbit.model'");
  refuse(good + ",'lowbit.model':'[1]'", "the model metadata is not a JSON object");
  refuse(good + ",'lowbit.model':'" + std::string(50000, '[') + "'", "nested more than 32 deep");
}

TEST_F(ArchiveTest, RefusesOtherFiles) {
  std::string path = writeFile("model.bin", "PK\3\4 something else");
  EXPECT_TRUE(contains(messageOf(Archive::open(path)),
                       path + ": byte 0: neither a GGUF file (they begin with \"GGUF\") nor a "
                              "safetensors file"));
  EXPECT_TRUE(
      contains(messageOf(Archive::open(writeFile("short", "12345678"))), "byte 0: neither"));
  EXPECT_TRUE(contains(messageOf(Archive::open(writeFile("empty", ""))), "the file is empty"));
  EXPECT_TRUE(contains(messageOf(Archive::open(pathOf("none"))), "No such file"));
  EXPECT_TRUE(contains(messageOf(Archive::open(folder)), "is a directory"));
}

} // namespace
} // namespace lowbit
