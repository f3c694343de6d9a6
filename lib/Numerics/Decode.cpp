//===- Decode.cpp - Components of a term and their decoded values -------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ChosenScales.h"
#include "LearnedLevels.h"
#include "ScaleField.h"
#include "lowbit/Numerics/Reference.h"

#include <algorithm>
#include <cassert>

namespace lowbit::numerics {

std::vector<Component> components(const Quantized &term, const Shape &shape) {
  return layoutOf(term).components(term, shape);
}

std::vector<Component> components(const Sparse &term, const Shape &shape, int64_t entries) {
  return {{"positions", ElementType::Int32, {shape[0] + 1}},
          {"columns", ElementType::Int32, {entries}},
          {"values", elementTypeOf(term.values), {entries}}};
}

void decode(const Quantized &term, const Shape &shape, const std::vector<const uint8_t *> &data,
            float *out) {
  assert(!check(term, shape) && "the term does not apply to this shape");
  assert(data.size() == components(term, shape).size() && "one buffer for each component");
  int64_t columns = shape.back();
  if (*elementCount(shape) == 0)
    return;
  int64_t rows = *elementCount(shape) / columns;
  std::vector<Codes> arrays = layoutOf(term).unpack(term, shape, data);
  const Codes *trees = &arrays[1];
  std::optional<ScaleField> scale, zero;
  if (term.scale)
    scale = decodeScale(*term.scale, shape, trees);
  if (term.zero)
    zero = decodeScale(*term.zero, shape, trees);
  std::optional<LevelTables> tables;
  if (term.levels)
    tables.emplace(term, shape, arrays.back());
  std::vector<float> scales(static_cast<size_t>(columns)), zeros(scales.size());
  for (int64_t row = 0; row < rows; ++row) {
    if (scale)
      scale->fillRow(row, scales.data());
    if (zero)
      zero->fillRow(row, zeros.data());
    const uint32_t *codes = &arrays[0][static_cast<size_t>(row * columns)];
    float *values = out + row * columns;
    if (tables)
      tables->decodeRow(row, codes, values);
    else
      std::transform(codes, codes + columns, values,
                     [&](uint32_t code) { return term.format.decode(code); });
    for (size_t j = 0; j < scales.size(); ++j)
      values[j] = applyScale(term, values[j], scales[j], zeros[j]);
  }
}

std::vector<float> decode(const Quantized &term, const Shape &shape,
                          const std::vector<Bytes> &data) {
  std::vector<const uint8_t *> pointers;
  for (const Bytes &bytes : data)
    pointers.push_back(bytes.data());
  std::vector<float> out(static_cast<size_t>(*elementCount(shape)));
  decode(term, shape, pointers, out.data());
  return out;
}

} // namespace lowbit::numerics
