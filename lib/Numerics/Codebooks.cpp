//===- Codebooks.cpp - Published tables of levels, by name --------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Codebooks.h"

#include "LloydMax.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace lowbit::numerics {

using Levels = std::vector<float>;
using Borders = std::vector<double>;
using Arguments = std::vector<double>;

//===----------------------------------------------------------------------===//
// Single tables
//===----------------------------------------------------------------------===//

static Levels nf4(const Arguments &) {
  return {-1.0f,
          -0.6961928009986877f,
          -0.5250730514526367f,
          -0.39491748809814453f,
          -0.28444138169288635f,
          -0.18477343022823334f,
          -0.09105003625154495f,
          0.0f,
          0.07958029955625534f,
          0.16093020141124725f,
          0.24611230194568634f,
          0.33791524171829224f,
          0.44070982933044434f,
          0.5626170039176941f,
          0.7229568362236023f,
          1.0f};
}

static Levels af4(const Arguments &) {
  return {-1.0f,        -0.69441008f, -0.51243739f, -0.3736951f, -0.25607552f, -0.14982478f,
          -0.04934812f, 0.0f,         0.04273164f,  0.12934483f, 0.21961274f,  0.31675666f,
          0.42563882f,  0.55496234f,  0.72424863f,  1.0f};
}

/// The magnitudes of codes 0 to 7, then the same with a sign, zero positive.
static Levels signMagnitude(const Levels &magnitudes) {
  Levels levels = magnitudes;
  for (float level : magnitudes)
    levels.push_back(level == 0.0f ? 0.0f : -level);
  return levels;
}

static Levels fp4(const Arguments &) {
  Levels magnitudes{0.0f, 0.0625f, 8.0f, 12.0f, 4.0f, 6.0f, 2.0f, 3.0f};
  for (float &level : magnitudes)
    level /= 12.0f;
  return signMagnitude(magnitudes);
}

static Levels mxfp4(const Arguments &) {
  return signMagnitude({0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f});
}

