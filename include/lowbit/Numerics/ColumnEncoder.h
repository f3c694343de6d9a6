//===- ColumnEncoder.h - Codes element by element, by given scales -*- C++ -*-===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For encoders that change numbers as they go along the columns of a matrix: scales are chosen from
// numbers of some time, codes are those of numbers of a later one.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_NUMERICS_COLUMNENCODER_H
#define LOWBIT_NUMERICS_COLUMNENCODER_H

#include "lowbit/Numerics/Packing.h"
#include "lowbit/Numerics/Term.h"

#include <optional>
#include <string>
#include <vector>

namespace lowbit::numerics {

class ColumnEncoder {
public:
  /// Why a term cannot be encoded so: it has no matrix, levels that are learned, codes that a
  /// layout chooses together, or stochastic rounding.
  static std::optional<std::string> check(const Quantized &term, const Shape &shape);
  /// Scales are those of x [rows, columns]. Precondition: check() passes.
  ColumnEncoder(const Quantized &term, const Shape &shape, const float *x);

  /// Columns of a block that are chosen a scale by themselves; nothing if scales depend on more, on
  /// those of other scales or on whole rows.
  std::optional<int64_t> localColumns() const;
  /// Scales of the columns [begin, end), whole blocks, anew: x has rows [end - begin].
  /// Precondition: localColumns() is something.
  void chooseScales(int64_t begin, int64_t end, const float *x);

  /// Takes the nearest code of x for an element; what it decodes to. Different elements may be set
  /// at the same time.
  float set(int64_t row, int64_t column, float x);

  /// The components, in the order and layout of components().
  std::vector<Bytes> finish() const;

private:
  void spread(int64_t begin, const Shape &shape, const struct ChosenScales &chosen);

  Quantized term;
  EncodeRule rule;
  Shape shape;
  std::vector<float> scales, zeros, storedScales, storedZeros; ///< of each element
  std::vector<Codes> arrays;
};

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_COLUMNENCODER_H
