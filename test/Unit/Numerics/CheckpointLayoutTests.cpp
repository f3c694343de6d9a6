//===- CheckpointLayoutTests.cpp - Words of codes ---------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/CheckpointLayout.h"

#include "lowbit/Numerics/Codebooks.h"
#include "gtest/gtest.h"

#include <cstring>
#include <random>

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

std::vector<Codes> randomArrays(const Quantized &term, const Shape &shape) {
  std::mt19937 random(3);
  std::vector<Codes> arrays;
  for (const CodeArray &array : codeArrays(term, shape)) {
    Codes &codes = arrays.emplace_back(static_cast<size_t>(*elementCount(array.shape)));
    for (uint32_t &code : codes)
      code = static_cast<uint32_t>(random() % (uint64_t(1) << array.format.bits()));
  }
  return arrays;
}

uint32_t wordOf(const Bytes &bytes, size_t number) {
  uint32_t word;
  std::memcpy(&word, bytes.data() + 4 * number, 4);
  return word;
}

TEST(CheckpointLayout, RoundTrips) {
  Shape shape{32, 128};
  for (const Quantized &term : {groups("gptq", 2, 8), groups("gptq", 4, 16), groups("gptq", 8, 32),
                                groups("awq", 4, 8), flat(false), flat(true)}) {
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

TEST(CheckpointLayout, WhatDoesNotFitIsSaid) {
  EXPECT_EQ(*check(groups("gptq", 4, 8), {12, 8}),
            "layout gptq needs inputs and outputs in multiples of 8 codes, not 12 x 8");
  EXPECT_EQ(check(groups("awq", 4, 8), {12, 8}), std::nullopt);
  EXPECT_NE(check(groups("awq", 8, 8), {8, 8}), std::nullopt);
  EXPECT_NE(check(groups("gptq", 3, 8), {8, 8}), std::nullopt);
  EXPECT_EQ(*check(flat(false), {2, 96}),
            "layout bnb needs a last axis of whole blocks, of an even number of elements");
  EXPECT_EQ(*check(flat(true), {2, 256}),
            "layout bnb needs outer blocks of consecutive elements of the flattened tensor");
  EXPECT_EQ(checkpointLayout("gguf"), nullptr);
}

} // namespace
