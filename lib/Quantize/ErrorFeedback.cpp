//===- ErrorFeedback.cpp - Codes that make up for one another -------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Quantize/ErrorFeedback.h"

#include "MatrixKernels.h"
#include "lowbit/Numerics/ColumnEncoder.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Parallel.h"
#include "llvm/Support/raw_ostream.h"

#include <Eigen/Core>

#include <cmath>
#include <numeric>

using namespace llvm;
using namespace lowbit;

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Columns that errors of earlier ones reach at once, in one product.
static constexpr int64_t kBlockColumns = 64;
/// Columns of an inverse that are one task.
static constexpr int64_t kInverseColumns = 64;
/// Rows are independent of one another; these are one task.
static constexpr int64_t kTaskRows = 32;

static std::string text(double number) {
  std::string result;
  raw_string_ostream(result) << llvm::format("%g", number);
  return result;
}

static Error checkNumbers(ArrayRef<int64_t> shape, ArrayRef<float> values,
                          ArrayRef<double> moments) {
  int64_t columns = shape[1];
  for (auto [i, value] : enumerate(values))
    if (!std::isfinite(value))
      return createStringError("the value at row " + Twine(i / columns) + ", column " +
                               Twine(i % columns) + " is not finite");
  for (int64_t i = 0; i < columns; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      double lower = moments[i * columns + j], upper = moments[j * columns + i];
      if (!std::isfinite(lower) || (i == j && lower < 0))
        return createStringError("the second moments have " + text(lower) + " at row " + Twine(i) +
                                 ", column " + Twine(j));
      double size = std::max(std::abs(lower), std::abs(upper));
      if (!(std::abs(lower - upper) <= 1e-3 * size + 1e-12))
        return createStringError("the second moments are not symmetric: " + text(lower) +
                                 " at row " + Twine(i) + ", column " + Twine(j) + ", and " +
                                 text(upper) + " at row " + Twine(j) + ", column " + Twine(i));
    }
  return Error::success();
}

/// The upper triangular u with u^T u = inverse(h): with both orders of h reversed, h = l l^T, and u
/// is the inverse of l, reversed. Nothing if h is not positive definite.
static std::optional<Matrix> factorInverse(const Matrix &h) {
  const MatrixKernels &kernels = getMatrixKernels();
  int64_t n = h.rows();
  Matrix lower = h.reverse();
  if (!kernels.factor(lower.data(), n))
    return std::nullopt;
  Matrix inverse = Matrix::Zero(n, n);
  parallelFor(0, divideCeil(n, kInverseColumns), [&](size_t task) {
    int64_t begin = task * kInverseColumns;
    kernels.invertColumns(lower.data(), inverse.data(), n, begin,
                          std::min(n, begin + kInverseColumns));
  });
  if (!inverse.allFinite())
    return std::nullopt;
  return inverse.reverse();
}

namespace {
/// The matrix while errors are carried through it, its columns in the order of their turns.
struct Feedback {
  numerics::ColumnEncoder &encoder;
  ArrayRef<int64_t> order;
  Matrix values;
  Matrix factor;
  Matrix errors; ///< of the columns whose turn has been, each over its diagonal element
  Matrix decodedValues;

  /// What the errors of the columns [from, begin) leave of [begin, end) in some rows, in one
  /// product.
  void carry(int64_t firstRow, int64_t rows, int64_t from, int64_t begin, int64_t end) {
    int64_t stride = values.cols();
    if (from < begin)
      getMatrixKernels().subtractProduct(&values(firstRow, begin), stride, &errors(firstRow, from),
                                         stride, &factor(from, begin), stride, rows, end - begin,
                                         begin - from);
  }

  /// Codes of the columns [begin, end) of some rows, each column's errors carried to those after
  /// it. The sum of squares of the errors.
  double run(int64_t firstRow, int64_t rows, int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t i = firstRow; i < firstRow + rows; ++i) {
      double *row = &values(i, 0);
      for (int64_t j = begin; j < end; ++j) {
        double decoded = encoder.set(i, order[j], static_cast<float>(row[j]));
        double error = (row[j] - decoded) / factor(j, j);
        const double *along = &factor(j, 0);
        for (int64_t k = j + 1; k < end; ++k)
          row[k] -= error * along[k];
        errors(i, j) = error;
        sum += error * error;
        decodedValues(i, j) = decoded;
      }
    }
    return sum;
  }

