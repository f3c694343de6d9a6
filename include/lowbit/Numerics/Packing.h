//===- Packing.h - Codes to bytes and back --------------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Planes: the bits of a k-bit code are split into power-of-two-wide planes, low bits first (3 =
// 2+1, 5 = 4+1, 6 = 4+2, 7 = 4+2+1, 12 = 8+4). In a plane of width w, code j of a row lies in byte
// j*w/8 at bit (j*w)%8, little end first; a row takes ceil(n*w/8) bytes and the unused bits of its
// last byte are zero. Floats are one plane of 16 or 32 bits: a little-endian array.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_PACKING_H
#define LOWBIT_NUMERICS_PACKING_H

#include "lowbit/Numerics/Blocks.h"
#include "lowbit/Numerics/Layout.h"

#include <cstdint>
#include <vector>

namespace lowbit::numerics {

/// Bits [shift, shift + width) of every code.
struct Plane {
  unsigned shift;
  unsigned width; ///< 1, 2, 4, 8, 16 or 32
};

/// The planes of a code of `bits` bits (1 to 16, or 32), low bits first.
std::vector<Plane> planesOf(unsigned bits);
/// Planes of the given widths, low bits first.
std::vector<Plane> planesOfWidths(const std::vector<unsigned> &widths);

/// Bytes of one row of `columns` codes in a plane of `width` bits.
int64_t rowBytes(int64_t columns, unsigned width);

/// Writes one row of a plane: every byte of it, the unused bits as zeros.
void packRow(const uint32_t *codes, int64_t columns, Plane plane, uint8_t *row);
/// Ors the bits of one row of a plane into `codes`.
void unpackRow(const uint8_t *row, int64_t columns, Plane plane, uint32_t *codes);

/// A whole tensor of codes, one buffer for each plane. Code is uint8_t (bits <= 8) or uint32_t.
template <typename Code>
std::vector<Bytes> packTensor(const Code *codes, const Shape &shape,
                              const std::vector<Plane> &planes);
template <typename Code>
void unpackTensor(const uint8_t *const *data, const Shape &shape, const std::vector<Plane> &planes,
                  Code *codes);
/// In the planes of `bits`.
template <typename Code>
std::vector<Bytes> packTensor(const Code *codes, const Shape &shape, unsigned bits) {
  return packTensor(codes, shape, planesOf(bits));
}
template <typename Code>
void unpackTensor(const uint8_t *const *data, const Shape &shape, unsigned bits, Code *codes) {
  unpackTensor(data, shape, planesOf(bits), codes);
}

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_PACKING_H
