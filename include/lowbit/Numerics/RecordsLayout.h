//===- RecordsLayout.h - Inner tiles with their scales, in one stream -----===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The vectors of codes and the levels of the layout `tiled` (TiledLayout.h), in another order: what
// belongs to the same 16 rows and some 64 columns lies together, in a record, so that a product
// reads one sequential stream for each group of rows. A record holds the vectors of each plane,
// then the levels, each in order of the columns; columns and rows beyond the tensor are zero bits.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_RECORDSLAYOUT_H
#define LOWBIT_NUMERICS_RECORDSLAYOUT_H

#include "lowbit/Numerics/Layout.h"

namespace lowbit::numerics {

/// What a record holds of one component of `tiled`.
struct RecordPart {
  size_t component;
  int64_t columns; ///< of the tensor, that a unit serves: a vector, or a level's values for 16 rows
  int64_t bytes;   ///< of a unit
  int64_t offset = 0; ///< of the first unit, in bytes from the record's start
};

struct Record {
  int64_t columns = 1; ///< of the tensor: whole units of each part
  int64_t bytes = 0;   ///< whole cache lines
  std::vector<RecordPart> parts;
  /// Components of `tiled` that stay arrays of their own: levels with one value for all columns,
  /// for several rows or for more columns than a record has.
  std::vector<size_t> apart;

  int64_t units(const RecordPart &part) const { return columns / part.columns; }
  /// Null: it is apart.
  const RecordPart *find(size_t component) const;
};

/// Precondition: the layout's check() passes.
Record recordOf(const Quantized &term, const Shape &shape);

/// `records`: what `tiled` can hold, too.
std::shared_ptr<const Layout> recordsLayout();

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_RECORDSLAYOUT_H
