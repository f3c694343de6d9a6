//===- Term.h - A quantized term as plain data ----------------------------===//
//
// Part of the Lowbit project, under the Apache License v2.0 with LLVM Exceptions.
// See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The data of `#lowbit.quantized<FORMAT, scale = ..., zero|min = ..., layout = ...>` and of
// `#lowbit.sparse<...>`, free of MLIR. How the codes lie in bytes is the layout's (Layout.h). What
// a term denotes: with s the product of the scale levels, multiplied outermost inwards and each
// product rounded to f32,
//
//   no zero point   s * level(code)                 (no scale: level(code))
//   integer         s * float(q - z)                q, z integers
//   additive        (s * level(code)) + m           two roundings, never a fused multiply-add
//
//===----------------------------------------------------------------------===//

#ifndef LOWBIT_NUMERICS_TERM_H
#define LOWBIT_NUMERICS_TERM_H

#include "lowbit/Numerics/Blocks.h"
#include "lowbit/Numerics/Format.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lowbit::numerics {

class Layout;

/// Which elements share one value of a scale level.
struct Granularity {
  enum class Kind { PerTensor, PerAxis, PerBlock };

  static Granularity perTensor() { return {}; }
  static Granularity perAxis(int64_t axis) { return {Kind::PerAxis, axis, {}}; }
  static Granularity perBlock(Shape block) { return {Kind::PerBlock, 0, std::move(block)}; }

  Kind kind = Kind::PerTensor;
  int64_t axis = 0; ///< PerAxis: one value for each index of this axis.
  Shape block;      ///< PerBlock: extents >= 1, one for each axis of the tensor.

  /// The extents of one block on a tensor of this shape: a whole axis is its extent, 0 if it is
  /// empty. Precondition: check() has passed.
  Shape blockOf(const Shape &shape) const;

  bool operator==(const Granularity &other) const {
    return kind == other.kind && axis == other.axis && block == other.block;
  }
};

struct ScaleLevel {
  Format element;
  Granularity granularity;

  bool operator==(const ScaleLevel &other) const {
    return element == other.element && granularity == other.granularity;
  }
};

/// How a rank-1 scale combines the value of the row with that of the column.
enum class Combiner {
  Min,       ///< column < row ? column : row
  Product,   ///< row * column
  Geometric, ///< row * column, the stored ones being powers: alpha of the row, 1 - alpha of the
             ///< column
};

/// s(i, j) = combine(row_i, column_j); 2-D tensors only.
struct Rank1 {
  Format element;
  Combiner combiner = Combiner::Min;
  /// Geometric only: the power of the row, from 0 to 1. An encode takes it as a multiple of 2^-16.
  double alpha = 0.0;

  bool operator==(const Rank1 &other) const {
    return element == other.element && combiner == other.combiner && alpha == other.alpha;
  }
};

/// A scale (or zero point) tree: either `rank1`, or one or more levels, outermost first, each of
/// which subdivides the blocks of the level before it; to their product `offset` is added, if there
/// is one (the zero point of a quantized scale).
struct Scale {
  std::vector<ScaleLevel> levels;
  std::optional<Rank1> rank1;
  std::optional<ScaleLevel> offset = std::nullopt;

  bool operator==(const Scale &other) const {
    return levels == other.levels && rank1 == other.rank1 && offset == other.offset;
  }
};

enum class ZeroKind { None, Integer, Additive };

/// How codes are chosen; never changes what they decode to. docs/Numerics.md spells out each field
/// as f32 operations.
struct EncodeRule {
  /// How the scale (and zero point) of a block comes from its elements.
  enum class Choice {
    Default,    ///< the layout's own rule, else MinMax with a zero point, MxFloor with scales that
                ///< are powers of two (e8m0), AbsMax otherwise
    AbsMax,     ///< s = max|x| / largest
    SignedMax,  ///< s = (the x of largest magnitude) / extreme
    MinMax,     ///< s = (max - min) / (highest - lowest), and the zero point
    MxFloor,    ///< s = 2^(floor(log2 max|x|) - floor(log2 largest)): OCP MX 1.0, section 6.3
    MxCeil,     ///< s = the smallest power of two >= max|x| / largest
    Percentile, ///< s = (the `percent` percentile of |x|) / largest
    Mse,        ///< s = the fraction of max|x| / largest with the least sum of squared errors
    Given,      ///< scale and zero point are those that the destination has
  };
  /// The scale that codes are computed with: as decode will read it, or before it was rounded.
  enum class Divisor { Stored, Exact };
  /// x / s, or x * (1 / s).
  enum class Inverse { Divide, Reciprocal };
  /// A scale or minimum beyond its element's range: to the largest finite value, or to infinity.
  enum class Overflow { Saturate, Infinity };

