//===- CheckpointLayoutTests.cpp - Words of codes ---------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RandomArrays.h"
#include "lowbit/Numerics/CheckpointLayout.h"

#include "lowbit/Numerics/Codebooks.h"
#include "gtest/gtest.h"

#include <cstring>

using namespace lowbit::numerics;

namespace {

Quantized groups(const char *layout, unsigned bits, int64_t group) {
  Granularity granularity = Granularity::perBlock({group, 1});
  Quantized term{Format::unsignedInteger(bits),
                 Scale{{{Format::float16(), granularity}}, {}, {}},
                 ZeroKind::Integer,
                 Scale{{{Format::unsignedInteger(bits), granularity}}, {}, {}},
                 {},
                 nullptr};
  term.layout = checkpointLayout(layout);
  return term;
}

Quantized flat(bool isDouble) {
  ScaleLevel inner{isDouble ? *namedCodebook("dynamic", {8}) : Format::float32(),
                   Granularity::perBlock({1, 64})};
  Scale scale{{inner}, {}, {}};
  if (isDouble) {
    scale.levels.insert(scale.levels.begin(), {Format::float32(), Granularity::perBlock({2, 128})});
    scale.offset = ScaleLevel{Format::float32(), Granularity::perTensor()};
  }
  Quantized term{*namedCodebook("nf4"), scale, ZeroKind::None, {}, {}, nullptr};
  term.layout = checkpointLayout("bnb");
  return term;
}

uint32_t wordOf(const Bytes &bytes, size_t number) {
  uint32_t word;
  std::memcpy(&word, bytes.data() + 4 * number, 4);
  return word;
}

TEST(CheckpointLayout, RoundTrips) {
  Shape shape{32, 128};
  for (const Quantized &term :
       {groups("gptq", 2, 8), groups("gptq", 4, 16), groups("gptq", 8, 32), groups("gptq", 3, 8),
        groups("gptq_v2", 3, 32), groups("awq", 4, 8), flat(false), flat(true)}) {
    ASSERT_EQ(check(term, shape), std::nullopt) << term.str();
    std::vector<Codes> arrays = randomArrays(term, shape);
    std::vector<Bytes> bytes = term.layout->pack(term, shape, arrays);
    std::vector<Component> components = term.layout->components(term, shape);
    std::vector<const uint8_t *> data;
    for (size_t i = 0; i < bytes.size(); ++i) {
      EXPECT_EQ(static_cast<int64_t>(bytes[i].size()), components[i].bytes());
      data.push_back(bytes[i].data());
    }
    EXPECT_EQ(term.layout->unpack(term, shape, data), arrays) << term.str();
  }
}

TEST(CheckpointLayout, WordsAreThePublishedOnes) {
  Shape shape{8, 8};
  std::vector<Codes> arrays{Codes(64), Codes(8), Codes(8)};
  for (uint32_t i = 0; i < 8; ++i) {
    arrays[0][i] = i;         // the first input, all outputs
    arrays[0][8 * i] = 8 + i; // the first output, all inputs
    arrays[2][i] = i;
  }
  Quantized gptq = groups("gptq", 4, 8), awq = groups("awq", 4, 8);
  std::vector<Bytes> words = gptq.layout->pack(gptq, shape, arrays);
  EXPECT_EQ(wordOf(words[0], 0), 0xfedcba98u);
  EXPECT_EQ(wordOf(words[0], 1), 1u);
  EXPECT_EQ(wordOf(words[2], 0), 0x6543210fu); // each less 1
  words = awq.layout->pack(awq, shape, arrays);
  EXPECT_EQ(wordOf(words[0], 0), 0x75316428u);
  EXPECT_EQ(wordOf(words[2], 0), 0x75316420u);

  Quantized bnb = flat(false);
  std::vector<Codes> codes{Codes(64), Codes(1)};
  codes[0][0] = 0xa;
  codes[0][1] = 0x5;
  EXPECT_EQ(bnb.layout->pack(bnb, {1, 64}, codes)[0][0], 0xa5);
}

TEST(CheckpointLayout, CodesStraddleWords) {
  // Codes 10 and 21 of 32 codes of 3 bits lie in two words each.
  Quantized term = groups("gptq_v2", 3, 32);
  std::vector<Codes> arrays{Codes(32 * 32), Codes(32), Codes(32)};
  arrays[0][10 * 32 + 5] = 5;
  arrays[0][21 * 32 + 5] = 3;
  arrays[2][10] = 6;
  std::vector<Bytes> words = term.layout->pack(term, {32, 32}, arrays);
  EXPECT_EQ(wordOf(words[0], 5), 1u << 30);
  EXPECT_EQ(wordOf(words[0], 32 + 5), 1u << 31 | 1u);
  EXPECT_EQ(wordOf(words[0], 64 + 5), 1u);
  EXPECT_EQ(wordOf(words[2], 0), 2u << 30);
  EXPECT_EQ(wordOf(words[2], 1), 1u);
}

TEST(CheckpointLayout, OneRowMayEndWithinABlockAndAByte) {
  Scale scale{{{Format::float32(), Granularity::perBlock({64})}}, {}, {}};
  Quantized term{*namedCodebook("nf4"), scale, ZeroKind::None, {}, {}, checkpointLayout("bnb")};
  Shape shape{99};
  ASSERT_EQ(check(term, shape), std::nullopt);
  std::vector<Component> components = term.layout->components(term, shape);
  EXPECT_EQ(components[0].shape, Shape{50});
  EXPECT_EQ(components[1].shape, Shape{2});
  std::vector<Codes> arrays = randomArrays(term, shape);
  std::vector<Bytes> bytes = term.layout->pack(term, shape, arrays);
  EXPECT_EQ(bytes[0].back() & 15, 0);
  EXPECT_EQ(term.layout->unpack(term, shape, {bytes[0].data(), bytes[1].data()}), arrays);
}

TEST(CheckpointLayout, WhatDoesNotFitIsSaid) {
  EXPECT_EQ(*check(groups("gptq", 4, 8), {12, 8}),
            "layout checkpoint<gptq> needs inputs and outputs in multiples of 8 codes, not 12 x 8");
  EXPECT_EQ(check(groups("awq", 4, 8), {12, 8}), std::nullopt);
  EXPECT_NE(check(groups("awq", 8, 8), {8, 8}), std::nullopt);
  EXPECT_NE(check(groups("gptq", 3, 8), {8, 8}), std::nullopt);
  EXPECT_NE(check(groups("gptq", 5, 8), {32, 32}), std::nullopt);
  EXPECT_EQ(*check(flat(false), {2, 96}),
            "layout checkpoint<bnb> needs a last axis of whole blocks (others: flattened<...> with "
            "blocks of one axis)");
  EXPECT_EQ(*check(flat(true), {2, 256}),
            "layout checkpoint<bnb> needs outer blocks of consecutive elements of the flattened "
            "tensor");
  EXPECT_EQ(checkpointLayout("gguf"), nullptr);
}

} // namespace
