//===- CheckpointLayout.h - Words of codes, as in checkpoints -------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How quantized checkpoints store a term: each array by itself, integer and codebook codes packed
// into words along one axis, floats as such. Where a code lies in its words is linear in the digits
// of its number there, as in BlockLayout.h. Tensors have the shape that the word order implies:
// GPTQ's and AWQ's weights are [inputs, outputs]. K inputs, N outputs, groups of g inputs, b bits:
//
//   gptq     `qweight` i32 [K b / 32, N] along the inputs, `scales` [K / g, N], `qzeros` i32
//            [K / g, N b / 32] along the outputs, stored less 1 modulo 2^b. Codes of 2, 4 and 8
//            bits fill words from the low bits up; 32 codes of 3 bits are a stream of three words.
//            AutoGPTQ 0.7.1, auto_gptq/nn_modules/qlinear/qlinear_cuda.py, QuantLinear.pack.
//   gptq_v2  the same, zero points as they are. GPTQModel 7.3.4,
//            gptqmodel/nn_modules/qlinear/__init__.py, PackableQuantLinear.pack_block.
//   awq      `qweight` i32 [K, N / 8], `scales`, `qzeros` i32 [K / g, N / 8] along the outputs, the
//            even columns of each eight in the low half of the word. AutoAWQ 0.2.9,
//            awq/modules/linear/gemm.py, WQLinear_GEMM.from_linear.
//   bnb      `weight` with the first of two codes in the high nibble, `absmax`, with double
//            quantization `nested_absmax`, `absmax` and `nested_offset`, all in the order of the
//            flattened tensor. bitsandbytes 0.50.2, functional.py, quantize_4bit and
//            QuantState.as_dict.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_CHECKPOINTLAYOUT_H
#define LOWBIT_NUMERICS_CHECKPOINTLAYOUT_H

#include "lowbit/Numerics/Layout.h"

#include <string_view>

namespace lowbit::numerics {

/// How one array of a term is stored. `codesPerGroup()` codes are a stream of bits in `words`
/// words: a code may straddle two of them. Floats have one code per word.
struct WordArray {
  std::string name; ///< of the component
  ElementType type; ///< of a word: UInt8, Int32 or a float
  size_t axis;      ///< along which codes make words
  /// Digits of a code's number in its group, the outermost first, and what each adds to `shift`.
  std::vector<int64_t> digits, shiftStrides;
  int64_t shift = 0; ///< bits, of the code whose digits are zero
  int64_t words = 1; ///< of a group
  uint32_t bias = 0; ///< the code is (stored + bias) mod 2^bits

  int64_t codesPerGroup() const;
  int64_t wordBits() const { return 8 * bytesOf(type); }
};

/// A row of the table of checkpoint formats.
struct CheckpointFormat {
  std::string_view name;
  ElementType word;             ///< UInt8: bytes of a flattened tensor; Int32: [inputs, outputs]
  std::vector<unsigned> widths; ///< of a code, in bits
  size_t axis;                  ///< of the tensor, along which its codes make words
  bool isInterleaved;           ///< even codes in the low half of a word, odd ones in the high half
  uint32_t zeroBias;            ///< what is taken off a stored zero point
};

/// All formats, in alphabetical order.
const std::vector<CheckpointFormat> &checkpointFormats();

class CheckpointLayout final : public Layout {
public:
  explicit CheckpointLayout(const CheckpointFormat &format) : format(format) {}
  std::string str() const override { return "checkpoint<" + std::string(format.name) + ">"; }
  std::optional<std::string> check(const Quantized &term, const Shape &shape) const override;
  std::vector<Component> components(const Quantized &term, const Shape &shape) const override;
  std::vector<Codes> unpack(const Quantized &term, const Shape &shape,
                            const std::vector<const uint8_t *> &data) const override;
  std::vector<Bytes> pack(const Quantized &term, const Shape &shape,
                          const std::vector<Codes> &arrays) const override;

  /// One for each of codeArrays(term, shape), for a tensor of this rank.
  std::vector<WordArray> wordArrays(const Quantized &term, size_t rank) const;

private:
  bool isBytes() const { return format.word == ElementType::UInt8; }
  std::optional<std::string> checkBytes(const Quantized &term, const Shape &shape) const;
  std::optional<std::string> checkWords(const Quantized &term, const Shape &shape) const;

  const CheckpointFormat &format;
};

/// The layout of that name, or null.
std::shared_ptr<const CheckpointLayout> checkpointLayout(std::string_view name);

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_CHECKPOINTLAYOUT_H
