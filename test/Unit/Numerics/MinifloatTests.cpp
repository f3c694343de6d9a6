//===- MinifloatTests.cpp - Floating-point numbers of 3 to 8 bits -------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Format.h"

#include "gtest/gtest.h"

#include <cmath>
#include <limits>

using namespace lowbit::numerics;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

Format named(const char *name) { return Format::minifloat(*Minifloat::named(name)); }

TEST(Minifloat, TablesOfOCP) {
  // OFP8 1.0, tables 1 and 2; MX 1.0, tables 4 to 6.
  struct {
    const char *name;
    unsigned bits;
    double largest, smallestNormal, smallest;
  } expected[] = {{"e4m3", 8, 448, 0x1p-6, 0x1p-9},
                  {"e5m2", 8, 57344, 0x1p-14, 0x1p-16},
                  {"e3m2", 6, 28, 0.25, 0.0625},
                  {"e2m3", 6, 7.5, 1, 0.125},
                  {"e2m1", 4, 6, 1, 0.5},
                  {"e4m3fnuz", 8, 240, 0x1p-7, 0x1p-10},
                  {"e5m2fnuz", 8, 57344, 0x1p-15, 0x1p-17}};
  for (auto &e : expected) {
    Format format = named(e.name);
    const Minifloat &parameters = format.minifloat();
    EXPECT_EQ(format.bits(), e.bits) << e.name;
    EXPECT_EQ(format.highest(), e.largest) << e.name;
    EXPECT_EQ(format.lowest(), -e.largest) << e.name;
    EXPECT_EQ(format.extreme(), -e.largest) << e.name;
    EXPECT_EQ(format.largest(), e.largest) << e.name;
    EXPECT_TRUE(format.hasNegativeLevels());
    EXPECT_EQ(format.decode(1), e.smallest) << e.name;
    EXPECT_EQ(format.decode(1u << parameters.mantissaBits), e.smallestNormal) << e.name;
    EXPECT_EQ(format.str(), e.name);
  }
  Format e2m1 = named("e2m1");
  const float values[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  for (uint32_t code = 0; code < 8; ++code) {
    EXPECT_EQ(e2m1.decode(code), values[code]);
    EXPECT_EQ(e2m1.decode(code + 8), -values[code]);
    EXPECT_TRUE(std::signbit(e2m1.decode(code + 8)));
  }
  EXPECT_TRUE(std::isnan(named("e4m3").decode(0x7f)));
  EXPECT_TRUE(std::isnan(named("e4m3").decode(0xff)));
  EXPECT_EQ(named("e4m3").decode(0x7e), 448.0f);
  EXPECT_EQ(named("e5m2").decode(0x7c), infinity);
  EXPECT_EQ(named("e5m2").decode(0xfc), -infinity);
  EXPECT_TRUE(std::isnan(named("e5m2").decode(0x7d)));
  EXPECT_TRUE(std::isnan(named("e4m3fnuz").decode(0x80)));
  EXPECT_EQ(named("e4m3fnuz").decode(0xff), -240.0f);
}

TEST(Minifloat, PowersOfTwo) {
  Format format = named("e8m0");
  EXPECT_EQ(format.bits(), 8u);
  for (uint32_t code = 0; code < 255; ++code)
    EXPECT_EQ(format.decode(code), std::ldexp(1.0, int(code) - 127)) << code;
  EXPECT_TRUE(std::isnan(format.decode(255)));
  EXPECT_EQ(format.lowest(), 0x1p-127f);
  EXPECT_EQ(format.highest(), 0x1p127f);
  EXPECT_FALSE(format.hasNegativeLevels());
  for (float least : {0.0f, -0.0f, -1.0f, -infinity, 0x1p-149f, 0x1.8p-127f})
    EXPECT_EQ(format.encode(least), 0u) << least;
  EXPECT_EQ(format.encode(std::nextafter(0x1.8p-127f, 1.0f)), 1u);
  EXPECT_EQ(format.encode(1.0f), 127u);
  EXPECT_EQ(format.encode(1.5f), 128u); // a tie, to the even code
  EXPECT_EQ(format.encode(3.0f), 128u);
  EXPECT_EQ(format.encode(std::nextafter(3.0f, 4.0f)), 129u);
  EXPECT_EQ(format.encode(infinity), 254u);
  EXPECT_EQ(format.encode(nan), 255u);
}

TEST(Minifloat, SpecialValuesAndSigns) {
  EXPECT_EQ(named("e4m3").encode(nan), 0x7fu);
  EXPECT_EQ(named("e4m3").encode(-nan), 0x7fu);
  EXPECT_EQ(named("e5m2").encode(nan), 0x7eu);
  EXPECT_EQ(named("e4m3fnuz").encode(nan), 0x80u);
  EXPECT_EQ(named("e2m1").encode(nan), 0u);
  EXPECT_EQ(named("e2m1").encode(-nan), 0u);
  EXPECT_TRUE(named("e4m3").hasNaN());
  EXPECT_FALSE(named("e2m1").hasNaN());
  for (float most : {infinity, 1e30f, 448.0f, 470.0f}) {
    EXPECT_EQ(named("e4m3").encode(most), 0x7eu);
    EXPECT_EQ(named("e4m3").encode(-most), 0xfeu);
    EXPECT_EQ(named("ue4m3").encode(most), 0x7eu);
    EXPECT_EQ(named("ue4m3").encode(-most), 0u);
  }
  EXPECT_EQ(named("e5m2").encode(infinity), 0x7bu);
  EXPECT_EQ(named("e5m2").encode(-infinity), 0xfbu);
  EXPECT_EQ(named("e4m3").encode(-0.0f), 0x80u);
  EXPECT_EQ(named("e4m3").encode(-1e-30f), 0x80u);
  EXPECT_EQ(named("e4m3fnuz").encode(-0.0f), 0u);
  EXPECT_EQ(named("e4m3fnuz").encode(-1e-30f), 0u);
  EXPECT_EQ(named("ue5m3").encode(-0.0f), 0u);
  EXPECT_EQ(named("ue5m3").bits(), 8u);
  EXPECT_EQ(named("ue4m3").bits(), 7u);
  EXPECT_FALSE(named("ue5m3").hasNegativeLevels());
}

/// Every minifloat of a small range of biases that check() accepts.
std::vector<Minifloat> everyMinifloat() {
  std::vector<Minifloat> all;
  for (unsigned e = 1; e <= 8; ++e)
    for (unsigned m = 0; m <= 7; ++m)
      for (bool isSigned : {false, true})
        for (SpecialCodes special : {SpecialCodes::None, SpecialCodes::FN, SpecialCodes::IEEE,
                                     SpecialCodes::FNUZ, SpecialCodes::FNU})
          for (int offset : {0, -3, 20, 126, 140}) {
            Minifloat format{e, m, Minifloat::defaultBias(e, special) + offset, isSigned, special};
            if (!format.check())
              all.push_back(format);
          }
  return all;
}

TEST(Minifloat, RoundsToNearestEven) {
  std::vector<Minifloat> list = everyMinifloat();
  EXPECT_GT(list.size(), 200u);
  for (const Minifloat &parameters : list) {
    Format format = Format::minifloat(parameters);
    SCOPED_TRACE(format.str() + " bias " + std::to_string(parameters.bias));
    for (uint32_t code = 0; code < 1u << format.bits(); ++code) {
      float level = format.decode(code);
      if (std::isnan(level) || std::isinf(level))
        continue;
      bool isNegativeZero = level == 0.0f && std::signbit(level);
      EXPECT_EQ(format.encode(level), code) << code;
      EXPECT_EQ(isNegativeZero && !parameters.hasNegativeZero(), false);
      EXPECT_LE(std::fabs(level), format.highest());
    }
    for (uint32_t code = 0; code < parameters.largestCode(); ++code) {
      float lower = format.decode(code), upper = format.decode(code + 1);
      ASSERT_LT(lower, upper);
      // Exact in f64: neighbours are at most one binary order apart.
      double middle = (double(lower) + double(upper)) / 2;
      float tie = static_cast<float>(middle);
      if (tie != middle)
        continue; // between two denormal numbers of f32
      uint32_t even = code % 2 ? code + 1 : code;
      EXPECT_EQ(format.encode(tie), even) << code;
      EXPECT_EQ(format.encode(std::nextafter(tie, 0.0f)), code) << code;
      EXPECT_EQ(format.encode(std::nextafter(tie, infinity)), code + 1) << code;
      uint32_t sign = parameters.isSigned ? 1u << (format.bits() - 1) : 0;
      uint32_t negative = !parameters.isSigned                         ? 0
                          : even == 0 && !parameters.hasNegativeZero() ? 0
                                                                       : even | sign;
      EXPECT_EQ(format.encode(-tie), negative) << code;
    }
  }
}

TEST(Minifloat, Checks) {
  auto complaint = [](Minifloat format) { return format.check().value_or(""); };
  auto contains = [](const std::string &text, const char *part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(contains(complaint({1, 0, 0}), "3 to 8 bits in all"));
  EXPECT_TRUE(contains(complaint({0, 3, 0}), "1 to 8 exponent bits"));
  EXPECT_TRUE(contains(complaint({5, 3, 15}), "3 to 8 bits in all"));
  EXPECT_TRUE(contains(complaint({4, 0, 7, true, SpecialCodes::IEEE}), "'ieee'"));
  EXPECT_TRUE(contains(complaint({4, 3, 7, false, SpecialCodes::FNUZ}), "'fnuz'"));
  EXPECT_TRUE(contains(complaint({8, 0, 127, true, SpecialCodes::FNU}), "3 to 8 bits"));
  EXPECT_TRUE(contains(complaint({7, 0, 63, true, SpecialCodes::FNU}), "'fnu'"));
  EXPECT_TRUE(contains(complaint({2, 2, -125}), "beyond f32; the bias is at least -124"));
  EXPECT_TRUE(contains(complaint({2, 2, 149}), "below what f32 can hold; the bias is at most 148"));
  EXPECT_FALSE((Minifloat{2, 2, -124}.check()));
  EXPECT_FALSE((Minifloat{2, 2, 148}.check()));
  EXPECT_TRUE(std::isfinite(Format::minifloat({2, 2, -124}).highest()));
  EXPECT_GT(Format::minifloat({2, 2, 148}).decode(1), 0.0f);
  EXPECT_TRUE((Minifloat{2, 2, std::numeric_limits<int>::max()}.check()));
  EXPECT_TRUE((Minifloat{2, 2, std::numeric_limits<int>::min()}.check()));
}

TEST(Minifloat, Text) {
  EXPECT_EQ((Minifloat{2, 2, 1}.str()), "fp<2, 2>");
  EXPECT_EQ((Minifloat{3, 2, 5, false, SpecialCodes::FN}.str()),
            "fp<3, 2, bias = 5, unsigned, fn>");
  EXPECT_EQ((Minifloat{4, 3, 7, false}.str()), "fp<4, 3, unsigned>");
  for (std::string_view name : Minifloat::names()) {
    EXPECT_EQ(Minifloat::named(name)->str(), name);
    EXPECT_FALSE(Minifloat::named(name)->check());
  }
  EXPECT_FALSE(Minifloat::named("e9m9"));
}

} // namespace
