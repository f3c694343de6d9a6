//===- MomentFactor.h - What errors are carried by --------------*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Second moments h = v v^T, with v upper triangular: for errors e of all columns, e h e^T is the
// sum of squares of e v. So codes that are chosen column by column need no inverse of h, as GPTQ's
// do (LDLQ of QuIP: Chee, Cai, Kuleshov, De Sa 2023, arXiv 2307.13304: the codes are the same).
//
// Scales of a block are chosen when its numbers are the best ones for the codes before it. So the
// columns are cut into blocks, and v is divided by its diagonal blocks v_bb:
//
//   above it   p = v_ab v_bb^-1    the best numbers of block b are w_b - e_a p, e_a the errors
//                                  before it (decoded - w)
//   in it      t = d v_bb^-1       d the diagonal of v_bb: then these change by -r_j t_jk for each
//                                  column j < k that was off by r_j from what it was best at
//
// and e h e^T is the sum of (d_j r_j)^2 over all columns.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_LIB_QUANTIZE_MOMENTFACTOR_H
#define LOWBIT_LIB_QUANTIZE_MOMENTFACTOR_H

#include <Eigen/Core>

#include <optional>
#include <vector>

namespace lowbit {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

struct MomentFactor {
  struct Block {
    int64_t begin, end;       ///< columns
    std::vector<float> above; ///< p, [begin, end - begin]; errors are numbers of f32, too
    Matrix within;            ///< t
  };
  std::vector<Block> blocks;
  Eigen::VectorXd diagonal; ///< d of all columns
};

/// From h with its columns and rows from the last to the first, for blocks of `width` columns.
/// Nothing if it is not positive definite.
std::optional<MomentFactor> factorMoments(Matrix reversed, int64_t width);

} // namespace lowbit

#endif // LOWBIT_LIB_QUANTIZE_MOMENTFACTOR_H
