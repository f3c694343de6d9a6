//===- ColumnEncoderTests.cpp - Columns of many rows at once --------------===//
//
// Part of Lowbit, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A matrix that is encoded column by column, by vector code, has the bytes of the reference, which
// takes one element after the other.
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Codebooks.h"
#include "lowbit/Numerics/ColumnEncoder.h"
#include "lowbit/Numerics/Half.h"
#include "lowbit/Numerics/Reference.h"

#include "gtest/gtest.h"

#include <cmath>
#include <limits>
#include <random>

using namespace lowbit::numerics;

namespace {

using Choice = EncodeRule::Choice;

Quantized termOf(Format format, Shape block, Choice choice = Choice::Default,
                 Format scale = Format::float16()) {
  Quantized term{std::move(format), Scale{{{scale, Granularity::perBlock(block)}}, std::nullopt},
                 ZeroKind::None,    std::nullopt,
                 EncodeRule(),      nullptr};
  term.rule.choice = choice;
  return term;
}

/// Formats that take the ways of one pass, of thresholds and of single elements; roundings; zeros.
std::vector<Quantized> terms() {
  std::vector<Quantized> list;
  for (Format format :
       {Format::integer(1), Format::integer(4), Format::integer(4, true), Format::integer(8),
        Format::unsignedInteger(3), *namedCodebook("nf4"), Format::codebook({1, 0, -1, 1}),
        Format::minifloat(*Minifloat::named("e2m1")), Format::codebook({-0.5f, 0.5f, 3.0f}),
        Format::float16()})
    for (Shape block : {Shape{1, 8}, Shape{1, 20}, Shape{3, 8}, Shape{1, 64}})
      for (Choice choice : {Choice::AbsMax, Choice::SignedMax, Choice::Mse, Choice::Percentile}) {
        list.push_back(termOf(format, block, choice));
        list.back().rule.percent = 80;
      }
  for (Rounding rounding : {Rounding::HalfAway, Rounding::HalfUp}) {
    list.push_back(termOf(Format::integer(4), {1, 8}));
    list.back().rule.rounding = rounding;
  }
  list.push_back(termOf(Format::integer(4), {1, 8}));
  list.back().rule.divisor = EncodeRule::Divisor::Exact;
  list.back().rule.inverse = EncodeRule::Inverse::Reciprocal;
  for (ZeroKind kind : {ZeroKind::Integer, ZeroKind::Additive}) {
    list.push_back(termOf(Format::unsignedInteger(4), {1, 8}));
    list.back().zeroKind = kind;
    list.back().zero = *list.back().scale;
    if (kind == ZeroKind::Integer)
      list.back().zero->levels[0].element = Format::unsignedInteger(4);
  }
  return list;
}

/// Of all sizes, so that scales are denormal in f16 and beyond its range; special numbers.
std::vector<float> numbers(const Shape &shape) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(shape[0] * shape[1]));
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = std::ldexp(normal(random), int(i / 24 % 45) - 28);
  std::fill_n(x.begin() + 100, 30, 0.0f);
  x[200] = -0.0f;
  x[300] = std::numeric_limits<float>::quiet_NaN();
  x[400] = std::numeric_limits<float>::infinity();
  x[500] = -x[400];
  x[600] = 1e-42f;
  return x;
}

uint32_t differences(const std::vector<float> &a, const std::vector<float> &b) {
  uint32_t count = 0;
  for (size_t i = 0; i < a.size(); ++i)
    count += bitsOfFloat(a[i]) != bitsOfFloat(b[i]);
  return count;
}

/// Sets all columns, from some rows to the next ones; what they decode to, row by row.
std::vector<float> setAll(ColumnEncoder &encoder, const Shape &shape, const std::vector<float> &x,
                          int64_t rows) {
  std::vector<float> result(x.size());
  for (int64_t row = 0; row < shape[0]; row += rows)
    for (int64_t column = 0; column < shape[1]; ++column) {
      int64_t count = std::min(rows, shape[0] - row);
      std::vector<float> given, decoded(static_cast<size_t>(count));
      for (int64_t i = 0; i < count; ++i)
        given.push_back(x[static_cast<size_t>((row + i) * shape[1] + column)]);
      encoder.set(row, column, count, given.data(), decoded.data());
      for (int64_t i = 0; i < count; ++i)
        result[static_cast<size_t>((row + i) * shape[1] + column)] =
            decoded[static_cast<size_t>(i)];
    }
  return result;
}

