//===- Sparse.cpp - Sparse terms and sums with a base -------------------===//
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

std::vector<int64_t> chooseOutliers(const float *x, int64_t elements, int64_t count) {
  // The bits of |x| order like |x|, infinity next and every NaN above it.
  auto magnitude = [&](int64_t index) {
    uint32_t bits = bitsOfFloat(x[index]) & 0x7fffffff;
    return std::min(bits, 0x7f800001u);
  };
  auto isBefore = [&](int64_t a, int64_t b) {
    uint32_t left = magnitude(a), right = magnitude(b);
    return left != right ? left > right : a < b;
  };
  std::vector<int64_t> indices(static_cast<size_t>(elements));
  std::iota(indices.begin(), indices.end(), int64_t(0));
  std::nth_element(indices.begin(), indices.begin() + count, indices.end(), isBefore);
  indices.resize(static_cast<size_t>(count));
  std::sort(indices.begin(), indices.end());
  return indices;
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

//===----------------------------------------------------------------------===//
// Sum
//===----------------------------------------------------------------------===//

std::vector<Bytes> encodeSum(const Quantized &base, const Sparse &sparse, const Shape &shape,
                             const float *x) {
  int64_t elements = *elementCount(shape);
  std::vector<int64_t> indices =
      chooseOutliers(x, elements, outlierCount(sparse.density, elements));
  std::vector<float> inliers(x, x + elements);
  for (int64_t index : indices)
    inliers[static_cast<size_t>(index)] = 0.0f;
  std::vector<Bytes> encoded = encode(base, shape, inliers.data());

  std::vector<float> decoded = decode(base, shape, encoded);
  std::vector<float> remainders;
  for (int64_t index : indices)
    remainders.push_back(x[index] - decoded[static_cast<size_t>(index)]);
  for (Bytes &bytes : encodeEntries(sparse, shape, indices, remainders.data()))
    encoded.push_back(std::move(bytes));
  return encoded;
}

} // namespace lowbit::numerics
