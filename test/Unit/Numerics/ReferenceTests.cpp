//===- ReferenceTests.cpp - Decode and encode against a naive computation ===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Naive.h"
#include "lowbit/Numerics/BlockLayout.h"

#include "lowbit/Numerics/Codebooks.h"
#include "lowbit/Numerics/Half.h"

#include "gtest/gtest.h"

using namespace lowbit::numerics;

namespace {

Scale oneLevel(Format element, Granularity granularity) {
  return {{{std::move(element), std::move(granularity)}}, std::nullopt, std::nullopt};
}

Quantized symmetric(Format format, Scale scale) {
  return {std::move(format), std::move(scale), ZeroKind::None, std::nullopt, {}, nullptr};
}

std::vector<std::string> names(const Quantized &term, const Shape &shape) {
  std::vector<std::string> list;
  for (const Component &component : components(term, shape))
    list.push_back(component.name);
  return list;
}

std::vector<Format> formats() {
  std::vector<Format> list;
  for (unsigned bits = 1; bits <= 16; ++bits) {
    list.push_back(Format::integer(bits));
    list.push_back(Format::unsignedInteger(bits));
  }
  list.push_back(Format::integer(8, /*narrow=*/true));
  list.push_back(*namedCodebook("nf4"));
  list.push_back(*namedCodebook("dynamic_unsigned", {8}));
  list.push_back(Format::codebook({-1.0f, 0.0f, 1.0f}));
  list.push_back(Format::float16());
  list.push_back(Format::bfloat16());
  return list;
}

struct Case {
  Shape shape;
  Granularity granularity;
};

std::vector<Case> cases() {
  return {
      {{5, 33}, Granularity::perTensor()},      {{5, 33}, Granularity::perAxis(0)},
      {{5, 33}, Granularity::perAxis(1)},       {{5, 33}, Granularity::perBlock({1, 32})},
      {{5, 33}, Granularity::perBlock({2, 8})}, {{5, 33}, Granularity::perBlock({100, 100})},
      {{7}, Granularity::perBlock({3})},        {{3, 4, 7}, Granularity::perBlock({2, 3, 4})},
      {{3, 4, 7}, Granularity::perAxis(1)},
  };
}

TEST(Encode, EqualsTheNaiveAbsMax) {
  for (const Format &format : formats())
    for (const Case &c : cases()) {
      Quantized term = symmetric(format, oneLevel(Format::float16(), c.granularity));
      ASSERT_FALSE(checkEncode(term, c.shape)) << *checkEncode(term, c.shape);
      std::vector<float> x = naive::randomTensor(c.shape, 1);
      std::vector<Bytes> data = encode(term, c.shape, x.data());
      std::vector<float> decoded = decode(term, c.shape, data);

      std::map<naive::Index, float> scales = naive::absMaxScales(term, c.shape, x);
      size_t linear = 0;
      for (const naive::Index &index : naive::indicesOf(c.shape)) {
        float scale = scales[naive::blockIndex(index, c.granularity)];
        uint32_t code = naive::readCode(data, 0, format, c.shape, index);
        ASSERT_EQ(naive::scaleAt(*term.scale, c.shape, data, naive::planeCount(format), index),
                  scale);
        // Floats with a scale so small that f16 flushes it have codes of zero.
        float quotient = scale == 0.0f ? 0.0f : x[linear] / scale;
        ASSERT_EQ(code, naive::nearestCode(format, quotient)) << format.str();
        ASSERT_EQ(decoded[linear], naive::valueAt(term, c.shape, data, index));
        ++linear;
      }
    }
}

/// Random bytes decode as the denotation says, whatever the term.
void expectDecodesNaively(const Quantized &term, const Shape &shape, unsigned seed) {
  ASSERT_FALSE(check(term, shape)) << *check(term, shape);
  std::mt19937 random(seed);
  std::vector<Bytes> data;
  for (const Component &component : components(term, shape)) {
    Bytes &bytes = data.emplace_back(static_cast<size_t>(component.bytes()));
    for (size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<uint8_t>(random());
    // Keep random f16 patterns finite so that every comparison below is one of numbers.
    if (component.type == ElementType::Float16)
      for (size_t i = 1; i < bytes.size(); i += 2)
        bytes[i] &= 0xbf;
  }
  std::vector<float> decoded = decode(term, shape, data);
  size_t linear = 0;
  for (const naive::Index &index : naive::indicesOf(shape)) {
    float expected = naive::valueAt(term, shape, data, index);
    ASSERT_EQ(bitsOfFloat(decoded[linear]), bitsOfFloat(expected)) << linear;
    ++linear;
  }
}

TEST(Decode, EveryFormatOnEveryBlockShape) {
  for (const Format &format : formats()) {
    if (format.isFloat())
      continue;
    for (const Case &c : cases())
      expectDecodesNaively(symmetric(format, oneLevel(Format::float16(), c.granularity)), c.shape,
                           2);
  }
}

TEST(Decode, NestedScalesMultiplyOutermostInwards) {
  for (Format inner : {Format::unsignedInteger(6), Format::integer(3), Format::float16()})
    for (Shape shape : {Shape{3, 64}, Shape{3, 70}, Shape{5, 20}}) {
      Scale scale{{{Format::float16(), Granularity::perBlock({2, 32})},
                   {inner, Granularity::perBlock({1, 8})}},
                  std::nullopt};
      expectDecodesNaively(symmetric(Format::unsignedInteger(4), scale), shape, 3);
      scale.levels[0].granularity = Granularity::perTensor();
      expectDecodesNaively(symmetric(Format::integer(5), scale), shape, 4);
    }
}

TEST(Decode, ZeroPoints) {
  Quantized term =
      symmetric(Format::unsignedInteger(4), oneLevel(Format::float16(), Granularity::perAxis(0)));
  term.zeroKind = ZeroKind::Integer;
  for (Format zero : {Format::unsignedInteger(4), Format::integer(8), Format::unsignedInteger(3)}) {
    term.zero = oneLevel(zero, Granularity::perBlock({1, 5}));
    expectDecodesNaively(term, {4, 13}, 5);
  }
  term.zeroKind = ZeroKind::Additive;
  term.zero = oneLevel(Format::float16(), Granularity::perBlock({1, 5}));
  expectDecodesNaively(term, {4, 13}, 6);
  term.zero = Scale{{{Format::float16(), Granularity::perAxis(0)},
                     {Format::unsignedInteger(6), Granularity::perBlock({1, 5})}},
                    std::nullopt};
  expectDecodesNaively(term, {4, 13}, 7);
  term.format = *namedCodebook("nf4");
  expectDecodesNaively(term, {4, 13}, 8);
}

TEST(Decode, Rank1TakesTheMinimum) {
  Quantized term = symmetric(Format::integer(4), {{}, Rank1{Format::float16(), Combiner::Min}});
  expectDecodesNaively(term, {6, 9}, 9);
  EXPECT_TRUE(check(term, {6, 9, 2}));
}

TEST(Decode, FloatCodesKeepTheirBits) {
  Quantized term{Format::float16(), std::nullopt, ZeroKind::None, std::nullopt, {}, nullptr};
  Bytes data{0x00, 0x80, 0x01, 0x00, 0x00, 0x7c};
  std::vector<float> decoded = decode(term, {3}, std::vector<Bytes>{data});
  EXPECT_EQ(bitsOfFloat(decoded[0]), 0x80000000u);
  EXPECT_EQ(decoded[1], 0x1p-24f);
  EXPECT_TRUE(std::isinf(decoded[2]));
  EXPECT_EQ(encode(term, {3}, decoded.data())[0], data);
}

TEST(Decode, LayoutsAgree) {
  Shape shape{3, 96};
  for (const char *layout : {"q4_0", "q4_1", "q8_0"}) {
    Quantized blocks = ggmlTerm(layout, 2), planes = blocks;
    planes.layout = planesLayout();
    planes.rule = ggmlStruct(layout)->rule;
    std::vector<float> x = naive::randomTensor(shape, 10);
    std::vector<Bytes> inBlocks = encode(blocks, shape, x.data());
    std::vector<Bytes> inPlanes = encode(planes, shape, x.data());
    ASSERT_EQ(inBlocks.size(), 1u);
    EXPECT_EQ(static_cast<int64_t>(inBlocks[0].size()), components(blocks, shape)[0].bytes());
    EXPECT_EQ(decode(blocks, shape, inBlocks), decode(planes, shape, inPlanes));
  }
}

TEST(Components, NamesShapesAndOrder) {
  using Names = std::vector<std::string>;
  Quantized term =
      symmetric(Format::integer(3), oneLevel(Format::float16(), Granularity::perBlock({1, 32})));
  EXPECT_EQ(names(term, {5, 33}), (Names{"codes.0", "codes.1", "scale"}));
  std::vector<Component> list = components(term, {5, 33});
  EXPECT_EQ(list[0].shape, (Shape{5, 9}));
  EXPECT_EQ(list[1].shape, (Shape{5, 5}));
  EXPECT_EQ(list[2].shape, (Shape{5, 2}));
  EXPECT_EQ(list[2].type, ElementType::Float16);
  EXPECT_EQ(list[2].bytes(), 20);

  term.scale->levels.push_back({Format::unsignedInteger(6), Granularity::perBlock({1, 8})});
  term.zeroKind = ZeroKind::Additive;
  term.zero = oneLevel(Format::float32(), Granularity::perTensor());
  EXPECT_EQ(names(term, {5, 33}),
            (Names{"codes.0", "codes.1", "scale.0", "scale.1.0", "scale.1.1", "min"}));
  list = components(term, {5, 33});
  EXPECT_EQ(list[3].shape, (Shape{5, 3}));
  EXPECT_EQ(list[4].shape, (Shape{5, 2}));
  EXPECT_EQ(list[5].shape, (Shape{1, 1}));

  term.zeroKind = ZeroKind::Integer;
  term.zero = oneLevel(Format::unsignedInteger(4), Granularity::perAxis(0));
  EXPECT_EQ(names(term, {5, 33}).back(), "zero");
  Quantized rank1 = symmetric(Format::integer(4), {{}, Rank1{Format::float32(), Combiner::Min}});
  EXPECT_EQ(names(rank1, {5, 33}), (Names{"codes", "scale.row", "scale.column"}));
  EXPECT_EQ(components(ggmlTerm("q4_1", 2), {5, 64})[0].shape, (Shape{5, 2, 20}));
}

TEST(Components, EncodeFillsExactlyThose) {
  for (Shape shape : {Shape{5, 33}, Shape{0, 33}, Shape{5, 0}, Shape{1000, 0}}) {
    Quantized term = symmetric(Format::integer(7),
                               {{{Format::float16(), Granularity::perAxis(0)},
                                 {Format::unsignedInteger(6), Granularity::perBlock({1, 8})}},
                                std::nullopt});
    std::vector<float> x = naive::randomTensor(shape, 11);
    std::vector<Bytes> data = encode(term, shape, x.data());
    std::vector<Component> list = components(term, shape);
    ASSERT_EQ(data.size(), list.size());
    for (size_t i = 0; i < list.size(); ++i)
      EXPECT_EQ(static_cast<int64_t>(data[i].size()), list[i].bytes()) << list[i].name;
    EXPECT_EQ(decode(term, shape, data).size(), x.size());
  }
}

TEST(Check, RefusesWhatIsNotATerm) {
  Shape shape{4, 64};
  Quantized good =
      symmetric(Format::integer(4), oneLevel(Format::float16(), Granularity::perBlock({1, 32})));
  EXPECT_FALSE(check(good, shape));
  EXPECT_TRUE(check(good, {}));
  EXPECT_TRUE(check(good, {4, -1}));
  EXPECT_TRUE(check(good, {int64_t(1) << 40, int64_t(1) << 40}));
  EXPECT_TRUE(check(good, {64}));

  auto expectRefused = [&](auto change) {
    Quantized bad = good;
    change(bad);
    EXPECT_TRUE(check(bad, shape));
  };
  expectRefused([](Quantized &t) { t.scale->levels[0].granularity = Granularity::perAxis(2); });
  expectRefused([](Quantized &t) { t.scale->levels[0].granularity.block[1] = 0; });
  expectRefused([](Quantized &t) { t.scale->levels.clear(); });
  expectRefused([](Quantized &t) { t.zeroKind = ZeroKind::Additive; });
  expectRefused([](Quantized &t) {
    t.scale->levels.push_back({Format::unsignedInteger(6), Granularity::perBlock({1, 12})});
  });
  expectRefused([](Quantized &t) {
    t.zeroKind = ZeroKind::Integer;
    t.zero = oneLevel(Format::float16(), Granularity::perTensor());
  });
  expectRefused([](Quantized &t) {
    t.format = Format::float16();
    t.zeroKind = ZeroKind::Additive;
    t.zero = oneLevel(Format::float16(), Granularity::perTensor());
  });
  expectRefused([](Quantized &t) { t.layout = ggmlLayout("q4_1"); });
  expectRefused([](Quantized &t) { t.layout = ggmlLayout("q8_0"); });
  Quantized blocks = good;
  blocks.layout = ggmlLayout("q4_0");
  EXPECT_FALSE(check(blocks, shape));
  EXPECT_TRUE(check(blocks, {4, 65}));
}

TEST(Check, RefusesEncodesWithoutARule) {
  Shape shape{4, 64};
  Quantized term =
      symmetric(Format::integer(4), oneLevel(Format::unsignedInteger(8), Granularity::perTensor()));
  EXPECT_FALSE(checkEncode(term, shape));
  term.rule.choice = EncodeRule::Choice::SignedMax;
  EXPECT_TRUE(checkEncode(term, shape));
  term.rule.choice = EncodeRule::Choice::MinMax;
  EXPECT_TRUE(checkEncode(term, shape));
  term.zeroKind = ZeroKind::Additive;
  term.zero = oneLevel(Format::float16(), Granularity::perTensor());
  EXPECT_FALSE(checkEncode(term, shape));
  term.zero = oneLevel(Format::float16(), Granularity::perAxis(0));
  EXPECT_FALSE(check(term, shape));
  EXPECT_TRUE(checkEncode(term, shape));
}

TEST(Blocks, ArithmeticIsChecked) {
  EXPECT_EQ(elementCount({0, int64_t(1) << 62, int64_t(1) << 62}), 0);
  EXPECT_FALSE(elementCount({int64_t(1) << 32, int64_t(1) << 31}));
  EXPECT_FALSE(elementCount({3, -1}));
  EXPECT_EQ(ceilDivide(33, 32), 2);
  EXPECT_EQ(ceilDivide(INT64_MAX, INT64_MAX), 1);
  EXPECT_EQ(Tiling({2, 5}, {1, INT64_MAX}).grid(), (Shape{2, 1}));
}

} // namespace
