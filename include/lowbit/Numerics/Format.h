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
// are zero. The rules (ties, saturation, NaN) are written down in docs/Numerics.md. Named tables
// are in Codebooks.h.
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_FORMAT_H
#define LOWBIT_NUMERICS_FORMAT_H

#include "lowbit/Numerics/Minifloat.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lowbit::numerics {

enum class FormatKind { Int, UInt, Float16, BFloat16, Float32, Minifloat, Codebook, Learned };

/// How an integer code is chosen from a real number. `low` is the format's smallest integer.
enum class Rounding {
  NearestEven, ///< nearest integer, ties to the even one
  HalfAway,    ///< nearest integer, ties away from zero
  HalfUp,      ///< floor(t + (0.5 - low)) + low, every operation rounded to f32
};

class Format {
public:
  /// int<bits>: two's complement, -2^(bits-1) ... 2^(bits-1) - 1; without the lowest one when
  /// `narrow`, which takes 2 bits. 1 <= bits <= 16.
  static Format integer(unsigned bits, bool narrow = false);
  /// uint<bits>: 0 ... 2^bits - 1. 1 <= bits <= 16.
  static Format unsignedInteger(unsigned bits);
  static Format float16();
  static Format bfloat16();
  static Format float32();
  /// Precondition: its check() passes.
  static Format minifloat(const Minifloat &parameters);
  /// Levels as checkLevels accepts them; code i decodes to levels[i]. `text` is what str() gives
  /// instead of them: "codebook<nf4>". `borders`: between each two neighbours of the different
  /// levels, in ascending order, where numbers go over from one to the other; midpoints if empty.
  static Format codebook(std::vector<float> levels, std::string text = "",
                         const std::vector<double> &borders = {});
  /// The high bits of the codes of `parent`: each decodes to the mean, rounded to f32, of the
  /// levels whose codes begin with it; a codebook. Precondition: checkPrefix() passes.
  static Format prefix(unsigned bits, const Format &parent);
  /// An error message, or nothing when `parent` has prefixes of `bits` bits.
  static std::optional<std::string> checkPrefix(unsigned bits, const Format &parent);
  /// Codes of levels that are stored with the tensor (Quantized::levels), which this format knows
  /// nothing of but that a scale brings them to -1 ... 1. 1 <= bits <= 8.
  static Format learned(unsigned bits);

  /// An error message, or nothing when `levels` can be a codebook: 2 to 256 finite values, in any
  /// order, at least two of them different.
  static std::optional<std::string> checkLevels(const std::vector<float> &levels);

  FormatKind kind() const { return formatKind; }
  /// Bits of one stored code; for a codebook ceil(log2(number of levels)).
  unsigned bits() const { return formatBits; }
  bool isInteger() const { return formatKind == FormatKind::Int || formatKind == FormatKind::UInt; }
  /// f16, bf16 and f32, whose codes are stored as such.
  bool isFloat() const {
    return formatKind == FormatKind::Float16 || formatKind == FormatKind::BFloat16 ||
           formatKind == FormatKind::Float32;
  }
  /// True if NaN encodes to a code of NaN, not to that of zero.
  bool hasNaN() const { return isFloat() || (parameters && parameters->hasNaN()); }
  /// Minifloats only.
  const Minifloat &minifloat() const { return *parameters; }

  /// A codebook's levels by code; empty otherwise.
  const std::vector<float> &levels() const { return levelTable; }
  /// Codebooks: the rank of x among the different levels is the number of thresholds t with x >= t.
  /// There is one less than there are levels; each is the smallest f32 that belongs to the level
  /// above: is nearer to it, or beyond the border of the two; exactly there the side with the even
  /// code wins. Minifloats: the same over the magnitudes, whose ranks are their codes.
  const std::vector<float> &thresholds() const { return thresholdTable; }
  /// Codebooks: the code of each rank, the lowest where several codes share a level.
  const std::vector<uint32_t> &codesByRank() const { return rankCodes; }

  /// The level of a code; not of a learned one. Codes of a codebook beyond its last level decode as
  /// the last level.
  float decode(uint32_t code) const;

  /// The code of the nearest level; not of a learned one. Integers saturate and take NaN as zero,
  /// codebooks too, whose ties go to the even code. Floats convert as IEEE says (nearest even,
  /// overflow to infinity, NaN stays NaN). Minifloats: nearest even, overflow and infinity to the
  /// largest finite number, NaN stays where they have one. `rounding` matters for integers only.
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

  /// As in the attribute: "int<4>", "int<8, narrow>", "uint<8>", "f16", "e4m3", "fp<2, 2>",
  /// "codebook<nf4>", "codebook<[-1, 0, 1]>", "prefix<4, int<8>>"; "learned<4>" without its levels.
  std::string str() const;

  bool operator==(const Format &other) const {
    return formatKind == other.formatKind && formatBits == other.formatBits &&
           isNarrow == other.isNarrow && parameters == other.parameters &&
           levelTable == other.levelTable && thresholdTable == other.thresholdTable;
  }
  bool operator!=(const Format &other) const { return !(*this == other); }

private:
  Format(FormatKind kind, unsigned bits) : formatKind(kind), formatBits(bits) {}

  FormatKind formatKind;
  unsigned formatBits;
  bool isNarrow = false;
  std::optional<Minifloat> parameters;
  std::vector<float> levelTable;
  std::vector<float> thresholdTable;
  std::vector<uint32_t> rankCodes;
  std::string codebookText;
};

/// `value` to the nearest integer, still as f32. Infinities and NaN pass through.
float roundToInteger(float value, Rounding rounding, float low);

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_FORMAT_H
