//===- MomentFactor.cpp - What errors are carried by ----------------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MomentFactor.h"

#include "MatrixKernels.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Parallel.h"

#include <cmath>

using namespace llvm;
using namespace lowbit;

/// Rows and columns of a matrix that are factored together; then tasks are as large.
static constexpr int64_t kFactorBlock = 128;

using Matrix32 = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Cholesky's factor of h in its lower triangle, block column by block column.
static bool factorInPlace(Matrix &h) {
  const MatrixKernels &kernels = getMatrixKernels();
  int64_t n = h.rows();
  for (int64_t begin = 0; begin < n; begin += kFactorBlock) {
    int64_t end = std::min(n, begin + kFactorBlock), width = end - begin;
    if (!kernels.factor(&h(begin, begin), n, width))
      return false;
    int64_t below = divideCeil(n - end, kFactorBlock);
    auto place = [&](int64_t block) { return end + block * kFactorBlock; };
    auto height = [&](int64_t block) { return std::min(kFactorBlock, n - place(block)); };
    parallelFor(0, below, [&](size_t i) {
      kernels.divideByTransposed(&h(place(i), begin), &h(begin, begin), n, height(i), width);
    });
    parallelFor(0, below * (below + 1) / 2, [&](size_t task) {
      int64_t i = 0;
      for (; int64_t(task) > i; ++i)
        task -= i + 1;
      int64_t j = task;
      kernels.subtractProduct(&h(place(i), place(j)), &h(place(i), begin), &h(place(j), begin), n,
                              height(i), height(j), width);
    });
  }
  return true;
}

std::optional<MomentFactor> lowbit::factorMoments(Matrix reversed, int64_t width) {
  int64_t n = reversed.rows();
  if (!factorInPlace(reversed))
    return std::nullopt;
  const Matrix &lower = reversed; // l, of l l^T; v is l reversed
  MomentFactor factor;
  factor.diagonal = lower.diagonal().reverse();
  factor.blocks.resize(divideCeil(n, width));
  parallelFor(0, factor.blocks.size(), [&](size_t number) {
    MomentFactor::Block &block = factor.blocks[number];
    block.begin = number * width;
    block.end = std::min(n, block.begin + width);
    int64_t columns = block.end - block.begin, first = n - block.end;
    Matrix panel = lower.block(first, first, block.end, columns);
    panel.topRows(columns) = lower.diagonal().segment(first, columns).asDiagonal();
    getMatrixKernels().divide(panel.data(), &lower(first, first), n, block.end, columns);
    block.within = panel.topRows(columns).reverse();
    block.above.resize(block.begin * columns);
    Eigen::Map<Matrix32>(block.above.data(), block.begin, columns) =
        panel.bottomRows(block.begin).reverse().cast<float>();
  });
  for (const MomentFactor::Block &block : factor.blocks)
    if (!block.within.allFinite() ||
        !all_of(block.above, [](float value) { return std::isfinite(value); }))
      return std::nullopt;
  return factor;
}
