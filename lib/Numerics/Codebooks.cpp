//===- Codebooks.cpp - Published tables of levels, by name --------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Codebooks.h"

#include "CodebookLevels.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace lowbit::numerics {

using namespace codebooks;

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
