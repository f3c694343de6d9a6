//===- BlockLayout.h - Interleaved block structs --------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Structs that hold a fixed number of elements of the last axis with all that belongs to them, as
// in a GGUF file. A struct is data: for each array of codes of the term, where the bits of each
// code lie. The number of an element in its struct is written in digits of mixed radix; byte and
// bit number are linear in the digits. In block_q4_0 element 16 * h + i has its four bits in byte 2
// + i from bit 4 * h on: digits {2, 16}, byte strides {0, 1}, shift strides {4, 0}.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_BLOCKLAYOUT_H
#define LOWBIT_NUMERICS_BLOCKLAYOUT_H

#include "lowbit/Numerics/Layout.h"

#include <string_view>

namespace lowbit::numerics {

/// Bits of a code that lie together.
struct BitField {
  unsigned width;                   ///< bits
  unsigned target;                  ///< the place of the lowest one in the code
  int64_t byte;                     ///< of the struct, for the element whose digits are zero
  std::vector<int64_t> byteStrides; ///< for each digit
  int64_t shift;                    ///< of the lowest bit in the byte
  std::vector<int64_t> shiftStrides;
};

/// A run of elements whose bits follow one pattern.
struct Segment {
  /// Radices, the outermost first; their product is the number of elements.
  std::vector<int64_t> digits;
  std::vector<BitField> fields;
  /// Trits: a byte is the fraction of 256 that the base-3 digits of its elements make, rounded up;
  /// `shift` counts digits, the leading one first (block_tq1_0). One field of width 8.
  bool isTernary = false;

  int64_t elements() const;
};

/// Where one array of the term lies. The code is `(stored + bias) mod 2^bits`.
struct StructMember {
  std::vector<Segment> segments;
  uint32_t bias = 0;
};

struct BlockStruct {
  std::string name; ///< "q4_0"
  int64_t elements; ///< of the last axis in one struct
  int64_t bytes;
  /// What it stores, on tensors of one axis; without a layout.
  Quantized term;
  /// One for each of codeArrays(term).
  std::vector<StructMember> members;
  /// What `Default` stands for, unless there is an encoder.
  EncodeRule rule;
  /// One struct's codes, for each of codeArrays(term), of x[elements]; null: `rule` says it all.
  std::vector<Codes> (*encoder)(const Quantized &term, int64_t elements, const float *x) = nullptr;

  /// The term on tensors of this rank: its blocks lie along the last axis.
  Quantized termOfRank(int64_t rank) const;
};

/// The structs of ggml-common.h by their name in lower case, or null.
const BlockStruct *ggmlStruct(std::string_view name);
/// All of them.
std::vector<const BlockStruct *> ggmlStructs();

class BlockLayout final : public Layout {
public:
  explicit BlockLayout(const BlockStruct &block) : block(block) {}
  std::string str() const override { return "ggml<" + block.name + ">"; }
  std::optional<std::string> check(const Quantized &term, const Shape &shape) const override;
  std::vector<Component> components(const Quantized &term, const Shape &shape) const override;
  std::vector<Codes> unpack(const Quantized &term, const Shape &shape,
                            const std::vector<const uint8_t *> &data) const override;
  std::vector<Bytes> pack(const Quantized &term, const Shape &shape,
                          const std::vector<Codes> &arrays) const override;
  std::optional<EncodeRule> defaultRule() const override { return block.rule; }
  bool hasEncoder() const override { return block.encoder; }
  std::vector<Codes> chooseCodes(const Quantized &term, const Shape &shape,
                                 const float *x) const override;

private:
  const BlockStruct &block;
};

/// The layout of a ggml struct. Precondition: there is one of that name.
std::shared_ptr<const Layout> ggmlLayout(std::string_view name);
/// The term that it stores on tensors of this rank, in that layout.
Quantized ggmlTerm(std::string_view name, int64_t rank);

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_BLOCKLAYOUT_H
