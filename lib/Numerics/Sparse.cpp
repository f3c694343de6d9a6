//===- Sparse.cpp - Which elements and blocks a sparse term keeps ---------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Half.h"
#include "lowbit/Numerics/Reference.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

namespace lowbit::numerics {

//===----------------------------------------------------------------------===//
// Choice of outliers
//===----------------------------------------------------------------------===//

int64_t outlierCount(double density, int64_t elements) {
  return static_cast<int64_t>(std::floor(density * static_cast<double>(elements)));
}

/// The bits of |x| order like |x|, infinity next and every NaN above it.
static uint32_t magnitudeOf(float x) { return std::min(bitsOfFloat(x) & 0x7fffffff, 0x7f800001u); }

std::vector<int64_t> chooseOutliers(const float *x, int64_t elements, int64_t count) {
  auto isBefore = [&](int64_t a, int64_t b) {
    uint32_t left = magnitudeOf(x[a]), right = magnitudeOf(x[b]);
    return left != right ? left > right : a < b;
  };
  std::vector<int64_t> indices(static_cast<size_t>(elements));
  std::iota(indices.begin(), indices.end(), int64_t(0));
  std::nth_element(indices.begin(), indices.begin() + count, indices.end(), isBefore);
  indices.resize(static_cast<size_t>(count));
  std::sort(indices.begin(), indices.end());
  return indices;
}

std::vector<int64_t> chooseOfGroup(const float *x, int64_t count, int64_t kept) {
  return chooseOutliers(x, count, kept);
}

std::vector<int64_t> chooseBlocks(const float *x, const Shape &shape, const Shape &block,
                                  int64_t count) {
  int64_t across = shape[1] / block[1], blocks = shape[0] / block[0] * across;
  std::vector<double> energy(static_cast<size_t>(blocks));
  for (int64_t i = 0; i < shape[0] * shape[1]; ++i) {
    int64_t row = i / shape[1], column = i % shape[1];
    double value = std::isnan(x[i]) ? 0.0 : x[i];
    energy[static_cast<size_t>(row / block[0] * across + column / block[1])] += value * value;
  }
  std::vector<int64_t> numbers(static_cast<size_t>(blocks));
  std::iota(numbers.begin(), numbers.end(), int64_t(0));
  std::stable_sort(numbers.begin(), numbers.end(), [&](int64_t a, int64_t b) {
    return energy[static_cast<size_t>(a)] > energy[static_cast<size_t>(b)];
  });
  numbers.resize(static_cast<size_t>(count));
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::vector<int32_t> orderByMagnitude(const float *x, const Shape &shape, int64_t axis,
                                      int64_t block) {
  int64_t extent = shape[static_cast<size_t>(axis)], inner = 1, elements = *elementCount(shape);
  for (size_t i = static_cast<size_t>(axis) + 1; i < shape.size(); ++i)
    inner *= shape[i];
  std::vector<uint32_t> largest(static_cast<size_t>(extent / block));
  for (int64_t i = 0; i < elements; ++i) {
    uint32_t &own = largest[static_cast<size_t>(i / inner % extent / block)];
    own = std::max(own, magnitudeOf(x[i]));
  }
  std::vector<int32_t> order(largest.size()), place(largest.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return largest[static_cast<size_t>(a)] > largest[static_cast<size_t>(b)];
  });
  for (size_t i = 0; i < order.size(); ++i)
    place[static_cast<size_t>(order[i])] = static_cast<int32_t>(i);
  return place;
}

//===----------------------------------------------------------------------===//
// CSR
//===----------------------------------------------------------------------===//

static Bytes bytesOfIntegers(const std::vector<uint32_t> &values) {
  return packTensor(values.data(), {static_cast<int64_t>(values.size())}, 32)[0];
}

std::vector<Bytes> encodeEntries(const Sparse &term, const Shape &shape,
                                 const std::vector<int64_t> &indices, const float *values) {
  assert(!check(term, shape) && "the term does not apply to this shape");
  std::vector<uint32_t> positions(static_cast<size_t>(shape[0]) + 1), columns, codes;
  for (size_t i = 0; i < indices.size(); ++i) {
    positions[static_cast<size_t>(indices[i] / shape[1]) + 1] += 1;
    columns.push_back(static_cast<uint32_t>(indices[i] % shape[1]));
    codes.push_back(term.values.encode(values[i]));
  }
  std::partial_sum(positions.begin(), positions.end(), positions.begin());
  Bytes packed =
      packTensor(codes.data(), {static_cast<int64_t>(codes.size())}, term.values.bits())[0];
  return {bytesOfIntegers(positions), bytesOfIntegers(columns), std::move(packed)};
}

std::vector<Bytes> encodeSparse(const Sparse &term, const Shape &shape, const float *x) {
  int64_t elements = *elementCount(shape);
  std::vector<int64_t> indices = chooseOutliers(x, elements, outlierCount(term.density, elements));
  std::vector<float> values;
  for (int64_t index : indices)
    values.push_back(x[index]);
  return encodeEntries(term, shape, indices, values.data());
}

std::optional<std::string> checkEntries(const Shape &shape, const int32_t *positions,
                                        const int32_t *columns, int64_t entries) {
  int64_t rows = shape[0];
  if (positions[0] != 0 || positions[rows] != entries)
    return "CSR positions must run from 0 to the number of entries, " + std::to_string(entries);
  for (int64_t row = 0; row < rows; ++row)
    if (positions[row] > positions[row + 1])
      return "CSR positions fall after row " + std::to_string(row);
  for (int64_t row = 0; row < rows; ++row)
    for (int32_t entry = positions[row]; entry < positions[row + 1]; ++entry) {
      if (columns[entry] < 0 || columns[entry] >= shape[1])
        return "CSR column " + std::to_string(columns[entry]) + " in row " + std::to_string(row) +
               " lies outside " + std::to_string(shape[1]) + " columns";
      if (entry > positions[row] && columns[entry - 1] >= columns[entry])
        return "CSR columns of row " + std::to_string(row) + " do not increase";
    }
  return std::nullopt;
}

/// Calls visit(linear index, value) for every stored entry, in order.
template <typename Visitor>
static void forEachEntry(const Sparse &term, const Shape &shape,
                         const std::vector<const uint8_t *> &data, Visitor visit) {
  std::vector<uint32_t> positions(static_cast<size_t>(shape[0]) + 1);
  unpackTensor(&data[0], {shape[0] + 1}, 32, positions.data());
  int64_t entries = positions.back();
  std::vector<uint32_t> columns(positions.back()), codes(positions.back());
  unpackTensor(&data[1], {entries}, 32, columns.data());
  unpackTensor(&data[2], {entries}, term.values.bits(), codes.data());
  for (int64_t row = 0; row < shape[0]; ++row)
    for (size_t i = positions[static_cast<size_t>(row)];
         i < positions[static_cast<size_t>(row) + 1]; ++i)
      visit(row * shape[1] + columns[i], term.values.decode(codes[i]));
}

void decodeSparse(const Sparse &term, const Shape &shape, const std::vector<const uint8_t *> &data,
                  float *out) {
  std::fill_n(out, *elementCount(shape), 0.0f);
  forEachEntry(term, shape, data, [&](int64_t index, float value) { out[index] = value; });
}

void addSparse(const Sparse &term, const Shape &shape, const std::vector<const uint8_t *> &data,
               float *out) {
  std::vector<float> dense(static_cast<size_t>(*elementCount(shape)));
  decodeSparse(term, shape, data, dense.data());
  for (size_t i = 0; i < dense.size(); ++i)
    out[i] += dense[i];
}

} // namespace lowbit::numerics
