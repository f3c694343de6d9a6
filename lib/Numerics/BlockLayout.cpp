//===- BlockLayout.cpp - Interleaved block structs -------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/BlockLayout.h"

#include <algorithm>
#include <cassert>

namespace lowbit::numerics {

int64_t Segment::elements() const {
  int64_t product = 1;
  for (int64_t radix : digits)
    product *= radix;
  return product;
}

static void widen(std::optional<Scale> &tree, int64_t rank) {
  if (!tree)
    return;
  for (ScaleLevel &level : tree->levels)
    level.granularity.block.insert(level.granularity.block.begin(), static_cast<size_t>(rank - 1),
                                   1);
}

Quantized BlockStruct::termOfRank(int64_t rank) const {
  Quantized wide = term;
  widen(wide.scale, rank);
  widen(wide.zero, rank);
  return wide;
}

std::optional<std::string> BlockLayout::check(const Quantized &term, const Shape &shape) const {
  if (shape.back() % block.elements != 0)
    return "layout " + str() + " needs a last axis that is a multiple of " +
           std::to_string(block.elements) + ", not " + std::to_string(shape.back());
  Quantized expected = block.termOfRank(static_cast<int64_t>(shape.size()));
  bool isSame = term.format == expected.format && term.scale == expected.scale &&
                term.zeroKind == expected.zeroKind && term.zero == expected.zero;
  if (!isSame)
    return "layout " + str() + " stores " + expected.str() + ", and nothing else";
  return std::nullopt;
}

std::vector<Component> BlockLayout::components(const Quantized &, const Shape &shape) const {
  Shape blocks = shape;
  blocks.back() /= block.elements;
  blocks.push_back(block.bytes);
  return {{"blocks", ElementType::UInt8, std::move(blocks)}};
}

//===----------------------------------------------------------------------===//
// Bits of one element
//===----------------------------------------------------------------------===//

namespace {
/// The place of a field of the element with these digits.
struct Place {
  size_t byte;
  unsigned shift;
};
} // namespace

static Place placeOf(const BitField &field, const std::vector<int64_t> &digits) {
  int64_t byte = field.byte, shift = field.shift;
  for (size_t i = 0; i < digits.size(); ++i) {
    byte += digits[i] * field.byteStrides[i];
    shift += digits[i] * field.shiftStrides[i];
  }
  return {static_cast<size_t>(byte), static_cast<unsigned>(shift)};
}

/// Calls visit(element, digits) for every element of the segment, in order.
template <typename Visitor> static void forEachElement(const Segment &segment, Visitor visit) {
  std::vector<int64_t> digits(segment.digits.size(), 0);
  for (int64_t element = 0, count = segment.elements(); element < count; ++element) {
    visit(element, digits);
    for (size_t i = digits.size(); i-- > 0;) {
      if (++digits[i] < segment.digits[i])
        break;
      digits[i] = 0;
    }
  }
}

static unsigned powerOfThree(unsigned exponent) {
  unsigned power = 1;
  while (exponent-- > 0)
    power *= 3;
  return power;
}

static uint32_t readTrit(uint8_t byte, unsigned number) {
  return ((byte * powerOfThree(number) & 0xffu) * 3u) >> 8;
}

static uint32_t maskOf(unsigned bits) { return bits >= 32 ? ~0u : (1u << bits) - 1; }

static void readMember(const StructMember &member, unsigned bits, const uint8_t *bytes,
                       uint32_t *codes) {
  for (const Segment &segment : member.segments) {
    forEachElement(segment, [&](int64_t element, const std::vector<int64_t> &digits) {
      uint32_t code = 0;
      for (const BitField &field : segment.fields) {
        Place place = placeOf(field, digits);
        uint32_t value = segment.isTernary
                             ? readTrit(bytes[place.byte], place.shift)
                             : (bytes[place.byte] >> place.shift) & maskOf(field.width);
        code |= value << field.target;
      }
      codes[element] = (code + member.bias) & maskOf(bits);
    });
    codes += segment.elements();
  }
}

/// `bytes` are zeros where this member lies.
static void writeMember(const StructMember &member, unsigned bits, const uint32_t *codes,
                        uint8_t *bytes) {
  for (const Segment &segment : member.segments) {
    // Of a ternary byte: the base-3 number of its digits, before it becomes a fraction.
    std::vector<unsigned> trits, weights;
    forEachElement(segment, [&](int64_t element, const std::vector<int64_t> &digits) {
      uint32_t code = (codes[element] - member.bias) & maskOf(bits);
      for (const BitField &field : segment.fields) {
        Place place = placeOf(field, digits);
        if (!segment.isTernary) {
          bytes[place.byte] = static_cast<uint8_t>(
              bytes[place.byte] | ((code >> field.target) & maskOf(field.width)) << place.shift);
          continue;
        }
        trits.resize(std::max(trits.size(), place.byte + 1));
        weights.resize(trits.size());
        trits[place.byte] += code * powerOfThree(4 - place.shift);
        weights[place.byte] = 1;
      }
    });
    for (size_t byte = 0; byte < trits.size(); ++byte)
      if (weights[byte])
        bytes[byte] = static_cast<uint8_t>((trits[byte] * 256 + 242) / 243);
    codes += segment.elements();
  }
}

//===----------------------------------------------------------------------===//
// Whole tensors
//===----------------------------------------------------------------------===//

/// How many codes of an array one struct holds.
static int64_t codesPerBlock(const StructMember &member) {
  int64_t count = 0;
  for (const Segment &segment : member.segments)
    count += segment.elements();
  return count;
}

std::vector<Codes> BlockLayout::unpack(const Quantized &term, const Shape &shape,
                                       const std::vector<const uint8_t *> &data) const {
  std::vector<CodeArray> list = codeArrays(term, shape);
  assert(list.size() == block.members.size() && "a member for each array");
  int64_t blocks = *elementCount(shape) / block.elements;
  std::vector<Codes> arrays;
  for (size_t i = 0; i < list.size(); ++i) {
    int64_t perBlock = codesPerBlock(block.members[i]);
    Codes &codes = arrays.emplace_back(static_cast<size_t>(*elementCount(list[i].shape)));
    for (int64_t number = 0; number < blocks; ++number)
      readMember(block.members[i], list[i].format.bits(), data[0] + number * block.bytes,
                 codes.data() + number * perBlock);
  }
  return arrays;
}

std::vector<Bytes> BlockLayout::pack(const Quantized &term, const Shape &shape,
                                     const std::vector<Codes> &arrays) const {
  std::vector<CodeArray> list = codeArrays(term, shape);
  assert(list.size() == block.members.size() && "a member for each array");
  int64_t blocks = *elementCount(shape) / block.elements;
  Bytes bytes(static_cast<size_t>(blocks * block.bytes));
  for (size_t i = 0; i < list.size(); ++i) {
    int64_t perBlock = codesPerBlock(block.members[i]);
    for (int64_t number = 0; number < blocks; ++number)
      writeMember(block.members[i], list[i].format.bits(), arrays[i].data() + number * perBlock,
                  bytes.data() + number * block.bytes);
  }
  return {std::move(bytes)};
}

std::vector<Codes> BlockLayout::chooseCodes(const Quantized &term, const Shape &shape,
                                            const float *x) const {
  Quantized flat = block.term;
  std::vector<Codes> arrays(codeArrays(term, shape).size());
  for (int64_t number = 0, count = *elementCount(shape) / block.elements; number < count;
       ++number) {
    std::vector<Codes> own = block.encoder(flat, block.elements, x + number * block.elements);
    for (size_t i = 0; i < arrays.size(); ++i)
      arrays[i].insert(arrays[i].end(), own[i].begin(), own[i].end());
  }
  return arrays;
}

} // namespace lowbit::numerics
