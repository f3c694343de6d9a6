//===- ErrorFeedback.cpp - Codes that make up for one another -------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Quantize/ErrorFeedback.h"

#include "MatrixKernels.h"
#include "MomentFactor.h"
#include "lowbit/Numerics/ColumnEncoder.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Compiler.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Parallel.h"
#include "llvm/Support/raw_ostream.h"

#include <atomic>
#include <cmath>
#include <numeric>

using namespace llvm;
using namespace lowbit;

/// Columns that errors of earlier ones reach at once, in one product.
static constexpr int64_t kColumns = 32;
/// Numbers of a cache line.
static constexpr int64_t kLineFloats = 16;
/// Columns of a block where that is not for scales to say.
static constexpr int64_t kBlockColumns = 64;

static std::string text(double number) {
  std::string result;
  raw_string_ostream(result) << llvm::format("%g", number);
  return result;
}

/// Calls visit(i, j) for all j <= i < n in parallel, in an order in which caches hold what lies
/// around (i, j) and (j, i): squares of a cache line's numbers.
template <typename Visitor> static void forEachPair(int64_t n, Visitor visit) {
  constexpr int64_t line = 8, taskLines = 16;
  parallelFor(0, divideCeil(n, taskLines * line), [&](size_t task) {
    int64_t first = task * taskLines * line, last = std::min(n, first + taskLines * line);
    for (int64_t top = first; top < last; top += line)
      for (int64_t left = 0; left <= top; left += line)
        for (int64_t i = top; i < std::min(last, top + line); ++i)
          for (int64_t j = left; j < std::min(left + line, i + 1); ++j)
            visit(i, j);
  });
}

static Error checkNumbers(ArrayRef<int64_t> shape, ArrayRef<float> values,
                          ArrayRef<double> moments) {
  int64_t columns = shape[1];
  const float *bad = find_if(values, [](float value) { return !std::isfinite(value); });
  if (int64_t i = bad - values.begin(); bad != values.end())
    return createStringError("the value at row " + Twine(i / columns) + ", column " +
                             Twine(i % columns) + " is not finite");
  auto isMoment = [&](int64_t i, int64_t j) {
    double lower = moments[i * columns + j];
    return std::isfinite(lower) && !(i == j && lower < 0);
  };
  auto isSymmetric = [&](int64_t i, int64_t j) {
    double lower = moments[i * columns + j], upper = moments[j * columns + i];
    double size = std::max(std::abs(lower), std::abs(upper));
    return std::abs(lower - upper) <= 1e-3 * size + 1e-12;
  };
  std::atomic<bool> isFine = true;
  forEachPair(columns, [&](int64_t i, int64_t j) {
    if (!isMoment(i, j) || !isSymmetric(i, j))
      isFine = false;
  });
  for (int64_t i = 0; i < columns && !isFine; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      double lower = moments[i * columns + j], upper = moments[j * columns + i];
      if (!isMoment(i, j))
        return createStringError("the second moments have " + text(lower) + " at row " + Twine(i) +
                                 ", column " + Twine(j));
      if (!isSymmetric(i, j))
        return createStringError("the second moments are not symmetric: " + text(lower) +
                                 " at row " + Twine(i) + ", column " + Twine(j) + ", and " +
                                 text(upper) + " at row " + Twine(j) + ", column " + Twine(i));
    }
  return Error::success();
}

/// The moments of columns in an order, with a part of their mean added to the diagonal, which is
/// the mean for columns that have no input: nothing is carried from or to them.
static Matrix dampedMoments(ArrayRef<double> moments, ArrayRef<int64_t> order, double damping,
                            double mean) {
  int64_t n = order.size();
  Matrix h(n, n);
  forEachPair(n, [&](int64_t i, int64_t j) {
    h(i, j) = h(j, i) = (moments[order[i] * n + order[j]] + moments[order[j] * n + order[i]]) / 2;
  });
  for (int64_t j = 0; j < n; ++j)
    h(j, j) = (h(j, j) == 0 ? mean : h(j, j)) + damping * mean;
  return h;
}

namespace {
/// What all rows have in common while errors are carried through the matrix.
struct Feedback {
  numerics::ColumnEncoder &encoder;
  const float *values; ///< [rows, columns], as they came
  int64_t columns;
  ArrayRef<int64_t> order; ///< of the columns: which one's turn it is
  MomentFactor factor;
  bool choosesScales; ///< those of a block, when it is reached
};

/// Up to kTileRows rows, columns in their order. Beyond the rows there are zeros.
class Tile {
public:
  Tile(Feedback &feedback, int64_t firstRow, int64_t rows)
      : all(feedback), firstRow(firstRow), rows(rows), decoded(feedback.columns),
        errors(feedback.columns) {}

