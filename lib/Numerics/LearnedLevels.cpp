//===- LearnedLevels.cpp - Tables of levels that a tensor brings --------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LearnedLevels.h"

#include "IdealScales.h"
#include "ScaleField.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lowbit::numerics {

//===----------------------------------------------------------------------===//
// k-means in one dimension
//===----------------------------------------------------------------------===//

namespace {
/// A running sum with what rounding leaves out of it, so that the difference of two has the
/// precision of what lies between them, whatever large values come before.
struct RunningSum {
  double sum = 0.0, rest = 0.0;

  void add(double x) { // Knuth's two-sum
    double next = sum + x, part = next - sum;
    rest += (sum - (next - part)) + (x - part);
    sum = next;
  }
  double operator-(const RunningSum &before) const {
    return (sum - before.sum) + (rest - before.rest);
  }
};

/// A value, and what its squared distance from its level counts.
struct Weighted {
  float value;
  double weight;
};

/// Sorted values in runs at whose ends borders may lie: each different value by itself, or, where
/// there are more than `most`, about as many runs of about equal size. Values count from the
/// median.
class Clusters {
public:
  Clusters(const std::vector<Weighted> &sorted, size_t most)
      : center(sorted[sorted.size() / 2].value), masses(1), sums(1), squares(1) {
    auto endsValue = [&](size_t i) {
      return i + 1 == sorted.size() || sorted[i].value != sorted[i + 1].value;
    };
    size_t different = 0;
    for (size_t i = 0; i < sorted.size(); ++i)
      different += endsValue(i);
    size_t least = different <= most ? 1 : sorted.size() / most;
    RunningSum mass, sum, square;
    size_t end = 0;
    for (size_t i = 0; i < sorted.size(); ++i) {
      auto [value, weight] = sorted[i];
      double x = value - center;
      mass.add(weight);
      sum.add(weight * x);
      square.add(weight * x * x);
      if (i + 1 < sorted.size() && (!endsValue(i) || i + 1 - end < least))
        continue;
      masses.push_back(mass);
      sums.push_back(sum);
      squares.push_back(square);
      end = i + 1;
    }
  }

  size_t runs() const { return masses.size() - 1; }
  double mean(size_t begin, size_t end) const { return center + offset(begin, end); }
  /// Sum of squared distances of the runs [begin, end) from their mean.
  double cost(size_t begin, size_t end) const {
    if (end - begin < 1)
      return 0.0;
    double sum = sums[end] - sums[begin];
    double cost = (squares[end] - squares[begin]) - sum * offset(begin, end);
    return std::max(cost, 0.0);
  }

private:
  double offset(size_t begin, size_t end) const {
    return (sums[end] - sums[begin]) / (masses[end] - masses[begin]);
  }

  double center;
  std::vector<RunningSum> masses, sums, squares;
};

/// One row of the dynamic program: costs[i] is the least cost of the first i runs with one cluster
/// more than `fewer` has, first[i] where that last cluster begins.
struct Row {
  std::vector<double> costs;
  std::vector<uint32_t> first;
};
} // namespace

/// Fills [low, high] of a row; the last cluster begins in [least, most], since its begin does not
/// fall as i grows.
static void fillRow(const Clusters &clusters, const std::vector<double> &fewer, Row &row,
                    size_t low, size_t high, size_t least, size_t most) {
  size_t middle = low + (high - low) / 2;
  double best = std::numeric_limits<double>::infinity();
  size_t bestBegin = least;
  for (size_t begin = least; begin <= std::min(most, middle); ++begin)
    if (double cost = fewer[begin] + clusters.cost(begin, middle); cost < best) {
      best = cost;
      bestBegin = begin;
    }
  row.costs[middle] = best;
  row.first[middle] = static_cast<uint32_t>(bestBegin);
  if (low < middle)
    fillRow(clusters, fewer, row, low, middle - 1, least, bestBegin);
  if (middle < high)
    fillRow(clusters, fewer, row, middle + 1, high, bestBegin, most);
}