  Choice choice = Choice::Default;
  Divisor divisor = Divisor::Stored;
  Inverse inverse = Inverse::Divide;
  /// How codes are rounded; nothing: as the layout's own rule says, else to nearest even.
  std::optional<Rounding> rounding;
  /// Stochastic rounding, instead of `rounding`, with the random numbers of this seed.
  std::optional<uint64_t> seed;
  Overflow overflow = Overflow::Saturate;
  double percent = 100.0; ///< Percentile: above 0, to 100
  unsigned steps = 16;    ///< Mse: how many candidates are tried below the absmax scale, 1 to 1024
  double least = 0.5;     ///< Mse: the smallest candidate as a fraction, between 0 and 1

  bool operator==(const EncodeRule &other) const {
    return choice == other.choice && divisor == other.divisor && inverse == other.inverse &&
           rounding == other.rounding && seed == other.seed && overflow == other.overflow &&
           percent == other.percent && steps == other.steps && least == other.least;
  }
};

struct Quantized {
  Format format;
  std::optional<Scale> scale;
  ZeroKind zeroKind = ZeroKind::None;
  /// The zero point's tree. Integer: one level of an integer format. Additive: the minima.
  std::optional<Scale> zero;
  EncodeRule rule;
  /// How the codes lie in bytes; null: planes.
  std::shared_ptr<const Layout> layout;
  /// Learned formats: the elements of the tables of levels, and who shares a table.
  std::optional<ScaleLevel> levels = std::nullopt;

  /// The term without rule and layout, as in the attribute: "int<4>, scale = f16 per [1, 32]",
  /// "learned<4, f16 per axis 0>".
  std::string str() const;

  /// Equal in meaning, rule and layout.
  bool operator==(const Quantized &other) const;
};

/// An array of codes that a term consists of: its own, or those of one level of a tree.
struct CodeArray {
  std::string name; ///< "codes", "scale", "scale.1", "scale.row", "scale.offset", "zero", "min.0",
                    ///< "levels"
  Format format;
  Shape shape; ///< of the tensor, or of the level's grid; "levels" have one more axis, of 2^bits
};

/// The arrays of a term, in the order in which everything lists them: the codes, the levels of the
/// scale outermost first and its offset, those of the zero point, the tables of a learned format.
/// Precondition: check() passes.
std::vector<CodeArray> codeArrays(const Quantized &term, const Shape &shape);

/// Sparse corrections in CSR over a 2-D tensor; `values` is f16, bf16 or f32. An encode stores
/// floor(density * element count) entries, 0 <= density <= 1 (f64 arithmetic).
struct Sparse {
  Format values;
  double density = 0.0;
};

/// The rule that an encode of this term follows, with `Default` replaced by what it stands for and
/// a rounding unless that is stochastic.
EncodeRule resolveRule(const Quantized &term);

/// An error message, or nothing when the numbers of a percentile or mse rule are in range.
std::optional<std::string> checkParameters(const EncodeRule &rule);

/// An error message, or nothing when the term's rule suits its format, zero point and scale.
std::optional<std::string> checkRule(const Quantized &term);

/// An error message (what is wrong and what would be right), or nothing when the term is well
/// formed and applies to tensors of this shape.
std::optional<std::string> check(const Quantized &term, const Shape &shape);
std::optional<std::string> check(const Sparse &term, const Shape &shape);

/// As check() and checkRule(), and that encode is defined on this shape. With the rule `Given` that
/// is encodeInto alone.
std::optional<std::string> checkEncode(const Quantized &term, const Shape &shape);

} // namespace lowbit::numerics

#endif // LOWBIT_NUMERICS_TERM_H
