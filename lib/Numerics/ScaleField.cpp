//===- ScaleField.cpp - The value of a scale tree at each element -------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ScaleField.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lowbit::numerics {

ScaleField ScaleField::perBlock(Tiling tiling, std::vector<float> values) {
  ScaleField field;
  field.tiling = std::move(tiling);
  field.values = std::move(values);
  return field;
}

ScaleField ScaleField::rank1(Combiner combiner, std::vector<float> rows,
                             std::vector<float> columns) {
  ScaleField field;
  field.combiner = combiner;
  field.rows = std::move(rows);
  field.columns = std::move(columns);
  return field;
}

void ScaleField::fillRow(int64_t row, float *out) const {
  if (combiner) {
    float rowValue = rows[static_cast<size_t>(row)];
    for (size_t j = 0; j < columns.size(); ++j)
      out[j] = *combiner == Combiner::Min ? std::min(rowValue, columns[j]) : rowValue * columns[j];
    return;
  }
  tiling.forEachRun(row, [&](int64_t block, int64_t begin, int64_t end) {
    std::fill(out + begin, out + end, values[static_cast<size_t>(block)]);
  });
}

float largerMagnitude(float current, float next) {
  return std::fabs(next) <= std::fabs(current) ? current : next;
}

/// For nested levels: the blocks of `outer` as tiles of the grid of `inner`.
static Tiling parentTiling(const ScaleLevel &outer, const ScaleLevel &inner, const Shape &shape) {
  Shape outerBlock = outer.granularity.blockOf(shape);
  Shape innerBlock = inner.granularity.blockOf(shape);
  Shape grid = Tiling(shape, innerBlock).grid();
  Shape ratio(shape.size());
  for (size_t axis = 0; axis < shape.size(); ++axis)
    ratio[axis] = outerBlock[axis] == 0             ? grid[axis] // whole, maybe of nothing
                  : outerBlock[axis] >= shape[axis] ? std::max<int64_t>(grid[axis], 1)
                                                    : outerBlock[axis] / innerBlock[axis];
  return Tiling(grid, ratio);
}

/// Calls visit(parent, child) for every block of the inner level, in order.
template <typename Visitor>
static void forEachChild(const Tiling &parents, const Shape &grid, Visitor visit) {
  int64_t columns = grid.back();
  int64_t rows = columns == 0 ? 0 : *elementCount(grid) / columns;
  for (int64_t row = 0; row < rows; ++row)
    parents.forEachRun(row, [&](int64_t parent, int64_t begin, int64_t end) {
      for (int64_t column = begin; column < end; ++column)
        visit(static_cast<size_t>(parent), static_cast<size_t>(row * columns + column));
    });
}

static Tiling tilingOf(const ScaleLevel &level, const Shape &shape) {
  return Tiling(shape, level.granularity.blockOf(shape));
}

//===----------------------------------------------------------------------===//
// Decode
//===----------------------------------------------------------------------===//

static std::vector<float> decodeElements(const Format &element, const Codes &codes) {
  std::vector<float> values(codes.size());
  std::transform(codes.begin(), codes.end(), values.begin(),
                 [&](uint32_t code) { return element.decode(code); });
  return values;
}

/// Adds to each value of the innermost level that of its block of the offset.
static void addOffset(const Scale &scale, const Shape &shape, const std::vector<float> &offsets,
                      std::vector<float> &values) {
  const ScaleLevel &inner = scale.levels.back();
  forEachChild(parentTiling(*scale.offset, inner, shape), tilingOf(inner, shape).grid(),
               [&](size_t parent, size_t child) { values[child] += offsets[parent]; });
}

ScaleField decodeScale(const Scale &scale, const Shape &shape, const Codes *&arrays) {
  if (scale.rank1) {
    std::vector<float> rows = decodeElements(scale.rank1->element, *arrays++);
    std::vector<float> columns = decodeElements(scale.rank1->element, *arrays++);
    return ScaleField::rank1(scale.rank1->combiner, std::move(rows), std::move(columns));
  }
  std::vector<float> product;
  for (size_t i = 0; i < scale.levels.size(); ++i) {
    std::vector<float> values = decodeElements(scale.levels[i].element, *arrays++);
    if (i > 0)
      forEachChild(parentTiling(scale.levels[i - 1], scale.levels[i], shape),
                   tilingOf(scale.levels[i], shape).grid(),
                   [&](size_t parent, size_t child) { values[child] *= product[parent]; });
    product = std::move(values);
  }
  if (scale.offset)
    addOffset(scale, shape, decodeElements(scale.offset->element, *arrays++), product);
  return ScaleField::perBlock(tilingOf(scale.levels.back(), shape), std::move(product));
}