std::vector<float> learnLevels(const std::vector<float> &values, const std::vector<float> &weights,
                               size_t count) {
  std::vector<Weighted> sorted, others;
  for (size_t i = 0; i < values.size(); ++i) {
    double weight = weights.empty() ? 1.0 : weights[i];
    if (!std::isfinite(values[i]))
      continue;
    if (weight > 0.0 && std::isfinite(weight))
      sorted.push_back({values[i], weight});
    else
      others.push_back({values[i], 1.0});
  }
  if (sorted.empty())
    sorted = std::move(others);
  if (sorted.empty())
    return std::vector<float>(count, 0.0f);
  std::sort(sorted.begin(), sorted.end(),
            [](const Weighted &a, const Weighted &b) { return a.value < b.value; });
  Clusters clusters(sorted, 4096);
  size_t runs = clusters.runs();
  std::vector<Row> rows;
  Row one{std::vector<double>(runs + 1), std::vector<uint32_t>(runs + 1, 0)};
  for (size_t i = 0; i <= runs; ++i)
    one.costs[i] = clusters.cost(0, i);
  rows.push_back(std::move(one));
  while (rows.size() < std::min(count, runs)) {
    Row row{std::vector<double>(runs + 1), std::vector<uint32_t>(runs + 1)};
    fillRow(clusters, rows.back().costs, row, 0, runs, 0, runs);
    rows.push_back(std::move(row));
  }
  std::vector<float> levels;
  for (size_t end = runs, k = rows.size(); k-- > 0 && end > 0;) {
    size_t begin = rows[k].first[end];
    if (begin < end) // fewer different values than levels leave clusters empty
      levels.push_back(static_cast<float>(clusters.mean(begin, end)));
    end = begin;
  }
  std::reverse(levels.begin(), levels.end());
  levels.resize(count, levels.back());
  return levels;
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

uint32_t nearestLevel(const float *levels, size_t count, float t) {
  t = withoutNaN(t);
  uint32_t code = 0;
  for (size_t i = 0; i + 1 < count; ++i) {
    float above = t - levels[i], below = levels[i + 1] - t;
    // The step to an odd code loses a tie, that to an even one wins it.
    code += above > below || (above == below && i % 2 == 1);
  }
  return code;
}

LevelTables::LevelTables(const Quantized &term, const Shape &shape)
    : tiling(shape, term.levels->granularity.blockOf(shape)),
      count(size_t(1) << term.format.bits()) {}

LevelTables::LevelTables(const Quantized &term, const Shape &shape, const Codes &codes)
    : LevelTables(term, shape) {
  levels.reserve(codes.size());
  for (uint32_t code : codes)
    levels.push_back(term.levels->element.decode(code));
}

LevelTables LevelTables::learn(const Quantized &term, const Shape &shape,
                               const std::vector<float> &t, const std::vector<float> &weights,
                               Codes &codes) {
  LevelTables tables(term, shape);
  auto blocks = static_cast<size_t>(tables.tiling.blockCount());
  std::vector<std::vector<float>> members(blocks), importance(blocks);
  int64_t columns = shape.back();
  int64_t rows = columns ? *elementCount(shape) / columns : 0;
  for (int64_t row = 0; row < rows; ++row)
    tables.tiling.forEachRun(row, [&](int64_t block, int64_t begin, int64_t end) {
      auto append = [&](const std::vector<float> &from, std::vector<float> &to) {
        to.insert(to.end(), from.begin() + row * columns + begin,
                  from.begin() + row * columns + end);
      };
      append(t, members[static_cast<size_t>(block)]);
      if (!weights.empty())
        append(weights, importance[static_cast<size_t>(block)]);
    });
  for (size_t block = 0; block < blocks; ++block)
    for (float level : learnLevels(members[block], importance[block], tables.count)) {
      uint32_t code = storedCode(term.levels->element, level, EncodeRule::Overflow::Saturate);
      codes.push_back(code);
      tables.levels.push_back(term.levels->element.decode(code));
    }
  return tables;
}

void LevelTables::decodeRow(int64_t row, const uint32_t *codes, float *out) const {
  tiling.forEachRun(row, [&](int64_t block, int64_t begin, int64_t end) {
    const float *table = levels.data() + static_cast<size_t>(block) * count;
    for (int64_t j = begin; j < end; ++j)
      out[j] = table[codes[j]];
  });
}

void LevelTables::encodeRow(int64_t row, const float *t, uint32_t *codes) const {
  tiling.forEachRun(row, [&](int64_t block, int64_t begin, int64_t end) {
    const float *table = levels.data() + static_cast<size_t>(block) * count;
    for (int64_t j = begin; j < end; ++j)
      codes[j] = nearestLevel(table, count, t[j]);
  });
}

} // namespace lowbit::numerics
