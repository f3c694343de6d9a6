//===- GGUFArchiveTests.cpp - Encoded tensors as a GGUF file -------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Archive/Archive.h"
#include "lowbit/Archive/GGMLTypes.h"
#include "lowbit/Numerics/BlockLayout.h"

#include "Builders.h"
#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace lowbit {
namespace {

using Tensor = ArchiveWriter::TensorDeclaration;
using GGUFArchiveTest = TemporaryFolder;

/// A tensor of a ggml type, as the IR would describe it.
Tensor declare(StringRef name, StringRef typeName, SmallVector<int64_t, 4> shape) {
  const GGMLType *type = lookupGGMLType(typeName);
  GGMLStorage storage = getStorageOf(*type, shape);
  return {name.str(),
          shape,
          *getEncodingOf(*type, shape.size()),
          {{storage.component.str(), storage.dtype, storage.shape}}};
}

Error writeArchive(StringRef path, ArrayRef<Tensor> tensors, const Metadata &model) {
  auto writer = ArchiveWriter::create(path, tensors, model);
  if (!writer)
    return writer.takeError();
  for (auto [i, tensor] : enumerate(tensors)) {
    uint64_t size = *countBytes(tensor.components[0].dtype, tensor.components[0].shape);
    if (Error error = (*writer)->append(bytesOf(std::string(size, char('a' + i)))))
      return error;
  }
  return (*writer)->commit();
}

//===----------------------------------------------------------------------===//
// The table of types
//===----------------------------------------------------------------------===//

TEST(GGMLTypes, TheTableReadsBothWays) {
  unsigned encoded = 0;
  for (const GGMLType &type : getGGMLTypes())
    for (unsigned rank : {1, 2, 3, 4}) {
      std::optional<std::string> encoding = getEncodingOf(type, rank);
      EXPECT_EQ(encoding.has_value(), type.hasEncoding()) << type.name.str();
      EXPECT_EQ(lookupGGMLType(type.id), &type);
      EXPECT_EQ(lookupGGMLType(type.name.lower()), &type);
      if (!encoding)
        continue;
      ++encoded;
      EXPECT_EQ(lookupGGMLTypeOf(*encoding), &type);
      EXPECT_EQ(lookupGGMLTypeOfTerm(*encoding, rank), type.isPlain() ? nullptr : &type);
    }
  EXPECT_GE(encoded, 4u * 6);
}

TEST(GGMLTypes, TheTextsAreTheTermsOfTheStructs) {
  unsigned structs = 0;
  for (const GGMLType &type : getGGMLTypes()) {
    const numerics::BlockStruct *block = numerics::ggmlStruct(type.name.lower());
    EXPECT_EQ(block != nullptr, type.hasEncoding() && !type.isPlain()) << type.name.str();
    if (!block)
      continue;
    ++structs;
    EXPECT_EQ(block->elements, type.blockSize);
    EXPECT_EQ(block->bytes, type.blockBytes);
    EXPECT_EQ(*getEncodingOf(type, 2), "#lowbit.quantized<" + block->termOfRank(2).str() +
                                           ", layout = ggml<" + block->name + ">>");
  }
  EXPECT_EQ(structs, numerics::ggmlStructs().size());
}

TEST(GGMLTypes, OnlyALayoutOfGgmlIsAType) {
  auto nameOf = [](StringRef encoding) {
    const GGMLType *type = lookupGGMLTypeOf(encoding);
    return type ? type->name.str() : "none";
  };
  EXPECT_EQ(nameOf(""), "F32");
  EXPECT_EQ(nameOf("#lowbit.quantized<f32>"), "F32");
  EXPECT_EQ(nameOf("#lowbit.quantized<bf16>"), "BF16");
  // The encode rule does not matter to what is stored.
  EXPECT_EQ(nameOf("#lowbit.quantized<int<4>, scale = f16 per [1, 32], rule = absmax, "
                   "layout = ggml<q4_0>>"),
            "Q4_0");
  EXPECT_EQ(nameOf("#lowbit.quantized<int<4>, scale = f16 per [1, 32]>"), "none");
  EXPECT_EQ(nameOf("#lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q9>>"),
            "none");
  EXPECT_EQ(nameOf("#lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<f32>>"),
            "none");
  EXPECT_EQ(nameOf("#lowbit.sum<#lowbit.quantized<int<8>, layout = ggml<q8_0>>, "
                   "#lowbit.quantized<int<8>, layout = ggml<q8_0>>>"),
            "none");
}

//===----------------------------------------------------------------------===//
// Archives
//===----------------------------------------------------------------------===//

TEST_F(GGUFArchiveTest, TheExtensionDecides) {
  Tensor w = declare("w", "Q8_0", {2, 64});
  for (auto [name, format] : {std::pair("a.gguf", "GGUF 3"),
                              {"b.GGUF", "GGUF 3"},
                              {"c.safetensors", "Lowbit 1"},
                              {"gguf", "Lowbit 1"}}) {
    ASSERT_EQ(messageOf(writeArchive(pathOf(name), w, Metadata(""))), "no error");
    auto archive = cantFail(Archive::open(pathOf(name)));
    EXPECT_EQ(archive->getFormat(), format);
    const TensorInfo &info = archive->tensors()[0];
    EXPECT_EQ(info.encoding, w.encoding);
    EXPECT_EQ(info.shape, w.shape);
    EXPECT_EQ(info.bytes, 2u * 2 * 34);
    std::vector<Component> components = cantFail(archive->getComponents(info));
    ASSERT_EQ(components.size(), 1u);
    EXPECT_EQ(components[0].name, "blocks");
    EXPECT_EQ(textOf(components[0].data), std::string(2 * 2 * 34, 'a'));
  }
}

// From a GGUF file to a Lowbit archive and back: the same file.
TEST_F(GGUFArchiveTest, ThroughALowbitArchiveAndBack) {
  Bytes file;
  file.header(3, 5).string("z.last").u32(8).string("sorted first").keyU32("a.first", 1);
  file.string("tokens").u32(9).u32(8).u64(2).string("<s>").string("");
  file.keyU32("general.file_type", 2).keyU32("general.quantization_version", 2);
  file.tensor("w", {64, 3}, 2, 0).tensor("b", {3}, 30, 128).tensor("n", {2}, 0, 160).align(32);
  file.fill(108, 1).align(32).fill(6, 2).align(32).fill(8, 3).align(32);
  std::string original = writeFile("a.gguf", file.str());

  auto copy = [&](StringRef from, StringRef to) {
    auto source = cantFail(Archive::open(from));
    std::vector<Tensor> tensors;
    for (const TensorInfo &info : source->tensors()) {
      Tensor &tensor = tensors.emplace_back(Tensor{info.name, info.shape, info.encoding, {}});
      for (const Component &component : cantFail(source->getComponents(info)))
        tensor.components.push_back({component.name, component.dtype, component.shape});
    }
    auto writer = cantFail(ArchiveWriter::create(to, tensors, source->metadata()));
    for (const TensorInfo &info : source->tensors())
      for (const Component &component : cantFail(source->getComponents(info)))
        cantFail(writer->append(component.data));
    cantFail(writer->commit());
  };
  copy(original, pathOf("b.safetensors"));
  copy(pathOf("b.safetensors"), pathOf("c.gguf"));
  EXPECT_EQ(readFile(pathOf("c.gguf")), file.str());
}

struct Described {
  std::optional<uint32_t> fileType, version;
  size_t keys;
};

TEST_F(GGUFArchiveTest, TheMetadataDescribesTheTensors) {
  auto describe = [&](std::vector<Tensor> tensors, std::optional<uint32_t> fileType) -> Described {
    Metadata model("model");
    uint8_t bytes[4] = {uint8_t(fileType.value_or(0)), 0, 0, 0};
    if (fileType)
      model.insert("general.file_type", MetadataValue::makeScalar(MetadataType::U32, bytes));
    model.insert("k", MetadataValue::makeString("v"));
    cantFail(writeArchive(pathOf("m.gguf"), tensors, model));
    auto archive = cantFail(Archive::open(pathOf("m.gguf")));
    Described result;
    result.keys = archive->metadata().size();
    EXPECT_EQ(cantFail(archive->metadata().getString("k")), "v");
    // In its place, as a u32.
    if (fileType)
      EXPECT_EQ(archive->metadata().getEntries()[0].first, "general.file_type");
    auto number = [&](StringRef key) -> std::optional<uint32_t> {
      std::optional<MetadataValue> value = archive->metadata().lookup(key);
      if (!value)
        return std::nullopt;
      EXPECT_EQ(value->getType(), MetadataType::U32);
      return static_cast<uint32_t>(*value->asU64());
    };
    result.fileType = number("general.file_type");
    result.version = number("general.quantization_version");
    return result;
  };
  Tensor q8 = declare("q8", "Q8_0", {4, 32}), f32 = declare("f32", "F32", {100});
  Tensor q4 = declare("q4", "Q4_1", {64, 32}), bf16 = declare("bf16", "BF16", {300});

  Described mixed = describe({q8, f32, q4, bf16}, 7);
  EXPECT_EQ(mixed.fileType, 3u); // mostly Q4_1
  EXPECT_EQ(mixed.version, 2u);
  EXPECT_EQ(mixed.keys, 3u);
  EXPECT_EQ(describe({q8, f32}, std::nullopt).fileType, 7u);
  EXPECT_EQ(describe({q8, f32, bf16}, 1).fileType, 32u);
  Described plain = describe({f32}, 3);
  EXPECT_EQ(plain.fileType, 0u);
  EXPECT_FALSE(plain.version.has_value()); // there are no blocks
  EXPECT_EQ(plain.keys, 2u);
}

TEST_F(GGUFArchiveTest, EncodingsThatGGUFCannotHoldAreNamed) {
  std::string path = pathOf("out.gguf");
  auto refuse = [&](Tensor tensor, StringRef part) {
    std::string message = messageOf(ArchiveWriter::create(path, tensor, Metadata("")));
    EXPECT_TRUE(contains(message, path + ": cannot write: tensor 'w' " + part.str())) << message;
    EXPECT_EQ(messageOf(ArchiveWriter::check(path, tensor)), message);
  };
  std::vector<ArchiveWriter::ComponentDeclaration> planes = {{"codes", DType::U8, {2, 32}},
                                                             {"scale", DType::F16, {2, 2}}};
  refuse({"w", {2, 64}, "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>", planes},
         "has the encoding '#lowbit.quantized<int<4>, scale = f16 per [1, 32]>', which GGUF cannot "
         "hold: add `layout = ggml<q4_0>` to it, or write a .safetensors file");
  refuse({"w", {2, 64}, "#lowbit.quantized<int<4>, scale = f32 per [1, 32]>", planes},
         "has the encoding '#lowbit.quantized<int<4>, scale = f32 per [1, 32]>', which GGUF cannot "
         "hold: give it f32, f16, bf16 or a layout of ggml (ggml<q4_0>, ggml<q4_1>, ggml<q5_0>, ");
  // A term that has blocks for a matrix has none for a tensor of three dimensions.
  refuse({"w", {1, 2, 64}, "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>", planes},
         "has the encoding '#lowbit.quantized<int<4>, scale = f16 per [1, 32]>', which GGUF cannot "
         "hold: give it f32");

  Tensor wrong = declare("w", "Q4_0", {2, 64});
  wrong.components[0].shape = {2, 2, 20};
  refuse(wrong, "is to be stored as one component 'blocks', [2, 2, 18] of U8");
  wrong = declare("w", "Q4_0", {2, 64});
  wrong.components.push_back({"more", DType::U8, {1}});
  refuse(wrong, "is to be stored as one component 'blocks', [2, 2, 18] of U8");
  wrong = declare("w", "F16", {2, 64});
  wrong.components[0].dtype = DType::BF16;
  refuse(wrong, "is to be stored as one component 'codes', [2, 64] of F16");
  wrong = declare("w", "Q8_0", {2, 64});
  wrong.shape = {2, 65};
  refuse(wrong, "has rows of 65 elements, not a multiple of Q8_0's block of 32");
  EXPECT_TRUE(list().empty());

  // Plain f32 under its long name.
  Tensor codes = {"w", {3}, "#lowbit.quantized<f32>", {{"codes", DType::F32, {3}}}};
  EXPECT_EQ(messageOf(writeArchive(path, codes, Metadata(""))), "no error");
  EXPECT_EQ(cantFail(Archive::open(path))->tensors()[0].encoding, "");
}

} // namespace
} // namespace lowbit
