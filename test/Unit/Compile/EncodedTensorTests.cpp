//===- EncodedTensorTests.cpp - Values and components ---------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Compile/EncodedTensor.h"

#include "../Archive/Builders.h"
#include "lowbit/Archive/GGMLTypes.h"

using namespace llvm;

namespace lowbit {
namespace {

using Shape = SmallVector<int64_t, 4>;

Component viewOf(const EncodedComponent &component) {
  return {component.name, component.dtype, component.shape, component.bytes};
}

TEST(EncodedTensorTest, IntegersRoundToTheGrid) {
  EncodingContext context;
  TensorEncoding encoding =
      cantFail(context.read(" #lowbit.quantized<int<4>, scale = f32 per [1, 4]> "));
  EXPECT_EQ(encoding.str(), "#lowbit.quantized<int<4>, scale = f32 per [1, 4]>");
  // The largest magnitude is 7, so the scale is 1.
  float values[] = {7, -1, 0.5, 2.6, 14, -14, 3, 1};
  auto components = cantFail(encoding.encode({2, 4}, values));
  ASSERT_EQ(components.size(), 2u);
  EXPECT_EQ(components[0].name, "codes");
  EXPECT_EQ(components[0].dtype, DType::U8);
  EXPECT_EQ(components[0].shape, (Shape{2, 2}));
  EXPECT_EQ(components[0].bytes, (std::vector<uint8_t>{0xf7, 0x30, 0x97, 0x02}));
  EXPECT_EQ(components[1].name, "scale");
  EXPECT_EQ(components[1].dtype, DType::F32);
  EXPECT_EQ(components[1].shape, (Shape{2, 1}));

  // In any order.
  std::vector<Component> views = {viewOf(components[1]), viewOf(components[0])};
  std::vector<float> decoded(8);
  ASSERT_EQ(messageOf(encoding.decode({2, 4}, views, decoded)), "no error");
  EXPECT_EQ(decoded, (std::vector<float>{7, -1, 0, 3, 14, -14, 4, 0}));
}

TEST(EncodedTensorTest, PlainValues) {
  EncodingContext context;
  for (StringRef text : {"", "f32", " f32\n"}) {
    TensorEncoding encoding = cantFail(context.read(text));
    EXPECT_EQ(encoding.str(), "");
    float values[] = {1, -2};
    auto components = cantFail(encoding.encode(Shape{2}, values));
    ASSERT_EQ(components.size(), 1u);
    EXPECT_EQ(components[0].name, "values");
    std::vector<float> decoded(2);
    ASSERT_EQ(messageOf(encoding.decode(Shape{2}, viewOf(components[0]), decoded)), "no error");
    EXPECT_EQ(decoded, (std::vector<float>{1, -2}));
  }
}

TEST(EncodedTensorTest, ExtentsThatOnlyValuesDecide) {
  EncodingContext context;
  TensorEncoding encoding =
      cantFail(context.read("#lowbit.sum<#lowbit.quantized<int<4>, scale = f32 per [1, 4]>, "
                            "#lowbit.sparse<f32, density = 0.25>>"));
  auto types = cantFail(encoding.getComponents({2, 4}));
  ASSERT_EQ(types.size(), 5u);
  EXPECT_EQ(types[4].name, "1.values");
  EXPECT_FALSE(types[4].isStatic());
  EXPECT_TRUE(types[2].isStatic());
  float values[] = {7, -1, 100, 2, 1, 1, -50, 1};
  auto components = cantFail(encoding.encode({2, 4}, values));
  EXPECT_EQ(components[4].shape, Shape{2});
  std::vector<Component> views(map_range(components, viewOf).begin(),
                               map_range(components, viewOf).end());
  std::vector<float> decoded(8);
  ASSERT_EQ(messageOf(encoding.decode({2, 4}, views, decoded)), "no error");
  EXPECT_EQ(decoded[2], 100);
  EXPECT_EQ(decoded[6], -50);
}

TEST(EncodedTensorTest, WhatIsNoEncoding) {
  EncodingContext context;
  struct {
    const char *text, *message;
  } cases[] = {
      {"int4", "'int4' is not an encoding"},
      {"#lowbit.quantized<int<", "'#lowbit.quantized<int<' is not an encoding: "},
      {"#lowbit.quantized<int<4>, scale = f99 per tensor>", "is not an encoding: "},
      {"#nosuch.encoding<3>", "is not an encoding: "},
      {"32 : i64", "such as #lowbit.quantized<int<4>, scale = f16 per [1, 32]>"},
      {"#lowbit.quantized<f16>@", "is not an encoding: "},
  };
  for (auto [text, message] : cases) {
    std::string given = messageOf(context.read(text));
    EXPECT_TRUE(contains(given, message)) << given;
  }
  // An archive's text is a stranger's: it must not exhaust the stack.
  EXPECT_TRUE(contains(messageOf(context.read(std::string(1000000, '['))), "nested more than"));
}

TEST(EncodedTensorTest, ComponentsThatDoNotFit) {
  EncodingContext context;
  TensorEncoding encoding =
      cantFail(context.read("#lowbit.quantized<int<8>, scale = f32 per [1, 4]>"));
  uint8_t bytes[16] = {};
  auto make = [&](StringRef name, DType dtype, Shape shape) {
    size_t size = *countBytes(dtype, shape);
    return Component{name.str(), dtype, shape, ArrayRef(bytes, size)};
  };
  Component codes = make("codes", DType::U8, {2, 4}), scale = make("scale", DType::F32, {2, 1});
  std::vector<float> decoded(8);
  ASSERT_EQ(messageOf(encoding.decode({2, 4}, {codes, scale}, decoded)), "no error");
  struct {
    std::vector<Component> components;
    const char *message;
  } cases[] = {
      {{codes}, "component 'scale' is missing"},
      {{codes, make("scale", DType::F16, {2, 1})},
       "component 'scale' is f16 [2, 1], the encoding wants f32 [2, 1]"},
      {{codes, make("scale", DType::F32, {1, 2})}, "component 'scale' is f32 [1, 2]"},
      {{make("codes", DType::U8, {8}), scale}, "component 'codes' is u8 [8]"},
      {{Component{"codes", DType::U8, {2, 4}, ArrayRef(bytes, 7)}, scale}, "component 'codes'"},
  };
  for (const auto &[components, message] : cases) {
    std::string given = messageOf(encoding.decode({2, 4}, components, decoded));
    EXPECT_TRUE(contains(given, message)) << given;
  }
  EXPECT_TRUE(contains(
      messageOf(encoding.decode({2, 4}, {codes, scale}, MutableArrayRef(decoded).drop_back())),
      "does not have 7 values"));
  EXPECT_TRUE(contains(messageOf(encoding.encode({2, 5}, decoded)), "does not have 8 values"));
  EXPECT_TRUE(contains(messageOf(encoding.encode(Shape{8}, decoded)),
                       "does not fit a tensor of shape [8]"));
}

TEST(EncodedTensorTest, BytesAreThoseOfAllComponents) {
  EncodingContext context;
  auto bytesOf = [&](StringRef text, Shape shape) {
    return cantFail(cantFail(context.read(text)).getBytes(shape));
  };
  EXPECT_EQ(bytesOf("f32", {3, 5}), 60u);
  EXPECT_EQ(bytesOf("#lowbit.quantized<bf16>", {3, 5}), 30u);
  // Rows of 5 codes: 10 and 5 bits, in 2 bytes and 1; 2 scales each.
  EXPECT_EQ(bytesOf("#lowbit.quantized<int<3>, scale = f16 per [1, 4]>", {3, 5}), 9u + 12);
  EXPECT_EQ(
      bytesOf("#lowbit.quantized<int<8>, scale = f16 per [1, 32], layout = ggml<q8_0>>", {3, 64}),
      3u * 2 * 34);
  EXPECT_EQ(bytesOf("#lowbit.sparse<f16, density = 0.5>", {3, 5}), std::nullopt);
  TensorEncoding blocks = cantFail(
      context.read("#lowbit.quantized<int<8>, scale = f16 per [1, 32], layout = ggml<q8_0>>"));
  EXPECT_TRUE(contains(messageOf(blocks.getBytes({3, 63})), "does not fit a tensor of shape"));
  EXPECT_TRUE(contains(messageOf(TensorEncoding().getBytes({-1})), "cannot have the shape [-1]"));
}

// The archive's table of ggml's types against the dialect, which knows the layouts.
TEST(EncodedTensorTest, TheBlocksOfGgmlAreWhatTheDialectSays) {
  EncodingContext context;
  for (const GGMLType &type : getGGMLTypes())
    for (unsigned rank : {1, 2, 3}) {
      std::optional<std::string> text = getEncodingOf(type, rank);
      if (!text)
        continue;
      TensorEncoding encoding = cantFail(context.read(*text));
      EXPECT_EQ(encoding.str(), *text); // as it is looked up
      Shape shape(rank, 3);
      shape.back() *= type.blockSize;
      auto components = cantFail(encoding.getComponents(shape));
      ASSERT_EQ(components.size(), 1u) << *text;
      GGMLStorage storage = getStorageOf(type, shape);
      EXPECT_EQ(components[0].name, storage.component);
      EXPECT_EQ(components[0].dtype, storage.dtype);
      EXPECT_EQ(components[0].shape, storage.shape);
      EXPECT_EQ(cantFail(encoding.getBytes(shape)), countBytes(storage.dtype, storage.shape));
    }
}

} // namespace
} // namespace lowbit
