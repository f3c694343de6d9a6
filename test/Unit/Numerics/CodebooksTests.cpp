//===- CodebooksTests.cpp - Named tables against published values -------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Codebooks.h"

#include "gtest/gtest.h"

#include <cmath>
#include <numeric>

using namespace lowbit::numerics;

namespace {

std::vector<float> levelsOf(const std::string &name, const std::vector<double> &arguments = {}) {
  std::string error;
  std::optional<Format> format = namedCodebook(name, arguments, &error);
  EXPECT_TRUE(format) << error;
  return format ? format->levels() : std::vector<float>{0.0f};
}

/// Tables are published rounded: as many digits as they have.
void expectNear(const std::vector<float> &levels, const std::vector<double> &published,
                double tolerance) {
  ASSERT_EQ(levels.size(), published.size());
  for (size_t i = 0; i < levels.size(); ++i)
    EXPECT_NEAR(levels[i], published[i], tolerance) << i;
}

double sumOf(const std::vector<float> &levels) {
  return std::accumulate(levels.begin(), levels.end(), 0.0);
}

TEST(Codebooks, DynamicExponent) {
  // bitsandbytes' S8 and U8.
  std::vector<float> s8 = levelsOf("dynamic", {8}), u8 = levelsOf("dynamic_unsigned", {8});
  ASSERT_EQ(s8.size(), 256u);
  ASSERT_EQ(u8.size(), 256u);
  const std::pair<size_t, double> signedValues[] = {
      {0, -0.99296875}, {63, -0.10703125}, {126, -5.5e-7},    {128, 5.5e-7},     {129, 3.25e-6},
      {130, 7.75e-6},   {131, 2.125e-5},   {191, 0.10703125}, {192, 0.12109375}, {254, 0.99296875}};
  for (auto [code, value] : signedValues)
    EXPECT_NEAR(s8[code], value, 1e-6 * std::fabs(value)) << code;
  EXPECT_EQ(s8[127], 0.0f);
  EXPECT_EQ(s8[255], 1.0f);
  EXPECT_NEAR(sumOf(s8), 1.0, 1e-12); // symmetric but for the 1
  const std::pair<size_t, double> unsignedValues[] = {
      {1, 3.25e-7},      {2, 7.75e-7},      {3, 2.125e-6},      {7, 1.5625e-5},    {15, 1.28125e-4},
      {31, 1.140625e-3}, {63, 0.010703125}, {127, 0.103515625}, {254, 0.996484375}};
  for (auto [code, value] : unsignedValues)
    EXPECT_NEAR(u8[code], value, 1e-6 * value) << code;
  EXPECT_EQ(u8[0], 0.0f);
  EXPECT_EQ(u8[255], 1.0f);
  EXPECT_NEAR(sumOf(u8), 75.1052631, 1e-6);
  // Li, Chen, Zhu 2023: S4, DE4 and DE-0.
  expectNear(levelsOf("dynamic", {4}),
             {-.8875, -.6625, -.4375, -.2125, -.0775, -.0325, -.0055, 0, .0055, .0325, .0775, .2125,
              .4375, .6625, .8875, 1},
             1e-7);
  std::vector<double> de4{0,      .00325, .00775, .02125, .04375, .06625, .08875, .15625,
                          .26875, .38125, .49375, .60625, .71875, .83125, .94375, 1};
  expectNear(levelsOf("dynamic_unsigned", {4}), de4, 1e-7);
  de4[0] = de4[1];
  expectNear(levelsOf("dynamic_nonzero", {4}), de4, 1e-7);
  EXPECT_EQ(namedCodebook("dynamic_nonzero", {4})->encode(0.0f), 0u);
  // Every width has all its codes.
  for (int bits = 2; bits <= 8; ++bits) {
    EXPECT_EQ(levelsOf("dynamic", {double(bits)}).size(), size_t(1) << bits);
    EXPECT_EQ(levelsOf("dynamic_unsigned", {double(bits)}).size(), size_t(1) << bits);
  }
}

TEST(Codebooks, DecisionPointsOfS4) {
  // As published, where two f32 are as near as the table is.
  std::vector<float> thresholds = namedCodebook("dynamic", {4})->thresholds();
  expectNear(thresholds,
             {-.775, -.55, -.325, -.145, -.055, -.019, -.00275, .00275, .019, .055, .145, .325, .55,
              .775, .94375},
             1e-7);
}

TEST(Codebooks, Linear) {
  std::vector<float> lin4 = levelsOf("linear_nonzero", {4});
  for (size_t i = 0; i < 16; ++i)
    EXPECT_EQ(lin4[i], (float(i) + 1) / 16);
  expectNear(levelsOf("linear_square", {4}),
             {-1, -.7511, -.5378, -.36, -.2178, -.1111, -.04, 0, .0044, .04, .1111, .2178, .36,
              .5378, .7511, 1},
             5e-5);
  EXPECT_EQ(levelsOf("linear", {2}), (std::vector<float>{-1, 0, 1}));
  EXPECT_EQ(levelsOf("linear_unsigned", {2}), (std::vector<float>{0, 1 / 3.f, 2 / 3.f, 1}));
  EXPECT_EQ(levelsOf("linear", {8}).size(), 255u);
  EXPECT_EQ(levelsOf("linear", {8})[127], 0.0f);
}

TEST(Codebooks, Companded) {
  // FlashOptim (Gonzalez Ortiz et al. 2026): 2 |x| / (1 + |x|) in steps of 1 / 127, roots in steps
  // of 1 / 255, and rounded there: borders are at half steps, not midway between levels.
  std::optional<Format> softsign = namedCodebook("softsign", {8}),
                        root = namedCodebook("sqrt", {8});
  ASSERT_EQ(softsign->levels().size(), 255u);
  ASSERT_EQ(root->levels().size(), 256u);
  EXPECT_EQ(softsign->levels()[127], 0.0f);
  EXPECT_EQ(softsign->levels()[254], 1.0f);
  EXPECT_EQ(softsign->levels()[0], -1.0f);
  EXPECT_EQ(softsign->levels()[191], 64.0f / 190.0f);
  EXPECT_EQ(root->levels()[51], 0.04f);
  for (size_t i = 0; i < 254; ++i) {
    double y = (double(i) - 126.5) / 127.0, border = y / (2 - std::fabs(y));
    float threshold = softsign->thresholds()[i];
    EXPECT_GE(threshold, border);
    EXPECT_LT(std::nextafter(threshold, -2.0f), border);
    EXPECT_EQ(softsign->encode(threshold), i + 1);
    EXPECT_EQ(softsign->encode(std::nextafter(threshold, -2.0f)), i);
  }
  // The one tie, of 1 / 4, goes to the even code.
  EXPECT_EQ(root->thresholds()[127], 0.25f);
  EXPECT_EQ(root->encode(0.25f), 128u);
  EXPECT_EQ(root->encode(std::nextafter(0.25f, 0.0f)), 127u);
  // Without zero the codes are the same, and each level has its own.
  std::optional<Format> nonzero = namedCodebook("sqrt_nonzero", {8});
  EXPECT_EQ(nonzero->thresholds(), root->thresholds());
  EXPECT_FLOAT_EQ(nonzero->levels()[0], 0.25f * 0.25f / (255 * 255));
  for (uint32_t code = 0; code < 256; ++code)
    EXPECT_EQ(nonzero->encode(nonzero->levels()[code]), code);
  EXPECT_NE(*root, Format::codebook(root->levels()));
  EXPECT_EQ(levelsOf("sqrt", {1}), (std::vector<float>{0, 1}));
  EXPECT_EQ(namedCodebook("sqrt", {1})->thresholds(),
            std::vector<float>{std::nextafter(0.25f, 1.0f)}); // to code 0
  EXPECT_EQ(levelsOf("softsign", {2}), (std::vector<float>{-1, 0, 1}));
}

TEST(Codebooks, SingleTables) {
  std::vector<float> nf4 = levelsOf("nf4");
  EXPECT_EQ(nf4[1], -0.6961928009986877f);
  EXPECT_EQ(nf4[7], 0.0f);
  EXPECT_EQ(nf4[14], 0.7229568362236023f);
  std::vector<float> af4 = levelsOf("af4", {64});
  EXPECT_EQ(af4[1], -0.69441008f);
  EXPECT_EQ(af4[14], 0.72424863f);
  std::vector<float> iq4 = levelsOf("iq4_nl");
  EXPECT_EQ(iq4[0], -127.0f);
  EXPECT_EQ(iq4[8], 1.0f);
  EXPECT_EQ(sumOf(iq4), -94.0);
  // bitsandbytes' dequantization: sign bit, then magnitudes out of order.
  std::vector<float> fp4 = levelsOf("fp4");
  EXPECT_EQ(std::vector<float>(fp4.begin(), fp4.begin() + 8),
            (std::vector<float>{0, 5.208333333e-03f, 0.66666667f, 1, 0.33333333f, 0.5f, 0.16666667f,
                                0.25f}));
  for (size_t code = 0; code < 8; ++code)
    EXPECT_EQ(fp4[code + 8], -fp4[code]);
  EXPECT_EQ(levelsOf("ternary"), (std::vector<float>{-1, 0, 1}));
  EXPECT_EQ(levelsOf("binary"), (std::vector<float>{-1, 1}));
  // MXFP4 is e2m1 but for the zero of code 8, whose sign ggml does not keep.
  std::vector<float> mxfp4 = levelsOf("mxfp4_ggml");
  for (uint32_t code = 0; code < 16; ++code)
    EXPECT_EQ(mxfp4[code], Minifloat::named("e2m1")->decode(code));
  EXPECT_FALSE(std::signbit(mxfp4[8]));
  EXPECT_TRUE(std::signbit(Minifloat::named("e2m1")->decode(8)));
}

TEST(Codebooks, PowersAndLogarithms) {
  std::vector<float> octaves = levelsOf("log2", {4, 15});
  for (int i = 0; i < 16; ++i)
    EXPECT_EQ(octaves[size_t(i)], std::ldexp(1.0f, i - 15));
  std::vector<float> logarithms = levelsOf("log2_signed", {3, 4});
  EXPECT_EQ(logarithms, (std::vector<float>{-1, -0.25f, -0.0625f, 0, 0.0625f, 0.25f, 1}));
  EXPECT_EQ(levelsOf("power", {3, 2}),
            (std::vector<float>{-1, 4 / 9.f * -1, 1 / 9.f * -1, 0, 1 / 9.f, 4 / 9.f, 1}));
  EXPECT_EQ(levelsOf("power", {5, 1}), levelsOf("linear", {5}));
  // Li et al. 2020, section 2.2: 4 magnitude bits, {0, 2^0, 2^-2, 2^-4} + {0, 2^-1, 2^-3, 2^-5}
  // over their largest sum.
  std::vector<float> sums;
  for (double a : {0.0, 1.0, 0.25, 0.0625})
    for (double b : {0.0, 0.5, 0.125, 0.03125})
      sums.push_back(static_cast<float>((a + b) / 1.5));
  std::sort(sums.begin(), sums.end());
  EXPECT_EQ(levelsOf("apot_unsigned", {4}), sums);
  // The authors' code for 3 magnitude bits: {0, 1/2, 1/4, 1/16} + {0, 1/8}.
  EXPECT_EQ(levelsOf("apot_unsigned", {3}),
            (std::vector<float>{0, 0.1f, 0.2f, 0.3f, 0.4f, 0.6f, 0.8f, 1}));
  for (int bits = 3; bits <= 7; ++bits)
    EXPECT_EQ(levelsOf("apot", {double(bits)}).size(), (size_t(1) << bits) - 1);
}

/// The mean square error of rounding a standard normal variable, by the trapezoidal rule.
double gaussianError(const Format &format) {
  double sum = 0;
  constexpr double step = 1.0 / 4096;
  for (int i = -8 * 4096; i <= 8 * 4096; ++i) {
    double x = i * step;
    double difference = x - format.decode(format.encode(static_cast<float>(x)));
    sum += difference * difference * std::exp(-0.5 * x * x);
  }
  return sum * step / std::sqrt(2 * std::acos(-1.0));
}

TEST(Codebooks, LloydMaxOfAGaussian) {
  // Max 1960, table I. His error for 16 levels, 0.009497, is that of his rounded levels' table; the
  // fourth digit differs.
  const double errors[] = {0.3634, 0.1175, 0.03454, 0.009497};
  for (int bits = 1; bits <= 4; ++bits)
    EXPECT_NEAR(gaussianError(*namedCodebook("gaussian", {double(bits)})), errors[bits - 1],
                bits == 4 ? 5e-6 : 5e-5)
        << bits;
  expectNear(levelsOf("gaussian", {1}), {-0.7980, 0.7980}, 2e-4);
  expectNear(levelsOf("gaussian", {2}), {-1.510, -0.4528, 0.4528, 1.510}, 5e-4);
  expectNear(levelsOf("gaussian", {3}),
             {-2.152, -1.344, -0.7560, -0.2451, 0.2451, 0.7560, 1.344, 2.152}, 5e-4);
  std::vector<float> levels = levelsOf("gaussian", {4});
  expectNear(std::vector<float>(levels.begin() + 8, levels.end()),
             {0.1284, 0.3881, 0.6568, 0.9424, 1.256, 1.618, 2.069, 2.733}, 5e-4);
  // More levels: each doubling divides the error by nearly 4 (Panter, Dite 1951:
  // pi sqrt(3) / 2 / levels^2 in the limit).
  double limit = std::acos(-1.0) * std::sqrt(3.0) / 2;
  EXPECT_NEAR(gaussianError(*namedCodebook("gaussian", {8})) * 65536 / limit, 1.0, 0.02);
}

TEST(Codebooks, Arguments) {
  auto errorOf = [](const std::string &name, const std::vector<double> &arguments) {
    std::string error;
    EXPECT_FALSE(namedCodebook(name, arguments, &error));
    return error;
  };
  EXPECT_NE(errorOf("nf3", {}).find("no codebook is named 'nf3'; known: af4, "), std::string::npos);
  EXPECT_EQ(errorOf("dynamic", {9}),
            "argument 1 of codebook<dynamic, bits> is an integer from 2 to 8, not 9");
  EXPECT_EQ(errorOf("dynamic", {4.5}),
            "argument 1 of codebook<dynamic, bits> is an integer from 2 to 8, not 4.5");
  EXPECT_EQ(errorOf("power", {4}),
            "codebook 'power' is written codebook<power, bits, exponent>, with 2 arguments, not 1");
  EXPECT_EQ(errorOf("power", {4, std::nan("")}),
            "argument 2 of codebook<power, bits, exponent> is a number from 0.0625 to 16, not nan");
  EXPECT_EQ(errorOf("af4", {32}), "argument 1 of codebook<af4, block> is 64, not 32");
  EXPECT_EQ(namedCodebook("power", {4, 1.5})->str(), "codebook<power, 4, 1.5>");
  EXPECT_EQ(namedCodebook("nf4")->str(), "codebook<nf4>");
}

TEST(Codebooks, EveryFamilyAtEveryWidth) {
  for (const CodebookFamily &family : codebookFamilies()) {
    int built = 0;
    for (double bits : {1, 2, 3, 4, 5, 6, 7, 8, 64}) {
      std::vector<double> arguments;
      if (!family.parameters.empty())
        arguments.push_back(bits);
      if (family.parameters == "bits, octaves" || family.parameters == "bits, exponent")
        arguments.push_back(3.5);
      std::optional<Format> format = namedCodebook(family.name, arguments);
      if (!format)
        continue;
      ++built;
      EXPECT_FALSE(Format::checkLevels(format->levels())) << format->str();
      if (!arguments.empty() && bits <= 8) {
        EXPECT_EQ(format->bits(), bits) << format->str();
      }
      for (uint32_t code = 0; code < format->levels().size(); ++code)
        EXPECT_EQ(format->decode(format->encode(format->decode(code))), format->decode(code))
            << format->str() << " " << code;
    }
    EXPECT_GT(built, 0) << family.name;
  }
}

} // namespace
