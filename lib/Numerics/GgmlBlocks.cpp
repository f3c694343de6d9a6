//===- GgmlBlocks.cpp - The block structs of GGUF files --------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/BlockLayout.h"

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

static Quantized symmetric(Format format, Scale scale) {
  return {std::move(format), std::move(scale), ZeroKind::None, std::nullopt, {}, nullptr};
}

static Quantized withMinimum(Format format, Scale scale, Scale minimum) {
  return {std::move(format), std::move(scale), ZeroKind::Additive, std::move(minimum), {}, nullptr};
}

/// A 16-bit number, little end first, from `byte` on.
static StructMember word(int64_t byte, uint32_t bias = 0) {
  return {{{{1}, {{8, 0, byte, {0}, 0, {0}}, {8, 8, byte + 1, {0}, 0, {0}}}}}, bias};
}

/// `count` bytes from `byte` on.
static StructMember byteCodes(int64_t count, int64_t byte) {
  return {{{{count}, {{8, 0, byte, {1}, 0, {0}}}}}};
}

/// 4-bit codes: the first half of the elements in the low nibbles of `bytes` bytes, the second half
/// in the high ones.
static StructMember nibbles(int64_t bytes, int64_t byte, uint32_t bias = 0) {
  return {{{{2, bytes}, {{4, 0, byte, {0, 1}, 0, {4, 0}}}}}, bias};
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

static std::deque<BlockStruct> makeStructs() {
  std::deque<BlockStruct> all;
  Quantized q4_0 = symmetric(Format::integer(4), halves(32));
  // A two's complement code plus 8.
  all.push_back({"q4_0",
                 32,
                 2 + 16,
                 q4_0,
                 {nibbles(16, 2, 8), word(0)},
                 ggmlRule(Choice::SignedMax, Rounding::HalfUp)});
  Quantized q4_1 = withMinimum(Format::unsignedInteger(4), halves(32), halves(32));
  all.push_back({"q4_1",
                 32,
                 2 + 2 + 16,
                 q4_1,
                 {nibbles(16, 4), word(0), word(2)},
                 ggmlRule(Choice::MinMax, Rounding::HalfUp)});
  Quantized q8_0 = symmetric(Format::integer(8), halves(32));
  all.push_back({"q8_0",
                 32,
                 2 + 32,
                 q8_0,
                 {byteCodes(32, 2), word(0)},
                 ggmlRule(Choice::AbsMax, Rounding::HalfAway)});
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
