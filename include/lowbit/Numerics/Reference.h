//===- Reference.h - Decode and encode, bit for bit -----------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The scalar reference of every term: what any lowering must reproduce bit for bit. Tensors are
// dense row-major f32; components are byte buffers in the order and layout that components() lists.
// The arithmetic is the contract of docs/Numerics.md.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_REFERENCE_H
#define LOWBIT_NUMERICS_REFERENCE_H

#include "lowbit/Numerics/Packing.h"
#include "lowbit/Numerics/Term.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lowbit::numerics {

/// The components of a term on a tensor of this shape, as its layout has them. Precondition:
/// check(term, shape) passes.
std::vector<Component> components(const Quantized &term, const Shape &shape);
/// `positions` [rows + 1], `columns` [entries], `values` [entries].
std::vector<Component> components(const Sparse &term, const Shape &shape, int64_t entries);

/// Decodes a whole tensor into out[element count]. `data[i]` points at the bytes of component i.
/// Precondition: check(term, shape) passes.
void decode(const Quantized &term, const Shape &shape, const std::vector<const uint8_t *> &data,
            float *out);
std::vector<float> decode(const Quantized &term, const Shape &shape,
                          const std::vector<Bytes> &data);

/// Encodes x[element count] into the components. Precondition: checkEncode(term, shape) passes, and
/// the rule is not `Given`.
std::vector<Bytes> encode(const Quantized &term, const Shape &shape, const float *x);
/// The same with levels of least weighted squared error: weights[element count], none below 0, or
/// null: all alike.
/// Precondition: the term has learned levels, too.
std::vector<Bytes> encodeWeighted(const Quantized &term, const Shape &shape, const float *x,
                                  const float *weights);

/// The same over the components of a destination: `data[i]` points at the bytes of component i.
/// What an encode does not write stays, as the scales and zero points do under the rule `Given`.
/// Precondition: checkEncode(term, shape) passes.
std::vector<Bytes> encodeInto(const Quantized &term, const Shape &shape,
                              const std::vector<const uint8_t *> &data, const float *x);

/// Linear indices, ascending, of the `count` elements of largest magnitude. NaN counts as larger
/// than everything; among equals the lower index wins.
std::vector<int64_t> chooseOutliers(const float *x, int64_t elements, int64_t count);
/// floor(density * elements).
int64_t outlierCount(double density, int64_t elements);

/// CSR components (positions, columns, values) of the entries at `indices` (linear, ascending) with
/// these values. Precondition: check(term, shape) passes.
std::vector<Bytes> encodeEntries(const Sparse &term, const Shape &shape,
                                 const std::vector<int64_t> &indices, const float *values);
/// The chosen outliers of x as they are: encodeEntries of chooseOutliers.
std::vector<Bytes> encodeSparse(const Sparse &term, const Shape &shape, const float *x);

/// An error message, or nothing when positions and columns describe a CSR matrix of this shape with
/// `entries` entries: positions rise from 0 to `entries`, columns rise within a row and lie inside.
/// Run it on data from outside before decoding.
std::optional<std::string> checkEntries(const Shape &shape, const int32_t *positions,
                                        const int32_t *columns, int64_t entries);
/// The dense tensor: +0 where nothing is stored.
void decodeSparse(const Sparse &term, const Shape &shape, const std::vector<const uint8_t *> &data,
                  float *out);
/// out[i] += the value at i of the dense tensor, one f32 addition each, so that -0 becomes +0 where
/// nothing is stored. This is how a sum of a base and a sparse term decodes.
void addSparse(const Sparse &term, const Shape &shape, const std::vector<const uint8_t *> &data,
               float *out);

/// The `kept` elements of largest magnitude of a group of `count`, ascending; as chooseOutliers.
std::vector<int64_t> chooseOfGroup(const float *x, int64_t count, int64_t kept);

/// The numbers, ascending, of the `count` blocks of largest sum of squares, which is taken in f64
/// over the rows of a block in order; a NaN counts as 0, among equals the lower number wins. Blocks
/// of `block` [2] tile the matrix of `shape` [2] and are numbered by rows.
std::vector<int64_t> chooseBlocks(const float *x, const Shape &shape, const Shape &block,
                                  int64_t count);

/// Along `axis`, for each run of `block` indices, its number in the order of falling magnitude:
/// that of its largest |x|, NaN above infinity; among equals the lower index comes first.
std::vector<int32_t> orderByMagnitude(const float *x, const Shape &shape, int64_t axis,
                                      int64_t block);

/// The best approximation of x [rows, columns] by left [rows, rank] times right [rank, columns]:
/// singular vectors, each times the square root of its value, in falling order; the largest
/// component of a left one is positive. NaN and infinity count as 0.
void factorize(const float *x, int64_t rows, int64_t columns, int64_t rank, float *left,
               float *right);

/// How a low-rank term decodes: out[i, j] starts at +0, and left[i, r] * right[r, j], rounded, is
/// added for r = 0, 1, ...
void multiplyFactors(const float *left, const float *right, int64_t rows, int64_t columns,
                     int64_t rank, float *out);

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_REFERENCE_H
