//===- Packing.h - Codes to bytes and back --------------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Planes: the bits of a k-bit code are split into power-of-two-wide planes, low bits first (3 =
// 2+1, 5 = 4+1, 6 = 4+2, 7 = 4+2+1, 12 = 8+4). In a plane of width w, code j of a row lies in byte j*w/8 at
// bit (j*w)%8, little end first; a row takes ceil(n*w/8) bytes and the unused bits of its last byte
// are zero. Floats are one plane of 16 or 32 bits: a little-endian array.
//
// ggml blocks: the structs block_q4_0, block_q4_1 and block_q8_0 of ggml (ggml-common.h), 32 codes
// each, scale (and minimum) as f16 in front.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_PACKING_H
#define LOWBIT_NUMERICS_PACKING_H

#include "lowbit/Numerics/Blocks.h"
#include "lowbit/Numerics/Term.h"

#include <cstdint>
#include <vector>

namespace lowbit::numerics {

using Bytes = std::vector<uint8_t>;

/// Bits [shift, shift + width) of every code.
struct Plane {
  unsigned shift;
  unsigned width; ///< 1, 2, 4, 8, 16 or 32
};

/// The planes of a code of `bits` bits (1 to 16, or 32), low bits first.
std::vector<Plane> planesOf(unsigned bits);

/// Bytes of one row of `columns` codes in a plane of `width` bits.
int64_t rowBytes(int64_t columns, unsigned width);

/// Writes one row of a plane: every byte of it, the unused bits as zeros.
void packRow(const uint32_t *codes, int64_t columns, Plane plane, uint8_t *row);
/// Ors the bits of one row of a plane into `codes`.
void unpackRow(const uint8_t *row, int64_t columns, Plane plane, uint32_t *codes);

/// A whole tensor of codes, one buffer for each plane. Code is uint8_t (bits <= 8) or uint32_t.
template <typename Code>
std::vector<Bytes> packTensor(const Code *codes, const Shape &shape, unsigned bits);
template <typename Code>
void unpackTensor(const uint8_t *const *planes, const Shape &shape, unsigned bits, Code *codes);

/// Codes in one ggml block (32 for all three layouts).
constexpr int64_t ggmlBlockSize = 32;
/// Bytes of one block: 18 (q4_0), 20 (q4_1), 34 (q8_0).
int64_t ggmlBlockBytes(Layout layout);
inline bool ggmlHasMinimum(Layout layout) { return layout == Layout::GgmlQ4_1; }

/// One block from 32 codes of the layout's format (int<4>, uint<4> or int<8>), the f16 bits of the
/// scale and, for q4_1, of the minimum.
void packGgmlBlock(Layout layout, const uint32_t *codes, uint16_t scale, uint16_t minimum,
                   uint8_t *block);
/// The reverse; `minimum` is left alone by layouts without one.
void unpackGgmlBlock(Layout layout, const uint8_t *block, uint32_t *codes, uint16_t &scale,
                     uint16_t &minimum);

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_PACKING_H
