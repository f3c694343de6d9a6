//===- GgmlBlocks.cpp - The block structs of GGUF files --------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GgmlEncode.h"
#include "SearchEncode.h"
#include "lowbit/Numerics/BlockLayout.h"
#include "lowbit/Numerics/Codebooks.h"

#include <cassert>
#include <deque>

namespace lowbit::numerics {

//===----------------------------------------------------------------------===//
// Pieces of the table
//===----------------------------------------------------------------------===//

/// One level of f16 for each `elements` elements.
static Scale halves(int64_t elements) {
  return {{{Format::float16(), Granularity::perBlock({elements})}}, std::nullopt, std::nullopt};
}

/// An f16 for each `outer` elements times a small number for each `inner` elements.
static Scale superScale(int64_t outer, Format element, int64_t inner) {
  return {{{Format::float16(), Granularity::perBlock({outer})},
           {std::move(element), Granularity::perBlock({inner})}},
          std::nullopt,
          std::nullopt};
}

static Quantized symmetric(Format format, Scale scale) {
  return {std::move(format), std::move(scale), ZeroKind::None, std::nullopt, {}, nullptr};
}

static Quantized withMinimum(Format format, Scale scale, Scale minimum) {
  return {std::move(format), std::move(scale), ZeroKind::Additive, std::move(minimum), {}, nullptr};
}

using Numbers = std::vector<int64_t>;

/// `width` bits of the code from bit `target` on.
static BitField field(unsigned width, unsigned target, int64_t byte, Numbers byteStrides,
                      Numbers shiftStrides, int64_t shift = 0) {
  return {width, target, byte, std::move(byteStrides), shift, std::move(shiftStrides)};
}

/// Of one pattern.
static StructMember member(Numbers digits, std::vector<BitField> fields, uint32_t bias = 0) {
  return {{{std::move(digits), std::move(fields)}}, bias};
}

/// A 16-bit number, little end first, from `byte` on.
static StructMember word(int64_t byte, uint32_t bias = 0) {
  return member({1}, {field(8, 0, byte, {0}, {0}), field(8, 8, byte + 1, {0}, {0})}, bias);
}
/// Structs subtract a minimum that is stored as a positive number; a term adds it: the sign bit of
/// the f16 turns over.
static constexpr uint32_t kNegated = 0x8000;

/// `count` bytes from `byte` on.
static StructMember byteCodes(int64_t count, int64_t byte) {
  return member({count}, {field(8, 0, byte, {1}, {0})});
}

/// 4-bit codes: of each `2 * half` elements the first half in the low nibbles of `half` bytes, the
/// second half in the high ones.
static StructMember nibbles(int64_t chunks, int64_t half, int64_t byte, uint32_t bias = 0) {
  if (chunks == 1)
    return member({2, half}, {field(4, 0, byte, {0, 1}, {4, 0})}, bias);
  return member({chunks, 2, half}, {field(4, 0, byte, {half, 0, 1}, {0, 4, 0})}, bias);
}

/// 5-bit codes of 32 elements: nibbles from `low` on, the fifth bits in order from `high` on.
static StructMember fives(int64_t high, int64_t low, uint32_t bias = 0) {
  return member({2, 2, 8},
                {field(4, 0, low, {0, 8, 1}, {4, 0, 0}), field(1, 4, high, {2, 1, 0}, {0, 0, 1})},
                bias);
}

/// The 6-bit scales of Q4_K and Q5_K, from byte 4 on: eight scales whose first four lie in the low
/// bits of bytes 4 to 7, the others in the low nibbles of 12 to 15 and the high bits of 4 to 7.
static StructMember sixBitScales() {
  return member({2, 4}, {field(4, 0, 4, {8, 1}, {0, 0}), field(2, 4, 4, {0, 1}, {2, 0}, 4)});
}
/// Their minima: bytes 8 to 11, the high nibbles of 12 to 15.
static StructMember sixBitMinima() {
  return member({2, 4}, {field(4, 0, 8, {4, 1}, {4, 0}), field(2, 4, 8, {0, 1}, {2, 0}, 4)});
}

/// Five trits a byte.
static Segment trits(int64_t number, int64_t count, int64_t byte) {
  return {{number, count}, {field(8, 0, byte, {0, 1}, {1, 0})}, /*isTernary=*/true};
}

/// The rule of ggml's own quantizer of a format: same bytes as `gguf.quants.quantize`.
static EncodeRule ggmlRule(EncodeRule::Choice choice, Rounding rounding) {
  EncodeRule rule;
  rule.choice = choice;
  rule.divisor = EncodeRule::Divisor::Exact;
  rule.inverse = EncodeRule::Inverse::Reciprocal;
  rule.rounding = rounding;
  rule.overflow = EncodeRule::Overflow::Infinity;
  return rule;
}

//===----------------------------------------------------------------------===//
// The table: ggml-common.h of llama.cpp
//===----------------------------------------------------------------------===//

using Choice = EncodeRule::Choice;

/// Structs of 32 elements.
static void addSmallStructs(std::deque<BlockStruct> &all) {
  const Scale scale = halves(32);
  const EncodeRule signedMax = ggmlRule(Choice::SignedMax, Rounding::HalfUp);
  const EncodeRule minMax = ggmlRule(Choice::MinMax, Rounding::HalfUp);
  // Signed codes are stored plus 8 or 16.
  all.push_back({"q4_0",
                 32,
                 2 + 16,
                 symmetric(Format::integer(4), scale),
                 {nibbles(1, 16, 2, 8), word(0)},
                 signedMax});
  all.push_back({"q4_1",
                 32,
                 2 + 2 + 16,
                 withMinimum(Format::unsignedInteger(4), scale, scale),
                 {nibbles(1, 16, 4), word(0), word(2)},
                 minMax});
  all.push_back({"q5_0",
                 32,
                 2 + 4 + 16,
                 symmetric(Format::integer(5), scale),
                 {fives(2, 6, 16), word(0)},
                 signedMax});
  all.push_back({"q5_1",
                 32,
                 2 + 2 + 4 + 16,
                 withMinimum(Format::unsignedInteger(5), scale, scale),
                 {fives(4, 8), word(0), word(2)},
                 minMax});
  all.push_back({"q8_0",
                 32,
                 2 + 32,
                 symmetric(Format::integer(8), scale),
                 {byteCodes(32, 2), word(0)},
                 ggmlRule(Choice::AbsMax, Rounding::HalfAway)});
  all.push_back({"iq4_nl",
                 32,
                 2 + 16,
                 symmetric(*namedCodebook("iq4_nl"), scale),
                 {nibbles(1, 16, 2), word(0)},
                 {},
                 searchStruct});
  Scale powers{
      {{Format::minifloat(*Minifloat::named("e8m0")), Granularity::perBlock({32})}}, {}, {}};
  all.push_back({"mxfp4",
                 32,
                 1 + 16,
                 symmetric(*namedCodebook("mxfp4_ggml"), powers),
                 {nibbles(1, 16, 1), byteCodes(1, 0)},
                 {},
                 encodeMicroscaled});
}

/// Structs of 256 elements with scales of scales.
static void addSuperStructs(std::deque<BlockStruct> &all) {
  // Sixteen pairs of nibbles, low: scale, high: minimum.
  auto half = [](int64_t shift) { return member({16}, {field(4, 0, 0, {1}, {0}, shift)}); };
  Format four = Format::unsignedInteger(4), six = Format::unsignedInteger(6);
  all.push_back({"q2_k",
                 256,
                 16 + 64 + 2 + 2,
                 withMinimum(Format::unsignedInteger(2), superScale(256, four, 16),
                             superScale(256, four, 16)),
                 {member({2, 4, 32}, {field(2, 0, 16, {32, 0, 1}, {0, 2, 0})}), word(80), half(0),
                  word(82, kNegated), half(4)},
                 {},
                 searchStruct});
  all.push_back(
      {"q3_k",
       256,
       32 + 64 + 12 + 2,
       symmetric(Format::integer(3), superScale(256, Format::integer(6), 16)),
       {member({2, 4, 32},
               {field(2, 0, 32, {32, 0, 1}, {0, 2, 0}), field(1, 2, 0, {0, 0, 1}, {4, 1, 0})}, 4),
        word(108),
        member({2, 2, 4},
               {field(4, 0, 96, {0, 4, 1}, {4, 0, 0}), field(2, 4, 104, {0, 0, 1}, {4, 2, 0})},
               32)},
       {},
       searchStruct});
  all.push_back({"q4_k",
                 256,
                 2 + 2 + 12 + 128,
                 withMinimum(four, superScale(256, six, 32), superScale(256, six, 32)),
                 {nibbles(4, 32, 16), word(0), sixBitScales(), word(2, kNegated), sixBitMinima()},
                 {},
                 searchStruct});
  all.push_back(
      {"q5_k",
       256,
       2 + 2 + 12 + 32 + 128,
       withMinimum(Format::unsignedInteger(5), superScale(256, six, 32), superScale(256, six, 32)),
       {member({4, 2, 32},
               {field(4, 0, 48, {32, 0, 1}, {0, 4, 0}), field(1, 4, 16, {0, 0, 1}, {2, 1, 0})}),
        word(0), sixBitScales(), word(2, kNegated), sixBitMinima()},
       {},
       searchStruct});
  all.push_back({"q6_k",
                 256,
                 128 + 64 + 16 + 2,
                 symmetric(Format::integer(6), superScale(256, Format::integer(8), 16)),
                 {member({2, 2, 2, 32},
                         {field(4, 0, 0, {64, 0, 32, 1}, {0, 4, 0, 0}),
                          field(2, 4, 128, {32, 0, 0, 1}, {0, 4, 2, 0})},
                         32),
                  word(208), byteCodes(16, 192)},
                 {},
                 searchStruct});
  all.push_back(
      {"iq4_xs",
       256,
       2 + 2 + 4 + 128,
       symmetric(*namedCodebook("iq4_nl"), superScale(256, Format::integer(6), 32)),
       {nibbles(8, 16, 8), word(0),
        member({2, 2, 2},
               {field(4, 0, 4, {2, 1, 0}, {0, 0, 4}), field(2, 4, 2, {1, 0, 0}, {0, 4, 2})}, 32)},
       {},
       searchStruct});
}

static void addTernaryStructs(std::deque<BlockStruct> &all) {
  all.push_back({"tq1_0",
                 256,
                 48 + 4 + 2,
                 symmetric(*namedCodebook("ternary"), halves(256)),
                 {{{trits(5, 32, 0), trits(5, 16, 32), trits(4, 4, 48)}}, word(52)},
                 ggmlRule(Choice::AbsMax, Rounding::NearestEven)});
  // Two bits hold a fourth level, which ggml reads as 2 and never writes.
  all.push_back(
      {"tq2_0",
       256,
       64 + 2,
       symmetric(Format::codebook({-1, 0, 1, 2}, "codebook<[-1.0, 0.0, 1.0, 2.0]>"), halves(256)),
       {member({2, 4, 32}, {field(2, 0, 0, {32, 0, 1}, {0, 2, 0})}), word(64)},
       {},
       encodeTernary});
}

static std::deque<BlockStruct> makeStructs() {
  std::deque<BlockStruct> all;
  addSmallStructs(all);
  addSuperStructs(all);
  addTernaryStructs(all);
  return all;
}

static const std::deque<BlockStruct> &structs() {
  static const std::deque<BlockStruct> all = makeStructs();
  return all;
}

//===----------------------------------------------------------------------===//
// Look-up
//===----------------------------------------------------------------------===//

const BlockStruct *ggmlStruct(std::string_view name) {
  for (const BlockStruct &block : structs())
    if (block.name == name)
      return &block;
  return nullptr;
}

std::vector<const BlockStruct *> ggmlStructs() {
  std::vector<const BlockStruct *> all;
  for (const BlockStruct &block : structs())
    all.push_back(&block);
  return all;
}

std::shared_ptr<const Layout> ggmlLayout(std::string_view name) {
  const BlockStruct *block = ggmlStruct(name);
  assert(block && "no ggml struct of this name");
  return std::make_shared<BlockLayout>(*block);
}

Quantized ggmlTerm(std::string_view name, int64_t rank) {
  Quantized term = ggmlStruct(name)->termOfRank(rank);
  term.layout = ggmlLayout(name);
  return term;
}

} // namespace lowbit::numerics
