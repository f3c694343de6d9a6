//===- Format.h - What one code decodes to --------------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A scalar number format: a map from codes to f32 levels, and back to the nearest level. Codes are
// held in the low bits of a uint32_t; an int<k> code is two's complement in k bits, the bits above
// are zero. The rules (ties, saturation, NaN) are written down in docs/Numerics.md.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_FORMAT_H
#define LOWBIT_NUMERICS_FORMAT_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit::numerics {

enum class FormatKind { Int, UInt, Float16, BFloat16, Float32, Codebook };

/// How an integer code is chosen from a real number. `low` is the format's smallest integer.
enum class Rounding {
  NearestEven, ///< nearest integer, ties to the even one
  HalfAway,    ///< nearest integer, ties away from zero
  HalfUp,      ///< floor(t + (0.5 - low)) + low, every operation rounded to f32
};

class Format {
public:
  /// int<bits>: two's complement, -2^(bits-1) ... 2^(bits-1) - 1. 1 <= bits <= 8.
  static Format integer(unsigned bits);
  /// uint<bits>: 0 ... 2^bits - 1. 1 <= bits <= 8.
  static Format unsignedInteger(unsigned bits);
  static Format float16();
  static Format bfloat16();
  static Format float32();
  /// Levels as checkLevels accepts them; code i decodes to levels[i].
  static Format codebook(std::vector<float> levels);

  /// An error message, or nothing when `levels` can be a codebook: 2 to 256 finite values, strictly
  /// increasing.
  static std::optional<std::string> checkLevels(const std::vector<float> &levels);

  FormatKind kind() const { return formatKind; }
  /// Bits of one stored code; for a codebook ceil(log2(number of levels)).
  unsigned bits() const { return formatBits; }
  bool isInteger() const { return formatKind == FormatKind::Int || formatKind == FormatKind::UInt; }
  bool isFloat() const { return !isInteger() && formatKind != FormatKind::Codebook; }

  /// The ordered level table of a codebook; empty otherwise.
  const std::vector<float> &levels() const { return levelTable; }
  /// Codebooks: the code of x is the number of thresholds t with x >= t. There is one less than
  /// there are levels; each is the smallest f32 that is nearer to the level above, exactly at a
  /// midpoint the side with the even index wins.
  const std::vector<float> &thresholds() const { return thresholdTable; }

  /// The level of a code. Codes of a codebook beyond its last level decode as the last level.
  float decode(uint32_t code) const;

  /// The code of the nearest level. Integers saturate; codebooks resolve ties to the even index;
  /// both take NaN as zero. Floats convert as IEEE says (nearest even, overflow to infinity, NaN
  /// stays NaN). `rounding` matters for integers only.
  uint32_t encode(float x, Rounding rounding = Rounding::NearestEven) const;

  /// The integer of a code; integer formats only.
  int32_t integerOf(uint32_t code) const;
  /// The code of an integer, saturated to lowest() ... highest(); integer formats only.
  uint32_t codeOfInteger(int32_t value) const;

  /// The smallest and the largest finite level (integers: the limits of the range).
  float lowest() const;
  float highest() const;
  /// What an absmax scale divides by: the largest magnitude that occurs with *both* signs for
  /// int<k>, 2^(k-1) - 1 (1 for int<1>); the largest magnitude of any finite level otherwise.
  float largest() const;
  /// What a signed-max scale divides by: the level of largest magnitude with its sign, the lower
  /// one when two are equally large: -2^(k-1) for int<k>, -1 for nf4.
  float extreme() const;
  bool hasNegativeLevels() const { return lowest() < 0.0f; }

  /// As in the attribute: "int<4>", "uint<8>", "f16", "bf16", "f32", "codebook<[-1, 0, 1]>".
  std::string str() const;

  bool operator==(const Format &other) const {
    return formatKind == other.formatKind && formatBits == other.formatBits &&
           levelTable == other.levelTable;
  }
  bool operator!=(const Format &other) const { return !(*this == other); }

private:
  Format(FormatKind kind, unsigned bits) : formatKind(kind), formatBits(bits) {}

  FormatKind formatKind;
  unsigned formatBits;
  std::vector<float> levelTable;
  std::vector<float> thresholdTable;
};

/// A codebook by its published name, or nothing. Known: "nf4" (Dettmers et al., QLoRA, 2023,
/// appendix E; the values are those of bitsandbytes).
std::optional<Format> namedCodebook(std::string_view name);

/// `value` to the nearest integer, still as f32. Infinities and NaN pass through.
float roundToInteger(float value, Rounding rounding, float low);

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_FORMAT_H
