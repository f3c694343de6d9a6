//===- SearchEncode.cpp - Scales of least squared error -------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Any codes decode, so an encoder is free to choose them. This one minimizes the squared error of a
// struct: a grid of scales for each block with least squares after each, then integer scales for a
// few outer ones, least squares for the outer ones, and again. What counts is always the error of
// the values that decode from what is stored.
//
//===----------------------------------------------------------------------===//

#include "SearchEncode.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <limits>

namespace lowbit::numerics {

namespace {

/// Sums are kept in this many parts, which a compiler may compute side by side.
constexpr size_t kParts = 8;
using Parts = std::array<float, kParts>;

float total(const Parts &parts) {
  float sum = 0;
  for (float part : parts)
    sum += part;
  return sum;
}

/// The levels of the codes, for quick rounding.
class Levels {
public:
  explicit Levels(const Format &format)
      : isInteger(format.isInteger()), low(format.lowest()), high(format.highest()) {
    if (isInteger)
      return;
    for (uint32_t code = 0; code < (1u << format.bits()); ++code)
      sorted.push_back(format.decode(code));
    std::sort(sorted.begin(), sorted.end());
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    for (size_t i = 1; i < sorted.size(); ++i)
      middles.push_back((sorted[i - 1] + sorted[i]) / 2);
  }

  /// The levels nearest to t[kParts].
  void nearest(const Parts &t, Parts &levels) const {
    if (isInteger) {
      // Adding and subtracting 1.5 * 2^23 leaves the nearest integer.
      constexpr float round = 12582912.0f;
      for (size_t i = 0; i < kParts; ++i)
        levels[i] = (std::min(std::max(t[i], low), high) + round) - round;
      return;
    }
    std::array<int, kParts> ranks{};
    for (float middle : middles)
      for (size_t i = 0; i < kParts; ++i)
        ranks[i] += t[i] >= middle;
    for (size_t i = 0; i < kParts; ++i)
      levels[i] = sorted[static_cast<size_t>(ranks[i])];
  }

  bool isInteger;
  float low, high;
  std::vector<float> sorted, middles;
};

/// What least squares needs to know of a block whose levels are l: sums over its elements.
struct Sums {
  float l = 0, ll = 0, x = 0, xl = 0;
};

/// Scale and minimum of a block and the squared error that they leave.
struct Fit {
  float scale = 0, minimum = 0, error = std::numeric_limits<float>::infinity();
};

/// The block and its elements.
struct Block {
  const float *x;
  size_t size; ///< a multiple of kParts

  template <typename Visitor>
  void forEachPart(const Levels &levels, float scale, float minimum, Visitor visit) const {
    float inverse = scale == 0 ? 0.0f : 1.0f / scale;
    for (size_t begin = 0; begin < size; begin += kParts) {
      Parts t, l;
      for (size_t i = 0; i < kParts; ++i)
        t[i] = (x[begin + i] - minimum) * inverse;
      levels.nearest(t, l);
      visit(x + begin, l);
    }
  }

  float errorOf(const Levels &levels, float scale, float minimum) const {
    Parts errors{};
    forEachPart(levels, scale, minimum, [&](const float *part, const Parts &l) {
      for (size_t i = 0; i < kParts; ++i) {
        float error = part[i] - (scale * l[i] + minimum);
        errors[i] += error * error;
      }
    });
    return total(errors);
  }

  Sums sumsOf(const Levels &levels, float scale, float minimum) const {
    Parts l{}, ll{}, sum{}, xl{};
    forEachPart(levels, scale, minimum, [&](const float *part, const Parts &level) {
      for (size_t i = 0; i < kParts; ++i) {
        l[i] += level[i];
        ll[i] += level[i] * level[i];
        sum[i] += part[i];
        xl[i] += part[i] * level[i];
      }
    });
    return {total(l), total(ll), total(sum), total(xl)};
  }
};

//===----------------------------------------------------------------------===//
// One block, scale and minimum free
//===----------------------------------------------------------------------===//

class Search {
public:
  Search(const Quantized &term, int64_t elements, const float *values)
      : levels(term.format), term(term), x(values, values + elements) {
    size_t size = static_cast<size_t>(term.scale->levels.back().granularity.block.back());
    // No struct reaches 1e9, and its square is far from the end of f32.
    for (float &value : x)
      value = std::isnan(value) ? 0.0f : std::clamp(value, -1e9f, 1e9f);
    for (size_t begin = 0; begin < x.size(); begin += size)
      blocks.push_back({x.data() + begin, size});
  }

  std::vector<Codes> run();

private:
  bool hasMinimum() const { return term.zero.has_value(); }
  bool isNested() const { return term.scale->levels.size() == 2; }