  /// What is best for the columns of a block, after the codes of all before it.
  void reach(const MomentFactor::Block &block) {
    int64_t width = block.end - block.begin;
    given.resize(width);
    best.resize(width);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t k = 0; k < width; ++k)
        given[k].rows[i] = value(i, block.begin + k);
      // Rows are too far apart for a processor to see what will be read next.
      for (int64_t j = block.end; j < std::min(block.end + width, all.columns); j += kLineFloats)
        LLVM_PREFETCH(&value(i, j), 0, 3);
    }
    for (int64_t k = 0; k < width; ++k)
      std::copy_n(given[k].rows, kTileRows, best[k].rows);
    kernels.subtractF32FromTile(best.data(), block.above.data(), width, errors.data(), width,
                                block.begin);
  }

  /// Those numbers, [columns of the block, a stride].
  void copyBest(float *out, int64_t stride) const {
    for (const TileColumn &column : best) {
      std::copy_n(column.rows, rows, out);
      out += stride;
    }
  }

  /// Codes of the block that was reached, each column's error carried to those after it. The sum of
  /// squares that they leave.
  double encode(const MomentFactor::Block &block) {
    int64_t width = block.end - block.begin;
    const double *within = block.within.data();
    TileColumn left{};
    for (int64_t begin = 0; begin < width; begin += kColumns) {
      int64_t end = std::min(width, begin + kColumns);
      kernels.subtractFromTile(&best[begin], within + begin, width, best.data(), end - begin,
                               begin);
      for (int64_t k = begin; k < end; ++k) {
        kernels.subtractFromTile(&best[k], within + begin * width + k, width, &best[begin], 1,
                                 k - begin);
        int64_t j = block.begin + k;
        set(j, best[k]);
        TileColumnF32 after = decoded[j];
        double weight = all.factor.diagonal[j] * all.factor.diagonal[j];
        for (int64_t i = 0; i < kTileRows; ++i)
          best[k].rows[i] -= after.rows[i]; // what it is off by
        for (int64_t i = 0; i < kTileRows; ++i)
          left.rows[i] += weight * best[k].rows[i] * best[k].rows[i];
        for (int64_t i = 0; i < kTileRows; ++i)
          errors[j].rows[i] = after.rows[i] - given[k].rows[i];
      }
    }
    return std::accumulate(left.rows, left.rows + kTileRows, 0.0);
  }

  /// Sweeps of coordinate descent: e h e^T, for the errors e of each row, as a function of one code
  /// is a parabola, whose minimum that code comes nearest to. What is left, summed over rows.
  double improve(const Matrix &h, unsigned sweeps) {
    std::vector<TileColumn> excess(all.columns); // e in f64
    for (int64_t j = 0; j < all.columns; ++j)
      for (int64_t i = 0; i < rows; ++i)
        excess[j].rows[i] = double(decoded[j].rows[i]) - value(i, j);
    for (unsigned sweep = 0; sweep < sweeps; ++sweep)
      for (int64_t begin = 0; begin < all.columns; begin += kColumns)
        improve(h, begin, std::min(all.columns, begin + kColumns), excess);
    double sum = 0;
    for (int64_t j = 0; j < all.columns; ++j) {
      TileColumn product{}; // -e h
      kernels.subtractFromTile(&product, &h(0, j), all.columns, excess.data(), 1, all.columns);
      for (int64_t i = 0; i < kTileRows; ++i)
        sum -= product.rows[i] * excess[j].rows[i];
    }
    return sum;
  }

private:
  const float &value(int64_t row, int64_t j) const {
    return all.values[(firstRow + row) * all.columns + all.order[j]];
  }

  /// Takes the nearest codes for one column.
  void set(int64_t j, const TileColumn &column) {
    float x[kTileRows];
    std::copy_n(column.rows, kTileRows, x);
    all.encoder.set(firstRow, all.order[j], rows, x, decoded[j].rows);
  }

  /// The columns [begin, end) in one sweep.
  void improve(const Matrix &h, int64_t begin, int64_t end, std::vector<TileColumn> &excess) {
    std::vector<TileColumn> slopes(end - begin), changes(end - begin); // slopes: -e h
    kernels.subtractFromTile(slopes.data(), &h(0, begin), all.columns, excess.data(), end - begin,
                             all.columns);
    for (int64_t j = begin; j < end; ++j) {
      TileColumn &slope = slopes[j - begin], &change = changes[j - begin], best;
      kernels.subtractFromTile(&slope, &h(begin, j), all.columns, changes.data(), 1, j - begin);
      TileColumnF32 before = decoded[j], &after = decoded[j];
      for (int64_t i = 0; i < kTileRows; ++i)
        best.rows[i] = before.rows[i] + slope.rows[i] / h(j, j);
      set(j, best);
      // The nearest code by the format's rule may be one that is as near as the one before.
      bool isWorse = false;
      for (int64_t i = 0; i < kTileRows; ++i)
        if (std::abs(after.rows[i] - best.rows[i]) >= std::abs(before.rows[i] - best.rows[i])) {
          best.rows[i] = before.rows[i];
          isWorse = true;
        }
      if (isWorse)
        set(j, best);
      for (int64_t i = 0; i < kTileRows; ++i) {
        change.rows[i] = double(after.rows[i]) - before.rows[i];
        excess[j].rows[i] += change.rows[i];
      }
    }
  }

  const MatrixKernels &kernels = getMatrixKernels();
  Feedback &all;
  int64_t firstRow, rows;
  std::vector<TileColumnF32> decoded;
  std::vector<TileColumnF32> errors; ///< decoded - given, of the columns whose turn has been
  std::vector<TileColumnF32> given;  ///< of the columns of the block
  std::vector<TileColumn> best;      ///< likewise; then what each is off by
};
} // namespace