  /// One sweep of coordinate descent over some rows: e h e^T, for the errors e of each, as a
  /// function of one code is a parabola, whose minimum that code comes nearest to. `wanted` are
  /// the values as they came.
  void improve(int64_t firstRow, int64_t rows, const Matrix &h, const Matrix &wanted) {
    int64_t columns = values.cols();
    Matrix slope = Matrix::Zero(rows, columns); // -(wanted - decoded) h
    Matrix excess = decodedValues.middleRows(firstRow, rows) - wanted.middleRows(firstRow, rows);
    getMatrixKernels().subtractProduct(slope.data(), columns, excess.data(), columns, h.data(),
                                       columns, rows, columns, columns);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) {
        double before = decodedValues(firstRow + i, j);
        double best = before + slope(i, j) / h(j, j);
        double after = encoder.set(firstRow + i, order[j], static_cast<float>(best));
        // The nearest code by the format's rule may be one that is as near as the one before.
        if (std::abs(after - best) >= std::abs(before - best)) {
          encoder.set(firstRow + i, order[j], static_cast<float>(before));
          continue;
        }
        slope.row(i) -= (after - before) * h.row(j);
        decodedValues(firstRow + i, j) = after;
      }
  }

  /// Over all rows, by tasks of some; the sum of what they return.
  double forEachTask(function_ref<double(int64_t firstRow, int64_t rows)> work) {
    int64_t tasks = divideCeil(values.rows(), kTaskRows);
    std::vector<double> sums(tasks);
    parallelFor(0, tasks, [&](size_t task) {
      int64_t first = task * kTaskRows;
      sums[task] = work(first, std::min<int64_t>(kTaskRows, values.rows() - first));
    });
    return std::accumulate(sums.begin(), sums.end(), 0.0);
  }
};
} // namespace

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

  numerics::ColumnEncoder encoder(term, extents, values.data());
  FeedbackCodes result;
  if (rows == 0 || columns == 0) {
    result.components = encoder.finish();
    return result;
  }
  auto given = Eigen::Map<const Matrix>(moments.data(), columns, columns);
  std::vector<int64_t> order(columns);
  std::iota(order.begin(), order.end(), 0);
  if (options.fallingOrder)
    sort(order, [&](int64_t a, int64_t b) {
      return std::make_pair(-given(a, a), a) < std::make_pair(-given(b, b), b);
    });

  Matrix h(columns, columns);
  Feedback feedback{encoder,
                    order,
                    Matrix(rows, columns),
                    {},
                    Matrix(rows, columns),
                    Matrix(rows, columns)};
  for (int64_t i = 0; i < columns; ++i)
    for (int64_t j = 0; j <= i; ++j)
      h(i, j) = h(j, i) = (given(order[i], order[j]) + given(order[j], order[i])) / 2;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      feedback.values(i, j) = values[i * columns + order[j]];
  Matrix wanted = options.sweeps > 0 ? feedback.values : Matrix();
  double mean = h.diagonal().mean();
  if (mean == 0)
    mean = 1;
  for (int64_t j = 0; j < columns; ++j)
    if (h(j, j) == 0)
      h(j, j) = mean; // no input: nothing is carried from or to this column
  std::optional<Matrix> factor;
  for (double damping = options.damping; !factor && damping <= 1;
       damping = std::max(10 * damping, 1e-6)) {
    Matrix damped = h;
    damped.diagonal().array() += damping * mean;
    factor = factorInverse(damped);
    result.damping = damping;
  }
  if (!factor)
    return createStringError("the second moments are not positive definite, even with their mean "
                             "added to the diagonal: they are no sum of x x^T");
  feedback.factor = std::move(*factor);

  // Scales of a block are chosen when all before it is carried there, so blocks end with them.
  std::optional<int64_t> local = encoder.localColumns();
  if (options.fallingOrder)
    local = std::nullopt;
  for (int64_t begin = 0; begin < columns;) {
    int64_t end = std::min(columns, begin + kBlockColumns);
    int64_t from = 0; // errors of columns before it have been carried here
    if (local) {
      int64_t block = begin / *local * *local, next = std::min(columns, block + *local);
      end = std::min(end, next);
      if (begin == block) {
        feedback.forEachTask([&](int64_t first, int64_t count) {
          feedback.carry(first, count, 0, begin, next);
          return 0.0;
        });
        std::vector<float> part(rows * (next - begin));
        for (int64_t i = 0; i < rows; ++i)
          for (int64_t j = begin; j < next; ++j)
            part[i * (next - begin) + j - begin] = static_cast<float>(feedback.values(i, j));
        encoder.chooseScales(begin, next, part.data());
      }
      from = block;
    }
    result.error += feedback.forEachTask([&](int64_t first, int64_t count) {
      feedback.carry(first, count, from, begin, end);
      return feedback.run(first, count, begin, end);
    });
    begin = end;
  }
  if (options.sweeps > 0) {
    h.diagonal().array() += result.damping * mean;
    result.error = feedback.forEachTask([&](int64_t first, int64_t count) {
      for (unsigned sweep = 0; sweep < options.sweeps; ++sweep)
        feedback.improve(first, count, h, wanted);
      Matrix left =
          feedback.decodedValues.middleRows(first, count) - wanted.middleRows(first, count);
      return (left * h).cwiseProduct(left).sum();
    });
  }
  result.components = encoder.finish();
  return result;
}