  /// Rounds levels with these, replaces them by least squares, and so once more.
  void improve(const Block &block, float scale, float minimum, Fit &best) const {
    for (int pass = 0; pass < 2; ++pass) {
      Sums sums = block.sumsOf(levels, scale, minimum);
      float count = static_cast<float>(block.size);
      float determinant = count * sums.ll - sums.l * sums.l;
      minimum = 0;
      if (hasMinimum() && determinant > 0) {
        scale = (count * sums.xl - sums.x * sums.l) / determinant;
        minimum = (sums.ll * sums.x - sums.l * sums.xl) / determinant;
      }
      // Minima are stored as a negative f16 times natural numbers.
      if (!hasMinimum() || determinant <= 0 || minimum > 0) {
        scale = sums.ll > 0 ? sums.xl / sums.ll : 0.0f;
        // Nothing but levels of zero: a constant block.
        minimum = hasMinimum() && sums.ll == 0 ? std::min(sums.x / count, 0.0f) : 0.0f;
      }
      float error = block.errorOf(levels, scale, minimum);
      if (error < best.error)
        best = {scale, minimum, error};
    }
  }

  Fit fit(const Block &block) const {
    float low = *std::min_element(block.x, block.x + block.size),
          high = *std::max_element(block.x, block.x + block.size);
    float peak = -low > high ? low : high;
    Fit best;
    best.error = block.errorOf(levels, 0, 0);
    if (low == high && peak == 0)
      return best;
    if (hasMinimum()) {
      low = std::min(low, 0.0f);
      for (int step = -10; step <= 10; ++step)
        improve(block, (high - low) / (levels.high - levels.low + 0.1f * static_cast<float>(step)),
                low, best);
      return best;
    }
    // A tenth of the mean distance of levels.
    float distance = levels.isInteger ? 0.1f
                                      : 0.1f * (levels.high - levels.low) /
                                            static_cast<float>(levels.sorted.size() - 1);
    for (float end : {levels.low, levels.high})
      for (int step = -10; step <= 10; ++step)
        improve(block, peak / (end + distance * static_cast<float>(step)), 0, best);
    return best;
  }

  //===--------------------------------------------------------------------===//
  // Integer scales for outer ones
  //===--------------------------------------------------------------------===//

  /// What a struct stores of its scales.
  struct Stored {
    float scale = 0, minimum = 0;      ///< the outer ones, f16
    std::vector<float> scales, minima; ///< the inner ones, integers
    float error = std::numeric_limits<float>::infinity();
  };

  static float stored(float value) {
    static const Format half = Format::float16();
    return half.decode(half.encode(std::clamp(value, half.lowest(), half.highest())));
  }

  /// The integers near scale and minimum of the least error, for the outer ones of `all`.
  void chooseInner(size_t number, float scale, float minimum, Stored &all) const {
    const Format &element = term.scale->levels.back().element;
    float best = std::numeric_limits<float>::infinity();
    float scaleCentre = std::nearbyint(all.scale == 0 ? 0.0f : scale / all.scale);
    float minimumCentre = std::nearbyint(all.minimum == 0 ? 0.0f : minimum / all.minimum);
    float reach = hasMinimum() && all.minimum != 0 ? 1.0f : 0.0f;
    for (float s = scaleCentre - 1; s <= scaleCentre + 1; ++s) {
      if (s < element.lowest() || s > element.highest())
        continue;
      for (float m = minimumCentre - reach; m <= minimumCentre + reach; ++m) {
        if (hasMinimum() && (m < 0 || m > term.zero->levels.back().element.highest()))
          continue;
        float error = blocks[number].errorOf(levels, all.scale * s, all.minimum * m);
        if (error >= best)
          continue;
        best = error;
        all.scales[number] = s;
        all.minima[number] = m;
      }
    }
    if (best < std::numeric_limits<float>::infinity())
      return;
    // Out of reach of all three: the nearest end.
    all.scales[number] = std::clamp(scaleCentre, element.lowest(), element.highest());
    all.minima[number] =
        hasMinimum() ? std::clamp(minimumCentre, 0.0f, term.zero->levels.back().element.highest())
                     : 0.0f;
  }

  float errorOf(const Stored &all) const {
    float error = 0;
    for (size_t i = 0; i < blocks.size(); ++i)
      error += blocks[i].errorOf(levels, all.scale * all.scales[i], all.minimum * all.minima[i]);
    return error;
  }