static Levels iq4nl(const Arguments &) {
  return {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
}

static Levels binary(const Arguments &) { return {-1, 1}; }
static Levels ternary(const Arguments &) { return {-1, 0, 1}; }

//===----------------------------------------------------------------------===//
// Families by number of bits
//===----------------------------------------------------------------------===//

/// Adds the negatives of `levels` and sorts.
static Levels mirrored(Levels levels, bool isSigned = true) {
  size_t count = levels.size();
  for (size_t i = 0; i < count && isSigned; ++i)
    if (levels[i] != 0.0f)
      levels.push_back(-levels[i]);
  std::sort(levels.begin(), levels.end());
  return levels;
}

static int bitsOf(const Arguments &arguments) { return static_cast<int>(arguments[0]); }

/// The dynamic exponent: bits - 1 decades, each of which has twice as many levels as the one below
/// it, the centres of equal bins of [0.1, 1]. In f32, operation by operation as bitsandbytes'
/// create_dynamic_map computes it with torch.linspace, whose vector code fuses multiply and add, so
/// that the tables have the bits of those in its checkpoints.
static Levels dynamicMap(int bits, bool isSigned) {
  static const float powersOfTen[] = {1.0f, 1e-1f, 1e-2f, 1e-3f, 1e-4f, 1e-5f, 1e-6f};
  int decades = bits - 1;
  Levels levels{0.0f, 1.0f};
  for (int decade = 0; decade < decades; ++decade) {
    int bins = 1 << (isSigned ? decade : decade + 1);
    float step = (1.0f - 0.1f) / static_cast<float>(bins);
    auto boundary = [&](int i) {
      // Both halves start from their own end; there are bins + 1 boundaries.
      return i < (bins + 1) / 2 ? std::fma(step, static_cast<float>(i), 0.1f)
                                : std::fma(-step, static_cast<float>(bins - i), 1.0f);
    };
    for (int i = 0; i < bins; ++i) {
      float centre = (boundary(i) + boundary(i + 1)) / 2.0f;
      float level = powersOfTen[decades - 1 - decade] * centre;
      levels.push_back(level);
      if (isSigned)
        levels.push_back(-level);
    }
  }
  std::sort(levels.begin(), levels.end());
  return levels;
}

static Levels dynamicSigned(const Arguments &a) { return dynamicMap(bitsOf(a), true); }
static Levels dynamicUnsigned(const Arguments &a) { return dynamicMap(bitsOf(a), false); }
static Levels dynamicNonzero(const Arguments &a) {
  Levels levels = dynamicMap(bitsOf(a), false);
  levels[0] = levels[1];
  return levels;
}

static Levels linearSigned(const Arguments &a) {
  int most = (1 << (bitsOf(a) - 1)) - 1;
  Levels levels;
  for (int i = 0; i <= most; ++i)
    levels.push_back(static_cast<float>(i) / static_cast<float>(most));
  return mirrored(levels);
}

static Levels linearUnsigned(const Arguments &a) {
  int most = (1 << bitsOf(a)) - 1;
  Levels levels;
  for (int i = 0; i <= most; ++i)
    levels.push_back(static_cast<float>(i) / static_cast<float>(most));
  return levels;
}

static Levels linearNonzero(const Arguments &a) {
  int count = 1 << bitsOf(a);
  Levels levels;
  for (int i = 1; i <= count; ++i)
    levels.push_back(static_cast<float>(i) / static_cast<float>(count));
  return levels;
}

static Levels linearSquare(const Arguments &a) {
  int count = 1 << bitsOf(a);
  Levels levels;
  for (int i = 0; i < count; ++i) {
    double x = -1.0 + 2.0 * i / (count - 1);
    int zero = count / 2 - 1;
    levels.push_back(i == zero ? 0.0f : static_cast<float>(i < zero ? -x * x : x * x));
  }
  return levels;
}

/// `count` levels from 2^-octaves to 1 whose logarithms are equally far apart.
static Levels geometric(int count, double octaves) {
  Levels levels;
  for (int i = 0; i < count; ++i)
    levels.push_back(static_cast<float>(std::exp2(-octaves * (count - 1 - i) / (count - 1))));
  return levels;
}

static Levels log2Unsigned(const Arguments &a) { return geometric(1 << bitsOf(a), a[1]); }
static Levels log2Signed(const Arguments &a) {
  Levels levels = geometric((1 << (bitsOf(a) - 1)) - 1, a[1]);
  levels.push_back(0.0f);
  return mirrored(levels);
}

static Levels power(const Arguments &a) {
  int most = (1 << (bitsOf(a) - 1)) - 1;
  Levels levels;
  for (int i = 0; i <= most; ++i)
    levels.push_back(static_cast<float>(std::pow(static_cast<double>(i) / most, a[1])));
  return mirrored(levels);
}

/// Sums of one power of two, or 0, from each of `terms` sets that interleave; 2^bits sums. Two bits
/// choose from a set, one bit from the last set of an odd number: as the authors' code has it.
static Levels additivePowers(int bits, bool isSigned) {
  int magnitudeBits = isSigned ? bits - 1 : bits;
  int terms = (magnitudeBits + 1) / 2;
  std::vector<Levels> sets(static_cast<size_t>(terms), Levels{0.0f});
  bool isOdd = magnitudeBits % 2 == 1;
  // Powers 2^-1, 2^-2, ... are dealt to the sets in turn; the set of one bit comes after the others
  // in rank and takes its only power where its third turn would be: before the others'.
  int wide = isOdd ? terms - 1 : terms, exponent = 0;
  for (int turn = 0; turn < 3; ++turn) {
    if (isOdd && turn == 2)
      sets.back().push_back(std::ldexp(1.0f, --exponent));
    for (int set = 0; set < wide; ++set)
      sets[static_cast<size_t>(set)].push_back(std::ldexp(1.0f, --exponent));
  }
  Levels sums{0.0f};
  for (const Levels &set : sets) {
    Levels more;
    for (float sum : sums)
      for (float term : set)
        more.push_back(sum + term);
    sums = std::move(more);
  }
  float largest = *std::max_element(sums.begin(), sums.end());
  for (float &sum : sums)
    sum /= largest;
  return mirrored(sums, isSigned);
}

static Levels apotSigned(const Arguments &a) { return additivePowers(bitsOf(a), true); }
static Levels apotUnsigned(const Arguments &a) { return additivePowers(bitsOf(a), false); }

static Levels gaussian(const Arguments &a) {
  Levels levels;
  for (double level : lloydMaxOfGaussian(1 << bitsOf(a)))
    levels.push_back(static_cast<float>(level));
  return levels;
}

//===----------------------------------------------------------------------===//
// Companded families: equal steps of a function of the number
//===----------------------------------------------------------------------===//
//
// Levels are where the function is a whole number of steps; a number has the level whose step its
// function rounds to, so that borders are at half steps.

/// At `first`, `first` + 1, ... up to `steps`, in steps of 1 / `steps`.
template <typename Number>
static std::vector<Number> expanded(double (*inverse)(double), double first, int steps) {
  std::vector<Number> numbers;
  for (double step = first; step <= steps; ++step)
    numbers.push_back(static_cast<Number>(inverse(step / steps)));
  return numbers;
}

static double ofSoftsign(double y) { return y / (2.0 - std::abs(y)); }
static int softsignSteps(const Arguments &a) { return (1 << (bitsOf(a) - 1)) - 1; }
static Levels softsign(const Arguments &a) {
  return expanded<float>(ofSoftsign, -softsignSteps(a), softsignSteps(a));
}
static Borders softsignBorders(const Arguments &a) {
  return expanded<double>(ofSoftsign, 0.5 - softsignSteps(a), softsignSteps(a));
}

static double ofRoot(double y) { return y * y; }
static Levels root(const Arguments &a) { return expanded<float>(ofRoot, 0, (1 << bitsOf(a)) - 1); }
/// Code 0 is in the middle of the roots that it stands for, from 0 to half a step.
static Levels rootNonzero(const Arguments &a) {
  Levels levels = root(a);
  levels[0] = static_cast<float>(ofRoot(0.25 / ((1 << bitsOf(a)) - 1)));
  return levels;
}
static Borders rootBorders(const Arguments &a) {
  return expanded<double>(ofRoot, 0.5, (1 << bitsOf(a)) - 1);
}

//===----------------------------------------------------------------------===//
// The table of families
//===----------------------------------------------------------------------===//

namespace {
/// What an argument must be.
struct Range {
  double least, most;
  bool isInteger;
};

struct Row {
  CodebookFamily family;
  std::vector<Range> ranges;
  Levels (*build)(const Arguments &);
  /// Null: midpoints.
  Borders (*borders)(const Arguments &) = nullptr;
};
} // namespace

static Range bits(int least, int most) {
  return {static_cast<double>(least), static_cast<double>(most), true};
}

static const std::vector<Row> &rows() {
  static const std::vector<Row> all = {
      {{"af4", "block",
        "4-bit AbnormalFloat for blocks of 64, the one size with a published table (Yoshida 2023, "
        "\"NF4 Isn't Information Theoretically Optimal (and that's Good)\", arXiv 2306.06965)"},
       {{64, 64, true}},
       af4},
      {{"apot", "bits",
        "signed additive powers of two, bits - 1 of them magnitude (Li, Dong, Wang 2020, ICLR, "
        "arXiv 1909.13144; the sets are those of the authors' code)"},
       {bits(3, 7)},
       apotSigned},
      {{"apot_unsigned", "bits", "additive powers of two for non-negative values (as apot)"},
       {bits(2, 6)},
       apotUnsigned},
      {{"binary", "", "-1 and 1 (Courbariaux et al. 2015, arXiv 1511.00363)"}, {}, binary},
      {{"dynamic", "bits",
        "signed dynamic exponent of bits - 1 decades (Dettmers et al. 2021, arXiv 2110.02861; "
        "bitsandbytes' create_dynamic_map). 8 bits: S8 of the 8-bit optimizers, 4 bits: S4 of the "
        "4-bit ones (Li, Chen, Zhu 2023, arXiv 2309.01507). -1 is no level"},
       {bits(2, 8)},
       dynamicSigned},
      {{"dynamic_nonzero", "bits",
        "dynamic_unsigned with the code of zero standing for the smallest level instead: DE-0 (Li, "
        "Chen, Zhu 2023)"},
       {bits(2, 8)},
       dynamicNonzero},
      {{"dynamic_unsigned", "bits",
        "unsigned dynamic exponent of bits - 1 decades: U8 of the 8-bit optimizers, DE4 of the "
        "4-bit ones (sources as dynamic)"},
       {bits(2, 8)},
       dynamicUnsigned},
      {{"fp4", "",
        "bitsandbytes' 4-bit float, in its order of codes: sign, then magnitudes 0, 1/192, 2/3, 1, "
        "1/3, 1/2, 1/6, 1/4 (get_4bit_type)"},
       {},
       fp4},
      {{"gaussian", "bits",
        "least mean square error for a standard normal variable (Lloyd 1957, Max 1960), computed. "
        "In standard deviations: 2 bits are +-0.4528, +-1.510"},
       {bits(1, 8)},
       gaussian},
      {{"iq4_nl", "", "kvalues_iq4nl of ggml: 16 integers from -127 to 113 (ggml-common.h)"},
       {},
       iq4nl},
      {{"linear", "bits",
        "i / (2^(bits-1) - 1) with both signs and zero; one code is left over (bitsandbytes' "
        "create_linear_map)"},
       {bits(2, 8)},
       linearSigned},
      {{"linear_nonzero", "bits",
        "(i + 1) / 2^bits: without zero, for second moments (Li, Chen, Zhu 2023)"},
       {bits(1, 8)},
       linearNonzero},
      {{"linear_square", "bits",
        "sign(x) x^2 of x = -1 + 2 i / (2^bits - 1), with 0 in place of the largest negative one: "
        "Linear-2 (Wang et al. 2024, 4-bit Shampoo, arXiv 2405.18144)"},
       {bits(2, 8)},
       linearSquare},
      {{"linear_unsigned", "bits", "i / (2^bits - 1)"}, {bits(1, 8)}, linearUnsigned},
      {{"log2", "bits, octaves",
        "2^bits positive levels from 2^-octaves to 1, logarithms equally far apart; powers of two "
        "for octaves = 2^bits - 1 (Miyashita, Lee, Murmann 2016, arXiv 1603.01025)"},
       {bits(1, 8), {0.125, 126, false}},
       log2Unsigned},
      {{"log2_signed", "bits, octaves",
        "0 and 2^(bits-1) - 1 such levels of either sign; one code is left over"},
       {bits(3, 8), {0.125, 126, false}},
       log2Signed},
      {{"mxfp4_ggml", "",
        "e2m1 as ggml decodes it: code 8 is +0, not -0 (kvalues_mxfp4 of ggml-common.h, halved)"},
       {},
       mxfp4},
      {{"nf4", "",
        "4-bit NormalFloat (Dettmers et al. 2023, QLoRA, arXiv 2305.14314, appendix E; the values "
        "are bitsandbytes')"},
       {},
       nf4},
      {{"power", "bits, exponent",
        "sign(i) |i / (2^(bits-1) - 1)|^exponent (Yvinec et al. 2023, PowerQuant and NUPES, arXiv "
        "2301.09858 and 2308.05600); one code is left over"},
       {bits(2, 8), {0.0625, 16, false}},
       power},
      {{"softsign", "bits",
        "2 |x| / (1 + |x|) with the sign of x, in 2^(bits-1) - 1 equal steps for either sign, and "
        "rounded there; one code is left over (Gonzalez Ortiz et al. 2026, FlashOptim, arXiv "
        "2602.23349: first moments)"},
       {bits(2, 8)},
       softsign,
       softsignBorders},
      {{"sqrt", "bits",
        "square roots in 2^bits - 1 equal steps, and rounded there (as softsign, for second "
        "moments)"},
       {bits(1, 8)},
       root,
       rootBorders},
      {{"sqrt_nonzero", "bits",
        "the codes of sqrt; that of zero is the square of a quarter of a step instead, the middle "
        "of "
        "the roots that it stands for"},
       {bits(1, 8)},
       rootNonzero,
       rootBorders},
      {{"ternary", "", "-1, 0 and 1 (Li, Zhang, Liu 2016, arXiv 1605.04711)"}, {}, ternary},
  };
  return all;
}

std::vector<CodebookFamily> codebookFamilies() {
  std::vector<CodebookFamily> all;
  for (const Row &row : rows())
    all.push_back(row.family);
  return all;
}

static std::string textOf(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", number);
  for (int digits = 1; digits < 17; ++digits) {
    char shorter[32];
    std::snprintf(shorter, sizeof shorter, "%.*g", digits, number);
    if (std::strtod(shorter, nullptr) == number)
      return shorter;
  }
  return text;
}

static std::string textOf(std::string_view name, const Arguments &arguments) {
  std::string text(name);
  for (double argument : arguments)
    text += ", " + textOf(argument);
  return text;
}

static std::string complaint(const Row &row, const Arguments &arguments) {
  std::string name(row.family.name), parameters(row.family.parameters);
  std::string form = "codebook<" + name + (parameters.empty() ? "" : ", " + parameters) + ">";
  if (arguments.size() != row.ranges.size())
    return "codebook '" + name + "' is written " + form + ", with " +
           std::to_string(row.ranges.size()) +
           (row.ranges.size() == 1 ? " argument" : " arguments") + ", not " +
           std::to_string(arguments.size());
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Range &range = row.ranges[i];
    double argument = arguments[i];
    if (argument >= range.least && argument <= range.most &&
        !(range.isInteger && argument != std::floor(argument)))
      continue;
    std::string wanted = range.least == range.most
                             ? textOf(range.least)
                             : std::string(range.isInteger ? "an integer" : "a number") + " from " +
                                   textOf(range.least) + " to " + textOf(range.most);
    return "argument " + std::to_string(i + 1) + " of " + form + " is " + wanted + ", not " +
           textOf(argument);
  }
  return "";
}

std::optional<Format> namedCodebook(std::string_view name, const Arguments &arguments,
                                    std::string *error) {
  std::string message = "no codebook is named '" + std::string(name) + "'; known:";
  for (const Row &row : rows()) {
    message += (&row == &rows().front() ? " " : ", ") + std::string(row.family.name);
    if (row.family.name != name)
      continue;
    message = complaint(row, arguments);
    if (message.empty())
      return Format::codebook(row.build(arguments), "codebook<" + textOf(name, arguments) + ">",
                              row.borders ? row.borders(arguments) : Borders());
    break;
  }
  if (error)
    *error = message;
  return std::nullopt;
}

} // namespace lowbit::numerics