TEST(ColumnEncoder, GivesTheBytesOfTheReference) {
  Shape shape{70, 50};
  std::vector<float> x = numbers(shape);
  for (const Quantized &term : terms()) {
    ASSERT_FALSE(ColumnEncoder::check(term, shape)) << *ColumnEncoder::check(term, shape);
    std::vector<Bytes> expected = encode(term, shape, x.data());
    for (int64_t rows : {32, 7, 70}) {
      ColumnEncoder encoder(term, shape);
      encoder.chooseScales(x.data());
      std::vector<float> decoded = setAll(encoder, shape, x, rows);
      EXPECT_EQ(encoder.finish(), expected) << term.str() << ", " << rows << " rows at once";
      EXPECT_EQ(differences(decoded, decode(term, shape, expected)), 0u) << term.str();
    }
  }
}

TEST(ColumnEncoder, ChoosesScalesOfParts) {
  Shape shape{70, 50};
  std::vector<float> x = numbers(shape);
  for (const Quantized &term : terms()) {
    ColumnEncoder encoder(term, shape);
    std::optional<Shape> block = encoder.localBlock();
    ASSERT_EQ(block.has_value(), term.scale->levels[0].granularity.block[1] < 50) << term.str();
    if (!block)
      continue;
    int64_t rows = 8 * (*block)[0];
    for (int64_t row = 0; row < shape[0]; row += rows)
      for (int64_t column = 0; column < shape[1]; column += (*block)[1]) {
        Shape part{std::min(rows, shape[0] - row), std::min((*block)[1], shape[1] - column)};
        std::vector<float> transposed;
        for (int64_t j = 0; j < part[1]; ++j)
          for (int64_t i = 0; i < part[0]; ++i)
            transposed.push_back(x[static_cast<size_t>((row + i) * shape[1] + column + j)]);
        encoder.chooseScales(row, column, part, transposed.data());
      }
    setAll(encoder, shape, x, 32);
    EXPECT_EQ(encoder.finish(), encode(term, shape, x.data())) << term.str();
  }
}

/// The rule's definition in docs/Numerics.md, one number after the other.
TEST(ColumnEncoder, SearchesWithScalesAsF16StoresThem) {
  Shape shape{70, 48};
  std::vector<float> x = numbers(shape);
  Format half = Format::float16();
  for (Format format :
       {Format::integer(3), *namedCodebook("nf4"), Format::minifloat(*Minifloat::named("e2m1"))}) {
    Quantized term = termOf(format, {1, 8}, Choice::Mse);
    std::vector<Bytes> bytes = encode(term, shape, x.data());
    for (size_t block = 0; block < x.size() / 8; ++block) {
      float peak = 0;
      auto number = [&](size_t i) { return std::isnan(x[8 * block + i]) ? 0 : x[8 * block + i]; };
      for (size_t i = 0; i < 8; ++i)
        peak = std::max(peak, std::fabs(number(i)));
      float best = half.decode(half.encode(std::min(peak / format.largest(), half.highest())));
      float least = std::numeric_limits<float>::infinity();
      for (int candidate = 0; candidate <= 16; ++candidate) {
        float exact = peak / format.largest() * static_cast<float>(1.0 - candidate * 0.5 / 16);
        float scale = half.decode(half.encode(std::min(exact, half.highest())));
        float sum = 0;
        for (size_t i = 0; i < 8; ++i) {
          float t = scale == 0 ? 0 : number(i) / scale;
          volatile float decoded = scale * format.decode(format.encode(t));
          volatile float error = number(i) - decoded;
          volatile float square = error * error;
          sum += square;
        }
        if (sum < least) {
          best = scale;
          least = sum;
        }
      }
      uint32_t stored = bytes.back()[2 * block] | bytes.back()[2 * block + 1] << 8;
      EXPECT_EQ(stored, half.encode(best)) << format.str() << ", block " << block;
    }
  }
}

} // namespace