/// Codes of some rows, whose scales depend on no others. What is left of e h e^T.
static double encodeRows(Feedback &feedback, int64_t firstRow, int64_t rows,
                         const FeedbackOptions &options, const Matrix &h) {
  std::vector<Tile> tiles;
  for (int64_t row = 0; row < rows; row += kTileRows)
    tiles.emplace_back(feedback, firstRow + row, std::min(kTileRows, rows - row));
  double error = 0;
  std::vector<float> numbers;
  for (const MomentFactor::Block &block : feedback.factor.blocks) {
    int64_t width = block.end - block.begin;
    numbers.resize(rows * width);
    for (auto [number, tile] : enumerate(tiles)) {
      tile.reach(block);
      if (feedback.choosesScales)
        tile.copyBest(&numbers[number * kTileRows], rows);
    }
    if (feedback.choosesScales)
      feedback.encoder.chooseScales(firstRow, block.begin, {rows, width}, numbers.data());
    for (Tile &tile : tiles)
      error += tile.encode(block);
  }
  if (options.sweeps == 0)
    return error;
  error = 0;
  for (Tile &tile : tiles)
    error += tile.improve(h, options.sweeps);
  return error;
}

Expected<FeedbackCodes> lowbit::encodeWithFeedback(const numerics::Quantized &term,
                                                   ArrayRef<int64_t> shape, ArrayRef<float> values,
                                                   ArrayRef<double> moments,
                                                   const FeedbackOptions &options) {
  numerics::Shape extents(shape.begin(), shape.end());
  if (auto error = numerics::ColumnEncoder::check(term, extents))
    return createStringError(*error);
  int64_t rows = shape[0], columns = shape[1];
  if (int64_t(values.size()) != rows * columns || int64_t(moments.size()) != columns * columns)
    return createStringError("a matrix of " + Twine(rows) + "x" + Twine(columns) + " takes " +
                             Twine(rows * columns) + " values and " + Twine(columns * columns) +
                             " second moments, not " + Twine(values.size()) + " and " +
                             Twine(moments.size()));
  if (!(options.damping >= 0 && options.damping <= 1))
    return createStringError("damping is from 0 to 1, not " + text(options.damping));
  if (Error error = checkNumbers(shape, values, moments))
    return error;

  numerics::ColumnEncoder encoder(term, extents);
  FeedbackCodes result;
  if (rows == 0 || columns == 0) {
    result.components = encoder.finish();
    return result;
  }
  std::vector<double> diagonal;
  for (int64_t j = 0; j < columns; ++j)
    diagonal.push_back(moments[j * columns + j]);
  double mean = std::accumulate(diagonal.begin(), diagonal.end(), 0.0) / columns;
  if (mean == 0)
    mean = 1;
  std::vector<int64_t> order(columns);
  std::iota(order.begin(), order.end(), 0);
  if (options.fallingOrder)
    sort(order, [&](int64_t a, int64_t b) {
      return std::make_pair(-diagonal[a], a) < std::make_pair(-diagonal[b], b);
    });

  // Scales of a block are chosen when all before it is carried there, so blocks are theirs.
  std::optional<numerics::Shape> local = encoder.localBlock();
  if (options.fallingOrder)
    local = std::nullopt;
  int64_t width = local ? (*local)[1] : std::min(kBlockColumns, columns);
  std::vector<int64_t> reversed(order.rbegin(), order.rend());
  std::optional<MomentFactor> factor;
  for (double damping = options.damping; !factor && damping <= 1;
       damping = std::max(10 * damping, 1e-6)) {
    factor = factorMoments(dampedMoments(moments, reversed, damping, mean), width);
    result.damping = damping;
  }
  if (!factor)
    return createStringError("the second moments are not positive definite, even with their mean "
                             "added to the diagonal: they are no sum of x x^T");
  if (!local)
    encoder.chooseScales(values.data());

  Matrix h;
  if (options.sweeps > 0)
    h = dampedMoments(moments, order, result.damping, mean);
  // Rows of a task share scales with no others.
  int64_t blockRows = local ? (*local)[0] : 1;
  int64_t taskRows = blockRows * std::max<int64_t>(1, kTileRows / blockRows);
  Feedback feedback{encoder, values.data(), columns, order, std::move(*factor), local.has_value()};
  std::vector<double> errors(divideCeil(rows, taskRows));
  parallelFor(0, errors.size(), [&](size_t task) {
    int64_t first = task * taskRows;
    errors[task] = encodeRows(feedback, first, std::min(taskRows, rows - first), options, h);
  });
  result.error = std::accumulate(errors.begin(), errors.end(), 0.0);
  result.components = encoder.finish();
  return result;
}
