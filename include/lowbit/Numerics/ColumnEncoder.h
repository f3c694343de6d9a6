//===- ColumnEncoder.h - Codes of one column after the other ----*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For encoders that change numbers as they go along the columns of a matrix: scales are chosen from
// numbers of some time, codes are those of numbers of a later one. Rows are computed on side by
// side.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_COLUMNENCODER_H
#define LOWBIT_NUMERICS_COLUMNENCODER_H

#include "lowbit/Numerics/Packing.h"
#include "lowbit/Numerics/Term.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lowbit::numerics {

class ColumnEncoder {
public:
  /// Why a term cannot be encoded so: it has no matrix, levels that are learned, codes that a
  /// layout chooses together, or stochastic rounding.
  static std::optional<std::string> check(const Quantized &term, const Shape &shape);
  /// Scales are to be chosen before codes. Precondition: check() passes.
  ColumnEncoder(const Quantized &term, const Shape &shape);
  ~ColumnEncoder();

  /// Of the blocks that are chosen a scale by themselves, [rows, columns]; nothing if scales depend
  /// on more, on those of other scales or on whole rows.
  std::optional<Shape> localBlock() const;
  /// Scales of all elements, from x [rows, columns], ...
  void chooseScales(const float *x);
  /// ... or of some rows from `row` on and columns from `column` on, whole blocks as localBlock()
  /// gives them, from x, [columns, rows] of the part. Different ones at the same time.
  void chooseScales(int64_t row, int64_t column, const Shape &part, const float *x);

  /// Takes the nearest codes of some numbers of a column, from a row on; what they decode to.
  /// Different elements may be set at the same time.
  void set(int64_t row, int64_t column, int64_t count, const float *x, float *decoded);

  /// The components, in the order and layout of components().
  std::vector<Bytes> finish() const;

private:
  Quantized term;
  EncodeRule rule;
  std::unique_ptr<const class LaneEncoder> lanes;
  Shape shape;
  void spread(int64_t row, int64_t column, const Shape &part, const struct ChosenScales &chosen);

  int64_t scaleColumns; ///< that share a scale
  /// Of each row, for one `scaleColumns` after the other. What is not stored as it is computed with
  /// lies apart.
  std::vector<float> scales, zeros, storedScales, storedZeros;
  std::vector<Codes> arrays; ///< of the layout: the codes', then those of scales and zero points
};

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_COLUMNENCODER_H
