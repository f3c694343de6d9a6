//===- Minifloat.h - Floating-point numbers of 3 to 8 bits ----------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A code of E exponent bits e above M mantissa bits f, with a sign bit on top or none:
//
//   e = 0   f * 2^(1 - bias - M)              zero and the subnormals
//   e > 0   (2^M + f) * 2^(e - bias - M)
//
// Sources: OCP 8-bit Floating Point Specification 1.0 (e4m3, e5m2), OCP Microscaling Formats 1.0
// (e3m2, e2m3, e2m1, e8m0), Noune et al. 2022 (the fnuz formats). Which codes are no numbers is the
// one thing in which they differ; the names of the ways are LLVM's.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_MINIFLOAT_H
#define LOWBIT_NUMERICS_MINIFLOAT_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit::numerics {

/// Which codes of a minifloat are no finite numbers.
enum class SpecialCodes {
  None, ///< none: every code is a finite number
  FN,   ///< all exponent and mantissa bits set: NaN
  IEEE, ///< all exponent bits set: infinity (mantissa 0) and NaN
  FNUZ, ///< the sign bit alone: NaN; there is no -0
  FNU,  ///< unsigned, M = 0, no zero: code c is 2^(c - bias); all bits set: NaN
};

struct Minifloat {
  unsigned exponentBits;
  unsigned mantissaBits;
  int bias;
  bool isSigned = true;
  SpecialCodes special = SpecialCodes::None;

  /// The bias unless another is given: 2^(E-1) - 1, one more for FNUZ.
  static int defaultBias(unsigned exponentBits, SpecialCodes special);
  /// By short name: e4m3, e5m2, e4m3fnuz, e5m2fnuz, e3m2, e2m3, e2m1, e8m0, ue4m3 or ue5m3.
  static std::optional<Minifloat> named(std::string_view name);
  /// All short names.
  static const std::vector<std::string_view> &names();

  /// An error message, or nothing: 3 to 8 bits, special codes that fit, every level an f32.
  std::optional<std::string> check() const;

  unsigned bits() const { return exponentBits + mantissaBits + (isSigned ? 1 : 0); }
  bool hasZero() const { return special != SpecialCodes::FNU; }
  bool hasNegativeZero() const { return isSigned && special != SpecialCodes::FNUZ; }
  bool hasNaN() const { return special != SpecialCodes::None; }
  /// The code that NaN encodes to: positive, quiet where that means something.
  uint32_t codeOfNaN() const;
  /// The code of the largest finite number. Below it lie all codes of smaller ones.
  uint32_t largestCode() const;
  /// The level of a code; infinity and NaN of special codes.
  float decode(uint32_t code) const;

  /// A short name, or as in "fp<2, 2>", "fp<3, 2, bias = 5, unsigned, fn>".
  std::string str() const;

  bool operator==(const Minifloat &other) const {
    return exponentBits == other.exponentBits && mantissaBits == other.mantissaBits &&
           bias == other.bias && isSigned == other.isSigned && special == other.special;
  }
};

/// "none", "fn", "ieee", "fnuz", "fnu".
const char *nameOf(SpecialCodes special);
std::optional<SpecialCodes> specialCodesNamed(std::string_view name);

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_MINIFLOAT_H
