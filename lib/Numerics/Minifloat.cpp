//===- Minifloat.cpp - Floating-point numbers of 3 to 8 bits ------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lowbit/Numerics/Minifloat.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lowbit::numerics {

namespace {
struct Name {
  std::string_view name;
  Minifloat format;
};
} // namespace

static const Name shortNames[] = {
    {"e4m3", {4, 3, 7, true, SpecialCodes::FN}},
    {"e5m2", {5, 2, 15, true, SpecialCodes::IEEE}},
    {"e4m3fnuz", {4, 3, 8, true, SpecialCodes::FNUZ}},
    {"e5m2fnuz", {5, 2, 16, true, SpecialCodes::FNUZ}},
    {"e3m2", {3, 2, 3, true, SpecialCodes::None}},
    {"e2m3", {2, 3, 1, true, SpecialCodes::None}},
    {"e2m1", {2, 1, 1, true, SpecialCodes::None}},
    {"e8m0", {8, 0, 127, false, SpecialCodes::FNU}},
    {"ue4m3", {4, 3, 7, false, SpecialCodes::FN}},
    {"ue5m3", {5, 3, 15, false, SpecialCodes::FN}},
};

std::optional<Minifloat> Minifloat::named(std::string_view name) {
  for (const Name &known : shortNames)
    if (known.name == name)
      return known.format;
  return std::nullopt;
}

const std::vector<std::string_view> &Minifloat::names() {
  static const std::vector<std::string_view> all = [] {
    std::vector<std::string_view> list;
    for (const Name &known : shortNames)
      list.push_back(known.name);
    return list;
  }();
  return all;
}

const char *nameOf(SpecialCodes special) {
  switch (special) {
  case SpecialCodes::None:
    return "none";
  case SpecialCodes::FN:
    return "fn";
  case SpecialCodes::IEEE:
    return "ieee";
  case SpecialCodes::FNUZ:
    return "fnuz";
  case SpecialCodes::FNU:
    return "fnu";
  }
  return "";
}

std::optional<SpecialCodes> specialCodesNamed(std::string_view name) {
  for (SpecialCodes special : {SpecialCodes::None, SpecialCodes::FN, SpecialCodes::IEEE,
                               SpecialCodes::FNUZ, SpecialCodes::FNU})
    if (name == nameOf(special))
      return special;
  return std::nullopt;
}

int Minifloat::defaultBias(unsigned exponentBits, SpecialCodes special) {
  int half = exponentBits >= 1 && exponentBits <= 8 ? 1 << (exponentBits - 1) : 1;
  return special == SpecialCodes::FNUZ ? half : half - 1;
}

std::optional<std::string> Minifloat::check() const {
  if (exponentBits < 1 || exponentBits > 8 || mantissaBits > 7 || bits() < 3 || bits() > 8)
    return "a minifloat has 1 to 8 exponent bits and 3 to 8 bits in all, not " +
           std::to_string(exponentBits) + " exponent and " + std::to_string(mantissaBits) +
           " mantissa bits" + (isSigned ? " and a sign" : "");
  if (special == SpecialCodes::IEEE && mantissaBits == 0)
    return "'ieee' tells infinity from NaN by the mantissa, which this minifloat does not have";
  if (special == SpecialCodes::FNUZ && !isSigned)
    return "'fnuz' has its NaN in place of -0, which an unsigned minifloat does not have";
  if (special == SpecialCodes::FNU && (isSigned || mantissaBits != 0))
    return "'fnu' is for powers of two: unsigned and without a mantissa";
  // The magnitudes' binary exponents, wide enough for any bias.
  int64_t mantissa = mantissaBits, offset = bias;
  int64_t top = static_cast<int64_t>(largestCode() >> mantissaBits);
  int64_t largestExponent = std::max<int64_t>(top, special == SpecialCodes::FNU ? 0 : 1) - offset;
  int64_t smallestExponent = (special == SpecialCodes::FNU ? 0 : 1 - mantissa) - offset;
  if (largestExponent > 127)
    return "a minifloat of this bias has numbers of 2^" + std::to_string(largestExponent) +
           ", beyond f32; the bias is at least " + std::to_string(offset + largestExponent - 127);
  if (smallestExponent < -149)
    return "a minifloat of this bias has numbers of 2^" + std::to_string(smallestExponent) +
           ", below what f32 can hold; the bias is at most " +
           std::to_string(offset + smallestExponent + 149);
  return std::nullopt;
}

uint32_t Minifloat::codeOfNaN() const {
  uint32_t magnitudes = 1u << (exponentBits + mantissaBits);
  switch (special) {
  case SpecialCodes::IEEE:
    return largestCode() + 1 + (1u << (mantissaBits - 1));
  case SpecialCodes::FNUZ:
    return magnitudes;
  default:
    return magnitudes - 1;
  }
}

uint32_t Minifloat::largestCode() const {
  uint32_t last = (1u << (exponentBits + mantissaBits)) - 1;
  switch (special) {
  case SpecialCodes::FN:
  case SpecialCodes::FNU:
    return last - 1;
  case SpecialCodes::IEEE:
    return last - (1u << mantissaBits);
  default:
    return last;
  }
}

float Minifloat::decode(uint32_t code) const {
  uint32_t magnitude = code & ((1u << (exponentBits + mantissaBits)) - 1);
  bool isNegative = isSigned && code >> (exponentBits + mantissaBits) & 1;
  float value;
  if (isNegative && magnitude == 0 && special == SpecialCodes::FNUZ)
    return std::numeric_limits<float>::quiet_NaN();
  if (special == SpecialCodes::FNU && magnitude <= largestCode()) {
    value = std::ldexp(1.0f, static_cast<int>(magnitude) - bias);
  } else if (magnitude > largestCode()) {
    bool isInfinity = special == SpecialCodes::IEEE && magnitude == largestCode() + 1;
    value = isInfinity ? std::numeric_limits<float>::infinity()
                       : std::numeric_limits<float>::quiet_NaN();
  } else {
    int exponent = static_cast<int>(magnitude >> mantissaBits);
    int mantissa = static_cast<int>(magnitude & ((1u << mantissaBits) - 1));
    if (exponent > 0)
      mantissa += 1 << mantissaBits;
    value = std::ldexp(static_cast<float>(mantissa),
                       std::max(exponent, 1) - bias - static_cast<int>(mantissaBits));
  }
  return isNegative ? -value : value;
}

std::string Minifloat::str() const {
  for (const Name &known : shortNames)
    if (known.format == *this)
      return std::string(known.name);
  std::string text = "fp<" + std::to_string(exponentBits) + ", " + std::to_string(mantissaBits);
  if (bias != defaultBias(exponentBits, special))
    text += ", bias = " + std::to_string(bias);
  if (!isSigned)
    text += ", unsigned";
  if (special != SpecialCodes::None)
    text += std::string(", ") + nameOf(special);
  return text + ">";
}

} // namespace lowbit::numerics
