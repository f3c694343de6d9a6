//===- PluginTests.cpp - The scalar reference of plug-ins -----------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitAttrs.h"
#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "gtest/gtest.h"

#include <cstring>

using namespace lowbit;

namespace {

/// A context that knows the dialect of one plug-in.
struct PluginTest : testing::Test {
  EncodingAttrInterface parse(const char *plugin, const char *text) {
    llvm::Expected<mlir::DialectPlugin> loaded = mlir::DialectPlugin::load(plugin);
    if (!loaded) {
      ADD_FAILURE() << llvm::toString(loaded.takeError());
      return {};
    }
    mlir::DialectRegistry registry;
    loaded->registerDialectRegistryCallbacks(registry);
    context.appendDialectRegistry(registry);
    return parseEncoding(text, &context);
  }
  static std::vector<float> floats(const Buffer &buffer) {
    std::vector<float> values(buffer.bytes.size() / sizeof(float));
    std::memcpy(values.data(), buffer.bytes.data(), buffer.bytes.size());
    return values;
  }
  static std::vector<float> decode(EncodingAttrInterface encoding, llvm::ArrayRef<int64_t> shape,
                                   const std::vector<Buffer> &parts) {
    llvm::SmallVector<BufferRef> refs;
    for (const Buffer &part : parts)
      refs.push_back({part.shape, part.bytes});
    int64_t count = 1;
    for (int64_t n : shape)
      count *= n;
    std::vector<float> values(count);
    if (llvm::Error error = encoding.referenceDecode(shape, refs, values))
      ADD_FAILURE() << llvm::toString(std::move(error));
    return values;
  }
  mlir::MLIRContext context;
};

TEST_F(PluginTest, paletteStoresCodesAndColours) {
  EncodingAttrInterface encoding = parse(LOWBIT_PALETTE_PLUGIN, "#palette.colors16");
  ASSERT_TRUE(encoding);
  // From -7 to 8: the colours are the whole numbers, the code of a value is 7 above it. Rows of 3
  // end within a byte.
  std::vector<float> values = {-7, 8, 0, 1.25f, -2.75f, 3};
  llvm::Expected<std::vector<Buffer>> parts = encoding.referenceEncode({2, 3}, values);
  ASSERT_TRUE(bool(parts)) << llvm::toString(parts.takeError());
  ASSERT_EQ(parts->size(), 2u);
  EXPECT_EQ((*parts)[0].bytes, (std::vector<uint8_t>{0xf0, 0x07, 0x48, 0x0a}));
  EXPECT_EQ(floats((*parts)[1]),
            (std::vector<float>{-7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(decode(encoding, {2, 3}, *parts), (std::vector<float>{-7, 8, 0, 1, -3, 3}));
}

TEST_F(PluginTest, paletteRefusesOtherComponents) {
  EncodingAttrInterface encoding = parse(LOWBIT_PALETTE_PLUGIN, "#palette.colors16");
  ASSERT_TRUE(encoding);
  std::vector<uint8_t> bytes(64);
  std::vector<float> values(6);
  llvm::SmallVector<int64_t> codesShape{2, 2}, paletteShape{16};
  BufferRef codes{codesShape, llvm::ArrayRef(bytes).take_front(4)}, palette{paletteShape, bytes};
  auto message = [&](llvm::ArrayRef<BufferRef> parts) {
    return llvm::toString(encoding.referenceDecode({2, 3}, parts, values));
  };
  EXPECT_EQ(message({codes, codes}), "a palette has 16 colours");
  EXPECT_EQ(message({palette, palette}), "component codes has 64 bytes instead of 4");
}

TEST_F(PluginTest, formatEncodesToTheNearestLevel) {
  EncodingAttrInterface encoding =
      parse(LOWBIT_FORMAT_PLUGIN, "#lowbit.quantized<#toy.fp4e2m1, scale = f32 per tensor>");
  ASSERT_TRUE(encoding);
  // The scale is 12 / 6. In units of it 0.6 becomes 0.5 and -2.6 becomes -3.
  std::vector<float> values = {12, 1.2f, -5.2f, 0};
  llvm::Expected<std::vector<Buffer>> parts = encoding.referenceEncode({4}, values);
  ASSERT_TRUE(bool(parts)) << llvm::toString(parts.takeError());
  ASSERT_EQ(parts->size(), 2u);
  EXPECT_EQ((*parts)[0].bytes, (std::vector<uint8_t>{0x8e, 0x72}));
  EXPECT_EQ(floats((*parts)[1]), std::vector<float>{2});
  EXPECT_EQ(decode(encoding, {4}, *parts), (std::vector<float>{12, 1, -6, 0}));
}

} // namespace
