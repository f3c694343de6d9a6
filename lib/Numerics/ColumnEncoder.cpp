//===- ColumnEncoder.cpp - Codes element by element, by given scales ------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/ColumnEncoder.h"
#include "ChosenScales.h"
#include "lowbit/Numerics/Layout.h"

#include <algorithm>
#include <cassert>

namespace lowbit::numerics {

std::optional<std::string> ColumnEncoder::check(const Quantized &term, const Shape &shape) {
  if (auto error = checkEncode(term, shape))
    return error;
  if (shape.size() != 2)
    return "only matrices are encoded column by column";
  if (usesOwnEncoder(term))
    return "codes of this layout are chosen together, not column by column";
  if (term.levels)
    return "learned levels are chosen from all columns at once";
  if (term.rule.choice == EncodeRule::Choice::Given)
    return "scales that are given are those of a destination, and there is none";
  if (resolveRule(term).seed)
    return "stochastic rounding has no nearest code";
  return std::nullopt;
}

ColumnEncoder::ColumnEncoder(const Quantized &term, const Shape &shape, const float *x)
    : term(term), rule(resolveRule(term)), shape(shape) {
  assert(!check(term, shape) && "the term cannot be encoded column by column");
  auto count = static_cast<size_t>(shape[0] * shape[1]);
  arrays.emplace_back(count);
  for (std::vector<float> *field : {&scales, &zeros, &storedScales, &storedZeros})
    field->assign(count, 0.0f);
  if (!term.scale || count == 0)
    return;
  ChosenScales chosen = numerics::chooseScales(term, rule, shape, x);
  spread(0, shape, chosen);
  for (Codes &codes : chosen.arrays)
    arrays.push_back(std::move(codes));
}

/// One field of columns from `begin` on.
static void fill(const ScaleField &field, int64_t begin, const Shape &part, int64_t columns,
                 std::vector<float> &all) {
  for (int64_t row = 0; row < part[0]; ++row)
    field.fillRow(row, all.data() + row * columns + begin);
}

void ColumnEncoder::spread(int64_t begin, const Shape &part, const ChosenScales &chosen) {
  fill(chosen.scale, begin, part, shape[1], scales);
  fill(chosen.storedScale, begin, part, shape[1], storedScales);
  if (!term.zero)
    return;
  fill(chosen.zero, begin, part, shape[1], zeros);
  fill(chosen.storedZero, begin, part, shape[1], storedZeros);
}

std::optional<int64_t> ColumnEncoder::localColumns() const {
  if (!term.scale || term.scale->rank1 || term.scale->offset || term.scale->levels.size() != 1 ||
      (term.zero && (term.zero->levels.size() != 1 ||
                     !(term.zero->levels[0].granularity == term.scale->levels[0].granularity))))
    return std::nullopt;
  int64_t columns = term.scale->levels[0].granularity.blockOf(shape)[1];
  return columns > 0 && columns < shape[1] ? std::optional(columns) : std::nullopt;
}

void ColumnEncoder::chooseScales(int64_t begin, int64_t end, const float *x) {
  Shape part = {shape[0], end - begin};
  ChosenScales chosen = numerics::chooseScales(term, rule, part, x);
  spread(begin, part, chosen);
  Shape block = term.scale->levels[0].granularity.blockOf(shape);
  Shape grid = Tiling(shape, block).grid(), own = Tiling(part, block).grid();
  for (size_t array = 0; array < chosen.arrays.size(); ++array)
    for (int64_t row = 0; row < own[0]; ++row)
      std::copy_n(chosen.arrays[array].begin() + row * own[1], own[1],
                  arrays[1 + array].begin() + row * grid[1] + begin / block[1]);
}

float ColumnEncoder::set(int64_t row, int64_t column, float x) {
  auto place = static_cast<size_t>(row * shape[1] + column);
  uint32_t code = encodeElement(term, rule, x, scales[place], zeros[place]);
  arrays[0][place] = code;
  return applyScale(term, term.format.decode(code), storedScales[place], storedZeros[place]);
}

std::vector<Bytes> ColumnEncoder::finish() const {
  return layoutOf(term).pack(term, shape, arrays);
}

} // namespace lowbit::numerics