  /// Outer scale and minimum by least squares over the whole struct.
  void improveOuter(Stored &all) const {
    double aa = 0, ab = 0, bb = 0, xa = 0, xb = 0;
    for (size_t i = 0; i < blocks.size(); ++i) {
      Sums sums = blocks[i].sumsOf(levels, all.scale * all.scales[i], all.minimum * all.minima[i]);
      double s = all.scales[i], m = all.minima[i];
      aa += s * s * sums.ll;
      ab += s * m * sums.l;
      bb += m * m * static_cast<double>(blocks[i].size);
      xa += s * sums.xl;
      xb += m * sums.x;
    }
    double determinant = aa * bb - ab * ab;
    if (hasMinimum() && determinant > 0) {
      all.scale = stored(static_cast<float>((bb * xa - ab * xb) / determinant));
      all.minimum = std::min(stored(static_cast<float>((aa * xb - ab * xa) / determinant)), 0.0f);
    } else if (aa > 0) {
      all.scale = stored(static_cast<float>(xa / aa));
    } else if (bb > 0) {
      all.minimum = std::min(stored(static_cast<float>(xb / bb)), 0.0f);
    }
  }

  void refine(float scale, float minimum, const std::vector<Fit> &fits, Stored &best) const {
    Stored all;
    all.scale = stored(scale);
    all.minimum = stored(minimum);
    all.scales.resize(blocks.size());
    all.minima.resize(blocks.size());
    for (int pass = 0; pass < 4; ++pass) {
      for (size_t i = 0; i < blocks.size(); ++i)
        chooseInner(i, fits[i].scale, fits[i].minimum, all);
      all.error = errorOf(all);
      if (all.error < best.error)
        best = all;
      float before = all.scale, beforeMinimum = all.minimum;
      improveOuter(all);
      float error = errorOf(all);
      if (error < best.error) {
        best = all;
        best.error = error;
      }
      if (all.scale == before && all.minimum == beforeMinimum)
        return;
    }
  }

  Stored chooseNested(const std::vector<Fit> &fits) const {
    const Format &element = term.scale->levels.back().element;
    float peak = 0, deepest = 0;
    for (const Fit &fit : fits) {
      if (std::fabs(fit.scale) > std::fabs(peak))
        peak = fit.scale;
      deepest = std::min(deepest, fit.minimum);
    }
    float minimum = hasMinimum() ? deepest / term.zero->levels.back().element.highest() : 0.0f;
    Stored best;
    best.scales.resize(blocks.size());
    best.minima.resize(blocks.size());
    best.error = errorOf(best);
    for (float end : {element.highest(), element.lowest()})
      if (end != 0)
        for (float factor : {1.0f, 0.95f, 1.06f})
          refine(peak / end * factor, minimum * factor, fits, best);
    return best;
  }

  std::vector<Codes> codesOf(const std::vector<float> &scales,
                             const std::vector<float> &minima) const {
    std::vector<Codes> arrays(1);
    for (size_t i = 0; i < blocks.size(); ++i)
      blocks[i].forEachPart(levels, scales[i], minima[i], [&](const float *, const Parts &l) {
        for (float level : l)
          arrays[0].push_back(term.format.encode(level));
      });
    return arrays;
  }

  Levels levels;
  const Quantized &term;
  std::vector<float> x;
  std::vector<Block> blocks;
};

std::vector<Codes> Search::run() {
  std::vector<Fit> fits;
  for (const Block &block : blocks)
    fits.push_back(fit(block));
  static const Format half = Format::float16();
  if (!isNested()) {
    assert(!hasMinimum() && "no struct has a minimum by itself and no rule");
    std::vector<float> scales;
    Codes codes;
    for (const Fit &fit : fits) {
      scales.push_back(stored(fit.scale));
      codes.push_back(half.encode(scales.back()));
    }
    std::vector<Codes> arrays = codesOf(scales, std::vector<float>(blocks.size()));
    arrays.push_back(std::move(codes));
    return arrays;
  }
  Stored best = chooseNested(fits);
  std::vector<float> scales, minima;
  Codes inner, innerMinima;
  for (size_t i = 0; i < blocks.size(); ++i) {
    scales.push_back(best.scale * best.scales[i]);
    minima.push_back(best.minimum * best.minima[i]);
    inner.push_back(term.scale->levels.back().element.encode(best.scales[i]));
    if (hasMinimum())
      innerMinima.push_back(term.zero->levels.back().element.encode(best.minima[i]));
  }
  std::vector<Codes> arrays = codesOf(scales, minima);
  arrays.push_back({half.encode(best.scale)});
  arrays.push_back(std::move(inner));
  if (hasMinimum()) {
    arrays.push_back({half.encode(best.minimum)});
    arrays.push_back(std::move(innerMinima));
  }
  return arrays;
}

} // namespace

std::vector<Codes> searchStruct(const Quantized &term, int64_t elements, const float *x) {
  return Search(term, elements, x).run();
}

} // namespace lowbit::numerics
