//===- CheckpointLayout.h - Words of codes, as in checkpoints -------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How quantized checkpoints store a term: each array by itself, integer and codebook codes packed
// into words along one axis, floats as such. Where a code lies in its word is linear in the digits
// of its number there, as in BlockLayout.h. Tensors have the shape that the word order implies:
// GPTQ's and AWQ's weights are [inputs, outputs].
//
//   gptq   codes and zero points in i32 words: `qweight` [K / c, N] along the inputs, `scales`
//          [K / g, N], `qzeros` [K / g, N / c] along the outputs, stored less 1; c = 32 / bits.
//          AutoGPTQ and GPTQModel, pack() of the torch QuantLinear.
//   awq    `qweight` [K, N / 8], `scales`, `qzeros` [K / g, N / 8] along the outputs, the even
//          columns of each eight in the low half of the word. AutoAWQ, WQLinear_GEMM.from_linear.
//   bnb    `weight` with the first of two codes in the high nibble, `absmax`, with double
//          quantization `absmax`, `nested_absmax` and `nested_offset`, all in the order of the
//          flattened tensor. bitsandbytes, quantize_4bit and QuantState.as_dict.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_CHECKPOINTLAYOUT_H
#define LOWBIT_NUMERICS_CHECKPOINTLAYOUT_H

#include "lowbit/Numerics/Layout.h"

#include <string_view>

namespace lowbit::numerics {

/// How one array of a term is stored. Floats have one code per word.
struct WordArray {
  std::string name; ///< of the component
  ElementType type; ///< of a word: UInt8, Int32 or a float
  size_t axis;      ///< along which `codesPerWord()` codes make a word
  /// Digits of a code's number in its word, the outermost first, and what each adds to `shift`.
  std::vector<int64_t> digits, shiftStrides;
  int64_t shift = 0; ///< bits, of the code whose digits are zero
  uint32_t bias = 0; ///< the code is (stored + bias) mod 2^bits

  int64_t codesPerWord() const;
};

class CheckpointLayout final : public Layout {
public:
  /// "gptq", "awq" or "bnb".
  explicit CheckpointLayout(std::string name) : name(std::move(name)) {}
  std::string str() const override { return name; }
  std::optional<std::string> check(const Quantized &term, const Shape &shape) const override;
  std::vector<Component> components(const Quantized &term, const Shape &shape) const override;
  std::vector<Codes> unpack(const Quantized &term, const Shape &shape,
                            const std::vector<const uint8_t *> &data) const override;
  std::vector<Bytes> pack(const Quantized &term, const Shape &shape,
                          const std::vector<Codes> &arrays) const override;

  /// One for each of codeArrays(term, shape), for a tensor of this rank.
  std::vector<WordArray> wordArrays(const Quantized &term, size_t rank) const;

private:
  std::string name;
};

/// The layout of that name, or null.
std::shared_ptr<const CheckpointLayout> checkpointLayout(std::string_view name);

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_CHECKPOINTLAYOUT_H
