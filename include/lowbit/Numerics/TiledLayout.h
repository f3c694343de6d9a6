//===- TiledLayout.h - Inner tiles of 16 rows x 4 columns -----------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a contraction reads vector by vector: a vector of 64 bytes is 16 rows x 4 consecutive
// columns, row by row, so that each 32-bit lane holds four codes of one row. In a plane of width w
// (see Packing.h), the bits [s * w, (s + 1) * w) of the bytes of vector v are the fields of the
// columns from 4 * (v * 8 / w + s) on: unpacking is a mask and a shift. The highest bit of an
// int<k> code is flipped, which makes it unsigned, offset by 2^(k-1). Levels of scales and zero
// points that have a value for each row lie as [groups of 16 rows][blocks][16], in whole bytes;
// others as their grid. Rows beyond the last one are zero bits.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_TILEDLAYOUT_H
#define LOWBIT_NUMERICS_TILEDLAYOUT_H

#include "lowbit/Numerics/Packing.h"

namespace lowbit::numerics {

/// The tile of one vector.
struct InnerTile {
  static constexpr int64_t rows = 16, columns = 4, bytes = rows * columns;
};

/// Columns whose fields share a vector of a plane.
int64_t columnsPerVector(Plane plane);

/// `tiled`: 2-D tensors, codes of up to 8 bits.
std::shared_ptr<const Layout> tiledLayout();

/// What a layout of inner tiles can hold: an error message, or nothing.
std::optional<std::string> checkInnerTiles(const std::string &layout, const Quantized &term,
                                           const Shape &shape);

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_TILEDLAYOUT_H
