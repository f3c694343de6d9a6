//===- Blocks.h - Shapes and how blocks tile them -------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Row-major shapes and the grid of blocks that covers one. Blocks start at index 0 of each axis;
// the last block of an axis may be partial. A *row* is a run along the last axis; rows are numbered
// in row-major order of the leading axes.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_BLOCKS_H
#define LOWBIT_NUMERICS_BLOCKS_H

#include <cstdint>
#include <optional>
#include <vector>

namespace lowbit::numerics {

/// Extents, outermost first. Every extent is >= 0 and the rank is >= 1.
using Shape = std::vector<int64_t>;

/// a * b, or nothing when the product leaves int64. Both operands are >= 0.
std::optional<int64_t> checkedMultiply(int64_t a, int64_t b);
/// The number of elements, or nothing when it leaves int64 or an extent is negative.
std::optional<int64_t> elementCount(const Shape &shape);

/// ceil(a / b) for a >= 0, b >= 1, without overflow.
inline int64_t ceilDivide(int64_t a, int64_t b) { return a / b + (a % b != 0); }

/// The grid of blocks over a shape. Precondition: elementCount(shape) exists, block has the same
/// rank and entries >= 1. Along an axis without elements 0 stands for the whole axis: one block,
/// where blocks of a given extent are none.
class Tiling {
public:
  Tiling() = default;
  Tiling(const Shape &shape, const Shape &block);

  /// One entry per block: [ceil(n0/b0), ceil(n1/b1), ...].
  const Shape &grid() const { return gridShape; }
  int64_t blockCount() const { return count; }
  /// Extent of a block along the last axis.
  int64_t lastBlock() const { return blockShape.back(); }

  /// Linear grid index of the block that holds element (row, 0); the block of (row, column) is
  /// `rowBase(row) + column / lastBlock()`.
  int64_t rowBase(int64_t row) const;

  /// Calls visit(block, begin, end) for every run of columns [begin, end) of `row` that lies in one
  /// block, in order.
  template <typename Visitor> void forEachRun(int64_t row, Visitor visit) const {
    int64_t block = rowBase(row), columns = tensorShape.back();
    for (int64_t begin = 0; begin < columns; ++block) {
      // Written so that a block extent near the limit of int64 cannot overflow.
      int64_t end = columns - begin > lastBlock() ? begin + lastBlock() : columns;
      visit(block, begin, end);
      begin = end;
    }
  }

private:
  Shape tensorShape, blockShape, gridShape;
  int64_t count = 0;
};

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_BLOCKS_H