//===----------------------------------------------------------------------===//
// Encode
//===----------------------------------------------------------------------===//

uint32_t storedCode(const Format &element, float value, EncodeRule::Overflow overflow) {
  if (element.hasNaN() && overflow == EncodeRule::Overflow::Saturate) {
    // The range of a block of nothing but one infinity, inf - inf, counts as empty.
    if (std::isnan(value))
      value = 0.0f;
    value = std::clamp(value, element.lowest(), element.highest());
  }
  return element.encode(value);
}

float storedValue(const Format &element, float value, EncodeRule::Overflow overflow) {
  return element.decode(storedCode(element, value, overflow));
}

/// The mean of the ideals in each block of the offset, summed in f64 in order, stored; the ideals
/// become what it leaves of them.
static std::vector<float> takeOffset(const Scale &scale, const Shape &shape,
                                     EncodeRule::Overflow overflow, std::vector<float> &ideals,
                                     Codes &codes) {
  const ScaleLevel &inner = scale.levels.back();
  Tiling parents = parentTiling(*scale.offset, inner, shape);
  Shape grid = tilingOf(inner, shape).grid();
  std::vector<double> sums(static_cast<size_t>(parents.blockCount())), counts(sums.size());
  forEachChild(parents, grid, [&](size_t parent, size_t child) {
    sums[parent] += std::isnan(ideals[child]) ? 0.0 : ideals[child];
    counts[parent] += 1;
  });
  std::vector<float> offsets;
  for (size_t i = 0; i < sums.size(); ++i) {
    codes.push_back(storedCode(scale.offset->element,
                               static_cast<float>(counts[i] == 0 ? 0.0 : sums[i] / counts[i]),
                               overflow));
    offsets.push_back(scale.offset->element.decode(codes.back()));
  }
  forEachChild(parents, grid,
               [&](size_t parent, size_t child) { ideals[child] -= offsets[parent]; });
  return offsets;
}

EncodedScale encodeLevels(const Scale &scale, const Shape &shape, const std::vector<float> &ideal,
                          EncodeRule::Overflow overflow) {
  const std::vector<ScaleLevel> &levels = scale.levels;
  std::vector<Tiling> parents(levels.size()); // parents[i]: level i - 1 over the grid of level i
  std::vector<Shape> grids;
  for (const ScaleLevel &level : levels)
    grids.push_back(tilingOf(level, shape).grid());
  for (size_t i = 1; i < levels.size(); ++i)
    parents[i] = parentTiling(levels[i - 1], levels[i], shape);

  // Inwards out: what each level would store if it were exact.
  std::vector<std::vector<float>> ideals(levels.size());
  ideals.back() = ideal;
  Codes offsetCodes;
  std::vector<float> offsets;
  if (scale.offset)
    offsets = takeOffset(scale, shape, overflow, ideals.back(), offsetCodes);
  for (size_t i = levels.size() - 1; i > 0; --i) {
    const Format &inner = levels[i].element;
    std::vector<float> peaks(static_cast<size_t>(*elementCount(grids[i - 1])),
                             std::numeric_limits<float>::quiet_NaN());
    forEachChild(parents[i], grids[i], [&](size_t parent, size_t child) {
      float value = std::isnan(ideals[i][child]) ? 0.0f : ideals[i][child];
      peaks[parent] = largerMagnitude(peaks[parent], value);
    });
    for (float &peak : peaks)
      peak = (inner.hasNegativeLevels() ? std::fabs(peak) : peak) / inner.largest();
    ideals[i - 1] = std::move(peaks);
  }

  // Outwards in: each level rounds what is left after the stored levels outside it.
  EncodedScale encoded;
  std::vector<float> product;
  for (size_t i = 0; i < levels.size(); ++i) {
    const Format &element = levels[i].element;
    Codes codes(ideals[i].size());
    std::vector<float> values(ideals[i].size());
    auto store = [&](size_t index, float value) {
      codes[index] = storedCode(element, value, overflow);
      values[index] = element.decode(codes[index]);
    };
    if (i == 0)
      for (size_t index = 0; index < codes.size(); ++index)
        store(index, ideals[0][index]);
    else
      forEachChild(parents[i], grids[i], [&](size_t parent, size_t child) {
        float outer = product[parent];
        store(child, outer == 0.0f ? 0.0f : ideals[i][child] / outer);
        values[child] *= outer;
      });
    encoded.arrays.push_back(std::move(codes));
    product = std::move(values);
  }
  if (scale.offset) {
    addOffset(scale, shape, offsets, product);
    encoded.arrays.push_back(std::move(offsetCodes));
  }
  encoded.stored = ScaleField::perBlock(tilingOf(levels.back(), shape), std::move(product));
  return encoded;
}

} // namespace lowbit::numerics
