//===- Blocks.cpp - Shapes and how blocks tile them ---------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Blocks.h"

#include <cassert>
#include <limits>

namespace lowbit::numerics {

std::optional<int64_t> checkedMultiply(int64_t a, int64_t b) {
  assert(a >= 0 && b >= 0 && "extents are not negative");
  if (b != 0 && a > std::numeric_limits<int64_t>::max() / b)
    return std::nullopt;
  return a * b;
}

std::optional<int64_t> elementCount(const Shape &shape) {
  // An empty tensor has no elements however large its other extents are, so zeros come first.
  bool isEmpty = false;
  for (int64_t extent : shape) {
    if (extent < 0)
      return std::nullopt;
    isEmpty |= extent == 0;
  }
  if (isEmpty)
    return 0;
  int64_t count = 1;
  for (int64_t extent : shape) {
    std::optional<int64_t> product = checkedMultiply(count, extent);
    if (!product)
      return std::nullopt;
    count = *product;
  }
  return count;
}

Tiling::Tiling(const Shape &shape, const Shape &block) : tensorShape(shape), blockShape(block) {
  assert(!shape.empty() && shape.size() == block.size() && "block and tensor have one rank");
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    assert((block[axis] >= 1 || shape[axis] == 0) && "only a block of nothing has no extent");
    gridShape.push_back(block[axis] == 0 ? 1 : ceilDivide(shape[axis], block[axis]));
  }
  // There are at most as many blocks as elements, or one.
  count = *elementCount(gridShape);
}

int64_t Tiling::rowBase(int64_t row) const {
  int64_t base = 0, stride = gridShape.back();
  for (size_t axis = tensorShape.size() - 1; axis-- > 0;) {
    int64_t index = row % tensorShape[axis];
    row /= tensorShape[axis];
    base += index / blockShape[axis] * stride;
    stride *= gridShape[axis];
  }
  return base;
}

} // namespace lowbit::numerics
