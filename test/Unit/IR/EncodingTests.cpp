//===- EncodingTests.cpp - Encodings that do not come from a module -------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Texts of a command line or of an archive, and what a builder can get wrong that no text can say.
//
//===----------------------------------------------------------------------===//

#include "lowbit/IR/LowbitAttrs.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace lowbit;

namespace {

struct EncodingTest : testing::Test {
  EncodingTest()
      : handler(&context,
                [this](Diagnostic &diagnostic) { messages.push_back(diagnostic.str()); }) {
    context.loadDialect<LowbitDialect>();
  }
  /// The one message of what `make` emits; it makes nothing.
  template <typename AttrT, typename... Args> std::string refusal(Args &&...args) {
    messages.clear();
    auto emit = [&] { return emitError(UnknownLoc::get(&context)); };
    AttrT made = AttrT::getChecked(emit, &context, std::forward<Args>(args)...);
    EXPECT_FALSE(made);
    EXPECT_EQ(messages.size(), 1u);
    return messages.empty() ? "" : messages.front();
  }
  std::string refusedText(const std::string &text) {
    messages.clear();
    EXPECT_FALSE(parseEncoding(text, &context));
    EXPECT_EQ(messages.size(), 1u);
    return messages.empty() ? "" : messages.front();
  }
  MLIRContext context;
  std::vector<std::string> messages;
  ScopedDiagnosticHandler handler;
};

std::string repeated(const std::string &text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i)
    all += text;
  return all;
}

TEST_F(EncodingTest, parsesText) {
  EncodingAttrInterface encoding =
      parseEncoding("#lowbit.quantized<int<4>, scale = f16 per [1, 32]>", &context);
  ASSERT_TRUE(encoding);
  std::string text;
  llvm::raw_string_ostream(text) << encoding;
  EXPECT_EQ(text, "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>");
  EXPECT_TRUE(messages.empty());
}

TEST_F(EncodingTest, refusesText) {
  EXPECT_NE(refusedText("int<4>").find("expected attribute value"), std::string::npos);
  EXPECT_NE(refusedText("").find("expected attribute value"), std::string::npos);
  EXPECT_NE(refusedText("#nobody.quantized<f16>").find("nobody"), std::string::npos);
  EXPECT_NE(refusedText("#lowbit.quantized<f16> and more").find("trailing"), std::string::npos);
  EXPECT_EQ(refusedText("#lowbit.planes"), "#lowbit.planes is not an encoding such as "
                                           "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>");
  EXPECT_EQ(refusedText("f32"),
            "f32 is not an encoding such as #lowbit.quantized<int<4>, scale = f16 per [1, 32]>");
}

TEST_F(EncodingTest, refusesTextWithAnErrorAfterTheEnd) {
  // MLIR takes this one, after saying what is wrong.
  EXPECT_FALSE(parseEncoding(
      "#lowbit.quantized<int<4>, scale = f32 per tensor * bf16 per [1, 17]>@", &context));
  EXPECT_NE(messages.front().find("identifier expected"), std::string::npos);
}

TEST_F(EncodingTest, refusesDeepText) {
  EXPECT_EQ(refusedText(repeated("[", 1000000)),
            "an encoding with brackets nested more than 128 deep");
  EXPECT_EQ(refusedText(repeated("#lowbit.sum<", 1000000)),
            "an encoding with brackets nested more than 128 deep");
  EXPECT_EQ(
      refusedText(repeated("#lowbit.sum<", 100) + "#lowbit.quantized<f16>" + repeated(">", 100)),
      "lowbit attributes are nested more than 64 deep");
}

TEST_F(EncodingTest, refusesBuiltTerms) {
  Attribute format = IntFormatAttr::get(&context, 4, /*narrow=*/false),
            layout = PlanesLayoutAttr::get(&context);
  Attribute unit = UnitAttr::get(&context), none;
  auto level =
      ScaleLevelAttr::get(&context, FloatFormatAttr::get(&context, Float32Type::get(&context)),
                          GranularityKind::Tensor, ArrayRef<int64_t>());
  Attribute scale = BlockScaleAttr::get(&context, level, ScaleLevelAttr());
  EncodeRuleAttr rule;
  EXPECT_EQ(refusal<QuantizedAttr>(unit, scale, none, false, rule, layout),
            "a quantized term begins with a number format, not unit");
  EXPECT_EQ(refusal<QuantizedAttr>(format, unit, none, false, rule, layout),
            "'scale' takes a scale, not unit");
  EXPECT_EQ(refusal<QuantizedAttr>(format, scale, unit, true, rule, layout),
            "'min' takes a scale tree, not unit");
  EXPECT_EQ(refusal<QuantizedAttr>(format, scale, unit, false, rule, layout),
            "'zero' takes a scale tree, not unit");
  EXPECT_EQ(refusal<QuantizedAttr>(format, scale, none, false, rule, unit),
            "'layout' takes a layout, not unit");
  EXPECT_EQ(refusal<BlockScaleAttr>(ArrayRef<ScaleLevelAttr>(), ScaleLevelAttr()),
            "a scale has at least one level");
  EXPECT_EQ(refusal<SumAttr>(ArrayRef<Attribute>()), "a sum has at least two terms");
}

TEST_F(EncodingTest, countsBytes) {
  auto bytes = [&](ArrayRef<int64_t> shape, const char *text) {
    return getStaticBytes(
        RankedTensorType::get(shape, Float32Type::get(&context), parseEncoding(text, &context)));
  };
  EXPECT_EQ(bytes({8, 64}, "#lowbit.quantized<int<4>, scale = f16 per [1, 32]>"),
            8 * 32 + 8 * 2 * 2);
  // 3 bits are planes of 2 and of 1; a row of 49 codes fills 13 and 7 bytes.
  EXPECT_EQ(bytes({8, 49}, "#lowbit.quantized<int<3>, scale = f16 per [1, 32]>"),
            8 * 13 + 8 * 7 + 8 * 2 * 2);
  EXPECT_EQ(
      bytes({8, 64}, "#lowbit.quantized<int<4>, scale = f16 per [1, 32], layout = ggml<q4_0>>"),
      8 * 2 * 18);
  EXPECT_EQ(bytes({8, 64}, "#lowbit.sparse<f16, density = 0.01>"), std::nullopt);
  // 2^61 bytes are a number although their bits are none; four such terms are 2^63 bytes.
  int64_t large = int64_t(1) << 59;
  EXPECT_EQ(bytes({1, large}, "#lowbit.quantized<f32>"), large * 4);
  EXPECT_EQ(bytes({1, large}, "#lowbit.sum<#lowbit.quantized<f32>, #lowbit.quantized<f32>, "
                              "#lowbit.quantized<f32>, #lowbit.quantized<f32>>"),
            std::nullopt);
}

} // namespace
