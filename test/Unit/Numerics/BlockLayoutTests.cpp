//===- BlockLayoutTests.cpp - Interleaved block structs -----------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/BlockLayout.h"

#include "gtest/gtest.h"

#include <map>
#include <random>

using namespace lowbit::numerics;

namespace {

/// Arrays of one struct of the 32-element kinds: codes, scale, minimum.
std::vector<Codes> arraysOf(const Codes &codes, bool hasMinimum) {
  std::vector<Codes> arrays{codes, {0x1234}};
  if (hasMinimum)
    arrays.push_back({0xabcd});
  return arrays;
}

Bytes packed(const char *name, const Codes &codes, bool hasMinimum) {
  return ggmlLayout(name)->pack(ggmlTerm(name, 1), {32}, arraysOf(codes, hasMinimum))[0];
}

TEST(GgmlBlocks, MatchTheStructs) {
  Codes codes(32);
  for (uint32_t j = 0; j < 32; ++j)
    codes[j] = (j * 5 + 3) & 15;
  Bytes q40 = packed("q4_0", codes, false), q41 = packed("q4_1", codes, true),
        q80 = packed("q8_0", codes, false);
  EXPECT_EQ(q40[0], 0x34);
  EXPECT_EQ(q40[1], 0x12);
  EXPECT_EQ(q41[2], 0xcd);
  EXPECT_EQ(q41[3], 0xab);
  for (uint32_t j = 0; j < 16; ++j) {
    // q4_0 stores q + 8 for the signed integer q of the code.
    auto biased = [](uint32_t code) { return (code < 8 ? code : code - 16) + 8; };
    EXPECT_EQ(q40[2 + j], biased(codes[j]) | biased(codes[j + 16]) << 4);
    EXPECT_EQ(q41[4 + j], codes[j] | codes[j + 16] << 4);
  }
  for (uint32_t j = 0; j < 32; ++j)
    EXPECT_EQ(q80[2 + j], codes[j]);
}

class Structs : public testing::TestWithParam<const BlockStruct *> {};

/// Every bit of the struct belongs to just one code, but for the gaps that a format has.
TEST_P(Structs, BitsAreTakenOnce) {
  const BlockStruct &block = *GetParam();
  std::vector<unsigned> taken(static_cast<size_t>(block.bytes));
  for (const StructMember &member : block.members)
    for (const Segment &segment : member.segments) {
      std::vector<int64_t> digits(segment.digits.size());
      for (int64_t element = 0; element < segment.elements(); ++element) {
        int64_t rest = element;
        for (size_t i = digits.size(); i-- > 0; rest /= segment.digits[i])
          digits[i] = rest % segment.digits[i];
        for (const BitField &field : segment.fields) {
          int64_t byte = field.byte, shift = field.shift;
          for (size_t i = 0; i < digits.size(); ++i) {
            byte += digits[i] * field.byteStrides[i];
            shift += digits[i] * field.shiftStrides[i];
          }
          ASSERT_GE(byte, 0);
          ASSERT_LT(byte, block.bytes);
          if (segment.isTernary)
            continue; // the digits of a byte share its bits
          ASSERT_LE(shift + field.width, 8);
          unsigned bits = ((1u << field.width) - 1) << shift;
          EXPECT_FALSE(taken[static_cast<size_t>(byte)] & bits) << block.name << " byte " << byte;
          taken[static_cast<size_t>(byte)] |= bits;
        }
      }
    }
}

TEST_P(Structs, RoundTrip) {
  const BlockStruct &block = *GetParam();
  Quantized term = ggmlTerm(block.name, 2);
  Shape shape{3, 2 * block.elements};
  std::mt19937 random(3);
  std::vector<Codes> arrays;
  for (const CodeArray &array : codeArrays(term, shape)) {
    uint64_t codes = array.format.kind() == FormatKind::Codebook
                         ? array.format.levels().size()
                         : uint64_t(1) << array.format.bits();
    Codes &values = arrays.emplace_back(static_cast<size_t>(*elementCount(array.shape)));
    for (uint32_t &code : values)
      code = static_cast<uint32_t>(random() % codes);
  }
  std::vector<Bytes> bytes = term.layout->pack(term, shape, arrays);
  ASSERT_EQ(static_cast<int64_t>(bytes[0].size()), term.layout->components(term, shape)[0].bytes());
  EXPECT_EQ(term.layout->unpack(term, shape, {bytes[0].data()}), arrays);
}

INSTANTIATE_TEST_SUITE_P(Ggml, Structs, testing::ValuesIn(ggmlStructs()),
                         [](const auto &info) { return info.param->name; });

} // namespace
