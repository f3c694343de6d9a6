//===- ColumnEncoder.cpp - Codes of one column after the other ------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/ColumnEncoder.h"
#include "ChosenScales.h"
#include "Lanes.h"
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

ColumnEncoder::ColumnEncoder(const Quantized &term, const Shape &shape)
    : term(term), rule(resolveRule(term)), lanes(std::make_unique<LaneEncoder>(this->term, rule)),
      shape(shape) {
  assert(!check(term, shape) && "the term cannot be encoded column by column");
  std::optional<Shape> local = localBlock();
  scaleColumns = local ? (*local)[1] : 1;
  auto count = static_cast<size_t>(shape[0] * ceilDivide(shape[1], scaleColumns));
  bool isStored = rule.divisor == EncodeRule::Divisor::Stored;
  scales.resize(term.scale ? count : 0);
  zeros.resize(term.zero ? count : 0);
  storedScales.resize(isStored ? 0 : scales.size());
  storedZeros.resize(isStored ? 0 : zeros.size());
  for (const CodeArray &array : codeArrays(term, shape))
    arrays.emplace_back(static_cast<size_t>(*elementCount(array.shape)));
}

ColumnEncoder::~ColumnEncoder() = default;

std::optional<Shape> ColumnEncoder::localBlock() const {
  if (!term.scale || term.scale->rank1 || term.scale->offset || term.scale->levels.size() != 1 ||
      (term.zero && (term.zero->levels.size() != 1 ||
                     !(term.zero->levels[0].granularity == term.scale->levels[0].granularity))))
    return std::nullopt;
  Shape block = term.scale->levels[0].granularity.blockOf(shape);
  return block[1] > 0 && block[1] < shape[1] ? std::optional(block) : std::nullopt;
}

void ColumnEncoder::spread(int64_t row, int64_t column, const Shape &part,
                           const ChosenScales &chosen) {
  std::vector<float> values(static_cast<size_t>(part[1]));
  auto fill = [&](const ScaleField &field, std::vector<float> &all) {
    for (int64_t i = 0; i < part[0] && !all.empty(); ++i) {
      field.fillRow(i, values.data());
      for (int64_t j = 0; j < part[1]; j += scaleColumns)
        all[static_cast<size_t>((column + j) / scaleColumns * shape[0] + row + i)] =
            values[static_cast<size_t>(j)];
    }
  };
  fill(chosen.scale, scales);
  fill(chosen.zero, zeros);
  fill(chosen.storedScale, storedScales);
  fill(chosen.storedZero, storedZeros);
}

void ColumnEncoder::chooseScales(const float *x) {
  if (!term.scale || arrays[0].empty())
    return;
  ChosenScales chosen = numerics::chooseScales(term, rule, shape, x);
  spread(0, 0, shape, chosen);
  std::move(chosen.arrays.begin(), chosen.arrays.end(), arrays.begin() + 1);
}

void ColumnEncoder::chooseScales(int64_t row, int64_t column, const Shape &part, const float *x) {
  ChosenScales chosen = numerics::chooseScales(term, rule, part, x, /*isTransposed=*/true);
  spread(row, column, part, chosen);
  Shape block = *localBlock();
  int64_t stride = ceilDivide(shape[1], block[1]);
  Shape grid = Tiling(part, term.scale->levels[0].granularity.blockOf(part)).grid();
  for (size_t array = 0; array < chosen.arrays.size(); ++array)
    for (int64_t i = 0; i < grid[0]; ++i)
      std::copy_n(chosen.arrays[array].begin() + i * grid[1], grid[1],
                  arrays[1 + array].begin() + (row / block[0] + i) * stride + column / block[1]);
}

/// Some numbers, if there are any; as many as lanes are is what happens most.
static void copy(const float *from, size_t count, float *to) {
  if (!from)
    return;
  if (count == kLanes)
    std::copy_n(from, kLanes, to);
  else
    std::copy_n(from, count, to);
}

void ColumnEncoder::set(int64_t row, int64_t column, int64_t count, const float *x,
                        float *decoded) {
  for (int64_t begin = 0; begin < count; begin += kLanes) {
    auto place = static_cast<size_t>(column / scaleColumns * shape[0] + row + begin);
    auto some = static_cast<size_t>(std::min(kLanes, count - begin));
    auto load = [&](const std::vector<float> &all, Lanes &to) {
      copy(all.empty() ? nullptr : &all[place], some, to.data());
    };
    Lanes given{}, scale{}, zero{}, levels;
    CodeLanes codes;
    copy(x + begin, some, given.data());
    load(scales, scale);
    load(zeros, zero);
    lanes->encode(given, scale, zero, levels, codes);
    load(storedScales, scale);
    load(storedZeros, zero);
    lanes->decode(levels, scale, zero);
    copy(levels.data(), some, decoded + begin);
    for (size_t i = 0; i < some; ++i)
      arrays[0][(static_cast<size_t>(row + begin) + i) * static_cast<size_t>(shape[1]) +
                static_cast<size_t>(column)] = codes[i];
  }
}

std::vector<Bytes> ColumnEncoder::finish() const {
  return layoutOf(term).pack(term, shape, arrays);
}

} // namespace lowbit::numerics
