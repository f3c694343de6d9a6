//===- Naive.h - Element-by-element computations to compare with --------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Slow, index-by-index versions of the denotation and of the default encode rule, written from
// docs/Numerics.md without use of the library's tilings, rows, packing or searches.

#ifndef LOWBIT_TEST_UNIT_NUMERICS_NAIVE_H
#define LOWBIT_TEST_UNIT_NUMERICS_NAIVE_H

#include "lowbit/Numerics/Reference.h"

#include <cmath>
#include <map>
#include <random>

namespace lowbit::numerics::naive {

using Index = std::vector<int64_t>;

inline std::vector<Index> indicesOf(const Shape &shape) {
  std::vector<Index> all{{}};
  for (int64_t extent : shape) {
    std::vector<Index> longer;
    for (const Index &prefix : all)
      for (int64_t i = 0; i < extent; ++i) {
        longer.push_back(prefix);
        longer.back().push_back(i);
      }
    all = std::move(longer);
  }
  return all;
}

inline Index blockIndex(const Index &index, const Granularity &granularity) {
  Index block(index.size(), 0);
  for (size_t axis = 0; axis < index.size(); ++axis) {
    if (granularity.kind == Granularity::Kind::PerBlock)
      block[axis] = index[axis] / granularity.block[axis];
    if (granularity.kind == Granularity::Kind::PerAxis &&
        static_cast<size_t>(granularity.axis) == axis)
      block[axis] = index[axis];
  }
  return block;
}

/// Reads one code of an array of `shape` from its planes, components first, first + 1, ...
inline uint32_t readCode(const std::vector<Bytes> &data, size_t first, const Format &format,
                         const Shape &shape, const Index &index) {
  int64_t row = 0;
  for (size_t axis = 0; axis + 1 < shape.size(); ++axis)
    row = row * shape[axis] + index[axis];
  uint32_t code = 0;
  unsigned shift = 0;
  for (unsigned width : {32, 16, 8, 4, 2, 1}) {
    if (!(format.bits() & width))
      continue;
    int64_t pitch = (shape.back() * width + 7) / 8;
    for (unsigned bit = 0; bit < width; ++bit) {
      int64_t position = index.back() * width + bit;
      uint32_t value = data[first][static_cast<size_t>(row * pitch + position / 8)];
      code |= (value >> (position % 8) & 1) << (shift + bit);
    }
    shift += width;
    ++first;
  }
  return code;
}

inline size_t planeCount(const Format &format) {
  return format.isFloat() ? 1 : static_cast<size_t>(__builtin_popcount(format.bits()));
}

inline Shape gridOf(const Shape &shape, const Granularity &granularity) {
  Index last;
  for (int64_t extent : shape)
    last.push_back(extent - 1);
  Shape grid = blockIndex(last, granularity);
  for (int64_t &extent : grid)
    ++extent;
  return grid;
}

/// The value of a tree of levels at an element; `first` is its first component.
inline float scaleAt(const Scale &scale, const Shape &shape, const std::vector<Bytes> &data,
                     size_t first, const Index &index) {
  if (scale.rank1) {
    const Format &element = scale.rank1->element;
    float row = element.decode(readCode(data, first, element, {shape[0]}, {index[0]}));
    float column = element.decode(
        readCode(data, first + planeCount(element), element, {shape[1]}, {index[1]}));
    return row < column ? row : column;
  }
  float product = 1.0f;
  for (const ScaleLevel &level : scale.levels) {
    Shape grid = gridOf(shape, level.granularity);
    product *= level.element.decode(
        readCode(data, first, level.element, grid, blockIndex(index, level.granularity)));
    first += planeCount(level.element);
  }
  return product;
}

inline size_t componentCount(const Scale &scale) {
  if (scale.rank1)
    return 2 * planeCount(scale.rank1->element);
  size_t count = 0;
  for (const ScaleLevel &level : scale.levels)
    count += planeCount(level.element);
  return count;
}

/// The denotation of a term in the planes layout at one element.
inline float valueAt(const Quantized &term, const Shape &shape, const std::vector<Bytes> &data,
                     const Index &index) {
  uint32_t code = readCode(data, 0, term.format, shape, index);
  float level = term.format.decode(code);
  if (!term.scale)
    return level;
  size_t first = planeCount(term.format);
  float scale = scaleAt(*term.scale, shape, data, first, index);
  if (term.zeroKind == ZeroKind::None)
    return scale * level;
  float zero = scaleAt(*term.zero, shape, data, first + componentCount(*term.scale), index);
  if (term.zeroKind == ZeroKind::Integer)
    return scale * static_cast<float>(static_cast<int>(level) - static_cast<int>(zero));
  volatile float product = scale * level; // keeps the compiler from a fused multiply-add
  return product + zero;
}

/// The nearest level in exact arithmetic; ties to the even integer or the even index.
inline uint32_t nearestCode(const Format &format, float x) {
  if (format.isFloat())
    return format.encode(x);
  uint32_t best = 0;
  long double bestDistance = -1;
  uint32_t count = format.kind() == FormatKind::Codebook
                       ? static_cast<uint32_t>(format.levels().size())
                       : 1u << format.bits();
  for (uint32_t code = 0; code < count; ++code) {
    long double distance = std::fabs(static_cast<long double>(format.decode(code)) - x);
    if (bestDistance < 0 || distance < bestDistance ||
        (distance == bestDistance && code % 2 == 0)) {
      best = code;
      bestDistance = distance;
    }
  }
  return best;
}

/// absmax with one level and no zero point: the scale of every element, as stored.
inline std::map<Index, float> absMaxScales(const Quantized &term, const Shape &shape,
                                           const std::vector<float> &x) {
  const ScaleLevel &level = term.scale->levels[0];
  std::map<Index, float> scales;
  size_t linear = 0;
  for (const Index &index : indicesOf(shape)) {
    float &peak = scales[blockIndex(index, level.granularity)];
    peak = std::fmax(peak, std::fabs(x[linear++]));
  }
  for (auto &entry : scales)
    entry.second = level.element.decode(level.element.encode(entry.second / term.format.largest()));
  return scales;
}

inline std::vector<float> randomTensor(const Shape &shape, unsigned seed, float spread = 1.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> x(static_cast<size_t>(*elementCount(shape)));
  for (float &value : x)
    value = normal(random);
  return x;
}

} // namespace lowbit::numerics::naive

#endif // LOWBIT_TEST_UNIT_NUMERICS_NAIVE_H
